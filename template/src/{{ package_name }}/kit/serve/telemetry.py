"""The metrics of the service, for Prometheus; they hold nothing of a caller's data."""

import threading
from collections import deque
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .logs import output
from .wire import connections

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The counters of one service; a registry of their own keeps two services in one process apart."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        requests = Counter("http_requests", "Requests answered", ["path", "status"], registry=own)
        latency = Histogram("http_request_seconds", "Latency", ["path"], buckets=BUCKETS, registry=own)
        self.predictor = Histogram("predictor_seconds", "Time to predict", buckets=BUCKETS, registry=own)
        self.in_flight = Gauge("http_requests_in_flight", "Requests under way", registry=own)
        self.waiting = Gauge("predictor_queue", "Records that wait to be predicted", registry=own)
        self.model = Gauge("model_loaded", "1 for the version that serves", ["version"], registry=own)
        self.refused = Counter("model_load_failures", "Champions that could not be loaded", registry=own)
        dropped = Gauge("log_texts_dropped", "What could not be written to the log in time", registry=own)
        dropped.set_function(lambda: output.lost)
        held = Gauge("http_connections", "Connections open", registry=own)
        held.set_function(lambda: connections.open)
        closed = Gauge("http_connections_closed", "Idle connections closed to make room", registry=own)
        closed.set_function(lambda: connections.closed)
        self.trouble = Gauge("part_in_trouble", "1 while a part of the service fails", ["part"], registry=own)
        # Looking labels up takes longer than counting.
        self.labelled = cache(lambda path, status: (requests.labels(path, status), latency.labels(path)))
        self.ended: deque[tuple[str, int, float]] = deque()
        self.counting = threading.Lock()

    def loaded(self, version: str) -> None:
        """Show which version serves."""
        self.model.clear()
        self.model.labels(version).set(1)

    def count(self) -> None:
        """Count the requests that ended since the last time."""
        with self.counting:
            while self.ended:
                path, status, seconds = self.ended.popleft()
                requests, latency = self.labelled(path, status)
                requests.inc()
                latency.observe(seconds)
