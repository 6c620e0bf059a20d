"""The application: predictions by the store's champion, which it follows without a restart."""

import asyncio
import json
import logging
import threading
import time
import timeit
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

from .. import UserError
from ..predictor import Model
from ..reader import MOST
from ..settings import PROJECT, Settings
from ..signing import Keys
from ..store import Champion, Store
from ..task import Answer
from . import PROBLEM_JSON, Problem, Refusal, documented, refusal
from .front import BODY_BYTES, SWEEP, Front, Part
from .logs import output
from .repeated import Repeated, aside
from .telemetry import Metrics

log = logging.getLogger(__name__)
QUICK, TRIES = 0.0003, 5
"""Seconds for one record, at the best of so many tries. Longer would keep others, and the probes, waiting."""
LAST_LINES = 2.0
"""Seconds that the end of the service waits for its log to be written."""
START = 5.0
"""Seconds that the store and the parts have at the start of the service, all at once."""
AT_ONCE = 64
"""Records computed together: NumPy and scikit-learn take little longer for some than for one."""


class Answers(BaseModel):
    predictions: list[Answer]


class State(BaseModel):
    status: str
    detail: str


class Serving:
    """A champion, opened: it answers all who wait at once, in a thread if that takes long."""

    def __init__(self, champion: Champion, model: Model, metrics: Metrics) -> None:
        self.champion, self.model, self.metrics = champion, model, metrics
        self.version, self.reader = champion.version, model.schema.reader
        self.body_bytes = max(BODY_BYTES, MOST * model.schema.record_bytes)
        self.waiting: list[tuple[dict[str, Any], asyncio.Future[dict[str, Any]]]] = []
        self.at_work = False
        records = [self.reader.one(json.dumps(model.schema.example()).encode())]
        least = min(timeit.repeat(lambda: model.answers(records, self.version), number=1, repeat=TRIES))
        self.quick = least < QUICK
        log.info("a record takes %.0f µs; computed in a thread: %s", least * 1e6, not self.quick)

    def answers(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What the API says about checked records."""
        began = time.perf_counter()
        answers = self.model.answers(records, self.version)
        self.metrics.predictor.observe(time.perf_counter() - began)
        self.metrics.predicted.append((self.model, self.version, records, answers))
        return answers

    async def answer(self, record: dict[str, Any]) -> dict[str, Any]:
        """The answer to one record. All that came in the same moment are computed at once."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.waiting.append((record, answer))
        if not self.at_work:
            self.at_work = True
            self.worker = asyncio.create_task(self.work())
        return await answer

    async def work(self) -> None:
        while self.waiting:
            batch, self.waiting = self.waiting[:AT_ONCE], self.waiting[AT_ONCE:]
            records = [record for record, _ in batch]
            tried = self.tried(records) if self.quick else await asyncio.to_thread(self.tried, records)
            for (_, future), answer in zip(batch, tried, strict=True):
                if future.done():  # its request took too long
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        self.at_work = False

    def tried(self, records: list[dict[str, Any]]) -> Sequence[dict[str, Any] | Exception]:
        """Answers, or what went wrong: then each is tried alone, for one must not spoil the others'."""
        try:
            answers = self.answers(records)
            if len(answers) != len(records):
                raise ValueError(f"features.py makes {len(answers)} rows of {len(records)}")
            return answers
        except Exception as error:
            return [error] if len(records) == 1 else [self.tried([record])[0] for record in records]


class Live:
    """Keeps the model that answers, and changes it when the store's champion changes."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self.store, self.metrics = store, metrics
        self.serving: Serving | None = None
        self.trouble = ""
        self.unsigned = ""
        self.loading = threading.Lock()

    def now(self) -> Serving:
        if self.serving is None:
            why = self.trouble or f"no model is promoted yet: run `{PROJECT} promote`"
            raise Refusal(503, "Not ready", why)
        return self.serving

    async def follow(self) -> None:
        await aside(self.refresh)

    def refresh(self) -> None:
        """Load a new champion. One that is broken is refused, and the model that served goes on."""
        with self.loading:  # large models are not loaded twice at once
            self._refresh()

    def _refresh(self) -> None:
        try:
            champion = self.store.champion()
            if champion is None and self.serving:
                why = "is gone: put the store back, or promote a version"
                raise UserError(f"{self.store.pointer} {why}. Version {self.serving.version} serves on")
            unchecked = self.store.keys.unchecked(self.store.folder(champion.version)) if champion else ""
            same = self.serving and self.serving.champion == champion
            # A key that is new here checks the model that serves, too.
            opened = same and (unchecked or not self.unsigned)
            if champion and not opened:
                model = self.store.open(champion)
                self.metrics.loaded(model, champion.version)
                self.serving = Serving(champion, model, self.metrics)
                log.info("version %s serves", champion.version)
            if unchecked and unchecked != self.unsigned:
                log.warning(unchecked)
            self.unsigned = unchecked
            self.trouble = ""
        except Exception as error:  # features.py is the user's: anything may come out of a model
            known = isinstance(error, UserError | OSError)
            trouble = str(error) if known else f"the champion cannot be loaded: {type(error).__name__}"
            if trouble != self.trouble:
                log.error("the champion cannot be loaded: %s", error, exc_info=None if known else error)
                self.metrics.refused.inc()
            self.trouble = trouble


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
    live = Live(Store(settings.store, Keys.of(settings)), metrics)

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
