"""The figures of a model, on rows that can be checked by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from fraud_watch.kit import UserError, task
from fraud_watch.kit.learn import assemble, dummy, judgeable, metrics, plots, score
from fraud_watch.kit.predictor import Manifest, Model
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.task import Cost, Learning

TRUTH = np.array([0.0, 0.0, 1.0, 1.0])
CHANCES = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
"""Two rows of each class. At a threshold of one half, one of each class is decided wrongly."""
THREE = np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]])


def named(*classes: str, positive: str | None = None) -> Schema:
    target = {"name": "kind", "classes": classes, "positive": positive}
    columns = [{"name": "size", "type": "number"}]
    return Schema.parse({"problem": "classification", "target": target, "columns": columns}, "here")


TWO_CLASSES = named("no", "yes", positive="yes")


def model(schema: Schema, **decision: float) -> Model:
    return Model(schema, Manifest(run="none", decision=decision), lambda features: features["size"])


def test_the_score_of_two_classes_is_about_the_positive_one() -> None:
    """By falling chance: yes, no, yes, no. The precision is 1 at the first and 2/3 at the second."""
    assert score(TWO_CLASSES, TRUTH, CHANCES) == pytest.approx((1 + 2 / 3) / 2)
    other = named("no", "yes", positive="no")
    assert score(other, TRUTH, CHANCES) == pytest.approx((1 + 2 / 3) / 2)


def test_the_score_of_more_classes_is_the_mean_chance_of_the_truth() -> None:
    truth = np.array([0.0, 1.0, 2.0, 0.0])
    expected = (0.5 * 0.4 * 0.8 * 0.6) ** (1 / 4)
    assert score(named("a", "b", "c"), truth, THREE) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("threshold", "precision", "recall", "cost"),
    [(0.5, 1 / 2, 1 / 2, (1 + 5) / 4), (0.3, 2 / 3, 1, 1 / 4), (0.7, 1, 1 / 2, 5 / 4), (0.9, 0, 0, 10 / 4)],
)
def test_mistakes_are_counted_by_kind_and_cost(
    threshold: float, precision: float, recall: float, cost: float
) -> None:
    """The precision of a model that never says yes is 0, as it is of no use."""
    learning = Learning(cost=Cost(false_positive=1, false_negative=5))
    said = metrics(model(TWO_CLASSES, threshold=threshold), learning, TRUTH, CHANCES)
    figures = (said["precision"], said["recall"], said["cost_per_row"])
    assert figures == pytest.approx((precision, recall, cost))


def test_weights_and_calibration_are_put_around_the_pipeline() -> None:
    rows, truth = np.linspace(-1.0, 1.0, 40).reshape(-1, 1), np.array([0.0, 1.0] * 20)
    for imbalance, weight in (("weights", "balanced"), ("none", None)):
        learning = Learning.model_validate({"imbalance": imbalance, "calibration": "sigmoid"})
        fitted = assemble(Pipeline([("model", LogisticRegression())]), learning, seed=1).fit(rows, truth)
        (calibrated,) = fitted.calibrated_classifiers_
        assert calibrated.estimator["model"].class_weight == weight


def test_without_calibration_an_estimator_must_give_probabilities() -> None:
    learning = Learning(calibration="none")
    pipeline = Pipeline([("model", LinearSVC())])
    with pytest.raises(UserError, match=r"LinearSVC gives no probabilities; .*calibration: auto"):
        assemble(pipeline, learning, seed=1)
    learning = Learning(calibration="sigmoid")
    rows, truth = np.linspace(-1.0, 1.0, 40).reshape(-1, 1), np.array([0.0, 1.0] * 20)
    assert assemble(pipeline, learning, seed=1).fit(rows, truth).predict_proba(rows).shape == (40, 2)


def test_one_curve_for_two_classes_and_one_each_for_more() -> None:
    roc = plots(model(TWO_CLASSES, threshold=0.5), TRUTH, CHANCES)["curves"].axes[0]
    assert [line.get_label() for line in roc.get_lines()] == ["yes (AUC = 0.75)"]
    truth = np.array([0.0, 1.0, 2.0, 0.0])
    roc = plots(model(named("a", "b", "c")), truth, THREE)["curves"].axes[0]
    assert [str(line.get_label())[0] for line in roc.get_lines()] == ["a", "b", "c"]


@pytest.mark.parametrize(("low", "high", "limit"), [(5, 20, 0.44), (0, 5, 0.22), (5, 25, 1.05)])
def test_the_calibration_of_a_rare_class_fills_its_picture(low: int, high: int, limit: float) -> None:
    """Of fifty rows with a chance of 0.1 and fifty with 0.2, so many are of the class."""
    chance = np.repeat([0.1, 0.2], 50)
    truth = np.concatenate([np.arange(50) < low, np.arange(50) < high]).astype(np.float64)
    raw = np.column_stack([1 - chance, chance])
    axes = plots(model(TWO_CLASSES, threshold=0.5), truth, raw)["curves"].axes[2]
    assert (axes.get_xlim()[1], axes.get_ylim()[1]) == pytest.approx((limit, limit))


@pytest.mark.parametrize(
    ("count", "of_those", "size", "turned"),
    [
        (8, "", [6.0, 4.5], 0),
        (9, " of the 8 most frequent classes", [6.0, 4.5], 90),
        (20, " of the 8 most frequent classes", [9.0, 7.5], 90),
    ],
)
def test_pictures_make_room_for_many_classes(
    count: int, of_those: str, size: list[float], turned: float
) -> None:
    truth = np.repeat(np.arange(float(count)), 2)
    schema = named(*(f"class {code}" for code in range(count)))
    drawn = plots(model(schema), truth, np.full((len(truth), count), 1 / count))
    assert drawn["curves"].axes[0].get_title() == f"ROC{of_those}"
    assert drawn["confusion"].get_size_inches().tolist() == size
    assert drawn["confusion"].axes[0].get_xticklabels()[0].get_rotation() == turned


def test_the_figures_of_two_classes() -> None:
    learning = Learning(cost=Cost(false_positive=1, false_negative=5))
    said = metrics(model(TWO_CLASSES, threshold=0.5), learning, TRUTH, CHANCES)
    assert next(iter(said)) == "score"
    assert said["brier"] == pytest.approx((0.1**2 + 0.6**2 + 0.6**2 + 0.2**2) / 4)
    assert said["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.4, 0.8]).mean())
    assert said["roc_auc"] == pytest.approx(3 / 4)


def test_the_figures_of_more_classes() -> None:
    truth = np.array([0.0, 1.0, 2.0, 1.0])
    said = metrics(model(named("a", "b", "c")), Learning(), truth, THREE)
    assert said["accuracy"] == 3 / 4
    assert said["balanced_accuracy"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert said["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert "precision" not in said


def test_the_dummy_says_each_class_as_often_as_it_was_seen() -> None:
    assert dummy(TWO_CLASSES, np.array([0.0, 0.0, 0.0, 1.0]), 2).tolist() == [[0.75, 0.25]] * 2


def test_a_class_is_judged_by_five_rows_at_least() -> None:
    rows = np.array([0.0] * 9 + [1.0] * 5)
    assert judgeable(TWO_CLASSES, rows)
    assert not judgeable(TWO_CLASSES, rows[:-1])
    assert judgeable(TWO_CLASSES, rows[:-4], fewest=1)
    assert not judgeable(TWO_CLASSES, rows[:-5], fewest=1)


def test_who_reaches_the_threshold_is_positive() -> None:
    assert task.decide(TWO_CLASSES, {"threshold": 0.4}, CHANCES).tolist() == [0, 1, 1, 1]
    assert task.decide(TWO_CLASSES, {"threshold": 0.6}, CHANCES).tolist() == [0, 1, 0, 1]
    first = named("yes", "no", positive="yes")
    assert task.decide(first, {"threshold": 0.6}, CHANCES).tolist() == [0, 1, 0, 1]
    assert task.outcome(first, CHANCES).tolist() == [0.9, 0.4, 0.6, 0.2]


def test_answers_name_the_class_and_the_chance_of_each() -> None:
    rows: NDArray[np.float64] = THREE[:2]
    schema = named("a", "b", "c")
    assert task.answers(schema, {}, rows, "7")[0] == {
        "prediction": "a",
        "probabilities": {"a": 0.5, "b": 0.3, "c": 0.2},
        "model_version": "7",
    }
    table = task.table(schema, {}, rows)
    assert table["prediction"] == ["a", "b"]
    assert table["probability_c"].tolist() == [0.2, 0.4]


def test_a_class_is_found_as_a_whole_number_or_as_text() -> None:
    schema = named("123", "-1", "v2.0")
    codes, bad = task.encode(schema, ["123", "-1.0", "v2.0", " 123.0", "1234", "v2"])
    assert codes[:4].tolist() == [0, 1, 2, 0]
    assert bad.tolist() == [False] * 4 + [True] * 2
