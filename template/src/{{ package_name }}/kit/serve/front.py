"""The handling of every request, from its arrival to its line in the log.

Predictions are answered here; all other paths are FastAPI's, behind the same admission and limits.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..settings import Settings
from . import PROBLEM_JSON, Refusal, refusal
from .bodies import only_json, read, replayed, too_slow
from .live import BODY_BYTES, Live, Serving
from .logs import Requests
from .part import PROBES, Batch, Call, Part
from .repeated import aside
from .telemetry import Metrics
from .turns import Turns, busy

MOST_HEADERS = 100
SWEEP = 0.2
"""Seconds between two checks for requests that take too long."""
CROWD = 4
"""Requests in the service, including those awaiting admission, per request allowed to run at once."""
LAST_WORD = 1.0
"""Seconds to send the refusal of a request that took too long."""
MOST_LINES = 50_000
"""Lines of the access log that may wait to be written: of more, the oldest are dropped."""
to_json = TypeAdapter(Any).serializer.to_json
JSON_HEADER = (b"content-type", b"application/json")
ALWAYS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
SAFE = [*ALWAYS, (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")]
PAGE = [*ALWAYS, (b"content-security-policy", b"default-src 'self' 'unsafe-inline'; img-src 'self' data:")]
"""The headers of ``/docs``, a page with an inline script."""


class Front:
    """The service as an ASGI application."""

    def __init__(
        self, app: ASGIApp, live: Live, settings: Settings, metrics: Metrics, parts: Sequence[Part]
    ) -> None:
        self.app, self.live, self.settings, self.metrics = app, live, settings, metrics
        self.requests = Requests(maxlen=MOST_LINES)
        self.calls: set[Call] = set()
        self.turns = Turns(settings.max_in_flight)
        self.hot = {"/predict": self.one, "/predict/batch": self.many}
        self.paths = {*self.hot}
        """Names of requests in metrics and logs. Any other path is ``other``: a caller could invent many."""
        self.admits = [part.admit for part in parts if type(part).admit is not Part.admit]
        self.observed = [part.observed for part in parts if type(part).observed is not Part.observed]
        self.ended = [part.ended for part in parts if type(part).ended is not Part.ended]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        call = Call(scope)
        route = self.hot.get(call.path) if call.method == "POST" else None
        try:
            if call.path not in PROBES:
                await self.admit(call, len(scope["headers"]))
            if route:
                only_json(call.headers)
                body = await read(call, receive, self.most())
                batch = await route(call, body)
                await reply(call, send, 200, batch.answer, JSON_HEADER)
                for observed in self.observed:
                    observed(batch)
            else:
                await self.slow(call, scope, receive, send)
        except asyncio.CancelledError:
            if not call.overdue or call.status:
                raise
            # A client that does not read must not keep its turn.
            async with asyncio.timeout(LAST_WORD):
                await refuse(call, send, late(call))
        except ConnectionError:
            call.status = call.status or 499
        except Exception as error:
            await refuse(call, send, refusal(error))
        finally:
            self.calls.discard(call)
            if call.turn:
                self.turns.leave(call.turn)
            self.end(call)

    async def admit(self, call: Call, headers: int) -> None:
        """Bound the requests in flight: of too many, the new ones get a 503."""
        if len(self.calls) >= CROWD * self.settings.max_in_flight:
            raise busy()
        self.calls.add(call)
        if headers > MOST_HEADERS:
            raise Refusal(431, "Too many headers", f"At most {MOST_HEADERS}")
        for admit in self.admits:
            await admit(call)
        who = call.caller or call.client or "unknown"
        await self.turns.take(who)
        call.turn = who

    def most(self) -> int:
        """Return the limit of a body in bytes."""
        serving = self.live.serving
        return self.settings.max_body_bytes or (serving.body_bytes if serving else BODY_BYTES)

    async def one(self, call: Call, body: bytes) -> Batch:
        """Predict for one record."""
        serving = self.take_up(call)
        record = serving.reader.one(body)
        answer = await serving.answer(record)
        return Batch(call, serving.model, serving.version, [record], [answer], body, to_json(answer))

    def take_up(self, call: Call) -> Serving:
        """Return the model that answers a call."""
        serving = self.live.now()
        call.version, call.schema = serving.version, serving.model.schema
        return serving

    async def many(self, call: Call, body: bytes) -> Batch:
        """Predict for many records. One wrong record refuses them all; the error has its index."""
        serving = self.take_up(call)
        records = await asyncio.to_thread(serving.reader.many, body)
        answers = await asyncio.to_thread(serving.answers, records)
        answer = to_json({"predictions": answers})
        return Batch(call, serving.model, serving.version, records, answers, body, answer)

    async def slow(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        """Let FastAPI answer, within the same limits and with the same headers."""

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                safe = PAGE if call.path == "/docs" else SAFE
                message["headers"] = [*message["headers"], *safe, (b"x-request-id", call.id.encode())]
            await send(message)

        if call.method not in ("GET", "HEAD") and call.path not in PROBES:
            # Read here: FastAPI answers any error while it reads with a plain 400.
            receive = replayed(await read(call, receive, self.most()), receive)
        call.read = True
        call.schema = self.live.serving.model.schema if self.live.serving else None
        scope["call"] = call
        await self.app(scope, receive, headed)

    def end(self, call: Call) -> None:
        """Record a request that is over in metrics and logs."""
        route = call.path if call.path in self.paths else "other"
        seconds = time.perf_counter() - call.began
        self.metrics.ended.append((route, call.status, seconds))
        about = (call.id, call.caller, call.method, route, call.status, call.version)
        self.requests.append((time.time(), seconds, *about))
        for ended in self.ended:
            ended(call)

    async def sweep(self) -> None:
        """Cancel requests that take too long, and write the metrics and logs of those that ended."""
        now = time.perf_counter()
        oldest = now - self.settings.request_seconds
        for call in [call for call in self.calls if not call.overdue]:
            if call.began < oldest or too_slow(call, now):
                call.overdue = call.task.cancel()
        await aside(self.write)

    def write(self) -> None:
        self.metrics.count()
        self.requests.flush()


def late(call: Call) -> Refusal:
    """Return the refusal of a request that took too long: the client's fault or the service's."""
    call.task.uncancel()
    if call.read or not call.reading:
        return Refusal(503, "Too slow", "No answer within the time allowed")
    return Refusal(408, "Too slow", "The body did not arrive within the time allowed")


async def refuse(call: Call, send: Send, why: Refusal) -> None:
    """Answer with a problem, unless an answer is under way."""
    if not call.status:
        headers = {"content-type": PROBLEM_JSON} | why.headers
        if not call.read:
            headers["connection"] = "close"  # the rest of the body is not waited for
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await reply(call, send, why.problem.status, why.problem.model_dump_json().encode(), *raw)


async def reply(call: Call, send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    call.status = status
    size, name = str(len(body)).encode(), call.id.encode()
    every: Any = [*headers, (b"content-length", size), (b"x-request-id", name), *SAFE]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})
