"""An estimator of another package in model.py: it trains, passes the gate, is promoted, serves and scores.

Put among the tests of a project whose model.py names it. Only trusted.py, which the refusal asks for, is written here.
"""

import json
import re
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT
from fastapi.testclient import TestClient

PACKAGE = next(path.parent.name for path in ROOT.glob("src/*/kit"))
NAME = Path(__file__).with_name("estimator.txt").read_text("utf-8")


def kit(module: str) -> Any:
    return import_module(f"{PACKAGE}.kit.{module}")


def test_it_becomes_a_service(
    project: Path, params: Any, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = params.model.model_copy(update={"name": NAME})
    named = params.model_copy(update={"model": other})

    def trained() -> Any:
        return kit("train").train(named, machine, lambda _: nullcontext())

    trusted = ROOT / "src" / PACKAGE / "trusted.py"
    errors = (
        kit("predictor").BrokenModelError,
        import_module(f"{PACKAGE}.kit").UserError,
    )
    try:
        result = trained()
    except errors as refusal:
        # The sentence says which line to write, and where.
        said = re.search(
            r"write (src/\S+) with the line (TRUSTED_TYPES = .*)", str(refusal)
        )
        assert said, refusal
        (ROOT / said[1]).write_text(said[2] + "\n", "utf-8")
        sys.modules.pop(f"{PACKAGE}.trusted", None)
        result = trained()
    assert trusted.exists(), "its types are not trusted before somebody says so"
    assert result.choice.name == "sklearn", result.choice.why
    registry, store = kit("registry"), kit("store").Store(machine.store)
    assert registry.promote(machine, None) == result.version
    schema = kit("schema").Schema.load(project / "schema.yaml")
    rows = pd.read_csv(project / "data" / "raw.csv", dtype=str).head(20)
    model = store.open(store.champion())
    expected = kit("table").answers(model, rows, "the rows")
    asked = kit("table").columns_of(
        schema, kit("table").checked(schema, rows, "the rows", target=False)
    )
    with TestClient(kit("serve.app").create_app(machine, [])) as service:
        said = service.post("/predict/batch", json={"records": schema.records(asked)})
    assert said.status_code == 200, said.text
    answers = [answer["prediction"] for answer in said.json()["predictions"]]
    assert (
        answers == pytest.approx(list(expected["prediction"]))
        if isinstance(answers[0], float)
        else answers == list(expected["prediction"])
    )
    monkeypatch.chdir(project)
    rows.to_parquet("rows.parquet")
    score = kit("batch").score_file
    assert (
        score(model, "1", Path("rows.parquet"), Path("out.parquet"), lambda _: None)
        == 20
    )
    assert json.loads((project / "store" / "champion.json").read_text("utf-8"))
