"""mypy has nothing to say of any module of any project, with all that the project declares installed.

What it says of a module depends on the module, and on no more than the interfaces of the modules that it imports, and of those
that they import. Modules of different projects that see the same interfaces are told of in one run.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.checks import environment, interfaces, style
from tests.checks.interfaces import followed, interface
from tests.checks.style import toml
from tests.checks.tables import table
from tests.manifests import PACKAGE
from tests.matrix.ledger import hashed
from tests.matrix.project import Project
from tests.matrix.verdicts import Check, Problems

PROBLEMS_FOUND = 1


@dataclass(frozen=True)
class Module:
    """A module, and all that decides what mypy says of it."""

    path: str
    content: bytes
    seen: tuple[tuple[str, str | None], ...]
    """The interfaces that it sees, its own among them; where a project could hold a file and does not, nothing."""
    settings: str
    # Where it lies says nothing about the verdict: what is in it is a part of the salt.
    python: Path = field(repr=False, compare=False)


@dataclass
class Run:
    """Modules of which no two see one path otherwise."""

    settings: str
    seen: dict[str, str | None] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)

    def takes(self, module: Module) -> bool:
        """Take a module, if it agrees with those that are here."""
        if module.settings != self.settings or module.path in self.modules:
            return False
        if any(self.seen.get(path, text) != text for path, text in module.seen):
            return False
        self.seen |= dict(module.seen)
        self.modules[module.path] = module
        return True


def mypy_settings(pyproject: bytes) -> str:
    """What mypy is told."""
    settings = table(pyproject, "tool.mypy")
    assert settings["strict"], "a function may leave its types unsaid"
    return json.dumps({k: v for k, v in settings.items() if k != "files"})


def typed(project: Project, path: str) -> Module:
    """What mypy reads."""
    seen = {path: project.view(path, interface)}
    content = project.content(path) or b""
    todo = [*followed(path, content.decode())]
    while todo:
        other = todo.pop()
        if other in project.template.files and other not in seen:
            seen[other] = project.view(other, interface)
            todo += followed(other, seen[other] or "")
    settings = project.view("pyproject.toml", mypy_settings) or ""
    python = environment.environment(project.template, PACKAGE)
    return Module(path, content, tuple(sorted(seen.items())), settings, python)


def mypy(modules: Sequence[Module]) -> dict[Module, Problems]:
    """What mypy finds in each module; each core takes a share of the runs."""
    runs = gathered(modules)
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        shares = pool.map(share, [runs[core::cores] for core in range(cores)])
    return {module: problems for found in shares for module, problems in found.items()}


def gathered(modules: Sequence[Module]) -> list[Run]:
    """All modules, in few runs."""
    runs: list[Run] = []
    # Those that see most fit least.
    for module in sorted(modules, key=lambda module: -len(module.seen)):
        if not any(run.takes(module) for run in runs):
            runs.append(Run(module.settings))
            runs[-1].takes(module)
    return runs


def share(runs: Sequence[Run]) -> dict[Module, Problems]:
    """One after the other, for what mypy learnt in one helps it with the next."""
    found: dict[Module, Problems] = {}
    with tempfile.TemporaryDirectory(prefix="slipway-types-") as kept:
        for run in runs:
            with tempfile.TemporaryDirectory(prefix="slipway-types-") as folder:
                said = told(run, Path(folder), kept)
            for path, module in run.modules.items():
                found[module] = tuple(s for s in said if s.startswith(f"{path}:"))
    return found


def told(run: Run, folder: Path, kept: str) -> list[str]:
    """What mypy says in a run: of modules that are only seen as well."""
    held = {path: text.encode() for path, text in run.seen.items() if text is not None}
    held |= {path: module.content for path, module in run.modules.items()}
    for path, content in held.items():
        Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
        Path(folder, path).write_bytes(content)
    tables = toml("tool.mypy", json.loads(run.settings))
    Path(folder, "pyproject.toml").write_text("\n".join(tables), "utf-8")
    python = next(iter(run.modules.values())).python
    done = subprocess.run(
        [str(python), "-m", "mypy", "--no-error-summary", "--cache-dir", kept, *held],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment.plain(),
    )
    assert done.returncode in (0, PROBLEMS_FOUND), done.stdout + done.stderr
    return done.stdout.splitlines()


def salt() -> str:
    """All that mypy's verdicts depend on besides the modules."""
    code = (__file__, interfaces.__file__, style.__file__)
    return hashed(environment.locked(), *(Path(f).read_text("utf-8") for f in code))


CHECKS = (Check("mypy", typed, ("*.py",), settle=mypy, salt=salt),)
