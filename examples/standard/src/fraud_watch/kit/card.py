"""The model card: one page on what the model is, what it is worth and where it ends, written from the run."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from . import learn
from .columns import Column, Numbers
from .gate import EVERY, Checks, Choice, Exam
from .predictor import Model
from .settings import PROJECT, Params
from .table import columns_of, data_hash

if TYPE_CHECKING:
    from .train import Prepared

PAGE = Path("reports") / "model_card.md"
RESAMPLES = 200
IMPORTANCE_ROWS = 2_000


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
        return pd.DataFrame(drawn, columns=list(whole)).quantile([0.025, 0.975])

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


def write(
    version: str, exam: Exam, report: Report, checks: Checks, choice: Choice, params: Params, data: "Prepared"
) -> Path:
    """Write ``reports/model_card.md``, and the figures alone beside it for programs."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(version, exam, report, checks, choice, params, data), encoding="utf-8")
    PAGE.with_name("metrics.json").write_text(json.dumps(report.metrics, indent=2) + "\n", encoding="utf-8")
    return PAGE


def render(
    version: str, exam: Exam, report: Report, checks: Checks, choice: Choice, params: Params, data: "Prepared"
) -> str:
    schema, manifest, rows = data.schema, exam.model.manifest, data.rows
    figures = []
    for name, value in report.metrics.items():
        low, high = report.intervals[name]
        others = [f"{metrics[name]:.4g}" for metrics in report.beside.values()]
        figures.append((name, f"{value:.4g}", f"{low:.4g} to {high:.4g}", *others))
    slices = [(name, n, f"{v:.4g}", f"{low:.4g} to {high:.4g}") for name, n, v, low, high in report.slices]
    inputs = [(c.name, c.type, _limits(c), "yes" if c.pii else "", c.meaning) for c in schema.inputs]
    losses = [(name, f"{drop:.4f}") for name, drop in report.importance.items()]
    folds = ", ".join(f"{score:.3f}" for score in report.fold_scores)
    verdicts = "\n".join(f"- {'passed' if check.passed else '**failed**'}: {check}" for check in checks)
    decided = ", ".join(f"{name} {value:.4g}" for name, value in manifest.decision.items())
    order = f", none newer than the test rows by `{schema.time}`" if params.split.how == "time" else ""
    return f"""\
# Model card: {PROJECT}

Predicts **{schema.target.name}** ({schema.target.meaning or schema.problem}), a {schema.problem} by
`{params.model.name}`. Version {version}, made {manifest.created} in run `{manifest.run}`.

## What it is worth

On {len(rows.test)} rows that it has not seen (split: {params.split.how}). The score is {learn.SCORE}.
Intervals hold 95 of 100 resamples; the dummy says the same to every row. Scores of the folds: {folds}.

{_table(("figure", "value", "interval", *report.beside), figures)}

{f"It decides by {decided}, chosen on the training rows for the costs in params.yaml." if decided else ""}

## Slices

Those with {params.gate.slice_rows} rows or more, and enough to judge by:

{_table(("slice", "rows", "score", "interval"), slices)}

## The gate

{verdicts}

## How it answers

{choice}.

## What it looks at

By how much the score falls when a column is shuffled:

{_table(("column", "loss"), losses)}

{_table(("input", "type", "allowed", "personal", "meaning"), inputs)}

## Where it ends

- It knows rows like those that it was trained on; the service refuses values outside this table.
- Trained on {len(rows.train)} rows with data hash `{data_hash(data.frame)[:16]}`{order}.
- For slices that are not listed, nothing is promised.
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(c).replace('|', '&#124;') for c in line)} |" for line in lines)


def _limits(column: Column) -> str:
    low, high = ("" if bound is None else str(bound) for bound in (column.min, column.max))
    said = ", ".join(column.categories) or (f"{low} to {high}" if low or high else "any")
    return said + (", or missing" if column.nullable else "")
