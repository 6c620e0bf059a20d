"""Bounds on headers and connections, applied before a request begins."""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES = 65_536
"""What may come between two pieces of a body or two requests: headers, and what follows a body in chunks."""
HEAD_SECONDS = 10.0
"""How long a client may take to send them."""
UNFINISHED = 500
"""Connections that may be in the middle of their headers: of more, the last is turned away."""

MOST_OPEN = 4_000
"""Connections that are open at once, where the process may open as many files."""


class Connections:
    """The open connections of the process. Of too many, the one that is idle for longest is closed."""

    def __init__(self) -> None:
        self.open = self.closed = 0
        self.idle: dict[BoundedProtocol, None] = {}
        """Those without a request, in the order in which they became idle."""
        self.most = most(files())

    def made(self, new: "BoundedProtocol") -> None:
        """Take a connection. If each of the others is at work, there is no room for it."""
        self.open += 1
        if self.open > self.most:
            self.closed += 1
            longest = next(iter(self.idle), None)
            if longest:
                del self.idle[longest]
                longest.transport.close()
            else:
                new._refuse(503)
        if not new.transport.is_closing():
            self.idle[new] = None

    def lost(self, old: "BoundedProtocol") -> None:
        self.open -= 1
        self.idle.pop(old, None)


def files() -> int:
    """How many files this process may open; below zero there is no limit."""
    try:
        import resource
    except ImportError:  # on Windows
        return -1
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def most(files: int) -> int:
    """How many connections a process may hold: it needs other files, too."""
    return MOST_OPEN if files < 0 else max(8, min(MOST_OPEN, files - max(64, files // 4)))


class Dropped(list[tuple[bytes, bytes]]):
    """Headers that nothing reads."""

    def append(self, header: tuple[bytes, bytes]) -> None:
        """Keep nothing."""


NOTHING = Dropped()


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with bounds.

    What runs for every request costs as little as possible: its own methods are called by name, which takes
    half the time of ``super()``.
    """

    unfinished: set["BoundedProtocol"] = set()  # noqa: RUF012 - all connections of the process share it

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.in_head = self.upgrade_ignored = False
        self.bytes_of_no_body = 0
        self.deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connections.made(self)

    def on_response_complete(self) -> None:
        HttpToolsProtocol.on_response_complete(self)
        if self.cycle.response_complete and not self.in_head and not self.transport.is_closing():
            connections.idle[self] = None

    def on_message_begin(self) -> None:
        self.in_head = True
        connections.idle.pop(self, None)
        HttpToolsProtocol.on_message_begin(self)

    def on_headers_complete(self) -> None:
        self.in_head = False
        self._head_ended()
        HttpToolsProtocol.on_headers_complete(self)
        if self.parser.should_upgrade():
            self.upgrade_ignored = not self._should_upgrade()
        else:
            # The application has the list by now; what follows a body in chunks is dropped.
            self.headers = NOTHING

    def on_body(self, body: bytes) -> None:
        self.bytes_of_no_body = 0
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        if not self.upgrade_ignored:
            self.bytes_of_no_body = 0
            HttpToolsProtocol.on_message_complete(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ended()
        connections.lost(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self.bytes_of_no_body += len(data)
        while data:
            try:
                self.parser.feed_data(data)
                data = b""
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = self._upgraded(data[upgrade.args[0] :])
        if self.in_head or self.bytes_of_no_body > HEAD_BYTES:
            self._bounded()

    def _upgraded(self, rest: bytes) -> bytes:
        """A request offered another protocol. Return what is still to be parsed."""
        if self.upgrade_ignored:
            return self._go_on(rest)
        connections.lost(self)
        self.handle_websocket_upgrade()
        return b""

    def _go_on(self, rest: bytes) -> bytes:
        """Read the request on in HTTP/1.1, as a server may that does not know the other protocol.

        Java's client offers HTTP/2 with every request. The parser ends such a request at its headers, so a
        new one gets the headers that say how long the body is, and then the body.
        """
        framing = [(n, v) for n, v in self.headers if n in (b"content-length", b"transfer-encoding")]
        lines = [b"POST / HTTP/1.1", *(name + b": " + value for name, value in framing), b"", b""]
        self.upgrade_ignored = False
        self.headers = NOTHING
        self.parser = httptools.HttpRequestParser(Continued(self))
        return b"\r\n".join(lines) + rest

    def _bounded(self) -> None:
        """A piece has ended in the middle of the headers, or with too many of them."""
        if self.transport.is_closing():
            return
        if self.bytes_of_no_body > HEAD_BYTES:
            self._refuse(431)
        elif self.deadline is None:
            if len(self.unfinished) >= UNFINISHED:
                self._refuse(503)
                return
            self.unfinished.add(self)
            self.deadline = self.loop.call_later(HEAD_SECONDS, self._refuse, 408)

    def _head_ended(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
            self.unfinished.discard(self)

    def _refuse(self, status: int) -> None:
        self._head_ended()
        self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


connections = Connections()


class Continued:
    """The callbacks of a parser that begins within a request, whose head is known."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self.protocol = protocol
        self.head_is_known = True
        self.on_body, self.on_message_complete = protocol.on_body, protocol.on_message_complete

    def on_message_begin(self) -> None:
        if not self.head_is_known:
            self.protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self.head_is_known:
            self.protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_is_known:
            self.protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self.head_is_known:
            self.protocol.on_headers_complete()
        self.head_is_known = False
