"""The demo of an emitted project, run where nothing of the template is near.

A command sees only what it reads. Every combination of answers is therefore one of a few as far as the demo can tell, and
those few are run. `seen` says which files those are.
"""

import hashlib
import itertools
import os
import subprocess
import tomllib
from collections.abc import Hashable
from pathlib import Path

import pytest

from tests.checkout import bare_environment
from tests.checks.suite import SHOWN, UNSEEN
from tests.matrix.answers import Answer
from tests.matrix.project import Project, looking
from tests.rendering import CHOICES, ROOT, render
from tests.trees import NAMES, template

METADATA = {"authors", "description", "license", "license-files", "urls"}
FORMATTERS = ("black", "ruff")
# The answers that make a difference to a run.
KINDS = list(itertools.product(CHOICES["problem"], CHOICES["data_versioning"]))


def seen(project: Project) -> Hashable:
    """All that a run of the demo can depend on."""
    paths = project.files("*")
    left_out = {*UNSEEN, *SHOWN} - {"Makefile"}
    kept = [path for path in paths if not path.startswith(tuple(left_out))]
    views = {"pyproject.toml": settings_seen, "Makefile": commands_seen}
    return tuple((p, project.view(p, views.get(p, digest))) for p in kept)


def digest(content: bytes) -> str:
    """All of a file."""
    return hashlib.sha256(content).hexdigest()


def settings_seen(pyproject: bytes) -> str:
    """The settings that decide about a run."""
    settings = tomllib.loads(pyproject.decode())
    for field in METADATA:
        settings["project"].pop(field, None)
    # Both formatters leave every project as it is: tests/checks/style.py.
    settings["tool"] = {
        k: v for k, v in settings["tool"].items() if k not in FORMATTERS
    }
    settings["dependency-groups"] = {
        group: [line for line in lines if not str(line).startswith(FORMATTERS)]
        for group, lines in settings["dependency-groups"].items()
    }
    return repr(settings)


def commands_seen(makefile: bytes) -> str:
    """The commands that are no formatter's."""
    lines = makefile.decode().splitlines()
    return repr([line for line in lines if not any(f in line for f in FORMATTERS)])


def test_the_kinds_are_all_there_is_to_run() -> None:
    look = looking("what a run sees", template(), seen)
    found = {kind for _, kind in template().questions.explore(look)}
    kinds = set()
    for problem, data_versioning in KINDS:
        answers = {"problem": problem, "data_versioning": data_versioning}
        known = {name: Answer.of(answer) for name, answer in answers.items()}
        ((_, kind),) = template().questions.explore(
            look, template().questions.completed(known)
        )
        kinds.add(kind)
    assert found == kinds


def run(folder: Path, *command: str, bare: bool = False) -> str:
    """Run a command in a project as its owner would; its output."""
    environment = bare_environment()
    if not bare:
        environment["PATH"] += f"{os.pathsep}{ROOT / '.tools' / 'bin'}"
        environment["PATH"] += f"{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}"
    return done.stdout


@pytest.mark.parametrize(("problem", "data_versioning"), KINDS)
def test_its_demo_runs_on_a_machine_that_has_only_python(
    problem: str, data_versioning: str, tmp_path: Path
) -> None:
    preset = "starter" if data_versioning == "none" else "standard"
    answers = {"preset": preset, "problem": problem, "package_name": NAMES[0]}
    folder = render(tmp_path / "project", answers)
    assert run(folder, "make", "demo", bare=True)
    run(folder, "make", "lint", bare=True)
