"""The engine and the images, once for the whole session."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .engine import Engine, missing_parts
from .project import Project, render
from .stand_ins import base_images, provide


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
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with an image, rendered from this checkout and locked."""
    if shutil.which("uv") is None:
        pytest.skip("no uv on PATH: pip install uv")
    folder = tmp_path_factory.mktemp("image") / "project"
    project = render(folder, {"preset": "custom", "container": "docker"})
    project.uv("lock", "--quiet")
    return project


@pytest.fixture(scope="session")
def image(engine: Engine, project: Project) -> Iterator[str]:
    """The project's image, built from its Dockerfile on stand-in base images."""
    for base in base_images((project.folder / "Dockerfile").read_text()):
        provide(engine, base)
    engine.build(project.folder, project.slug)
    yield project.slug
    engine.docker("image", "rm", "--force", project.slug)
