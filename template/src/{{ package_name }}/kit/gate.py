"""The gate: may this model become the champion? Figures on the hold-out rows against params.yaml."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import UserError, learn, task
from .columns import Column, Numbers
from .predictor import Model
from .schema import Schema
from .settings import Gate
from .table import columns_of

STEP = 0.1
"""Expectations are probed by moving a column by this share of its range."""
EVERY = slice(None)


@dataclass(frozen=True)
class Check:
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


Checks = list[Check]


@dataclass(frozen=True)
class Exam:
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

    def slices(self, fewest: int) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """The named groups of rows to be judged by themselves, where there is enough to judge by."""
        schema = self.model.schema
        for name in schema.slices:
            for value in sorted(self.frame[name].dropna().unique()):
                rows = (self.frame[name] == value).to_numpy()
                if rows.sum() >= fewest and learn.judgeable(schema, self.truth[rows]):
                    yield f"{name} = {value if isinstance(value, str) else bool(value)}", rows


def judge(exam: Exam, rivals: dict[str, float], gate: Gate) -> Checks:
    """Every check, passed or not; the model may be promoted when all are. ``rivals`` are scores by name."""
    checks = [Check("gain over dummy", exam.gain(), gate.gain_over_dummy)]
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
        why = f"needs {', '.join(absent)} as it was" if absent else "predicts another target"
        mend = "move the store's champion.json away to go on without a champion"
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
