"""Starting a project with its owner's table instead of the demo's."""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from slipway.project import CHECKOUT, Project
from slipway.refusal import Refusal

# What `make new` sets for itself must not reach the new project's Makefile; nor may CI,
# where that Makefile insists on a lock, which a project that was just made cannot have.
OURS = frozenset(
    [
        "ARGS",
        "CI",
        "DATA",
        "DEST",
        "FROM",
        "MAKEFLAGS",
        "MAKELEVEL",
        "MAKEOVERRIDES",
        "MFLAGS",
        "REF",
        "TARGET",
        "VIRTUAL_ENV",
    ]
)


@dataclass(frozen=True)
class Table:
    """A file that exists, and the column to predict."""

    path: Path
    target: str

    @classmethod
    def checked(cls, path: str, target: str) -> Self | None:
        """Refuse half a request; None where there is none."""
        if not path and not target:
            return None
        if not target:
            raise Refusal(
                f"DATA={path} needs the column to predict, as in: TARGET=churned"
            )
        if not path:
            raise Refusal(f"TARGET={target} needs a table, as in: DATA=churn.csv")
        file = Path(path).expanduser().absolute()
        if not file.is_file():
            raise Refusal(f"DATA={path} is not a file. Give a CSV or Parquet file.")
        return cls(file, target)


def uv() -> str:
    """Where uv is: on PATH, or where the Makefile puts it."""
    return shutil.which("uv") or str(CHECKOUT / ".tools" / "bin" / "uv")


def adopt(table: Table, project: Project) -> None:
    """Set the new project up, and let it adopt the table."""
    environment = {name: text for name, text in os.environ.items() if name not in OURS}
    environment["PATH"] = f"{Path(uv()).parent}{os.pathsep}{environment['PATH']}"
    command = [uv(), "run", "python", "tools/adopt.py", str(table.path)]
    command += ["--target", table.target]
    for step in (["make", "setup"], command):
        if subprocess.run(
            step, check=False, cwd=project.folder, env=environment
        ).returncode:
            raise Refusal(
                f"the project is in {project.folder}, but '{shlex.join(step)}' failed "
                "there, as it says above. Mend the cause, then run:\n"
                f"  cd {shlex.quote(str(project.folder))} && make setup && "
                f"{shlex.join(command)}"
            )
