"""The seam of the service's optional parts: what a part sees of a request, and what it may do."""

import asyncio
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from fastapi import APIRouter
from prometheus_client.registry import Collector
from starlette.types import Scope

from ..predictor import Model
from ..schema import Schema
from .repeated import Repeated

OPEN = {"/", "/docs", "/metrics", "/openapi.json"}
"""Public paths: the documentation of the API, and metrics."""
ASSETS = "/static-offline-docs/"
"""Path of the scripts and styles that ``/docs`` loads."""
PROBES = {"/healthz", "/readyz"}
"""Paths that need no admission: the platform that probes has no credentials."""
RANDOM_BYTES = 4_096
"""Drawn at once, for 256 ids."""
SANE = re.compile(rb"[A-Za-z0-9._:-]{1,64}").fullmatch


def random_ids() -> Iterator[str]:
    """Yield ids of 128 random bits: a caller who cannot see an id cannot guess it either.

    Random bytes are drawn for many ids at once. Each draw is a system call in which other threads take over.
    """
    while True:
        digits = secrets.token_hex(RANDOM_BYTES)
        yield from (digits[at : at + 32] for at in range(0, len(digits), 32))


ids = random_ids()


class Call:
    """One request, as parts see it; ``caller`` and ``version`` are empty until they are known.

    ``labels_all``: whether the caller may label predictions that other callers asked for.
    ``schema``: that of the model that answers the call, or serves meanwhile; None before the first model.
    """

    __slots__ = (
        *("began", "caller", "client", "headers", "id", "labels_all", "method", "overdue"),
        *("path", "read", "reading", "schema", "size", "status", "task", "turn", "version"),
    )

    def __init__(self, scope: Scope) -> None:
        self.began = time.perf_counter()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.client: str = scope["client"][0] if scope.get("client") else ""
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id")
        self.id = given.decode() if given and SANE(given) else next(ids)
        self.caller = self.version = self.turn = ""
        self.size = self.status = 0
        self.reading = 0.0
        self.read = self.overdue = False
        self.labels_all = True
        self.schema: Schema | None = None
        self.task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]


class Batch(NamedTuple):
    """The predictions of one request that were sent; ``body`` and ``answer`` are its bytes on the wire."""

    call: Call
    model: Model
    version: str
    records: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    body: bytes
    answer: bytes


class Stage(IntEnum):
    """The order in which parts see a request."""

    IDENTIFY = 1
    """Find out who calls, and refuse those who may not."""
    LIMIT = 2
    """Refuse callers who ask too much."""
    RECORD = 3
    """Keep what was asked and answered."""
    OBSERVE = 4
    """Report what happened."""


class Part:
    """An optional part of the service. A method that is not overridden costs nothing per request."""

    stage: Stage
    router: APIRouter | None = None
    """Its own routes, which FastAPI answers."""
    statuses: tuple[int, ...] = ()
    """Statuses of its refusals, for the documentation."""
    collectors: Sequence[Collector] = ()
    """Its own metrics."""
    repeated: Sequence[Repeated] = ()
    """Its background work, from the start to the stop of the service."""

    async def start(self) -> None:
        """Run before the first request."""

    async def stop(self) -> None:
        """Run after the last request."""

    @staticmethod
    def own_headers() -> dict[str, str]:
        """Return the headers that requests of this machine's own commands need to be admitted."""
        return {}

    def document(self, openapi: dict[str, Any]) -> None:
        """Describe in the API's documentation what a caller must send, and may receive."""

    async def admit(self, call: Call) -> None:
        """Let a request pass, or raise ``Refusal``. Probes are not asked."""

    def loaded(self, model: Model, version: str) -> None:
        """Run after a model was opened, before it serves."""

    def observed(self, batch: Batch) -> None:
        """Run after predictions were sent."""

    def ended(self, call: Call) -> None:
        """Run after every request; ``call.status`` is the status of the answer."""

    def measure(self) -> None:
        """Run before metrics are shown, to bring the part's own up to date."""

    def trouble(self) -> str:
        """Describe what is wrong now, for ``/readyz`` and a metric; empty if nothing is."""
        return ""

    def troubled(self) -> float:
        return float(bool(self.trouble()))
