"""Fitting a classifier on the training rows, and telling what it is worth on others."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as measures
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from . import UserError, task
from .columns import Numbers
from .predictor import Model
from .schema import Schema
from .task import Learning

SCORE = "average precision; with more than two classes, the mean chance given to the truth"


def score(schema: Schema, target: Numbers, raw: Numbers) -> float:
    """The one figure models are compared by, higher is better; the mean chance is the geometric mean."""
    if raw.shape[1] == 2:
        return float(measures.average_precision_score(target == schema.positive, raw[:, schema.positive]))
    return float(np.exp(-measures.log_loss(target, raw, labels=range(raw.shape[1]))))


def check(schema: Schema, learning: Learning, target: Numbers, where: str) -> None:
    """Whether a classifier can learn from these rows: calibration splits them, SMOTE looks for neighbours."""
    fewest = 6.0 if learning.imbalance == "smote" else 2.0
    if learning.calibration in ("sigmoid", "isotonic"):
        fewest *= 1.5
    counts = np.bincount(target.astype(int), minlength=len(schema.target.classes))
    if few := [schema.target.names[code] for code in np.flatnonzero(counts < fewest)]:
        mend = "more data, another split.how, fewer split.folds, or other params.yaml: learning"
        raise UserError(f"{where} have fewer than {fewest:.0f} of class {', '.join(few)}: {mend}")


MOVED = 0.15
"""The share of a class may differ by this between training and test rows before the card says so."""
MOST_CURVES = 8
"""Classes that a plot shows, so that its legend does not cover the curves."""
Folds = list[tuple[Numbers, Numbers]]
"""The truth of each fold's rows, and what an estimator says of them that has not seen them."""


def settled(
    schema: Schema, learning: Learning, target: Numbers, folds: Callable[[Learning], Folds]
) -> tuple[Learning, Folds, str]:
    """Choose the calibration by cross-validation where it is left open: the lower log loss."""
    if learning.calibration != "auto":
        return learning, folds(learning), ""
    tried: dict[str, tuple[float, Learning, Folds]] = {}
    refused: list[UserError] = []
    for way in ("none", "sigmoid"):
        candidate = learning.model_copy(update={"calibration": way})
        try:
            said = folds(candidate)
        except UserError as error:  # too few rows to hold some back, or no probabilities without
            refused.append(error)
            continue
        truth, raw = (np.concatenate(parts) for parts in zip(*said, strict=True))
        loss = float(measures.log_loss(truth, raw, labels=range(raw.shape[1])))
        tried[way] = loss, candidate, said
    if not tried:
        raise refused[0]
    way = min(tried, key=lambda way: tried[way][0])
    losses = ", ".join(f"{way} {loss:.4g}" for way, (loss, _, _) in tried.items())
    _, chosen, said = tried[way]
    return chosen, said, f"Calibration: {way}, chosen by the log loss in cross-validation ({losses})."


def decision(schema: Schema, learning: Learning, truth: Numbers, raw: Numbers) -> dict[str, float]:
    """How to decide between two classes: the threshold at which mistakes on these rows cost least."""
    if raw.shape[1] != 2:
        return {}
    positive, chance = truth == schema.positive, raw[:, schema.positive]
    _, false_alarms, missed, _, thresholds = measures.confusion_matrix_at_thresholds(positive, chance)
    sums = false_alarms * learning.cost.false_positive + missed * learning.cost.false_negative
    return {"threshold": float(thresholds[np.argmin(sums)])}


def assemble(pipeline: Pipeline, learning: Learning, seed: int) -> Any:
    """The pipeline of model.py with what params.yaml asks for around it."""
    if learning.imbalance == "weights":
        if "class_weight" not in pipeline.named_steps["model"].get_params():
            kind = type(pipeline.named_steps["model"]).__name__
            mend = "write smote or none"
            raise UserError(f"params.yaml: learning.imbalance: {kind} takes no class weights; {mend}")
        pipeline.set_params(model__class_weight="balanced")
    elif learning.imbalance == "smote":
        from imblearn.over_sampling import SMOTE
        from imblearn.pipeline import Pipeline as SamplingPipeline

        prepare, model = pipeline.steps
        fill = ("fill", SimpleImputer(strategy="median"))
        pipeline = SamplingPipeline([prepare, fill, ("sample", SMOTE(random_state=seed)), model])
    if learning.calibration == "none":
        if not hasattr(model := pipeline.named_steps["model"], "predict_proba"):
            mend = "with params.yaml: learning.calibration: auto, it gets some"
            raise UserError(f"model.py: {type(model).__name__} gives no probabilities; {mend}")
        return pipeline
    inner = StratifiedKFold(3, shuffle=True, random_state=seed)
    return CalibratedClassifierCV(pipeline, method=learning.calibration, cv=inner, ensemble=False)


def served(estimator: Any) -> Any:
    """The fitted model without what only fitting needs: resampling stays out of serving."""
    if isinstance(estimator, CalibratedClassifierCV):
        for calibrated in estimator.calibrated_classifiers_:
            calibrated.estimator = served(calibrated.estimator)
        estimator.estimator = None
        return estimator
    return Pipeline([step for step in estimator.steps if step[0] != "sample"])


FEWEST_PER_CLASS = 5
"""A slice with fewer rows of a class than this says nothing about the class."""


def metrics(model: Model, learning: Learning, truth: Numbers, raw: Numbers) -> dict[str, float]:
    """All figures; the first one, ``score``, is what models are compared by."""
    schema, classes = model.schema, range(raw.shape[1])
    decided = task.decide(schema, model.manifest.decision, raw)
    found = {"score": score(schema, truth, raw), "log_loss": measures.log_loss(truth, raw, labels=classes)}
    if len(classes) > 2:
        found["accuracy"] = measures.accuracy_score(truth, decided)
        found["balanced_accuracy"] = measures.balanced_accuracy_score(truth, decided)
        found["macro_f1"] = measures.f1_score(truth, decided, average="macro")
    else:
        chance = raw[:, schema.positive]
        positive, alarm = truth == schema.positive, decided == schema.positive
        found["roc_auc"] = measures.roc_auc_score(positive, chance)
        found["brier"] = measures.brier_score_loss(positive, chance)
        found["precision"] = measures.precision_score(positive, alarm, zero_division=0)
        found["recall"] = measures.recall_score(positive, alarm)
        cost = np.where(positive, learning.cost.false_negative, learning.cost.false_positive)
        found["cost_per_row"] = np.mean(cost * (alarm != positive))
    return {name: float(value) for name, value in found.items()}


def dummy(schema: Schema, seen: Numbers, rows: int) -> Numbers:
    """The prediction to beat: each class as often as it was seen, whatever the row."""
    shares = np.bincount(seen.astype(int), minlength=len(schema.target.classes)) / len(seen)
    return np.tile(shares, (rows, 1))


def moved(schema: Schema, seen: Numbers, truth: Numbers) -> str:
    """Say so where a class is much more or less frequent among the test rows than among the training rows."""
    shares = [
        np.bincount(rows.astype(int), minlength=len(schema.target.classes)) / len(rows)
        for rows in (seen, truth)
    ]
    code = int(np.abs(shares[1] - shares[0]).argmax())
    then, now = (share[code] for share in shares)
    if abs(now - then) <= MOVED:
        return ""
    name = schema.target.names[code]
    shown = [f"{100 * share:.0f} % of the {rows} rows" for share, rows in ((then, "training"), (now, "test"))]
    return f"The target moves: {name} is {' and '.join(shown)}."


def judgeable(schema: Schema, target: Numbers, fewest: int = FEWEST_PER_CLASS) -> bool:
    """Whether every class is there often enough to speak of it."""
    counts = np.bincount(target.astype(int), minlength=len(schema.target.classes))
    return bool(counts.min() >= fewest)


def plots(model: Model, truth: Numbers, raw: Numbers) -> dict[str, Figure]:
    """Curves per class (one where there are two classes), and the confusion matrix."""
    schema, names = model.schema, np.array(model.schema.target.names)
    curves = Figure(figsize=(17.0, 4.5), layout="constrained", dpi=110)
    roc, recall, calibration = curves.subplots(1, 3)
    frequent = np.argsort(-np.bincount(truth.astype(int), minlength=len(names)), kind="stable")
    largest = 0.0
    for code in [schema.positive] if len(names) == 2 else frequent[:MOST_CURVES].tolist():
        of, chance, name = truth == code, raw[:, code], names[code]
        measures.RocCurveDisplay.from_predictions(of, chance, name=name, ax=roc)
        measures.PrecisionRecallDisplay.from_predictions(of, chance, name=name, ax=recall)
        style = {"strategy": "quantile", "name": name, "ax": calibration}
        drawn = CalibrationDisplay.from_predictions(of, chance, **style)
        largest = max(largest, drawn.prob_true.max(), drawn.prob_pred.max())
    if largest < 0.5:
        # The figures of a rare class would be a dot in the corner of a square that goes to 1.
        calibration.set(xlim=(0, largest * 1.1), ylim=(0, largest * 1.1))
    of_those = f" of the {MOST_CURVES} most frequent classes" if len(names) > MOST_CURVES else ""
    roc.set_title(f"ROC{of_those}")
    recall.set_title(f"Precision and recall{of_those}")
    calibration.set_title("Calibration: predicted against observed")
    for axes in (roc, recall, calibration):
        axes.legend(fontsize="small")
    side = max(4.5, 0.3 * len(names) + 1.5)
    confusion = Figure(figsize=(side + 1.5, side), layout="constrained", dpi=110)
    square = confusion.subplots()
    said = names[task.decide(schema, model.manifest.decision, raw)]
    measures.ConfusionMatrixDisplay.from_predictions(
        *(names[truth.astype(int)], said),
        labels=names,
        xticks_rotation="vertical" if len(names) > MOST_CURVES else "horizontal",
        cmap="Blues",
        colorbar=False,
        ax=square,
    )
    square.set_title("Confusion on the test rows")
    return {"curves": curves, "confusion": confusion}
