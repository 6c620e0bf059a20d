"""The trials of a plan before it is used: odd rows, rows at the threshold, and the cost of a row."""

import timeit
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fraud_watch.kit import engine, task
from fraud_watch.kit.compile import NoPlanError
from fraud_watch.kit.predictor import TOLERANCE


def test_rows_around_the_threshold_lie_on_both_sides() -> None:
    """So near that a plan which is a little off decides otherwise."""
    rows = {"x": np.linspace(-3.0, 3.0, 40), "word": np.array(["a", "b"] * 20, dtype=object)}

    def chances(features: Any) -> Any:
        chance = 1 / (1 + np.exp(-features["x"]))
        return np.stack([1 - chance, chance], axis=1)

    schema: Any = SimpleNamespace(positive=1)
    near = chances(engine._around(schema, 0.4, chances, rows))[:, 1]
    assert 0 < (near >= 0.4).sum() < len(near)
    assert np.abs(near - 0.4).max() < 2e-6
    assert (near == 0.4).sum() == 0


def test_without_rows_on_both_sides_of_the_threshold_there_are_none_between() -> None:
    rows = {"x": np.array([0.1, 0.2])}
    schema: Any = SimpleNamespace(positive=0)
    for threshold in (0.05, 0.5):
        assert engine._around(schema, threshold, lambda rows: rows["x"][:, None], rows) is rows


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_a_chance_that_equals_the_threshold_lies_above_it(threshold: float) -> None:
    """Halving meets 0.5 exactly, and the upper row is at 1.0."""
    schema: Any = SimpleNamespace(positive=0)
    rows = {"x": np.array([0.0, 1.0])}
    near, far = np.split(engine._around(schema, threshold, lambda rows: rows["x"][:, None], rows)["x"], 2)
    assert (threshold - 2e-6 < near).all()
    assert (near < threshold).all()
    assert (far == threshold).all()


def test_a_difference_is_relative_to_one_and_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def decided(schema: Any, decision: Any, raw: Any) -> dict[str, Any]:
        return {"prediction": (raw > 2).tolist()}

    monkeypatch.setattr(task, "table", decided)
    value: Any = SimpleNamespace(problem="regression")
    truth = np.array([3.0, np.nan, -1.0])

    def off(by: float, schema: Any = value) -> float:
        return engine._difference(schema, {}, truth, truth + np.array([by, 0.0, 0.0]), "a test")

    assert off(0.0) == 0.0
    assert engine._difference(value, {}, np.zeros(1), np.array([TOLERANCE]), "a test") == TOLERANCE
    assert off(2e-9) == off(-2e-9) == pytest.approx(2e-9 / 4, rel=1e-6)
    for said in (truth + 5e-9, np.zeros(3), np.array([3.0, np.nan, np.nan])):
        with pytest.raises(NoPlanError, match="differs from scikit-learn by"):
            engine._difference(value, {}, truth, said, "a test")
    truth = np.array([2.0, 2.0, 1.0])
    assert off(1e-12) < 1e-12, "a value is never decided about"
    with pytest.raises(NoPlanError, match="decides otherwise"):
        off(1e-12, SimpleNamespace(problem="classification"))


def test_an_engine_is_tried_on_what_is_odd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "table", lambda schema, decision, raw: {"prediction": raw.tolist()})
    rows = {"x": np.arange(40.0), "y": np.ones(40), "word": np.array(["a"] * 40, dtype=object)}
    schema: Any = SimpleNamespace(problem="regression", positive=0)
    probes = dict(engine._probes(schema, {}, lambda rows: rows["x"], rows))
    assert {what: len(probe["x"]) for what, probe in probes.items()} == {
        "rows held out and made up": 40,
        "missing categories": 32,
        "unknown categories": 32,
        "missing numbers": 64,
        **{f"numbers of {extreme:g}": 64 for extreme in engine.EXTREMES},
        "one row": 1,
    }
    turns = probes["missing numbers"]
    assert np.isnan(turns["x"]).tolist() == [True] * 32 + [False] * 32
    assert np.isnan(turns["y"]).tolist() == [False] * 32 + [True] * 32
    assert sorted(engine.EXTREMES) == [-1e30, -1e9, 1e9, 1e30]
    decision = {"threshold": 20.0}
    probes = dict(engine._probes(schema, decision, lambda rows: rows["x"][:, None], rows))
    assert len(probes["rows around the threshold"]["x"]) == 64

    def refuses_gaps(rows: Any) -> Any:
        if np.isnan(rows["x"]).any():
            raise ValueError
        return rows["x"] * 0.0

    def off(rows: Any) -> Any:
        return refuses_gaps(rows) + 1e-10 / len(rows["x"])

    worst, probed = engine._compared(schema, {}, refuses_gaps, off, rows)
    assert worst == pytest.approx(1e-10)
    assert probed == 40 + 2 * 32 + 4 * 64 + 1


def test_the_price_of_a_row_is_the_best_of_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = iter([3e-3, 2e-3, *[4e-3] * (engine.TIMES - 2), 0.0])
    monkeypatch.setattr(timeit, "timeit", lambda call, number: next(costs) * number)
    assert engine._micros(lambda: None) == pytest.approx(2_000)
    slow = iter([0.2, 0.1])
    monkeypatch.setattr(timeit, "timeit", lambda call, number: next(slow) * number)
    assert engine._micros(lambda: None) == pytest.approx(200_000), "a slow call is not repeated for long"


def test_many_features_are_made_odd_in_few_turns() -> None:
    rows = {f"x{n}": np.arange(40.0) for n in range(2 * engine.TURNS + 1)}
    schema: Any = SimpleNamespace(problem="regression", positive=0)
    gaps = dict(engine._probes(schema, {}, lambda rows: rows["x0"], rows))["missing numbers"]
    assert len(gaps["x0"]) == engine.TURNS * engine.PROBED
    odd = [np.isnan(values) for values in gaps.values()]
    assert all(places.sum() == engine.PROBED for places in odd)
    assert np.logical_or.reduce(odd).all()
