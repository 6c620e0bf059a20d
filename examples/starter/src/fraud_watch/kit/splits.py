"""Training and test rows, split as params.yaml declares."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import model_selection

from . import UserError
from .schema import Schema
from .settings import Split

Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]
HOLD_OUT = {"stratified": model_selection.StratifiedShuffleSplit, "group": model_selection.GroupShuffleSplit}
FOLDS = {"stratified": model_selection.StratifiedKFold, "group": model_selection.GroupKFold}


class Rows(NamedTuple):
    """Training and test rows by position; ``folds`` are positions within the training rows."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    folds: Folds


def split(schema: Schema, params: Split, frame: pd.DataFrame, seed: int) -> Rows:
    """Split as ``params.yaml`` declares: nothing is fitted on the test rows."""
    how, size = params.how, len(frame)
    if how in ("time", "group") and getattr(schema, how) is None:
        raise UserError(f"params.yaml: split.how is {how}, but schema.yaml names no {how} column")
    target, everything = frame[schema.target.name].to_numpy(), np.arange(size)
    try:
        if how == "time":
            order = np.argsort(frame[schema.time].to_numpy(), kind="stable")
            train, test = np.split(order, [size - max(1, round(size * params.test))])
            return Rows(train, test, list(model_selection.TimeSeriesSplit(params.folds).split(train)))
        groups = frame[schema.group].to_numpy() if how == "group" else None
        once = HOLD_OUT.get(how, model_selection.ShuffleSplit)(1, test_size=params.test, random_state=seed)
        train, test = next(once.split(everything, target, groups))
        folds = FOLDS.get(how, model_selection.KFold)(params.folds, shuffle=True, random_state=seed)
        inside = None if groups is None else groups[train]
        return Rows(train, test, list(folds.split(train, target[train], inside)))
    except ValueError as error:
        raise UserError(f"params.yaml: split.how {how} does not fit these {size} rows: {error}") from None
