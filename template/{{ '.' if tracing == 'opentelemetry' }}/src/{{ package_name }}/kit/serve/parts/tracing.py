"""Traces: a span for each sampled request, sent to an OpenTelemetry collector in batches.

Whether a request is sampled is decided before anything else is done for its trace: as its ``traceparent``
says, or by ``TRACE_RATIO`` where it has none. The span is made once the request is over, from times that are
taken anyway.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter
from pydantic import Field

from ...settings import PROJECT, Environment
from ..part import Call, Part, Stage
from ..repeated import aside

log = logging.getLogger(__name__)
PARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]([0-9a-f])(?:-.*)?").fullmatch
ODD = frozenset(b"13579bdf")
QUIET = {"/healthz", "/readyz", "/metrics"}
"""Paths that a platform asks all day long: a trace of them tells nothing."""
EVERY = 1_000
"""Milliseconds between two batches."""
PATIENCE = 5.0
"""Seconds that one batch may take, and that the end of the service waits for the last."""


class TraceSettings(Environment):
    """How many requests are traced, and where the collector is, by the name that OpenTelemetry gave it."""

    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 0.1
    otel_exporter_otlp_endpoint: str = "http://localhost:4318"


class Sender(SpanExporter):
    """The exporter, and what became of the last batch."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = f"{endpoint.rstrip('/')}/v1/traces"
        self.exporter = OTLPSpanExporter(self.endpoint, timeout=PATIENCE)
        self.failing = False
        self.sent = Counter("trace_spans_sent", "Spans that the collector took", registry=None)
        self.lost = Counter("trace_spans_lost", "Spans that it did not take", registry=None)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self.exporter.export(spans)
        good = result is SpanExportResult.SUCCESS
        (self.sent if good else self.lost).inc(len(spans))
        if good is self.failing:
            log.warning("%s takes %s", self.endpoint, "spans again" if good else "no spans")
        self.failing = not good
        return result

    def shutdown(self) -> None:
        self.exporter.shutdown()  # type: ignore[no-untyped-call]


class Tracing(Part):
    stage = Stage.OBSERVE

    def __init__(self, own: TraceSettings | None = None) -> None:
        own = own or TraceSettings()
        self.ratio = own.trace_ratio
        self.sender = Sender(own.otel_exporter_otlp_endpoint)
        self.collectors = (self.sender.sent, self.sender.lost)
        self.provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource.create({"service.name": PROJECT}), shutdown_on_exit=False
        )
        self.tracer = self.provider.get_tracer(__name__)
        self.parents = TraceContextTextMapPropagator()

    async def start(self) -> None:
        # One that is gone is told once, by the part; the libraries would say so for each batch.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self.provider.add_span_processor(BatchSpanProcessor(self.sender, schedule_delay_millis=EVERY))

    async def stop(self) -> None:
        with suppress(TimeoutError):  # a collector that hangs must not hold up the end
            async with asyncio.timeout(PATIENCE):
                await aside(self.provider.shutdown)

    def ended(self, call: Call) -> None:
        given = call.headers.get(b"traceparent")
        parent = PARENT(given) if given else None
        if (parent[1][0] in ODD) if parent else (random.random() < self.ratio):
            self.record(call)

    def trouble(self) -> str:
        return f"tracing: {self.sender.endpoint} takes no spans" if self.sender.failing else ""

    def record(self, call: Call) -> None:
        """Make the span of a request that is over; its id is the one in the log."""
        if call.path in QUIET:
            return
        end = time.time_ns()
        began = end - int((time.perf_counter() - call.began) * 1e9)
        names = ("traceparent", "tracestate")
        carried = {name: call.headers.get(name.encode(), b"").decode("latin-1") for name in names}
        about: dict[str, str | int] = {
            "http.request.method": call.method,
            "http.response.status_code": call.status,
            "request.id": call.id,
            "url.path": call.path,
        }
        about |= {"model.version": call.version} if call.version else {}
        # A path that nobody serves may be anything, and a name must not.
        name = call.method if call.status == 404 else f"{call.method} {call.path}"
        context = self.parents.extract({name: value for name, value in carried.items() if value})
        span = self.tracer.start_span(name, context, SpanKind.SERVER, about, start_time=began)
        if call.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)


PART = Tracing
