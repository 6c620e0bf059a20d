"""Fitting a regressor on the training rows: cross-validation, and the target's logarithm if asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import r2_score
from sklearn.pipeline import Pipeline

from . import UserError
from .schema import Schema
from .task import Learning

Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True)
class Learned:
    estimator: BaseEstimator
    decision: dict[str, float]
    fold_scores: list[float]


def score(schema: Schema, target: NDArray[np.float64], raw: NDArray[np.float64]) -> float:
    """The one figure models are compared by, higher is better: the share of the variance explained (R²)."""
    return float(r2_score(target, raw))


def predict(estimator: Any, rows: pd.DataFrame) -> NDArray[np.float64]:
    return np.asarray(estimator.predict(rows), dtype=np.float64)


def learn(
    schema: Schema,
    learning: Learning,
    make: Callable[[], Pipeline],
    rows: pd.DataFrame,
    target: NDArray[np.float64],
    folds: Folds,
    seed: int,
) -> Learned:
    """Cross-validate, then fit on all training rows."""
    if learning.logarithm and target.min() <= -1:
        raise UserError("params.yaml: learning.logarithm needs a target above -1; set it to false")
    scores = []
    for inside, outside in folds:
        fitted = assemble(make, learning).fit(rows.iloc[inside], target[inside])
        scores.append(score(schema, target[outside], predict(fitted, rows.iloc[outside])))
    return Learned(assemble(make, learning).fit(rows, target), {}, scores)


def assemble(make: Callable[[], Pipeline], learning: Learning) -> Any:
    """The pipeline of model.py with what params.yaml asks for around it."""
    if not learning.logarithm:
        return make()
    return TransformedTargetRegressor(make(), func=np.log1p, inverse_func=np.expm1)
