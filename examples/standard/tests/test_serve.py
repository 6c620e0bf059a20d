"""The service: cold start, answers equal to the offline ones, errors by field, new champions."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import numpy as np
import pytest
from fastapi.testclient import TestClient

from fraud_watch.kit.schema import Schema
from fraud_watch.kit.serve import app, repeated
from fraud_watch.kit.serve.app import create_app
from fraud_watch.kit.serve.live import Live
from fraud_watch.kit.settings import Settings
from fraud_watch.kit.store import Champion, Store, open_model, sha256
from fraud_watch.kit.task import answers


@pytest.fixture
def shop(tmp_path: Path, published: Path) -> Store:
    shop = Store(tmp_path / "store")
    shop.publish("1", published)
    shop.publish("2", published)
    return shop


@pytest.fixture
def service(shop: Store) -> Iterator[TestClient]:
    """A service on the store, before any promotion."""
    with TestClient(create_app(Settings(store=shop.root, reload_seconds=0.02))) as client:
        yield client


@pytest.fixture
def ready(shop: Store, service: TestClient) -> TestClient:
    shop.promote("1")
    until(service, "/readyz", 200)
    return service


def until(service: TestClient, path: str, status: int, text: str = "") -> Any:
    """Ask again and again, for ten seconds at most."""
    for _ in range(500):
        response = service.get(path)
        if response.status_code == status and text in response.text:
            return response
        service.portal.call(_nap)  # type: ignore[union-attr]
    raise AssertionError(f"{path} did not say {status} {text!r} but {response.status_code} {response.text}")


async def _nap() -> None:
    await anyio.sleep(0.02)


def test_without_a_champion_it_starts_says_why_and_serves_after_the_first_promotion(
    service: TestClient, shop: Store, schema: Schema
) -> None:
    assert service.get("/healthz").status_code == 200
    for response in (service.get("/readyz"), service.post("/predict", json=schema.example())):
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert "no model is promoted yet" in response.json()["detail"]
        assert response.headers["retry-after"]
    assert service.get("/openapi.json").status_code == 200
    assert "predictor_queue 0.0" in service.get("/metrics").text
    shop.promote("1")
    until(service, "/readyz", 200)
    assert service.post("/predict", json=schema.example()).status_code == 200


def test_answers_equal_the_offline_ones(ready: TestClient, published: Path, schema: Schema) -> None:
    model = open_model(published)
    records = schema.records(schema.sample(30, seed=11, missing=0.3))
    raw = model.raw(model.validated(records))
    expected = answers(schema, model.manifest.decision, raw, "1")
    batch = ready.post("/predict/batch", json={"records": records})
    assert batch.status_code == 200
    single = [ready.post("/predict", json=record).json() for record in records]
    for answer, alone, offline in zip(batch.json()["predictions"], single, expected, strict=True):
        assert answer["model_version"] == "1"
        assert answer["prediction"] == pytest.approx(offline["prediction"])
        assert alone["prediction"] == pytest.approx(offline["prediction"])
        assert alone.get("probabilities") == pytest.approx(offline.get("probabilities"))


@pytest.mark.parametrize(
    ("body", "field"),
    [(b"{", ""), (b"[]", ""), (b'"text"', ""), (b"\xff", ""), (b'{"unheard_of": 1}', "unheard_of")],
)
def test_a_body_that_is_no_record_is_a_problem_that_names_the_field(
    ready: TestClient, body: bytes, field: str
) -> None:
    response = ready.post("/predict", content=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert field in [error["field"] for error in response.json()["errors"]]
    assert (field or "the body") in response.json()["detail"]


def test_of_many_errors_the_first_hundred_are_named(ready: TestClient) -> None:
    many: dict[str, Any] = {f"unheard_of_{number}": 1 for number in range(101)}
    for path, body in (("/predict", many), ("/predict/batch", {"records": [many]})):
        response = ready.post(path, json=body)
        assert response.status_code == 422
        assert len(response.json()["errors"]) == 100


def test_thousands_of_unknown_fields_are_not_all_looked_at(ready: TestClient, schema: Schema) -> None:
    record: dict[str, Any] = schema.example()
    unknown = {f"unheard_of_{number}": 1 for number in range(50_000)}
    many = record | unknown
    for path, body, place in (
        ("/predict", many, ""),
        ("/predict/batch", {"records": [record, many]}, "records.1."),
        ("/predict/batch", unknown | {"records": [record]}, ""),
    ):
        response = ready.post(path, json=body)
        fields = [error["field"] for error in response.json()["errors"]]
        assert fields == [f"{place}unheard_of_{number}" for number in range(100)]
    again = b'{"same": 1' + b', "same": 1' * 50_000 + b"}"
    for path, content in (("/predict", again), ("/predict/batch", b'{"records": [' + again + b"]}")):
        assert "same" in ready.post(path, content=content).json()["errors"][0]["field"]


def test_the_first_record_that_is_wrong_is_named(ready: TestClient, schema: Schema) -> None:
    records = [schema.example(), {"unheard_of": 1}, {"unheard_of": 2}]
    response = ready.post("/predict/batch", json={"records": records})
    places = {error["field"].split(".")[1] for error in response.json()["errors"]}
    assert places == {"1"}


def test_a_field_given_twice_is_refused_by_name(ready: TestClient, schema: Schema) -> None:
    record, twice = json.dumps(schema.example()), schema.inputs[-1].name
    double = record[:-1] + f', "{twice}": ' + json.dumps(schema.example()[twice]) + "}"
    batch = '{"records": [' + record + ", " + double + "]}"
    for path, body in (("/predict", double), ("/predict/batch", batch)):
        response = ready.post(path, content=body)
        assert response.status_code == 422
        assert [error["field"] for error in response.json()["errors"]] == [twice]


def test_each_field_is_missed_by_name(ready: TestClient, schema: Schema) -> None:
    for column in schema.inputs:
        record = {name: value for name, value in schema.example().items() if name != column.name}
        response = ready.post("/predict", json=record)
        if column.nullable:
            assert response.status_code == 200
        else:
            assert response.json()["errors"] == [{"field": column.name, "detail": "Field required"}]
        batch = ready.post(
            "/predict/batch", json={"records": [schema.example(), {**record, column.name: []}]}
        )
        assert {error["field"].split(".")[0:3][1] for error in batch.json()["errors"]} == {"1"}


def test_a_batch_has_one_record_at_least_and_a_limit(ready: TestClient, schema: Schema) -> None:
    for records in ([], [schema.example()] * 1_001):
        assert ready.post("/predict/batch", json={"records": records}).status_code == 422


def test_unknown_paths_and_methods_are_problems_too(ready: TestClient) -> None:
    for response in (ready.get("/nowhere"), ready.get("/predict")):
        assert response.status_code in (404, 405)
        assert response.headers["content-type"] == "application/problem+json"


def test_a_failure_inside_is_a_problem_without_details(
    shop: Store, monkeypatch: pytest.MonkeyPatch, schema: Schema
) -> None:
    shop.promote("1")
    with TestClient(create_app(Settings(store=shop.root))) as client:
        monkeypatch.setattr("fraud_watch.kit.task.answers", lambda *_: 1 / 0)
        response = client.post("/predict", json=schema.example())
    assert response.status_code == 500
    assert "division" not in response.text


def test_a_new_champion_serves_without_a_restart_and_a_broken_one_is_refused(
    ready: TestClient, shop: Store, schema: Schema
) -> None:
    shop.promote("2")
    until(ready, "/model", 200, '"version":"2"')
    damaged = shop.folder("1") / "schema.yaml"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    shop.promote("1")
    said = until(ready, "/readyz", 200, "has changed since").json()
    assert "schema.yaml" in said["detail"]
    assert ready.post("/predict", json=schema.example()).json()["model_version"] == "2"
    assert "model_load_failures_total 1.0" in ready.get("/metrics").text
    shop.roll_back()
    until(ready, "/readyz", 200, '"detail":""')


def test_a_store_that_cannot_be_read_leaves_the_model_serving(
    ready: TestClient, shop: Store, schema: Schema
) -> None:
    good = shop.pointer.read_text(encoding="utf-8")
    for damaged in (b"{", b"\xff", good.encode("utf-16")):
        shop.pointer.write_bytes(damaged)
        until(ready, "/readyz", 200, "is damaged")
        shop.pointer.write_text(good, encoding="utf-8")
        until(ready, "/readyz", 200, '"detail":""')
    assert ready.post("/predict", json=schema.example()).status_code == 200
    shop.root.rename(shop.root.with_name("elsewhere"))
    until(ready, "/readyz", 200, "champion.json is gone")
    assert ready.post("/predict", json=schema.example()).status_code == 200
    shop.root.with_name("elsewhere").rename(shop.root)
    until(ready, "/readyz", 200, '"detail":""')


def test_whatever_goes_wrong_with_a_champion_the_service_goes_on_to_follow(
    ready: TestClient, shop: Store, schema: Schema
) -> None:
    """Its files have the hashes that its manifest names, and are no use all the same."""
    folder = shop.folder("2")
    (folder / "parity.json").write_text("{", encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["parity.json"] = sha256(folder / "parity.json")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    shop.sign("2", folder)
    shop.promote("2")
    until(ready, "/readyz", 200, "parity.json is no JSON")
    assert 'part_in_trouble{part="Following the store"} 0.0' in ready.get("/metrics").text
    assert ready.post("/predict", json=schema.example()).json()["model_version"] == "1"
    shop.roll_back()
    until(ready, "/readyz", 200, '"detail":""')


def test_an_unexpected_error_is_shown_and_what_failed_is_tried_again(
    ready: TestClient, shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Store, "open", lambda *_: 1 / 0)
        shop.promote("2")
        until(ready, "/readyz", 200, "the champion cannot be loaded: ZeroDivisionError")
    until(ready, "/model", 200, '"version":"2"')
    with monkeypatch.context() as broken:
        broken.setattr(Live, "refresh", lambda *_: 1 / 0)
        until(ready, "/readyz", 200, "Following the store failed with ZeroDivisionError")
        assert 'part_in_trouble{part="Following the store"} 1.0' in ready.get("/metrics").text
    shop.roll_back()
    until(ready, "/model", 200, '"version":"1"')
    until(ready, "/readyz", 200, '"detail":""')


def test_a_champion_that_stays_is_opened_once(ready: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Store] = []
    champion = Store.champion

    def look(store: Store) -> Champion | None:
        looks.append(store)
        return champion(store)

    monkeypatch.setattr(Store, "open", lambda *_: 1 / 0)
    monkeypatch.setattr(Store, "champion", look)
    for _ in range(500):
        if len(looks) > 2:
            break
        ready.portal.call(_nap)  # type: ignore[union-attr]
    assert len(looks) > 2
    assert ready.get("/readyz").json()["detail"] == ""


def test_a_store_that_hangs_keeps_neither_the_start_nor_the_end_waiting(
    shop: Store, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.promote("1")
    champion, answers_again = Store.champion, threading.Event()

    def hanging(store: Store) -> Champion | None:
        answers_again.wait(30)
        return champion(store)

    monkeypatch.setattr(Store, "champion", hanging)
    monkeypatch.setattr(app, "START", 0.05)
    monkeypatch.setattr(repeated, "STUCK", 0.05)
    began = time.monotonic()
    with TestClient(create_app(Settings(store=shop.root, reload_seconds=0.02))) as service:
        assert service.get("/healthz").status_code == 200
        until(service, "/readyz", 503, "did not answer within")
        until(service, "/metrics", 200, 'part_in_trouble{part="Following the store"} 1.0')
    with TestClient(create_app(Settings(store=shop.root, reload_seconds=0.02))) as service:
        assert time.monotonic() < began + 20
        answers_again.set()
        until(service, "/readyz", 200, '"detail":""')
        assert service.post("/predict", json=schema.example()).status_code == 200


def test_work_that_hangs_is_named_and_an_error_that_stays_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(repeated, "time", clock)
    faults, said = [True, True, False], list[str]()

    async def work() -> None:
        for clock.now in (100.0, 110.0, 110.1):
            said.append(mine.trouble)
        clock.now = 100.0
        if faults.pop(0):
            raise ValueError

    mine = repeated.Repeated("Work", 1.0, work)
    for _ in range(2):
        asyncio.run(mine.once())
        assert caplog.text.count("Work failed; it is tried again every 1 s") == 1
    assert said[:3] == ["", "", "Work has taken longer than 10 s"]
    assert mine.trouble == "Work failed with ValueError"
    asyncio.run(mine.once())
    assert mine.trouble == ""


def test_code_of_yours_that_ends_the_interpreter_ends_no_background_work(
    ready: TestClient, shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr(Store, "open", leave)
        shop.promote("2")
        until(ready, "/readyz", 200, "Following the store failed")
    until(ready, "/model", 200, '"version":"2"')


def counted(text: str, name: str, label: str) -> float:
    """The sum over the samples of a metric that have that label."""
    lines = [line for line in text.splitlines() if line.startswith(name) and label in line]
    return sum(float(line.split()[-1]) for line in lines)


def test_metrics_count_requests_predictions_and_values_by_bin(ready: TestClient, schema: Schema) -> None:
    ready.post("/predict/batch", json={"records": [schema.example()] * 3})
    ready.get("/made/up/by/a/caller")
    text = ready.get("/metrics").text
    assert counted(text, "predictions_total", 'version="1"') == 3
    for column in schema.inputs:
        if column.type in ("number", "integer", "boolean", "category") and not column.pii:
            assert counted(text, "feature_rows_total", f'feature="{column.name}"') == 3
            assert counted(text, "feature_training_rows", f'feature="{column.name}"') > 100
    assert 'http_requests_total{path="/predict/batch",status="200"} 1.0' in text
    assert 'model_loaded{version="1"} 1.0' in text
    for name, label in (("http_request_seconds_sum", '"/predict/batch"'), ("predictor_seconds_sum", "")):
        assert 0 < counted(text, name, label) < 30, "seconds that this test has lasted"
    assert "made/up" not in text


def test_the_documentation_follows_the_schema(ready: TestClient, schema: Schema) -> None:
    document = ready.get("/openapi.json").json()
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert list(body["properties"]) == [column.name for column in schema.inputs]
    assert body["additionalProperties"] is False
    for column in schema.inputs:
        field = body["properties"][column.name]
        assert bool(field.get("examples")) is not column.pii
        described = [field, *field.get("anyOf", [])]
        if len(column.categories) > 1 and not column.pii:
            assert any(list(column.categories) == part.get("enum") for part in described)
        if isinstance(column.max, float):
            assert any(column.max == part.get("maximum") for part in described)
    batch = document["paths"]["/predict/batch"]["post"]["requestBody"]
    assert json.dumps(batch).count("#/components/schemas/Record") == 1
    assert "Record" in document["components"]["schemas"]
    assert batch["required"] is True


def test_the_documentation_says_how_a_request_may_be_refused(ready: TestClient) -> None:
    paths = ready.get("/openapi.json").json()["paths"]
    refused = {"408", "413", "415", "422", "431", "503"}
    for path, method, statuses in (
        ("/predict", "post", refused),
        ("/predict/batch", "post", refused),
        ("/model", "get", refused),
        ("/readyz", "get", {"503"}),
        ("/healthz", "get", set()),
    ):
        assert set(paths.pop(path)[method]["responses"]) == {"200"} | statuses
    assert not paths


def test_the_page_of_documentation_needs_no_other_server(ready: TestClient) -> None:
    page = ready.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert page.headers["cache-control"] == ready.get("/model").headers["cache-control"] == "no-store"
    assert ready.get("/model").headers["content-security-policy"].startswith("default-src 'none'")
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(parts) >= 3
    for part in parts:
        assert part.startswith("/")
        assert ready.get(part).status_code == 200


def test_a_path_with_a_slash_too_many_is_not_redirected(ready: TestClient) -> None:
    answer = ready.get("/model/", headers={"Host": "elsewhere.example"}, follow_redirects=False)
    assert answer.status_code == 404
    assert "location" not in answer.headers


def test_the_bare_address_points_to_the_documentation(ready: TestClient) -> None:
    for path in ready.get("/").json().values():
        assert ready.get(path).status_code == 200


def test_the_model_says_what_it_is(ready: TestClient, schema: Schema) -> None:
    told = ready.get("/model").json()
    assert told["version"] == "1"
    assert told["inputs"] == [column.name for column in schema.inputs]
    assert np.isfinite(list(told["decision"].values())).all()
