"""Fitting a classifier on the training rows: imbalance, calibration, cross-validation, threshold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, confusion_matrix_at_thresholds, log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from . import UserError
from .schema import Schema
from .task import Cost, Learning

Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]
CALIBRATION_FOLDS = 3


@dataclass(frozen=True)
class Learned:
    estimator: BaseEstimator
    decision: dict[str, float]
    fold_scores: list[float]


def score(schema: Schema, target: NDArray[np.float64], raw: NDArray[np.float64]) -> float:
    """The one figure models are compared by, higher is better.

    Two classes: average precision of the positive one. More: the geometric mean of the probability that
    the model gave to the truth.
    """
    if raw.shape[1] == 2:
        return float(average_precision_score(target == schema.positive, raw[:, schema.positive]))
    return float(np.exp(-log_loss(target, raw, labels=range(raw.shape[1]))))


def predict(estimator: Any, rows: pd.DataFrame) -> NDArray[np.float64]:
    raw: NDArray[np.float64] = estimator.predict_proba(rows)
    return raw


def learn(
    schema: Schema,
    learning: Learning,
    make: Callable[[], Pipeline],
    rows: pd.DataFrame,
    target: NDArray[np.float64],
    folds: Folds,
    seed: int,
) -> Learned:
    """Cross-validate, choose the threshold on the rows left out, then fit on all of them."""
    classes = len(schema.target.classes)
    if missing := sorted(set(range(classes)) - set(target.astype(int).tolist())):
        names = ", ".join(str(schema.target.classes[code]) for code in missing)
        raise UserError(
            f"no training row is of class {names}: more data, another split, or fewer target.classes"
        )

    def build() -> Any:
        return assemble(make, learning, seed)

    truths, raws, scores = [], [], []
    for truth, raw in left_out(build, rows, target, folds, classes):
        truths.append(truth)
        raws.append(raw)
        scores.append(score(schema, truth, raw))
    decision = {}
    if classes == 2:
        positive = schema.positive
        chance = np.concatenate(raws)[:, positive]
        decision["threshold"] = cheapest(np.concatenate(truths) == positive, chance, learning.cost)
    return Learned(served(build().fit(rows, target)), decision, scores)


def left_out(
    build: Callable[[], Any], rows: pd.DataFrame, target: NDArray[np.float64], folds: Folds, classes: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Truth and prediction for each fold's rows, by a model that has not seen them."""
    for number, (inside, outside) in enumerate(folds, 1):
        if len(set(target[inside].tolist())) < classes:
            raise UserError(
                f"fold {number} lacks a class: fewer split.folds, or another split.how, in params.yaml"
            )
        yield target[outside], predict(build().fit(rows.iloc[inside], target[inside]), rows.iloc[outside])


def assemble(make: Callable[[], Pipeline], learning: Learning, seed: int) -> Any:
    """The pipeline of model.py with what params.yaml asks for around it."""
    pipeline = make()
    if learning.imbalance == "weights":
        pipeline.set_params(model__class_weight="balanced")
    elif learning.imbalance == "smote":
        from imblearn.over_sampling import SMOTE
        from imblearn.pipeline import Pipeline as SamplingPipeline

        prepare, model = pipeline.steps
        fill = ("fill", SimpleImputer(strategy="median"))
        pipeline = SamplingPipeline([prepare, fill, ("sample", SMOTE(random_state=seed)), model])
    if learning.calibration == "none":
        return pipeline
    inner = StratifiedKFold(CALIBRATION_FOLDS, shuffle=True, random_state=seed)
    return CalibratedClassifierCV(pipeline, method=learning.calibration, cv=inner, ensemble=False)


def served(estimator: Any) -> BaseEstimator:
    """The fitted model without what only fitting needs: resampling stays out of serving."""
    if isinstance(estimator, CalibratedClassifierCV):
        for calibrated in estimator.calibrated_classifiers_:
            calibrated.estimator = served(calibrated.estimator)
        estimator.estimator = None
        return estimator
    return Pipeline([step for step in estimator.steps if step[0] != "sample"])


def cheapest(truth: NDArray[np.bool_], chance: NDArray[np.float64], cost: Cost) -> float:
    """The threshold at which the mistakes on these rows cost least."""
    _, false_positives, false_negatives, _, thresholds = confusion_matrix_at_thresholds(truth, chance)
    sums = false_positives * cost.false_positive + false_negatives * cost.false_negative
    return float(min(thresholds[np.argmin(sums)], 1.0))
