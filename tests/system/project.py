"""A project rendered from this checkout, set up and trained on this machine."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.real import lend_bytecode
from tests.rendering import ANSWERS_FILE, render

# Whatever else is answered, this is what trains and what a store holds.
TRAINED = {"project_name": "Harbour Pilot", "preset": "starter", "engine": "plan"}
# The smallest project that has an image.
ANSWERS = {**TRAINED, "container": "docker", "prediction_log": "sqlite"}


@dataclass(frozen=True)
class Project:
    """A rendered project; commands run in it as its owner would run them."""

    folder: Path
    slug: str

    @property
    def package(self) -> Path:
        return self.folder / "src" / self.slug.replace("-", "_")

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def dockerfile(self) -> str:
        return (self.folder / "Dockerfile").read_text()

    def uv(self, *arguments: str, **settings: str) -> None:
        """Run uv in the project; a failure shows what it said."""
        # The environment that runs these tests is not the project's.
        environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
        environment |= settings
        done = subprocess.run(
            ["uv", *arguments],
            check=False,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"uv {' '.join(arguments)} failed:\n{done.stdout}"

    def cli(self, *arguments: str, **settings: str) -> None:
        """Run a verb of the project's own command line."""
        self.uv("run", "--locked", self.slug, *arguments, **settings)


def make(folder: Path, answers: Mapping[str, str]) -> Project:
    """Render a project and lock it, as `make setup` does for its owner."""
    render(folder, answers)
    recorded = yaml.safe_load((folder / ANSWERS_FILE).read_text())
    project = Project(folder, recorded["project_slug"])
    project.uv("lock", "--quiet")
    return project


def install(folder: Path, answers: Mapping[str, str]) -> Project:
    """Render a project, and install all that it declares."""
    project = make(folder, answers)
    project.uv("sync", "--locked", "--quiet")
    lend_bytecode(folder)
    return project


def with_store(folder: Path, answers: Mapping[str, str], trained: Project) -> Project:
    """An installed project that serves what another one of the same schema has trained."""
    project = install(folder, {**TRAINED, **answers})
    shutil.copytree(trained.store, project.store)
    shutil.copytree(trained.folder / "signing", folder / "signing")
    return project
