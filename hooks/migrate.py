"""Migrations: functions that move a project's files before an update renders new ones.

Copier merges an owner's edits only into the file of the same name. If a release moves or
removes a file, those edits are lost unless the project's file moves first. Each function
here does that for one file. Its docstring says what it moves and why, and running it a
second time changes nothing. CONTRIBUTING.md shows how to add one. This module runs under
Copier's Python, so it imports only the standard library.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

Step = Callable[[Path], None]

# Version -> its steps, which run in this order before the new files are rendered.
STEPS: dict[str, list[Step]] = {}
ANSWERS_FILE = ".copier-answers.yml"


def before(version: str) -> Callable[[Step], Step]:
    """Register a step for updates that cross `version`."""

    def register(step: Step) -> Step:
        STEPS.setdefault(version, []).append(step)
        return step

    return register


def move(project: Path, old: str, new: str) -> None:
    """Move a file that its owner edited; the update then shows the edits and the new text as a conflict.

    A file without edits is left to Copier, which deletes it and creates the new one.
    If the owner already has a file at `new`, that file stays and the old one becomes
    FILE.kept.
    """
    if not (project / old).exists():
        return
    if rendered(project).get(old) == (project / old).read_bytes():
        return
    if (project / new).exists():
        new = f"{old}.kept"
    while (project / new).exists():
        new += ".kept"
    (project / new).parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "mv", "--", old, new], cwd=project, check=True)


def keep(project: Path, old: str) -> None:
    """Rename a file that its owner edited and the template no longer has to FILE.kept."""
    move(project, old, f"{old}.kept")


@cache
def rendered(project: Path) -> dict[str, bytes]:
    """Return the project's files as last rendered: path -> content.

    Return nothing if Copier cannot render them again; every file then counts as edited.
    """
    template = Path(__file__).resolve().parents[1]
    version = os.environ.get("VERSION_FROM", "")
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults"]
    command += ["--vcs-ref", version, "--data-file", str(project / ANSWERS_FILE)]
    with TemporaryDirectory(prefix="slipway-before-") as name:
        folder = Path(name)
        command += [str(template), name]
        if not version or subprocess.run(command, check=False).returncode:
            return {}
        files = (path for path in folder.rglob("*") if path.is_file())
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def in_kit(project: Path, path: str) -> str:
    """Return the path of a file of the package's kit, relative to the project."""
    kit = next((project / "src").glob("*/kit"), project / "src" / "package" / "kit")
    return (kit / path).relative_to(project).as_posix()


@before("0.4.0")
def parts_moved(project: Path) -> None:
    """Move the service's optional parts to kit/serve/parts/: each is found there."""
    parts = {name: f"parts/{name}" for name in ("auth.py", "journal.py", "tracing.py")}
    for old, new in {**parts, "shared.py": "parts/limits.py"}.items():
        move(project, in_kit(project, f"serve/{old}"), in_kit(project, f"serve/{new}"))
    keep(project, in_kit(project, "serve/parts.py"))


def run(version: str, project: Path) -> None:
    """Run the steps registered for `version`, and print the purpose of each."""
    for step in STEPS[version]:
        print(f"{version}: {(step.__doc__ or step.__name__).splitlines()[0]}")
        step(project)


if __name__ == "__main__":
    # Copier runs this in the project's folder, once for each version that the update crosses.
    run(os.environ["VERSION_CURRENT"], Path.cwd())
