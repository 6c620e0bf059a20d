"""One training run: read, check, split, tune, learn, evaluate, register, judge."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
import optuna
import pandas as pd
from mlflow import MlflowClient
from numpy.typing import NDArray

from .. import model as yours
from . import UserError, engine, evaluate, learn, personal, registry
from .columns import Columns, Numbers
from .evaluate import Check, Exam, Prepared, Report
from .predictor import TOLERANCE, BrokenModelError, Choice, Manifest, Model, as_rows, dump, figures, made
from .schema import Schema
from .settings import SCHEMA, Params, Settings
from .signing import Keys
from .splits import split
from .store import Store, open_model, sha256, write
from .table import columns_of, data_hash, load
from .task import Learning

PARITY_ROWS, PARITY_GAPS = 32, 0.3
"""Rows held out, and as many made up with this share of gaps: a model must predict them as in training."""
HELD_ROWS = 1_000
ALONE_ROWS = 2_000
"""Rows whose features are computed once more, in other company."""
Step = Callable[[str], AbstractContextManager[Any]]


class Rival(NamedTuple):
    """Who serves now, to be compared with; without a model where today's code cannot run it."""

    version: str
    model: Model | None = None
    skipped: bool = False


class Learned(NamedTuple):
    """A fitted estimator, how it decides, its score on each fold when fitted without it, and a remark."""

    estimator: Any
    decision: dict[str, float]
    fold_scores: list[float]
    note: str = ""


class Result(NamedTuple):
    """What a run came to."""

    version: str
    run: str
    metrics: dict[str, float]
    checks: list[Check]
    choice: Choice
    card: Path
    notes: tuple[str, ...] = ()


def prepare(params: Params, settings: Settings) -> Prepared:
    schema = Schema.load(SCHEMA)
    if unfit := list(personal.unfit(schema)):
        raise UserError("\n".join(unfit))
    frame = load(schema, params.data.source, settings.data_url)
    columns = personal.hashed(schema, columns_of(schema, frame))
    features = made(columns)
    alone(schema, columns, features, params.seed)
    if loose := sorted({c.name for c in schema.inputs if c.type == "text"} & features.keys()):
        mend = "compute numbers from it, or add it to TEXTS if features.py has that"
        raise UserError(f"features.py returns the raw text column {', '.join(loose)}: {mend}")
    if shown := list(personal.handed_on(schema, columns, features, made)):
        raise UserError("\n".join(shown))
    rows = split(schema, params.split, frame, params.seed)
    return Prepared(schema, frame, rows, frame[schema.target.name].to_numpy(), as_rows(features))


def alone(schema: Schema, columns: Columns, features: Columns, seed: int) -> None:
    """Refuse features that a row gets otherwise in other company, for a request is a row alone.

    Half of the rows in another order show a look at the whole table or at neighbours; single rows, some made
    up and with gaps, show a look at their number.
    """
    size = len(next(iter(columns.values())))
    half = np.random.default_rng(seed).permutation(size)[: min(ALONE_ROWS, (size + 1) // 2)]
    quote = not any(column.pii for column in schema.inputs)
    _agree("with half of the rows", features, columns, [half], quote)
    _agree("alone", features, columns, list(half[:PARITY_ROWS, None]), quote)
    drawn = schema.sample(PARITY_ROWS, seed, missing=PARITY_GAPS)
    sample = personal.hashed(schema, {column.name: drawn[column.name] for column in schema.inputs})
    _agree("alone", made(sample), sample, [np.array([row]) for row in range(PARITY_ROWS)])


def _agree(
    company: str, features: Columns, columns: Columns, parts: list[NDArray[np.int64]], quote: bool = True
) -> None:
    """Compare the features of all rows with those of parts; ``quote``: an error may hold their values."""
    for rows in parts:
        part = made({name: values[rows] for name, values in columns.items()})
        for name, values in features.items():
            given = part.get(name)
            if given is None or given.shape != rows.shape:
                raise UserError(f"features.py: {name} does not have one value for each row {company}")
            if len(off := np.flatnonzero(~_same(values[rows], given))):
                whole, other = (values[rows][off[0]], given[off[0]]) if quote else ("a value", "another")
                raise UserError(
                    f"features.py: {name} looks at other rows: one that gets {whole} in the table gets "
                    f"{other} {company}. A request is one row. Compute each value from its own row; what the "
                    "training rows have in common, such as a mean, is for a transformer in model.py"
                )


def _same(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    if object in (one.dtype, other.dtype):
        return np.array([a == b for a, b in zip(one.tolist(), other.tolist(), strict=True)])
    return np.asarray(np.isclose(other, one, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def champion(settings: Settings, schema: Schema, skipped: bool) -> Rival:
    store = Store(settings.store, Keys.of(settings))
    now = store.champion()
    if now is None:
        return Rival("none")
    model = None
    with suppress(BrokenModelError):
        model = None if skipped else evaluate.comparable(store.open(now), schema, "the champion")
    return Rival(now.version, model, skipped)


def train(params: Params, settings: Settings, step: Step, skip_champion: bool = False) -> Result:
    """A failed gate is not a failed training: the model is registered either way, with the verdict."""
    with step("Reading and checking the data"):
        data, client = prepare(params, settings), registry.connect(settings)
        rival = champion(settings, data.schema, skip_champion)
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as scratch:
        options = params.model.options | (tune(data, params, step) if params.tuning.trials else {})
        with step(f"Fitting {params.model.name} in {len(data.rows.folds)} folds and whole"):
            learned = fit(data, params, options)
        with step("Writing the model and checking it"):
            folder, whole = Path(scratch) / "model", Path(scratch) / "estimator.skops"
            choice = choose(data, learned)
            inside = columns_of(data.schema, data.frame.iloc[data.rows.train])
            reference = data.schema.reference(inside, data.target[data.rows.train])
            manifest = Manifest(run=run.info.run_id, decision=learned.decision, reference=reference)
            write(folder, SCHEMA, manifest, choice, _parity_sample(data, params.seed))
            dump(learned.estimator, whole)
            mlflow.log_artifact(str(whole))
            exam = data.examine(open_model(folder))
        with step("Evaluating on rows it has not seen"):
            report = evaluate.measure(exam, rival.model, params, learned.fold_scores)
            for name, figure in evaluate.pictures(exam, report).items():
                mlflow.log_figure(figure, f"plots/{name}.png")
        with step("Registering, and judging at the gate"):
            version = registry.register(folder, data.schema)
            checks = judge(exam, params, rival, version, client)
            seen, truth = data.target[data.rows.train], exam.truth
            notes = [note for note in (learned.note, learn.moved(data.schema, seen, truth)) if note]
            told = {"version": version, "choice": choice, "note": "\n\n".join(notes)}
            card = evaluate.write_card(exam, report, checks, params, data, **told)
            mlflow.log_artifact(str(card))
            _record(params, options, data, report, choice)
        return Result(version, run.info.run_id, report.metrics, checks, choice, card, tuple(notes))


def rejudge(
    params: Params, settings: Settings, version: str | None, step: Step, skip_champion: bool = False
) -> tuple[str, list[Check]]:
    """Hold a registered version against today's data, limits and champion."""
    with step("Reading and checking the data"):
        data, client = prepare(params, settings), registry.connect(settings)
        rival = champion(settings, data.schema, skip_champion)
    number = str(registry.find(client, version).version)
    with step(f"Judging version {number}"), registry.files_of(number) as folder:
        model = evaluate.comparable(open_model(folder), data.schema, f"version {number}")
        return number, judge(data.examine(model), params, rival, number, client)


def judge(exam: Exam, params: Params, rival: Rival, version: str, client: MlflowClient) -> list[Check]:
    """Hold the model against the gate and the champion, and record the verdict."""
    rivals = {}
    if rival.model and rival.version != version:
        rivals["champion"] = learn.score(exam.model.schema, exam.truth, exam.ask(rival.model))
    elif rival.version not in ("none", version) and not rival.skipped:
        rivals["champion's own score"] = registry.score(client, registry.find(client, rival.version))
    checks = evaluate.judge(exam, rivals, params.gate)
    failures = [str(check) for check in checks if not check.passed]
    registry.note_gate(client, version, failures, rival.version)
    return checks


def fit(data: Prepared, params: Params, options: dict[str, Any]) -> Learned:
    """Cross-validate, decide by what was said of the rows left out, then fit on all training rows."""

    def assembled(learning: Learning) -> Any:
        return learn.assemble(build(data, params, options), learning, params.seed)

    def folds(learning: Learning) -> learn.Folds:
        return list(left_out(data, learning, lambda: assembled(learning)))

    inside = data.rows.train
    learn.check(data.schema, params.learning, data.target[inside], "the training rows")
    if not learn.judgeable(data.schema, data.target[data.rows.test], fewest=1):
        raise UserError("the test rows lack a class, or are all the same: use more data or another split")
    learning, said, note = learn.settled(data.schema, params.learning, data.target[inside], folds)
    truth, raw = (np.concatenate(parts) for parts in zip(*said, strict=True))
    decision = learn.decision(data.schema, learning, truth, raw)
    fitted = assembled(learning).fit(data.features.iloc[inside], data.target[inside])
    scores = [learn.score(data.schema, *fold) for fold in said]
    return Learned(learn.served(fitted), decision, scores, note)


def tune(data: Prepared, params: Params, step: Step) -> dict[str, Any]:
    """Search model.py's space; a trial that does worse than the median after some folds is cut short."""

    def objective(trial: optuna.Trial) -> float:
        options = params.model.options | yours.search_space(trial, params.model.name)
        scores: list[float] = []
        pipelines = left_out(data, params.learning, lambda: build(data, params, options))
        for number, fold in enumerate(pipelines):
            scores.append(learn.score(data.schema, *fold))
            trial.report(float(np.mean(scores)), number)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(scores))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna's own pruner is the one by the median.
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=params.seed))
    for number in range(1, params.tuning.trials + 1):
        best = f", best {study.best_value:.4f}" if number > 1 else ""
        with step(f"Tuning: trial {number} of {params.tuning.trials}{best}"):
            study.optimize(objective, n_trials=1)
    return study.best_params


def build(data: Prepared, params: Params, options: dict[str, Any]) -> Any:
    """The pipeline of model.py, unfitted."""
    numbers = list(data.features.select_dtypes("number"))
    categories = list(data.features.select_dtypes(exclude="number"))
    try:
        return yours.build(params.model.name, options, numbers, categories, params.seed)
    except (KeyError, TypeError) as error:
        raise UserError(f"params.yaml: model: model.py cannot build it: {error}") from None


def left_out(
    data: Prepared, learning: Learning, make: Callable[[], Any]
) -> Iterator[tuple[Numbers, Numbers]]:
    """Truth and prediction for each fold's rows, by an estimator that has not seen them."""
    rows, target = data.features.iloc[data.rows.train], data.target[data.rows.train]
    for number, (inside, outside) in enumerate(data.rows.folds, 1):
        learn.check(data.schema, learning, target[inside], f"the rows to learn from in fold {number}")
        yield target[outside], figures(make().fit(rows.iloc[inside], target[inside]), rows.iloc[outside])


def choose(data: Prepared, learned: Learned) -> Choice:
    """What is to serve the fitted estimator, tried on rows held out."""
    held = columns_of(data.schema, data.frame.iloc[data.rows.test[:HELD_ROWS]])
    return engine.choose(data.schema, learned.decision, learned.estimator, held)


def _parity_sample(data: Prepared, seed: int) -> dict[str, NDArray[Any]]:
    """Hold-out rows from first to last, and made-up ones; of what is personal, nothing but made-up values."""
    made = data.schema.sample(2 * PARITY_ROWS, seed, missing=PARITY_GAPS)
    places = np.linspace(0, len(data.rows.test) - 1, PARITY_ROWS).astype(int)
    held = data.frame.iloc[data.rows.test[places]]
    for column in (column for column in data.schema.inputs if not column.pii):
        made[column.name][:PARITY_ROWS] = held[column.name]
    return made


def _record(params: Params, options: dict[str, Any], data: Prepared, report: Report, choice: Choice) -> None:
    """Parameters, figures and provenance to the active run."""
    flat = pd.json_normalize(params.model_dump()).iloc[0].to_dict()
    mlflow.log_params({**flat, "model.options": options})
    mlflow.log_metrics({**report.metrics, **choice.metrics})
    for number, value in enumerate(report.fold_scores):
        mlflow.log_metric("fold_score", value, step=number)
    tags = {"data_sha256": data_hash(data.frame), "engine": choice.name, "engine_why": choice.why}
    mlflow.set_tags(provenance() | tags)


def provenance() -> dict[str, str]:
    """The commit and the locked dependencies this model came from."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    commit, lock = "", Path("uv.lock")
    if shutil.which("git"):
        commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {"git_commit": commit or "none", "lock_sha256": sha256(lock) if lock.exists() else "none"}
