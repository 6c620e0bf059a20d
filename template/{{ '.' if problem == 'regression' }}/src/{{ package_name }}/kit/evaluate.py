"""What a regressor is worth on rows it has not seen: metrics and pictures."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import (
    PredictionErrorDisplay,
    mean_absolute_error,
    mean_absolute_percentage_error,
    median_absolute_error,
    root_mean_squared_error,
)

from . import task
from .learn import score
from .schema import Schema


def metrics(
    schema: Schema,
    decision: Mapping[str, float],
    target: NDArray[np.float64],
    raw: NDArray[np.float64],
    learning: task.Learning,
) -> dict[str, float]:
    """All figures; the first one, ``score``, is what models are compared by."""
    found = {
        "score": score(schema, target, raw),
        "rmse": root_mean_squared_error(target, raw),
        "mae": mean_absolute_error(target, raw),
        "median_error": median_absolute_error(target, raw),
    }
    if (target > 0).all():
        found["relative_error"] = mean_absolute_percentage_error(target, raw)
    return {name: float(value) for name, value in found.items()}


def dummy(schema: Schema, seen: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """The prediction to beat: the mean of what was seen, whatever the row."""
    return np.full(rows, seen.mean())


def judgeable(schema: Schema, target: NDArray[np.float64]) -> bool:
    """Whether the rows can be scored at all: where every value is the same there is nothing to explain."""
    return bool(np.ptp(target) > 0)


def plots(
    schema: Schema, decision: Mapping[str, float], target: NDArray[np.float64], raw: NDArray[np.float64]
) -> dict[str, Figure]:
    """Predicted against observed, residuals, and how the residuals are spread."""
    figure = Figure(figsize=(12.0, 4.5), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    faint = {"alpha": 0.3, "s": 10}
    for axes, kind in ((left, "actual_vs_predicted"), (right, "residual_vs_predicted")):
        PredictionErrorDisplay.from_predictions(target, raw, kind=kind, ax=axes, scatter_kwargs=faint)
    left.set_title("Predicted against observed")
    right.set_title("Residuals")
    spread = Figure(figsize=(6.0, 4.5), layout="constrained", dpi=110)
    axes = spread.subplots()
    axes.hist(target - raw, bins=50, color="#3b6ea5")
    axes.set_title(f"Residuals of {schema.target.name} on the test rows")
    return {"residuals": figure, "spread": spread}
