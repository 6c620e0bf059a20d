"""The log: lines for machines and for people, and a reader who has stopped."""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime

import pytest

from fraud_watch.kit.serve import logs
from fraud_watch.kit.serve.logs import Output, Requests, start_log

REQUEST = (1.5, 0.0125, "one", 'the "shop"', "GET", "/model", 200, "7")
Written = Callable[[], str]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Give what was written to the log so far."""
    reading, writing = os.pipe()
    mine = Output(writing)
    monkeypatch.setattr(logs, "output", mine)
    root = logging.getLogger()
    level = root.level
    monkeypatch.setattr(root, "handlers", [logging.NullHandler()])
    os.set_blocking(reading, False)

    def read() -> str:
        mine.end(5)
        return os.read(reading, 1_000_000).decode()

    yield read
    root.setLevel(level)
    os.close(reading)


def test_a_line_holds_figures_that_can_be_added_up(written: Written) -> None:
    start_log("warning")
    Requests([REQUEST]).flush()
    start_log("info")
    lines = Requests([REQUEST, (2.5, 0.001, "two", "", "GET", "/model", 200, "7")])
    lines.flush()
    line, later = map(json.loads, written().splitlines())
    assert later["id"] == "two"
    assert (line["time"], line["ms"]) == ("1970-01-01T00:00:01.500000+00:00", 12.5)
    assert (line["id"], line["caller"], line["method"]) == ("one", 'the "shop"', "GET")
    assert (line["path"], line["status"], line["version"]) == ("/model", 200, "7")
    assert not lines


def test_all_other_lines_are_json_too(written: Written) -> None:
    start_log("info")
    logging.getLogger("kit").info("a %s", "text\udcff")
    line = json.loads(written())
    assert datetime.fromisoformat(line.pop("time"))
    assert line == {"level": "INFO", "logger": "kit", "message": "a text\udcff"}


def test_on_a_terminal_it_is_made_to_be_read(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Output, "isatty", lambda self: True)
    start_log("info")
    logging.getLogger("kit").info("a %s", "text")
    Requests([REQUEST]).flush()
    line, request = written().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d INFO kit: a text", line)
    what = r'"GET" /model 200 in 12.500 ms, id one, caller "the \"shop\"", version 7'
    assert request == f"1970-01-01T00:00:01 INFO access: {what}"


def test_a_reader_who_has_stopped_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_TEXTS", 100)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4096)
    mine = Output(writing)
    began = time.monotonic()
    for number in range(200):
        mine.write(f"{number:10000d}\n")
    assert not mine.trouble()
    monkeypatch.setattr(logs, "STUCK", 0.05)
    mine.end(0.2)
    assert time.monotonic() - began < 2
    assert mine.lost == 100
    assert "standard error is not read" in mine.trouble()
    assert mine.thread.daemon, "it does not keep the process"
    whole = b""
    while mine.waiting or mine.began:
        whole += os.read(reading, 1_000_000)
    assert not mine.trouble()
    mine.write("again\n")
    while not whole.endswith(b"again\n"):
        whole += os.read(reading, 1_000_000)
    assert whole.split() == [*(b"%d" % number for number in range(100)), b"again"]


def test_a_reader_who_is_gone_costs_the_lines_and_nothing_else() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    mine = Output(writing)
    mine.write("lost\n")
    mine.end(5)
    assert not mine.waiting
    assert (mine.lost, "Broken pipe (1 texts are lost)" in mine.trouble()) == (1, True)


def test_a_file_that_would_block_gets_the_whole_text() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    mine = Output(writing)
    mine.write("x" * 1_000_000)
    whole = b""
    while len(whole) < 1_000_000:
        whole += os.read(reading, 1_000_000)
    assert mine.lost == 0


def test_at_the_end_each_line_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    mine = Output(writing)
    began = time.monotonic()
    mine.end(5)
    assert time.monotonic() - began < 4, "nothing is waited for"
    assert not mine.trouble()
    logging.StreamHandler(mine).emit(logging.makeLogRecord({"msg": "the last one"}))
    assert os.read(reading, 100) == b"the last one\n"
