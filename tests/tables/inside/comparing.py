"""A public table through a project, and beside it a plain scikit-learn pipeline with the same estimator on the same split.

Put among the tests of a project; `case.json` names the table, `outcome.json` gets both figures.
"""

import json
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from public import SOURCES
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROOT = Path(__file__).parents[1]
PACKAGE = next(path.parent.name for path in ROOT.glob("src/*/kit"))
RESAMPLES = 2_000
Losses = NDArray[np.float64]


def kit(module: str) -> Any:
    """A module of the project, as its files are now."""
    return import_module(f"{PACKAGE}.{module}")


def test_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("STORE", "MLFLOW_TRACKING_URI", "DATA_URL"):
        monkeypatch.delenv(name, raising=False)
    case = json.loads(Path("case.json").read_text("utf-8"))
    SOURCES[case["source"]](case["key"]).to_csv("table.csv", index=False)
    found = import_module("adopt").adopt(ROOT, Path("table.csv"), case["target"])
    for name in [n for n in sys.modules if n.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    train, evaluate = kit("kit.train"), kit("kit.evaluate")
    monkeypatch.setattr(evaluate, "RESAMPLES", 100)
    settings, params = kit("kit.settings").Settings(), kit("kit.settings").Params.load(
        Path("params.yaml")
    )
    result = train.train(params, settings, lambda _: nullcontext())
    data = train.prepare(params, settings)
    test = data.rows.test
    with kit("kit.registry").files_of(result.version) as files:
        exam = data.examine(kit("kit.store").open_model(files))
    ours = losses(data, exam.raw)
    plain = losses(data, plainly(data, params))
    low, high = np.quantile(resampled(plain - ours), [0.025, 0.975])
    outcome = {
        "refusal": "",
        "step": "served",
        "warnings": found.warnings,
        "rows": len(data.frame),
        "columns": len(data.schema.inputs),
        "tested": len(test),
        "problem": data.schema.problem,
        "split": params.split.how,
        "ours": float(ours.mean()),
        "plain": float(plain.mean()),
        "low": float(low),
        "high": float(high),
    }
    Path("outcome.json").write_text(json.dumps(outcome), "utf-8")


def plainly(data: Any, params: Any) -> NDArray[np.float64]:
    """What a tutorial's pipeline says of the test rows: one-hot words, filled and scaled numbers, the same estimator."""
    inputs = data.frame[[column.name for column in data.schema.inputs]].copy()
    for name in inputs:
        if inputs[name].dtype.kind == "M":
            inputs[name] = inputs[name].astype("int64") / 1e9
    words = inputs.select_dtypes(exclude="number").columns
    inputs[words] = inputs[words].astype(object).where(inputs[words].notna(), np.nan)
    prepare = make_column_transformer(
        (
            make_pipeline(SimpleImputer(), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (
            make_pipeline(
                SimpleImputer(strategy="most_frequent"),
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            ),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    estimator = kit("model").ESTIMATORS[params.model.name](**params.model.options)
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=params.seed)
    fitted = make_pipeline(prepare, estimator).fit(
        inputs.iloc[data.rows.train], data.target[data.rows.train]
    )
    asked = inputs.iloc[data.rows.test]
    if data.schema.problem == "regression":
        return np.asarray(fitted.predict(asked), dtype=np.float64)
    chances = np.zeros((len(asked), len(data.schema.target.classes)))
    chances[:, fitted.classes_.astype(int)] = fitted.predict_proba(asked)
    return chances


def losses(data: Any, raw: NDArray[np.float64]) -> Losses:
    """What each test row costs: the log loss of its class, or the square of the error."""
    truth = data.target[data.rows.test]
    if data.schema.problem == "regression":
        return np.asarray((raw - truth) ** 2, dtype=np.float64)
    chance = raw[np.arange(len(truth)), truth.astype(int)]
    return np.asarray(-np.log(np.clip(chance, 1e-15, 1)), dtype=np.float64)


def resampled(gains: Losses) -> Losses:
    """The mean gain over resamples of the test rows."""
    rng = np.random.default_rng(0)
    means = [
        gains[rng.integers(0, len(gains), len(gains))].mean() for _ in range(RESAMPLES)
    ]
    return np.array(means)
