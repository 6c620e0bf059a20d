"""Every `run:` step of the emitted workflows, run as GitHub would run it."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import yaml

from tests.real import lend_bytecode, lend_caches
from tests.rendering import render

from .engine import NETWORK, Engine
from .stand_ins import base_images, provide
from .workflow_file import read_jobs
from .workflow_runner import JobRun, Machine, commit_all, make_repository, run_job

# The engine of these tests has no default network: a build takes the host's, which
# leads to the packages, and a container the engine's own.
DOCKER = f"""#!/bin/sh
case $1 in
build) shift; exec /usr/bin/docker build --network host "$@" ;;
run) shift; exec /usr/bin/docker run --network {NETWORK} "$@" ;;
esac
exec /usr/bin/docker "$@"
"""


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The standard project, which has every workflow and every step."""
    return render(tmp_path_factory.mktemp("workflow") / "project", {})


@pytest.fixture(scope="module")
def uv() -> Path:
    found = shutil.which("uv")
    if found is None:
        pytest.skip("no uv on PATH: pip install uv")
    return Path(found)


@pytest.fixture(scope="module")
def machine(
    real_parts: None, uv: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """A runner with uv's cache, and that of mypy and Python, as an earlier run left them."""
    cache = subprocess.run(
        [uv, "cache", "dir"], check=True, stdout=subprocess.PIPE, text=True
    )
    environment = {
        **lend_caches(tmp_path_factory.getbasetemp()),
        "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode")),
    }
    cached = Path(cache.stdout.strip())
    return Machine(uv=uv, uv_cache=cached, environment=environment)


@pytest.fixture(scope="module")
def repository(
    standard: Path, uv: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    into = tmp_path_factory.mktemp("repository") / "project"
    return make_repository(standard, into, uv)


@pytest.fixture
def docker(
    engine: Engine, repository: Path, machine: Machine, tmp_path: Path
) -> Iterator[Machine]:
    """The runner with an engine, the base images and a `docker` that leads there."""
    for base in base_images((repository / "Dockerfile").read_text(encoding="utf-8")):
        provide(engine, base)
    tool = tmp_path / "tools" / "docker"
    tool.parent.mkdir()
    tool.write_text(DOCKER, encoding="utf-8")
    tool.chmod(0o755)
    names = ("DOCKER_HOST", "DOCKER_BUILDKIT", "DOCKER_CONFIG")
    client = {name: engine.environment[name] for name in names}
    environment = {**machine.environment, **client}
    yield replace(machine, environment=environment, tools=[tool.parent])
    engine.try_docker("rm", "--force", "--volumes", "service")
    engine.try_docker("image", "rm", "--force", "service")


def run(repository: Path, name: str, scratch: Path, machine: Machine) -> JobRun:
    """Run the job `name`, written file/job, to its end or its first failure."""
    file, _, job = name.partition("/")
    jobs = read_jobs(repository / ".github" / "workflows" / file)
    prefix = Path(machine.environment["PYTHONPYCACHEPREFIX"])
    lend_bytecode(scratch / job / "workspace", prefix)
    return run_job(jobs[job], repository, scratch, machine)


CI_JOBS = ("ci.yml/lint", "ci.yml/test", "ci.yml/train")
IMAGE_JOB = "image.yml/image"
UPDATE_JOBS = {"update.yml/prepare", "update.yml/propose"}
"""tests/system/test_update_workflow.py runs it, on a project that can be updated."""


@pytest.mark.parametrize("name", CI_JOBS)
def test_a_job_of_ci_passes(
    repository: Path, machine: Machine, tmp_path: Path, name: str
) -> None:
    done = run(repository, name, tmp_path, machine)
    assert done.failed is None, done.output
    assert done.ran


def test_the_image_is_built_and_answers(
    repository: Path, docker: Machine, tmp_path: Path
) -> None:
    done = run(repository, IMAGE_JOB, tmp_path, docker)
    assert done.failed is None, done.output
    assert done.ran


def test_no_project_has_a_step_that_the_standard_one_lacks(
    standard: Path, tmp_path: Path
) -> None:
    """So the jobs above ran every script that any answers can bring about."""
    ran = _scripts(standard)
    assert ran.keys() == {*CI_JOBS, IMAGE_JOB, *UPDATE_JOBS}
    answers = product(("dvc", "none"), ("docker", "none"), ("black", "ruff"))
    for number, (versioning, container, formatter) in enumerate(answers):
        project = render(
            tmp_path / str(number),
            {
                "preset": "custom",
                "data_versioning": versioning,
                "container": container,
                "formatter": formatter,
            },
        )
        for name, scripts in _scripts(project).items():
            assert scripts <= ran[name]


def _scripts(folder: Path) -> dict[str, set[str]]:
    return {
        f"{file.name}/{name}": {step.run for step in job.steps if step.run}
        for file in (folder / ".github" / "workflows").iterdir()
        for name, job in read_jobs(file).items()
    }


def test_a_missing_lock_is_named_and_not_made(
    repository: Path, machine: Machine, tmp_path: Path
) -> None:
    clone = _clone(repository, tmp_path)
    (clone / "uv.lock").unlink()
    commit_all(clone)
    done = run(clone, "ci.yml/lint", tmp_path / "run", machine)
    assert done.failed is not None
    assert done.failed.run == "make setup"
    assert "uv.lock is missing" in done.output


def test_data_that_are_not_in_git_are_named(
    repository: Path, machine: Machine, tmp_path: Path
) -> None:
    """An owner's table is in no clone unless DVC or a database gives it."""
    clone = _clone(repository, tmp_path)
    table = tmp_path / "visits.csv"
    rows = (f"{n},{'red' if n % 3 else 'blue'},{n % 2}" for n in range(200))
    table.write_text("\n".join(("weight,colour,came", *rows)), encoding="utf-8")
    adopt = ("python", "tools/adopt.py", str(table), "--target", "came")
    subprocess.run([machine.uv, "run", "--locked", *adopt], cwd=clone, check=True)
    commit_all(clone)
    done = run(clone, "ci.yml/train", tmp_path / "run", machine)
    assert done.failed is not None, done.output
    assert done.failed.run == "make train"
    params = yaml.safe_load((clone / "params.yaml").read_text(encoding="utf-8"))
    assert params["data"]["source"] in done.output
    assert "Traceback" not in done.output


def test_training_can_be_left_out_of_ci(
    repository: Path, machine: Machine, tmp_path: Path
) -> None:
    off = replace(machine, settings={"TRAIN_IN_CI": "off"})
    assert run(repository, "ci.yml/train", tmp_path, off).skipped


def _clone(repository: Path, folder: Path) -> Path:
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", repository, clone], check=True)
    return clone
