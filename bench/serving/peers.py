"""The measured servers: how to install and start each, and how to encode its requests."""

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.environments import peer_environment, run_command
from bench.serving.load import RequestSet, encode_request
from bench.serving.project import MODELS, NAME, TARGET, Project, Record
from bench.serving.servers import QUIET, Server

APPS = Path(__file__).parent / "apps"
OURS, TUTORIAL, FEATURED = "emitted", "tutorial", "featured"
CONSTANT, THROUGH = "constant", "through"


def as_is(record: Record) -> object:
    return record


def as_record(record: Record) -> object:
    return {"record": record}


def as_records(record: Record) -> object:
    return {"records": [record]}


def as_frame(record: Record) -> object:
    return {"dataframe_records": [record]}


@dataclass(frozen=True)
class Peer:
    """A server to measure. The command and the settings may contain {port}, {bin}, {model} and others: see `start`."""

    name: str
    title: str
    environment: Path
    command: tuple[str, ...]
    json_path: tuple[str | int, ...]
    """Leads to the probability in a response."""
    folder: Path = APPS
    path: str = "/predict"
    health: str = "/healthz"
    ready: str = ""
    """The path of the readiness endpoint, if it is not that of `health`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[Record], object] = as_is
    models: tuple[str, ...] = MODELS
    constant: bool = False
    """Whether it responds without a model, so that there is nothing to compare."""
    prepare: tuple[str, ...] = ()
    """A command to run before each start."""

    def start(self, model: str, project: Project, work: Path) -> Server:
        """Start the server with a model on a free port, and wait until it is ready."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        placeholders = {
            "bin": str(self.environment / "bin"),
            "model": str(project.estimator(model)),
            "name": model,
            "port": str(port),
            "store": str(project.store(model)),
            "work": str(work),
        }

        def fill(words: tuple[str, ...]) -> list[str]:
            return [word.format(**placeholders) for word in words]

        settings = {
            name: text.format(**placeholders) for name, text in self.settings.items()
        }
        settings["PATH"] = f"{placeholders['bin']}{os.pathsep}{os.environ['PATH']}"
        if self.prepare:
            run_command(self.folder, fill(self.prepare), {**QUIET, **settings})
        return Server(
            fill(self.command),
            port,
            RequestSet([encode_request("GET", self.ready or self.health)]),
            self.folder,
            work / f"{self.name}.log",
            settings,
        )

    def request_set(
        self, records: list[Record], predictions: list[float]
    ) -> RequestSet:
        """Return one request for each record, with the predictions to compare the responses with."""
        headers = dict(self.headers)
        bodies = [json.dumps(self.body(record)).encode() for record in records]
        requests = [encode_request("POST", self.path, headers, body) for body in bodies]
        return RequestSet(
            requests, [] if self.constant else predictions, self.json_path
        )

    def probe(self) -> RequestSet:
        return RequestSet([encode_request("GET", self.health)])


def emitted_peers(project: Project) -> list[Peer]:
    """Return the emitted service, and two constants that show what its server costs without a model."""
    settings = {"STORE": "{store}", "HOST": "127.0.0.1", "PORT": "{port}"}
    # All connections belong to one caller, whose requests are counted but never limited.
    settings |= {"RATE_PER_SECOND": "1000000", "RATE_BURST": "1000000"}

    def emitted_peer(name: str, title: str, path: str, *command: str) -> Peer:
        constant = path != "/predict"
        return Peer(
            name,
            title,
            project.serving,
            ("{bin}/" + command[0], *command[1:]),
            ("probabilities", "yes"),
            project.folder,
            path,
            ready="/readyz",
            headers=project.headers,
            settings=settings,
            models=MODELS[:1] if constant else MODELS,
            constant=constant,
        )

    script = str(APPS / "constant.py")
    return [
        emitted_peer(OURS, "the emitted service", "/predict", NAME, "serve"),
        emitted_peer(
            THROUGH,
            "its front and a FastAPI route, a constant",
            "/through",
            "python",
            script,
        ),
        emitted_peer(
            CONSTANT,
            "its uvicorn, a constant in plain ASGI",
            "/constant",
            "python",
            script,
        ),
    ]


def tutorial_peer(environment: Path) -> Peer:
    """Return the service that tutorials show."""
    uvicorn = "{bin}/python -m uvicorn tutorial:app --no-access-log --port {port}"
    return Peer(
        TUTORIAL,
        "the tutorial: FastAPI, a one-row DataFrame",
        environment,
        tuple(uvicorn.split()),
        ("probability",),
        settings={"MODEL": "{model}"},
    )


def other_peers(model_versions: list[str]) -> list[Peer]:
    """Return all other servers, each in an environment of its own."""
    model, plain = {"MODEL": "{model}"}, ("probability",)
    featured = "{bin}/python -m uvicorn featured:app --no-access-log --port {port}"
    bento = "{bin}/bentoml serve bento:%s --host 127.0.0.1 --port {port}"
    lit = "{bin}/python lit.py %s {port}"
    mlflow = "{bin}/mlflow models serve --env-manager local --workers 1"
    peers = [
        tutorial_peer(peer_environment(TUTORIAL, model_versions)),
        Peer(
            FEATURED,
            "the tutorial with the same features",
            peer_environment(FEATURED, model_versions),
            tuple(featured.split()),
            plain,
            headers={"X-API-Key": "bench"},
            settings={**model, "LOG_DATABASE": "{model}-{port}.sqlite"},
        ),
    ]
    for how in ("plain", "batched"):
        batched = how == "batched"
        peers.append(
            Peer(
                f"bentoml-{how}",
                f"BentoML, {how}",
                peer_environment("bentoml", model_versions),
                tuple((bento % how.capitalize()).split()),
                (0,) if batched else plain,
                settings=model,
                body=as_records if batched else as_record,
            )
        )
        peers.append(
            Peer(
                f"litserve-{how}",
                f"LitServe, {how}",
                peer_environment("litserve", model_versions),
                tuple((lit % how).split()),
                plain,
                health="/health",
                settings=model,
            )
        )
    peers.append(
        Peer(
            "mlflow",
            "mlflow models serve",
            peer_environment("mlflow", model_versions),
            (
                *mlflow.split(),
                *("-m", "{work}/mlflow-{name}", "-h", "127.0.0.1", "-p", "{port}"),
            ),
            ("predictions", 0, 1),
            path="/invocations",
            health="/ping",
            prepare=(
                "{bin}/python",
                "save_mlflow.py",
                "{model}",
                "{work}/mlflow-{name}",
            ),
            body=as_frame,
        )
    )
    return peers


def without_target(records: list[Record]) -> list[Record]:
    return [
        {name: value for name, value in record.items() if name != TARGET}
        for record in records
    ]
