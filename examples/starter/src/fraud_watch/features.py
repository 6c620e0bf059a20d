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
        # No reason why the network on the card should matter; the schema holds the model to it.
        **as_is(columns, without=["card_network"]),
        "amount_against_usual": amount_against_usual(columns),
        "night": night(columns),
    }


def amount_against_usual(columns: Columns) -> NDArray[np.float64]:
    """How many times the customer's usual amount this is, as a logarithm."""
    ratio: NDArray[np.float64] = np.log1p(columns["amount"]) - np.log1p(columns["usual_amount"])
    return ratio


def night(columns: Columns) -> NDArray[np.float64]:
    """1 between eleven in the evening and five in the morning, when cards are used least."""
    moments = columns["paid_at"]
    hours = (moments - moments.astype("datetime64[D]")) / np.timedelta64(1, "h")
    return np.where((hours < 5) | (hours > 23), 1.0, 0.0)
