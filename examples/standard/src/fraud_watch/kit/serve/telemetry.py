"""What the service shows of itself: Prometheus metrics and JSON log lines, neither with a caller's data."""

import logging
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from functools import cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pythonjsonlogger.json import JsonFormatter

from ..predictor import Model

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


class Requests(deque[tuple[Any, ...]]):
    """The access log: a line for each request, written in batches."""

    LINE = (
        '{"level": "INFO", "logger": "access", "message": "request", "time": "%s", "ms": %.3f, '
        '"id": "%s", "caller": %s, "method": %s, "path": "%s", "status": %d, "version": "%s"}\n'
    )
    SHOWN = "{0:.19} INFO access: {4} {5} {6} in {1:.3f} ms, id {2}, caller {3}, version {7}\n"

    def flush(self) -> None:
        lines, shown = [], sys.stderr.isatty()
        while self:
            moment, seconds, name, caller, method, *what = self.popleft()
            when, who = datetime.fromtimestamp(moment, UTC).isoformat(), (quoted(caller), quoted(method))
            values = (when, seconds * 1000, name, *who, *what)
            lines.append(self.SHOWN.format(*values) if shown else self.LINE % values)
        if logging.getLogger().isEnabledFor(logging.INFO):
            sys.stderr.write("".join(lines))
            sys.stderr.flush()


def start_log(level: str) -> None:
    """One JSON object a line; on a terminal, a line to read."""
    names = {"levelname": "level", "name": "logger", "timestamp": "time"}
    handler = logging.StreamHandler()
    if handler.stream.isatty():
        shown = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        shown.converter = time.gmtime
        handler.setFormatter(shown)
    else:
        handler.setFormatter(JsonFormatter([*names, "message"], rename_fields=names, timestamp=True))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
