"""The gates: which engine may serve a model, and may the model become the champion?

An engine is held against scikit-learn, the model's figures on the hold-out rows against params.yaml.
"""

import timeit
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import features as yours
from . import UserError, learn, task
from .columns import Column, Columns, Numbers
from .plan import Plan
from .predictor import Engine, Model, NoPlanError, compiled, made, sklearn
from .schema import Schema
from .settings import Gate
from .store import TOLERANCE
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


class Choice(NamedTuple):
    """The engine that serves a model, what it is made of, why it was taken, and what a row costs by each."""

    engine: str
    holds: Any
    why: str
    needs: tuple[str, ...]
    difference: float
    micros: dict[str, float]

    def metrics(self) -> dict[str, float]:
        micros = {f"microseconds_{name}": value for name, value in self.micros.items()}
        return {"engine_difference": self.difference} | micros

    def __str__(self) -> str:
        costs = ", ".join(f"{name} {value:,.0f}" for name, value in self.micros.items())
        return f"Served by {self.engine}: {self.why}. Microseconds for a row: {costs}"


PROBED = 32
NEVER_SEEN = "never seen \ue001"


def choose(schema: Schema, decision: dict[str, float], estimator: Any, columns: Columns) -> Choice:
    """The fastest engine that says what scikit-learn says, also where rows are odd or near the threshold."""
    reference, rows = sklearn(estimator), made(columns)
    one = {name: values[:1] for name, values in rows.items()}
    single = {name: values[:1] for name, values in columns.items()}
    micros = {"features.py": _micros(lambda: made(single)), "sklearn": _micros(lambda: reference(one))}
    # What features.py imports by name; the service must have it too.
    pandas = any(str(getattr(v, "__name__", "")).split(".")[0] == "pandas" for v in vars(yours).values())
    slow = "; features.py insists on pandas, which costs as much as it says below" if pandas else ""
    worst = 0.0
    try:
        spec = compiled(estimator)
        plan = Plan(spec)
        probed = 0
        for what, probe in _probes(schema, decision, reference, rows):
            with suppress(ValueError):  # what scikit-learn itself refuses, no request may hold
                truth = reference(probe)
                said = plan(probe)
                worst = max(worst, _difference(schema, decision, truth, said, what))
                probed += len(truth)
        micros["plan"] = _micros(lambda: plan(one))
        if micros["plan"] > micros["sklearn"]:
            raise NoPlanError("its plan is slower than scikit-learn")
        why = f"it says what scikit-learn says, to {worst:.1g}, on {probed} rows{slow}"
        return Choice("plan", spec, why, ("fallback",) if pandas else (), worst, micros)
    except NoPlanError as error:
        why = f"{error}{slow}"
    except Exception as error:  # a plan reads scikit-learn's inner names, which another version may change
        why = f"no plan can be made of it: {error!r}{slow}"
    return Choice("sklearn", estimator, why, ("fallback",), worst, micros)


def _difference(
    schema: Schema, decision: dict[str, float], truth: Numbers, said: Numbers, what: str
) -> float:
    """The largest difference, relative to one and the value; an error if it is too large."""
    same = (truth == said) | (np.isnan(truth) & np.isnan(said))
    off = np.abs(np.where(same, 0.0, said - truth)) / (1 + np.abs(truth))
    worst = float(off.max())
    if not worst <= TOLERANCE:
        raise NoPlanError(f"its plan differs from scikit-learn by {worst:.3g} ({what})")
    decided = [task.table(schema, decision, raw)["prediction"] for raw in (truth, said)]
    if schema.problem == "classification" and decided[0] != decided[1]:
        raise NoPlanError(f"its plan decides otherwise than scikit-learn ({what})")
    return worst


def _micros(call: Callable[[], object]) -> float:
    """Microseconds for a call, undisturbed."""
    call()
    return min(timeit.repeat(call, number=5, repeat=10)) / 5 * 1e6


def _probes(
    schema: Schema, decision: dict[str, float], reference: Engine, rows: Columns
) -> Iterator[tuple[str, Columns]]:
    """Features to try an engine on, and what is odd about them."""
    yield "rows held out and made up", rows
    few = {name: values[:PROBED] for name, values in rows.items()}
    text = [name for name, values in few.items() if values.dtype == object]
    numbers = [name for name in few if name not in text]
    odd: list[tuple[str, list[str], Any]] = [("missing categories", text, None)]
    odd += [("unknown categories", text, NEVER_SEEN), ("missing numbers", numbers, np.nan)]
    odd += [(f"numbers of {extreme:g}", numbers, extreme) for extreme in (1e9, -1e9, 1e30, -1e30)]
    for what, names, cell in odd:
        turns = [few | {name: np.full_like(few[name], cell)} for name in names]
        if turns:
            yield what, {name: np.concatenate([turn[name] for turn in turns]) for name in few}
    one = {name: values[:1] for name, values in rows.items()}
    yield "one row", one
    if "threshold" in decision:
        yield "rows around the threshold", _around(schema, decision["threshold"], reference, rows)


def _around(schema: Schema, threshold: float, reference: Engine, rows: Columns) -> Columns:
    """Rows on both sides of the threshold, as near to it as halving the way between two rows comes."""
    above = reference(rows)[:, schema.positive] >= threshold
    low, high = (np.resize(np.flatnonzero(side), PROBED) if side.any() else None for side in (~above, above))
    if low is None or high is None:
        return rows
    near, far = np.zeros(PROBED), np.ones(PROBED)

    def between(share: Numbers) -> dict[str, NDArray[Any]]:
        return {
            name: values[high] if values.dtype == object else values[low] * (1 - share) + values[high] * share
            for name, values in rows.items()
        }

    for _ in range(20):
        middle = (near + far) / 2
        over = reference(between(middle))[:, schema.positive] >= threshold
        near, far = np.where(over, near, middle), np.where(over, middle, far)
    sides = between(near), between(far)
    return {name: np.concatenate([side[name] for side in sides]) for name in rows}
