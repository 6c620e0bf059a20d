"""Random cases: a project, its owner's edits, an update, and a judgement of the result."""

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
from tests.update.edits import edit_project
from tests.update.history import BUILDERS, History
from tests.update.judge import Update

Answers = dict[str, str]
FIXED = {"preset", "problem", "package_name", "project_slug", "made_for"}
"""Questions whose answers an update cannot change. A preset only changes defaults."""
NAMES = ("Churn model", "Fraud watch", "House prices", "Ab")


@dataclass(frozen=True)
class Case:
    """A case, which template, seed and number determine completely."""

    history: History
    seed: int
    number: int

    @property
    def random(self) -> Random:
        return Random(f"{self.history.name} {self.seed} {self.number}")

    @property
    def command(self) -> str:
        """The command that runs this case alone."""
        test = f"tests/update/test_cases.py -k {self.history.name}-{self.number}-"
        count = f"UPDATE_CASES={len(BUILDERS) * (self.number + 1)}"
        return f'{count} SEED={self.seed} make test ARGS="{test}"'


@dataclass(frozen=True)
class Plan:
    """An update to a later release, of one answer, or both."""

    old: str
    new: str
    answers: Answers
    """The answers when the project is created; the others take their defaults."""
    question: str
    """The question whose answer changes; empty if none does."""

    @property
    def ref(self) -> str | copier.VcsRef:
        return copier.VcsRef.CURRENT if self.old == self.new else self.new


def list_choices(question: dict[str, Any]) -> list[str]:
    """Return the answers that a question always offers, whatever the other answers are."""
    choices = question.get("choices", [])
    answers = choices.values() if isinstance(choices, dict) else choices
    return [answer for answer in answers if isinstance(answer, str)]


def plan_update(history: History, random: Random) -> Plan:
    """Return a random update."""
    first = random.randrange(len(history.versions) - 1)
    later = history.versions[first + 1 :]
    old = history.versions[first]
    new = old if random.random() < 0.3 else random.choice(later)
    answers, changeable = {}, []
    for name, question in history.questions(old).items():
        choices = [] if name == "made_for" else list_choices(question)
        if choices and random.random() < 0.5:
            answers[name] = random.choice(choices)
        if len(choices) > 1 and name not in FIXED and name in history.questions(new):
            changeable.append(name)
    if "project_name" in history.questions(old):
        answers["project_name"] = random.choice(NAMES)
    changes_answer = old == new or random.random() < 0.2
    question_name = random.choice(changeable) if changes_answer else ""
    return Plan(old, new, answers, question_name)


def read_answers(project: Follower) -> Answers:
    """Return the answers that a project records."""
    recorded = yaml.safe_load(project.read(ANSWERS_FILE))
    return {n: answer for n, answer in recorded.items() if not n.startswith("_")}


def replace_files(project: Follower, files: Tree) -> None:
    """Replace all files of a project."""
    for path in project.files().keys() - files.keys():
        (project.folder / path).unlink()
    for path, content in files.items():
        (project.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / path).write_bytes(content)


def run_case(case: Case) -> list[str]:
    """Run a case, and return its problems, each with what is needed to reproduce it."""
    with (
        tempfile.TemporaryDirectory(prefix="slipway-case-") as scratch,
        compiling_once(),
    ):
        plan = plan_update(case.history, case.random)
        edits, problems = run_plan(case, plan, Path(scratch))
    context = f"{plan}\n  edits: {', '.join(edits) or 'none'}\n  alone: {case.command}"
    return [f"{problem}\n  {context}" for problem in problems]


def run_plan(case: Case, plan: Plan, folder: Path) -> tuple[list[str], list[str]]:
    """Create, edit and update the project; return the descriptions of the edits, and the problems."""
    history, random = case.history, case.random
    project = Follower(history, folder / "project", plan.old, **plan.answers)
    before, old = read_answers(project), project.files()
    changed = {}
    if plan.question:
        choices = list_choices(history.questions(plan.new)[plan.question])
        others = [answer for answer in choices if answer != before[plan.question]]
        changed = {plan.question: random.choice(others)}
    expected = history.translate(before, plan.new) | changed
    fresh = Follower(history, folder / "fresh", plan.new, **expected).files()
    # `make update` refuses to change an answer where that would delete an edited file.
    off_limits = old.keys() - fresh.keys() if changed else set()
    mine, edits = edit_project(old, fresh, off_limits, random)
    replace_files(project, mine)
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
    problems = list(update.problems())
    project.commit("updated")
    project.update(ref=plan.ref)
    if lines := project.changed():
        problems.append(f"a second update changes {lines}")
    if plan.old == plan.new and not update.unmerged:
        problems += check_restored(project, plan, before, mine)
    return edits, problems


def check_restored(
    project: Follower, plan: Plan, before: Answers, mine: Tree
) -> Iterator[str]:
    """Yield a problem unless the old answer restores the old files, including the edits."""
    project.update({plan.question: before[plan.question]}, ref=plan.ref)
    files = project.files()
    different = {p for p in {*files, *mine} if files.get(p) != mine.get(p)}
    if different:
        yield f"the old answer to {plan.question} does not restore {different}"
