"""Every combination of answers, decided: it renders, it is what Copier makes, and it passes each check."""

import re

import pytest

from tests import manifests, summary
from tests.checks import CHECKS, NAMED, budget, suite, unexcused
from tests.checks.excuses import EXCUSES
from tests.matrix.dead import alike, untaken
from tests.matrix.faults import faults
from tests.matrix.template import Template
from tests.matrix.verdicts import Decision, report
from tests.rendering import ANSWERS_FILE, render_tree
from tests.trees import decision, organised, renamed, template, values

# A preset suggests answers, which the other questions record; the last remembers the first.
SUGGESTS = {"made_for", "preset"}
# What no first copy takes, and the tests of updates do.
ON_UPDATE = (
    r"_copier_operation == \"update\"",
    r"package_name is not defined .*line 7",
    r"project_slug is defined",
    r"made_for is defined",
    # Names of folders: tests/test_names.py has the macro propose them.
    r"hooks/names\.jinja, line \d+: never False or True$",
)


@pytest.fixture(params=[template, renamed, organised])
def whole(request: pytest.FixtureRequest) -> Template:
    made: Template = request.param()
    return made


def test_every_combination_renders_and_no_two_sheets_meet_on_a_path(
    whole: Template,
) -> None:
    told = [report(failure, whole.questions) for failure in faults(whole)]
    assert not told, "\n\n".join(told)


def test_what_a_person_is_asked_can_be_shown_and_suggested(whole: Template) -> None:
    for cell in whole.questions.texts():
        assert list(whole.questions.explore(cell))


def test_each_source_goes_somewhere() -> None:
    placed = {str(s.path) for found in template().paths.values() for s in found}
    assert not {str(source.path) for source in template().sources} - placed


@pytest.mark.parametrize("name", CHECKS)
def test_every_project_passes(name: str) -> None:
    for whole in (template, renamed) if name in NAMED else (template,):
        failing = unexcused(decision(whole, name).failing)
        told = [report(failure, whole().questions) for failure in failing]
        assert not told, "\n\n".join(told)


def test_no_excuse_is_idle() -> None:
    failing = [
        failure for name in CHECKS for failure in decision(template, name).failing
    ]
    idle = [excuse for excuse in EXCUSES if not any(map(excuse.covers, failing))]
    assert not idle


@pytest.mark.parametrize("question", template().questions.names)
def test_no_answer_is_dead(question: str) -> None:
    """Any two answers to a question differ in some file of some project."""
    file = frozenset({ANSWERS_FILE})
    for whole in (template(), renamed()):
        dead = list(alike(whole, question, file))
        assert bool(dead) == (question in SUGGESTS), f"{question}: {dead} are the same"
    recorded = template().questions_of(ANSWERS_FILE)
    assert question in recorded


def test_no_answer_adds_code_that_no_emitted_test_executes(
    emitted: dict[str, Decision],
) -> None:
    opened = frozenset[str]().union(*(d.opened for d in emitted.values()))
    package = {
        p for p in template().files if p.startswith("src/") and p.endswith(".py")
    }
    assert not package - opened


def test_the_emitted_test_that_an_entry_names_opens_the_file(
    emitted: dict[str, Decision],
) -> None:
    for path, file in manifests.files().items():
        if file.proof not in template().files or file.proof == path:
            continue
        if file.proof in suite.STARTS_PROCESSES:
            # What its processes open is assumed, not traced.
            name = path.rpartition("/")[2].encode()
            versions = (
                content or b"" for _, content in template().versions(file.proof)
            )
            assert any(name in content for content in versions), path
        else:
            assert path in emitted[f"passes {file.proof}"].opened, path


def test_no_branch_is_dead() -> None:
    dead = untaken(template(), renamed(), organised())
    excused = [
        [line for line in dead if re.search(p, line, re.DOTALL)] for p in ON_UPDATE
    ]
    assert all(excused), "an excuse is idle"
    assert sorted(dead) == sorted(line for lines in excused for line in lines)


def test_what_is_refused_is_refused_by_copier_for_the_same_reason() -> None:
    questions = renamed().questions
    # Given as data, a slug is known to the question before its own, which refuses it first.
    refusals = [r for r in questions.refusals if r.question != "project_slug"]
    assert len(refusals) > 15
    for refusal in refusals:
        before = questions.names[: questions.names.index(refusal.question)]
        answers = values(questions.completed(refusal.known, before))
        with pytest.raises(ValueError, match=re.escape(refusal.reason)):
            render_tree({**answers, refusal.question: refusal.value})


@pytest.fixture(scope="module")
def emitted() -> dict[str, Decision]:
    decisions = {decision.check: decision for decision in suite.decisions(template())}
    for found in decisions.values():
        summary.decided(found)
    return decisions


@pytest.mark.parametrize("file", suite.files(template()))
def test_each_emitted_test_file_passes_wherever_it_is(
    emitted: dict[str, Decision], file: str
) -> None:
    failing = emitted[f"passes {file}"].failing
    told = [report(failure, template().questions) for failure in failing]
    assert not told, "\n\n".join(told)


def test_each_emitted_test_file_keeps_to_its_budget(
    emitted: dict[str, Decision],
) -> None:
    lines = [line for found in emitted.values() for line in budget.over(found)]
    assert not lines, "\n".join(lines)
