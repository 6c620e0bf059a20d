"""One limit over several services, on a real Redis that goes and comes back."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.checkout import bare_environment
from tests.real import lend_bytecode
from tests.rendering import render

BURST = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(command: list[str], port: int, **how: object) -> Iterator[None]:
    """A process that listens, until the end of the block."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, **how) as process:  # type: ignore[call-overload]
        try:
            until = time.monotonic() + 60
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None, f"{command[0]} ended"
                assert time.monotonic() < until, f"{command[0]} does not listen"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def redis(folder: Path, port: int) -> Iterator[None]:
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no redis-server on PATH: apt-get install redis-server")
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with started([*command, "--dir", str(folder)], port):
        yield


def status(port: int, path: str = "/predict") -> tuple[int, str]:
    """What a service says to a request; without a model, 503 to one that is let in."""
    body = b"{}" if path == "/predict" else None
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def in_trouble(port: int) -> bool:
    return 'part_in_trouble{part="SharedLimits"} 1.0' in status(port, "/metrics")[1]


def eventually(port: int, trouble: bool) -> None:
    until = time.monotonic() + 10
    while in_trouble(port) is not trouble:
        assert time.monotonic() < until, f"it is not {trouble} that it is in trouble"
        time.sleep(0.1)


def test_two_services_share_a_limit_and_outlive_their_redis(tmp_path: Path) -> None:
    folder = render(tmp_path / "project", {"preset": "starter", "limits": "redis"})
    settings = {
        **bare_environment(),
        "PATH": os.environ["PATH"],
        "RATE_PER_SECOND": "0.001",
        "RATE_BURST": str(BURST),
    }
    for words in (["lock"], ["sync", "--no-default-groups", "--group", "serve"]):
        subprocess.run(["uv", *words, "--quiet"], cwd=folder, env=settings, check=True)
    store, ports = free_port(), [free_port(), free_port()]
    lend_bytecode(folder)
    settings["REDIS_URL"] = f"redis://127.0.0.1:{store}/0"
    command = [str(folder / ".venv" / "bin" / "churn-model"), "serve"]
    with ExitStack() as stack:
        server = stack.enter_context(ExitStack())
        server.enter_context(redis(tmp_path, store))
        for port in ports:
            own = {**settings, "PORT": str(port)}
            stack.enter_context(started(command, port, cwd=folder, env=own))
        said = [status(port)[0] for _ in range(BURST) for port in ports]
        assert sorted(said) == [429] * BURST + [503] * BURST

        server.close()
        time.sleep(1.1)  # as long as it holds that there was nothing left
        began = time.monotonic()
        said = [status(port)[0] for port in ports for _ in range(BURST + 5)]
        assert said.count(503) == 2 * BURST, "each has a bucket of its own now"
        assert time.monotonic() - began < 5
        for port in ports:
            eventually(port, trouble=True)

        stack.enter_context(redis(tmp_path, store))
        for port in ports:
            eventually(port, trouble=False)
        said = [status(port)[0] for _ in range(BURST) for port in ports]
        assert said.count(503) == BURST, "the new Redis has a full bucket, for both"
