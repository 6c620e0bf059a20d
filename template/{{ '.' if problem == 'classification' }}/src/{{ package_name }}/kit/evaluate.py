"""What a classifier is worth on rows it has not seen: metrics and pictures."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from . import task
from .learn import score
from .schema import Schema

FEWEST_PER_CLASS = 5
"""A slice with fewer rows of a class than this says nothing about the class."""


def metrics(
    schema: Schema,
    decision: Mapping[str, float],
    target: NDArray[np.float64],
    raw: NDArray[np.float64],
    learning: task.Learning,
) -> dict[str, float]:
    """All figures; the first one, ``score``, is what models are compared by."""
    decided = task.decide(schema, decision, raw)
    found = {
        "score": score(schema, target, raw),
        "log_loss": log_loss(target, raw, labels=range(raw.shape[1])),
    }
    if raw.shape[1] > 2:
        found["accuracy"] = accuracy_score(target, decided)
        found["balanced_accuracy"] = balanced_accuracy_score(target, decided)
        found["macro_f1"] = f1_score(target, decided, average="macro", zero_division=0)
        return {name: float(value) for name, value in found.items()}
    truth, alarm, chance = (target == schema.positive, decided == schema.positive, raw[:, schema.positive])
    found["roc_auc"] = roc_auc_score(truth, chance)
    found["brier"] = brier_score_loss(truth, chance)
    found["precision"] = precision_score(truth, alarm, zero_division=0)
    found["recall"] = recall_score(truth, alarm, zero_division=0)
    wrong = (alarm & ~truth).sum() * learning.cost.false_positive + (
        truth & ~alarm
    ).sum() * learning.cost.false_negative
    found["cost_per_row"] = wrong / len(truth)
    return {name: float(value) for name, value in found.items()}


def dummy(schema: Schema, seen: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """The prediction to beat: each class as often as it was seen, whatever the row."""
    shares = np.bincount(seen.astype(int), minlength=len(schema.target.classes)) / len(seen)
    return np.tile(shares, (rows, 1))


def judgeable(schema: Schema, target: NDArray[np.float64]) -> bool:
    """Whether every class is there often enough to speak of it."""
    return bool(
        np.bincount(target.astype(int), minlength=len(schema.target.classes)).min() >= FEWEST_PER_CLASS
    )


def plots(
    schema: Schema, decision: Mapping[str, float], target: NDArray[np.float64], raw: NDArray[np.float64]
) -> dict[str, Figure]:
    """Curves and calibration per class (one curve where there are two), and the confusion matrix."""
    shown = [schema.positive] if raw.shape[1] == 2 else range(raw.shape[1])
    curves, (left, right) = _sheet(2)
    reliability, (only,) = _sheet(1)
    for code in shown:
        truth, chance, name = target == code, raw[:, code], str(schema.target.classes[code])
        RocCurveDisplay.from_predictions(truth, chance, name=name, ax=left)
        PrecisionRecallDisplay.from_predictions(truth, chance, name=name, ax=right)
        CalibrationDisplay.from_predictions(truth, chance, n_bins=8, strategy="quantile", name=name, ax=only)
    left.set_title("ROC")
    right.set_title("Precision and recall")
    only.set_title("Calibration: predicted against observed")
    confusion, (square,) = _sheet(1)
    ConfusionMatrixDisplay.from_predictions(
        target,
        task.decide(schema, decision, raw),
        labels=range(raw.shape[1]),
        display_labels=[str(label) for label in schema.target.classes],
        cmap="Blues",
        colorbar=False,
        ax=square,
    )
    threshold = f" at threshold {decision['threshold']:.3g}" if "threshold" in decision else ""
    square.set_title(f"Confusion on the test rows{threshold}")
    return {"curves": curves, "calibration": reliability, "confusion": confusion}


def _sheet(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(6.0 * count, 4.5), layout="constrained", dpi=110)
    return figure, [figure.add_subplot(1, count, place + 1) for place in range(count)]
