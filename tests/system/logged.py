"""A project that logs its predictions, served by its own command as a process of this machine."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .project import Project

PATIENCE = 40.0


def until(what: str, true: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not {what} within {seconds:.0f} s"
        time.sleep(0.05)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Service:
    """The running service, and the ids of the requests that it has answered."""

    project: Project
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    asked: list[str] = field(default_factory=list)
    example: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, path: str, body: object = None, name: str = "") -> Any:
        """Status and text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"Content-Type": "application/json"}
            headers |= {"X-Request-ID": name} if name else {}
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ready(self) -> bool:
        """Whether it serves."""
        try:
            return bool(self.call("GET", "/readyz")[0] == 200)
        except OSError:
            return False

    def trouble(self) -> str:
        """What it says is wrong; it serves whatever that is."""
        before = self.detail()
        metrics = self.call("GET", "/metrics")[1]
        detail = self.detail()
        if bool(before) == bool(detail):
            sign = "1.0" if detail else "0.0"
            assert f'part_in_trouble{{part="Journal"}} {sign}' in metrics
        return detail

    def detail(self) -> str:
        """What the page for platforms says beside its status."""
        status, text = self.call("GET", "/readyz")
        assert status == 200, text
        detail: str = json.loads(text)["detail"]
        return detail

    def ask(self, count: int) -> list[str]:
        """Ask so many times; each is answered, and soon."""
        names = [f"{len(self.asked) + n}-{os.urandom(4).hex()}" for n in range(count)]
        for name in names:
            began = time.monotonic()
            status, text = self.call("POST", "/predict", self.example, name)
            assert status == 200, text
            assert time.monotonic() - began < 2
        self.asked += names
        return names

    def stop(self) -> None:
        """End it as a platform does."""
        self.process.send_signal(signal.SIGTERM)
        # Uvicorn ends by the signal itself, once all is done.
        ended = self.process.wait(20)
        assert ended in (0, -signal.SIGTERM), self.log.read_text()


@contextmanager
def served(project: Project, database: str, **settings: str) -> Iterator[Service]:
    """The service of a project, logging there; ended with the block if it still runs."""
    port, log = free_port(), project.folder / "service.log"
    environment = {**os.environ, "PORT": str(port), "LOG_DATABASE": database}
    command = [str(project.folder / ".venv" / "bin" / project.slug), "serve"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=project.folder,
            env=environment | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Service(project, process, port, log)
    try:
        until("ready", service.ready)
        document = json.loads(service.call("GET", "/openapi.json")[1])
        media = document["paths"]["/predict"]["post"]["requestBody"]["content"]
        fields = media["application/json"]["schema"]["properties"]
        service.example = {name: f["examples"][0] for name, f in fields.items()}
        yield service
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
