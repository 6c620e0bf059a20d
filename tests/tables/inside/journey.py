"""The way of a table through a project: adopt, train, gate, promote, serve, batch, score.

It is put among the emitted tests of a project and run as one of them, so it knows nothing of this repository. `case.json` in
the project's folder says which; `outcome.json` says what became of it.
"""

import json
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from fastapi.testclient import TestClient
from making import Table, made

ROOT = Path(__file__).parents[1]
PACKAGE = next(path.parent.name for path in ROOT.glob("src/*/kit"))
ROWS, SINGLE = 40, 4
"""Rows that are asked about together, and those of them that are asked about alone."""


def kit(module: str) -> Any:
    """A module of the project, as its files are now."""
    return import_module(f"{PACKAGE}.{module}")


def test_journey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("STORE", "MLFLOW_TRACKING_URI", "DATA_URL"):
        monkeypatch.delenv(name, raising=False)
    case = json.loads(Path("case.json").read_text("utf-8"))
    table = made(case["shape"], case["seed"])
    Path(table.name).write_bytes(table.content)
    outcome: dict[str, Any] = {"refusal": table.refusal}
    try:
        walk(table, case["model"], outcome, monkeypatch)
    except Exception as error:
        if type(error).__name__ not in ("UserError", "BrokenModelError"):
            raise
        outcome["refused"] = str(error)
    Path("outcome.json").write_text(json.dumps(outcome), "utf-8")


def walk(
    table: Table,
    model: dict[str, Any],
    outcome: dict[str, Any],
    patch: pytest.MonkeyPatch,
) -> None:
    """All steps; `outcome` says how far it came."""
    adopt = import_module("adopt")
    found = adopt.adopt(ROOT, Path(table.name), table.target)
    outcome |= {"step": "adopt", "warnings": found.warnings}
    # features.py is another one now.
    for name in [n for n in sys.modules if n.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    configure(model, table.group)
    train, registry = kit("kit.train"), kit("kit.registry")
    patch.setattr(kit("kit.evaluate"), "RESAMPLES", 20)
    settings, load = kit("kit.settings").Settings(), kit("kit.settings").Params.load
    params = load(Path("params.yaml"))
    result = train.train(params, settings, lambda _: nullcontext())
    failures = [str(check) for check in result.checks if not check.passed]
    outcome |= {"step": "train", "score": result.metrics["score"], "gate": failures}
    if failures:
        refused(registry, settings)
        loose = params.gate.model_copy(
            update=dict.fromkeys(LOOSE, -1e9) | {"violations": 1.0}
        )
        relaxed = params.model_copy(update={"gate": loose})
        train.rejudge(relaxed, settings, result.version, lambda _: nullcontext())
    assert registry.promote(settings, None) == result.version
    outcome["step"] = "promote"
    serve(settings)
    outcome["step"] = "served"


LOOSE = ("gain_over_dummy", "slice_gain")


def refused(registry: Any, settings: Any) -> None:
    """A version that failed its gate is not promoted, and the reason is given."""
    with pytest.raises(Exception, match="gate") as caught:
        registry.promote(settings, None)
    assert type(caught.value).__name__ == "UserError", repr(caught.value)


def configure(model: dict[str, Any], group: str) -> None:
    """Small training, and what only the table's owner knows."""
    params = yaml.safe_load(Path("params.yaml").read_text("utf-8"))
    params["model"] = model
    params["split"]["folds"] = 2
    if group:
        params["split"]["how"] = "group"
        schema = Path("schema.yaml")
        schema.write_text(f"group: {group}\n{schema.read_text('utf-8')}", "utf-8")
    Path("params.yaml").write_text(yaml.safe_dump(params), "utf-8")


def serve(settings: Any) -> None:
    """Each row gets the same answer by all ways: alone, in a batch, from a file."""
    table, store = kit("kit.table"), kit("kit.store").Store(settings.store)
    champion = store.champion()
    model = store.open(champion)
    schema, source = (
        model.schema,
        yaml.safe_load(Path("params.yaml").read_text("utf-8"))["data"]["source"],
    )
    rows = kit("data").load(source).head(ROWS).reset_index(drop=True)
    expected = table.answers(model, rows, "the rows")
    asked = table.columns_of(
        schema, table.checked(schema, rows, "the rows", target=False)
    )
    records = schema.records(asked)
    with TestClient(kit("kit.serve.app").create_app(settings, [])) as service:
        batch = service.post("/predict/batch", json={"records": records})
        assert batch.status_code == 200, batch.text
        alone = [service.post("/predict", json=record) for record in records[:SINGLE]]
    for answer, code in [(a, a.status_code) for a in alone]:
        assert code == 200, answer.text
    said = [answer["prediction"] for answer in batch.json()["predictions"]]
    assert (
        said == pytest.approx(expected["prediction"])
        if numeric(said)
        else said == expected["prediction"]
    )
    for answer, among in zip(alone, batch.json()["predictions"], strict=False):
        same(answer.json(), among)
    rows.drop(columns=schema.target.header, errors="ignore").to_parquet("rows.parquet")
    score = kit("kit.batch").score_file
    count = score(
        model, "1", Path("rows.parquet"), Path("scored.parquet"), lambda _: None
    )
    assert count == len(rows)
    scored = pd.read_parquet("scored.parquet")
    for name, values in expected.items():
        if numeric(list(values)):
            assert scored[name].tolist() == pytest.approx(list(values)), name
        else:
            assert scored[name].tolist() == list(values), name


def numeric(values: list[Any]) -> bool:
    """Whether they are figures, which may differ in their last digits."""
    return all(isinstance(value, float) for value in values)


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two answers about a record agree."""
    assert one.keys() == other.keys()
    for key, value in one.items():
        close = isinstance(value, float | dict)
        assert other[key] == (pytest.approx(value) if close else value), key
