"""Programs run on a project while what they look at is recorded: one run counts for every combination that looks the same.

Unlike a check, a program names what it reads only by reading it, and not always in the same order. So a run keeps all that
it read, and holds for each combination whose project has the same there. A combination that no run holds for is run next.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tests.matrix.answers import Known
from tests.matrix.cells import Reader
from tests.matrix.ledger import HEAL, ContradictionError, Ledger
from tests.matrix.project import reader
from tests.matrix.questions import Questions, Way
from tests.matrix.template import Template
from tests.matrix.verdicts import Cost, Decision, Problems, failing, shown

Look = tuple[str, str]
"""A path, and what was looked at: its content, whether it is there, what a folder lists."""


@dataclass(frozen=True)
class Run:
    """The problems that a program found, and all that it had looked at by then."""

    looks: tuple[tuple[Look, object], ...]
    problems: Problems
    seconds: float
    taken_over: bool = False
    """Whether the ledger has it, and nothing was run."""
    repeated: bool = False
    """Whether the ledger has it, and it was run once more."""

    def holds(self, read: Reader) -> bool:
        """Whether it would have gone the same way here."""
        return all(read(look) == seen for look, seen in self.looks)


Execute = Callable[[Known], tuple[Sequence[Look], Problems]]
"""Run the program on the project of these answers."""
Views = Mapping[str, Callable[[bytes], object]]
"""Looks at a part of a file."""


class Runs:
    """The runs of one program, as many as the combinations need."""

    def __init__(
        self,
        template: Template,
        subject: str,
        execute: Execute,
        ledger: Ledger,
        views: Views,
    ) -> None:
        self.found: list[Run] = []
        self._template = template
        self._subject = subject
        self._execute = execute
        self._ledger = ledger
        self._views = views

    def here(self, way: Way) -> Run | None:
        """The run that holds for a way; none where the subject is not there."""
        if not self._template.present(self._subject, way):
            return None
        read = self._reader(way)
        for run in reversed(self.found):
            if run.holds(read):
                return run
        known = self._template.questions.completed(way.known)
        self.found.append(self._taken_over(read, known) or self._executed(known))
        assert self.found[-1].holds(read)
        return self.found[-1]

    def _reader(self, way: Way) -> Reader:
        look = reader(self._template, way)
        return lambda key: look((key[0], self._views.get(key[1], key[1])))  # type: ignore[index]

    def _taken_over(self, read: Reader, known: Known) -> Run | None:
        """Take a verdict on these values over from the ledger. Where it is drawn, the program must agree."""
        for looks in self._ledger.reads:
            values = tuple(map(read, looks))
            key = self._ledger.key(looks, values)
            if key not in self._ledger:
                continue
            seen = tuple(zip(looks, values, strict=True))
            if not self._ledger.again(key):
                return Run(seen, (), self._ledger.seconds(key), taken_over=True)
            run = self._executed(known)
            if run.problems:
                raise ContradictionError(
                    f"The ledger says that {self._subject} passes, and it fails under {shown(known)}: {run.problems}. {HEAL}"
                )
            # A program may look at a little more or less another time: all of it counts, and the ledger stays as it is.
            every = tuple(dict([*seen, *run.looks]).items())
            return replace(run, looks=every, repeated=True)
        return None

    def _executed(self, known: Known) -> Run:
        began = time.perf_counter()
        looks, problems = self._execute(known)
        read = self._reader(Way(self._template.questions, known))
        seen = tuple((look, read(look)) for look in dict.fromkeys(looks))
        return Run(seen, problems, time.perf_counter() - began)

    @cached_property
    def reads(self) -> tuple[Look, ...]:
        """All that some run looked at."""
        return tuple(sorted({look for run in self.found for look, _ in run.looks}))

    def keep(self) -> Iterator[Cost]:
        """Keep what passed, and say which answers each run is due to.

        A verdict is kept by the values of all that some run looked at. These decide it as well as the run's own looks do,
        and need one line of looks instead of one for each run.
        """
        counted: set[int] = set()
        ways = self._template.questions.explore(
            lambda way: (self.here(way), [*map(self._reader(way), self.reads)])
        )
        for known, (run, values) in ways:
            if run is None:
                continue
            seconds = 0.0 if id(run) in counted else run.seconds
            counted.add(id(run))
            yield known, seconds
            if not run.problems:
                self._ledger.add(self._ledger.key(self.reads, tuple(values)), seconds)
        self._ledger.save(self.reads)


def decide_by_runs(
    template: Template,
    name: str,
    subject: str,
    execute: Execute,
    ledger: Ledger,
    views: Views,
) -> Decision:
    """Decide for every combination that has the subject what a program finds.

    What passes by the ledger is taken over, but for a share that is repeated.
    """
    began = time.perf_counter()
    runs = Runs(template, subject, execute, ledger, views)
    found = [(known, run) for known, run in template.questions.explore(runs.here)]
    ways = [(known, run.problems if run else ()) for known, run in found]
    problems = failing(template.questions, name, subject, ways)
    costs = tuple(runs.keep())
    opened = frozenset(p for p, what in runs.reads if what.startswith("content"))
    return Decision(
        f"{name} {subject}",
        tuple(problems),
        1,
        len(ways),
        sum(not run.taken_over for run in runs.found),
        time.perf_counter() - began,
        opened,
        costs,
        taken_over=sum(run.taken_over for run in runs.found),
        repeated=sum(run.repeated for run in runs.found),
    )


def marginal(
    questions: Questions, decisions: Sequence[Decision]
) -> dict[str, tuple[int, float]]:
    """For each question, the runs and their seconds that none of its first answers needs."""
    first = {name: questions.completed({}, [name])[name] for name in questions.names}
    found = {}
    for name in questions.names:
        due = [
            seconds
            for decision in decisions
            for known, seconds in decision.costs
            if seconds and known.get(name, first[name]) != first[name]
        ]
        found[name] = (len(due), sum(due))
    return found
