"""The service of a rendered project, as a process of its own that answers on loopback."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .project import Project

PATIENCE = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back: the status, and the body read as JSON where it is."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Service:
    """A running service."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with closing(link):
            link.request(method, path, body, dict(headers or {}))
            response = link.getresponse()
            return Answer(response.status, dict(response.headers), response.read())

    def predict(self, body: bytes) -> Answer:
        """Ask for one prediction."""
        return self.ask("POST", "/predict", body, {"Content-Type": "application/json"})

    def until_ready_says(self, text: str) -> None:
        """Wait until /readyz names a trouble, or none."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            detail = self.ask("GET", "/readyz").said["detail"]
            if text in detail and (text or not detail):
                return
            time.sleep(0.1)
        raise AssertionError(f"/readyz says {detail!r} and not {text!r}")

    def until_serving(self, version: str) -> None:
        """Wait until that version answers."""
        end = time.monotonic() + PATIENCE
        while self.ask("GET", "/model").said["version"] != version:
            assert time.monotonic() < end, f"version {version} does not serve"
            time.sleep(0.1)

    def connect(self) -> socket.socket:
        """A bare connection, to send what no client library would."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def memory(self) -> int:
        """Megabytes that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) // 1024

    def stop(self) -> int:
        """Tell it to stop, and wait."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(project: Project, log: Path, **settings: str) -> Iterator[Service]:
    """The project's service on a free port, until the end of the block."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PORT": "0", **settings}
    python = project.folder / ".venv" / "bin" / "python"
    command = [str(python), "-m", f"{project.package.name}.cli", "serve"]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, cwd=project.folder, env=environment, stderr=out
        ) as process,
    ):
        try:
            end = time.monotonic() + PATIENCE
            port = None
            while port is None:
                assert (
                    process.poll() is None and time.monotonic() < end
                ), log.read_text()
                time.sleep(0.05)
                port = re.search(r"running on http://[\d.]+:(\d+)", log.read_text())
            yield Service(process, int(port[1]), log)
        finally:
            if process.poll() is None:
                process.kill()
