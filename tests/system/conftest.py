"""The engine and one trained project, each once for all files of this folder."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import postgres
from .engine import Engine, missing_parts
from .project import TRAINED, Project, install


def _home() -> Path:
    """Where images and build cache are kept between sessions."""
    cache = os.environ.get("SLIPWAY_CACHE")
    return Path(cache or "~/.cache/slipway-docker").expanduser().resolve()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A running Docker Engine, stopped without a trace when the session ends."""
    if absent := missing_parts():
        pytest.skip(absent)
    engine = Engine(_home())
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="session")
def real_parts() -> None:
    """Skip on a machine without any real part: what needs only uv is not worth its minutes there."""
    absent = (missing_parts(), postgres.missing_parts())
    if all(absent) and shutil.which("redis-server") is None:
        pytest.skip("; ".join(filter(None, absent)))
    if shutil.which("uv") is None:
        pytest.skip("no uv on PATH: pip install uv")


@pytest.fixture(scope="session")
def trained(real_parts: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first version is the champion. Its store is to be copied, never changed.

    Two processes that share the tests share this too: the first to come makes it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, complete = shared / "trained", shared / "trained.complete"
    with (shared / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists():
            return Project(folder, complete.read_text())
        # What a process began that failed is no help.
        shutil.rmtree(folder, ignore_errors=True)
        project = install(folder, TRAINED)
        for verb in ("fetch", "train", "promote"):
            project.cli(verb, OMP_NUM_THREADS="1")
        complete.write_text(project.slug)
        return project
