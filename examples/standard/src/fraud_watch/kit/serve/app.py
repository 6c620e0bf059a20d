"""The application: predictions by the store's champion, which it follows without a restart."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from .. import UserError
from ..predictor import Model
from ..settings import PROJECT, Settings
from ..store import Champion, Store
from ..task import Answer
from .errors import NotReadyError, documented, install
from .telemetry import Metrics, watch

log = logging.getLogger(__name__)
MOST_RECORDS = 1_000


class Answers(BaseModel):
    predictions: list[Answer]


class State(BaseModel):
    status: str
    detail: str


class Serving(NamedTuple):
    """A champion, opened; ``batch`` checks the body of a request for many records."""

    champion: Champion
    model: Model
    batch: TypeAdapter[Any]


class Live:
    """Keeps the model that answers, and changes it when the store's champion changes."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self.store, self.metrics = store, metrics
        self.serving: Serving | None = None
        self.trouble = ""

    def now(self) -> Serving:
        if self.serving is None:
            raise NotReadyError(self.trouble or f"no model is promoted yet: run `{PROJECT} promote`")
        return self.serving

    def refresh(self) -> None:
        """Load a new champion. One that is broken is refused, and the model that served goes on."""
        try:
            champion = self.store.champion()
            if champion and (self.serving is None or self.serving.champion != champion):
                model = self.store.open(champion)
                self.serving = Serving(champion, model, TypeAdapter(many(model)))
                self.metrics.model.clear()
                self.metrics.model.labels(champion.version).set(1)
                log.info("version %s serves", champion.version)
            self.trouble = ""
        except (UserError, OSError) as error:
            if str(error) != self.trouble:
                log.error("the champion cannot be loaded: %s", error)
                self.metrics.refused.inc()
            self.trouble = str(error)

    async def follow(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self.refresh)


def many(model: Model) -> type[BaseModel]:
    """The body of a request for many records."""
    record: Any = model.schema.request_model()
    records = Annotated[list[record], Field(min_length=1, max_length=MOST_RECORDS)]
    return create_model("Records", __config__=ConfigDict(extra="forbid"), records=(records, ...))


def create_app(settings: Settings) -> FastAPI:
    metrics = Metrics()
    live = Live(Store(settings.store), metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(live.refresh)
        task = asyncio.create_task(live.follow(settings.reload_seconds))
        yield
        task.cancel()

    app = FastAPI(title=PROJECT, lifespan=lifespan)
    watch(app, metrics)
    install(app)

    def answer(serving: Serving, records: list[Any]) -> list[dict[str, Any]]:
        version = serving.champion.version
        answers = serving.model.answers(records, version)
        metrics.predictions.labels(version).inc(len(answers))
        return answers

    @app.post("/predict", response_model=Answer, responses=documented(422, 503))
    async def predict(request: Request) -> Any:
        """Predict for one record."""
        serving = live.now()
        record = serving.model.record.validate_json(await request.body())
        return (await asyncio.to_thread(answer, serving, [record]))[0]

    @app.post("/predict/batch", response_model=Answers, responses=documented(422, 503))
    async def predict_batch(request: Request) -> Any:
        """Predict for many records; one that is wrong refuses them all, by its place."""
        serving = live.now()
        batch = serving.batch.validate_json(await request.body())
        return {"predictions": await asyncio.to_thread(answer, serving, batch.records)}

    @app.get("/healthz")
    async def healthz() -> State:
        """The process is alive."""
        return State(status="ok", detail="")

    @app.get("/readyz", responses=documented(503))
    async def readyz() -> State:
        """There is a model to answer with. The detail names a newer one that was refused."""
        live.now()
        return State(status="ready", detail=live.trouble)

    @app.get("/model", responses=documented(503))
    async def model() -> dict[str, Any]:
        """Which model answers, and what it takes."""
        serving = live.now()
        schema, manifest = serving.model.schema, serving.model.manifest
        told = serving.champion.model_dump(include={"version", "since"})
        told |= manifest.model_dump(include={"run", "created", "decision"})
        return told | {"problem": schema.problem, "inputs": [column.name for column in schema.inputs]}

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    def openapi() -> dict[str, Any]:
        """The contract as of now: the bodies follow the schema of the model that answers."""
        document = get_openapi(title=PROJECT, version="1", routes=app.routes)
        anything: TypeAdapter[Any] = TypeAdapter(dict[str, Any])
        one, many = (live.serving.model.record, live.serving.batch) if live.serving else (anything, anything)
        for path, adapter in (("/predict", one), ("/predict/batch", many)):
            body = adapter.json_schema(ref_template="#/components/schemas/{model}")
            document["components"]["schemas"] |= body.pop("$defs", {})
            content = {"application/json": {"schema": body}}
            document["paths"][path]["post"]["requestBody"] = {"required": True, "content": content}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    return app
