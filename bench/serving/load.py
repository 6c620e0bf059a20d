"""A load generator in one process: keep-alive connections with one request in flight on each.

Each connection sends its next request as soon as it has the response to the last, and every
response is compared with scikit-learn's prediction. Plain sockets and epoll cost some 15 µs a
request, far less than an HTTP library.
"""

import gc
import json
import re
import select
import socket
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 1e-6
TIMEOUT = 60.0
"""Seconds without a response on any connection, after which a server counts as dead."""
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PROBE_INTERVAL = 0.05
"""Seconds between two probes."""


class WrongResponse(Exception):
    """A response that is not the expected one, or none at all."""


class ConnectionClosed(WrongResponse):
    """The server closed a connection."""


@dataclass(frozen=True)
class RequestSet:
    """Encoded requests, and the prediction that each response must hold.

    `json_path` leads through the response's JSON to the probability. Without predictions any
    response with status 200 is right.
    """

    requests: Sequence[bytes]
    predictions: Sequence[float] = ()
    json_path: Sequence[str | int] = ()
    checked: set[tuple[int, bytes]] = field(default_factory=set)
    """Request numbers and bodies that were found right, so that each body is parsed once."""

    def check(self, number: int, status: bytes, body: bytes) -> None:
        """Raise `WrongResponse` unless this is the right response to the request of that number."""
        if status != b"200":
            raise WrongResponse(f"status {status.decode()}: {body[:300]!r}")
        if not self.predictions or (number, body) in self.checked:
            return
        prediction = extract_number(body, self.json_path)
        expected = self.predictions[number]
        # Written so that it also rejects NaN.
        if not abs(prediction - expected) <= TOLERANCE:
            raise WrongResponse(f"record {number}: {prediction} instead of {expected}")
        # Bodies with a timestamp or an id are all different: keep the memory bounded.
        if len(self.checked) < 10 * len(self.requests):
            self.checked.add((number, body))


@dataclass
class Sample:
    """The measurements of a run, in seconds: one for each response and for each probe."""

    seconds: float
    latencies: "array[float]"
    probes: "array[float]"


@dataclass
class Connection:
    """A connection with at most one request in flight."""

    port: int
    socket: socket.socket
    request_set: RequestSet
    number: int = 0
    sent_at: float = 0.0
    received: bytes = b""
    waiting: bool = False

    def send(self, number: int) -> None:
        """Send the request of that number, and start its clock."""
        self.number, self.received, self.waiting = number, b"", True
        self.sent_at = time.perf_counter()
        self.socket.sendall(self.request_set.requests[number])

    def reconnect(self) -> None:
        """Replace a closed socket, and send the request again if it was in flight."""
        self.socket.close()
        self.socket, self.received = open_socket(self.port), b""
        if self.waiting:
            self.socket.sendall(self.request_set.requests[self.number])

    def read(self) -> bool:
        """Read what arrived; return whether the response is complete, after checking it."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionClosed(f"closed after {self.received[:300]!r}")
        self.received = data = self.received + data if self.received else data
        header_end = data.find(b"\r\n\r\n")
        if header_end < 0:
            return False
        length = CONTENT_LENGTH.search(data, 0, header_end)
        if length is None:
            raise WrongResponse(f"no content-length: {data[:300]!r}")
        body_start = header_end + 4
        if len(data) < body_start + int(length[1]):
            return False
        # The status follows "HTTP/1.1 ".
        self.request_set.check(self.number, data[9:12], data[body_start:])
        self.waiting = False
        return True


def extract_number(body: bytes, json_path: Sequence[str | int]) -> float:
    """Return the number at a path in a JSON body."""
    value: Any = json.loads(body)
    try:
        for key in json_path:
            value = value[key]
        return float(value)
    except (KeyError, IndexError, TypeError):
        raise WrongResponse(f"no prediction in {body[:300]!r}") from None


def encode_request(
    method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Return an HTTP/1.1 request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def connect(port: int, request_set: RequestSet) -> Connection:
    return Connection(port, open_socket(port), request_set)


def open_socket(port: int) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def send_once(port: int, request_set: RequestSet, number: int = 0) -> float:
    """Send one request on a connection of its own, and return its seconds."""
    connection = connect(port, request_set)
    try:
        connection.send(number)
        while not connection.read():
            pass
        return time.perf_counter() - connection.sent_at
    finally:
        connection.socket.close()


def run(
    port: int,
    request_set: RequestSet,
    seconds: float,
    connections: int,
    most: int,
    fewest: int = 1,
    probe: RequestSet | None = None,
) -> Sample:
    """Send requests for so many seconds, but at least `fewest` and at most `most`, and wait for all responses.

    The probe is sent on a connection of its own, once every `PROBE_INTERVAL`.
    """
    workers = [connect(port, request_set) for _ in range(connections)]
    prober = connect(port, probe) if probe else None
    try:
        gc.disable()
        return _run(workers, prober, seconds, most, fewest)
    finally:
        gc.enable()
        for connection in [*workers, prober] if prober else workers:
            connection.socket.close()


def _run(
    workers: list[Connection],
    prober: Connection | None,
    seconds: float,
    most: int,
    fewest: int,
) -> Sample:
    poll = select.epoll()
    by_descriptor: dict[int, Connection] = {}

    def watch(connection: Connection) -> None:
        descriptor = connection.socket.fileno()
        by_descriptor[descriptor] = connection
        poll.register(descriptor, select.EPOLLIN)

    for connection in workers:
        watch(connection)
    if prober:
        watch(prober)
    clock = time.perf_counter
    sample = Sample(0.0, array("d"), array("d"))
    count = len(workers[0].request_set.requests)
    sent = answered = 0
    began = last_response = next_probe = clock()
    end = began + seconds
    for connection in workers:
        connection.send(sent % count)
        sent += 1
    while answered < sent or (prober and prober.waiting):
        now = clock()
        unfinished = sent < most and (now < end or sent < fewest)
        if prober and not prober.waiting and next_probe <= now and unfinished:
            prober.send(0)
        ready = poll.poll(PROBE_INTERVAL / 5 if prober else TIMEOUT)
        if ready:
            last_response = clock()
        elif clock() - last_response >= TIMEOUT:
            raise WrongResponse(f"no answer in {TIMEOUT:.0f} s")
        for descriptor, _ in ready:
            connection = by_descriptor[descriptor]
            try:
                if not connection.read():
                    continue
            except ConnectionClosed:
                if connection is not prober and connection.waiting:
                    raise
                # The server closed an idle connection, or was too busy to read the probe.
                poll.unregister(descriptor)
                if connection is prober:
                    del by_descriptor[descriptor]
                    prober.reconnect()
                    watch(prober)
                continue
            now = clock()
            if connection is prober:
                sample.probes.append(now - connection.sent_at)
                next_probe = now + PROBE_INTERVAL
                continue
            sample.latencies.append(now - connection.sent_at)
            answered += 1
            if sent < most and (now < end or sent < fewest):
                connection.send(sent % count)
                sent += 1
    sample.seconds = clock() - began
    poll.close()
    return sample
