"""The model card: one page on what the model is, what it is worth and where it ends, written from the run."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from . import learn
from .columns import Column
from .gate import Checks, Exam
from .settings import PROJECT, Params
from .table import columns_of, data_hash

if TYPE_CHECKING:
    from .train import Prepared

PAGE = Path("reports") / "model_card.md"
RESAMPLES = 200
IMPORTANCE_ROWS = 2_000


@dataclass(frozen=True)
class Report:
    """What was measured on the hold-out rows."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    dummy: dict[str, float]
    fold_scores: list[float]
    importance: dict[str, float]


def measure(exam: Exam, params: Params, fold_scores: list[float]) -> Report:
    """Everything that the card tells, measured on the hold-out rows."""
    rng, size = np.random.default_rng(params.seed), len(exam.truth)
    drawn: list[dict[str, float]] = []
    while len(drawn) < RESAMPLES:
        rows = rng.integers(0, size, size)
        if learn.judgeable(exam.model.schema, exam.truth[rows]):
            drawn.append(learn.metrics(exam.model, params.learning, exam.truth[rows], exam.raw[rows]))
    bounds = pd.DataFrame(drawn).quantile([0.025, 0.975])
    return Report(
        metrics=learn.metrics(exam.model, params.learning, exam.truth, exam.raw),
        intervals={name: (low, high) for name, (low, high) in bounds.items()},
        dummy=learn.metrics(exam.model, params.learning, exam.truth, exam.dummy),
        fold_scores=fold_scores,
        importance=importance(exam, params.seed),
    )


def importance(exam: Exam, seed: int) -> dict[str, float]:
    """By how much the score falls when a raw column is shuffled among the rows."""
    model, rng = exam.model, np.random.default_rng(seed)
    rows = rng.permutation(len(exam.truth))[:IMPORTANCE_ROWS]
    columns = columns_of(model.schema, exam.frame.iloc[rows])
    whole = learn.score(model.schema, exam.truth[rows], exam.raw[rows])
    drops = {}
    for name, values in columns.items():
        raw = model.raw({**columns, name: rng.permutation(values)})
        drops[name] = whole - learn.score(model.schema, exam.truth[rows], raw)
    return drops


def pictures(exam: Exam, report: Report) -> dict[str, Figure]:
    """The plots of the problem, and the columns that matter most; the largest on top."""
    figure = Figure(figsize=(6.5, 4.5), layout="constrained", dpi=110)
    axes = figure.subplots()
    ranked = sorted(report.importance.items(), key=lambda item: item[1])[-15:]
    axes.barh([name for name, _ in ranked], [drop for _, drop in ranked], color="#3b6ea5")
    axes.set_title("Importance: loss of score when the column is shuffled")
    return learn.plots(exam.model, exam.truth, exam.raw) | {"importance": figure}


def write(exam: Exam, report: Report, checks: Checks, params: Params, data: "Prepared") -> Path:
    """Write ``reports/model_card.md``, and the figures alone beside it for programs."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(exam, report, checks, params, data), encoding="utf-8")
    figures = json.dumps(report.metrics, indent=2)
    PAGE.with_name("metrics.json").write_text(figures + "\n", encoding="utf-8")
    return PAGE


def render(exam: Exam, report: Report, checks: Checks, params: Params, data: "Prepared") -> str:
    schema, manifest, rows = data.schema, exam.model.manifest, data.rows
    figures = []
    for name, value in report.metrics.items():
        low, high = report.intervals[name]
        figures.append((name, f"{value:.4g}", f"{low:.4g} to {high:.4g}", f"{report.dummy[name]:.4g}"))
    slices = exam.slices(params.gate.slice_rows)
    judged = [(name, rows.sum(), f"{exam.score(rows):.4g}") for name, rows in slices]
    inputs = [(c.name, c.type, _limits(c), "yes" if c.pii else "", c.meaning) for c in schema.inputs]
    ranked = sorted(report.importance.items(), key=lambda item: -item[1])
    folds = ", ".join(f"{score:.3f}" for score in report.fold_scores)
    verdicts = "\n".join(f"- {'passed' if check.passed else '**failed**'}: {check}" for check in checks)
    decided = ", ".join(f"{name} {value:.4g}" for name, value in manifest.decision.items())
    order = f", all older than the test rows by `{schema.time}`" if params.split.how == "time" else ""
    return f"""\
# Model card: {PROJECT}

Predicts **{schema.target.name}** ({schema.target.meaning or schema.problem}), a {schema.problem} by
`{params.model.name}`. Made {manifest.created} in run `{manifest.run}`.

## What it is worth

On {len(rows.test)} rows that it has not seen (split: {params.split.how}). Intervals hold 95 of 100 resamples;
the dummy says the same to every row. Scores of the folds on the training rows: {folds}.

{_table(("figure", "value", "interval", "dummy"), figures)}

{f"It decides by {decided}, chosen on the training rows for the costs in params.yaml." if decided else ""}

## Slices

Those with {params.gate.slice_rows} rows or more, and enough to judge by:

{_table(("slice", "rows", "score"), judged)}

## The gate

{verdicts}

## What it looks at

By how much the score falls when a column is shuffled:

{_table(("column", "loss"), [(name, f"{drop:.4f}") for name, drop in ranked])}

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
