"""Headers that are too long, too slow or too many are refused before a request begins."""

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from fraud_watch.kit.serve import wire
from fraud_watch.kit.serve.wire import BoundedProtocol

GET = b"GET / HTTP/1.1\r\nHost: here\r\n"
Talk = Callable[..., Coroutine[Any, Any, bytes]]


async def answers(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path, the number of headers and the bytes of the body."""
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    about = f"{scope['path']} {len(scope['headers'])} {len(body)}"
    await send({"type": "http.response.body", "body": about.encode()})


def run(test: Callable[[Talk], Awaitable[None]]) -> None:
    """Let a test talk to a server in pieces; what the server says at last is given back."""

    async def served() -> None:
        config = uvicorn.Config(answers, log_config=None, access_log=False)
        loop = asyncio.get_running_loop()
        state = ServerState()
        server = await loop.create_server(lambda: BoundedProtocol(config, state, {}), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def talk(*pieces: bytes, pause: float = 0.02) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause)
                return await asyncio.wait_for(reader.read(1_000), 5)
            except ConnectionError:
                return b""
            finally:
                writer.close()

        await test(talk)
        server.close()
        await asyncio.sleep(0.05)
        assert not BoundedProtocol.unfinished
        assert not wire.connections.idle
        assert wire.connections.open == 0

    asyncio.run(served())


def test_a_request_may_come_in_pieces() -> None:
    async def test(talk: Talk) -> None:
        long = b"X-Long: " + b"x" * 30_000 + b"\r\n"
        assert b"200 OK" in await talk(GET, long, long, b"\r\n")
        body = b"y" * 300_000
        post = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 300000\r\n\r\n"
        said = await talk(post + body[:-10], body[-10:] + GET[:9], GET[9:], b"\r\n")
        assert said.count(b"200 OK") == 2
        assert b"300000" in said

    run(test)


OFFERS = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


def test_a_client_that_offers_another_protocol_is_answered_in_this_one() -> None:
    async def test(talk: Talk) -> None:
        assert b"200 OK" in await talk(GET + OFFERS + b"\r\n")
        post = b"POST / HTTP/1.1\r\nHost: here\r\n" + OFFERS
        for pieces in (
            [post + b"Content-Length: 5\r\n\r\nhello"],
            [post + b"Content-Length: 5\r\n\r\n", b"he", b"llo"],
            [post + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"],
        ):
            said = await talk(*pieces, *pieces, b"GET /next HTTP/1.1\r\nHost: here\r\n\r\n")
            assert re.findall(rb"(/\S*) (\d) (\d)\r\n", said) == [
                *2 * [(b"/", b"5", b"5")],
                (b"/next", b"1", b"0"),
            ], said

    run(test)


def test_hundreds_of_such_offers_in_one_piece_are_all_answered() -> None:
    async def test(talk: Talk) -> None:
        post = b"POST / HTTP/1.1\r\nHost: here\r\n" + OFFERS + b"Content-Length: 5\r\n\r\nhello"
        assert (await talk(post * 600, pause=1)).startswith(b"HTTP/1.1 200 OK")

    run(test)


def test_what_follows_a_body_in_chunks_is_bounded_too() -> None:
    async def test(talk: Talk) -> None:
        post = GET.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
        assert b"200 OK" in await talk(post + b"X-More: 1\r\n\r\n")
        for more in (b"X-More: 1\r\n" * 4_000, b"x" * 40_000):
            said = await talk(post, b"X-More: ", more, more, more)
            assert said.startswith(b"HTTP/1.1 431 ")

    run(test)


def test_headers_that_are_too_long_are_refused_while_they_come() -> None:
    async def test(talk: Talk) -> None:
        said = await talk(GET, b"X-Long: " + b"x" * 40_000, b"x" * 40_000, b"x" * 400_000)
        assert said.startswith(b"HTTP/1.1 431 ")

    run(test)


class Recorded(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Keep the protocol that there is."""


def fed(*pieces: bytes) -> tuple[bytes, bool]:
    """Return what a connection answers to pieces before the application, and whether it waits for headers."""

    async def whole() -> tuple[bytes, bool]:
        config = uvicorn.Config(answers, log_config=None, access_log=False)
        protocol = BoundedProtocol(config, ServerState(), {})
        transport = Recorded()
        protocol.connection_made(transport)
        for piece in pieces:
            protocol.data_received(piece)
        waits = protocol in BoundedProtocol.unfinished
        protocol.connection_lost(None)
        return transport.written, waits

    return asyncio.run(whole())


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize(
    ("before", "begun"),
    [
        ([], GET),
        ([GET + b"\r\n"], GET),
        ([b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc"], b"\r\n0\r\nX: "),
    ],
)
def test_the_bound_of_what_is_no_body_is_exact(
    monkeypatch: pytest.MonkeyPatch, before: list[bytes], begun: bytes, over: int
) -> None:
    """It counts anew after each request, and after each piece of a body."""
    monkeypatch.setattr(wire, "HEAD_BYTES", 200)
    said, waits = fed(*before, begun + b"x" * (200 - len(begun) + over))
    assert said.startswith(b"HTTP/1.1 431 ") == bool(over)
    assert waits == (begun == GET and not over)
    assert not BoundedProtocol.unfinished


def test_a_body_that_follows_such_an_offer_is_not_taken_for_headers() -> None:
    assert fed(b"POST / HTTP/1.1\r\n" + OFFERS + b"Content-Length: 5\r\n\r\n", b"he") == (b"", False)


def test_a_connection_that_is_turned_away_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = wire.Connections()
    ours.most = 0
    idle: list[bool] = []
    monkeypatch.setattr(wire, "connections", ours)
    monkeypatch.setattr(ours, "lost", lambda old: idle.append(old in ours.idle))
    assert fed()[0].startswith(b"HTTP/1.1 503 ")
    assert idle == [False]


def test_headers_that_are_too_slow_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.05)

    async def test(talk: Talk) -> None:
        began = time.monotonic()
        assert (await talk(GET, pause=0)).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 4
        assert b"200 OK" in await talk(GET + b"\r\n", pause=0.1), "whoever is done is left in peace"
        assert (await talk(GET, b"\r\n", b"", GET + b"\r\n", pause=0.03)).count(b"200 OK") == 2

    run(test)


def test_few_may_be_in_the_middle_of_their_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "UNFINISHED", 2)

    async def test(talk: Talk) -> None:
        slow = [asyncio.create_task(talk(GET, b"\r\n", pause=0.3)) for _ in range(2)]
        await asyncio.sleep(0.1)
        assert (await talk(GET)).startswith(b"HTTP/1.1 503 ")
        assert b"200 OK" in await talk(GET + b"\r\n"), "a whole request is none of them"
        assert all(b"200 OK" in said for said in await asyncio.gather(*slow))

    run(test)


def test_where_too_many_are_open_the_longest_idle_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.connections, "most", 2)

    async def test(talk: Talk) -> None:
        answered = asyncio.create_task(talk(GET + b"\r\n", pause=0.6))
        await asyncio.sleep(0.1)
        silent = asyncio.create_task(talk())
        await asyncio.sleep(0.1)
        closed = wire.connections.closed
        assert b"200 OK" in await talk(GET + b"\r\n")
        assert b"200 OK" in await answered, "what it had asked before is answered"
        assert wire.connections.closed == closed + 1
        assert not silent.done()
        assert b"200 OK" in await asyncio.wait_for(talk(GET + b"\r\n"), 2)
        silent.cancel()

    run(test)


@pytest.mark.parametrize("before", [b"", GET + b"\r\n"], ids=["alone", "after an answered one"])
def test_a_connection_with_a_request_is_never_closed_for_another(
    monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    monkeypatch.setattr(wire.connections, "most", 2)
    post = GET.replace(b"GET", b"POST") + b"Content-Length: 2\r\n\r\n"

    async def test(talk: Talk) -> None:
        pieces = ((before + post, b"{}"), (before + GET, b"\r\n"))
        slow = [asyncio.create_task(talk(*both, pause=0.4)) for both in pieces]
        await asyncio.sleep(0.2)
        assert (await talk()).startswith(b"HTTP/1.1 503 ")
        assert all(b"200 OK" in said for said in await asyncio.gather(*slow))

    run(test)


@pytest.mark.parametrize(
    ("files", "connections"), [(-1, 4_000), (0, 8), (1_000_000, 4_000), (4_096, 3_072), (200, 136), (50, 8)]
)
def test_connections_leave_files_for_others(files: int, connections: int) -> None:
    assert wire.most(files) == connections


def test_the_limit_of_open_files_is_the_one_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = SimpleNamespace(RLIMIT_NOFILE=7, getrlimit=lambda kind: (kind, 99))
    monkeypatch.setitem(sys.modules, "resource", limits)
    assert wire.files() == 7
    monkeypatch.setitem(sys.modules, "resource", None)
    assert wire.files() == -1
    assert (wire.Connections().open, wire.Connections().closed) == (0, 0)
