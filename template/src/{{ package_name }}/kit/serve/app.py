"""The application: predictions by the store's champion, which it follows without a restart."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, TypeAdapter
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from ..settings import PROJECT, Settings
from ..signing import Keys
from ..store import Store
from ..task import Answer
from . import PROBLEM_JSON, Problem, Refusal, documented, refusal
from .front import SWEEP, Front
from .live import Live
from .logs import output
from .part import Part
from .repeated import Repeated, aside
from .telemetry import Metrics

log = logging.getLogger(__name__)
LAST_LINES = 2.0
"""Seconds that the end of the service waits for its log to be written."""
START = 5.0
"""Seconds that the store and the parts have at the start of the service, all at once."""


class Answers(BaseModel):
    predictions: list[Answer]


class State(BaseModel):
    status: str
    detail: str


async def in_time(what: str, start: Coroutine[Any, Any, None]) -> str:
    """Start something; if it hangs, the service answers its probes all the same, and tries again later."""
    try:
        async with asyncio.timeout(START):
            await start
    except TimeoutError:
        why = f"{what} did not answer within {START:g} s; it is tried again"
        log.error(why)
        return why
    return ""


def create_app(settings: Settings, parts: Sequence[Part] = ()) -> ASGIApp:
    """The service: FastAPI with the slow routes, and the front before it."""
    metrics = Metrics()
    live = Live(Store(settings.store, Keys.of(settings)), metrics, parts)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        starts = [in_time(type(part).__name__, part.start()) for part in parts]
        late, *_ = await asyncio.gather(in_time(f"the store {settings.store}", live.follow()), *starts)
        live.trouble = late or live.trouble
        tasks = [asyncio.create_task(work.run()) for work in repeated]
        yield
        for task in tasks:
            task.cancel()
        for part in parts:
            await part.stop()
        front.requests.flush()
        await aside(partial(output.end, LAST_LINES))

    # A redirect to the path without its slash would go to whatever host the client named.
    app = FastAPIOffline(title=PROJECT, redoc_url=None, lifespan=lifespan, redirect_slashes=False)
    front = Front(app, live, settings, metrics, parts)
    repeated = [
        Repeated("Following the store", settings.reload_seconds, live.follow),
        Repeated("Ending requests that take too long", SWEEP, front.sweep),
        *chain.from_iterable(part.repeated for part in parts),
    ]
    for work in repeated:
        metrics.trouble.labels(work.name).set_function(partial(_in_trouble, work))
    metrics.in_flight.set_function(lambda: len(front.calls))
    metrics.waiting.set_function(lambda: len(live.serving.waiting) if live.serving else 0)
    for part in parts:
        for collector in part.collectors:
            metrics.registry.register(collector)
        metrics.trouble.labels(type(part).__name__).set_function(part.troubled)

    async def problem(request: Request, error: Exception) -> JSONResponse:
        why = refusal(error)
        return JSONResponse(why.problem.model_dump(), why.problem.status, why.headers, PROBLEM_JSON)

    for kind in (HTTPException, Refusal, RequestValidationError, Exception):
        app.add_exception_handler(kind, problem)

    add_routes(app, live, metrics, parts, repeated)
    for router in filter(None, (part.router for part in parts)):
        app.include_router(router)
    front.paths |= {route.path for route in app.routes if isinstance(route, Route)}
    names = settings.cors_origins.split()
    return CORSMiddleware(front, names, allow_methods=["*"], allow_headers=["*"]) if names else front


def _in_trouble(work: Repeated) -> float:
    return float(bool(work.trouble))


def add_routes(
    app: FastAPI, live: Live, metrics: Metrics, parts: Sequence[Part], repeated: Sequence[Repeated]
) -> None:
    """What the front does not answer itself, and the documentation of what it does."""

    own = chain.from_iterable(part.statuses for part in parts)
    errors = documented(408, 413, 415, 422, 431, 503, *own)

    @app.post("/predict", response_model=Answer, responses=errors)
    async def predict() -> None:
        """Predict for one record."""

    @app.post("/predict/batch", response_model=Answers, responses=errors)
    async def predict_batch() -> None:
        """Predict for many records; one that is wrong refuses them all, by its place."""

    @app.get("/", include_in_schema=False)
    async def start() -> dict[str, str]:
        """Point those who open the bare address to the documentation."""
        return {"documentation": "/docs", "ready": "/readyz"}

    @app.get("/healthz")
    async def healthz() -> State:
        """The process is alive."""
        return State(status="ok", detail="")

    @app.get("/readyz", responses=documented(503))
    async def readyz() -> State:
        """There is a model to answer with. The detail names a newer one that was refused."""
        live.now()
        troubles = [live.trouble, live.unsigned, output.trouble(), *(part.trouble() for part in parts)]
        troubles += [work.trouble for work in repeated]
        return State(status="ready", detail="; ".join(filter(None, troubles)))

    @app.get("/model", responses=errors)
    async def model() -> dict[str, Any]:
        """Which model answers, and what it takes."""
        serving = live.now()
        schema, manifest = serving.model.schema, serving.model.manifest
        shown = serving.champion.model_dump(include={"version", "since"})
        shown |= manifest.model_dump(include={"run", "created", "decision"})
        return shown | {"problem": schema.problem, "inputs": [column.name for column in schema.inputs]}

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        metrics.count()
        for part in parts:
            part.measure()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    def openapi() -> dict[str, Any]:
        """The contract as of now: the bodies follow the schema of the model that answers."""
        document = get_openapi(title=PROJECT, version="1", routes=app.routes)
        anything: TypeAdapter[Any] = TypeAdapter(dict[str, Any])
        reader = live.serving and live.serving.reader
        one, many = (reader.record, reader.records) if reader else (anything, anything)
        known, refs = document["components"]["schemas"], "#/components/schemas/{model}"
        problem = Problem.model_json_schema(ref_template=refs)
        known |= problem.pop("$defs") | {"Problem": problem}
        for path, adapter in (("/predict", one), ("/predict/batch", many)):
            body = adapter.json_schema(ref_template=refs)
            known |= body.pop("$defs", {})
            content = {"application/json": {"schema": body}}
            document["paths"][path]["post"]["requestBody"] = {"required": True, "content": content}
        for part in parts:
            part.document(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
