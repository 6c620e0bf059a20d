"""The shape of data between schema, features and model: a name for each array."""

from collections.abc import Container, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, NDArray[Any]]
"""Numbers, integers and booleans are float64 (missing: NaN), dates datetime64[us] (NaT), categories and
text object (None). One row in serving, the whole table in training: the same functions see both."""


def as_is(columns: Columns, without: Container[str] = ()) -> dict[str, NDArray[Any]]:
    """Every column as a model can take it: dates opened to calendar parts, the rest unchanged.

    Text stays out, for a model can do nothing with it as it is: make a feature of what it says.
    """
    features: dict[str, NDArray[Any]] = {}
    for name, values in columns.items():
        if name in without:
            continue
        if values.dtype.kind == "M":
            features |= calendar(name, values)
        else:
            features[name] = values
    return features


def calendar(name: str, moments: NDArray[np.datetime64]) -> dict[str, NDArray[np.float64]]:
    """Hour, day of the week and month, as numbers; a missing date gives missing numbers."""
    hours = (moments - moments.astype("datetime64[D]")) / np.timedelta64(1, "h")
    days = moments.astype("datetime64[D]").astype(np.int64)
    months = moments.astype("datetime64[M]").astype(np.int64)
    gap = np.isnat(moments)
    parts = {"hour": hours, "weekday": (days + 3) % 7, "month": months % 12 + 1}
    return {f"{name}_{part}": np.where(gap, np.nan, values) for part, values in parts.items()}


def length(texts: NDArray[Any]) -> NDArray[np.float64]:
    """Characters in each text; a missing text has none."""
    return np.array([len(text or "") for text in texts], dtype=np.float64)
