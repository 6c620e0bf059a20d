"""A check is decided for all combinations by what it looks at, and its failures are told by the answers that matter."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.matrix.dead import alike, untaken
from tests.matrix.project import Project, looking, reader
from tests.matrix.questions import Way
from tests.matrix.synthetic import adversary, write
from tests.matrix.template import Template
from tests.matrix.verdicts import (
    Check,
    Failing,
    Problems,
    command,
    decide,
    report,
    shown,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(adversary(tmp_path_factory.mktemp("adversary")))


def decided(template: Template, check: Check) -> Sequence[Failing]:
    """What fails, whose combinations are counted one by one."""
    failing = decide(template, check).failing
    for failed in failing:
        alone = 0
        for known in template.questions.combinations():
            project = Project(
                template, reader(template, Way(template.questions, known))
            )
            had = not failed.subject or project.has(failed.subject)
            alone += had and failed.problem in (check.plan(project, failed.subject) or ())  # type: ignore[operator]
            fits = any(answers.items() <= known.items() for answers in failed.answers)
            assert fits <= (failed.problem in (check.plan(project, failed.subject) or ()))  # type: ignore[operator]
        assert failed.combinations == alone
    return failing


def finds(word: str, path: str) -> Check:
    """A check that a file does not hold a word."""

    def plan(project: Project, _: str) -> Problems:
        return (f"{word} is there",) if word in project.text(path) else ()

    return Check(f"no {word}", plan)


def test_an_interaction_of_four_answers_is_told_by_those_that_decide(
    template: Template,
) -> None:
    (failing,) = decided(template, finds("four", "four.txt"))
    (answers,) = failing.answers
    # That mode is fast says that size is big.
    assert shown(answers) == "cloud=aws, secure=True, mode=fast"
    assert failing.combinations == 8
    told = report(failing, template.questions)
    assert "8 of " in told
    assert "--data cloud=aws --data secure=True --data mode=fast" in told


def test_two_ways_to_fail_are_both_told(template: Template) -> None:
    def plan(project: Project, _: str) -> Problems:
        bad = project.has("fast.txt") or project.has("west.txt")
        return ("bad",) if bad else ()

    (failing,) = decided(template, Check("two ways", plan))
    assert {shown(answers) for answers in failing.answers} == {
        "mode=fast",
        "region=west",
    }


def test_what_fails_everywhere_needs_no_answers(template: Template) -> None:
    (failing,) = decided(template, finds("!", "names.txt"))
    assert failing.answers == ({},)
    assert shown({}) == "any answers"
    assert command({}).startswith("copier copy --defaults")


def test_two_files_that_do_not_fit_are_found(template: Template) -> None:
    def plan(project: Project, _: str) -> Problems:
        if project.has("vault/key.txt") and not project.has("derived.txt"):
            return ("a key for nothing",)
        return ()

    (failing,) = decided(template, Check("both", plan))
    assert [shown(answers) for answers in failing.answers] == [
        "secure=True, cloud=none"
    ]


def test_a_check_is_evaluated_once_for_what_it_sees(template: Template) -> None:
    seen = []

    def plan(project: Project) -> int:
        seen.append(project.has("fast.txt"))
        return len(project.view("names.txt", size) or "")

    def size(content: bytes) -> str:
        return "long" if len(content) > 40 else "short"

    list(template.questions.explore(looking("seen", template, plan)))
    versions = {text for _, text in template.versions("names.txt")}
    assert len(seen) < len(versions)
    assert sorted(set(seen)) == [False, True]


def test_plans_are_settled_together_and_once_each(template: Template) -> None:
    batches: list[Sequence[bytes]] = []

    def settle(plans: Sequence[bytes]) -> dict[bytes, Problems]:
        batches.append(plans)
        return {plan: ("an x",) if b"x" in plan else () for plan in plans}

    check = Check("batch", lambda p, path: p.content(path), ("part-*",), settle=settle)
    failing = decide(template, check).failing
    assert len(batches) == 1
    assert len(batches[0]) == len(set(batches[0]))
    assert {failed.subject for failed in failing} == {"part-x/own.txt"}


def test_a_check_is_only_about_the_files_that_are_there(template: Template) -> None:
    paths = []

    def plan(_: Project, path: str) -> Problems:
        paths.append(path)
        return ()

    assert not decide(template, Check("there", plan, ("*.txt",), ("*/*",))).failing
    assert set(paths) == {
        "four.txt",
        "fast.txt",
        "derived.txt",
        "west.txt",
        "names.txt",
    }


def test_a_check_that_stumbles_is_a_problem_of_the_file(template: Template) -> None:
    check = Check(
        "stumbles", lambda p, path: (int(p.text(path)),), ("fast.txt", "west.txt")
    )
    failing = decide(template, check).failing
    assert [f.problem for f in failing if "west.txt" in f.subject] == [
        "cannot be checked: ValueError: invalid literal for int() with base 10: 'west\\n'"
    ]


def test_answers_can_be_looked_at(template: Template) -> None:
    def plan(project: Project, _: str) -> Problems:
        return ("off",) if project.answer("derived") and project.has("vault") else ()

    assert not decide(template, Check("answers", plan)).failing


def test_an_answer_that_changes_nothing_is_dead(tmp_path: Path) -> None:
    questions = """
used: {type: str, choices: [a, b, c], default: a}
idle: {type: bool, default: true}
late: {type: str, choices: [x, y], default: x}
"""
    files = {
        "a.txt.jinja": "{{ 'a' if used == 'a' else 'other' }}{{ '' if idle else '' }}",
        "b.txt.jinja": "{{ late if used == 'c' and idle }}",
    }
    template = Template(write(tmp_path, {"copier.yml": questions, **files}))
    assert list(alike(template, "used")) == []
    assert list(alike(template, "idle")) == []
    assert list(alike(template, "used", frozenset({"b.txt"}))) == [("b", "c")]
    assert list(alike(template, "idle", frozenset({"b.txt"}))) == [(True, False)]
    assert list(alike(template, "late", frozenset({"b.txt"}))) == [("x", "y")]


def test_a_branch_that_nothing_takes_is_dead(tmp_path: Path) -> None:
    files = {
        "copier.yml": "a: {type: str, choices: [x, y], default: x}\n",
        "{{ 'never.txt' if a == 'z' }}": "",
        "a.txt.jinja": "{% if a == 'x' %}{{ 1 if a == 'x' else 2 }}{% elif a == 'y' %}y{% endif %}\n",
    }
    dead = untaken(Template(write(tmp_path, files)))
    assert dead == [
        "a.txt.jinja, line 1: never False",
        "a.txt.jinja, line 1: never False",
        "{{ 'never.txt' if a == 'z' }}, line 1: never True",
    ]
