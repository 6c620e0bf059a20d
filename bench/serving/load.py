"""A load generator of one process: connections that are kept, one request in flight on each.

It asks again as soon as it has its answer, and holds every answer against what
scikit-learn said of that record. Plain sockets and epoll: it costs some 15 µs a request.
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
PATIENCE = 60.0
"""Seconds without an answer on any connection, after which a server counts as dead."""
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PROBE_SECONDS = 0.05


class WrongAnswer(Exception):
    """A server did not say what it was asked."""


class Closed(WrongAnswer):
    """A server ended a connection."""


@dataclass(frozen=True)
class Question:
    """Requests as they go over the wire, and what the answers must hold.

    `place` leads through an answer's JSON to the probability; without expectations any
    answer with status 200 is right.
    """

    wire: Sequence[bytes]
    expected: Sequence[float] = ()
    place: Sequence[str | int] = ()
    known: set[tuple[int, bytes]] = field(default_factory=set)
    """Answers that were found right, so that each is parsed once."""

    def check(self, record: int, status: bytes, body: bytes) -> None:
        if status != b"200":
            raise WrongAnswer(f"status {status.decode()}: {body[:300]!r}")
        if not self.expected or (record, body) in self.known:
            return
        found = reach(body, self.place)
        if not abs(found - self.expected[record]) <= TOLERANCE:
            told = f"record {record}: {found} instead of {self.expected[record]}"
            raise WrongAnswer(told)
        if len(self.known) < 10 * len(self.wire):
            self.known.add((record, body))


@dataclass
class Sample:
    """What a run saw: seconds for each answer, and for each probe beside them."""

    seconds: float
    latencies: "array[float]"
    probes: "array[float]"


@dataclass
class Connection:
    port: int
    socket: socket.socket
    question: Question
    record: int = 0
    began: float = 0.0
    received: bytes = b""
    waiting: bool = False

    def ask(self, record: int) -> None:
        self.record, self.received, self.waiting = record, b"", True
        self.began = time.perf_counter()
        self.socket.sendall(self.question.wire[record])

    def reconnect(self) -> None:
        self.socket.close()
        self.socket, self.received = dial(self.port), b""

    def read(self) -> bool:
        """Take in what came; whether the answer is whole, and then it is right."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise Closed(f"closed after {self.received[:300]!r}")
        self.received = data = self.received + data if self.received else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = LENGTH.search(data, 0, end)
        if length is None:
            raise WrongAnswer(f"no content-length: {data[:300]!r}")
        if len(data) < end + 4 + int(length[1]):
            return False
        self.question.check(self.record, data[9:12], data[end + 4 :])
        self.waiting = False
        return True


def reach(body: bytes, place: Sequence[str | int]) -> float:
    """The number at a place in a JSON answer."""
    found: Any = json.loads(body)
    try:
        for step in place:
            found = found[step]
        return float(found)
    except (KeyError, IndexError, TypeError):
        raise WrongAnswer(f"no prediction in {body[:300]!r}") from None


def wire(
    method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> bytes:
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def connect(port: int, question: Question) -> Connection:
    return Connection(port, dial(port), question)


def dial(port: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def once(port: int, question: Question, record: int = 0) -> float:
    """One request on a connection of its own; its seconds."""
    line = connect(port, question)
    try:
        line.ask(record)
        while not line.read():
            pass
        return time.perf_counter() - line.began
    finally:
        line.socket.close()


def run(
    port: int,
    question: Question,
    seconds: float,
    connections: int,
    most: int,
    fewest: int = 1,
    probe: Question | None = None,
) -> Sample:
    """Ask for so long, within bounds; every request that was begun gets its answer.

    A probe is asked on one more connection, every fiftieth of a second or so.
    """
    lines = [connect(port, question) for _ in range(connections)]
    prober = connect(port, probe) if probe else None
    everyone = [*lines, prober] if prober else lines
    try:
        gc.disable()
        return _run(lines, prober, seconds, most, fewest)
    finally:
        gc.enable()
        for line in everyone:
            line.socket.close()


def _run(
    lines: list[Connection],
    prober: Connection | None,
    seconds: float,
    most: int,
    fewest: int,
) -> Sample:
    poll = select.epoll()
    by_number = {line.socket.fileno(): line for line in lines}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    sample = Sample(0.0, array("d"), array("d"))
    records, asked, answered = len(lines[0].question.wire), 0, 0
    clock = time.perf_counter
    began = clock()
    end, probing, due, heard = began + seconds, False, began, began
    for line in lines:
        line.ask(asked % records)
        asked += 1
    if prober:
        poll.register(prober.socket.fileno(), select.EPOLLIN)
        by_number[prober.socket.fileno()] = prober
    while answered < asked or probing:
        now = clock()
        going = asked < most and (now < end or asked < fewest)
        if prober and not probing and due <= now and going:
            prober.ask(0)
            probing = True
        ready = poll.poll(PROBE_SECONDS / 5 if prober else PATIENCE)
        heard = clock() if ready else heard
        if clock() - heard >= PATIENCE:
            raise WrongAnswer(f"no answer in {PATIENCE:.0f} s")
        for number, _ in ready:
            line = by_number[number]
            try:
                if not line.read():
                    continue
            except Closed:
                if line is not prober and line.waiting:
                    raise
                # Nothing was asked for some seconds, or the server was too busy to read.
                poll.unregister(number)
                if line is not prober:
                    continue
                del by_number[number]
                line.reconnect()
                by_number[line.socket.fileno()] = line
                poll.register(line.socket.fileno(), select.EPOLLIN)
                if line.waiting:
                    line.socket.sendall(line.question.wire[0])
                continue
            now = clock()
            if line is prober:
                sample.probes.append(now - line.began)
                probing, due = False, now + PROBE_SECONDS
                continue
            sample.latencies.append(now - line.began)
            answered += 1
            if asked < most and (now < end or asked < fewest):
                line.ask(asked % records)
                asked += 1
    sample.seconds = clock() - began
    poll.close()
    return sample
