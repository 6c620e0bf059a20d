"""One environment that holds all that any project declares, made once for all of them."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.checks.tables import table
from tests.matrix.ledger import hashed
from tests.matrix.template import Template
from tests.rendering import ROOT

FOLDER = ROOT / ".tools" / "emitted"
PYTHON = "3.11"
"""The oldest that emitted projects run under. The verdicts of the ledger are from it."""
DECLARED = Path(__file__).with_name("emitted.in")
"""The lines of all projects, as `make lock` found them."""
LOCKED = Path(__file__).with_name("emitted.txt")
# What a stage of the pipeline calls lies beside the interpreter. A real install names the package's own folder.
COMMAND = """\
#!{python}
import sys
sys.path.insert(0, "src")
from {package}.cli import run
run()
"""


def declared(pyproject: bytes) -> tuple[str, ...]:
    """All that a project declares."""
    groups = table(pyproject, "dependency-groups").values()
    lines = {line for group in groups for line in group}
    return tuple(sorted({*table(pyproject, "project")["dependencies"], *lines}))


@cache
def declarations(template: Template) -> tuple[tuple[str, ...], ...]:
    """What the projects declare, each set of lines once."""
    found = (text for _, text in template.versions("pyproject.toml") if text)
    return tuple(sorted({declared(text) for text in found}))


def plain() -> dict[str, str]:
    """The environment variables of a process that is none of ours."""
    ours = ("MAKE", "MFLAGS", "PYTEST", "PYTHON", "VIRTUAL_ENV", "REQUIRE_ALL")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


PROOF_PACKAGES = (
    "hypothesis>=6.100",
    "lightgbm>=4.6",
    "statsmodels>=0.14.6",
    "vega-datasets>=0.9",
    "xgboost-cpu>=3.0",
)
"""What the proofs of tables use in a project's process: public tables, other packages' models, made-up files."""


def everything(template: Template) -> tuple[str, ...]:
    """Each line that some project declares, or that a proof uses."""
    every = {line for declared in declarations(template) for line in declared}
    return tuple(sorted(every | set(PROOF_PACKAGES)))


def lines(template: Template) -> str:
    """What is locked."""
    return "".join(f"{line}\n" for line in everything(template))


def locked() -> str:
    """The versions that are installed, and the Python that they are installed for."""
    return f"# Python {PYTHON}\n{LOCKED.read_text('utf-8')}"


def environment(template: Template, package: str) -> Path:
    """The interpreter of an environment with all of it, as locked. A change of the lock makes another."""
    assert lines(template) == DECLARED.read_text("utf-8"), (
        f"{LOCKED.name} does not lock today's dependencies. Run `make lock`, or `make lock UPGRADE=` to keep "
        "the versions that are there, and commit what changed."
    )
    folder = FOLDER / hashed(locked())
    python = folder / "bin" / "python"
    with alone():
        if not (folder / "complete").exists():
            install(folder)
        script = folder / "bin" / package.replace("_", "-")
        script.write_text(COMMAND.format(python=python, package=package), "utf-8")
        script.chmod(0o755)
    return python


@contextmanager
def alone() -> Iterator[None]:
    """One process at a time makes the environment; the others wait for it."""
    FOLDER.parent.mkdir(exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(folder: Path) -> None:
    """Make the environment."""
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    settings: Mapping[str, str] = {**os.environ, "UV_LINK_MODE": "hardlink"}
    # It is large: what another lock made is not kept.
    shutil.rmtree(FOLDER, ignore_errors=True)
    python = ["--python", str(folder / "bin" / "python")]
    for command in (
        ["venv", "--quiet", "--python", PYTHON, str(folder)],
        ["pip", "install", "--quiet", "--compile-bytecode", *python]
        + ["--require-hashes", "--requirement", str(LOCKED)],
    ):
        subprocess.run([uv, *command], check=True, env=settings)
    (folder / "complete").touch()
