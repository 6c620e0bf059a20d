"""All parts of the service at once, as `serve` starts them. Each of them has tests of its own."""

from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from sklearn.dummy import DummyClassifier, DummyRegressor

from fraud_watch.kit.predictor import Choice, Manifest, sklearn
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.serve import logs, parts
from fraud_watch.kit.settings import Settings
from fraud_watch.kit.store import Store, write
from fraud_watch.kit.verbs import service


@pytest.fixture
def champion(project: Path, schema: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model that has learnt nothing but the classes, and serves."""
    codes = range(len(schema.target.classes) or 2)
    made = DummyClassifier() if schema.target.classes else DummyRegressor()
    decision = {"threshold": 0.5} if len(schema.target.classes) == 2 else {}
    estimator = made.fit([[0]] * len(codes), list(codes))
    choice = Choice("sklearn", sklearn(estimator), estimator, "for a test")
    manifest = Manifest(run="none", decision=decision)
    write(tmp_path / "model", project / "schema.yaml", manifest, choice, schema.sample(5))
    monkeypatch.setenv("STORE", str(tmp_path / "store"))
    store = Store(Settings().store)
    store.publish("1", tmp_path / "model")
    return store.promote("1").version


def test_they_let_the_commands_of_this_machine_through(
    champion: str, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(uvicorn, "run", lambda service, **_: started.append(service))
    monkeypatch.setattr(logs, "start_log", lambda level: None)
    service.serve()
    with TestClient(started[0], headers=parts.own_headers()) as client:
        answer = client.post("/predict", json=schema.example())
        assert (answer.status_code, answer.json().get("model_version")) == (200, champion), answer.text
        assert client.get("/readyz").status_code == 200
        assert client.get("/openapi.json").status_code == 200
        assert "http_requests_total" in client.get("/metrics").text
    assert TestClient(started[0]).get("/").status_code == 200


PART = """
from fraud_watch.kit.serve.part import Part, Stage


class {name}(Part):
    stage = Stage.{stage}


PART = {name}
"""


def test_parts_see_requests_in_the_order_of_their_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, stage in {"First": "OBSERVE", "Second": "IDENTIFY", "Third": "LIMIT"}.items():
        (tmp_path / f"{name.lower()}.py").write_text(PART.format(name=name, stage=stage))
    monkeypatch.setattr(parts, "__path__", [str(tmp_path)])
    assert [part.__name__ for part in parts.part_classes()] == ["Second", "Third", "First"]
