"""What became of a prediction, as callers tell it later."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from .. import task
from ..schema import Schema
from . import FieldError, Refusal


class Feedback(BaseModel):
    """What became of a record: ``index`` is its place in a request for many."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
    index: Annotated[int, Field(ge=0, lt=1_000)] = 0
    label: StrictInt | StrictFloat | StrictStr


class Taken(BaseModel):
    status: Literal["taken"] = "taken"


def fitting(schema: Schema, label: Any) -> Any:
    """A label as the schema's target knows it, or a refusal that says what it may be."""
    (value,), (wrong,) = task.encode(schema, [label])
    target = schema.target
    if target.classes and not wrong:
        return target.classes[int(value)]
    low, high = target.min, target.max
    if wrong or (low is not None and value < low) or (high is not None and value > high):
        allowed = f"one of {list(target.classes)}" if target.classes else f"a number from {low} to {high}"
        errors = [FieldError(field="label", detail=f"Input should be {allowed}")]
        raise Refusal(422, "The label does not fit the schema", "Wrong: label", errors=errors)
    return float(value)
