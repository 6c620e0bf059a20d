"""The model that serves: opened, replaced when the store's champion changes, and asked for predictions."""

import asyncio
import json
import logging
import threading
import time
import timeit
from collections.abc import Sequence
from typing import Any

from .. import UserError
from ..predictor import Model
from ..reader import MOST
from ..settings import PROJECT
from ..store import Champion, Store
from . import Refusal
from .part import Part
from .repeated import aside
from .telemetry import Metrics

log = logging.getLogger(__name__)
BODY_BYTES = 2_000_000
"""The limit of a body if neither the settings nor a champion sets one."""
QUICK, TRIES = 0.0003, 5
"""Seconds for one record, at the best of so many tries. Longer would keep others, and the probes, waiting."""
AT_ONCE = 64
"""Records computed together: NumPy and scikit-learn take little longer for some than for one."""


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

    def __init__(self, store: Store, metrics: Metrics, parts: Sequence[Part] = ()) -> None:
        self.store, self.metrics, self.parts = store, metrics, parts
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
                self.metrics.loaded(champion.version)
                for part in self.parts:
                    part.loaded(model, champion.version)
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
