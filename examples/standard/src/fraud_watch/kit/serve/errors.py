"""Every error of the API as ``application/problem+json`` (RFC 9457), naming the fields that are wrong."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

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


class NotReadyError(Exception):
    """There is no model to answer with; the message says why."""


def problem(status: int, title: str, detail: str, errors: list[FieldError] | None = None) -> JSONResponse:
    content = Problem(title=title, status=status, detail=detail, errors=errors or [])
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse(content.model_dump(), status, headers, media_type=PROBLEM_JSON)


def install(app: FastAPI) -> None:
    @app.exception_handler(ValidationError)
    async def invalid(request: Request, error: ValidationError) -> JSONResponse:
        errors = [FieldError(field=".".join(map(str, e["loc"])), detail=e["msg"]) for e in error.errors()]
        named = ", ".join(e.field for e in errors if e.field) or "the body"
        return problem(422, "The request does not fit the schema", f"Wrong: {named}", errors)

    @app.exception_handler(NotReadyError)
    async def not_ready(request: Request, error: NotReadyError) -> JSONResponse:
        return problem(503, "Not ready", str(error))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), f"{request.method} {request.url.path}")

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return problem(500, "Internal error", "The service's log says more")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for its OpenAPI."""
    content = {PROBLEM_JSON: {"schema": Problem.model_json_schema()}}
    return {status: {"description": "An error", "content": content} for status in statuses}
