"""What the service shows of itself: Prometheus metrics and JSON log lines, neither with a caller's data."""

import logging
import time

from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pythonjsonlogger.json import JsonFormatter
from starlette.middleware.base import RequestResponseEndpoint

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The counters of one service; a registry of their own keeps two services in one process apart."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests answered", ["path", "status"], registry=own)
        self.seconds = Histogram("http_request_seconds", "Latency", ["path"], buckets=BUCKETS, registry=own)
        self.predictions = Counter("predictions", "Records scored", ["version"], registry=own)
        self.model = Gauge("model_loaded", "1 for the version that serves", ["version"], registry=own)
        self.refused = Counter("model_load_failures", "Champions that could not be loaded", registry=own)


def watch(app: FastAPI, metrics: Metrics) -> None:
    """Count and time every request by its route, never by a path that a caller made up."""

    @app.middleware("http")
    async def observe(request: Request, answer: RequestResponseEndpoint) -> Response:
        status, began = 500, time.perf_counter()
        try:
            response = await answer(request)
            status = response.status_code
            return response
        finally:
            route = getattr(request.scope.get("route"), "path", "other")
            metrics.requests.labels(route, str(status)).inc()
            metrics.seconds.labels(route).observe(time.perf_counter() - began)


def log_as_json(level: str) -> None:
    """One JSON object a line."""
    names = {"levelname": "level", "name": "logger", "timestamp": "time"}
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter([*names, "message"], rename_fields=names, timestamp=True))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
