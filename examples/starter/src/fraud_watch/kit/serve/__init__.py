"""The HTTP service. It reads the store and nothing else: no MLflow, no training code.

Every error is told as ``application/problem+json`` (RFC 9457), and names the fields that are wrong.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from ..reader import SHOWN

log = logging.getLogger(__name__)
PROBLEM_JSON = "application/problem+json"


class FieldError(BaseModel):
    field: str
    detail: str


class Problem(BaseModel):
    """An error as the API tells it."""

    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class Refusal(Exception):  # noqa: N818 - it is an answer, and its status says whose error it is
    """A request that gets a problem for an answer; raise it anywhere below the front."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(title=title, status=status, detail=detail, errors=list(errors))
        self.headers = dict(headers or {})
        if status == 503:
            self.headers.setdefault("Retry-After", "5")


def refusal(error: Exception) -> Refusal:
    """Whatever was raised, as an answer; what nobody foresaw goes to the log and not to the caller."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        return Refusal(error.status_code, error.detail, error.detail, error.headers)
    if not isinstance(error, ValidationError | RequestValidationError):
        log.error("a request failed", exc_info=error)
        return Refusal(500, "Internal error", "The service's log says more")
    # Fields that the schema does not know come first: they are often the others, misspelt.
    found = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")[:SHOWN]
    errors = [FieldError(field=".".join(map(str, e["loc"])), detail=e["msg"]) for e in found]
    named = ", ".join(e.field for e in errors if e.field) or "the body"
    return Refusal(422, "The request does not fit the schema", f"Wrong: {named}", errors=errors)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for its OpenAPI."""
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "An error", "content": content} for status in statuses}
