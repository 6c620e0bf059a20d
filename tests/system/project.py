"""A project rendered from this checkout, set up and trained on this machine."""

import os
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import copier
from copier.errors import DirtyLocalWarning

ROOT = Path(__file__).parents[2]


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

    def uv(self, *arguments: str) -> str:
        """Run uv in the project; its output, or a failure that shows what it said."""
        # The environment that runs these tests is not the project's.
        environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
        done = subprocess.run(
            ["uv", *arguments],
            check=False,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise AssertionError(f"uv {' '.join(arguments)} failed:\n{done.stdout}")
        return done.stdout

    def cli(self, *arguments: str) -> str:
        return self.uv("run", "--locked", self.slug, *arguments)


def render(folder: Path, answers: Mapping[str, str]) -> Project:
    """Copy this checkout's template, uncommitted work included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)
        worker = copier.run_copy(
            str(ROOT),
            folder,
            data={"project_name": "Harbour Pilot", **answers},
            defaults=True,
            quiet=True,
            vcs_ref="HEAD",
        )
    return Project(folder, str(worker.answers.combined["project_slug"]))


def copy(project: Project, folder: Path) -> Project:
    """The same project elsewhere, without what it made: environment, data, runs."""
    made = shutil.ignore_patterns(".venv", "data", "store", "mlruns", "__pycache__")
    shutil.copytree(project.folder, folder, ignore=made)
    return Project(folder, project.slug)
