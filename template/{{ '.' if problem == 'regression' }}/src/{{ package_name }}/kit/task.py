"""What is particular to regression: settings of learning, the target's numbers, shape of an answer."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from .columns import Numbers, Part
from .schema import Schema

Decision = Mapping[str, float]


class Learning(Part):
    logarithm: bool = False


class Answer(BaseModel):
    """What the service says about one record."""

    prediction: float
    model_version: str


def encode(schema: Schema, values: Iterable[Any]) -> tuple[Numbers, NDArray[np.bool_]]:
    """Target cells as numbers, and which cells are none."""
    found = np.array([_number(value) for value in values], dtype=np.float64)
    return found, ~np.isfinite(found)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def outcome(schema: Schema, raw: Numbers) -> Numbers:
    """The one number per row that expectations speak of: the prediction itself."""
    return raw


def table(schema: Schema, decision: Decision, raw: Numbers) -> dict[str, Any]:
    """Answers as columns, for files."""
    return {"prediction": raw}


def answers(schema: Schema, decision: Decision, raw: Numbers, version: str) -> list[dict[str, Any]]:
    """Answers as the API gives them."""
    return [{"prediction": value, "model_version": version} for value in raw.tolist()]
