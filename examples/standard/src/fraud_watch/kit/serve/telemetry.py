"""The metrics of the service, for Prometheus; they hold nothing of a caller's data."""

import threading
from collections import deque
from functools import cache
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ..predictor import Model
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
        self.predictions = Counter("predictions", "Records scored", ["version", "outcome"], registry=own)
        bins = ["feature", "bin"]
        self.seen = Counter("feature_rows", "Values by bin of the training rows", bins, registry=own)
        self.known = Gauge("feature_training_rows", "The same in training", bins, registry=own)
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
        self.predicted: deque[tuple[Model, str, list[Any], list[Any]]] = deque()
        self.counting = threading.Lock()

    def loaded(self, model: Model, version: str) -> None:
        """Show which version serves, and on what it was trained."""
        self.count()
        for gauge in (self.model, self.known):
            gauge.clear()
        self.model.labels(version).set(1)
        for name, bins in model.manifest.reference.items():
            for label, rows in bins.rows.items():
                self.known.labels(name, label).set(rows)

    def count(self) -> None:
        """Count what ended and what was said since the last time."""
        with self.counting:
            while self.ended:
                path, status, seconds = self.ended.popleft()
                requests, latency = self.labelled(path, status)
                requests.inc()
                latency.observe(seconds)
            self._count_predictions()

    def _count_predictions(self) -> None:
        """By class or quantile, and the values by the bins of training."""
        groups: dict[str, tuple[Model, list[Any], list[Any]]] = {}
        while self.predicted:
            model, version, records, answers = self.predicted.popleft()
            group = groups.setdefault(version, (model, [], []))
            group[1].extend(records)
            group[2].extend(answer["prediction"] for answer in answers)
        for version, (model, records, outcomes) in groups.items():
            target, columns = model.schema.target, model.schema.arrays(records)
            columns[target.name] = np.array(outcomes, dtype="O" if target.classes else "f8")
            for name, bins in model.manifest.reference.items():
                for label, rows in bins.count(columns[name]).items():
                    counter = self.predictions if name == target.name else self.seen
                    counter.labels(version if name == target.name else name, label).inc(rows)
