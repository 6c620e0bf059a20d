"""Code is formatted as rendered, under black as under ruff, and ruff has nothing to say.

A formatter reads one file and its settings; so does the linter, but that it looks for the packages which a file imports.
Files are therefore checked one by one, each with nothing beside it but that, and all of them in one run of each tool.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.checks.dependencies import imports
from tests.checks.tables import table
from tests.matrix.ledger import hashed
from tests.matrix.project import Project
from tests.matrix.verdicts import Check, Problems

CODE = ("*.py", "*.ipynb")


@dataclass(frozen=True)
class File:
    """A file, and all that decides what a tool says of it."""

    path: str
    content: bytes
    settings: str
    beside: tuple[str, ...] = ()
    """The project's own modules that it imports, so that they are sorted as such."""


def formatted(project: Project, path: str) -> File:
    """What a formatter reads."""
    settings = project.view("pyproject.toml", layout_settings)
    return File(path, project.content(path) or b"", settings or "")


def layout_settings(pyproject: bytes) -> str:
    """What decides how code is laid out."""
    ruff = table(pyproject, "tool.ruff")
    black = {"line-length": ruff["line-length"]}
    read = {
        "requires-python": required(pyproject),
        "black": table(pyproject, "tool.black") or black,
        "ruff": {k: v for k, v in ruff.items() if k != "lint"},
    }
    return json.dumps(read, sort_keys=True)


def lint_settings(pyproject: bytes) -> str:
    """What decides which rules there are."""
    read = {
        "requires-python": required(pyproject),
        "ruff": table(pyproject, "tool.ruff"),
    }
    return json.dumps(read, sort_keys=True)


def required(pyproject: bytes) -> str:
    """The Python versions that a project runs under."""
    found = re.search(rb'^requires-python = "(.+)"$', pyproject, re.MULTILINE)
    assert found, "pyproject.toml does not say which Python it requires"
    return found[1].decode()


def linted(project: Project, path: str) -> File:
    """What the linter reads."""
    content = project.content(path) or b""
    settings = project.view("pyproject.toml", lint_settings)
    found = imports(project, path)
    modules = sorted(found.now | found.later)
    beside = (place for module in modules for place in first_party(project, module))
    return File(path, content, settings or "", tuple(dict.fromkeys(beside)))


def first_party(project: Project, module: str) -> Iterator[str]:
    """The file by which the linter knows that a module is the project's own; none where it is not."""
    name = module.replace(".", "/")
    for top in ("", "src/"):
        if project.has(f"{top}{name}.py"):
            yield f"{top}{name}.py"
        elif project.some(f"{top}{name}/*"):
            yield f"{top}{name}/__init__.py"


@contextmanager
def laid_out(files: Sequence[File]) -> Iterator[dict[Path, File]]:
    """Each file in a project of its own, whose only other files are empty."""
    with tempfile.TemporaryDirectory(prefix="slipway-style-") as folder:
        placed = {}
        for number, file in enumerate(files):
            root = Path(folder, str(number))
            for path in file.beside:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).touch()
            place = root / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.content)
            settings = json.loads(file.settings)
            lines = ["[project]", 'name = "x"', 'version = "0"']
            lines += [f'requires-python = "{settings.pop("requires-python")}"']
            for tool, table in settings.items():
                lines += toml(f"tool.{tool}", table)
            (root / "pyproject.toml").write_text("\n".join(lines) + "\n", "utf-8")
            placed[place] = file
        yield placed


def toml(name: str, table: Mapping[str, Any]) -> list[str]:
    """A table of settings, as pyproject.toml holds it."""
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    lists = {
        k: v for k, v in table.items() if isinstance(v, list) and isinstance(v[0], dict)
    }
    plain = {k: v for k, v in table.items() if k not in tables and k not in lists}
    lines = [
        f"[{name}]",
        *(f"{key} = {json.dumps(value)}" for key, value in plain.items()),
    ]
    for key, value in tables.items():
        lines += toml(f"{name}.{json.dumps(key)}", value)
    for key, entries in lists.items():
        for entry in entries:
            header, *rest = toml(f"{name}.{json.dumps(key)}", entry)
            lines += [f"[{header}]", *rest]
    return lines


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment."""
    words = [sys.executable, "-m", *command]
    return subprocess.run(words, check=False, capture_output=True, text=True)


def ruff_format(files: Sequence[File]) -> dict[File, Problems]:
    """The files that `ruff format` would change."""
    with laid_out(files) as placed:
        done = tool("ruff", "format", "--check", "--no-cache", *map(str, placed))
        return told(placed, done, "ruff")


def black_format(files: Sequence[File]) -> dict[File, Problems]:
    """The files that black would change. It reads one file of settings in a run."""
    found: dict[File, Problems] = {}
    for settings in dict.fromkeys(file.settings for file in files):
        with laid_out([file for file in files if file.settings == settings]) as placed:
            config = next(iter(placed)).parents
            root = next(p for p in config if (p / "pyproject.toml").exists())
            done = tool(
                "black",
                "--check",
                "--config",
                str(root / "pyproject.toml"),
                *map(str, placed),
            )
            found |= told(placed, done, "black")
    return found


def told(
    placed: Mapping[Path, File], done: subprocess.CompletedProcess[str], name: str
) -> dict[File, Problems]:
    """The files that a formatter names in what it says: those that it would change, or cannot read."""
    lines = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 0 or lines, f"{name} says nothing"
    found: dict[File, Problems] = {}
    for place, file in placed.items():
        said = [
            line for line in lines if re.search(rf"{re.escape(str(place))}(?!\w)", line)
        ]
        problem = f"{name} would format it otherwise, or cannot read it"
        found[file] = (problem,) if said else ()
    assert done.returncode == 0 or any(found.values()), done.stderr
    return found


def ruff_check(files: Sequence[File]) -> dict[File, Problems]:
    """What ruff's rules find."""
    with laid_out(files) as placed:
        done = tool(
            "ruff", "check", "--no-cache", "--output-format=json", *map(str, placed)
        )
        assert done.returncode in (0, 1), done.stderr
        found: dict[str, list[str]] = {}
        for finding in json.loads(done.stdout):
            row = finding["location"]["row"]
            said = f"line {row}: {finding['code']} {finding['message']}"
            found.setdefault(finding["filename"], []).append(said)
        return {f: tuple(found.get(str(place), ())) for place, f in placed.items()}


def salt(name: str) -> str:
    """All that a tool's verdicts depend on besides the files."""
    return hashed(version(name), Path(__file__).read_text("utf-8"))


CHECKS = (
    Check(
        "ruff format", formatted, CODE, settle=ruff_format, salt=partial(salt, "ruff")
    ),
    Check("black", formatted, CODE, settle=black_format, salt=partial(salt, "black")),
    Check("ruff", linted, CODE, settle=ruff_check, salt=partial(salt, "ruff")),
)
