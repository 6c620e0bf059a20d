"""Counts of what was asked and predicted, in the bins of the training rows, for Prometheus to compare."""

import threading
from collections import deque
from functools import partial
from typing import Any

import numpy as np
from prometheus_client import Counter, Gauge

from ...predictor import Model
from ..part import Batch, Part, Stage
from ..repeated import Repeated, aside

EVERY = 0.2
"""Seconds between two counts: many records take little longer than one."""


class Drift(Part):
    stage = Stage.OBSERVE

    def __init__(self) -> None:
        bins = ["feature", "bin"]
        self.predictions = Counter("predictions", "Records scored", ["version", "outcome"], registry=None)
        self.rows = Counter("feature_rows", "Values by bin of the training rows", bins, registry=None)
        self.training = Gauge("feature_training_rows", "The same in training", bins, registry=None)
        self.collectors = (self.predictions, self.rows, self.training)
        self.waiting: deque[tuple[Model, str, list[dict[str, Any]], list[dict[str, Any]]]] = deque()
        self.counting = threading.Lock()
        self.repeated = [Repeated("Counting predictions", EVERY, partial(aside, self.measure))]

    def loaded(self, model: Model, version: str) -> None:
        """Show how the values were spread in training."""
        self.training.clear()
        for name, bins in model.manifest.reference.items():
            for label, rows in bins.rows.items():
                self.training.labels(name, label).set(rows)

    def observed(self, batch: Batch) -> None:
        self.waiting.append((batch.model, batch.version, batch.records, batch.answers))

    def measure(self) -> None:
        """Count what was predicted since the last time: answers by class or quantile, values by bin."""
        with self.counting:
            groups: dict[str, tuple[Model, list[dict[str, Any]], list[Any]]] = {}
            while self.waiting:
                model, version, records, answers = self.waiting.popleft()
                _, every, outcomes = groups.setdefault(version, (model, [], []))
                every.extend(records)
                outcomes.extend(answer["prediction"] for answer in answers)
            for version, (model, records, outcomes) in groups.items():
                target, columns = model.schema.target, model.schema.arrays(records)
                columns[target.name] = np.array(outcomes, dtype="O" if target.classes else "f8")
                for name, bins in model.manifest.reference.items():
                    for label, rows in bins.count(columns[name]).items():
                        counter = self.predictions if name == target.name else self.rows
                        counter.labels(version if name == target.name else name, label).inc(rows)


PART = Drift
