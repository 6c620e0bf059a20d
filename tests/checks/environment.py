"""One environment that holds all that any project declares, made once for all of them."""

import hashlib
import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.matrix.template import Template
from tests.rendering import ROOT

FOLDER = ROOT / ".tools" / "emitted"
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
    settings = tomllib.loads(pyproject.decode())
    groups = settings["dependency-groups"].values()
    lines = {line for group in groups for line in group}
    return tuple(sorted({*settings["project"]["dependencies"], *lines}))


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


@cache
def installed(python: Path) -> tuple[str, ...]:
    """The version of all that is in an environment, and of its interpreter."""
    listed = (python.parents[1] / "lib").glob("python*/site-packages/*.dist-info")
    return tuple(sorted(f"{path.parts[-3]} {path.name}" for path in listed))


def environment(template: Template, package: str) -> Path:
    """The interpreter of an environment with all of it. It is made anew when a line changes."""
    lines = sorted({line for lines in declarations(template) for line in lines})
    text = "\n".join(lines) + "\n"
    folder = FOLDER / hashlib.sha256(text.encode()).hexdigest()[:16]
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
        settings: Mapping[str, str] = {**os.environ, "UV_LINK_MODE": "hardlink"}
        requirements = FOLDER / "requirements.txt"
        # It is large: what other lines made is not kept.
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        requirements.write_text(text, "utf-8")
        for command in (
            ["venv", "--quiet", "--clear", "--python", ">=3.11", str(folder)],
            ["pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
            + ["--requirement", str(requirements)],
        ):
            subprocess.run([uv, *command], check=True, env=settings)
        (folder / "complete").touch()
    script = folder / "bin" / package.replace("_", "-")
    script.write_text(COMMAND.format(python=python, package=package), "utf-8")
    script.chmod(0o755)
    return python
