"""Engines: a plan says what scikit-learn says, whatever the pipeline and the row, or it is not taken."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn import ensemble, linear_model, tree
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fraud_watch import features as yours
from fraud_watch import model as beside
from fraud_watch.kit import engine, predictor, train
from fraud_watch.kit.compile import NoPlanError, compiled
from fraud_watch.kit.evaluate import Prepared
from fraud_watch.kit.plan import Plan, shares
from fraud_watch.kit.predictor import BrokenModelError, Manifest, as_rows, figures, made
from fraud_watch.kit.settings import Params
from fraud_watch.kit.store import open_model, write
from fraud_watch.kit.table import columns_of

Table = dict[str, NDArray[Any]]
NUMBERS, CATEGORIES = ["even", "gaps", "large", "flag"], ["few", "many"]
CLASSIFIERS: list[Any] = [
    linear_model.LogisticRegression(max_iter=300),
    ensemble.HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=15, random_state=1),
    ensemble.HistGradientBoostingClassifier(max_iter=4, max_leaf_nodes=90, min_samples_leaf=2),
    ensemble.RandomForestClassifier(12, random_state=1),
    ensemble.ExtraTreesClassifier(5, max_depth=4, random_state=1),
    tree.DecisionTreeClassifier(max_depth=7, random_state=1),
]
REGRESSORS: list[Any] = [
    linear_model.Ridge(),
    linear_model.LinearRegression(),
    ensemble.HistGradientBoostingRegressor(max_iter=12, random_state=1),
    ensemble.HistGradientBoostingRegressor(max_iter=12, loss="poisson", random_state=1),
    ensemble.RandomForestRegressor(12, random_state=1),
]


def drawn(seed: int, rows: int) -> Table:
    """Numbers with and without gaps, large ones and flags, categories with and without missing ones."""
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.random(rows) < 0.2, np.nan, rng.normal(size=rows))
    numbers = [rng.normal(size=rows), gaps, rng.lognormal(8, 3, rows), rng.integers(0, 2, rows) * 1.0]
    few, many = (np.array([*map(str, range(n)), None], dtype=object) for n in (3, 40))
    categories = rng.choice(few, rows), rng.choice(many, rows, p=np.r_[0.3, np.full(40, 0.7 / 40)])
    return dict(zip([*NUMBERS, *CATEGORIES], [*numbers, *categories], strict=True))


def odd(table: Table) -> Table:
    """Rows with gaps where there were none, categories that nobody has seen, numbers far out."""
    changed = {name: values.copy() for name, values in table.items()}
    for place, name in enumerate(NUMBERS):
        changed[name][place::9] = np.nan
        changed[name][place + 4 :: 11] = (-1) ** place * 1e12
    changed["few"][::5], changed["many"][::7] = "unheard of", None
    return changed


def pipeline(estimator: Any, whole: bool) -> Pipeline:
    """Numbers filled and scaled, or as they are for what takes gaps; filled after that, as for SMOTE."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    bare = whole and type(estimator).__name__.startswith("Hist")
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=8, sparse_output=False)
    parts = [("numbers", "passthrough" if bare else numbers, NUMBERS), ("categories", encoder, CATEGORIES)]
    fill = [] if whole else [("fill", SimpleImputer(strategy="median"))]
    return Pipeline([("prepare", ColumnTransformer(parts)), *fill, ("model", estimator)])


def equal(fitted: Any) -> None:
    plan = Plan(compiled(fitted))
    for table in (drawn(2, 300), odd(drawn(3, 300))):
        expected = figures(fitted, as_rows(table))
        np.testing.assert_allclose(plan(table), expected, rtol=1e-9, atol=1e-9)
        for row in range(0, 300, 17):
            one = {name: values[row : row + 1] for name, values in table.items()}
            np.testing.assert_allclose(plan(one), expected[row : row + 1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("calibration", ["none", "sigmoid", "isotonic"])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=lambda e: type(e).__name__)
def test_a_plan_gives_the_probabilities(estimator: Any, calibration: str, classes: int) -> None:
    table = drawn(1, 400)
    signal = table["even"] + 0.3 * np.log(table["large"]) + (table["few"] == "1")
    truth = np.digitize(signal, np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1])).astype(np.float64)
    fitted = pipeline(estimator, whole=calibration != "sigmoid")
    if calibration != "none":
        fitted = CalibratedClassifierCV(fitted, method=calibration, cv=2, ensemble=False)
    equal(fitted.fit(as_rows(table), truth))


@pytest.mark.parametrize("functions", [(), (np.log1p, np.expm1), (np.log, np.exp)], ids=["", "expm1", "exp"])
@pytest.mark.parametrize("estimator", REGRESSORS, ids=lambda e: type(e).__name__)
def test_a_plan_gives_the_values(estimator: Any, functions: tuple[Any, ...]) -> None:
    table = drawn(1, 400)
    truth = np.abs(table["even"]) + np.log1p(table["large"])
    fitted: Any = pipeline(estimator, whole=bool(functions))
    if functions:
        fitted = TransformedTargetRegressor(fitted, func=functions[0], inverse_func=functions[1])
    equal(fitted.fit(as_rows(table), truth))


def test_a_forest_sees_numbers_as_scikit_learn_does() -> None:
    """In single precision: beside a threshold, the last digits of a double decide otherwise."""
    table = {name: values for name, values in drawn(1, 200).items() if name in NUMBERS}
    fitted = Pipeline([("scale", StandardScaler()), ("model", tree.DecisionTreeRegressor(random_state=1))])
    fitted.fit(as_rows(table | {"gaps": table["even"]}), table["even"] + table["large"])
    scaler, grown = fitted[0], fitted[-1].tree_
    cuts = grown.threshold[grown.feature == 0] * scaler.scale_[0] + scaler.mean_[0]
    beside = np.concatenate([cuts * (1 + tiny) for tiny in (-1e-8, -1e-9, 0.0, 1e-9, 1e-8)])
    rows = {name: np.resize(values, len(beside)) for name, values in table.items()}
    rows |= {"even": beside, "gaps": beside}
    np.testing.assert_allclose(Plan(compiled(fitted))(rows), figures(fitted, as_rows(rows)))


def test_where_no_class_has_a_chance_all_have_the_same() -> None:
    """Isotonic calibration of several classes may say nothing but zeros."""
    assert shares(np.array([[0.0, 1.0], [0.0, 3.0]])).tolist() == [[0.5, 0.25], [0.5, 0.75]]


class Doubled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """As one may write in model.py."""

    def fit(self, rows: Any, target: Any = None) -> "Doubled":
        self.fitted_ = True
        return self

    def transform(self, rows: Any) -> Any:
        return rows * 2


@pytest.fixture
def learned(prepared: Prepared, params: Params, monkeypatch: pytest.MonkeyPatch) -> train.Learned:
    """A model with a transformer of the owner's own in it."""
    monkeypatch.setattr(Doubled, "__module__", beside.__name__)
    monkeypatch.setattr(beside, "Doubled", Doubled, raising=False)
    learned = train.fit(prepared, params, params.model.options)
    rows, build = prepared.features.iloc[prepared.rows.train], train.build(prepared, params, {})
    prepare, model = build.steps
    own = Pipeline([prepare, ("double", Doubled()), model])
    return learned._replace(estimator=own.fit(rows, prepared.target[prepared.rows.train]))


def test_a_transformer_of_ones_own_is_served_by_scikit_learn(
    prepared: Prepared, learned: train.Learned, tmp_path: Path
) -> None:
    choice = train.choose(prepared, learned)
    assert (choice.name, choice.needs) == ("sklearn", ("fallback",))
    assert "your Doubled has no plan" in str(choice)
    assert "microseconds_plan" not in choice.metrics
    manifest = Manifest(run="none", decision=learned.decision)
    write(tmp_path / "model", Path("schema.yaml"), manifest, choice, prepared.schema.sample(20))
    assert "it needs the group fallback (your Doubled has no plan)" in engine.needs(tmp_path / "model")
    columns = columns_of(prepared.schema, prepared.frame.head(20))
    expected = figures(learned.estimator, prepared.features.head(20))
    np.testing.assert_array_equal(open_model(tmp_path / "model").raw(columns), expected)


def test_features_may_insist_on_pandas_and_are_told_the_price(
    prepared: Prepared, trained: train.Result, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = columns_of(prepared.schema, prepared.frame.head(50))
    expected = open_model(published).raw(columns)

    def slow(columns: Any) -> Any:
        return pd.DataFrame(yours.features(columns)).to_dict("series")

    monkeypatch.setattr(predictor, "features", slow)
    monkeypatch.setattr(yours, "pd", pd, raising=False)
    assert all(type(values) is np.ndarray for values in made(columns).values())
    np.testing.assert_allclose(open_model(published).raw(columns), expected, rtol=1e-9)
    choice = train.choose(prepared, train.Learned(_estimator(prepared), {}, []))
    assert choice.needs == ("fallback",)
    assert "features.py insists on pandas" in choice.why


def _estimator(prepared: Prepared) -> Any:
    """Quickly fitted, and known to have a plan."""
    names = {kind: list(prepared.features.select_dtypes(include=kind)) for kind in ("number", "object")}
    encoder = OneHotEncoder(handle_unknown="ignore")
    filled = make_pipeline(SimpleImputer(strategy="mean"), StandardScaler())
    parts = [("n", filled, names["number"]), ("c", encoder, names["object"])]
    kind = "Regressor" if prepared.schema.problem == "regression" else "Classifier"
    grown = getattr(tree, f"DecisionTree{kind}")(max_depth=3)
    fitted = Pipeline([("prepare", ColumnTransformer(parts)), ("model", grown)])
    return fitted.fit(prepared.features, prepared.target)


@pytest.mark.parametrize("wrong", ["value", "threshold"])
def test_a_plan_that_says_something_else_is_not_taken(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    def bent(fitted: Any) -> Any:
        spec = compiled(fitted)
        spec["steps"][0][wrong] = spec["steps"][0][wrong] + (1e-6 if wrong == "value" else 0.3)
        return spec

    learned = train.Learned(_estimator(prepared), {}, [])
    assert train.choose(prepared, learned).name == "plan"
    monkeypatch.setattr(engine, "compiled", bent)
    choice = train.choose(prepared, learned)
    assert choice.name == "sklearn"
    assert "its plan differs from scikit-learn by" in choice.why


def test_a_plan_that_cannot_be_made_is_no_failed_training(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another version of scikit-learn calls its inner things otherwise."""

    def fails(_: Any) -> Any:
        raise AttributeError("no nodes")

    monkeypatch.setattr(engine, "compiled", fails)
    choice = train.choose(prepared, train.Learned(_estimator(prepared), {}, []))
    assert choice.name == "sklearn"
    assert "no plan can be made of it" in choice.why


def test_what_has_no_plan_is_named() -> None:
    table = drawn(1, 60)
    truth = np.arange(60) % 2
    for estimator in (linear_model.SGDClassifier(), ensemble.GradientBoostingClassifier(n_estimators=2)):
        with pytest.raises(NoPlanError, match=f"{type(estimator).__name__} has no plan"):
            compiled(pipeline(estimator, whole=True).fit(as_rows(table), truth))
    parts = ColumnTransformer([("categories", OneHotEncoder(), CATEGORIES)])
    strict = Pipeline([("prepare", parts), ("model", linear_model.LogisticRegression())])
    with pytest.raises(NoPlanError, match="refuses unknown categories"):
        compiled(strict.fit(as_rows(table), truth))


def test_a_plan_is_taken_where_there_is_one(trained: train.Result, published: Path) -> None:
    assert trained.choice.name == "plan"
    assert trained.choice.metrics["microseconds_plan"] < trained.choice.metrics["microseconds_sklearn"]
    assert not engine.needs(published)


def altered(folder: Path, **entries: object) -> None:
    """As if the training had written another manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@pytest.mark.parametrize("name", ["plan.json", "plan.npz"])
def test_half_a_plan_is_a_broken_model(published: Path, tmp_path: Path, name: str) -> None:
    """Whatever a program that knows the hashes may have written."""
    copy = tmp_path / "model"
    shutil.copytree(published, copy)
    part = copy / name
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    altered(copy, files={})
    with pytest.raises(BrokenModelError, match="cannot predict here"):
        open_model(copy)


def test_a_service_without_scikit_learn_says_how_to_get_it(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(published, copy)
    altered(copy, engine="sklearn", files={})
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.raises(BrokenModelError, match="skops is not installed here: uv sync --group fallback"):
        open_model(copy)
