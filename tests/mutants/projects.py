"""Which modules are mutated, and the few projects in which they are."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random

import yaml

from tests.checks import suite
from tests.manifests import PACKAGE
from tests.matrix.answers import Known
from tests.matrix.template import Template
from tests.mutants.operators import Mutant, mutants
from tests.rendering import ROOT

SIZE = 40
"""How many mutants a run draws: about four minutes of CPU."""
KIT = f"src/{PACKAGE}/kit/"
OTHERS = (f"src/{PACKAGE}/data.py",)
"""Modules outside the kit that it relies on. `features.py` and `model.py` are examples, which their owner replaces."""
ELSEWHERE = {"serve/logdb.py": "psycopg"}
"""A word in each module that only a real server can test: tests/system/test_journal_postgres.py starts one."""


@dataclass(frozen=True)
class Fault:
    """A mutant of a module, as the module is in some projects."""

    path: str
    source: bytes
    mutant: Mutant

    @property
    def before(self) -> str:
        """The line as it is."""
        return _line(self.source, self.mutant.line)

    @property
    def after(self) -> str:
        """The line with the fault."""
        return _line(self.mutant.applied(self.source), self.mutant.line)

    @property
    def short(self) -> str:
        """The module's path in the package."""
        return self.path.removeprefix(f"src/{PACKAGE}/")

    def __str__(self) -> str:
        return (
            f"{self.short}:{self.mutant.line}\n    - {self.before}\n    + {self.after}"
        )


def _line(source: bytes, number: int) -> str:
    return source.decode().splitlines()[number - 1].strip()


def mutated(whole: Template) -> list[str]:
    """The paths of the modules."""
    return sorted(
        path
        for path in whole.files
        if path.endswith(".py") and (path.startswith(KIT) or path in OTHERS)
    )


def versions(whole: Template, path: str) -> Iterator[tuple[Known, bytes]]:
    """Each content of a module once, and answers that have it."""
    seen = set()
    for known, content in whole.versions(path):
        if content is not None and content not in seen:
            seen.add(content)
            word = ELSEWHERE.get(path.removeprefix(KIT), "")
            if not word or word.encode() not in content:
                yield known, content


@cache
def population(whole: Template) -> tuple[Fault, ...]:
    """All mutants of all modules of all projects."""
    return tuple(
        Fault(path, source, mutant)
        for path in mutated(whole)
        for _, source in sorted(versions(whole, path), key=lambda found: found[1])
        for mutant in mutants(source)
    )


def sample(whole: Template, size: int, seed: int) -> list[Fault]:
    """Some of them by chance, the same for the same seed."""
    everything = population(whole)
    return Random(seed).sample(everything, min(size, len(everything)))


def chosen(whole: Template, seed: int) -> list[Fault]:
    """The sample of this run, as large as MUTANTS says."""
    size = os.environ.get("MUTANTS", str(SIZE))
    return sample(whole, len(population(whole)) if size == "all" else int(size), seed)


@dataclass(frozen=True)
class Project:
    """A project that modules are mutated in."""

    name: str
    tree: dict[str, bytes]

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def files(self) -> list[str]:
        """Its test files, but for those that start processes: they take long, and nothing sees into these."""
        found = (path for path in self.tree if path.startswith("tests/test_"))
        return sorted(path for path in found if path not in suite.STARTS_PROCESSES)


@cache
def projects(whole: Template) -> tuple[Project, ...]:
    """As few as have each mutated content of each module among them."""
    todo = [
        (path, known, content)
        for path in mutated(whole)
        for known, content in versions(whole, path)
        if mutants(content)
    ]
    found = []
    while todo:
        answers: Known = {}
        for _, known, _ in todo:
            agrees = all(answers.get(name, a) == a for name, a in known.items())
            if agrees and whole.questions.alive({**answers, **known}):
                answers |= known
        completed = whole.questions.completed(answers)
        tree = whole.tree(completed)
        names = sorted(answers.keys() - {"package_name"})
        called = " ".join(f"{name}={answers[name].value}" for name in names)
        found.append(Project(called, tree))
        left = [wanted for wanted in todo if tree.get(wanted[0]) != wanted[2]]
        assert len(left) < len(todo), left[0][:2]
        todo = left
    return tuple(found)


@dataclass(frozen=True)
class Equivalent:
    """A mutant that no input can tell from the module as it is, and why."""

    path: str
    before: str
    after: str
    why: str

    def covers(self, fault: Fault) -> bool:
        """Whether it is this one."""
        return (self.path, self.before, self.after) == (
            fault.short,
            fault.before,
            fault.after,
        )


def equivalents() -> list[Equivalent]:
    """The committed table."""
    text = (ROOT / "tests" / "mutants" / "equivalents.yaml").read_text("utf-8")
    return [Equivalent(**entry) for entry in yaml.safe_load(text) or []]
