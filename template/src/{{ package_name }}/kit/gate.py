"""The gate: may this model become the champion? Figures on the hold-out rows against params.yaml."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import UserError, evaluate, task
from .learn import score
from .predictor import Model
from .schema import Column, Schema
from .settings import Gate
from .table import columns_of

STEP = 0.1
"""Expectations are probed by moving a column by this share of its range."""
NOISE = 1e-6


@dataclass(frozen=True)
class Check:
    """One line of the verdict."""

    name: str
    figure: float
    limit: float
    passed: bool

    def __str__(self) -> str:
        sign = "at most" if self.name.startswith(("expects", "loss")) else "at least"
        return f"{self.name}: {self.figure:.4g}, {sign} {self.limit:.4g}"


@dataclass(frozen=True)
class Holdout:
    """The rows that no model was fitted on, and the target of those that it was."""

    frame: pd.DataFrame
    seen: NDArray[np.float64]


def judge(model: Model, champion: Model | None, holdout: Holdout, gate: Gate) -> list[Check]:
    """Every check, passed or not; the model may be promoted when all are."""
    schema, frame = model.schema, holdout.frame
    target = frame[schema.target.name].to_numpy()
    raw = model.raw(columns_of(schema, frame))
    base = evaluate.dummy(schema, holdout.seen, len(frame))
    overall = score(schema, target, raw)

    def at_least(name: str, figure: float, limit: float) -> Check:
        return Check(name, figure, limit, bool(figure >= limit))

    gain = overall - score(schema, target, base)
    checks = [at_least("gain over dummy", gain, gate.gain_over_dummy)]
    if champion is not None:
        loss = score_of(champion, schema, frame) - overall
        checks.append(Check("loss to champion", loss, gate.loss_to_champion, loss <= gate.loss_to_champion))
    for name, rows in slices(schema, frame, gate.slice_rows):
        gain = score(schema, target[rows], raw[rows]) - score(schema, target[rows], base[rows])
        checks.append(at_least(f"slice {name}, gain over dummy", gain, gate.slice_gain))
    for name, share in violations(model, frame).items():
        checks.append(Check(f"expects {name}", share, gate.violations, share <= gate.violations))
    return checks


def score_of(champion: Model, schema: Schema, frame: pd.DataFrame) -> float:
    """The champion's score on today's rows, if it can still read them."""
    absent = {c.name for c in champion.schema.inputs} - set(frame.columns)
    if absent or champion.schema.target != schema.target:
        what = f"needs {', '.join(sorted(absent))}" if absent else "predicts another target"
        raise UserError(
            f"the champion cannot be compared on today's table: it {what}. If the old model is to be "
            "replaced whatever its worth, move the store's champion.json away and run the gate again"
        )
    target = frame[schema.target.name].to_numpy()
    return score(schema, target, champion.raw(columns_of(champion.schema, frame)))


def slices(schema: Schema, frame: pd.DataFrame, fewest: int) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The named groups of rows on which a model is judged by itself, if there is enough to judge by."""
    target = frame[schema.target.name].to_numpy()
    for name in schema.slices:
        for value in sorted(frame[name].dropna().unique()):
            rows = (frame[name] == value).to_numpy()
            if rows.sum() >= fewest and evaluate.judgeable(schema, target[rows]):
                yield f"{name} = {value if isinstance(value, str) else bool(value)}", rows


def violations(model: Model, frame: pd.DataFrame) -> dict[str, float]:
    """For each expectation of the schema, the share of rows on which the model breaks it."""
    schema = model.schema
    columns = columns_of(schema, frame)
    before = task.outcome(schema, model.raw(columns))
    scale = max(float(np.std(before)), NOISE)
    found = {}
    for column in schema.inputs:
        for kind, sign in (("increasing", 1.0), ("decreasing", -1.0)):
            if column.name in getattr(schema.expect, kind):
                moved = {**columns, column.name: _moved(column, columns[column.name])}
                change = task.outcome(schema, model.raw(moved)) - before
                found[f"{column.name} {kind}"] = float(np.mean(sign * change < -0.01 * scale))
        if column.name in schema.expect.invariant:
            other = {**columns, column.name: np.roll(columns[column.name], 1)}
            change = task.outcome(schema, model.raw(other)) - before
            found[f"{column.name} invariant"] = float(np.mean(np.abs(change) > 0.01 * scale))
    return found


def _moved(column: Column, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The column a step higher, within what the schema allows."""
    if column.type == "boolean":
        return np.where(np.isnan(values), values, 1.0)
    spread = float(np.nanpercentile(values, 95) - np.nanpercentile(values, 5))
    step = max(STEP * spread, 1.0 if column.type == "integer" else 0.0)
    moved = values + (np.ceil(step) if column.type == "integer" else step)
    return np.minimum(moved, column.max) if isinstance(column.max, float) else moved
