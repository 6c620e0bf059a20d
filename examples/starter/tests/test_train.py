"""Training: the same model from the same inputs, nothing learnt from the test rows, a card that tells."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from conftest import raw_table
from pydantic import ValidationError

from fraud_watch import model as yours
from fraud_watch.kit import UserError, evaluate, learn, predictor, registry, task, train
from fraud_watch.kit.columns import Column, Numbers
from fraud_watch.kit.evaluate import Prepared
from fraud_watch.kit.learn import assemble, check, decision, score, served
from fraud_watch.kit.predictor import Model, figures
from fraud_watch.kit.schema import Expectations, Schema
from fraud_watch.kit.settings import PROJECT, Params, Settings, unknown_settings
from fraud_watch.kit.splits import Rows
from fraud_watch.kit.store import Store, open_model, sha256
from fraud_watch.kit.task import Cost, Learning, decide, encode


@pytest.fixture(scope="module")
def learnable() -> Prepared:
    """Rows that every estimator can learn from: two numbers and a category tell the target."""
    rng, rows = np.random.default_rng(4), 300
    kind = rng.choice(np.array(["a", "b"], dtype=object), rows)
    features = pd.DataFrame({"x": rng.normal(size=rows), "y": rng.normal(size=rows), "kind": kind})
    signal = (features["x"] + features["y"] + (kind == "a")).to_numpy()
    target = np.digitize(signal, np.quantile(signal, [0.4, 0.7])).astype(np.float64)
    about: dict[str, Any] = {"name": "worth", "classes": ["low", "middle", "high"]}
    columns: list[dict[str, Any]] = [{"name": "x", "type": "number"}, {"name": "y", "type": "number"}]
    columns += [{"name": "kind", "type": "category", "categories": ["a", "b"]}]
    schema = Schema.model_validate({"problem": "classification", "target": about, "columns": columns})
    inside = np.arange(240)
    folds = [(inside[inside % 3 != fold], inside[inside % 3 == fold]) for fold in range(3)]
    return Prepared(schema, features, Rows(inside, np.arange(240, rows), folds), target, features)


def test_a_run_is_judged(trained: train.Result) -> None:
    assert all(check.passed for check in trained.checks)
    assert trained.checks[0].name == "gain over dummy"


def test_the_run_keeps_everything_that_explains_it(trained: train.Result) -> None:
    run = mlflow.get_run(trained.run)
    assert run.data.metrics["score"] == trained.metrics["score"]
    assert run.data.params["model.name"]
    assert len(run.data.tags["data_sha256"]) == 64
    assert {"git_commit", "lock_sha256"} <= run.data.tags.keys()
    artifacts = {file.path for file in mlflow.MlflowClient().list_artifacts(trained.run)}
    assert {"model_card.md", "plots", "estimator.skops"} <= artifacts
    assert run.data.tags["engine"] == trained.choice.name
    plots = mlflow.MlflowClient().list_artifacts(trained.run, "plots")
    assert all(plot.file_size and plot.file_size > 5_000 for plot in plots)


def test_the_card_tells_figures_intervals_gate_and_limits(trained: train.Result, schema: Schema) -> None:
    card = trained.card.read_text(encoding="utf-8")
    for section in ("What it is worth", "The gate", "How it answers", "What it looks at", "Where it ends"):
        assert f"## {section}" in card
    assert all(column.name in card for column in schema.inputs)
    assert f"| score | {trained.metrics['score']:.4g} |" in card


def test_the_same_inputs_give_the_same_model_and_nothing_is_learnt_from_the_test_rows(
    prepared: Prepared, params: Params, published: Path
) -> None:
    """The run of the fixture learnt from the same table, but with these test rows as they are."""
    test = prepared.rows.test
    rows, target = prepared.features.copy(), prepared.target.copy()
    rows.loc[test, rows.select_dtypes("number").columns] = 1e6
    target[test] = target[test][::-1]
    other = prepared._replace(features=rows, target=target)
    learned = train.fit(other, params, params.model.options)
    model = open_model(published)
    first = prepared.examine(model).raw
    again = figures(learned.estimator, prepared.features.iloc[test])
    np.testing.assert_allclose(first, again, rtol=1e-9, atol=1e-9)
    assert learned.decision == model.manifest.decision


@pytest.mark.parametrize("name", ["linear", "boosting", "forest"])
def test_each_estimator_of_model_py_learns(learnable: Prepared, params: Params, name: str) -> None:
    options = {"forest": {"n_estimators": 20}, "boosting": {"max_iter": 20}}.get(name, {})
    inside, test = learnable.rows.train, learnable.rows.test
    other = params.model_copy(update={"model": params.model.model_copy(update={"name": name})})
    pipeline = train.build(learnable, other, options)
    pipeline.fit(learnable.features.iloc[inside], learnable.target[inside])
    raw = figures(pipeline, learnable.features.iloc[test])
    shuffled = np.random.default_rng(0).permutation(raw)
    truth = learnable.target[test]
    assert score(learnable.schema, truth, raw) > score(learnable.schema, truth, shuffled)


def fit(data: Prepared, params: Params, learning: Learning) -> train.Learned:
    return train.fit(data, params.model_copy(update={"learning": learning}), {})


@pytest.mark.parametrize(
    ("imbalance", "calibration"), [("none", "none"), ("weights", "sigmoid"), ("smote", "isotonic")]
)
def test_every_way_of_learning_gives_probabilities(
    prepared: Prepared, params: Params, imbalance: str, calibration: str
) -> None:
    learning = Learning.model_validate({"imbalance": imbalance, "calibration": calibration})
    classes = len(prepared.schema.target.classes)
    seen = prepared.target[prepared.rows.train].astype(int)
    fewest = min(np.bincount(seen[rows], minlength=classes).min() for rows, _ in prepared.rows.folds)
    if fewest < {"none": 2, "weights": 3, "smote": 9}[imbalance]:
        with pytest.raises(UserError, match="have fewer than"):
            fit(prepared, params, learning)
        return
    learned = fit(prepared, params, learning)
    raw = figures(learned.estimator, prepared.features.iloc[prepared.rows.test])
    assert raw.shape == (len(prepared.rows.test), len(prepared.schema.target.classes))
    np.testing.assert_allclose(raw.sum(axis=1), 1.0)
    assert len(learned.fold_scores) == len(prepared.rows.folds)
    assert "imblearn" not in repr(learned.estimator.__dict__)


def test_the_calibration_is_chosen_by_cross_validation(two: Schema) -> None:
    truth = np.array([0.0, 1.0, 1.0, 0.0])
    sure, unsure = np.array([0.1, 0.9, 0.9, 0.1]), np.array([0.4, 0.6, 0.6, 0.4])

    def settled(none: Numbers | None, sigmoid: Numbers | None) -> tuple[str, str]:
        def folds(learning: Learning) -> learn.Folds:
            chance = none if learning.calibration == "none" else sigmoid
            if chance is None:
                raise UserError("too few")
            raw = np.column_stack([1 - chance, chance])
            return [(truth[part], raw[part]) for part in (slice(2), slice(2, 4))]

        chosen, said, note = learn.settled(two, Learning(), truth, folds)
        assert len(said) == 2
        return chosen.calibration, note

    assert settled(sure, unsure)[0] == "none"
    calibration, note = settled(unsure, sure)
    assert calibration == "sigmoid"
    assert note.startswith("Calibration: sigmoid, chosen by the log loss in cross-validation")
    assert note.endswith("(none 0.5108, sigmoid 0.1054).")
    assert settled(unsure, None)[0] == "none"
    assert settled(None, sure)[0] == "sigmoid", "an estimator without probabilities"
    with pytest.raises(UserError, match="too few"):
        settled(None, None)
    given = learn.settled(two, Learning(calibration="isotonic"), truth, lambda learning: [])
    assert (given[0].calibration, given[2]) == ("isotonic", "")


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


def test_classes_are_read_however_they_are_written(prepared: Prepared) -> None:
    schema = prepared.schema
    target = schema.target.model_copy(update={"classes": (0, 1), "positive": 1})
    values = np.array(["1", " 0 ", "1.0", 1, 0.0, True, None, "2"], dtype=object)
    codes, bad = encode(schema.model_copy(update={"target": target}), values)
    assert codes[:6].tolist() == [1, 0, 1, 1, 0, 1]
    assert bad.tolist() == [False] * 6 + [True] * 2


def test_test_rows_that_lack_a_class_are_refused(prepared: Prepared, params: Params) -> None:
    target = prepared.target.copy()
    target[prepared.rows.test] = 0
    with pytest.raises(UserError, match="the test rows lack a class"):
        fit(prepared._replace(target=target), params, Learning())


def test_one_test_row_of_each_class_is_enough(prepared: Prepared, params: Params) -> None:
    test = np.unique(prepared.target, return_index=True)[1]
    few = prepared._replace(rows=prepared.rows._replace(test=test))
    assert fit(few, params, Learning(calibration="none")).fold_scores


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


def test_tuning_searches_and_keeps_the_best(
    prepared: Prepared, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = params.model_copy(update={"tuning": params.tuning.model_copy(update={"trials": 3})})
    said: list[str] = []

    def step(what: str) -> nullcontext[None]:
        said.append(what)
        return nullcontext()

    search, tried = yours.search_space, list[str]()

    def counted(trial: Any, name: str) -> dict[str, Any]:
        tried.append(name)
        return search(trial, name)

    monkeypatch.setattr(yours, "search_space", counted)
    options = train.tune(prepared, tuned, step)
    train.build(prepared, params, options)
    assert len(tried) == 3
    assert ["best" in what for what in said] == [False, True, True]


def test_a_trial_is_worth_the_mean_of_its_folds(
    prepared: Prepared, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = params.model_copy(update={"tuning": params.tuning.model_copy(update={"trials": 2})})
    said: list[str] = []
    reported: list[tuple[float, int]] = []
    fold = (np.zeros(1), np.zeros(1))
    scores = iter([0.1, 0.2, 0.6] * 2)
    monkeypatch.setattr(train, "left_out", lambda *_: [fold] * 3)
    monkeypatch.setattr(learn, "score", lambda *_: next(scores))
    monkeypatch.setattr(optuna.Trial, "report", lambda trial, value, step: reported.append((value, step)))
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: False)

    def step(what: str) -> nullcontext[None]:
        said.append(what)
        return nullcontext()

    train.tune(prepared, tuned, step)
    assert said == ["Tuning: trial 1 of 2", "Tuning: trial 2 of 2, best 0.3000"]
    assert [number for _, number in reported] == [0, 1, 2] * 2
    assert [value for value, _ in reported] == pytest.approx([0.1, 0.15, 0.3] * 2)


def test_folds_are_numbered_from_one(
    prepared: Prepared, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(learn, "check", lambda schema, learning, target, where: said.append(where))
    monkeypatch.setattr(train, "figures", lambda estimator, rows: np.zeros(len(rows)))
    fitted = SimpleNamespace(fit=lambda rows, target: None)
    assert len(list(train.left_out(prepared, params.learning, lambda: fitted))) == len(said)
    assert [where.rsplit(" ", 1)[1] for where in said] == ["1", "2", "3"]


LOOKS: dict[str, Callable[[Numbers], Numbers]] = {
    "mean": lambda x: x / np.nanmean(x),
    "row before": lambda x: np.roll(x, 1),
    "rank": lambda x: x.argsort().argsort().astype(np.float64),
    "number of rows": lambda x: np.full(len(x), float(len(x))),
    "median, where a value is missing": lambda x: np.where(np.isnan(x), np.nanmedian(x), x),
    "first row, for which there is one": lambda x: x[:1],
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_feature_that_looks_at_other_rows_is_refused(
    learnable: Prepared, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    """A request is a row alone, so it would get another prediction than in training."""
    names = [column.name for column in learnable.schema.inputs]
    columns = {name: learnable.frame[name].to_numpy(copy=True) for name in names}
    columns["x"][::5] = np.nan
    monkeypatch.setattr(predictor, "features", lambda columns: {"seen": LOOKS[look](columns["x"])})
    with pytest.raises(UserError, match=r"features\.py: seen (looks at other rows|does not have one value)"):
        train.alone(learnable.schema, columns, predictor.made(columns), seed=1)


def test_features_of_a_row_by_itself_pass(learnable: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where they are missing, or differ in the last digits."""

    def features(columns: Any) -> dict[str, Any]:
        x = columns["x"]
        near = x + 1e-13 * len(x)
        return {"positive": x > 0, "log": np.log(np.abs(x)), "near": near, "kind": columns["kind"]}

    columns = {column.name: learnable.frame[column.name].to_numpy() for column in learnable.schema.inputs}
    columns["x"] = np.where(columns["x"] > 1, np.nan, columns["x"])
    monkeypatch.setattr(predictor, "features", features)
    train.alone(learnable.schema, columns, predictor.made(columns), seed=1)


@pytest.mark.parametrize(("rows", "half"), [(4, 2), (5, 3), (5_000, train.ALONE_ROWS)])
def test_features_are_computed_once_more_for_half_of_the_rows(
    learnable: Prepared, monkeypatch: pytest.MonkeyPatch, rows: int, half: int
) -> None:
    """Of a large table, for some thousands."""
    sizes: list[int] = []

    def features(columns: Any) -> Any:
        sizes.append(len(columns["x"]))
        return columns

    monkeypatch.setattr(predictor, "features", features)
    columns = {"x": np.arange(float(rows))}
    train.alone(learnable.schema, columns, columns, seed=1)
    assert sizes[0] == half


def test_the_first_row_that_gets_another_value_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "features", lambda columns: {"x": columns["x"] - columns["x"].mean()})
    columns = {"x": np.array([5.0, 7.0, 9.0])}
    with pytest.raises(UserError, match=r"gets 2\.0 in the table gets 1\.0 in other company\."):
        train._agree("in other company", predictor.made(columns), columns, [np.array([2, 1])])


def test_raw_text_among_the_features_is_refused(
    schema: Schema, params: Params, machine: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = schema.model_dump(mode="json", exclude_unset=True)
    content["columns"] += [{"name": "note_", "type": "text"}]
    path = tmp_path / "schema.yaml"
    monkeypatch.setattr(train, "SCHEMA", path)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    raw_table(Schema.load(path), 60).to_csv(tmp_path / "raw.csv", index=False)
    data = params.data.model_copy(update={"source": str(tmp_path / "raw.csv")})
    monkeypatch.setattr(train, "made", lambda columns: {"note_": columns["note_"]})
    with pytest.raises(UserError, match=r"features\.py returns the raw text column note_"):
        train.prepare(params.model_copy(update={"data": data}), machine)


@pytest.mark.parametrize(
    ("serving", "known", "skipped", "compared"),
    [
        ("7", True, False, ["champion"]),
        ("8", True, False, []),
        ("7", False, False, ["champion's own score"]),
        ("7", False, True, []),
        ("none", False, False, []),
    ],
)
def test_a_verdict_is_recorded_with_what_failed(
    published: Path,
    prepared: Prepared,
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
    serving: str,
    known: bool,
    skipped: bool,
    compared: list[str],
) -> None:
    """A version is not compared with itself, and with the champion's own score where that cannot run."""
    noted: list[Any] = []
    monkeypatch.setattr(registry, "note_gate", lambda client, *verdict: noted.append(verdict))
    monkeypatch.setattr(registry, "find", lambda client, version: version)
    monkeypatch.setattr(registry, "score", lambda client, version: 0.0)
    model = open_model(published)
    strict = params.gate.model_copy(update={"gain_over_dummy": 2.0, "slice_gain": -2.0, "violations": 1.0})
    rival = train.Rival(serving, model if known else None, skipped)
    exam, other = prepared.examine(model), params.model_copy(update={"gate": strict})
    checks = train.judge(exam, other, rival, "8", mlflow.MlflowClient())
    names = [check.name for check in checks if check.name.startswith("loss to ")]
    assert names == [f"loss to {name}" for name in compared]
    assert noted == [("8", [str(checks[0]), str(checks[1])], serving)]


def test_settings_are_those_of_this_project_and_stay_as_read(machine: Settings) -> None:
    package = "fraud_watch"
    assert package.replace("_", "-") == PROJECT
    for key in Settings.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(machine, key, None)


def test_a_setting_that_nothing_reads_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be a key that was pasted is not."""
    lines = "LOG_LEVELL=debug\nhost=0.0.0.0\nUNHEARD_OF=1\nSK-LIVE-0123\nMIIEVQIBADANBG\nAB==\nab12=c\n"
    (tmp_path / ".env").write_text(lines, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    said = list(unknown_settings())
    assert said[:2] == [".env: LOG_LEVELL is no setting; LOG_LEVEL is", ".env: UNHEARD_OF is no setting"]
    assert len(said) == 2


def test_a_model_knows_the_commit_and_the_lock_that_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert train.provenance() == {"git_commit": "none", "lock_sha256": "none"}
    (tmp_path / "uv.lock").touch()
    done = SimpleNamespace(stdout="0123abc-dirty\n")
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/git")
    monkeypatch.setattr(subprocess, "run", lambda command, **how: done if how["text"] else None)
    assert train.provenance() == {"git_commit": "0123abc-dirty", "lock_sha256": sha256(tmp_path / "uv.lock")}


def test_an_estimator_that_model_py_lacks_is_named(params: Params, machine: Settings) -> None:
    other = params.model_copy(update={"model": params.model.model_copy(update={"name": "oracle"})})
    with pytest.raises(UserError, match=r"params\.yaml: model: model\.py cannot build it"):
        train.train(other, machine, lambda _: nullcontext())


def test_params_yaml_is_checked_to_the_key(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(UserError, match="is missing"):
        Params.load(path)
    path.write_text("data: {source: x.csv}\nsplit: {how: random, fold: 3}\nmodel: {name: linear}\n")
    with pytest.raises(UserError, match=r"split\.fold: Extra inputs are not permitted"):
        Params.load(path)
    path.write_text("data: [")
    with pytest.raises(UserError, match="is not valid YAML"):
        Params.load(path)


def test_the_gate_names_each_limit_that_is_missed(
    published: Path, prepared: Prepared, params: Params
) -> None:
    model = open_model(published)
    strict = params.gate.model_copy(
        update={"gain_over_dummy": 2.0, "slice_gain": 2.0, "loss_to_champion": 0.0}
    )
    exam = prepared.examine(model)
    checks = evaluate.judge(exam, {"champion": exam.score()}, strict)
    failed = [check.name for check in checks if not check.passed]
    assert "gain over dummy" in failed
    assert "loss to champion" not in failed
    assert all(name.startswith(("gain", "slice")) for name in failed)


@pytest.mark.parametrize(("kind", "least"), [("increasing", 0.2), ("invariant", 0.2), ("decreasing", 0.0)])
def test_the_gate_sees_an_expectation_broken(
    published: Path, monkeypatch: pytest.MonkeyPatch, kind: str, least: float
) -> None:
    """A model whose answer falls with one column, held to what it does and to what it does not."""
    model = open_model(published)
    monkeypatch.setattr(Model, "raw", lambda self, columns: -columns["size"])
    monkeypatch.setattr(task, "outcome", lambda schema, raw: raw)
    columns, expect = (Column(name="size", type="number"),), Expectations.model_validate({kind: ["size"]})
    schema = model.schema.model_copy(update={"columns": columns, "expect": expect})
    frame = pd.DataFrame(schema.sample(200))
    share = evaluate.violations(model._replace(schema=schema), frame)[f"size {kind}"]
    assert share > least if least else share == 0


def test_a_champion_that_cannot_read_todays_table_is_no_rival(published: Path, schema: Schema) -> None:
    model = open_model(published)
    reworded = schema.target.model_copy(update={"meaning": "Said in other words"})
    assert evaluate.comparable(model, schema.model_copy(update={"target": reworded}), "the champion") is model
    gone = schema.inputs[0]
    rest = tuple(column for column in schema.columns if column != gone)
    with pytest.raises(UserError, match=f"the champion cannot be compared .* needs {gone.name} as before"):
        evaluate.comparable(model, schema.model_copy(update={"columns": rest}), "the champion")
    changed = gone.model_copy(update={"type": "text" if gone.type != "text" else "number"})
    with pytest.raises(UserError, match=f"needs {gone.name} as before; .* add --skip-champion"):
        evaluate.comparable(model, schema.model_copy(update={"columns": (changed, *rest)}), "the champion")
    other = schema.target.model_copy(update={"name": "other"})
    with pytest.raises(UserError, match="predicts another target"):
        evaluate.comparable(model, schema.model_copy(update={"target": other}), "the champion")


def test_a_champion_that_todays_code_cannot_run_is_held_by_its_own_score(
    trained: train.Result, published: Path, params: Params, machine: Settings, tmp_path: Path
) -> None:
    """As after a change of features.py: training goes on, and the gate has something to hold on to."""
    mine = machine.model_copy(update={"store": tmp_path})
    Store(tmp_path).publish(trained.version, published)
    Store(tmp_path).promote(trained.version)
    (Store(tmp_path).folder(trained.version) / "schema.yaml").unlink()
    result = train.train(params, mine, lambda _: nullcontext())
    (held,) = (check for check in result.checks if check.name == "loss to champion's own score")
    assert held.figure == pytest.approx(0)


def test_a_champion_may_be_skipped_where_a_column_is_gone(
    trained: train.Result, published: Path, prepared: Prepared, machine: Settings, tmp_path: Path
) -> None:
    mine = machine.model_copy(update={"store": tmp_path})
    Store(tmp_path).publish(trained.version, published)
    Store(tmp_path).promote(trained.version)
    needed = prepared.schema.inputs[0]
    rest = tuple(column for column in prepared.schema.columns if column != needed)
    gone = prepared.schema.model_copy(update={"columns": rest})
    with pytest.raises(UserError, match="--skip-champion"):
        train.champion(mine, gone, skipped=False)
    assert train.champion(mine, gone, skipped=True) == train.Rival(trained.version, None, skipped=True)
    empty = machine.model_copy(update={"store": tmp_path / "empty"})
    assert train.champion(empty, gone, skipped=True) == train.Rival("none")


def test_a_class_that_becomes_more_frequent_is_named() -> None:
    two: Any = SimpleNamespace(target=SimpleNamespace(classes=("no", "yes"), names=("no", "yes")))
    seen = np.array([0.0] * 80 + [1.0] * 20)
    assert learn.moved(two, seen, np.array([0.0] * 7 + [1.0] * 3)) == ""
    said = learn.moved(two, seen, np.array([0.0] * 3 + [1.0] * 7))
    assert said == "The target moves: no is 80 % of the training rows and 30 % of the test rows."
    three: Any = SimpleNamespace(target=SimpleNamespace(classes=("a", "b", "c"), names=("a", "b", "c")))
    seen, truth = (np.repeat([0.0, 1.0, 2.0], rows) for rows in ([30, 15, 55], [15, 30, 55]))
    assert learn.moved(three, seen, truth) == "", "by no more than is allowed"
    seen, truth = (np.repeat([0.0, 1.0, 2.0], rows) for rows in ([60, 30, 10], [50, 5, 45]))
    said = learn.moved(three, seen, truth)
    assert said == "The target moves: c is 10 % of the training rows and 45 % of the test rows."


def test_a_card_sets_the_model_beside_dummy_and_champion(
    published: Path, prepared: Prepared, params: Params, trained: train.Result
) -> None:
    model = open_model(published)
    exam = prepared.examine(model)
    report = evaluate.measure(exam, model, params, [0.5])
    assert report.beside["champion"] == report.metrics == trained.metrics
    assert report.metrics["score"] - report.beside["dummy"]["score"] == pytest.approx(exam.gain())
    assert (report.intervals.loc[0.025] <= report.intervals.loc[0.975]).all()


def test_a_handful_of_test_rows_still_makes_a_card(
    published: Path, prepared: Prepared, params: Params
) -> None:
    """However often a resample of them cannot be scored."""
    test = [np.flatnonzero(prepared.target == value)[0] for value in np.unique(prepared.target)[:20]]
    few = prepared._replace(rows=prepared.rows._replace(test=np.array(test))).examine(open_model(published))
    report = evaluate.measure(few, None, params, fold_scores=[0.5])
    assert report.intervals.columns.tolist() == list(report.metrics)
