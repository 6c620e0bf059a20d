"""Who is measured: how each is installed, started and asked."""

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.environments import call, peer
from bench.serving.load import Question, wire
from bench.serving.project import MODELS, NAME, TARGET, Project, Record
from bench.serving.servers import QUIET, Server

APPS = Path(__file__).parent / "apps"
OURS, TUTORIAL, FEATURED = "emitted", "tutorial", "featured"
CONSTANT, THROUGH = "constant", "through"


def as_it_is(record: Record) -> object:
    return record


def as_record(record: Record) -> object:
    return {"record": record}


def as_records(record: Record) -> object:
    return {"records": [record]}


def as_frame(record: Record) -> object:
    return {"dataframe_records": [record]}


@dataclass(frozen=True)
class Peer:
    """One server. Its command may name its {port}, its {bin}, the {model} and others: see `start`."""

    name: str
    title: str
    environment: Path
    command: tuple[str, ...]
    place: tuple[str | int, ...]
    folder: Path = APPS
    path: str = "/predict"
    health: str = "/healthz"
    ready: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[Record], object] = as_it_is
    models: tuple[str, ...] = MODELS
    constant: bool = False
    prepare: tuple[str, ...] = ()
    """A command that comes before it, once for each model."""

    def start(self, model: str, project: Project, work: Path) -> Server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        known = {
            "bin": str(self.environment / "bin"),
            "model": str(project.estimator(model)),
            "name": model,
            "port": str(port),
            "store": str(project.store(model)),
            "work": str(work),
        }

        def filled(words: tuple[str, ...]) -> list[str]:
            return [word.format(**known) for word in words]

        settings = {name: text.format(**known) for name, text in self.settings.items()}
        settings["PATH"] = f"{known['bin']}{os.pathsep}{os.environ['PATH']}"
        if self.prepare:
            call(self.folder, filled(self.prepare), {**QUIET, **settings})
        return Server(
            filled(self.command),
            port,
            Question([wire("GET", self.ready or self.health)]),
            self.folder,
            work / f"{self.name}.log",
            settings,
        )

    def question(self, records: list[Record], expected: list[float]) -> Question:
        told = dict(self.headers)
        wires = [
            wire("POST", self.path, told, json.dumps(self.body(record)).encode())
            for record in records
        ]
        return Question(wires, [] if self.constant else expected, self.place)

    def probe(self) -> Question:
        return Question([wire("GET", self.health)])


def emitted(project: Project) -> list[Peer]:
    """The service, and what the same server costs without a model."""
    settings = {"STORE": "{store}", "HOST": "127.0.0.1", "PORT": "{port}"}
    # All connections are one caller's, which is counted and never refused.
    settings |= {"RATE_PER_SECOND": "1000000", "RATE_BURST": "1000000"}

    def ours(name: str, title: str, path: str, *command: str) -> Peer:
        constant = path != "/predict"
        return Peer(
            name,
            title,
            project.serves,
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
        ours(OURS, "the emitted service", "/predict", NAME, "serve"),
        ours(
            THROUGH,
            "its front and a FastAPI route, a constant",
            "/through",
            "python",
            script,
        ),
        ours(
            CONSTANT,
            "its uvicorn, a constant in plain ASGI",
            "/constant",
            "python",
            script,
        ),
    ]


def tutorial(environment: Path) -> Peer:
    uvicorn = "{bin}/python -m uvicorn tutorial:app --no-access-log --port {port}"
    return Peer(
        TUTORIAL,
        "the tutorial: FastAPI, a one-row DataFrame",
        environment,
        tuple(uvicorn.split()),
        ("probability",),
        settings={"MODEL": "{model}"},
    )


def others(exactly: list[str]) -> list[Peer]:
    """Everyone else, each in an environment of its own."""
    model, plain = {"MODEL": "{model}"}, ("probability",)
    featured = "{bin}/python -m uvicorn featured:app --no-access-log --port {port}"
    bento = "{bin}/bentoml serve bento:%s --host 127.0.0.1 --port {port}"
    lit = "{bin}/python lit.py %s {port}"
    made = [
        tutorial(peer(TUTORIAL, exactly)),
        Peer(
            FEATURED,
            "the tutorial with the same features",
            peer(FEATURED, exactly),
            tuple(featured.split()),
            plain,
            headers={"X-API-Key": "bench"},
            settings={**model, "LOG_DATABASE": "{model}-{port}.sqlite"},
        ),
    ]
    for how in ("plain", "batched"):
        batched = how == "batched"
        made.append(
            Peer(
                f"bentoml-{how}",
                f"BentoML, {how}",
                peer("bentoml", exactly),
                tuple((bento % how.capitalize()).split()),
                (0,) if batched else plain,
                settings=model,
                body=as_records if batched else as_record,
            )
        )
        made.append(
            Peer(
                f"litserve-{how}",
                f"LitServe, {how}",
                peer("litserve", exactly),
                tuple((lit % how).split()),
                plain,
                health="/health",
                settings=model,
            )
        )
    made.append(
        Peer(
            "mlflow",
            "mlflow models serve",
            peer("mlflow", exactly),
            (
                *[
                    "{bin}/mlflow",
                    "models",
                    "serve",
                    "--env-manager",
                    "local",
                    "--workers",
                    "1",
                ],
                *["-m", "{work}/mlflow-{name}", "-h", "127.0.0.1", "-p", "{port}"],
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
    return made


def without_target(records: list[Record]) -> list[Record]:
    return [{n: v for n, v in record.items() if n != TARGET} for record in records]
