"""What an update does to a project beyond rendering: a function per version.

Copier carries an edit over to the file of the same name. A file that moves or goes would
lose it, unless the project's own file moves first, and that is what a function here is
for. It says what it does and why, and does nothing the second time. CONTRIBUTING.md shows
how one is added. Whatever Python runs Copier runs this: only the standard library is
imported.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

Step = Callable[[Path], None]

# Version -> what its update does before the new files are rendered, in order.
STEPS: dict[str, list[Step]] = {}
ANSWERS_FILE = ".copier-answers.yml"


def before(version: str) -> Callable[[Step], Step]:
    """Register a step of the update that crosses `version`."""

    def register(step: Step) -> Step:
        STEPS.setdefault(version, []).append(step)
        return step

    return register


def move(project: Path, old: str, new: str) -> None:
    """Move a file that its owner edited; a conflict then shows the edits beside the new text.

    Without edits nothing is to be done: Copier takes the old one away, and brings the new.
    Where the owner has a file of the new name, it stays, and the old one is kept as FILE.kept.
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
    """Keep a file that its owner edited and that is Slipway's no longer, as FILE.kept."""
    move(project, old, f"{old}.kept")


@cache
def rendered(project: Path) -> dict[str, bytes]:
    """The project as it was rendered last; empty where that cannot be told, so that every file counts as edited."""
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


def run(version: str, project: Path) -> None:
    """Do all that crossing `version` asks for, telling each step's purpose."""
    for step in STEPS[version]:
        print(f"{version}: {(step.__doc__ or step.__name__).splitlines()[0]}")
        step(project)


if __name__ == "__main__":
    # Copier runs this in the project, once for each version that the update crosses.
    run(os.environ["VERSION_CURRENT"], Path.cwd())
