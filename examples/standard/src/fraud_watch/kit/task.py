"""What is particular to classification: settings of learning, codes of the target, shape of an answer."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from .columns import Numbers, Part
from .schema import Label, Schema

Decision = Mapping[str, float]


class Cost(Part):
    """What a mistake costs, in any unit: the threshold is where the sum is least."""

    false_positive: Annotated[float, Field(gt=0)] = 1.0
    false_negative: Annotated[float, Field(gt=0)] = 1.0


class Learning(Part):
    imbalance: Literal["none", "weights", "smote"] = "none"
    calibration: Literal["auto", "none", "sigmoid", "isotonic"] = "auto"
    cost: Cost = Cost()


class Answer(BaseModel):
    """What the service says about one record."""

    prediction: Label
    probabilities: dict[str, float]
    model_version: str


def encode(schema: Schema, values: Iterable[Any]) -> tuple[Numbers, NDArray[np.bool_]]:
    """Target cells as class codes, and which cells are no class."""
    codes = {name: code for code, name in enumerate(schema.target.names)}
    labels = map(_label, values)
    if all(isinstance(label, bool) for label in schema.target.classes):
        codes |= {"0": codes["false"], "1": codes["true"]}
        labels = map(str.lower, labels)
    found = np.array([codes.get(label, np.nan) for label in labels], dtype=np.float64)
    return found, np.isnan(found)


def _label(value: Any) -> str:
    """A class as it is named: ``1.0`` and ``True`` are what ``1`` looks like after other hands."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    text = str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text


def decide(schema: Schema, decision: Decision, raw: Numbers) -> NDArray[np.int64]:
    """Class codes from probabilities: by the threshold where there are two classes, else the likeliest."""
    if "threshold" not in decision:
        return np.asarray(raw.argmax(axis=1))
    positive = schema.positive
    return np.where(raw[:, positive] >= decision["threshold"], positive, 1 - positive)


def outcome(schema: Schema, raw: Numbers) -> Numbers:
    """The one number per row that expectations speak of: the probability of the positive class."""
    return raw[:, schema.positive]


def table(schema: Schema, decision: Decision, raw: Numbers) -> dict[str, Any]:
    """Answers as columns, for files."""
    labels = np.array(schema.target.classes, dtype=object)[decide(schema, decision, raw)]
    chances = {f"probability_{name}": raw[:, code] for code, name in enumerate(schema.target.names)}
    return {"prediction": labels.tolist(), **chances}


def answers(schema: Schema, decision: Decision, raw: Numbers, version: str) -> list[dict[str, Any]]:
    """Answers as the API gives them."""
    classes, names, decided = schema.target.classes, schema.target.names, decide(schema, decision, raw)
    given = []
    for code, row in zip(decided.tolist(), raw.tolist(), strict=True):
        chances = dict(zip(names, row, strict=True))
        given.append({"prediction": classes[code], "probabilities": chances, "model_version": version})
    return given
