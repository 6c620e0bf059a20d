"""The project under test: rendered, given a table, trained, promoted; as its owner would."""

import csv
import json
import math
import os
import random
import shlex
import shutil
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import yaml

from bench.serving.environments import call, uv
from bench.serving.servers import QUIET
from slipway.adoption import Table, adopt
from slipway.project import Project as Made
from tests.rendering import ANSWERS_FILE, QUESTIONS, render

NAME, PACKAGE = "serving-bench", "serving_bench"
MODELS = ("linear", "boosting", "forest")
TARGET = "churned"
NUMBERS = [f"measure_{letter}" for letter in "abcdefghijkl"]
CATEGORIES = {
    "contract": ["monthly", "one year", "two years"],
    "payment": ["bank transfer", "card", "cash", "cheque", "direct debit"],
    "region": ["central", "east", "north", "north-west", "south", "west"],
    "segment": ["business", "consumer", "public", "school"],
}
# What a service has by default, as far as it is a matter of an answer.
FEATURES = {
    "auth": "api_key",
    "bulk": "parquet",
    "engine": "plan",
    "limits": "memory",
    "prediction_log": "sqlite",
}
Record = dict[str, Any]
SETTING = "UV_PROJECT_ENVIRONMENT"
FEWEST_ROWS = 600
"""Every table begins with these, so that what is asked of a model lies within its schema."""


def rows(count: int, seed: int = 7) -> list[Record]:
    """A table of sixteen columns and a target that follows some of them."""
    chance, made = random.Random(seed), []
    for _ in range(count):
        row: Record = {name: round(chance.gauss(10.0, 4.0), 3) for name in NUMBERS}
        row |= {name: chance.choice(words) for name, words in CATEGORIES.items()}
        pull = sum((row[name] - 10.0) / 4.0 for name in NUMBERS[:4])
        pull += 2.0 * (row["contract"] == "monthly") - 1.5 * (
            row["segment"] == "school"
        )
        pull += 0.5 * abs(row[NUMBERS[4]] - 10.0) - 2.0
        row[TARGET] = "yes" if chance.random() < 1 / (1 + math.exp(-pull)) else "no"
        made.append(row)
    return made


@dataclass(frozen=True)
class Project:
    """A project's folder, and its environments: what trains, what serves, and what scores files."""

    folder: Path
    trains: Path
    serves: Path
    scores: Path

    @classmethod
    def at(cls, folder: Path) -> Self:
        return cls(folder, *map(folder.with_name, ("trains", "serves", "scores")))

    @cached_property
    def headers(self) -> dict[str, str]:
        """What a request must carry, as the project itself says it: its key, if it asks for one."""
        words = shlex.split(self.run("call").split("curl ", 1)[1])
        given = [after for word, after in pairwise(words) if word == "-H"]
        split = (header.partition(":") for header in given)
        found = {name.strip(): value.strip() for name, _, value in split}
        return {n: v for n, v in found.items() if n.lower() != "content-type"}

    def run(self, *arguments: str, **environment: str) -> str:
        command = [str(self.trains / "bin" / NAME), *arguments]
        return call(self.folder, command, QUIET | environment)

    def store(self, model: str) -> Path:
        return self.folder / f"store-{model}"

    def estimator(self, model: str) -> Path:
        return self.folder / f"{model}.joblib"

    def train(self, model: str) -> None:
        """Fit one of model.py's estimators, and let it serve from a store of its own."""
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text("utf-8"))
        params["model"] = {"name": model, "options": {}}
        path.write_text(yaml.safe_dump(params), "utf-8")
        python = str(self.trains / "bin" / "python")
        script = str(Path(__file__).parent / "apps" / "train.py")
        settings = {**QUIET, "STORE": str(self.store(model))}
        call(self.folder, [python, script, str(self.estimator(model))], settings)

    def expected(self, model: str, records: list[Record]) -> list[float]:
        """What scikit-learn says of some records."""
        asked = self.folder / "records.json"
        asked.write_text(json.dumps(records), "utf-8")
        script = str(Path(__file__).parent / "apps" / "expected.py")
        command = [str(self.trains / "bin" / "python"), script]
        told = call(self.folder, [*command, str(self.estimator(model)), str(asked)])
        return [float(chance) for chance in json.loads(told.splitlines()[-1])]


def chosen() -> dict[str, str]:
    """The answers that make a difference to serving, as far as there are such questions."""
    offered = {name: answer for name, answer in FEATURES.items() if name in QUESTIONS}
    return {"preset": "starter", **offered}


def make(folder: Path, count: int) -> Project:
    """A project from the template as it is here, which has adopted the table.

    Its environments lie beside it, and stay when it is made anew.
    """
    shutil.rmtree(folder, ignore_errors=True)
    named = {"project_name": "Serving bench", "problem": "classification"}
    render(folder, {**named, **chosen()})
    table = folder / "table.csv"
    made = rows(count)
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, made[0])
        writer.writeheader()
        writer.writerows(made)
    project = Project.at(folder)
    # As `make new DATA=…` does it, whatever that comes to.
    answers = yaml.safe_load((folder / ANSWERS_FILE).read_text("utf-8"))
    with patch.dict(os.environ, {SETTING: str(project.trains)}):
        adopt(Table(table, TARGET, {}), Made(folder, answers))
    install = [uv(), "sync", "--locked", "--quiet", "--no-default-groups"]
    install += ["--group", "serve"]
    call(folder, install, {SETTING: str(project.serves)})
    call(folder, [*install, "--group", "score"], {SETTING: str(project.scores)})
    return project
