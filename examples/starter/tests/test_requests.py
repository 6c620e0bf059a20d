"""What every request passes: limits, time-outs, headers, the log, parts; and answers from a thread."""

import asyncio
import json
import logging
import math
import re
import threading
import time
import timeit
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from fraud_watch.kit.schema import Schema
from fraud_watch.kit.serve import Refusal, app, bodies, front, live, logs
from fraud_watch.kit.serve.part import Call, Part
from fraud_watch.kit.serve.telemetry import Metrics
from fraud_watch.kit.settings import Settings
from fraud_watch.kit.store import Store


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
    with TestClient(app.create_app(Settings(store=shop.root, max_body_bytes=most))) as client:
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


@pytest.mark.parametrize(("more", "status"), [(b"", 422), (b" ", 413)])
def test_the_bound_of_a_body_in_pieces_is_exact(
    client: TestClient, most: int, more: bytes, status: int
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b" " * most
        yield more

    said = client.portal.call(ask, client.app, pieces())  # type: ignore[union-attr]
    assert said[0]["status"] == status


def test_a_body_may_hold_as_many_records_as_a_batch(
    shop: Store, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BODY_BYTES", 1)
    batch = {"records": [schema.example()] * 1_000}
    with TestClient(app.create_app(Settings(store=shop.root))) as client:
        assert client.post("/predict/batch", json=batch).status_code == 200


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
    async def calls() -> list[Call]:
        return [Call({"method": "GET", "path": "/", "headers": [], "client": client}) for _ in range(300)]

    made = asyncio.run(calls())
    assert {call.client for call in made} == {address}
    assert all(re.fullmatch("[0-9a-f]{32}", call.id) for call in made)
    for place in range(0, 32, 4):
        assert len({call.id[place : place + 4] for call in made}) > 250, "each part of an id is random"


def test_an_answer_has_an_id_and_safe_headers(client: TestClient, schema: Schema) -> None:
    for path in ("/predict", "/healthz", "/nowhere"):
        for given, kept in (("abc-1", True), ("a b", False), ("x" * 65, False)):
            response = client.post(path, json=schema.example(), headers={"X-Request-ID": given})
            assert (response.headers["x-request-id"] == given) is kept
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["cache-control"] == "no-store"


async def ask(
    service: Any,
    body: AsyncIterator[bytes],
    headers: int = 0,
    client: str = "here",
    path: str = "/predict",
    send: Any = None,
    method: str = "POST",
) -> list[dict[str, Any]]:
    """A request whose body comes piece by piece; gives what was sent back."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece = await anext(body, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "query_string": b""}
    scope["headers"] = [(b"x-one", b"1")] * headers
    scope["client"] = (client, 1)
    await service(scope, receive, send or keep)
    return sent


def test_a_slow_body_is_cut_off_and_a_crowd_is_told_to_come_back(shop: Store) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep(5)

    async def crowd() -> list[int]:
        statuses: list[int] = []

        async def one() -> None:
            said = await ask(service, never())
            statuses.append(said[0]["status"])

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one)
        return statuses

    service = app.create_app(Settings(store=shop.root, max_in_flight=2, request_seconds=0.3))
    with TestClient(service) as client:
        assert sorted(client.portal.call(crowd)) == [408, 408, 503]  # type: ignore[union-attr]
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(("slack", "status"), [(0.0, 408), (2.0, 422)])
def test_a_body_that_comes_too_slowly_is_cut_off_before_its_time(
    shop: Store, monkeypatch: pytest.MonkeyPatch, slack: float, status: int
) -> None:
    monkeypatch.setattr(bodies, "SLACK", slack)

    async def drops() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" "
            await anyio.sleep(0.05)

    with TestClient(app.create_app(Settings(store=shop.root))) as client:
        said = client.portal.call(ask, client.app, drops())  # type: ignore[union-attr]
    assert said[0]["status"] == status


@pytest.mark.parametrize(
    ("reading", "read", "size", "slow"),
    [
        (10.0, False, 4_999, True),
        (10.0, False, 5_000, False),
        (10.0, True, 0, False),
        (11.0, False, 0, False),
        (0.0, False, 0, False),
    ],
)
def test_after_two_seconds_five_thousand_bytes_are_due_each_second(
    reading: float, read: bool, size: int, slow: bool
) -> None:
    """A body that is not read yet, because its request waits for a turn, is not slow."""
    call = cast(Call, SimpleNamespace(reading=reading, read=read, size=size))
    assert bodies.too_slow(call, 13.0) is slow


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/healthz", 405),
        ("POST", "/readyz", 405),
        ("GET", "/readyz", 200),
        ("GET", "/model", 200),
        ("HEAD", "/model", 405),
    ],
)
def test_a_probe_and_a_request_that_has_no_body_wait_for_none(
    shop: Store, method: str, path: str, status: int
) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep(60)

    with TestClient(app.create_app(Settings(store=shop.root))) as client:
        about = (0, "here", path, None, method)
        said = client.portal.call(ask, client.app, never(), *about)  # type: ignore[union-attr]
    assert said[0]["status"] == status


def test_a_client_that_takes_no_refusal_does_not_keep_its_turn(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "LAST_WORD", 0.1)
    service = app.create_app(Settings(store=shop.root, request_seconds=0.1))

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep(60)

    async def unread(message: Any) -> None:
        await anyio.sleep(60)

    with TestClient(service) as client, pytest.raises(TimeoutError):
        client.portal.call(ask, service, never(), 0, "here", "/predict", unread)  # type: ignore[union-attr]


def test_slow_bodies_of_one_caller_do_not_shut_out_another(shop: Store, schema: Schema) -> None:
    service = app.create_app(Settings(store=shop.root, max_in_flight=4))

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep(60)

    async def whole() -> AsyncIterator[bytes]:
        yield json.dumps(schema.example()).encode()

    async def talk() -> list[int]:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask, service, never(), 0, "crowd")
            await anyio.sleep(0.2)
            said = [await ask(service, whole(), client=f"other {n}") for n in range(3)]
            group.cancel_scope.cancel()
        return [answer[0]["status"] for answer in said]

    with TestClient(service) as client:
        # Each waits until one of the slow bodies is cut off, some seconds after it began.
        assert client.portal.call(talk) == [200, 200, 200]  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_an_answer_that_takes_too_long_is_our_fault_once_the_body_is_there(
    shop: Store, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(app, "SWEEP", 0.01)
    settings = Settings(store=shop.root, request_seconds=0.01)
    with TestClient(app.create_app(settings, [Witness()])) as client:
        response = client.request(method, "/slow")
    assert response.status_code == 503
    assert "connection" not in response.headers


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


def test_of_too_many_requests_the_next_is_refused_before_its_admission(shop: Store) -> None:
    class Asking(Part):
        asked = 0

        async def admit(self, call: Call) -> None:
            self.asked += 1
            await answered.wait()

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    async def crowd() -> None:
        async with asyncio.timeout(10):
            first = [asyncio.create_task(ask(service, nothing(), client=f"{n}")) for n in range(most)]
            while part.asked < most:
                await asyncio.sleep(0)
            assert (await ask(service, nothing()))[0]["status"] == 503
            answered.set()
            await asyncio.gather(*first)

    part, most, answered = Asking(), 2 * front.CROWD, asyncio.Event()
    service = app.create_app(Settings(store=shop.root, max_in_flight=2), [part])
    with TestClient(service) as client:
        client.portal.call(crowd)  # type: ignore[union-attr]
    assert part.asked == most


@pytest.mark.parametrize(("best", "quick"), [(0.9, True), (1.0, False), (1.1, False)])
def test_a_model_is_quick_by_the_best_of_several_tries(
    shop: Store, monkeypatch: pytest.MonkeyPatch, best: float, quick: bool
) -> None:
    champion = shop.champion()
    assert champion is not None
    seconds = best * live.QUICK
    monkeypatch.setattr(timeit, "repeat", lambda call, number, repeat: [9.0, seconds * number])
    assert live.Serving(champion, shop.open(champion), Metrics()).quick is quick


def test_who_comes_while_a_thread_computes_waits_for_the_next_batch(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = shop.champion()
    assert champion is not None
    serving = live.Serving(champion, shop.open(champion), Metrics())
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
    monkeypatch.setattr(live, "QUICK", quick)
    batches: list[int] = []
    most = 1_000
    answers = live.Serving.answers

    def counted(self: live.Serving, records: list[Any]) -> list[Any]:
        batches.append(len(records))
        assert len(records) <= most
        return answers(self, records)

    monkeypatch.setattr(live.Serving, "answers", counted)
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
        monkeypatch.setattr(live.Serving, "answers", lambda *_: 1 / 0)
        assert service.post("/predict", json=records[0]).status_code == 500


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


def test_parts_that_hang_hold_up_the_start_no_longer_than_one(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(Part):
        async def start(self) -> None:
            await anyio.sleep(60)

    monkeypatch.setattr(app, "START", 0.5)
    began = time.monotonic()
    with TestClient(app.create_app(Settings(store=shop.root), [Hanging() for _ in range(10)])) as client:
        assert client.get("/readyz").status_code == 200
        assert time.monotonic() - began < 4


def test_the_log_has_a_line_for_each_request_and_nothing_of_its_body(
    client: TestClient,
    schema: Schema,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    texts: list[str] = []
    monkeypatch.setattr(logs, "output", SimpleNamespace(write=texts.append, isatty=lambda: False))
    secret = "4539-1488-0343-6467"
    client.post("/predict", json={**schema.example(), "card": secret}, headers={"X-Request-ID": "one"})
    client.post(f"/predict/{secret}?card={secret}", headers={"X-Request-ID": "two"})
    many = {f"x-{number}": "1" for number in range(101)}
    client.get("/model", headers={"X-Request-ID": "three", **many})
    client.app.requests.flush()  # type: ignore[attr-defined]
    written = "".join(texts)
    lines = {line["id"]: line for line in map(json.loads, written.splitlines())}
    assert (lines["one"]["path"], lines["one"]["status"], lines["one"]["version"]) == ("/predict", 422, "1")
    assert (lines["two"]["path"], lines["two"]["status"]) == ("other", 404)
    assert (lines["three"]["path"], lines["three"]["status"]) == ("/model", 431), "refused before its route"
    assert secret not in written


def test_pages_of_other_origins_may_call_only_if_named(shop: Store, schema: Schema) -> None:
    origin = "https://shop.example.com"
    for named in ("", f"https://other.example.com {origin}"):
        with TestClient(app.create_app(Settings(store=shop.root, cors_origins=named))) as client:
            response = client.post("/predict", json=schema.example(), headers={"Origin": origin})
            assert response.headers.get("access-control-allow-origin") == (origin if named else None)
