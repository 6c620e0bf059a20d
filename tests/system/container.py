"""A running container of a project's image, spoken to over HTTP like any service."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import NETWORK, Engine

# As strict as a careful cluster would be: nothing writable, no rights, no model in it.
_STRICT = (
    *("--read-only", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
)


@dataclass(frozen=True)
class Answer:
    status: int
    media_type: str
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Container:
    engine: Engine
    name: str
    port: int

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None)

    def post(self, path: str, body: object) -> Answer:
        return self._ask("POST", path, json.dumps(body))

    def python(self, code: str) -> str:
        """What `code` prints inside the running container."""
        return self.engine.docker("exec", self.name, "python", "-c", code)

    def state(self, field: str) -> str:
        form = f"{{{{.State.{field}}}}}"
        return self.engine.docker("inspect", "--format", form, self.name)

    def logs(self) -> str:
        done = self.engine.try_docker("logs", self.name)
        return done.stdout + done.stderr

    def wait(self, what: str, reached: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until `reached`; a container that ended or a time-out shows its log."""
        end = time.monotonic() + seconds
        while not reached():
            if self.state("Running") != "true" or time.monotonic() > end:
                raise AssertionError(f"not {what}:\n{self.logs()}")
            time.sleep(0.2)

    def answers(self, path: str, status: int) -> bool:
        try:
            return self.get(path).status == status
        except (ConnectionError, http.client.HTTPException):
            return False

    def _ask(self, method: str, path: str, body: str | None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"content-type": "application/json"} if body else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            media_type = answer.headers.get_content_type()
            return Answer(answer.status, media_type, answer.read().decode())
        finally:
            connection.close()


@contextmanager
def running(
    engine: Engine, image: str, store: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Container]:
    """Run `image` with `store` mounted for reading; the container goes at the end."""
    chosen = settings or {}
    inside = chosen.get("PORT", "8000")
    name = engine.docker(
        *("run", "--detach", *_STRICT, "--network", NETWORK),
        *("--publish", f"127.0.0.1::{inside}", "--health-interval", "1s"),
        *("--volume", f"{store}:/store:ro"),
        *(part for k, v in chosen.items() for part in ("--env", f"{k}={v}")),
        image,
    )
    try:
        port = int(engine.docker("port", name, inside).rpartition(":")[2])
        container = Container(engine, name, port)
        container.wait("up", lambda: container.answers("/healthz", 200))
        yield container
    finally:
        engine.docker("rm", "--force", "--volumes", name)
