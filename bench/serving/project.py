"""The project under test: render it, adopt a table, train and promote, as its owner would."""

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

from bench.serving.environments import find_uv, run_command
from bench.serving.servers import QUIET
from slipway.adoption import Table, adopt
from slipway.project import Project as CreatedProject
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
# The default features of a service that an answer decides.
FEATURES = {
    "auth": "api_key",
    "bulk": "parquet",
    "engine": "plan",
    "limits": "memory",
    "prediction_log": "sqlite",
}
Record = dict[str, Any]
ENVIRONMENT_VARIABLE = "UV_PROJECT_ENVIRONMENT"
FEWEST_ROWS = 600
"""Every table begins with the same rows, so that the requests lie within the schema of any of them."""


def generate_rows(count: int, seed: int = 7) -> list[Record]:
    """Return rows with sixteen columns and a target that depends on some of them."""
    rng, generated = random.Random(seed), []
    for _ in range(count):
        row: Record = {name: round(rng.gauss(10.0, 4.0), 3) for name in NUMBERS}
        row |= {name: rng.choice(words) for name, words in CATEGORIES.items()}
        logit = sum((row[name] - 10.0) / 4.0 for name in NUMBERS[:4])
        logit += 2.0 * (row["contract"] == "monthly") - 1.5 * (
            row["segment"] == "school"
        )
        logit += 0.5 * abs(row[NUMBERS[4]] - 10.0) - 2.0
        row[TARGET] = "yes" if rng.random() < 1 / (1 + math.exp(-logit)) else "no"
        generated.append(row)
    return generated


@dataclass(frozen=True)
class Project:
    """A project with three environments: for training, for serving and for scoring files."""

    folder: Path
    training: Path
    serving: Path
    scoring: Path

    @classmethod
    def at(cls, folder: Path) -> Self:
        """Return the project in a folder, with its environments next to the folder."""
        return cls(
            folder,
            training=folder.with_name("trains"),
            serving=folder.with_name("serves"),
            scoring=folder.with_name("scores"),
        )

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers that a request needs, such as its API key, read from the curl command that the project prints."""
        words = shlex.split(self.run("call").split("curl ", 1)[1])
        headers = {}
        for option, value in pairwise(words):
            name, _, content = value.partition(":")
            if option == "-H" and name.strip().lower() != "content-type":
                headers[name.strip()] = content.strip()
        return headers

    def run(self, *arguments: str, **environment: str) -> str:
        """Run the project's command line."""
        command = [str(self.training / "bin" / NAME), *arguments]
        return run_command(self.folder, command, QUIET | environment)

    def store(self, model: str) -> Path:
        return self.folder / f"store-{model}"

    def estimator(self, model: str) -> Path:
        return self.folder / f"{model}.joblib"

    def train(self, model: str) -> None:
        """Train and promote one of model.py's estimators, in a store of its own."""
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text("utf-8"))
        params["model"] = {"name": model, "options": {}}
        path.write_text(yaml.safe_dump(params), "utf-8")
        python = str(self.training / "bin" / "python")
        script = str(Path(__file__).parent / "apps" / "train.py")
        settings = {**QUIET, "STORE": str(self.store(model))}
        run_command(self.folder, [python, script, str(self.estimator(model))], settings)

    def predict(self, model: str, records: list[Record]) -> list[float]:
        """Return scikit-learn's predictions for some records."""
        file = self.folder / "records.json"
        file.write_text(json.dumps(records), "utf-8")
        script = str(Path(__file__).parent / "apps" / "expected.py")
        command = [str(self.training / "bin" / "python"), script]
        command += [str(self.estimator(model)), str(file)]
        last_line = run_command(self.folder, command).splitlines()[-1]
        return [float(probability) for probability in json.loads(last_line)]


def serving_answers() -> dict[str, str]:
    """Return the answers that affect serving, as far as the template has these questions."""
    offered = {name: answer for name, answer in FEATURES.items() if name in QUESTIONS}
    return {"preset": "starter", **offered}


def create_project(folder: Path, count: int) -> Project:
    """Render the current template and let the project adopt a table of so many rows.

    The project replaces an older one. The environments next to it are reused.
    """
    shutil.rmtree(folder, ignore_errors=True)
    names = {"project_name": "Serving bench", "problem": "classification"}
    render(folder, {**names, **serving_answers()})
    table = folder / "table.csv"
    rows = generate_rows(count)
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    project = Project.at(folder)
    # The same code as `make new DATA=…`.
    answers = yaml.safe_load((folder / ANSWERS_FILE).read_text("utf-8"))
    with patch.dict(os.environ, {ENVIRONMENT_VARIABLE: str(project.training)}):
        adopt(Table(table, TARGET, {}), CreatedProject(folder, answers))
    install = [find_uv(), "sync", "--locked", "--quiet", "--no-default-groups"]
    install += ["--group", "serve"]
    run_command(folder, install, {ENVIRONMENT_VARIABLE: str(project.serving)})
    run_command(
        folder,
        [*install, "--group", "score"],
        {ENVIRONMENT_VARIABLE: str(project.scoring)},
    )
    return project
