"""mypy has nothing to say of any project, with all that it declares installed.

What one module says of another decides, so that a run reads all Python files of a project. Runs share what mypy keeps of the
libraries.
"""

import json
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.checks import environment
from tests.checks.style import toml
from tests.matrix.project import Project
from tests.matrix.verdicts import Check, Problems
from tests.ownership import PACKAGE


@dataclass(frozen=True)
class Sources:
    """All that decides what mypy says."""

    files: tuple[tuple[str, bytes], ...]
    settings: str
    python: Path
    installed: tuple[str, ...]


def mypy_settings(pyproject: bytes) -> str:
    """What mypy is told."""
    return json.dumps(tomllib.loads(pyproject.decode())["tool"]["mypy"], sort_keys=True)


def typed(project: Project, _: str) -> Sources:
    """What mypy reads."""
    files = tuple((p, project.content(p) or b"") for p in project.files("*.py"))
    settings = project.view("pyproject.toml", mypy_settings) or ""
    python = environment.environment(project.template, PACKAGE)
    return Sources(files, settings, python, environment.installed(python))


def mypy(plans: Sequence[Sources]) -> dict[Sources, Problems]:
    """What mypy finds in each project."""
    found: dict[Sources, Problems] = {}
    with tempfile.TemporaryDirectory(prefix="slipway-types-") as kept:
        for plan in plans:
            with tempfile.TemporaryDirectory(prefix="slipway-types-") as folder:
                for path, content in plan.files:
                    Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
                    Path(folder, path).write_bytes(content)
                tables = toml("tool.mypy", json.loads(plan.settings))
                Path(folder, "pyproject.toml").write_text("\n".join(tables), "utf-8")
                done = subprocess.run(
                    [
                        plan.python,
                        "-m",
                        "mypy",
                        "--cache-dir",
                        kept,
                        "--no-error-summary",
                    ],
                    check=False,
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    env=environment.plain(),
                )
                said = tuple((done.stdout + done.stderr).splitlines())
                found[plan] = said if done.returncode else ()
    return found


CHECKS = (Check("mypy", typed, settle=mypy, slow=True),)
