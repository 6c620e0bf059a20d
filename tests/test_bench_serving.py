"""The bench of serving: what it measures is what it says, and a wrong answer stops it."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.serving import load, servers
from bench.serving.__main__ import main
from bench.serving.environments import CACHE
from bench.serving.goals import goals
from bench.serving.load import Question, WrongAnswer, wire
from bench.serving.measure import Outcome
from bench.serving.peers import FEATURED, OURS

SAID = {"probability": 0.25}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each POST with what it was sent, in two pieces."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if self.path == "/wrong" else 200)
        self.close_connection = self.path == "/closing"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:4])
        self.wfile.flush()
        self.wfile.write(body[4:])

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def echo() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def question(said: object, path: str = "/right") -> Question:
    body = json.dumps(said).encode()
    wires = [wire("POST", path, body=body)] * 3
    return Question(wires, [0.25] * 3, ["probability"])


def test_every_request_is_answered_and_counted() -> None:
    with echo() as port:
        asked = question(SAID)
        sample = load.run(port, asked, 60.0, connections=4, most=50, probe=asked)
    assert len(sample.latencies) == 50
    assert min(sample.latencies) > 0 and len(sample.probes) >= 1


def test_a_probe_survives_a_server_that_takes_it_for_idle() -> None:
    with echo() as port:
        probe = question(SAID, "/closing")
        sample = load.run(port, question(SAID), 0.3, 2, 99_999, probe=probe)
    assert len(sample.probes) >= 2


def test_few_requests_are_made_however_short_the_time() -> None:
    with echo() as port:
        sample = load.run(port, question(SAID), 0.0, 2, most=99, fewest=20)
    assert len(sample.latencies) == 20


@pytest.mark.parametrize(
    ("said", "path", "why"),
    [
        ({"probability": 0.2501}, "/right", "instead of 0.25"),
        ({"probability": float("nan")}, "/right", "instead of 0.25"),
        ({"chance": 0.25}, "/right", "no prediction"),
        (SAID, "/wrong", "status 500"),
    ],
)
def test_a_wrong_answer_stops_the_run(said: object, path: str, why: str) -> None:
    with echo() as port, pytest.raises(WrongAnswer, match=why):
        load.run(port, question(said, path), 60.0, connections=2, most=10)


BUSY = """
import subprocess, sys, time
def burn():
    while time.process_time() < 0.5: pass
if sys.argv[1:]: burn(); time.sleep(60)
else: subprocess.Popen([sys.executable, __file__, "child"]); burn(); time.sleep(60)
"""


def test_time_and_memory_are_those_of_all_that_a_server_started(tmp_path: Path) -> None:
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    process = subprocess.Popen([sys.executable, script], start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while servers.cpu_seconds(process.pid) < 0.95 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert 0.95 <= servers.cpu_seconds(process.pid) < 1.5
        assert len(servers.family(process.pid)) == 2
        assert servers.megabytes(process.pid) > 5
    finally:
        for pid in servers.family(process.pid):
            os.kill(pid, 9)
        process.wait()


def test_a_goal_is_met_or_not() -> None:
    def outcome(server: str, cost: float) -> Outcome:
        return Outcome(server, server, "linear", 64, [cost], ready=[1.0])

    theirs = outcome(FEATURED, 6000.0)
    verdicts = [
        next(iter(goals([outcome(OURS, ours), theirs], []))).met for ours in (59, 61)
    ]
    assert verdicts == [True, False]


@pytest.mark.prove(
    "it installs and measures a service; its load and its arithmetic are tested in each run"
)
def test_a_quick_run_measures_the_service_as_it_is(tmp_path: Path) -> None:
    work = CACHE / "quick"
    main(["--quick", "--work", str(work), "--docs", str(tmp_path)])
    found = json.loads((work / "results.json").read_text())
    assert [one["server"] for one in found["outcomes"]] == [OURS, "tutorial"]
    for outcome in found["outcomes"]:
        assert outcome["requests"] >= 20
        assert min(outcome["cpu"] + outcome["ready"] + outcome["health"]) > 0
        assert outcome["memory"] > 10 and outcome["environment"] > 10
    page = (tmp_path / "performance.md").read_text("utf-8")
    assert "**the emitted service**" in page and "## Scoring a file" in page
    ElementTree.parse(tmp_path / "performance" / "linear.svg")
