"""A bare copy of this repository on a machine that has no uv, Copier or pipx."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.releases import git
from tests.rendering import ROOT

MISSING = ("uv", "copier", "pipx")


def bare_path() -> str:
    """PATH without the folders that hold what a bare machine lacks."""
    folders = os.environ["PATH"].split(os.pathsep)
    bare = [f for f in folders if not any(Path(f, name).exists() for name in MISSING)]
    path = os.pathsep.join(bare)
    for tool in ("bash", "git", "make", "python3"):
        assert shutil.which(tool, path=path), f"{tool} is only beside uv or Copier"
    return path


def bare_environment() -> dict[str, str]:
    """What such a machine sets: nothing of the run that this test is part of.

    Nor CI, where an emitted project refuses to go on without a lock of its own.
    """
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "REQUIRE_ALL", "CI"}
    kept = {
        name: text
        for name, text in os.environ.items()
        if name not in ours and not name.startswith(("MAKE", "MFLAGS", "PYTEST"))
    }
    return kept | {"PATH": bare_path()}


def today(folder: Path) -> "Checkout":
    """This repository as git would hand it to a stranger, today's work included."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for path in filter(None, listed.split("\0")):
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all of it")
    return Checkout(folder)


@dataclass(frozen=True)
class Checkout:
    """A copy of this repository, and what a person types in it."""

    folder: Path

    def new(self, dest: str, *settings: str) -> subprocess.CompletedProcess[str]:
        """Run `make new`, where nobody can answer a question."""
        return subprocess.run(
            ["make", "new", f"DEST={dest}", *settings],
            check=False,
            cwd=self.folder,
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
