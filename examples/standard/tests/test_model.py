"""The model answers the problem that was chosen."""

from fraud_watch import model


def test_the_problem_is_known() -> None:
    assert model.PROBLEM in {"classification", "regression"}
