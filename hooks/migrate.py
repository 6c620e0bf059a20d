"""What an update does to a project beyond rendering: a function per version.

Copier carries an edit over to the file of the same name. A file that moves would lose it,
unless the project's own file moves first, and that is what a function here is for. It
says what it does and why, and does nothing the second time. CONTRIBUTING.md shows how one
is added. Whatever Python runs Copier runs this: only the standard library is imported.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

Step = Callable[[Path], None]

# Version -> what its update does before the new files are rendered, in order.
STEPS: dict[str, list[Step]] = {}


def before(version: str) -> Callable[[Step], Step]:
    """Register a step of the update that crosses `version`."""

    def register(step: Step) -> Step:
        STEPS.setdefault(version, []).append(step)
        return step

    return register


def move(project: Path, old: str, new: str) -> None:
    """Move a file with its owner's edits; a conflict then shows them beside the new text."""
    if not (project / old).exists() or (project / new).exists():
        return
    (project / new).parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "mv", "--", old, new], cwd=project, check=True)


def run(version: str, project: Path) -> None:
    """Do all that crossing `version` asks for, telling each step's purpose."""
    for step in STEPS[version]:
        print(f"{version}: {(step.__doc__ or step.__name__).splitlines()[0]}")
        step(project)


if __name__ == "__main__":
    # Copier runs this in the project, once for each version that the update crosses.
    run(os.environ["VERSION_CURRENT"], Path.cwd())
