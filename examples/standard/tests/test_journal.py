"""The prediction log: what is kept of a request, what is not, and what happens when it cannot be written."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from fastapi.testclient import TestClient

from fraud_watch import data
from fraud_watch.kit import UserError, export, table, task
from fraud_watch.kit.columns import Column
from fraud_watch.kit.schema import Schema, Target
from fraud_watch.kit.serve import Refusal
from fraud_watch.kit.serve.app import create_app
from fraud_watch.kit.serve.logdb import Database, Label, Logged, Row
from fraud_watch.kit.serve.part import Call, Part
from fraud_watch.kit.serve.parts.journal import Feedback, Journal, LogSettings, fitting, rows_of
from fraud_watch.kit.settings import Settings
from fraud_watch.kit.store import Store
from fraud_watch.kit.task import encode

SCHEMA = Schema.load(ROOT / "schema.yaml")


class Memory:
    """A database that fails when it is told to."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.labels: dict[tuple[str, int, bool, str], Label] = {}
        self.fault: Exception | None = None
        self.forgotten: list[float] = []
        self.writing = threading.Event()
        self.writing.set()

    def ready(self) -> None:
        self.writing.wait(10)
        if self.fault:
            raise self.fault

    def write(self, rows: Sequence[Row], labels: Sequence[Label]) -> None:
        self.ready()
        self.rows += rows
        self.labels |= {label[:4]: label for label in labels}

    def forget(self, before: float) -> int:
        self.forgotten.append(before)
        return 0

    def close(self) -> None:
        """Nothing is open."""

    def logged(self) -> Iterator[Logged]:
        for at, name, place, version, _, inputs, answer in self.rows:
            *_, caller, label, moment = self.labels.get((name, place, True, ""), (None, None, None))
            yield at, name, place, version, inputs, answer, label, moment, caller


class Clock:
    """A clock that stands until a test moves it."""

    now = 60.5
    ahead = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1e9 + self.now + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("fraud_watch.kit.serve.parts.journal.time", clock)
    return clock


def by(caller: str = "", labels_all: bool = True, schema: Schema | None = SCHEMA) -> Call:
    about = {"path": "/predict", "id": "one", "version": "1", "caller": caller, "labels_all": labels_all}
    return cast(Call, SimpleNamespace(**about, schema=schema))


class Callers(Part):
    """Takes a header's word for who calls; those whose name begins with a capital may label everything."""

    async def admit(self, call: Call) -> None:
        call.caller = call.headers.get(b"x-caller", b"").decode()
        call.labels_all = call.caller[:1].isupper()


@pytest.fixture
def shop(tmp_path: Path, published: Path) -> Store:
    shop = Store(tmp_path / "store")
    shop.publish("1", published)
    shop.promote("1")
    return shop


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def journal(memory: Memory) -> Journal:
    return Journal(LogSettings(), cast(Database, memory))


@pytest.fixture
def opened(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> Schema:
    """The schema of every model that is opened; the store's file has another one."""
    columns = [c.model_copy(update={"pii": c.pii or c is schema.inputs[0]}) for c in schema.columns]
    classes = tuple(f"new {place}" for place in range(len(schema.target.classes)))
    allowed: dict[str, Any] = {"classes": classes, "positive": None}
    if not classes:
        low = 1 + 2 * abs(target_value(schema))
        allowed = {"min": low, "max": 2 * low}
    target = schema.target.model_copy(update=allowed)
    other = schema.model_copy(update={"columns": tuple(columns), "target": target})
    read = Store.open
    monkeypatch.setattr(Store, "open", lambda *of: read(*of)._replace(schema=other))
    return other


@pytest.fixture
def service(shop: Store, journal: Journal) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=shop.root), [journal])) as client:
        yield client


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def target_value(schema: Schema) -> Any:
    low, high = schema.target.min, schema.target.max
    between = 1.0 if low is None and high is None else low if low is not None else high
    return schema.target.classes[-1] if schema.target.classes else between


def test_a_request_is_logged_as_it_came_and_as_it_was_answered(
    service: TestClient, memory: Memory, schema: Schema
) -> None:
    answer = service.post("/predict", json=schema.example(), headers={"X-Request-ID": "one"})
    until(lambda: memory.rows)
    ((at, name, place, version, caller, inputs, told),) = memory.rows
    assert (name, place, version, caller) == ("one", 0, "1", "")
    assert time.time() - at < 10
    shown = {c.name for c in schema.inputs if not c.pii}
    assert json.loads(inputs) == {k: v for k, v in schema.example().items() if k in shown}
    assert json.loads(told) == answer.json()


def test_a_batch_is_one_row_for_each_record_and_a_refusal_is_none(
    service: TestClient, memory: Memory, schema: Schema
) -> None:
    records = schema.records(schema.sample(3, seed=5))
    assert service.post("/predict", json={}).status_code == 422
    answer = service.post("/predict/batch", json={"records": records}, headers={"X-Request-ID": "many"})
    until(lambda: len(memory.rows) == 3)
    assert [row[1:3] for row in memory.rows] == [("many", 0), ("many", 1), ("many", 2)]
    assert [json.loads(row[6]) for row in memory.rows] == answer.json()["predictions"]
    assert "prediction_log_written_total 3.0" in service.get("/metrics").text


def test_what_is_personal_is_taken_out_and_the_rest_stays_byte_for_byte(schema: Schema) -> None:
    body = b'{"a": 1.50, "who":"x"}'
    entry = (1.0, "id", "1", "caller", False, body, b'{"prediction":1}', schema)
    ((*_, caller, inputs, answer),) = rows_of(entry, set())
    assert (caller, inputs, answer) == ("caller", body.decode(), '{"prediction":1}')
    ((*_, inputs, _),) = rows_of(entry, {"who"})
    assert json.loads(inputs) == {"a": 1.5}


def test_personal_columns_and_labels_are_those_of_the_model_that_was_opened(
    opened: Schema, service: TestClient, memory: Memory, schema: Schema
) -> None:
    hidden = schema.inputs[0].name
    service.post("/predict", json=schema.example())
    service.post("/predict/batch", json={"records": [schema.example()]})
    until(lambda: len(memory.rows) == 2)
    for row in memory.rows:
        assert hidden not in json.loads(row[5])
    for source, status in ((schema, 422), (opened, 202)):
        label = {"request_id": "a", "label": target_value(source)}
        assert service.post("/feedback", json=label).status_code == status


def test_each_request_is_logged_by_the_schema_that_it_was_answered_by(
    journal: Journal, schema: Schema
) -> None:
    first, *others = schema.inputs
    open_to_all = schema.model_copy(update={"columns": (*others, first.model_copy(update={"pii": False}))})
    hidden = schema.model_copy(update={"columns": (*others, first.model_copy(update={"pii": True}))})
    body = json.dumps({first.name: 1}).encode()
    for answering in (hidden, open_to_all, hidden):
        journal.answered(by(schema=answering), body, b"{}")
    assert journal.take()
    assert [json.loads(row[5]) for row in journal.rows] == [{}, {first.name: 1}, {}]


def test_what_cannot_be_written_waits_and_beyond_the_buffer_the_newest_are_dropped(
    service: TestClient, memory: Memory, journal: Journal, schema: Schema
) -> None:
    memory.fault = OSError("no space left")
    until(lambda: "no space left" in service.get("/readyz").json()["detail"])
    for number in range(3):
        service.post("/predict", json=schema.example(), headers={"X-Request-ID": str(number)})
    journal.most = journal.taken
    assert service.post("/predict", json=schema.example()).status_code == 200
    said = service.get("/readyz")
    assert said.status_code == 200
    assert "3 requests wait, 1 were dropped" in said.json()["detail"]
    metrics = service.get("/metrics").text
    assert "prediction_log_dropped_total 1.0" in metrics
    assert "prediction_log_waiting 3.0" in metrics
    memory.fault = None
    until(lambda: service.get("/readyz").json()["detail"] == "")
    assert [row[1] for row in memory.rows] == ["0", "1", "2"]
    assert journal.taken == journal.freed


def test_the_buffer_is_filled_to_its_last_byte_and_used_again(journal: Journal, memory: Memory) -> None:
    journal.answered(by(), b"{}", b"{}")
    journal.flush()
    journal.most = 2 * journal.taken
    for rows in (3, 5):
        for _ in range(2):
            journal.answered(by(), b"{}", b"{}")
        assert journal.trouble() == ""
        journal.flush()
        assert (len(memory.rows), journal.taken - journal.freed) == (rows, 0)
    for _ in range(3):
        journal.answered(by(), b"{}", b"{}")
    assert "as fast as requests come (2 requests wait, 1 were dropped)" in journal.trouble()


def test_a_request_that_waits_too_long_is_trouble(journal: Journal, clock: Clock) -> None:
    journal.answered(by(), b"{}", b"{}")
    clock.now += 5
    assert journal.trouble() == ""
    clock.now += 0.5
    assert "nothing could be written for 5 s" in journal.trouble()


def test_a_fault_is_logged_once_and_so_is_its_end(
    journal: Journal, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    memory.fault = OSError("no space left")
    for _ in range(2):
        journal.flush()
        assert caplog.text.count("cannot be written: no space left") == 1
    memory.fault = None
    for _ in range(2):
        journal.flush()
        assert caplog.text.count("is written again") == 1


def test_what_could_not_be_written_is_counted_at_the_end(
    journal: Journal, memory: Memory, schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    memory.fault = OSError("no space left")
    journal.answered(by(), b"{}", b"{}")
    journal.feedback(Feedback(request_id="one", label=target_value(schema)), by())

    async def life() -> None:
        await journal.start()
        await journal.stop()

    asyncio.run(life())
    assert "2 entries of the prediction log could not be written: no space left" in caplog.text
    assert journal.thread.daemon, "a database that hangs does not keep the process"


def test_a_database_that_hangs_is_named(
    service: TestClient, memory: Memory, journal: Journal, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fraud_watch.kit.serve.parts.journal.SLOW", 0.05)
    memory.writing.clear()
    service.post("/predict", json=schema.example())
    until(lambda: "nothing could be written" in service.get("/readyz").json()["detail"])
    memory.writing.set()
    until(lambda: memory.rows)


def test_what_waits_is_written_at_the_end(
    shop: Store, journal: Journal, memory: Memory, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the requests are, the writer does not wake before the service stops.
    monkeypatch.setattr("fraud_watch.kit.serve.parts.journal.TICK", 60)
    with TestClient(create_app(Settings(store=shop.root), [journal])) as client:
        for _ in range(20):
            client.post("/predict", json=schema.example())
        assert not memory.rows
    assert len(memory.rows) == 20


def test_a_label_may_be_told_again_and_the_last_counts(
    service: TestClient, memory: Memory, schema: Schema
) -> None:
    label = target_value(schema)
    for other in (label, schema.target.classes[0] if schema.target.classes else label):
        told = service.post("/feedback", json={"request_id": "early", "index": 2, "label": other})
        assert (told.status_code, told.json()) == (202, {"status": "taken"})
        label = other
    until(lambda: memory.labels)
    assert json.loads(memory.labels["early", 2, True, ""][4]) == pytest.approx(label)


def test_a_label_is_kept_with_its_caller_and_what_the_caller_may_label(
    shop: Store, journal: Journal, memory: Memory, schema: Schema
) -> None:
    records = {"records": schema.records(schema.sample(2, seed=5))}
    with TestClient(create_app(Settings(store=shop.root), [Callers(), journal])) as service:
        for caller in ("shop", "bank", "Office"):
            sent = {"X-Caller": caller, "X-Request-ID": "same"}
            for index in (0, 1):
                label = {"request_id": "same", "index": index, "label": target_value(schema)}
                assert service.post("/feedback", json=label, headers=sent).status_code == 202
            assert service.post("/predict/batch", json=records, headers=sent).status_code == 200
    callers = [(False, "bank"), (False, "shop"), (True, "Office")]
    assert sorted(memory.labels) == sorted(("same", index, *who) for who in callers for index in (0, 1))
    assert sorted(row[1:5] for row in memory.rows) == sorted(
        ("same", place, "1", who) for _, who in callers for place in (0, 1)
    )


def test_a_callers_name_is_the_same_with_its_labels_as_with_its_rows(
    journal: Journal, memory: Memory, schema: Schema
) -> None:
    call = by(caller="caller", labels_all=False)
    journal.answered(call, b"{}", b"{}")
    journal.feedback(Feedback(request_id="one", label=target_value(schema)), call)
    journal.flush()
    assert memory.rows[0][4] == "caller"
    assert list(memory.labels) == [("one", 0, False, "caller")]


def test_of_labels_that_wait_together_one_is_written_for_each_record(
    journal: Journal, schema: Schema
) -> None:
    """A database refuses to change a row twice in one statement."""
    first = schema.target.classes[0] if schema.target.classes else 1.0
    for index, label in ((0, first), (1, first), (0, target_value(schema))):
        journal.feedback(Feedback(request_id="a", index=index, label=label), by())
    assert journal.take()
    assert [mark[:2] for mark in journal.marks.values()] == [("a", 0), ("a", 1)]
    assert json.loads(journal.marks["a", 0, True, ""][4]) == target_value(schema)
    assert not journal.labels


@pytest.mark.parametrize("wrong", ["no such label", None, [1], True, 1e400, 10**310])
def test_a_label_that_does_not_fit_the_schema_is_refused_by_name(service: TestClient, wrong: Any) -> None:
    body = json.dumps({"request_id": "a", "label": wrong})
    refused = service.post("/feedback", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert "label" in refused.json()["errors"][0]["field"]


def test_a_number_may_lie_at_the_ends_of_its_range(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "encode", lambda schema, values: (values, [False]))
    target = schema.target.model_copy(update={"classes": (), "min": 1.0, "max": 5.0})
    ranged = schema.model_copy(update={"target": target})
    assert [fitting(ranged, label) for label in (1, 3, 5)] == [1.0, 3.0, 5.0]
    for label in (0.9, 5.1):
        with pytest.raises(Refusal):
            fitting(ranged, label)


def test_labels_are_refused_when_too_many_wait_or_nothing_says_what_they_may_be(
    service: TestClient, memory: Memory, shop: Store, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"request_id": "a", "label": target_value(schema)}
    nowhere = Journal(LogSettings(), cast(Database, memory))
    with TestClient(create_app(Settings(store=shop.root / "empty"), [nowhere])) as first:
        refused = first.post("/feedback", json=body)
        assert (refused.status_code, "No model serves yet" in refused.text) == (503, True)
    with monkeypatch.context() as patch:
        patch.setattr("fraud_watch.kit.serve.parts.journal.MOST_LABELS", 0)
        assert service.post("/feedback", json=body).status_code == 503
    shop.pointer.write_text("{", encoding="utf-8")
    until(lambda: "is damaged" in service.get("/readyz").text)
    assert service.post("/feedback", json=body).status_code == 202, "the model that was opened stays"
    shop.pointer.unlink()
    until(lambda: "is gone" in service.get("/readyz").text)
    assert service.post("/feedback", json=body).status_code == 202


def test_the_documentation_says_how_a_label_may_be_refused(service: TestClient) -> None:
    responses = service.get("/openapi.json").json()["paths"]["/feedback"]["post"]["responses"]
    assert set(responses) == {"202", "408", "413", "415", "422", "431", "503"}


def test_what_is_no_label_is_refused_in_the_one_form(service: TestClient) -> None:
    def refused(body: Any, *, chunked: bool = False) -> tuple[int, str]:
        content = iter([body]) if chunked else body
        answer = service.post("/feedback", content=content, headers={"Content-Type": "application/json"})
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code, answer.json()["detail"]

    for body in (b"", b"{", b"\xff", b"[]", b'{"request_id": "a", "label": "\\ud800"}'):
        assert refused(body)[0] == 422
    assert refused(b'{"request_id": "a", "request_id": "b", "label": 1}') == (422, "Wrong: request_id")
    for size, status in ((10_000, 422), (10_001, 413), (3_000_000, 413)):
        for chunked in (False, True):
            assert refused(b" " * size, chunked=chunked)[0] == status


def test_a_page_of_another_origin_cannot_send_labels_unasked(service: TestClient) -> None:
    kinds: tuple[dict[str, str], ...] = ({}, {"Content-Type": "text/plain"})
    for kind in kinds:
        body = b'{"request_id": "a", "label": 1}'
        assert service.post("/feedback", content=body, headers=kind).status_code == 415


def test_the_documentation_says_what_a_label_is(service: TestClient) -> None:
    body = service.get("/openapi.json").json()["paths"]["/feedback"]["post"]["requestBody"]
    fields = body["content"]["application/json"]["schema"]["properties"]
    assert set(fields) == {"request_id", "index", "label"}
    assert body["required"] is True


def test_old_rows_are_looked_for_once_a_minute(journal: Journal, memory: Memory, clock: Clock) -> None:
    looks = []
    for moment in (60.5, 90.0, 120.5, 121.0):
        clock.now = moment
        journal.flush()
        looks.append(len(journal.ends))
    assert looks == [1, 1, 1, 2]


def test_a_clock_that_is_ahead_for_some_minutes_deletes_nothing(
    journal: Journal, memory: Memory, clock: Clock
) -> None:
    for minute in range(1, 25):
        clock.now = minute * 61.0
        clock.ahead = 100 * 86_400 if 8 <= minute <= 16 else 0
        journal.flush()
    assert memory.forgotten[0] == 1e9 + 61 - 90 * 86_400
    assert max(memory.forgotten) <= 1e9 + 24 * 61 - 90 * 86_400
    assert len(memory.forgotten) == 15


def test_an_error_of_any_kind_is_shown_and_the_writer_goes_on(journal: Journal, memory: Memory) -> None:
    journal.answered(by(), b"{}", b"{}")
    memory.fault = ZeroDivisionError()
    journal.flush()
    assert "ZeroDivisionError" in journal.trouble()
    memory.fault = None
    journal.flush()
    assert not journal.trouble()
    assert len(memory.rows) == 1


def test_nothing_is_forgotten_for_no_days(memory: Memory) -> None:
    part = Journal(LogSettings(log_days=0), cast(Database, memory))
    part.flush()
    assert not part.ends


def test_the_export_is_a_table_that_training_reads(
    service: TestClient, memory: Memory, schema: Schema, tmp_path: Path
) -> None:
    sample = schema.sample(4, seed=9)
    service.post("/predict/batch", json={"records": schema.records(sample)}, headers={"X-Request-ID": "a"})
    service.post("/feedback", json={"request_id": "a", "index": 1, "label": target_value(schema)})
    until(lambda: len(memory.rows) == 4 and memory.labels)
    output = tmp_path / "log.parquet"
    assert export.write(schema, memory.logged(), output) == 4
    raw = data.load(str(output))
    assert list(raw["index"]) == [0, 1, 2, 3]
    assert set(raw["model_version"]) == {"1"}
    assert raw["prediction"].notna().all()
    assert raw[schema.target.header].notna().tolist() == [False, True, False, False]
    for column in schema.columns:
        # What requests do not carry, and what is never logged, has to come from elsewhere.
        if not column.input or column.pii:
            assert raw[column.header].isna().all()
            raw[column.header] = pd.Series(sample[column.name])
    labelled = raw[raw[schema.target.header].notna()].reset_index(drop=True)
    ready = table.checked(schema, labelled, "the log")
    assert ready[schema.target.name].tolist() == encode(schema, [target_value(schema)])[0].tolist()


NOON, LATER = datetime(2024, 1, 1, 12), datetime(2024, 1, 1, 13)


def logged_of(kind: str, sent: Any, told: Any, label: Any) -> Logged:
    """A request of noon, labelled by the bank an hour later if at all."""
    moments = [moment.replace(tzinfo=UTC).timestamp() for moment in (NOON, LATER)]
    known = (None, None, None) if label is None else (json.dumps(label), moments[1], "bank")
    return moments[0], "r", 2, "7", json.dumps({kind: sent}), json.dumps({"prediction": told}), *known


@pytest.mark.parametrize(
    ("kind", "sent", "written"),
    [
        ("number", 2**60, 2.0**60),
        ("number", None, None),
        ("integer", 2**53, 2**53),
        ("boolean", True, True),
        ("text", "a text", "a text"),
        ("datetime", "2024-01-01T13:00:00+01:00", NOON),
        ("datetime", None, None),
    ],
)
@pytest.mark.parametrize(
    ("classes", "told", "label", "target"),
    [
        ((), 1.5, 2.0, pa.float64()),
        ((0, 1), 1, 0, pa.int64()),
        (("a", "b"), "a", "b", pa.string()),
        ((1, "b"), 1, "b", pa.string()),
        ((1, "b"), 1, None, pa.string()),
    ],
)
def test_the_export_has_each_value_as_its_type(
    schema: Schema,
    tmp_path: Path,
    kind: Any,
    sent: Any,
    written: Any,
    classes: Any,
    told: Any,
    label: Any,
    target: Any,
) -> None:
    goal = Target(name="goal", alias="the goal", classes=classes)
    column = Column(name=kind, type=kind, alias="sent")
    small = schema.model_copy(update={"target": goal, "columns": (column,)})
    output = tmp_path / "log.parquet"
    assert export.write(small, iter([logged_of(kind, sent, told, label)]), output) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]
    rows = pq.read_table(output)
    as_told = (lambda value: value) if target != pa.string() else str
    assert rows.to_pylist() == [
        {
            "request_id": "r",
            "index": 2,
            "predicted_at": NOON,
            "model_version": "7",
            "prediction": as_told(told),
            "labelled_at": None if label is None else LATER,
            "labelled_by": None if label is None else "bank",
            "sent": written,
            "the goal": None if label is None else as_told(label),
        }
    ]
    assert rows.schema.field("the goal").type == rows.schema.field("prediction").type == target


def test_the_export_reads_the_log_since_a_moment_in_utc(
    schema: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, bool]] = []

    def read(self: Database, since: float, labelled: bool) -> Iterator[Logged]:
        asked.append((since, labelled))
        return iter(())

    monkeypatch.setattr(Database, "read", read)
    assert export.export_log(schema, tmp_path / "a.parquet", NOON, labelled=True) == 0
    assert export.export_log(schema, tmp_path / "a.parquet", None, labelled=False) == 0
    assert asked == [(NOON.replace(tzinfo=UTC).timestamp(), True), (0.0, False)]
    with pytest.raises(UserError, match=r"writes a \.parquet file"):
        export.write(schema, iter(()), tmp_path / "a.csv")
