"""The prediction log: what was asked and answered, and the labels that come later.

A request costs one append to a buffer; one thread writes what is in it, five times a second. While the
database is locked, full or gone, the service answers on and the buffer holds what it can: beyond
``LOG_BUFFER_BYTES`` the newest are dropped, and counted. Columns marked ``pii`` are never logged.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Container, Sized
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from prometheus_client import Counter, Gauge
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ... import UserError, task
from ...reader import no_key_twice
from ...schema import Schema
from ...settings import Environment
from .. import FieldError, Refusal, documented, refusal
from ..bodies import only_json, too_large
from ..logdb import DEFAULT, FAULTS, Database, Label, Row
from ..part import Batch, Call, Part, Stage
from ..repeated import aside

log = logging.getLogger(__name__)
TICK = 0.2
"""Seconds between two writes; what a process that is killed may lose."""
AGAIN = 1.0
"""Seconds between two attempts while the database fails."""
LAST = 8.0
"""Seconds that the end of the service waits for the last write."""
LOOKS = 10
"""Minutes for which the clock must say the same before anything is deleted for its age."""
ROWS = 500
ENTRY = 500
"""Bytes that a request takes in the buffer, beside its body and its answer."""
MOST_LABELS = 100_000
LABEL_BYTES = 10_000
"""Bytes that a label's request may take: each of many unknown keys would cost an error."""
SLOW = 5.0
JSON: TypeAdapter[Any] = TypeAdapter(Any)
Entry = tuple[float, str, str, str, bool, bytes, bytes, Schema]


class Feedback(BaseModel):
    """The label of a record: ``index`` is its place in a request for many."""

    model_config = ConfigDict(extra="forbid", strict=True)

    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
    index: Annotated[int, Field(ge=0, lt=1_000)] = 0
    label: int | float | str


async def sent(request: Request) -> Feedback:
    """The body of a request: FastAPI's own reading takes a key twice, and makes a bare 400 of bad bytes."""
    # A web page of another origin may send bodies of other types, or of none, without asking first.
    only_json({b"content-type": b""} | dict(request.headers.raw))
    body = await request.body()
    if len(body) > LABEL_BYTES:
        raise too_large(LABEL_BYTES)
    try:
        feedback = Feedback.model_validate_json(body)
        no_key_twice(body)
    except ValidationError as error:
        raise refusal(error) from None
    return feedback


BODY = {"content": {"application/json": {"schema": Feedback.model_json_schema()}}, "required": True}


def call_of(request: Request) -> Call:
    call: Call = request.scope["call"]
    return call


class Taken(BaseModel):
    status: Literal["taken"] = "taken"


class LogSettings(Environment):
    """Where predictions are logged; read from the environment as all settings are."""

    log_database: Annotated[str, Field(min_length=1)] = DEFAULT
    log_days: Annotated[float, Field(ge=0)] = 90
    log_buffer_bytes: Annotated[int, Field(ge=0)] = 50_000_000


class Journal(Part):
    stage = Stage.RECORD

    def __init__(
        self,
        own: LogSettings | None = None,
        database: Database | None = None,
    ) -> None:
        self.own = own or LogSettings()
        self.most = self.own.log_buffer_bytes
        self.database = database or Database(self.own.log_database)
        self.waiting: deque[Entry] = deque()
        self.labels: deque[Label] = deque()
        self.rows: list[Row] = []
        self.marks: dict[tuple[str, int, bool, str], Label] = {}
        # Each is added to by one thread alone; their difference is what the buffer holds.
        self.taken = self.freed = self.held = 0
        self.schema: Schema | None = None
        self.hidden: set[str] = set()
        self.fault = ""
        self.cleaned = 0.0
        self.ends: deque[float] = deque(maxlen=LOOKS)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="prediction-log", daemon=True)
        self.written = Counter("prediction_log_written", "Predictions logged", registry=None)
        self.dropped = Counter("prediction_log_dropped", "Requests that were not logged", registry=None)
        unwritten = Gauge("prediction_log_waiting", "Requests waiting to be logged", registry=None)
        unwritten.set_function(lambda: len(self.waiting))
        self.collectors = (self.written, self.dropped, unwritten)
        self.lost = self.said = 0
        self.router = APIRouter()
        route = self.router.post(
            "/feedback",
            status_code=202,
            responses=documented(408, 413, 415, 422, 431, 503),
            openapi_extra={"requestBody": BODY},
        )
        route(self.feedback)

    async def start(self) -> None:
        self.thread.start()

    async def stop(self) -> None:
        self.stopping.set()
        await aside(partial(self.thread.join, LAST))
        held: list[Sized] = [self.waiting, self.labels, self.rows, self.marks]
        if left := sum(map(len, held)):
            log.error("%d entries of the prediction log could not be written: %s", left, self.fault)

    def observed(self, batch: Batch) -> None:
        size = len(batch.body) + len(batch.answer) + ENTRY
        if self.taken - self.freed + size > self.most:
            self.dropped.inc()
            self.lost += 1
            return
        self.taken += size
        call, many = batch.call, batch.call.path == "/predict/batch"
        # Not the batch itself: its records would take more of the buffer than is counted here.
        entry = (call.id, batch.version, call.caller, many, batch.body, batch.answer, batch.model.schema)
        self.waiting.append((time.time(), *entry))

    def feedback(
        self, said: Annotated[Feedback, Depends(sent)], call: Annotated[Call, Depends(call_of)]
    ) -> Taken:
        """Label a prediction. It may be labelled again: the last label counts.

        The prediction need not be in the log yet, so an unknown request id is taken too. A label counts for
        predictions that the same caller asked for, and for all others only if the caller has the right.
        """
        if call.schema is None:
            raise Refusal(503, "Not ready", "No model serves yet, whose schema says what a label may be")
        label = fitting(call.schema, said.label)
        if len(self.labels) >= MOST_LABELS:
            raise Refusal(503, "The log is full", "Labels wait for the log's database: send it again later")
        whose = call.labels_all, call.caller
        self.labels.append((said.request_id, said.index, *whose, json.dumps(label), time.time()))
        return Taken()

    def trouble(self) -> str:
        why = self.fault
        if not why and self.oldest() < time.time() - SLOW:
            why = f"nothing could be written for {SLOW:.0f} s"
        if not why and self.lost > self.said:
            why = "it cannot be written as fast as requests come"
        count = f"{len(self.waiting)} requests wait, {self.lost} were dropped"
        return f"prediction log: {why} ({count})" if why else ""

    def oldest(self) -> float:
        """When the request came that has waited longest, be it in the writer's hands already."""
        for held in (self.rows, self.waiting):
            with suppress(IndexError):  # the writer may be done with it just now
                return held[0][0]
        return time.time()

    def run(self) -> None:
        """The writer's life; at its end it writes once more."""
        while not self.stopping.wait(AGAIN if self.fault else TICK):
            self.flush()
        self.flush()
        self.database.close()

    def flush(self) -> None:
        """Write all that waits. What cannot be written stays, and is tried again."""
        lost = self.lost
        try:
            self.database.ready()
            while self.take():
                self.write()
            if self.own.log_days and time.monotonic() > self.cleaned + 60:
                self.clean()
                self.cleaned = time.monotonic()
            if self.fault:
                log.warning("the prediction log is written again; %d requests were dropped", lost)
            self.fault = ""
            self.said = lost
        except Exception as error:  # the writer must not end, whatever a driver raises
            self.database.close()
            known = isinstance(error, (*FAULTS, UserError))
            if not self.fault:
                unknown = None if known else error
                log.error("the prediction log cannot be written: %s", error, exc_info=unknown)
            self.fault = " ".join(str(error).split()) if known else ""
            self.fault = self.fault or type(error).__name__

    def clean(self) -> None:
        """Delete what is too old. A clock that is wrong for some minutes must not delete what is not."""
        self.ends.append(time.time() - self.own.log_days * 86_400)
        if len(self.ends) == LOOKS:
            while self.database.forget(min(self.ends)):
                pass

    def take(self) -> bool:
        """Make rows of some of what waits; whether there is anything to write."""
        while self.waiting and len(self.rows) < ROWS:
            entry = self.waiting[0]
            try:
                if self.schema is not entry[7]:
                    self.hidden = {column.name for column in entry[7].inputs if column.pii}
                    self.schema = entry[7]
                self.rows += rows_of(entry, self.hidden)
            except Exception:  # one that is not understood must not stop those behind it
                log.exception("a request could not be logged")
                self.dropped.inc()
            self.held += len(entry[5]) + len(entry[6]) + ENTRY
            self.waiting.popleft()
        while self.labels and len(self.marks) < ROWS:
            label = self.labels.popleft()
            self.marks[label[:4]] = label
        return bool(self.rows or self.marks)

    def write(self) -> None:
        self.database.write(self.rows, list(self.marks.values()))
        self.written.inc(len(self.rows))
        self.freed += self.held
        self.held = 0
        self.rows.clear()
        self.marks.clear()


def rows_of(entry: Entry, hidden: Container[str]) -> list[Row]:
    """One row per record. The JSON is kept as it came, unless there is something to take out of it."""
    at, name, version, caller, many, body, answer, _ = entry
    if not many and not hidden:
        return [(at, name, 0, version, caller, body.decode(), answer.decode())]
    asked, said = JSON.validate_json(body), JSON.validate_json(answer)
    pairs = zip(asked["records"], said["predictions"], strict=True) if many else [(asked, said)]
    rows = []
    for place, (record, predicted) in enumerate(pairs):
        shown = {name: value for name, value in record.items() if name not in hidden}
        texts = JSON.dump_json(shown).decode(), JSON.dump_json(predicted).decode()
        rows.append((at, name, place, version, caller, *texts))
    return rows


def fitting(schema: Schema, label: Any) -> Any:
    """Return a label as the schema's target knows it, or refuse it and say which are allowed."""
    (value,), (wrong,) = task.encode(schema, [label])
    target = schema.target
    if target.classes and not wrong:
        return target.classes[int(value)]
    low, high = target.min, target.max
    if wrong or (low is not None and value < low) or (high is not None and value > high):
        allowed = f"one of {list(target.classes)}" if target.classes else f"a number from {low} to {high}"
        errors = [FieldError(field="label", detail=f"Input should be {allowed}")]
        raise Refusal(422, "The label does not fit the schema", "Wrong: label", errors=errors)
    return float(value)


PART = Journal
