"""Each thing that a service or a command depends on, in each mood that it can have: what must hold all the same.

One service with all parts lives through all of it. A new part is a line in FAULTS, a command one in VERBS.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from tests.checks.environment import environment
from tests.rendering import render
from tests.trees import template

from . import postgres
from .logged import free_port, until
from .moods import FileMoods, Heartbeat, PipeMoods, listening, pages, proxied
from .postgres import Postgres

NAME = "harbour_pilot"
ANSWERS = {
    "project_name": "Harbour Pilot",
    "preset": "standard",
    "auth": "jwt",
    "bulk": "parquet",
    "limits": "redis",
    "prediction_log": "postgres",
    "tracing": "opentelemetry",
}
# In the project's environment: the keys of an issuer, a token, and one that is signed with another key.
ISSUER = """
import json, time, jwt
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
about = {"sub": "tester", "roles": ["admin"], "iss": "harbour-pilot", "aud": "harbour-pilot"}
about["exp"] = int(time.time()) + 3600
tokens = {kid: jwt.encode(about, key, "ES256", {"kid": kid}) for kid in ("known", "unknown")}
keys = {"keys": [{**public, "kid": "known", "alg": "ES256", "use": "sig"}]}
print(json.dumps({"keys": keys, "tokens": tokens}))
"""
BURST = 300
"""Requests that are sent while something is wrong: what is held of each would show in the memory."""
GROWTH = 40
"""Megabytes by which a service may have grown by the end of a fault."""
SOON = 3.0
"""Seconds within which each endpoint answers, whatever is wrong."""
ALIVE, STALL = 0.1, 1.0
"""Seconds for nine in ten answers of /healthz, and for the slowest. The tests share the cores with others."""
START = 12.0
"""Seconds within which a service answers /healthz, whatever is wrong when it starts."""
SEEN = 20.0
"""Seconds after which a fault is shown, and after which one that is over is not."""


@dataclass(frozen=True)
class Fault:
    """A part, its mood, and the words of /readyz; without words nothing has to be shown."""

    part: str
    mood: str
    shown: str

    def __str__(self) -> str:
        return f"{self.part} {self.mood}"


AWAY = "the keys at JWT_KEYS_URL cannot be had"
ALONE = "Redis does not answer"
LOG = "prediction log"
SPANS = "takes no spans"
FAULTS = [
    Fault("store", "garbage", "is damaged"),
    Fault("store", "gone", "champion.json is gone"),
    Fault("store", "hanging", "Following the store has taken longer"),
    Fault("log database", "slow", ""),
    Fault("log database", "hanging", LOG),
    Fault("log database", "garbage", LOG),
    Fault("log database", "gone", LOG),
    Fault("issuer", "slow", ""),
    Fault("issuer", "hanging", AWAY),
    Fault("issuer", "garbage", AWAY),
    Fault("issuer", "gone", AWAY),
    Fault("Redis", "slow", ALONE),
    Fault("Redis", "hanging", ALONE),
    Fault("Redis", "garbage", ALONE),
    Fault("Redis", "gone", ALONE),
    Fault("collector", "slow", ""),
    Fault("collector", "hanging", SPANS),
    Fault("collector", "garbage", SPANS),
    Fault("collector", "gone", SPANS),
    Fault("standard error", "slow", ""),
    Fault("standard error", "hanging", "standard error is not read"),
    Fault("standard error", "gone", "the log cannot be written"),
]


KEYS = {
    "garbage": "is damaged",
    "gone": "is not there",
    "hanging": "Following the keys has taken longer",
}


class Moody(Protocol):
    def set(self, mood: str) -> None: ...


@dataclass
class Surroundings:
    """A trained project, and all that its service and its commands reach, each with moods of its own."""

    folder: Path
    python: Path
    settings: dict[str, str]
    parts: dict[str, Moody]
    database: Postgres
    callers: dict[str, dict[str, str]]
    """Headers of a caller who is known, and of one whose key is not."""

    def command(self, *words: str) -> list[str]:
        return [str(self.python), "-m", f"{NAME}.cli", *words]

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """A verb of the command line, within a minute and a half."""
        return subprocess.run(
            self.command(*words),
            check=False,
            cwd=self.folder,
            env=self.settings | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
        )


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    """Everything started and one model promoted; what a test spoils it also mends."""
    server = shutil.which("redis-server")
    if absent := postgres.missing_parts() or ("" if server else "no redis-server"):
        pytest.skip(absent)
    base = tmp_path_factory.mktemp("faults")
    python = environment(template(), NAME)
    ports = {"mlflow": free_port(), "redis": free_port()}
    with ExitStack() as stack:
        mlflow = [str(python), "-m", "mlflow", "server", "--workers=1"]
        mlflow += ["--host=127.0.0.1", f"--port={ports['mlflow']}"]
        mlflow += [f"--backend-store-uri=sqlite:///{base / 'mlflow.db'}"]
        mlflow += [f"--artifacts-destination={base / 'artifacts'}"]
        quiet = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        redis = [str(server), "--port", str(ports["redis"])]
        redis += ["--bind", "127.0.0.1", "--save", ""]
        for command in (mlflow, redis):
            process = subprocess.Popen(
                command,
                cwd=base,
                env=quiet,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(end, process)
        database = Postgres()
        stack.callback(database.remove)
        database.start()
        issuer = json.loads(subprocess.check_output([str(python), "-c", ISSUER]))
        callers = {
            name: {"Authorization": f"Bearer {token}"}
            for name, token in issuer["tokens"].items()
        }
        web = stack.enter_context(pages({"/keys": issuer["keys"], "/v1/traces": {}}))
        targets = {
            "registry": ports["mlflow"],
            "log database": database.port,
            "Redis": ports["redis"],
            "issuer": web,
            "collector": web,
        }
        proxies = {n: stack.enter_context(proxied(p)) for n, p in targets.items()}
        at = {name: f"127.0.0.1:{proxy.port}" for name, proxy in proxies.items()}
        folder = render(base / "project", ANSWERS)
        settings = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(folder / "src"),
            "OMP_NUM_THREADS": "1",
            "JWT_KEYS_URL": f"http://{at['issuer']}/keys",
            "LOG_DATABASE": database.url.replace(
                str(database.port), str(proxies["log database"].port)
            ),
            "MLFLOW_TRACKING_URI": f"http://{at['registry']}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{at['collector']}",
            "RATE_PER_SECOND": "1e6",
            "RATE_BURST": "1e6",
            "REDIS_URL": f"redis://{at['Redis']}/0",
            "TRACE_RATIO": "1",
        }
        parts: dict[str, Moody] = dict(proxies)
        made = Surroundings(folder, python, settings, parts, database, callers)
        until("listening", lambda: all(map(listening, ports.values())), 90)
        for verb in ("fetch", "train", "promote"):
            done = made.run(verb)
            assert done.returncode == 0, done.stdout
        parts["store"] = FileMoods(folder / "store" / "champion.json")
        yield made


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server of ours, and what it has started in its session."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


@dataclass
class Running:
    """The service, and what it was asked."""

    around: Surroundings
    process: subprocess.Popen[bytes]
    port: int
    body: bytes
    asked: int = 0

    def ask(
        self, method: str, path: str, body: bytes | None = None, caller: str = "known"
    ) -> tuple[int, bytes]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = self.around.callers[caller] | {"Content-Type": "application/json"}
            link.request(method, path, body, headers)
            response = link.getresponse()
            return response.status, response.read()
        finally:
            link.close()

    def detail(self) -> str:
        """What /readyz shows. A token of an unknown key makes the service look for the issuer's keys."""
        self.ask("GET", "/model", caller="unknown")
        self.predict()
        status, text = self.ask("GET", "/readyz")
        assert status == 200, text
        return str(json.loads(text)["detail"])

    def serves(self) -> bool:
        return self.ask("POST", "/predict", self.body)[0] == 200

    def predict(self) -> None:
        status, text = self.ask("POST", "/predict", self.body)
        assert status == 200, text
        self.asked += 1

    def every_endpoint(self) -> None:
        """Each of them does its work, and soon."""
        many = b'{"records": [' + self.body + b"]}"
        label = json.dumps({"request_id": "some", "label": 1}).encode()
        for method, path, body, expected in (
            ("GET", "/healthz", None, 200),
            ("GET", "/readyz", None, 200),
            ("GET", "/metrics", None, 200),
            ("GET", "/model", None, 200),
            ("GET", "/openapi.json", None, 200),
            ("GET", "/docs", None, 200),
            ("POST", "/predict", self.body, 200),
            ("POST", "/predict/batch", many, 200),
            ("POST", "/feedback", label, 202),
        ):
            began = time.monotonic()
            status, text = self.ask(method, path, body)
            assert status == expected, f"{path}: {status} {text[:500]!r}"
            assert time.monotonic() - began < SOON, path
            self.asked += path.startswith("/predict")

    def memory(self) -> int:
        """Megabytes that the process holds."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") // 1_000_000

    def logged(self) -> int:
        """Predictions in the log, read past the proxy."""
        if self.around.database.sql("SELECT to_regclass('predictions')") == "":
            return 0
        return int(self.around.database.sql("SELECT count(*) FROM predictions"))


@contextmanager
def serving(around: Surroundings, stderr: int, *before: str) -> Iterator[Running]:
    """A service; it answers before this begins, and ends well."""
    port, began = free_port(), time.monotonic()
    process = subprocess.Popen(
        [*before, *around.command("serve")],
        cwd=around.folder,
        env=around.settings | {"PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    try:
        until("listening", lambda: process.poll() is None and listening(port), START)
        schema = yaml.safe_load((around.folder / "schema.yaml").read_text("utf-8"))
        columns = [c for c in schema["columns"] if c.get("input", True)]
        record = {column["name"]: column["example"] for column in columns}
        body = json.dumps(record, default=datetime.isoformat).encode()
        running = Running(around, process, port, body)
        assert running.ask("GET", "/healthz")[0] == 200
        assert time.monotonic() - began < START
        yield running
        process.terminate()
        assert process.wait(30) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def service(
    around: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One for all faults. What it does once is done, so that its memory is what it will be."""
    pipe = PipeMoods(tmp_path_factory.mktemp("stderr"))
    around.parts["standard error"] = pipe
    try:
        with serving(around, pipe.writer) as running:
            for _ in range(BURST):
                running.predict()
            running.every_endpoint()
            yield running
    finally:
        del around.parts["standard error"]
        pipe.close()


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_service_lives_through_it(fault: Fault, service: Running) -> None:
    live_through(fault, service)
    until("logged", lambda: service.logged() == service.asked, SEEN)


@pytest.fixture(scope="module")
def keyed(
    around: Surroundings, tmp_path_factory: pytest.TempPathFactory
) -> Surroundings:
    """The same with keys in place of tokens."""
    base = tmp_path_factory.mktemp("keyed")
    folder = render(base / "project", {**ANSWERS, "auth": "api_key"})
    around.database.sql("CREATE DATABASE keyed")
    settings = {
        **around.settings,
        "LOG_DATABASE": f"{around.settings['LOG_DATABASE'].rpartition('/')[0]}/keyed",
        "PYTHONPATH": str(folder / "src"),
        "SIGNING_PUBLIC_KEY": str(around.folder / "signing" / "public.pem"),
        "STORE": str(around.folder / "store"),
    }
    made = replace(around, folder=folder, settings=settings, parts={})
    key = made.run("keys", "add", "tester").stdout.strip()
    made.callers = {"known": {"X-API-Key": key}, "unknown": {"X-API-Key": "other"}}
    made.parts["keys"] = FileMoods(folder / "keys" / "keys.json")
    return made


def test_a_service_lives_through_faults_of_its_keys(keyed: Surroundings) -> None:
    with serving(keyed, subprocess.DEVNULL) as service:
        until("serving", service.serves, SEEN)
        for _ in range(BURST):
            service.predict()
        service.every_endpoint()
        for mood, shown in KEYS.items():
            live_through(Fault("keys", mood, shown), service)


def live_through(fault: Fault, service: Running) -> None:
    """Everything is answered during a fault, which is shown as long as it lasts."""
    part, before = service.around.parts[fault.part], service.memory()
    with Heartbeat(lambda: service.ask("GET", "/healthz")) as heart:
        part.set(fault.mood)
        try:
            service.every_endpoint()
            for _ in range(BURST):
                service.predict()
            if fault.shown:
                until(fault.shown, lambda: fault.shown in service.detail(), SEEN)
            service.every_endpoint()
            until("heard often", lambda: len(heart.seconds) > 20, SEEN)
        finally:
            part.set("well")
        until("well", lambda: not service.detail(), SEEN)
        service.every_endpoint()
    assert heart.share(0.9) < ALIVE
    assert heart.share(1) < STALL
    assert service.memory() - before < GROWTH


@pytest.mark.parametrize("mood", ["gone", "hanging", "garbage"])
def test_a_service_starts_while_everything_is_wrong(
    mood: str, around: Surroundings
) -> None:
    """And serves once that is over, without a restart."""
    parts = [part for name, part in around.parts.items() if name != "standard error"]
    for part in parts:
        part.set(mood)
    try:
        with serving(around, subprocess.DEVNULL) as running:
            assert running.ask("GET", "/readyz")[0] == 503
            for part in parts:
                part.set("well")
            until("serving", running.serves, SEEN)
            until("well", lambda: not running.detail(), SEEN)
            running.every_endpoint()
    finally:
        for part in parts:
            part.set("well")


def test_silent_connections_shut_nobody_out(around: Surroundings) -> None:
    """More of them than the service may open files; then each of many clients is answered soon."""
    files = 200
    with (
        serving(around, subprocess.DEVNULL, "prlimit", f"--nofile={files}") as running,
        ExitStack() as silent,
    ):
        until("serving", running.serves, SEEN)
        for _ in range(3 * files):
            link = socket.create_connection(("127.0.0.1", running.port), 5)
            silent.enter_context(link)
        for _ in range(50):
            began = time.monotonic()
            running.predict()
            assert time.monotonic() - began < SOON
        metrics = running.ask("GET", "/metrics")[1].decode()
        (closed,) = re.findall(r"^http_connections_closed (.+)$", metrics, re.MULTILINE)
        assert float(closed) > files
        assert running.detail() == ""


@dataclass(frozen=True)
class Verb:
    """A command, the part that it needs, and the moods of that part in which it ends with an error that names it."""

    words: tuple[str, ...]
    part: str
    moods: tuple[str, ...]
    named: str


AFAR = ("gone", "hanging", "garbage")
VERBS = [
    Verb(("models",), "registry", AFAR, "registry"),
    Verb(("gate", "1"), "registry", ("hanging",), "registry"),
    Verb(("promote",), "registry", AFAR, "registry"),
    Verb(("train",), "registry", ("gone", "hanging"), "registry"),
    Verb(("export-log", "log.parquet"), "log database", AFAR, "LOG_DATABASE"),
    Verb(("models",), "store", ("garbage",), "champion.json is damaged"),
    Verb(("gate", "1"), "store", ("garbage",), "champion.json is damaged"),
    Verb(("promote", "1"), "store", ("garbage",), "champion.json is damaged"),
    Verb(("rollback",), "store", ("garbage",), "champion.json is damaged"),
    Verb(("score", "in.parquet", "out.parquet"), "store", ("garbage",), "is damaged"),
    Verb(("score", "in.parquet", "out.parquet"), "store", ("gone",), "promote"),
]
SLOWLY = {
    "registry": ("models",),
    "log database": ("export-log", "slow.parquet", "--labelled"),
}
"""What still works where the part is slow."""
NEEDED = sorted({(verb.part, mood) for verb in VERBS for mood in verb.moods})
# Its own patience with a registry is tried below.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "2", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


@pytest.mark.parametrize(("part", "mood"), NEEDED)
def test_a_command_says_what_is_wrong_and_loses_nothing(
    part: str, mood: str, around: Surroundings
) -> None:
    before = kept(around.folder)
    verbs = [v for v in VERBS if v.part == part and mood in v.moods]
    around.parts[part].set(mood)
    try:
        with ThreadPoolExecutor(4) as pool:
            ended = list(pool.map(lambda v: around.run(*v.words, **IMPATIENT), verbs))
    finally:
        around.parts[part].set("well")
    for verb, done in zip(verbs, ended, strict=True):
        said = f"{' '.join(verb.words)}: {done.returncode}\n{done.stdout}"
        assert done.returncode == 2, said
        assert "Traceback" not in done.stdout, said
        assert verb.named in done.stdout, said
    assert kept(around.folder) == before


def kept(folder: Path) -> dict[str, bytes]:
    """What the commands keep in files; their locks are no part of it."""
    found = [*(folder / "store").rglob("*"), *folder.glob("*.parquet")]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if path.is_file() and not path.name.endswith(".lock")
    }


@pytest.mark.parametrize("words", [("list",), ("add", "other"), ("revoke", "tester")])
def test_a_command_for_keys_says_what_is_wrong(
    words: tuple[str, ...], keyed: Surroundings
) -> None:
    file = keyed.folder / "keys" / "keys.json"
    keyed.parts["keys"].set("garbage")
    before = file.read_bytes()
    try:
        done = keyed.run("keys", *words)
        assert file.read_bytes() == before
    finally:
        keyed.parts["keys"].set("well")
    assert done.returncode == 2, done.stdout
    assert "keys.json is damaged" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("part", SLOWLY)
def test_a_command_waits_for_a_slow_part(
    part: str, around: Surroundings, service: Running
) -> None:
    """The service has made the tables of the log."""
    around.parts[part].set("slow")
    try:
        done = around.run(*SLOWLY[part])
    finally:
        around.parts[part].set("well")
    assert done.returncode == 0, done.stdout


def test_a_command_does_not_wait_for_minutes_by_default(around: Surroundings) -> None:
    around.parts["registry"].set("gone")
    try:
        began = time.monotonic()
        done = around.run("promote")
        assert time.monotonic() - began < 30
    finally:
        around.parts["registry"].set("well")
    assert done.returncode == 2, done.stdout
    assert around.run("models").returncode == 0
