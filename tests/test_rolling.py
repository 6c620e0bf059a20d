"""During a rolling deployment an earlier release and the current one share a store, keys and a log, and a project keeps them after its update."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from packaging.version import Version

from tests.checks.environment import environment
from tests.drawn import SEED
from tests.releases import Follower
from tests.system.project import Project
from tests.system.service import Service, serving
from tests.trees import template
from tests.update.history import History, available_releases, build_slipway

NAME = "harbour_pilot"
ANSWERS = {
    "project_name": "Harbour Pilot",
    "preset": "standard",
    "auth": "api_key",
    "limits": "memory",
    "prediction_log": "sqlite",
}
VERSIONS = list(available_releases())
DRAWN = Random(SEED).choice(VERSIONS) if VERSIONS else ""
LATER = pytest.mark.prove("each run draws one release, so that it does not grow")
EACH = [pytest.param(v, marks=[] if v == DRAWN else LATER) for v in VERSIONS]
JSON = {"Content-Type": "application/json"}
SIGNING = "0.3.0"
"""The first release that signs models, and that makes labelling for other callers a right."""


@pytest.fixture(scope="module")
def history(
    tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object
) -> History:
    return build_slipway(tmp_path_factory.mktemp("releases") / "template")


class Side:
    """A project of one release, with settings that say where its data are."""

    def __init__(self, project: Project, settings: Mapping[str, str]) -> None:
        self.project = project
        self.settings = {**settings, "PYTHONPATH": str(project.folder / "src")}

    def run(self, *words: str) -> str:
        """Run a command of the project, and return its output."""
        return self.python("-m", f"{NAME}.cli", *words)

    def python(self, *words: str) -> str:
        """Run the project's Python, and return its output."""
        python = self.project.folder / ".venv" / "bin" / "python"
        done = subprocess.run(
            [str(python), *words],
            cwd=self.project.folder,
            env={"PATH": "/usr/bin:/bin", **self.settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def export_labels(self, *columns: str) -> Any:
        """Export the labelled predictions, and return some of their columns."""
        self.run("export-log", "log.parquet", "--labelled")
        read = (
            "import pandas, sys; table = pandas.read_parquet('log.parquet').sort_values('request_id'); "
            "print(table[sys.argv[1:]].to_json(orient='values'))"
        )
        return json.loads(self.python("-c", read, *columns))

    def serve(self, log: Path) -> Any:
        """Run the service in a `with` block."""
        return serving(self.project, log, **self.settings)


def create_side(folder: Path, settings: Mapping[str, str]) -> Side:
    """Return the project in a folder, with the packages of the current lock."""
    python = environment(template(), NAME)
    venv = folder / ".venv"
    if not venv.exists():
        venv.symlink_to(python.parent.parent)
    return Side(Project(folder, "harbour-pilot"), settings)


def shared_settings(folder: Path) -> dict[str, str]:
    """Return the settings of projects that share the data in a folder."""
    return {
        "STORE": str(folder / "store"),
        "KEYS": str(folder / "keys" / "keys.json"),
        "LOG_DATABASE": str(folder / "predictions.db"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "ENVIRONMENT": "production",
    }


def read_example(project: Project) -> tuple[bytes, Any]:
    """Return a valid request body, and a label."""
    schema = yaml.safe_load((project.folder / "schema.yaml").read_text("utf-8"))
    columns = [c for c in schema["columns"] if c.get("input", True)]
    record = {column["name"]: column["example"] for column in columns}
    body = json.dumps(record, default=datetime.isoformat).encode()
    return body, schema["target"]["classes"][0]


def predict(service: Service, body: bytes, key: str) -> tuple[int, str]:
    """Request a prediction, and return the status and the model version."""
    answer = service.ask("POST", "/predict", body, {**JSON, "X-API-Key": key})
    return answer.status, answer.said.get("model_version", "")


def wait_for(
    service: Service, body: bytes, key: str, status: int, version: str
) -> None:
    """Wait for a status and version: services follow the store and the keys within a second."""
    end = time.monotonic() + 10
    while (actual := predict(service, body, key)) != (status, version):
        assert time.monotonic() < end, f"{actual} instead of {(status, version)}"
        time.sleep(0.1)


def wait_for_readiness(service: Service, text: str) -> None:
    """Wait until the body of /readyz contains a text."""
    end = time.monotonic() + 10
    while text not in (body := service.ask("GET", "/readyz").body.decode()):
        assert time.monotonic() < end, body
        time.sleep(0.1)


def signs_models(version: str) -> bool:
    return Version(version) >= Version(SIGNING)


@pytest.mark.parametrize("version", EACH)
def test_services_of_two_releases_follow_commands_of_both(
    version: str, history: History, tmp_path: Path
) -> None:
    settings = shared_settings(tmp_path / "shared")
    (tmp_path / "shared").mkdir()
    before, after = (
        create_side(Follower(history, tmp_path / name, ref, **ANSWERS).folder, settings)
        for name, ref in (("before", version), ("after", history.versions[-2]))
    )
    for verb in ("fetch", "train", "promote"):
        before.run(verb)
    first = before.run("keys", "add", "first").strip()
    # Both are checkouts of one repository, which contains the table and the public key.
    for name in ("data", "signing") if signs_models(version) else ("data",):
        copy = after.project.folder / name
        shutil.copytree(before.project.folder / name, copy, dirs_exist_ok=True)
    body, label = read_example(before.project)
    with (
        before.serve(tmp_path / "before.log") as old,
        after.serve(tmp_path / "after.log") as new,
    ):
        for service in (old, new):
            wait_for(service, body, first, 200, "1")
        # Commands of the current release reach the services of both.
        second = after.run("keys", "add", "second").strip()
        after.run("train")
        after.run("promote")
        for service in (old, new):
            wait_for(service, body, second, 200, "2")
        office = after.run("keys", "add", "office", "--labels").strip()
        later = before.run("keys", "add", "later").strip()
        for service in (old, new):
            for key in (office, later):
                wait_for(service, body, key, 200, "2")
        requests = {
            "a": (old, first),
            "b": (new, first),
            "c": (new, second),
            "d": (new, second),
        }
        for name, (service, key) in {
            **requests,
            "e": (old, first),
            "f": (old, second),
        }.items():
            send = {**JSON, "X-API-Key": key, "X-Request-ID": name}
            assert service.ask("POST", "/predict", body, send).status == 200
        for name, service, key in (
            ("a", new, office),
            ("b", new, second),
            ("c", new, second),
            ("d", new, first),
            ("e", old, later),
            ("f", new, later),
        ):
            feedback = json.dumps({"request_id": name, "label": label})
            send = {**JSON, "X-API-Key": key}
            assert service.ask("POST", "/feedback", feedback, send).status == 202
        # The promotion created the signing key, and signed the version that had served before.
        signed = tmp_path / "shared" / "store" / "versions"
        assert {path.parent.name for path in signed.glob("*/*.sig")} == {"1", "2"}
        # Commands of the earlier release, as after a revert.
        before.run("keys", "revoke", "first")
        before.run("rollback")
        for service in (old, new):
            wait_for(service, body, first, 401, "")
            wait_for(service, body, second, 200, "1")
        before.run("train")
        before.run("promote")
        wait_for(old, body, second, 200, "3")
        if not signs_models(version):
            # The earlier release promotes without a signature: the current service waits until the model is signed.
            wait_for_readiness(new, "version 3 isn't signed by this project's key")
            wait_for(new, body, second, 200, "1")
            after.run("sign", "--yes")
        wait_for(new, body, second, 200, "3")
        for service in (old, new):
            service.stop()
    rights = dict(re.findall(r"(\w+) .* (all|own) ", after.run("keys", "list")))
    labels = after.export_labels("request_id", "labelled_by")
    if signs_models(version):
        assert rights == {"second": "own", "office": "all", "later": "own"}
        assert labels == [["a", "office"], ["c", "second"]]
        assert before.export_labels("request_id", "labelled_by") == labels
        return
    # Keys of an earlier release may label everything. That release has neither labels of one caller only, nor the
    # sender of a label.
    assert rights == {"second": "own", "office": "all", "later": "all"}
    assert labels == [
        ["a", "office"],
        ["c", "second"],
        ["d", "first"],
        ["e", None],
        ["f", "later"],
    ]
    assert before.export_labels("request_id") == [["a"], ["d"], ["e"], ["f"]]


@pytest.mark.parametrize("version", EACH)
def test_a_project_keeps_serving_after_its_update(
    version: str, history: History, tmp_path: Path
) -> None:
    follower = Follower(history, tmp_path / "project", version, **ANSWERS)
    project = create_side(follower.folder, {})
    for verb in ("fetch", "train", "promote"):
        project.run(verb)
    key = project.run("keys", "add", "shop").strip()
    body, label = read_example(project.project)
    send = {**JSON, "X-API-Key": key}
    with project.serve(tmp_path / "before.log") as service:
        service.ask("POST", "/predict", body, {**send, "X-Request-ID": "before"})
        service.stop()
    follower.commit("the link to its packages")
    follower.update(ref=history.versions[-2])
    with project.serve(tmp_path / "after.log") as service:
        wait_for(service, body, key, 200, "1")
        if not signs_models(version):
            wait_for_readiness(
                service, "the model isn't signed, as this project has no key"
            )
        service.ask("POST", "/predict", body, {**send, "X-Request-ID": "after"})
        for name in ("before", "after"):
            feedback = json.dumps({"request_id": name, "label": label})
            assert service.ask("POST", "/feedback", feedback, send).status == 202
        service.stop()
    labels = project.export_labels("request_id", "labelled_by")
    assert labels == [["after", "shop"], ["before", "shop"]]
    right = "own" if signs_models(version) else "all"
    assert right in project.run("keys", "list"), "the key keeps its right to label"
