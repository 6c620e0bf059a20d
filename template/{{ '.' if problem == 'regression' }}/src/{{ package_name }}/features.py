"""What the model sees, made from the raw columns. This file is yours.

The contract: pure functions from columns to columns (see ``kit/columns.py``), row by row. The same code runs
on the whole table in training and on one request in serving, so nothing here may look at other rows. What a
single record cannot know, such as a customer's history, is a column of the table.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kit.columns import Columns, as_is


def features(columns: Columns) -> dict[str, NDArray[Any]]:
    """All features by name: float64 arrays are numbers to the model, object arrays categories."""
    return {
        # Who brokers a sale must not change what a house is worth; the schema holds the model to it.
        **as_is(columns, without=["agency"]),
        "area_per_room": area_per_room(columns),
        "age": age(columns),
    }


def area_per_room(columns: Columns) -> NDArray[np.float64]:
    """How generous the rooms are, in square metres."""
    return np.divide(columns["area_m2"], np.maximum(columns["rooms"], 1.0))


def age(columns: Columns) -> NDArray[np.float64]:
    """Years from building to sale; none below zero, for a house may be sold before it is built."""
    years = columns["sold_on"].astype("datetime64[Y]").astype(np.float64) + 1970
    return np.maximum(years - columns["built_year"], 0.0)
