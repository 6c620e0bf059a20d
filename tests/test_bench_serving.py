"""The serving benchmark: its figures are right, and a wrong response stops it."""

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
from bench.serving.goals import judge
from bench.serving.load import RequestSet, WrongResponse, encode_request
from bench.serving.measure import Outcome
from bench.serving.peers import FEATURED, OURS

BODY = {"probability": 0.25}


class Handler(http.server.BaseHTTPRequestHandler):
    """A server that echoes the body of each POST, in two pieces."""

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
        """Print nothing."""


@contextlib.contextmanager
def echo_server() -> Iterator[int]:
    """Run the server, and yield its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def request_set(body: object, path: str = "/right") -> RequestSet:
    content = json.dumps(body).encode()
    requests = [encode_request("POST", path, body=content)] * 3
    return RequestSet(requests, [0.25] * 3, ["probability"])


def test_every_request_is_answered_and_counted() -> None:
    with echo_server() as port:
        requests = request_set(BODY)
        sample = load.run(port, requests, 60.0, connections=4, most=50, probe=requests)
    assert len(sample.latencies) == 50
    assert min(sample.latencies) > 0 and len(sample.probes) >= 1


def test_a_probe_survives_a_closed_connection() -> None:
    with echo_server() as port:
        probe = request_set(BODY, "/closing")
        sample = load.run(port, request_set(BODY), 0.3, 2, 99_999, probe=probe)
    assert len(sample.probes) >= 2


def test_the_fewest_requests_are_sent_however_short_the_time() -> None:
    with echo_server() as port:
        sample = load.run(port, request_set(BODY), 0.0, 2, most=99, fewest=20)
    assert len(sample.latencies) == 20


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({"probability": 0.2501}, "/right", "instead of 0.25"),
        ({"probability": float("nan")}, "/right", "instead of 0.25"),
        ({"chance": 0.25}, "/right", "no prediction"),
        (BODY, "/wrong", "status 500"),
    ],
)
def test_a_wrong_response_stops_the_run(body: object, path: str, message: str) -> None:
    with echo_server() as port, pytest.raises(WrongResponse, match=message):
        load.run(port, request_set(body, path), 60.0, connections=2, most=10)


BUSY = """
import subprocess, sys, time
def burn():
    while time.process_time() < 0.5: pass
if sys.argv[1:]: burn(); time.sleep(60)
else: subprocess.Popen([sys.executable, __file__, "child"]); burn(); time.sleep(60)
"""


def test_time_and_memory_include_child_processes(tmp_path: Path) -> None:
    script = tmp_path / "busy.py"
    script.write_text(BUSY)
    process = subprocess.Popen([sys.executable, script], start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while servers.cpu_seconds(process.pid) < 0.95 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert 0.95 <= servers.cpu_seconds(process.pid) < 1.5
        assert len(servers.process_family(process.pid)) == 2
        assert servers.megabytes(process.pid) > 5
    finally:
        for pid in servers.process_family(process.pid):
            os.kill(pid, 9)
        process.wait()


def test_a_goal_is_met_or_not() -> None:
    def outcome(server: str, cost: float) -> Outcome:
        return Outcome(server, server, "linear", 64, [cost], ready=[1.0])

    peer = outcome(FEATURED, 6000.0)
    for cost, met in ((59, True), (61, False)):
        goal = next(judge([outcome(OURS, cost), peer], []))
        assert goal.met == met


@pytest.mark.prove(
    "it installs and measures a service; its load and its arithmetic are tested in each run"
)
def test_a_quick_run_measures_the_service(tmp_path: Path) -> None:
    work = CACHE / "quick"
    main(["--quick", "--work", str(work), "--docs", str(tmp_path)])
    results = json.loads((work / "results.json").read_text())
    assert [one["server"] for one in results["outcomes"]] == [OURS, "tutorial"]
    for outcome in results["outcomes"]:
        assert outcome["requests"] >= 20
        assert min(outcome["cpu"] + outcome["ready"] + outcome["health"]) > 0
        assert outcome["memory"] > 10 and outcome["environment"] > 10
    page = (tmp_path / "performance.md").read_text("utf-8")
    assert "**the emitted service**" in page and "## Scoring a file" in page
    ElementTree.parse(tmp_path / "performance" / "linear.svg")
