"""One training run: read, check, split, tune, learn, evaluate, register, judge."""

import hashlib
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
import pandas as pd
from matplotlib.figure import Figure
from mlflow import MlflowClient
from numpy.typing import NDArray

from .. import model as yours
from ..features import features
from . import UserError, card, evaluate, gate, registry
from .learn import learn, predict, score
from .predictor import PARITY_ROWS, Model, as_rows, open_model, write
from .schema import Schema
from .settings import Params, Settings
from .store import Store
from .table import Rows, columns_of, data_hash, load, split

Step = Callable[[str], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Prepared:
    """A checked table, split, with the features of every row."""

    schema: Schema
    frame: pd.DataFrame
    target: NDArray[np.float64]
    rows: Rows
    features: pd.DataFrame
    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def holdout(self) -> gate.Holdout:
        held = self.frame.iloc[self.rows.test].reset_index(drop=True)
        return gate.Holdout(held, self.target[self.rows.train])


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    version: str
    run: str
    metrics: dict[str, float]
    checks: list[gate.Check]
    card: Path


def prepare(root: Path, params: Params, settings: Settings) -> Prepared:
    schema = Schema.load(root / "schema.yaml")
    frame = load(schema, params.data.source, settings.data_url)
    made = features(columns_of(schema, frame))
    texts = {c.name for c in schema.inputs if c.type == "text"}
    if loose := sorted(texts & made.keys()):
        raise UserError(f"features.py hands on the text {', '.join(loose)}: make numbers or categories of it")
    numbers = tuple(name for name, values in made.items() if values.dtype != object)
    categories = tuple(name for name in made if name not in numbers)
    return Prepared(
        schema,
        frame,
        frame[schema.target.name].to_numpy(),
        split(schema, params.split, frame, params.seed),
        as_rows(made, numbers, categories),
        numbers,
        categories,
    )


def train(root: Path, params: Params, settings: Settings, step: Step) -> Result:
    """A failed gate is not a failed training: the model is registered either way, with the verdict."""
    with step("Reading and checking the data"):
        data = prepare(root, params, settings)
        client = registry.connect(settings)
    schema, inside = data.schema, data.rows.train
    target, seen = data.target[inside], data.features.iloc[inside]
    options = params.model.options
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as scratch:
        if params.tuning.trials:
            options = options | tune(data, params, step)

        def make() -> Any:
            try:
                return yours.build(params.model.name, options, data.numbers, data.categories, params.seed)
            except (KeyError, TypeError) as error:
                raise UserError(f"params.yaml: model: model.py cannot build it: {error}") from None

        with step(f"Fitting {params.model.name} in {len(data.rows.folds)} folds and whole"):
            learned = learn(schema, params.learning, make, seen, target, data.rows.folds, params.seed)
        with step("Writing the model and checking it"):
            folder = Path(scratch) / "model"
            write(
                folder,
                root / "schema.yaml",
                learned.estimator,
                (data.numbers, data.categories),
                learned.decision,
                run.info.run_id,
                datetime.now(UTC).isoformat(timespec="seconds"),
                _parity_sample(data, params.seed),
            )
            model = open_model(folder)
        with step("Evaluating on rows it has not seen"):
            report = card.measure(model, data.holdout, params, learned.fold_scores)
            for name, figure in figures(model, data, report).items():
                mlflow.log_figure(figure, f"plots/{name}.png")
        with step("Registering, and judging at the gate"):
            version = registry.register(folder, schema)
            checks = judge(model, data, params, settings, version, client)
            page = card.write(root, model, report, checks, params, data)
            _record(root, params, options, data, report, page)
        return Result(version, run.info.run_id, report.metrics, checks, page)


def rejudge(
    root: Path, params: Params, settings: Settings, version: str | None, step: Step
) -> tuple[str, list[gate.Check]]:
    """Hold a registered version against today's data, limits and champion."""
    with step("Reading and checking the data"):
        data = prepare(root, params, settings)
        client = registry.connect(settings)
    number = str(registry.find(client, version).version)
    with step(f"Judging version {number}"), registry.files_of(number) as folder:
        checks = judge(open_model(folder), data, params, settings, number, client)
    return number, checks


def judge(
    model: Model, data: Prepared, params: Params, settings: Settings, version: str, client: MlflowClient
) -> list[gate.Check]:
    """Hold the model against the gate and the champion of now, and record the verdict."""
    store = Store(settings.store)
    champion = store.champion()
    rival = store.open(champion) if champion and champion.version != version else None
    checks = gate.judge(model, rival, data.holdout, params.gate)
    failures = [str(check) for check in checks if not check.passed]
    registry.note_gate(client, version, failures, champion.version if champion else "none")
    return checks


def figures(model: Model, data: Prepared, report: card.Report) -> dict[str, Figure]:
    frame = data.holdout.frame
    target = frame[data.schema.target.name].to_numpy()
    raw = model.raw(columns_of(data.schema, frame))
    drawn = evaluate.plots(data.schema, model.manifest.decision, target, raw)
    return drawn | {"importance": card.picture(report.importance)}


def tune(data: Prepared, params: Params, step: Step) -> dict[str, Any]:
    """Search model.py's space; a trial that does worse than the median after some folds is cut short."""
    seen, target = data.features.iloc[data.rows.train], data.target[data.rows.train]

    def objective(trial: optuna.Trial) -> float:
        options = params.model.options | yours.search_space(trial, params.model.name)
        scores: list[float] = []
        for number, (inside, outside) in enumerate(data.rows.folds):
            pipeline = yours.build(params.model.name, options, data.numbers, data.categories, params.seed)
            pipeline.fit(seen.iloc[inside], target[inside])
            raw = predict(pipeline, seen.iloc[outside])
            scores.append(score(data.schema, target[outside], raw))
            trial.report(float(np.mean(scores)), number)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(scores))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=params.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    for number in range(1, params.tuning.trials + 1):
        best = f", best {study.best_value:.4f}" if number > 1 else ""
        with step(f"Tuning: trial {number} of {params.tuning.trials}{best}"):
            study.optimize(objective, n_trials=1)
    return study.best_params


def _parity_sample(data: Prepared, seed: int) -> dict[str, NDArray[Any]]:
    """Hold-out rows, and made-up ones at the ends of the ranges and with values missing."""
    schema = data.schema
    held = columns_of(schema, data.holdout.frame.head(PARITY_ROWS))
    made = schema.sample(PARITY_ROWS, seed, missing=0.3)
    return {name: np.concatenate([values, made[name]]) for name, values in held.items()}


def _record(
    root: Path, params: Params, options: dict[str, Any], data: Prepared, report: card.Report, page: Path
) -> None:
    """Parameters, figures and provenance to the active run."""
    mlflow.log_params({**flat(params.model_dump()), "model.options": options})
    mlflow.log_metrics(report.metrics)
    for number, value in enumerate(report.fold_scores):
        mlflow.log_metric("fold_score", value, step=number)
    mlflow.set_tags(provenance(root) | {"data_sha256": data_hash(data.frame)})
    mlflow.log_artifact(str(page))


def flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters under dotted names."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        nested = isinstance(value, dict)
        found |= flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return found


def provenance(root: Path) -> dict[str, str]:
    """The commit and the locked dependencies this model came from."""
    git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    lock = root / "uv.lock"
    locked = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "none"
    return {"git_commit": commit or "none", "lock_sha256": locked}
