"""A test file that reads more than it may is named, as is a budget that it does not use; what a question adds is counted."""

import pytest

from tests.checks import budget
from tests.matrix.answers import Answer, Known
from tests.matrix.runs import marginal
from tests.matrix.verdicts import Cost, Decision
from tests.trees import template

FILE = "tests/test_engine.py"


def decision(*costs: Cost) -> Decision:
    return Decision(f"passes {FILE}", (), 1, len(costs), len(costs), 1.0, costs=costs)


def known(**answers: str) -> Known:
    return {name: Answer.of(value) for name, value in answers.items()}


def test_a_question_beyond_the_budget_is_named_and_so_is_one_that_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "budget", lambda file: {"engine", "problem"})
    both = (known(engine="plan", problem="a"), known(engine="sklearn", problem="b"))
    assert not list(budget.over(decision(*((answers, 1.0) for answers in both))))
    other = (known(engine="plan", auth="jwt"), known(engine="sklearn", auth="none"))
    found = budget.over(decision(*((answers, 1.0) for answers in other)))
    more, unused = found
    assert f"{FILE} depends on the question auth" in more
    assert f"{FILE} does not depend on the question problem" in unused


def test_a_question_adds_the_runs_that_its_first_answer_does_not_need() -> None:
    questions = template().questions
    first = questions.completed({}, ["auth"])["auth"]
    added = marginal(
        questions,
        [
            decision(
                ({"auth": first}, 2.0),
                (known(auth="jwt", problem="regression"), 3.0),
                (known(auth="jwt"), 0.0),
            )
        ],
    )
    assert added["auth"] == (1, 3.0)
    assert added["tracing"] == (0, 0)
