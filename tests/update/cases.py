"""A project, its owner's edits and an update, drawn by seed and number, and judged."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import copier
import yaml

from tests.releases import Follower, git
from tests.rendering import ANSWERS_FILE, Tree, compiling_once
from tests.update.edits import edited_by_its_owner
from tests.update.history import BUILDERS, History
from tests.update.judge import Update

Answers = dict[str, str]
FIXED = {"preset", "problem", "package_name", "project_slug", "made_for"}
"""What no project that exists is asked anew; a preset would only suggest."""
NAMES = ("Churn model", "Fraud watch", "House prices", "Ab")


@dataclass(frozen=True)
class Case:
    """Two of one template, seed and number are the same."""

    history: History
    seed: int
    number: int

    @property
    def random(self) -> Random:
        return Random(f"{self.history.name} {self.seed} {self.number}")

    @property
    def alone(self) -> str:
        """The command that runs it."""
        test = f"tests/update/test_cases.py -k {self.history.name}-{self.number}-"
        count = f"UPDATE_CASES={len(BUILDERS) * (self.number + 1)}"
        return f'{count} SEED={self.seed} make test ARGS="{test}"'


@dataclass(frozen=True)
class Plan:
    """An update: from a release to a later one, or of one answer, or both."""

    old: str
    new: str
    given: Answers
    question: str
    """The question that is answered anew; empty where none is."""

    @property
    def ref(self) -> str | copier.VcsRef:
        return copier.VcsRef.CURRENT if self.old == self.new else self.new


def choices(question: dict[str, Any]) -> list[str]:
    """The answers that a question offers, where it offers the same whatever was answered."""
    offered = question.get("choices", [])
    listed = offered.values() if isinstance(offered, dict) else offered
    return [value for value in listed if isinstance(value, str)]


def planned(history: History, random: Random) -> Plan:
    """An update at random. What is not answered takes its default."""
    first = random.randrange(len(history.versions) - 1)
    later = history.versions[first + 1 :]
    old = history.versions[first]
    new = old if random.random() < 0.3 else random.choice(later)
    given, open_ = {}, [""]
    for name, question in history.questions(old).items():
        offered = [] if name == "made_for" else choices(question)
        if offered and random.random() < 0.5:
            given[name] = random.choice(offered)
        if len(offered) > 1 and name not in FIXED and name in history.questions(new):
            open_.append(name)
    if "project_name" in history.questions(old):
        given["project_name"] = random.choice(NAMES)
    answered = old == new or random.random() < 0.2
    return Plan(old, new, given, random.choice(open_[1:]) if answered else "")


def recorded(project: Follower) -> Answers:
    """The answers that a project remembers."""
    found = yaml.safe_load(project.read(ANSWERS_FILE))
    return {name: answer for name, answer in found.items() if name[0] != "_"}


def put(project: Follower, after: Tree) -> None:
    """Make a project's files be these."""
    for path in project.files().keys() - after.keys():
        (project.folder / path).unlink()
    for path, content in after.items():
        (project.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / path).write_bytes(content)


def run(case: Case) -> list[str]:
    """What is wrong, each with all that is needed to see it again."""
    with tempfile.TemporaryDirectory(prefix="slipway-case-") as place, compiling_once():
        plan, edits = planned(case.history, case.random), list[str]()
        told = f"{plan}\n  edits: %s\n  alone: {case.alone}"
        problems = list(ran(case, plan, edits, Path(place)))
        return [f"{p}\n  {told % (', '.join(edits) or 'none')}" for p in problems]


def ran(case: Case, plan: Plan, edits: list[str], place: Path) -> Iterator[str]:
    """Make the project, edit it, update it, and say what is wrong; name the edits in `edits`."""
    history, random = case.history, case.random
    project = Follower(history, place / "project", plan.old, **plan.given)
    before, old = recorded(project), project.files()
    changed = {}
    if plan.question:
        offered = choices(history.questions(plan.new)[plan.question])
        others = [answer for answer in offered if answer != before[plan.question]]
        changed = {plan.question: random.choice(others)}
    expected = history.translated(before, plan.new) | changed
    fresh = Follower(history, place / "fresh", plan.new, **expected).files()
    # An answer that takes an edited file away is `make update`'s to refuse.
    off_limits = old.keys() - fresh.keys() if changed else set()
    mine = edited_by_its_owner(old, fresh, off_limits, random, edits)
    put(project, mine)
    project.commit("mine")
    project.update(changed, trust=history.crosses(plan.old, plan.new), ref=plan.ref)
    unmerged = git(project.folder, "diff", "--name-only", "--diff-filter=U", "-z")
    update = Update(
        old=old,
        mine=mine,
        result=project.files(),
        fresh=fresh,
        unmerged=frozenset(filter(None, unmerged.split("\0"))),
        yours=lambda path: history.is_yours(path, before.get("package_name", "")),
    )
    yield from update.problems()
    project.commit("updated")
    project.update(ref=plan.ref)
    if lines := project.changed():
        yield f"a second update changes {lines}"
    if plan.old == plan.new and not update.unmerged:
        yield from restored(project, plan, before, mine)


def restored(
    project: Follower, plan: Plan, before: Answers, mine: Tree
) -> Iterator[str]:
    """Whether the answer of before brings back what was there before, edits and all."""
    project.update({plan.question: before[plan.question]}, ref=plan.ref)
    files = project.files()
    different = {p for p in {*files, *mine} if files.get(p) != mine.get(p)}
    if different:
        yield f"{plan.question} answered as before does not restore {different}"
