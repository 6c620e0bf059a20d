"""Fitting a classifier: imbalance, calibration, the threshold, and what is left of it in serving."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fraud_watch import model as yours
from fraud_watch.kit import UserError, train
from fraud_watch.kit.learn import assemble, check, decision, served
from fraud_watch.kit.predictor import figures
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.settings import Params
from fraud_watch.kit.task import Cost, Learning, decide, encode


def fit(data: train.Prepared, params: Params, learning: Learning) -> train.Learned:
    return train.fit(data, params.model_copy(update={"learning": learning}), {})


@pytest.mark.parametrize(
    ("imbalance", "calibration"), [("none", "none"), ("weights", "sigmoid"), ("smote", "isotonic")]
)
def test_every_way_of_learning_gives_probabilities(
    prepared: train.Prepared, params: Params, imbalance: str, calibration: str
) -> None:
    learning = Learning.model_validate({"imbalance": imbalance, "calibration": calibration})
    learned = fit(prepared, params, learning)
    raw = figures(learned.estimator, prepared.features.iloc[prepared.rows.test])
    assert raw.shape == (len(prepared.rows.test), len(prepared.schema.target.classes))
    np.testing.assert_allclose(raw.sum(axis=1), 1.0)
    assert len(learned.fold_scores) == len(prepared.rows.folds)
    assert "imblearn" not in repr(learned.estimator.__dict__)


def test_calibration_mends_the_probabilities_that_resampling_bends() -> None:
    """SMOTE shows the model as many rare rows as common ones; said as probabilities, that is far too many."""
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"x": rng.normal(size=1500)})
    truth = (rows["x"] + rng.normal(size=1500) > 2).to_numpy(dtype=np.float64)
    said = {}
    for calibration in ("none", "sigmoid"):
        learning = Learning.model_validate({"imbalance": "smote", "calibration": calibration})
        pipeline = assemble(yours.build("linear", {}, ["x"], [], seed=5), learning, seed=5)
        said[calibration] = figures(served(pipeline.fit(rows, truth)), rows)[:, 1].mean()
    assert said["none"] > truth.mean() + 0.1
    assert said["sigmoid"] == pytest.approx(truth.mean(), abs=0.02)


@pytest.fixture
def two(schema: Schema) -> Schema:
    """The project's schema with a target of two classes."""
    target = schema.target.model_copy(update={"classes": ("no", "yes"), "positive": "yes"})
    return schema.model_copy(update={"target": target})


@pytest.mark.parametrize(("false_alarm", "missed", "threshold"), [(1, 10, 0.3), (10, 1, 0.9)])
def test_the_threshold_is_where_mistakes_cost_least(
    two: Schema, false_alarm: float, missed: float, threshold: float
) -> None:
    chance = np.array([0.1, 0.3, 0.4, 0.6, 0.9])
    truth = np.array([0.0, 1.0, 0.0, 0.0, 1.0])
    learning = Learning(cost=Cost(false_positive=false_alarm, false_negative=missed))
    raw = np.column_stack([1 - chance, chance])
    assert decision(two, learning, truth, raw) == {"threshold": threshold}


def test_a_threshold_decides_between_two_classes_and_the_likeliest_wins_among_more(
    two: Schema, schema: Schema
) -> None:
    raw = np.array([[0.9, 0.1], [0.6, 0.4]])
    assert decide(two, {"threshold": 0.3}, raw).tolist() == [0, 1]
    three = np.array([[0.2, 0.5, 0.3]])
    assert decide(schema, {}, three).tolist() == [1]
    assert decision(schema, Learning(), np.array([1.0]), three) == {}


def test_classes_are_read_however_they_are_written(prepared: train.Prepared) -> None:
    schema = prepared.schema
    target = schema.target.model_copy(update={"classes": (0, 1), "positive": 1})
    values = np.array(["1", " 0 ", "1.0", 1, 0.0, True, None, "2"], dtype=object)
    codes, bad = encode(schema.model_copy(update={"target": target}), values)
    assert codes[:6].tolist() == [1, 0, 1, 1, 0, 1]
    assert bad.tolist() == [False] * 6 + [True] * 2


def test_test_rows_that_lack_a_class_are_refused(prepared: train.Prepared, params: Params) -> None:
    target = prepared.target.copy()
    target[prepared.rows.test] = 0
    with pytest.raises(UserError, match="the test rows lack a class"):
        fit(replace(prepared, target=target), params, Learning())


@pytest.mark.parametrize(
    ("imbalance", "calibration", "fewest"),
    [("none", "none", 2), ("weights", "sigmoid", 3), ("smote", "none", 6), ("smote", "isotonic", 9)],
)
def test_as_many_rows_of_a_class_as_learning_needs(
    two: Schema, imbalance: str, calibration: str, fewest: int
) -> None:
    """One row fewer is refused with a sentence; that many can be learnt from."""
    learning = Learning.model_validate({"imbalance": imbalance, "calibration": calibration})
    truth = np.array([1.0] * fewest + [0.0] * 40)
    with pytest.raises(UserError, match=f"the rows have fewer than {fewest} of class yes"):
        check(two, learning, truth[1:], "the rows")
    check(two, learning, truth, "the rows")
    rows = pd.DataFrame({"x": np.random.default_rng(1).normal(size=len(truth))})
    assemble(yours.build("linear", {}, ["x"], [], seed=5), learning, seed=5).fit(rows, truth)
