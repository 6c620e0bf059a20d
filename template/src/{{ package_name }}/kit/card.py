"""The model card: one page on what the model is, what it is worth and where it ends, written from the run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from . import evaluate
from .gate import Check, Holdout, slices
from .learn import score
from .predictor import Model
from .schema import Column
from .settings import PROJECT, Params
from .table import columns_of, data_hash

if TYPE_CHECKING:
    from .train import Prepared


RESAMPLES = 200
IMPORTANCE_ROWS = 2_000


@dataclass(frozen=True)
class Report:
    """What was measured on the hold-out rows."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    fold_scores: list[float]
    dummy: dict[str, float]
    slices: dict[str, tuple[int, float]]
    importance: dict[str, float]


def measure(model: Model, holdout: Holdout, params: Params, fold_scores: list[float]) -> Report:
    """Everything that the card tells, measured on the hold-out rows."""
    schema, frame, decision = model.schema, holdout.frame, model.manifest.decision
    target = frame[schema.target.name].to_numpy()
    raw = model.raw(columns_of(schema, frame))
    base = evaluate.dummy(schema, holdout.seen, len(frame))
    rng = np.random.default_rng(params.seed)
    drawn: list[dict[str, float]] = []
    while len(drawn) < RESAMPLES:
        rows = rng.integers(0, len(target), len(target))
        if evaluate.judgeable(schema, target[rows]):
            drawn.append(evaluate.metrics(schema, decision, target[rows], raw[rows], params.learning))
    bounds = {name: np.percentile([found[name] for found in drawn], [2.5, 97.5]) for name in drawn[0]}
    return Report(
        metrics=evaluate.metrics(schema, decision, target, raw, params.learning),
        intervals={name: (float(low), float(high)) for name, (low, high) in bounds.items()},
        fold_scores=fold_scores,
        dummy=evaluate.metrics(schema, decision, target, base, params.learning),
        slices={
            name: (int(rows.sum()), score(schema, target[rows], raw[rows]))
            for name, rows in slices(schema, frame, params.gate.slice_rows)
        },
        importance=importance(model, frame, params.seed),
    )


def importance(model: Model, frame: pd.DataFrame, seed: int) -> dict[str, float]:
    """By how much the score falls when a raw column is shuffled among the rows."""
    schema = model.schema
    rng = np.random.default_rng(seed)
    some = frame.sample(min(len(frame), IMPORTANCE_ROWS), random_state=seed)
    target, columns = some[schema.target.name].to_numpy(), columns_of(schema, some)
    whole = score(schema, target, model.raw(columns))
    return {
        name: whole - score(schema, target, model.raw({**columns, name: rng.permutation(values)}))
        for name, values in columns.items()
    }


def write(
    root: Path, model: Model, report: Report, checks: list[Check], params: Params, data: "Prepared"
) -> Path:
    """Write ``reports/model_card.md``, and the figures alone beside it for programs."""
    path = root / "reports" / "model_card.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(render(model, report, checks, params, data), encoding="utf-8")
    figures = json.dumps(report.metrics, indent=2)
    path.with_name("metrics.json").write_text(figures + "\n", encoding="utf-8")
    return path


def render(model: Model, report: Report, checks: list[Check], params: Params, data: "Prepared") -> str:
    schema, rows = model.schema, data.rows
    target = schema.target
    decision = ", ".join(f"{name} {value:.4g}" for name, value in model.manifest.decision.items())
    folds = ", ".join(f"{score:.3f}" for score in report.fold_scores)
    figures = [
        [
            name,
            f"{value:.4g}",
            _span(*report.intervals[name]),
            f"{report.dummy[name]:.4g}",
        ]
        for name, value in report.metrics.items()
    ]
    ranked = sorted(report.importance.items(), key=lambda item: -item[1])
    inputs = [
        [c.name, c.type, _limits(c), c.meaning + (" (personal)" if c.pii else "")] for c in schema.inputs
    ]
    return "\n".join(
        [
            f"# Model card: {PROJECT}",
            "",
            f"Predicts **{target.name}** ({target.meaning or schema.problem}), a {schema.problem} by "
            f"`{params.model.name}`. Made {model.manifest.created} in run `{model.manifest.run}`.",
            "",
            "## What it is worth",
            "",
            f"On {len(rows.test)} rows that it has not seen (split: {params.split.how}); intervals hold 95 "
            f"of 100 resamples. Score of the {len(report.fold_scores)} folds on the training rows: {folds}.",
            "",
            *table(["figure", "value", "interval", "dummy"], figures),
            "",
            *(
                [f"Decides by {decision}, chosen on the training rows for the costs in params.yaml.", ""]
                if decision
                else []
            ),
            *(slice_section(report) if report.slices else []),
            "## The gate",
            "",
            *[f"- {'passed' if check.passed else '**failed**'}: {check}" for check in checks],
            "",
            "## What it looks at",
            "",
            "Loss of score when the column is shuffled:",
            "",
            *table(["column", "loss"], [[name, f"{drop:.4f}"] for name, drop in ranked]),
            "",
            *table(["input", "type", "allowed", "meaning"], inputs),
            "",
            "## Where it ends",
            "",
            "- It knows rows like those it was trained on; the service refuses values outside this table.",
            f"- Trained on {len(rows.train)} rows with data hash `{data_hash(data.frame)[:16]}`.",
            *(
                [f"- The training rows are older than the test rows: ordered by `{schema.time}`."]
                if params.split.how == "time"
                else []
            ),
            "- Slices with too few rows to judge are not listed; for those nothing is promised.",
            "",
        ]
    )


def picture(drops: Mapping[str, float]) -> Figure:
    """By how much the score falls when a column is shuffled; the largest on top."""
    figure = Figure(figsize=(6.5, 4.5), layout="constrained", dpi=110)
    axes = figure.subplots()
    ranked = sorted(drops.items(), key=lambda item: item[1])[-15:]
    axes.barh([name for name, _ in ranked], [drop for _, drop in ranked], color="#3b6ea5")
    axes.set_title("Importance: loss of score when the column is shuffled")
    return figure


def slice_section(report: Report) -> list[str]:
    rows = [[name, str(size), f"{score:.4g}"] for name, (size, score) in report.slices.items()]
    return ["## Slices", "", *table(["slice", "rows", "score"], rows), ""]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def _span(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"


def _limits(column: Column) -> str:
    if column.categories:
        said = ", ".join(column.categories)
    else:
        low, high = ("" if bound is None else f"{bound}" for bound in (column.min, column.max))
        said = f"{low} to {high}" if low or high else "any"
    return said + (", or missing" if column.nullable else "")
