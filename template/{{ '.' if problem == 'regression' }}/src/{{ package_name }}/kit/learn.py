"""Fitting a regressor on the training rows, and telling what it is worth on others."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as measures
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from . import UserError
from .columns import Numbers
from .predictor import Model
from .schema import Schema
from .task import Learning

SCORE = "R², the share of the variance explained"


def score(schema: Schema, target: Numbers, raw: Numbers) -> float:
    """The one figure models are compared by, higher is better."""
    return float(measures.r2_score(target, raw))


def check(schema: Schema, learning: Learning, target: Numbers, where: str) -> None:
    """Whether a regressor can learn from these rows at all."""
    if learning.logarithm and target.min() <= -1:
        raise UserError("params.yaml: learning.logarithm needs a target above -1; set it to false")


MOVED = 0.5
"""The mean of the test rows may lie so many standard deviations off before the card says so."""
Folds = list[tuple[Numbers, Numbers]]
"""The truth of each fold's rows, and what an estimator says of them that has not seen them."""


def settled(
    schema: Schema, learning: Learning, target: Numbers, folds: Callable[[Learning], Folds]
) -> tuple[Learning, Folds, str]:
    """Regression leaves nothing open that cross-validation has to choose."""
    return learning, folds(learning), ""


def decision(schema: Schema, learning: Learning, truth: Numbers, raw: Numbers) -> dict[str, float]:
    """A value is predicted as it is: there is nothing to decide."""
    return {}


def assemble(pipeline: Pipeline, learning: Learning, seed: int) -> Any:
    """The pipeline of model.py with what params.yaml asks for around it."""
    if not learning.logarithm:
        return pipeline
    return TransformedTargetRegressor(pipeline, func=np.log1p, inverse_func=np.expm1)


def served(estimator: Any) -> Any:
    """The fitted model without what only fitting needs: here it needs nothing else."""
    return estimator


def metrics(model: Model, learning: Learning, truth: Numbers, raw: Numbers) -> dict[str, float]:
    """All figures; the first one, ``score``, is what models are compared by."""
    found = {
        "score": score(model.schema, truth, raw),
        "rmse": measures.root_mean_squared_error(truth, raw),
        "mae": measures.mean_absolute_error(truth, raw),
        "median_error": measures.median_absolute_error(truth, raw),
    }
    if (truth > 0).all():
        found["relative_error"] = measures.mean_absolute_percentage_error(truth, raw)
    return {name: float(value) for name, value in found.items()}


def dummy(schema: Schema, seen: Numbers, rows: int) -> Numbers:
    """The prediction to beat: the mean of what was seen, whatever the row."""
    return np.full(rows, seen.mean())


def moved(schema: Schema, seen: Numbers, truth: Numbers) -> str:
    """Say so where the test rows lie elsewhere than the training rows."""
    then, now = float(seen.mean()), float(truth.mean())
    if abs(now - then) <= MOVED * float(seen.std()):
        return ""
    return f"The target moves: its mean is {then:.4g} on the training rows and {now:.4g} on the test rows."


def judgeable(schema: Schema, target: Numbers, fewest: int = 2) -> bool:
    """Whether the rows can be scored at all: where every value is the same there is nothing to explain."""
    return len(target) >= fewest and bool(np.ptp(target) > 0)


def plots(model: Model, truth: Numbers, raw: Numbers) -> dict[str, Figure]:
    """Predicted against observed, residuals, and how the residuals are spread."""
    figure = Figure(figsize=(12.0, 4.5), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    faint = {"alpha": 0.3, "s": 10}
    for axes, kind in ((left, "actual_vs_predicted"), (right, "residual_vs_predicted")):
        measures.PredictionErrorDisplay.from_predictions(truth, raw, kind=kind, ax=axes, scatter_kwargs=faint)
    left.set_title("Predicted against observed")
    right.set_title("Residuals")
    spread = Figure(figsize=(6.0, 4.5), layout="constrained", dpi=110)
    axes = spread.subplots()
    axes.hist(truth - raw, bins=50, color="#3b6ea5")
    axes.set_title(f"Residuals of {model.schema.target.name} on the test rows")
    return {"residuals": figure, "spread": spread}
