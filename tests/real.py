"""Emitted projects that are really installed, and what their owners run in them.

In each run at least one of them is cold: nothing is lent to it. The others borrow what that one has to make itself, byte
code and mypy's cache, since making it costs more than the checks.
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.checkout import bare_environment
from tests.checks import environment
from tests.rendering import ROOT


def run(folder: Path, *command: str, bare: bool = False, **settings: str) -> str:
    """Run a command in a project as its owner would; its output.

    `bare`: on a machine that has no uv.
    """
    variables = bare_environment()
    if not bare:
        variables["PATH"] += f"{os.pathsep}{ROOT / '.tools' / 'bin'}"
        variables["PATH"] += f"{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=variables | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}"
    return done.stdout


def lend_bytecode(project: Path, prefix: Path | None = None) -> None:
    """Link the byte code of the matrix's environment, if that is complete, into a project's environment.

    Both hold the files of uv's cache. Python compares byte code with the time and size of its source, so it compiles
    again where the versions differ. Without this, the imports of each new environment are compiled for 20 CPU seconds.

    A project that is not installed yet is lent it under `prefix`, for a process that has PYTHONPYCACHEPREFIX set to that.
    """
    for complete in environment.FOLDER.glob("*/complete"):
        for source in complete.parent.glob("lib/python*/site-packages"):
            target = project / ".venv" / source.relative_to(complete.parent)
            for folder, _, files in os.walk(source):
                if not folder.endswith("__pycache__"):
                    continue
                place = target / Path(folder).relative_to(source)
                if prefix:
                    place = prefix / place.parent.relative_to("/")
                elif not place.parent.is_dir():
                    continue
                place.mkdir(parents=True, exist_ok=True)
                for name in files:
                    # What is there is newer. Another file system takes no link, and then nothing is saved.
                    with suppress(OSError):
                        os.link(os.path.join(folder, name), place / name)


def lend_caches(base: Path) -> dict[str, str]:
    """Environment variables of what is run in a project that is not the cold one.

    The projects of one process share mypy's cache: of a library's types there is one content, wherever it is installed.
    And they do without threads, which compete with the other process of the run.
    """
    return {"MYPY_CACHE_DIR": str(base / "mypy"), "OMP_NUM_THREADS": "1"}
