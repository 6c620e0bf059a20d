"""What a model is worth on rows that it has not seen: the gate that it must pass, the card that tells."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from . import UserError, learn, task
from .columns import Column, Numbers
from .predictor import Model
from .schema import Schema
from .settings import PROJECT, Gate, Params
from .splits import Rows
from .table import columns_of, data_hash

STEP = 0.1
"""Expectations are probed by moving a column by this share of its range."""
EVERY = slice(None)
CARD = Path("reports") / "model_card.md"
RESAMPLES, INTERVAL = 200, (0.025, 0.975)
"""The card shows an interval between these quantiles of as many resamples."""
IMPORTANCE_ROWS = 2_000


class Exam(NamedTuple):
    """A model on rows that it was not fitted on: the truth, and what it and the dummy say."""

    model: Model
    frame: pd.DataFrame
    truth: Numbers
    raw: Numbers
    dummy: Numbers

    def score(self, rows: NDArray[np.bool_] | slice = EVERY) -> float:
        return learn.score(self.model.schema, self.truth[rows], self.raw[rows])

    def ask(self, other: Model) -> Numbers:
        """What another model says of the same rows."""
        return other.raw(columns_of(other.schema, self.frame))

    def gain(self, rows: NDArray[np.bool_] | slice = EVERY) -> float:
        """How much better than the dummy the model scores."""
        return self.score(rows) - learn.score(self.model.schema, self.truth[rows], self.dummy[rows])

    def gain_over_constant(self) -> float:
        """How much better than the best answer that is the same for all of these rows, known afterwards."""
        constant = learn.dummy(self.model.schema, self.truth, len(self.truth))
        return self.score() - learn.score(self.model.schema, self.truth, constant)

    def slices(self, fewest: int) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """The named groups of rows to be judged by themselves, where there is enough to judge by."""
        schema = self.model.schema
        for name in schema.slices:
            for value in sorted(self.frame[name].dropna().unique()):
                rows = (self.frame[name] == value).to_numpy()
                if rows.sum() >= fewest and learn.judgeable(schema, self.truth[rows]):
                    yield f"{name} = {value if isinstance(value, str) else bool(value)}", rows


class Prepared(NamedTuple):
    """A checked table, split, with the features of every row."""

    schema: Schema
    frame: pd.DataFrame
    rows: Rows
    target: Numbers
    features: pd.DataFrame

    def examine(self, model: Model) -> Exam:
        """The model on the rows held out."""
        frame = self.frame.iloc[self.rows.test]
        raw = model.raw(columns_of(self.schema, frame))
        dummy = learn.dummy(self.schema, self.target[self.rows.train], len(frame))
        return Exam(model, frame, self.target[self.rows.test], raw, dummy)


class Check(NamedTuple):
    """One line of the verdict: a figure, and the limit that it must reach, or keep below."""

    name: str
    figure: float
    limit: float
    below: bool = False

    @property
    def passed(self) -> bool:
        return self.figure <= self.limit if self.below else self.figure >= self.limit

    def __str__(self) -> str:
        return f"{self.name}: {self.figure:.4g}, at {'most' if self.below else 'least'} {self.limit:.4g}"


def judge(exam: Exam, rivals: dict[str, float], gate: Gate) -> list[Check]:
    """Every check, passed or not; the model may be promoted when all are. ``rivals`` are scores by name."""
    checks = [
        Check("gain over dummy", exam.gain(), gate.gain_over_dummy),
        # Where the target moves, the training rows' mean is so far off that anything is better.
        Check("gain over the best constant", exam.gain_over_constant(), gate.gain_over_dummy),
    ]
    for name, score in rivals.items():
        checks.append(Check(f"loss to {name}", score - exam.score(), gate.loss_to_champion, below=True))
    for name, rows in exam.slices(gate.slice_rows):
        checks.append(Check(f"slice {name}, gain over dummy", exam.gain(rows), gate.slice_gain))
    for name, share in violations(exam.model, exam.frame).items():
        checks.append(Check(f"expects {name}", share, gate.violations, below=True))
    return checks


def comparable(model: Model, schema: Schema, what: str) -> Model:
    """The model, if it can be asked about the rows of today's table."""
    there = {c.name: c.type for c in schema.columns}
    absent = [c.name for c in model.schema.inputs if there.get(c.name) != c.type]
    now, then = schema.target, model.schema.target
    if absent or (now.name, now.classes, now.positive) != (then.name, then.classes, then.positive):
        why = f"needs {', '.join(absent)} as before" if absent else "predicts another target"
        mend = "to judge without comparing, add --skip-champion"
        raise UserError(f"{what} cannot be compared on today's table: it {why}; {mend}")
    return model


def violations(model: Model, frame: pd.DataFrame) -> dict[str, float]:
    """For each expectation of the schema, the share of rows on which the model breaks it."""
    schema, expect = model.schema, model.schema.expect
    columns = columns_of(schema, frame)
    before = task.outcome(schema, model.raw(columns))
    noise = 0.01 * max(float(np.std(before)), 1e-6)

    def change(name: str, values: NDArray[Any]) -> Numbers:
        return task.outcome(schema, model.raw({**columns, name: values})) - before

    broken = {}
    for column in schema.inputs:
        name, values = column.name, columns[column.name]
        if name in expect.increasing:
            broken[f"{name} increasing"] = change(name, _moved(column, values)) < -noise
        if name in expect.decreasing:
            broken[f"{name} decreasing"] = change(name, _moved(column, values)) > noise
        if name in expect.invariant:
            broken[f"{name} invariant"] = np.abs(change(name, np.roll(values, 1))) > noise
    return {name: float(rows.mean()) for name, rows in broken.items()}


def _moved(column: Column, values: Numbers) -> Numbers:
    """The column a step higher, within what the schema allows."""
    if column.type == "boolean":
        return np.where(np.isnan(values), values, 1.0)
    step = STEP * np.ptp(np.nanpercentile(values, [5, 95]))
    moved = values + (max(np.ceil(step), 1.0) if column.type == "integer" else step)
    return np.minimum(moved, column.max) if isinstance(column.max, float) else moved


class Report(NamedTuple):
    """What was measured on the hold-out rows."""

    metrics: dict[str, float]
    intervals: pd.DataFrame
    slices: list[tuple[str, int, float, float, float]]
    beside: dict[str, dict[str, float]]
    fold_scores: list[float]
    importance: pd.Series


def measure(exam: Exam, champion: Model | None, params: Params, fold_scores: list[float]) -> Report:
    """Everything that the card tells, measured on the hold-out rows."""

    def metrics(model: Model, raw: Numbers, rows: Any = EVERY) -> dict[str, float]:
        return learn.metrics(model, params.learning, exam.truth[rows], raw[rows])

    def spread(places: NDArray[np.int64]) -> pd.DataFrame:
        draws = [rng.choice(places, len(places)) for _ in range(RESAMPLES)]
        kept = [rows for rows in draws if learn.judgeable(exam.model.schema, exam.truth[rows], fewest=1)]
        drawn = [metrics(exam.model, exam.raw, rows) for rows in kept]
        return pd.DataFrame(drawn, columns=list(whole)).quantile(list(INTERVAL))

    rng = np.random.default_rng(params.seed)
    whole = metrics(exam.model, exam.raw)
    beside = {"dummy": metrics(exam.model, exam.dummy)}
    if champion:
        beside["champion"] = metrics(champion, exam.ask(champion))
    slices = []
    for name, rows in exam.slices(params.gate.slice_rows):
        slices.append((name, rows.sum(), exam.score(rows), *spread(np.flatnonzero(rows))["score"]))
    intervals = spread(np.arange(len(exam.truth)))
    return Report(whole, intervals, slices, beside, fold_scores, importance(exam, params.seed))


def importance(exam: Exam, seed: int) -> pd.Series:
    """By how much the score falls when a raw column is shuffled among the rows."""
    model, rng = exam.model, np.random.default_rng(seed)
    rows = rng.permutation(len(exam.truth))[:IMPORTANCE_ROWS]
    columns = columns_of(model.schema, exam.frame.iloc[rows])
    whole = learn.score(model.schema, exam.truth[rows], exam.raw[rows])
    drops = {}
    for name, values in columns.items():
        raw = model.raw({**columns, name: rng.permutation(values)})
        drops[name] = whole - learn.score(model.schema, exam.truth[rows], raw)
    return pd.Series(drops).sort_values(ascending=False)


def pictures(exam: Exam, report: Report) -> dict[str, Figure]:
    """The plots of the problem, and the columns that matter most; the largest on top."""
    figure = Figure(figsize=(6.5, 4.5), layout="constrained", dpi=110)
    axes = figure.subplots()
    largest = report.importance.head(15)[::-1]
    axes.barh(largest.index, largest, color="#3b6ea5")
    axes.set_title("Importance: loss of score when the column is shuffled")
    return learn.plots(exam.model, exam.truth, exam.raw) | {"importance": figure}


def write_card(
    exam: Exam, report: Report, checks: list[Check], params: Params, data: Prepared, **told: object
) -> Path:
    """Write ``reports/model_card.md`` as ``card.md`` lays it out, and the figures alone for programs."""
    schema, manifest, rows = data.schema, exam.model.manifest, data.rows
    figures = []
    for name, value in report.metrics.items():
        low, high = report.intervals[name]
        others = [f"{metrics[name]:.4g}" for metrics in report.beside.values()]
        figures.append((name, f"{value:.4g}", f"{low:.4g} to {high:.4g}", *others))
    slices = [(name, n, f"{v:.4g}", f"{low:.4g} to {high:.4g}") for name, n, v, low, high in report.slices]
    inputs = [(c.name, c.type, _limits(c), "yes" if c.pii else "", c.meaning) for c in schema.inputs]
    losses = [(name, f"{drop:.4f}") for name, drop in report.importance.items()]
    decided = ", ".join(f"{name} {value:.4g}" for name, value in manifest.decision.items())
    order = f", none newer than the test rows by `{schema.time}`" if params.split.how == "time" else ""
    told |= {
        "meaning": schema.target.meaning and f" ({schema.target.meaning})",
        "folds": ", ".join(f"{score:.3f}" for score in report.fold_scores),
        "figures": _table(("figure", "value", "interval", *report.beside), figures),
        "decided": decided
        and f"It decides by {decided}, chosen on the training rows for the costs in params.yaml.",
        "slices": _table(("slice", "rows", "score", "interval"), slices),
        "verdicts": "\n".join(f"- {'passed' if c.passed else '**failed**'}: {c}" for c in checks),
        "losses": _table(("column", "loss"), losses),
        "inputs": _table(("input", "type", "allowed", "personal", "meaning"), inputs),
        "trained": f"{len(rows.train)} rows with data hash `{data_hash(data.frame)[:16]}`{order}",
    }
    told |= {"project": PROJECT, "schema": schema, "manifest": manifest, "params": params}
    told |= {"score": learn.SCORE, "tested": len(rows.test)}
    layout = Path(__file__).with_name("card.md").read_text(encoding="utf-8")
    CARD.parent.mkdir(exist_ok=True)
    CARD.write_text(layout.format(**told), encoding="utf-8")
    CARD.with_name("metrics.json").write_text(json.dumps(report.metrics, indent=2) + "\n", encoding="utf-8")
    return CARD


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    if not (body := list(rows)):
        return "None."
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(str(c).replace('|', '&#124;') for c in line)} |" for line in lines)


def _limits(column: Column) -> str:
    bounds = (column.min, column.max)
    low, high = ("" if bound is None else str(bound).removesuffix(".0") for bound in bounds)
    listed = "" if column.pii else ", ".join(column.categories)
    said = listed or (f"{low} to {high}" if low or high else "any")
    return said + (", or missing" if column.nullable else "")
