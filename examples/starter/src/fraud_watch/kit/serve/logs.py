"""The log: a JSON object a line, or lines to read on a terminal. It holds nothing of a caller's data.

A thread of its own writes it: a reader of standard error who is slow, or has stopped, holds up no request.
"""

import logging
import os
import select
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from pythonjsonlogger.json import JsonFormatter

MOST_TEXTS = 10_000
"""Texts that wait to be written, each a line or the requests of a moment. Of more, the last are lost."""
LOOK = 0.01
"""Seconds between two looks, at the end of the process, whether all is written."""
STUCK = 5.0
"""Seconds after which a write that has not ended is shown as trouble."""


class Output:
    """Where the log goes: a file by its number, standard error if nothing else is said."""

    def __init__(self, file: int = 2) -> None:
        self.file = file
        self.waiting: deque[str] = deque()
        self.lost = 0
        self.fault = ""
        self.began = self.until = 0.0
        self.there = threading.Event()
        self.thread = threading.Thread(target=self.run, name="log", daemon=True)
        self.starting = threading.Lock()

    def isatty(self) -> bool:
        return os.isatty(self.file)

    def write(self, text: str) -> None:
        """Leave a text to be written; this never waits."""
        if len(self.waiting) >= MOST_TEXTS:
            self.lost += 1
            return
        self.waiting.append(text)
        self.there.set()
        if not self.thread.is_alive():
            with self.starting, suppress(RuntimeError):  # another thread has just started it
                self.thread.start()

    def _write(self, text: bytes) -> None:
        """Write a text whole, however long that takes; one that cannot be written is lost."""
        try:
            while text:
                try:
                    text = text[os.write(self.file, text) :]
                except BlockingIOError:
                    select.select([], [self.file], [])
            self.fault = ""
        except OSError as error:
            self.lost += 1
            self.fault = error.strerror or type(error).__name__

    def flush(self) -> None:
        """Wait until all is written, but only at the end of the process, and not beyond the time it has."""
        while self.waiting and time.monotonic() < self.until:
            time.sleep(LOOK)

    def end(self, seconds: float) -> None:
        """From now on each line is waited for: the process may be gone before the thread has its turn."""
        self.until = time.monotonic() + seconds
        self.flush()

    def run(self) -> None:
        while True:
            self.there.wait()
            self.there.clear()
            while self.waiting:
                self.began = time.monotonic()
                self._write(self.waiting[0].encode(errors="backslashreplace"))
                self.waiting.popleft()
            self.began = 0.0

    def trouble(self) -> str:
        stuck = self.began and time.monotonic() - self.began > STUCK
        why = "standard error is not read" if stuck else self.fault
        return f"the log cannot be written: {why} ({self.lost} texts are lost)" if why else ""


output = Output()


class Requests(deque[tuple[Any, ...]]):
    """The access log: a line for each request, written in batches."""

    LINE = (
        '{"level": "INFO", "logger": "access", "message": "request", "time": "%s", "ms": %.3f, '
        '"id": "%s", "caller": %s, "method": %s, "path": "%s", "status": %d, "version": "%s"}\n'
    )
    SHOWN = "{0:.19} INFO access: {4} {5} {6} in {1:.3f} ms, id {2}, caller {3}, version {7}\n"

    def flush(self) -> None:
        lines, shown = [], output.isatty()
        while self:
            moment, seconds, name, caller, method, *what = self.popleft()
            when, who = datetime.fromtimestamp(moment, UTC).isoformat(), (quoted(caller), quoted(method))
            values = (when, seconds * 1000, name, *who, *what)
            lines.append(self.SHOWN.format(*values) if shown else self.LINE % values)
        if lines and logging.getLogger().isEnabledFor(logging.INFO):
            output.write("".join(lines))


def start_log(level: str) -> None:
    """One JSON object a line; on a terminal, a line to read."""
    names = {"levelname": "level", "name": "logger", "timestamp": "time"}
    handler = logging.StreamHandler(output)
    if output.isatty():
        shown = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        shown.converter = time.gmtime
        handler.setFormatter(shown)
    else:
        handler.setFormatter(JsonFormatter([*names, "message"], rename_fields=names, timestamp=True))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
