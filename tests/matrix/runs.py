"""Programs run on a project while what they look at is recorded: one run counts for every combination that looks the same.

Unlike a check, a program names what it reads only by reading it, and not always in the same order. So a run keeps all that
it read, and holds for each combination whose project has the same there. A combination that no run holds for is run next.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.matrix.answers import Known
from tests.matrix.cells import Reader
from tests.matrix.project import reader
from tests.matrix.questions import Way
from tests.matrix.template import Template
from tests.matrix.verdicts import Decision, Problems, failing

Look = tuple[str, str]
"""A path, and what was looked at: its content, whether it is there, what a folder lists."""


@dataclass(frozen=True)
class Run:
    """What a program found, and what it had looked at by then."""

    looks: tuple[tuple[Look, object], ...]
    problems: Problems

    def holds(self, read: Reader) -> bool:
        """Whether it would have gone the same way here."""
        return all(read(look) == seen for look, seen in self.looks)


Execute = Callable[[Known], tuple[Sequence[Look], Problems]]
"""Run the program on the project of these answers."""


class Record:
    """Runs of one program, kept in a file between sessions. The key says what else the program depends on."""

    def __init__(self, file: Path | None, key: str) -> None:
        self._file = file
        self._key = key
        self.runs: list[Run] = []
        self.kept = 0
        if file is not None and file.exists():
            stored = json.loads(file.read_text("utf-8"))
            self.runs = [_loaded(run) for run in stored["runs"] if stored["key"] == key]
            self.kept = len(self.runs)

    def add(self, run: Run) -> None:
        """Keep a run; in the file only if it found nothing, for a failure may be the machine's."""
        self.runs.append(run)
        if self._file is not None and not run.problems:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            stored = [run.looks for run in self.runs if not run.problems]
            text = json.dumps({"key": self._key, "runs": stored})
            self._file.write_text(text, "utf-8")


def _loaded(looks: list[Any]) -> Run:
    return Run(tuple(((str(p), str(what)), seen) for (p, what), seen in looks), ())


def decide_by_runs(
    template: Template,
    name: str,
    subject: str,
    execute: Execute,
    record: Record,
    views: Mapping[str, Callable[[bytes], object]],
) -> Decision:
    """Decide for every combination that has the subject what a program finds. `views` are looks at a part of a file."""
    began = time.perf_counter()

    def looking(way: Way) -> Reader:
        look = reader(template, way)
        return lambda key: look((key[0], views.get(key[1], key[1])))  # type: ignore[index]

    def verdict(way: Way) -> Problems:
        if not template.present(subject, way):
            return ()
        read = looking(way)
        # The newest first: a template that changed has left older runs behind.
        for run in reversed(record.runs):
            if run.holds(read):
                return run.problems
        known = template.questions.completed(way.known)
        looks, problems = execute(known)
        seen = looking(Way(template.questions, known))
        run = Run(tuple((look, seen(look)) for look in dict.fromkeys(looks)), problems)
        record.add(run)
        assert run.holds(read)
        return problems

    ways = list(template.questions.explore(verdict))
    found = failing(template.questions, name, subject, ways)
    new = len(record.runs) - record.kept
    seconds = time.perf_counter() - began
    looks = (look for run in record.runs for look, _ in run.looks)
    opened = frozenset(path for path, what in looks if what.startswith("content"))
    return Decision(
        f"{name} {subject}", tuple(found), 1, len(ways), new, seconds, opened
    )
