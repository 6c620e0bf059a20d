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
from sklearn import dummy, ensemble, linear_model, tree
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from fraud_watch import features as yours
from fraud_watch import model as beside
from fraud_watch.kit import engine, predictor, train, trust
from fraud_watch.kit.compile import NoPlanError, compiled
from fraud_watch.kit.evaluate import Prepared
from fraud_watch.kit.plan import Plan, shares, sigmoid, softmax
from fraud_watch.kit.predictor import BrokenModelError, Manifest, as_rows, figures, made
from fraud_watch.kit.settings import Params
from fraud_watch.kit.store import open_model, sha256, write
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
            few = slice(row, row + 1 + row % 2)
            said = plan({name: values[few] for name, values in table.items()})
            np.testing.assert_allclose(said, expected[few], rtol=1e-9, atol=1e-9)


def prepared_by(how: Any, names: list[str], estimator: Any) -> Pipeline:
    """Some columns of a table, prepared in one way."""
    return Pipeline([("prepare", ColumnTransformer([("part", how, names)])), ("model", estimator)])


@pytest.mark.parametrize("leaves", [1, 2, 3, 8, 9, 64, 65])
def test_trees_of_each_size_lead_to_the_right_leaf(leaves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 64 leaves are found all at once, more are walked to; values on a threshold go left in both."""
    unused = "walk" if 2 <= leaves <= 64 else "masks"
    monkeypatch.setattr(f"fraud_watch.kit.plan.{unused}", None)
    places = np.arange(leaves, dtype=np.float64)
    fitted = prepared_by("passthrough", ["place"], ensemble.RandomForestRegressor(2, bootstrap=False))
    fitted.fit(as_rows({"place": places}), places**2)
    forest = fitted[-1]
    forest.estimators_[1] = tree.DecisionTreeRegressor(max_leaf_nodes=2).fit(places[:, None], places)
    assert forest.estimators_[0].get_n_leaves() == leaves
    plan = Plan(compiled(fitted))
    rows = np.arange(-1, leaves + 1, 0.5)
    expected = figures(fitted, as_rows({"place": rows}))
    assert plan({"place": rows}).tolist() == expected.tolist()
    assert [plan({"place": rows[at : at + 1]}).item() for at in range(len(rows))] == expected.tolist()


@pytest.mark.parametrize(
    "estimator", [tree.DecisionTreeRegressor(), ensemble.RandomForestRegressor(5)], ids=str
)
def test_a_gap_goes_where_it_went_in_training(estimator: Any) -> None:
    table, other = drawn(1, 200), drawn(2, 200)
    fitted = prepared_by("passthrough", ["gaps", "even"], estimator)
    fitted.fit(as_rows(table), np.nan_to_num(table["gaps"], nan=1.0) * table["even"])
    np.testing.assert_allclose(Plan(compiled(fitted))(other), figures(fitted, as_rows(other)))


PREPARED: list[Any] = [
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    SimpleImputer(add_indicator=True),
    make_pipeline("passthrough", FunctionTransformer(), StandardScaler()),
    "passthrough",
]


@pytest.mark.parametrize("prepare", PREPARED, ids=str)
def test_a_plan_prepares_numbers_as_the_pipeline_does(prepare: Any) -> None:
    parts = [("some", prepare, ["even", "flag"]), ("gaps", SimpleImputer(), ["gaps"])]
    parts += [("left out", "drop", ["large"]), ("nothing", StandardScaler(), [])]
    fitted = Pipeline(
        [("prepare", ColumnTransformer(parts)), ("idle", "passthrough"), ("model", linear_model.Ridge())]
    )
    fitted.fit(as_rows(drawn(1, 60)), drawn(1, 60)["even"])
    table = drawn(2, 60)
    np.testing.assert_allclose(Plan(compiled(fitted))(table), figures(fitted, as_rows(table)))


@pytest.mark.parametrize("kind", [np.int64, np.bool_])
def test_categories_may_be_whole_numbers_or_flags(kind: Any) -> None:
    table = {"code": (np.arange(60) % 7).astype(kind)}
    fitted = prepared_by(OneHotEncoder(handle_unknown="ignore"), ["code"], linear_model.Ridge())
    fitted.fit(as_rows(table), np.arange(60.0))
    np.testing.assert_allclose(Plan(compiled(fitted))(table), figures(fitted, as_rows(table)))


def test_far_out_numbers_give_a_chance_and_no_overflow() -> None:
    one, zero = np.ones(1), np.zeros(1)
    with np.errstate(over="raise"):
        assert sigmoid(np.array([[-1e4, 0.0, 1e4]]), one, zero).round(9).tolist() == [[1.0, 0.5, 0.0]]
        assert softmax(np.array([[0.0, -1e4], [1e4, -1e4]])).tolist() == [[0.0, 0.5], [1.0, 0.5]]


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
    monkeypatch.setattr(trust, "declared", lambda: (f"{beside.__name__}.Doubled",))
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
        spec["steps"][0][wrong] = spec["steps"][0][wrong] + (1e-6 if wrong == "value" else 1e6)
        return spec

    fitted = _estimator(prepared)
    if wrong == "threshold" and fitted["model"].tree_.node_count == 1:
        return  # a column that is always the same splits nothing
    learned = train.Learned(fitted, {}, [])
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


LOGISTIC = linear_model.LogisticRegression()
CODES = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
BOOSTED = ensemble.HistGradientBoostingClassifier(max_iter=1, categorical_features=[0])
NO_PLAN: dict[str, Any] = {
    "SGDClassifier has no plan": pipeline(linear_model.SGDClassifier(), whole=True),
    "GradientBoostingClassifier has no plan": pipeline(
        ensemble.GradientBoostingClassifier(n_estimators=2), whole=True
    ),
    "DummyClassifier has no plan": dummy.DummyClassifier(),
    "OneHotEncoder that refuses unknown": prepared_by(OneHotEncoder(), CATEGORIES, LOGISTIC),
    "Scaler after a OneHotEncoder": prepared_by(make_pipeline(CODES, StandardScaler()), CATEGORIES, LOGISTIC),
    "categories of flag are neither": prepared_by(CODES, ["flag"], LOGISTIC),
    "SimpleImputer has no plan": prepared_by(SimpleImputer(missing_values=-1.0), ["even"], LOGISTIC),
    "FunctionTransformer has no plan": prepared_by(FunctionTransformer(np.abs), ["even"], LOGISTIC),
    "with categories of its own": prepared_by("passthrough", ["flag"], BOOSTED),
    "ensemble of calibrated": CalibratedClassifierCV(pipeline(LOGISTIC, whole=True), cv=2, ensemble=True),
    "other than exp and expm1": TransformedTargetRegressor(
        pipeline(linear_model.Ridge(), whole=True), func=np.sqrt, inverse_func=np.square
    ),
}


@pytest.mark.parametrize("why", NO_PLAN)
def test_what_has_no_plan_is_named(why: str) -> None:
    table = drawn(1, 60)
    rows = as_rows(table)
    fitted = NO_PLAN[why].fit(rows, np.arange(60) % 2)
    with pytest.raises(NoPlanError, match=why):
        compiled(fitted)


def test_text_that_is_filled_in_has_no_plan() -> None:
    filled = make_pipeline(SimpleImputer(missing_values=None, strategy="most_frequent"), CODES)
    with pytest.raises(NoPlanError, match="SimpleImputer has no plan"):
        compiled(prepared_by(filled, CATEGORIES, LOGISTIC).fit(as_rows(drawn(1, 60)), np.arange(60) % 2))


def test_a_forest_with_several_targets_has_no_plan() -> None:
    fitted = prepared_by("passthrough", ["even", "flag"], tree.DecisionTreeRegressor())
    with pytest.raises(NoPlanError, match="a forest with several targets"):
        compiled(fitted.fit(as_rows(drawn(1, 60)), np.ones((60, 2))))


def test_a_plan_is_taken_where_there_is_one(prepared: Prepared) -> None:
    choice = train.choose(prepared, train.Learned(_estimator(prepared), {}, []))
    assert (choice.name, choice.needs) == ("plan", ())
    assert choice.metrics["microseconds_plan"] < choice.metrics["microseconds_sklearn"]


@pytest.mark.parametrize(
    ("served", "needed", "says"), [("plan", [], False), ("plan", ["fallback"], True), ("sklearn", [], True)]
)
def test_what_a_model_needs_is_in_its_manifest(
    published: Path, tmp_path: Path, served: str, needed: list[str], says: bool
) -> None:
    shutil.copyfile(published / "manifest.json", tmp_path / "manifest.json")
    altered(tmp_path, engine=served, needs=needed)
    assert bool(engine.needs(tmp_path)) is says


@pytest.mark.parametrize(("cost", "name"), [(1.0, "plan"), (1.1, "sklearn")])
def test_the_faster_engine_is_taken_by_its_cost_for_one_row(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, cost: float, name: str
) -> None:
    """At the same cost it is the plan."""

    def rows(call: Any) -> float:
        said = call()
        return float(len(next(iter(said.values())) if isinstance(said, dict) else said))

    costs = iter([1.0, 1.0, cost])
    monkeypatch.setattr(engine, "_micros", lambda call: rows(call) * next(costs))
    choice = train.choose(prepared, train.Learned(_estimator(prepared), {}, []))
    assert choice.name == name
    assert choice.metrics["microseconds_plan"] == cost
    assert choice.metrics["microseconds_features.py"] == choice.metrics["microseconds_sklearn"] == 1.0
    assert ("its plan is slower" in choice.why) is (name == "sklearn")


def test_neither_is_a_plan_written_nor_read_as_pickle(tmp_path: Path) -> None:
    """To load a pickle is to run whatever is in it."""
    unsafe = np.array([None], dtype=object)
    choice = predictor.Choice("plan", predictor.sklearn(None), {"codes": unsafe}, "for a test")
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        engine.save(tmp_path, choice)
    np.savez(tmp_path / "plan.npz", array_0=unsafe)
    files = predictor.Files(tmp_path)
    files |= {"plan.npz": (tmp_path / "plan.npz").read_bytes(), "plan.json": b'{"parts": [], "steps": []}'}
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        engine.load(files, Manifest(run="none", decision={}))


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
    files = json.loads((copy / "manifest.json").read_text())["files"]
    altered(copy, files=files | {name: sha256(part)})
    with pytest.raises(BrokenModelError, match="cannot predict here"):
        open_model(copy)


def test_a_service_without_scikit_learn_says_how_to_get_it(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(published, copy)
    altered(copy, engine="sklearn")
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.raises(BrokenModelError, match="skops is not installed here: uv sync --group fallback"):
        open_model(copy)
