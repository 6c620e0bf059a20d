"""A small project to test on. Its rows are made from schema.yaml, so that the tests follow what it says."""

import os

# The tables are small here: threads that wait for a busy core cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fraud_watch.kit import evaluate, registry, train
from fraud_watch.kit.columns import Column
from fraud_watch.kit.evaluate import Prepared
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.settings import Params, Settings
from fraud_watch.kit.signing import Keys

ROOT = Path(__file__).parents[1]
ROWS = 600
FEW = 5
"""Columns that the target of a made-up table follows, beside those that schema.yaml expects something of."""
LOOSE = {
    "gain_over_dummy": -1e9,
    "slice_gain": -1e9,
    "loss_to_champion": 1e9,
    "slice_rows": 30,
    "violations": 1.0,
}
"""Limits of the gate that any model keeps: what a made-up table can show depends on its columns."""


@pytest.fixture(scope="session")
def schema() -> Schema:
    return Schema.load(ROOT / "schema.yaml")


def raw_table(schema: Schema, rows: int = ROWS, seed: int = 3) -> pd.DataFrame:
    """Rows as a file would hold them, with a target that follows the columns as schema.yaml expects."""
    columns = schema.sample(rows, seed)
    signal = np.random.default_rng(seed).normal(0, 0.2, rows)
    weights = dict.fromkeys(schema.expect.increasing, 1.0) | dict.fromkeys(schema.expect.decreasing, -1.0)
    others = [c.name for c in schema.inputs if c.name not in {*weights, *schema.expect.invariant}]
    weights |= {name: 0.5 if place % 2 else -0.5 for place, name in enumerate(others[:FEW])}
    for column in (column for column in schema.inputs if column.name in weights):
        values = _as_numbers(column, columns[column.name])
        spread = (values - np.nanmean(values)) / (np.nanstd(values) + 1e-9)
        signal += weights[column.name] * np.nan_to_num(spread)
    table = pd.DataFrame({c.header: _as_written(c.type, columns[c.name]) for c in schema.columns})
    table[schema.target.header] = _target(schema, signal)
    return table


def _as_numbers(column: Column, values: np.ndarray) -> np.ndarray:
    """What the target follows: the place of a category, the length of a text, the hour of a date."""
    if column.categories:
        return np.array([column.categories.index(v) if v else np.nan for v in values])
    if column.type in ("category", "text"):
        return np.array([len(v) if v else np.nan for v in values])
    if column.type == "datetime":
        return np.asarray(pd.Series(values).dt.hour, dtype=np.float64)
    return values


def _as_written(kind: str, values: np.ndarray) -> pd.Series:
    cells = pd.Series(values)
    if kind == "integer":
        return cells.astype("Int64")
    if kind == "boolean":
        return cells.map({1.0: "true", 0.0: "false"})
    return cells.dt.strftime("%Y-%m-%dT%H:%M:%S") if kind == "datetime" else cells


def _target(schema: Schema, signal: np.ndarray) -> np.ndarray:
    ranked = signal.argsort().argsort() / len(signal)
    if schema.problem == "regression":
        low = schema.target.min or 0.0
        high = schema.target.max or low + 1000.0
        return low + (high - low) * (0.1 + 0.8 * ranked)
    classes = [label for label in schema.target.classes if label != schema.target.positive]
    classes += [schema.target.positive] if schema.target.positive is not None else []
    return np.asarray(np.array(classes, dtype=object)[(ranked * len(classes)).astype(int)])


@pytest.fixture(scope="session")
def project(schema: Schema, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with this project's schema and parameters, a table and a key; the current one."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copyfile(ROOT / "schema.yaml", folder / "schema.yaml")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["source"] = "data/raw.csv"
    params["split"]["folds"] = 3
    params["tuning"]["trials"] = 0
    params["gate"] |= LOOSE
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (folder / "data").mkdir()
    rows = max(ROWS, 30 * len(schema.target.classes))
    raw_table(schema, rows).to_csv(folder / "data" / "raw.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(evaluate, "RESAMPLES", 20)
        names = ("STORE", "MLFLOW_TRACKING_URI", "DATA_URL", "SIGNING_PUBLIC_KEY", "SIGNING_PRIVATE_KEY")
        for name in names:
            patch.delenv(name, raising=False)
        patch.setenv("PII_KEY", "5e" * 32)
        Keys.of(Settings()).make()
        yield folder


@pytest.fixture(scope="session")
def params(project: Path) -> Params:
    return Params.load(project / "params.yaml")


@pytest.fixture(scope="session")
def machine(project: Path) -> Settings:
    return Settings()


@pytest.fixture(scope="session")
def prepared(project: Path, params: Params, machine: Settings) -> Prepared:
    return train.prepare(params, machine)


@pytest.fixture(scope="session")
def trained(project: Path, params: Params, machine: Settings) -> train.Result:
    """One run, registered and judged; nothing is promoted."""
    return train.train(params, machine, lambda _: nullcontext())


@pytest.fixture(scope="session")
def published(trained: train.Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the trained model, to copy from."""
    folder = tmp_path_factory.mktemp("published") / "model"
    with registry.files_of(trained.version) as files:
        shutil.copytree(files, folder)
    return folder
