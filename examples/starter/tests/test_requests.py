"""What every request passes: limits, time-outs, headers, the log, parts; and answers from a thread."""

import asyncio
import errno
import io
import json
import logging
import math
import re
import sys
import threading
import time
import timeit
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from fraud_watch.kit.schema import Schema
from fraud_watch.kit.serve import Refusal, app, front
from fraud_watch.kit.serve.front import Call, Part
from fraud_watch.kit.serve.telemetry import Metrics, Requests, start_log
from fraud_watch.kit.settings import Settings
from fraud_watch.kit.store import Store

SMALL = {"max_in_flight": 2, "request_seconds": 0.3}


class Witness(Part):
    """A part that overrides everything, and notes what it is told."""

    router = APIRouter()

    def __init__(self) -> None:
        self.said: list[Any] = []

    async def start(self) -> None:
        self.said.append("start")

    async def stop(self) -> None:
        self.said.append("stop")

    async def admit(self, call: Call) -> None:
        if b"x-unwanted" in call.headers:
            raise Refusal(401, "Unwanted", "Go away", {"WWW-Authenticate": "Knock"})
        call.caller = "witness"

    def answered(self, call: Call, body: bytes, answer: bytes) -> None:
        self.said.append((call.id, call.version, body, answer))

    def ended(self, call: Call) -> None:
        self.said.append((call.path, call.status))

    def trouble(self) -> str:
        return "the witness is tired"


@Witness.router.get("/witness")
async def witness() -> str:
    return "here"


@Witness.router.api_route("/slow", methods=["GET", "HEAD", "POST"], include_in_schema=False)
async def slow() -> None:
    await anyio.sleep(5)


@pytest.fixture
def shop(tmp_path: Path, published: Path) -> Store:
    shop = Store(tmp_path / "store")
    shop.publish("1", published)
    shop.promote("1")
    return shop


@pytest.fixture
def most(schema: Schema) -> int:
    """Bytes that a body may have: enough for a record of this project."""
    return 2_000 + len(json.dumps(schema.example()))


@pytest.fixture
def client(shop: Store, most: int) -> Iterator[TestClient]:
    limits = SMALL | {"max_body_bytes": most}
    with TestClient(app.create_app(Settings(store=shop.root, **limits))) as client:  # type: ignore[arg-type]
        yield client


def test_bodies_are_bounded_whether_they_say_their_length_or_not(client: TestClient, most: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield from [b" " * most] * 3

    for path in ("/predict", "/predict/batch"):
        read = client.post(path, content=b" " * most)
        assert read.status_code == 422, "it is read, and is no record"
        assert "connection" not in read.headers
        assert client.post(path, content=b" " * (most + 1)).status_code == 413
        response = client.post(path, content=pieces())
        assert response.status_code == 413
        assert response.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json; charset=utf-16"}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({f"x-{n}": "1" for n in range(101)}, 431),
        ({"content-type": "Application/JSON; charset=utf-8"}, 200),
    ],
)
def test_headers_are_checked_before_the_body(
    client: TestClient, schema: Schema, headers: dict[str, str], status: int
) -> None:
    response = client.post("/predict", content=json.dumps(schema.example()), headers=headers)
    assert response.status_code == status, response.text


def test_a_header_that_is_sent_again_counts_again(client: TestClient) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    for headers, status in ((100, 422), (101, 431)):
        said = client.portal.call(ask, client.app, nothing(), headers)  # type: ignore[union-attr]
        assert said[0]["status"] == status
        assert all(name == name.lower() for name, _ in said[0]["headers"]), "as ASGI asks for"


@pytest.mark.parametrize(("client", "address"), [(("10.0.0.1", 50_000), "10.0.0.1"), (None, "")])
def test_a_call_has_an_address_and_an_id(client: object, address: str) -> None:
    async def call() -> Call:
        return Call({"method": "GET", "path": "/", "headers": [], "client": client})

    made = asyncio.run(call())
    assert made.client == address
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]+", made.id)


def test_an_answer_has_an_id_and_safe_headers(client: TestClient, schema: Schema) -> None:
    for path in ("/predict", "/healthz", "/nowhere"):
        for given, kept in (("abc-1", True), ("a b", False), ("x" * 65, False)):
            response = client.post(path, json=schema.example(), headers={"X-Request-ID": given})
            assert (response.headers["x-request-id"] == given) is kept
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["cache-control"] == "no-store"


async def ask(service: Any, body: AsyncIterator[bytes], headers: int = 0) -> list[dict[str, Any]]:
    """A request whose body comes piece by piece; gives what was sent back."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece = await anext(body, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/predict", "query_string": b""}
    scope["headers"] = [(b"x-one", b"1")] * headers
    await service(scope, receive, send)
    return sent


def test_a_slow_body_is_cut_off_and_a_crowd_is_told_to_come_back(client: TestClient) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep(5)

    async def crowd() -> list[int]:
        statuses = []

        async def one() -> None:
            said = await ask(client.app, never())
            statuses.append(said[0]["status"])

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one)
        return statuses

    assert sorted(client.portal.call(crowd)) == [408, 408, 503]  # type: ignore[union-attr]
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(("method", "status"), [("GET", 503), ("HEAD", 503), ("POST", 408)])
def test_an_answer_that_takes_too_long_is_our_fault_once_the_body_is_there(
    shop: Store, monkeypatch: pytest.MonkeyPatch, method: str, status: int
) -> None:
    monkeypatch.setattr(front, "SWEEP", 0.01)
    settings = Settings(store=shop.root, request_seconds=0.01)
    with TestClient(app.create_app(settings, [Witness()])) as client:
        response = client.request(method, "/slow")
    assert response.status_code == status
    assert ("connection" in response.headers) == (status == 408)


def test_a_request_that_the_server_ends_gets_no_answer(client: TestClient) -> None:
    async def ended() -> None:
        began = asyncio.Event()

        async def never() -> AsyncIterator[bytes]:
            began.set()
            await anyio.sleep(5)
            yield b""

        asked = asyncio.create_task(ask(client.app, never()))
        await began.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    client.portal.call(ended)  # type: ignore[union-attr]


def test_who_goes_away_is_sent_nothing_and_counted_apart(client: TestClient) -> None:
    sent: list[Any] = []

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [], "query_string": b""}
    client.portal.call(client.app, scope, gone, send)  # type: ignore[union-attr]
    assert sent == []
    assert 'http_requests_total{path="/predict",status="499"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize(("best", "quick"), [(0.9, True), (1.0, False), (1.1, False)])
def test_a_model_is_quick_by_the_best_of_several_tries(
    shop: Store, monkeypatch: pytest.MonkeyPatch, best: float, quick: bool
) -> None:
    champion = shop.champion()
    assert champion is not None
    seconds = best * app.QUICK
    monkeypatch.setattr(timeit, "repeat", lambda call, number, repeat: [9.0, seconds * number])
    assert app.Serving(champion, shop.open(champion), Metrics()).quick is quick


def test_who_comes_while_a_thread_computes_waits_for_the_next_batch(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = shop.champion()
    assert champion is not None
    serving = app.Serving(champion, shop.open(champion), Metrics())
    serving.quick = False
    batches: list[int] = []
    release = threading.Event()

    def answers(records: list[Any]) -> list[Any]:
        batches.append(len(records))
        release.wait(5)
        return records

    monkeypatch.setattr(serving, "answers", answers)

    async def test() -> None:
        first = asyncio.create_task(serving.answer({}))
        async with asyncio.timeout(5):
            while not batches:
                await asyncio.sleep(0.001)
        others = [asyncio.create_task(serving.answer({})) for _ in range(3)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(serving.waiting) == 3
        release.set()
        await asyncio.gather(first, *others)
        assert batches == [1, 3]

    asyncio.run(test())


@pytest.mark.parametrize("quick", [0.0, math.inf])
def test_all_who_ask_at_once_are_answered_at_once(
    quick: float, shop: Store, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "QUICK", quick)
    batches: list[int] = []
    most = 1_000
    answers = app.Serving.answers

    def counted(self: app.Serving, records: list[Any]) -> list[Any]:
        batches.append(len(records))
        assert len(records) <= most
        return answers(self, records)

    monkeypatch.setattr(app.Serving, "answers", counted)
    records = schema.records(schema.sample(20, seed=5, missing=0.3))

    async def once(record: dict[str, Any]) -> AsyncIterator[bytes]:
        yield json.dumps(record).encode()

    async def together() -> list[Any]:
        said: list[Any] = [None] * len(records)

        async def one(place: int) -> None:
            messages = await ask(service.app, once(records[place]))
            said[place] = json.loads(messages[1]["body"])

        async with anyio.create_task_group() as group:
            for place in range(len(records)):
                group.start_soon(one, place)
        return said

    with TestClient(app.create_app(Settings(store=shop.root))) as service:
        expected = service.post("/predict/batch", json={"records": records}).json()["predictions"]

        def agree() -> None:
            batches.clear()
            said = service.portal.call(together)  # type: ignore[union-attr]
            assert [answer["prediction"] for answer in said] == pytest.approx(
                [answer["prediction"] for answer in expected]
            )
            assert max(batches) > 1

        agree()
        most = 1  # where many at once are too much for the model, each is tried alone
        agree()
        monkeypatch.setattr(app.Serving, "answers", lambda *_: 1 / 0)
        assert service.post("/predict", json=records[0]).status_code == 500


def test_a_log_that_cannot_be_written_stops_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep(5)

    caplog.set_level(logging.INFO)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", Full())
        assert client.get("/healthz").status_code == 200
        time.sleep(0.5)
    said = client.portal.call(ask, client.app, never())  # type: ignore[union-attr]
    assert said[0]["status"] == 408


def test_a_part_admits_sees_answers_and_says_what_is_wrong(shop: Store, schema: Schema) -> None:
    part = Witness()
    with TestClient(app.create_app(Settings(store=shop.root), [part])) as client:
        refused = client.post("/predict", json=schema.example(), headers={"X-Unwanted": "1"})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Knock")
        assert client.get("/healthz", headers={"X-Unwanted": "1"}).status_code == 200
        assert client.get("/model", headers={"X-Unwanted": "1"}).status_code == 401
        answer = client.post("/predict", json=schema.example())
        assert client.get("/witness").json() == "here"
        assert client.get("/readyz").json()["detail"] == "the witness is tired"
        assert 'part_in_trouble{part="Witness"} 1.0' in client.get("/metrics").text
    assert part.said[0] == "start"
    assert part.said[-1] == "stop"
    assert ("/predict", 401) in part.said
    seen = next(said for said in part.said if len(said) == 4)
    assert seen == (answer.headers["x-request-id"], "1", answer.request.content, answer.content)


def test_the_log_has_a_line_for_each_request_and_nothing_of_its_body(
    client: TestClient, schema: Schema, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    secret = "4539-1488-0343-6467"
    client.post("/predict", json={**schema.example(), "card": secret}, headers={"X-Request-ID": "one"})
    client.post(f"/predict/{secret}?card={secret}", headers={"X-Request-ID": "two"})
    client.app.requests.flush()  # type: ignore[attr-defined]
    written = capsys.readouterr().err
    lines = {line["id"]: line for line in map(json.loads, written.splitlines())}
    assert (lines["one"]["path"], lines["one"]["status"], lines["one"]["version"]) == ("/predict", 422, "1")
    assert (lines["two"]["path"], lines["two"]["status"]) == ("other", 404)
    assert secret not in written


def test_a_line_of_the_log_holds_figures_that_can_be_added_up(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    lines = Requests([(1.5, 0.0125, "one", 'the "shop"', "GET", "/model", 200, "7")])
    lines.append((2.5, 0.001, "two", "", "GET", "/model", 200, "7"))
    lines.flush()
    line, later = map(json.loads, capsys.readouterr().err.splitlines())
    assert later["id"] == "two"
    assert (line["time"], line["ms"]) == ("1970-01-01T00:00:01.500000+00:00", 12.5)
    assert (line["id"], line["caller"], line["method"]) == ("one", 'the "shop"', "GET")
    assert (line["path"], line["status"], line["version"]) == ("/model", 200, "7")
    assert not lines


def test_all_other_lines_of_the_log_are_json_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.NullHandler()])
    before = root.level
    start_log("info")
    logging.getLogger("kit").info("a %s", "text")
    root.setLevel(before)
    line = json.loads(capsys.readouterr().err)
    assert datetime.fromisoformat(line.pop("time"))
    assert line == {"level": "INFO", "logger": "kit", "message": "a text"}


def test_on_a_terminal_the_log_is_made_to_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.NullHandler()])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    before = root.level
    start_log("info")
    logging.getLogger("kit").info("a %s", "text")
    Requests([(1.5, 0.0125, "one", "shop\n", "GET", "/model", 200, "7")]).flush()
    root.setLevel(before)
    line, request = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d INFO kit: a text", line)
    what = r'"GET" /model 200 in 12.500 ms, id one, caller "shop\n", version 7'
    assert request == f"1970-01-01T00:00:01 INFO access: {what}"


def test_pages_of_other_origins_may_call_only_if_named(shop: Store, schema: Schema) -> None:
    origin = "https://shop.example.com"
    for named in ("", f"https://other.example.com {origin}"):
        with TestClient(app.create_app(Settings(store=shop.root, cors_origins=named))) as client:
            response = client.post("/predict", json=schema.example(), headers={"Origin": origin})
            assert response.headers.get("access-control-allow-origin") == (origin if named else None)
