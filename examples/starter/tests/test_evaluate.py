"""The gate's arithmetic, on models that answer with a column of the table and need no training."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fraud_watch.kit import evaluate, learn, task
from fraud_watch.kit.columns import Column
from fraud_watch.kit.evaluate import Check, Exam, Prepared
from fraud_watch.kit.predictor import Manifest, Model
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.settings import Gate, Params
from fraud_watch.kit.splits import Rows

COLUMNS: list[dict[str, Any]] = [
    {"name": "size", "type": "number", "min": 0, "max": 100},
    {"name": "noise", "type": "number"},
    {"name": "kind", "type": "category", "categories": ["a", "b"]},
    {"name": "open", "type": "boolean"},
]
ROWS = pd.DataFrame({"size": np.arange(50.0), "noise": 7.0, "kind": ["a", "b"] * 25})
ROWS["open"] = [1.0] * 20 + [0.0] * 30


def schema(**more: Any) -> Schema:
    content = {"problem": "regression", "target": {"name": "worth"}, "columns": COLUMNS, **more}
    return Schema.parse(content, "here")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns are the features, the score is how many rows are right, whatever this project's problem."""
    monkeypatch.setattr("fraud_watch.kit.predictor.features", lambda columns: columns)
    monkeypatch.setattr(learn, "score", lambda schema, truth, raw: float((truth == raw).mean()))
    # No answer that is the same for all rows is right on more of them.
    monkeypatch.setattr(learn, "dummy", lambda schema, truth, rows: np.where(truth < 10, truth, -1))
    monkeypatch.setattr(learn, "judgeable", lambda schema, truth, fewest=0: len(truth) > fewest)
    monkeypatch.setattr(task, "outcome", lambda schema, raw: raw)


def exam(said: np.ndarray, dummy: np.ndarray, **more: Any) -> Exam:
    """The truth is 0 to 49."""
    model = Model(schema(**more), Manifest(run="none", decision={}), lambda features: features["size"])
    return Exam(model, ROWS, np.arange(50.0), said, dummy)


def half_right() -> Exam:
    """The first half of what it says is right, and the first ten rows of what the dummy says."""
    rows = np.arange(50.0)
    return exam(np.where(rows < 25, rows, -1), np.where(rows < 10, rows, -1), slices=["kind", "open"])


def test_a_limit_that_is_just_met_is_met() -> None:
    assert Check("gain", 0.5, 0.5).passed
    assert not Check("gain", 0.4, 0.5).passed
    assert Check("loss", 0.5, 0.5, below=True).passed
    assert not Check("loss", 0.6, 0.5, below=True).passed
    assert str(Check("gain", 0.25, 0.5)) == "gain: 0.25, at least 0.5"
    assert str(Check("loss", 0.25, 0.5, below=True)) == "loss: 0.25, at most 0.5"


def test_gains_are_over_the_dummy_also_within_a_slice() -> None:
    assert half_right().gain() == pytest.approx(0.5 - 0.2)
    checks = {c.name: c for c in evaluate.judge(half_right(), {"champion": 0.6}, Gate(slice_rows=20))}
    assert checks["gain over dummy"].figure == pytest.approx(0.3)
    assert checks["gain over the best constant"].figure == pytest.approx(0.5 - 0.2)
    assert checks["loss to champion"].figure == pytest.approx(0.1)
    assert not checks["loss to champion"].passed
    assert checks["slice kind = a, gain over dummy"].figure == pytest.approx(13 / 25 - 5 / 25)
    assert checks["slice open = True, gain over dummy"].figure == pytest.approx(1 - 10 / 20)
    assert checks["slice open = False, gain over dummy"].figure == pytest.approx(5 / 30)


def test_a_slice_needs_enough_rows() -> None:
    enough = ["kind = a", "kind = b", "open = False"]
    assert [name for name, _ in half_right().slices(20)] == [*enough, "open = True"]
    assert [name for name, _ in half_right().slices(21)] == enough


@pytest.mark.parametrize(
    ("about", "values", "moved"),
    [
        ({"type": "number"}, [0.0, 50.0, 100.0], [9.0, 59.0, 109.0]),
        ({"type": "number", "max": 100}, [0.0, 50.0, 100.0], [9.0, 59.0, 100.0]),
        ({"type": "number"}, [0.0, np.nan, 100.0], [9.0, np.nan, 109.0]),
        ({"type": "integer"}, [0.0, 5.0, 10.0], [1.0, 6.0, 11.0]),
        ({"type": "integer"}, [0.0, 7.0, 14.0], [2.0, 9.0, 16.0]),
        ({"type": "boolean"}, [0.0, 1.0, np.nan], [1.0, 1.0, np.nan]),
    ],
)
def test_a_column_is_moved_by_a_tenth_of_its_range(
    about: dict[str, Any], values: list[float], moved: list[float]
) -> None:
    """From the 5th to the 95th percentile; whole numbers by whole steps, one at least."""
    np.testing.assert_allclose(evaluate._moved(Column(name="size", **about), np.array(values)), moved)


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        (lambda columns: columns["size"], {"increasing": 0.0, "decreasing": 0.9, "invariant": 1.0}),
        (lambda columns: -columns["size"], {"increasing": 0.9, "decreasing": 0.0, "invariant": 1.0}),
        (lambda columns: columns["noise"], {"increasing": 0.0, "decreasing": 0.0, "invariant": 0.0}),
    ],
)
def test_the_share_of_rows_that_break_an_expectation(answer: Any, broken: dict[str, float]) -> None:
    """Where the column is at its limit already, it cannot be moved: ten of the hundred rows."""
    expect = {kind: ["size"] for kind in broken}
    model = Model(schema(expect=expect), Manifest(run="none", decision={}), answer)
    frame = pd.DataFrame({"size": [*np.arange(1.0, 91.0), *[100.0] * 10]})
    frame = frame.assign(noise=7.0, kind="a", open=1.0)
    shares = evaluate.violations(model, frame)
    assert shares["size increasing"] == pytest.approx(broken["increasing"])
    assert shares["size decreasing"] == pytest.approx(broken["decreasing"])
    assert shares["size invariant"] == pytest.approx(broken["invariant"], abs=0.1)


@pytest.mark.parametrize(("slope", "broken"), [(-0.009, 0.0), (-0.011, 1.0), (0.009, 0.0), (0.011, 1.0)])
def test_a_change_below_a_hundredth_of_the_spread_is_noise(slope: float, broken: float) -> None:
    """The predictions spread by one, and a step of `size` is nine."""

    def answer(columns: Any) -> Any:
        return columns["noise"] + columns["size"] * slope / 9

    kind = "increasing" if slope < 0 else "decreasing"
    columns = [{"name": "size", "type": "number"}, {"name": "noise", "type": "number"}]
    held = schema(columns=columns, expect={kind: ["size"]})
    frame = pd.DataFrame({"size": np.repeat([0.0, 50.0, 100.0], 20), "noise": [-1.0, 1.0] * 30})
    model = Model(held, Manifest(run="none", decision={}), answer)
    assert evaluate.violations(model, frame) == {f"size {kind}": broken}


@pytest.mark.parametrize(("change", "broken"), [(1e-8, 0.0), (1.5e-8, 1.0)])
def test_where_nothing_spreads_the_smallest_change_counts(change: float, broken: float) -> None:
    """All rows are closed; opening them changes what is said by this much."""
    for kind, sign in (("increasing", -1), ("decreasing", 1)):
        expect = {kind: ["open"]}
        model = Model(
            schema(expect=expect),
            Manifest(run="none", decision={}),
            lambda columns, sign=sign: sign * change * columns["open"],  # type: ignore[misc]
        )
        shares = evaluate.violations(model, ROWS.assign(open=0.0))
        assert shares == {f"open {kind}": broken}


def invariant(rows: pd.DataFrame, answer: Any) -> float:
    columns = [{"name": "size", "type": "number"}, {"name": "noise", "type": "number"}]
    held = schema(columns=columns, expect={"invariant": ["size"]})
    return evaluate.violations(Model(held, Manifest(run="none", decision={}), answer), rows)["size invariant"]


def test_an_invariant_column_is_exchanged_with_the_row_before() -> None:
    rows = pd.DataFrame({"size": [1.0, 2.0] * 10, "noise": 7.0})
    assert invariant(rows, lambda columns: columns["size"]) == 1.0


def test_a_change_as_large_as_the_noise_is_still_noise() -> None:
    """All predictions are 0, and 1e-8 or -1e-8 with the value of the row before."""
    size = np.array([1.0, -1.0] * 10) * 0.01 * 1e-6 / 2
    rows = pd.DataFrame({"size": size, "noise": -size})
    assert invariant(rows, lambda columns: columns["size"] + columns["noise"]) == 0.0
    assert invariant(rows, lambda columns: 1.01 * (columns["size"] + columns["noise"])) == 1.0


def params(how: str = "random") -> Params:
    content: dict[str, Any] = {"data": {"source": "x"}, "split": {"how": how}, "model": {"name": "linear"}}
    return Params.model_validate(content | {"gate": {"slice_rows": 20}})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> evaluate.Report:
    """What is measured of the model whose first half is right."""
    monkeypatch.setattr(
        learn, "metrics", lambda model, learning, truth, raw: {"score": learn.score(model.schema, truth, raw)}
    )
    return evaluate.measure(half_right(), None, params(), [0.4, 0.6])


def test_the_report_holds_intervals_and_slices(measured: evaluate.Report) -> None:
    assert measured.metrics == {"score": 0.5}
    assert measured.beside == {"dummy": {"score": 0.2}}
    assert measured.intervals.index.tolist() == [0.025, 0.975]
    low, high = measured.intervals["score"]
    assert 0.3 < low < 0.45
    assert 0.55 < high < 0.7
    assert [(name, rows) for name, rows, *_ in measured.slices] == [
        *(("kind = a", 25), ("kind = b", 25)),
        *(("open = False", 30), ("open = True", 20)),
    ]
    assert measured.slices[0][2] == 13 / 25


def test_a_resample_needs_one_row_of_each_class(
    monkeypatch: pytest.MonkeyPatch, measured: evaluate.Report
) -> None:
    """A slice needs more, but of the rows that a slice has all are drawn from."""
    # No answer that is the same for all rows is right on more of them.
    monkeypatch.setattr(learn, "dummy", lambda schema, truth, rows: np.where(truth < 10, truth, -1))
    monkeypatch.setattr(learn, "judgeable", lambda schema, truth, fewest=5: fewest == 1)
    report = evaluate.measure(half_right(), None, params(), [])
    assert report.intervals.notna().all(axis=None)
    assert report.slices == []


def test_the_column_that_matters_most_is_on_top(
    monkeypatch: pytest.MonkeyPatch, measured: evaluate.Report
) -> None:
    monkeypatch.setattr(learn, "plots", lambda model, truth, raw: {})
    losses = pd.Series({"size": 0.9, "kind": 0.5, "open": 0.1})
    figure = evaluate.pictures(half_right(), measured._replace(importance=losses))["importance"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["open", "kind", "size"]


@pytest.mark.parametrize(
    ("how", "target", "decision", "said"),
    [
        ("random", {"meaning": "Euros"}, {}, "**worth** (Euros): a"),
        ("time", {}, {}, "**worth**: a"),
        ("random", {}, {"threshold": 0.25}, "It decides by threshold 0.25, chosen on the training rows"),
    ],
)
def test_the_card_says_how_it_was_split_and_how_it_decides(
    how: str,
    target: dict[str, str],
    decision: dict[str, float],
    said: str,
    measured: evaluate.Report,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(evaluate, "CARD", tmp_path / "reports" / "card.md")
    columns = [*COLUMNS, {"name": "seen", "type": "datetime"}]
    held = schema(columns=columns, target={"name": "worth", **target}, time="seen")
    model = Model(held, Manifest(run="none", decision=decision), lambda features: features["size"])
    rows = Rows(np.arange(40), np.arange(40, 50), [])
    data = Prepared(held, ROWS, rows, np.arange(50.0), ROWS)
    about = {"version": "7", "choice": "With scikit-learn", "note": "Calibration: none"}
    exam = half_right()._replace(model=model)
    card = evaluate.write_card(exam, measured, [], params(how), data, **about).read_text(encoding="utf-8")
    assert said in card
    assert "\nCalibration: none\n" in card
    assert (", none newer than the test rows by `seen`" in card) == (how == "time")
    assert ("It decides by" in card) == bool(decision)
    assert "| kind = a | 25 | 0.52 |" in card


def test_a_table_of_the_card() -> None:
    lines = ["| name | allowed |", "| --- | --- |", "| a&#124;b | 1 |"]
    assert evaluate._table(("name", "allowed"), [("a|b", 1)]).splitlines() == lines
    assert evaluate._table(("name", "allowed"), []) == "None."


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"type": "number"}, "any"),
        ({"type": "number", "min": 0}, "0 to "),
        ({"type": "number", "max": 0.5, "nullable": True}, " to 0.5, or missing"),
        ({"type": "integer", "min": 0, "max": 5}, "0 to 5"),
        ({"type": "category", "categories": ["a", "b"]}, "a, b"),
    ],
)
def test_what_a_column_allows(about: dict[str, Any], said: str) -> None:
    assert evaluate._limits(Column(name="size", **about)) == said


def test_a_column_matters_by_what_its_shuffling_costs() -> None:
    """Only size is answered with, so that nothing else can be missed."""
    losses = evaluate.importance(exam(np.arange(50.0), np.zeros(50)), seed=1)
    assert losses.index[0] == "size"
    assert losses["size"] > 0.9
    assert losses.drop("size").tolist() == [0.0, 0.0, 0.0]
