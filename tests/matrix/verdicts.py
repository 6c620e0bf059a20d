"""Checks of every project, and the answers under which one fails."""

import time
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.matrix.answers import Known
from tests.matrix.ledger import HEAL, ContradictionError, Ledger
from tests.matrix.project import Project, looking
from tests.matrix.questions import Questions
from tests.matrix.template import Template

Problems = tuple[str, ...]
Plan = Hashable
"""What a check wants to know, made of nothing but what it looked at: equal plans have equal problems."""
Settle = Callable[[Sequence[Any]], Mapping[Any, Problems]]
Cost = tuple[Known, float]


@dataclass(frozen=True)
class Check:
    """Something that each project must hold: about each of some files, or about the project as a whole."""

    name: str
    plan: Callable[[Project, str], Plan]
    files: Sequence[str] = ()
    """Patterns of the files that it is about; none where it is about the whole."""
    but: Sequence[str] = ()
    """And of those that it is not about after all."""
    settle: Settle = field(default=lambda plans: {plan: tuple(plan) for plan in plans})
    """Find the problems of all plans at once. By default a plan is the problems themselves."""
    salt: Callable[[], str] | None = None
    """Hash all that verdicts depend on besides the plans, such as the tool's version. Verdicts with one are kept in a ledger."""


@dataclass(frozen=True)
class Failing:
    """A problem, and all combinations that have it."""

    check: str
    subject: str
    problem: str
    answers: tuple[Known, ...]
    """The smallest sets of answers that have it whatever else is answered."""
    combinations: int


@dataclass(frozen=True)
class Crash:
    """What a check stumbled over: a file that it cannot read is a problem of the file."""

    reason: str


@dataclass(frozen=True)
class Decision:
    """What a check says of all combinations."""

    check: str
    failing: tuple[Failing, ...]
    subjects: int
    ways: int
    """The parts into which the subjects' looks divide all combinations."""
    plans: int
    """The plans that were settled, or the runs that were made."""
    seconds: float
    opened: frozenset[str] = frozenset()
    """The files that a program which was run has opened."""
    costs: tuple[Cost, ...] = ()
    """The seconds that each run of a program took, and the first answers that it was needed for."""
    taken_over: int = 0
    """Verdicts of the ledger that were neither settled nor run."""
    repeated: int = 0
    """Verdicts of the ledger that were found once more."""


def decide(
    template: Template,
    check: Check,
    paths: Container[str] | None = None,
    ledger: Ledger | None = None,
) -> Decision:
    """Decide a check for every combination; of files, if some are named, for those alone.

    What passes by the ledger is taken over, but for a share that is repeated.
    """
    began = time.perf_counter()
    ways: list[tuple[str, Known, Plan]] = []
    about_ = [
        s for s in subjects(template, check) if not s or paths is None or s in paths
    ]
    for subject in about_:
        look = looking(
            f"{check.name} of {subject}",
            template,
            lambda project, subject=subject: about(check, project, subject),  # type: ignore[misc]
        )
        looked = template.questions.explore(look)
        ways += [(subject, known, plan) for known, plan in looked]
    problems: dict[Plan, Problems] = {None: ()}
    plans = list(dict.fromkeys(plan for _, _, plan in ways if plan is not None))
    problems |= {plan: (plan.reason,) for plan in plans if isinstance(plan, Crash)}
    open_ = [plan for plan in plans if plan not in problems]
    ledger = ledger or Ledger()
    kept = {plan for plan in open_ if ledger.key(plan) in ledger}
    again = {plan for plan in kept if ledger.again(ledger.key(plan))}
    problems |= settled(check, open_, kept - again, ledger)
    # Only a decision about all files knows which lines no combination needs.
    if paths is None:
        ledger.save()
    found: list[Failing] = []
    for subject in about_:
        of = [(known, problems[plan]) for s, known, plan in ways if s == subject]
        found += failing(template.questions, check.name, subject, of)
    return Decision(
        check.name,
        tuple(found),
        len(about_),
        len(ways),
        len(plans) - len(kept) + len(again),
        time.perf_counter() - began,
        taken_over=len(kept) - len(again),
        repeated=len(again),
    )


def settled(
    check: Check, plans: Sequence[Plan], believed: Container[Plan], ledger: Ledger
) -> dict[Plan, Problems]:
    """The problems of all plans. Those that are believed pass, as the ledger says; a contradiction ends everything."""
    todo = [plan for plan in plans if plan not in believed]
    began = time.perf_counter()
    # A tool that is given no path looks at the current folder instead.
    found = dict(check.settle(todo)) if todo else {}
    seconds = (time.perf_counter() - began) / (len(todo) or 1)
    for plan in plans:
        key, problems = ledger.key(plan), found.get(plan)
        if problems and key in ledger:
            raise ContradictionError(
                f"The ledger says that a plan of the check {check.name} passes, and it fails: {problems}. {HEAL}"
            )
        if not problems:
            ledger.add(key, seconds)
    return {plan: found.get(plan, ()) for plan in plans}


def failing(
    questions: Questions,
    check: str,
    subject: str,
    ways: Sequence[tuple[Known, Problems]],
) -> list[Failing]:
    """The problems that some ways have, each with all of its combinations."""
    found = []
    for problem in dict.fromkeys(problem for _, had in ways for problem in had):
        having = [known for known, had in ways if problem in had]
        others = [known for known, had in ways if problem not in had]
        answers = smallest(questions, having, others)
        share = sum(questions.count(known) for known in having)
        found.append(Failing(check, subject, problem, answers, share))
    return found


def subjects(template: Template, check: Check) -> list[str]:
    """The files that some combination has and the check is about; one without a name is the project itself."""
    every = Project(template, lambda key: True)
    left_out = set(every.files(*check.but))
    found = [path for path in every.files(*check.files) if path not in left_out]
    return found if check.files else [""]


def about(check: Check, project: Project, subject: str) -> Plan:
    """The plan for a file; none where the project does not have it."""
    if subject and not project.has(subject):
        return None
    try:
        return check.plan(project, subject)
    except Exception as error:  # noqa: BLE001
        return Crash(f"cannot be checked: {type(error).__name__}: {error}")


def smallest(
    questions: Questions, having: Iterable[Known], others: Sequence[Known]
) -> tuple[Known, ...]:
    """The smallest sets of answers of which every combination fails."""
    found: list[Known] = []
    for known in having:
        needed = dict(known)
        for name in reversed(known):
            without = {n: answer for n, answer in needed.items() if n != name}
            if not any(meet(questions, without, way) for way in others):
                needed = without
        if needed not in found:
            found.append(needed)
    return tuple(found)


def meet(questions: Questions, one: Known, other: Known) -> bool:
    """Whether a combination has these answers and those."""
    if any(other.get(name, answer) != answer for name, answer in one.items()):
        return False
    return questions.count({**one, **other}) > 0


def shown(known: Known) -> str:
    """Answers, as a person reads them."""
    put = {name: a.value for name, a in known.items() if not a.hidden}
    return ", ".join(f"{n}={v}" for n, v in put.items()) or "any answers"


def command(known: Known) -> str:
    """The Copier command that makes such a project."""
    put = {name: a.value for name, a in known.items() if not a.hidden}
    data = [f"--data {name}={value}" for name, value in put.items()]
    return " ".join(["copier copy --defaults --vcs-ref HEAD", *data, ". DEST"])


def report(failing: Failing, questions: Questions) -> str:
    """A failure that can be read."""
    sets = "\n  or ".join(shown(known) for known in failing.answers)
    share = f"{failing.combinations} of {questions.count()} combinations"
    where = f"{failing.subject}: " if failing.subject else ""
    return (
        f"{failing.check}: {where}{failing.problem}\n  under {sets}\n"
        f"  {share}; one is: {command(failing.answers[0])}"
    )
