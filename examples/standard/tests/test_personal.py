"""Personal data: what a model may learn from them, and that no file, contract or error holds a value."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from fastapi.testclient import TestClient

from fraud_watch.kit import UserError, evaluate, personal, predictor, registry, train
from fraud_watch.kit.columns import as_is, length
from fraud_watch.kit.predictor import BrokenModelError
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.serve.app import create_app
from fraud_watch.kit.settings import Params, Settings
from fraud_watch.kit.store import Store, open_model
from fraud_watch.kit.table import checked

PEOPLE = [f"canary.{name}@example.org" for name in ("ada", "bob", "cyd", "dee", "eve", "flo")]
NUMBER = {"name": "x", "type": "number"}
HASHED = {"name": "email", "type": "category", "pii": True, "allow_pii_input": True}
TEXT = {"name": "email", "type": "text", "pii": True, "allow_pii_input": True}
LISTED = {"name": "email", "type": "category", "pii": True, "categories": PEOPLE}
TARGET: dict[str, Any] = {"name": "worth", "classes": ["low", "high"], "positive": "high"}
Shop = Callable[..., train.Result]


def about(*columns: dict[str, Any], **more: Any) -> Schema:
    content = {"problem": "classification", "target": TARGET, "columns": [NUMBER, *columns], **more}
    return Schema.model_validate(content)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set another PII_KEY; one is set already."""

    def put(text: str) -> None:
        monkeypatch.setenv("PII_KEY", text) if text else monkeypatch.delenv("PII_KEY", raising=False)
        personal._key.cache_clear()

    put("11" * 32)
    yield put
    personal._key.cache_clear()


@pytest.fixture
def learn(
    tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch, key: Callable[[str], None]
) -> Iterator[Shop]:
    """Train in a project of its own, on a table in which the target follows from who somebody is."""
    before = mlflow.get_tracking_uri()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate, "RESAMPLES", 5)
    monkeypatch.setattr(predictor, "features", as_is)

    def learned(*columns: dict[str, Any], **more: Any) -> train.Result:
        schema = about(*columns, **more)
        content = {"problem": schema.problem, "target": TARGET, "columns": [NUMBER, *columns], **more}
        Path("schema.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        rng = np.random.default_rng(5)
        who = rng.integers(0, len(PEOPLE), 300)
        rows = pd.DataFrame({"x": rng.normal(size=300), "email": np.array(PEOPLE)[who]})
        rows["worth"] = np.where(who > 2, "high", "low")
        Path("data").mkdir(exist_ok=True)
        rows.to_csv("data/raw.csv", index=False)
        changes = {"how": "stratified", "folds": 2}
        mine = params.model_copy(update={"split": params.split.model_copy(update=changes)})
        return train.train(mine, machine(), lambda _: nullcontext())

    yield learned
    mlflow.set_tracking_uri(before)


def machine() -> Settings:
    return Settings(store=Path("store"), mlflow_tracking_uri=f"sqlite:///{Path('mlflow.db').absolute()}")


def written(root: Path) -> str:
    """All that is in the files under a folder, those in archives included, but for the table itself."""
    contents = [path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "raw.csv"]
    for content in list(contents):
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
    return b"\n".join(contents).decode(errors="replace")


def test_a_model_knows_people_by_hashes_alone(
    learn: Shop, tmp_path: Path, key: Callable[[str], None]
) -> None:
    result = learn(HASHED)
    registry.promote(machine(), result.version)
    assert "canary" not in written(tmp_path)
    store = Store(Path("store"))
    folder = store.folder(result.version)
    model = open_model(folder)
    records = [{"x": 0.0, "email": who} for who in (*PEOPLE, "canary.of@nobody", "canary.of@others")]
    raw = model.raw(model.schema.arrays(records))
    assert np.abs(raw[0] - raw[5]).max() > 0.01
    assert np.array_equal(raw[-1], raw[-2])
    with TestClient(create_app(machine())) as service:
        answers = service.post("/predict/batch", json={"records": records}).json()["predictions"]
        assert answers[0] != answers[5]
        assert "canary" not in service.get("/openapi.json").text + service.get("/metrics").text
    key("22" * 32)
    with pytest.raises(BrokenModelError, match="was trained with a different PII_KEY"):
        open_model(folder)
    key("")
    with pytest.raises(BrokenModelError, match=r"PII_KEY is not set.*openssl rand -hex 32"):
        open_model(folder)
    manifest = folder / "manifest.json"
    unnamed = json.loads(manifest.read_text())
    del unnamed["files"]["personal.json"]
    manifest.write_text(json.dumps(unnamed))
    with pytest.raises(BrokenModelError, match=r"doesn't name personal\.json"):
        open_model(folder)


def test_training_without_a_key_says_how_to_make_one(learn: Shop, key: Callable[[str], None]) -> None:
    key("")
    with pytest.raises(UserError, match="PII_KEY is not set"):
        learn(HASHED)
    key("short")
    with pytest.raises(UserError, match="PII_KEY must be 64 hexadecimal digits") as error:
        learn(HASHED)
    assert "short" not in str(error.value)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (LISTED, "each model would hold its values"),
        ({**LISTED, "input": False}, "each model would hold its values"),
        ({"name": "email", "type": "text", "pii": True}, "requests carry it. write input: false"),
    ],
)
def test_personal_words_are_refused_by_training(learn: Shop, column: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=r"schema.yaml: columns \(email\)") as error:
        learn(column)
    assert said in str(error.value)
    assert "canary" not in str(error.value)


def test_the_model_card_may_not_list_people(learn: Shop) -> None:
    with pytest.raises(UserError, match="slices: email is personal"):
        learn(HASHED, slices=["email"])


@pytest.mark.parametrize("change", [str, str.upper, lambda who: who.split("@")[0]])
def test_personal_text_may_not_become_a_category(
    learn: Shop, monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str]
) -> None:
    def features(columns: Any) -> dict[str, Any]:
        changed = [who and change(who) for who in columns["email"]]
        return {"x": columns["x"], "who": np.array(changed, dtype=object)}

    monkeypatch.setattr(predictor, "features", features)
    with pytest.raises(UserError, match="who tells apart the values of email, which is personal"):
        learn(TEXT)


def test_of_personal_text_numbers_and_few_categories_may_be_made(
    learn: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def features(columns: Any) -> dict[str, Any]:
        domains = [who and who.rpartition("@")[2][:8] for who in columns["email"]]
        made = {"x": columns["x"], "long": length(columns["email"])}
        return made | {"domain": np.array(domains, dtype=object)}

    monkeypatch.setattr(predictor, "features", features)
    learn(TEXT)
    assert "canary" not in written(Path())


def test_half_as_many_categories_as_people_do_not_tell_them_apart() -> None:
    """Categories that are made of something else may be as many as there are."""
    schema = about(TEXT)
    columns = {"x": np.arange(6.0), "email": np.array(PEOPLE, dtype=object)}

    def named(letters: int) -> list[str]:
        def made(columns: Any) -> dict[str, Any]:
            few = [who[:letters] for who in columns["email"]]
            own = [f"row {x}" for x in columns["x"]]
            return {"few": np.array(few, dtype=object), "own": np.array(own, dtype=object)}

        return list(personal.handed_on(schema, columns, made(columns), made))

    columns["email"][:] = ["aa", "ab", "ba", "bb", "ca", "cb"]
    assert named(1) == []
    columns["email"][:] = ["aa", "ab", "ba", "bb", "ca", "da"]
    assert ["few tells apart" in what for what in named(1)] == [True]


def test_a_person_keeps_a_hash_by_which_stored_models_know_them(key: Callable[[str], None]) -> None:
    columns = {"email": np.array(["ada@example.org", None], dtype=object)}
    assert personal.hashed(about(HASHED), columns)["email"].tolist() == ["eeed6971d960c41a", None]


def test_features_that_look_at_other_rows_are_refused_without_a_value(
    learn: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def features(columns: Any) -> dict[str, Any]:
        return {"x": columns["x"], "who": np.repeat(columns["email"][:1], len(columns["x"]))}

    monkeypatch.setattr(predictor, "features", features)
    with pytest.raises(UserError, match=r"features\.py: who looks at other rows") as error:
        learn(TEXT)
    assert "canary" not in str(error.value)


def test_a_column_says_so_only_where_it_means_something() -> None:
    for column in (HASHED | {"pii": False}, HASHED | {"input": False}, HASHED | {"categories": PEOPLE}):
        with pytest.raises(ValueError, match="allow_pii_input"):
            about(column)


def test_values_of_an_older_champion_are_neither_documented_nor_quoted() -> None:
    schema = about({**LISTED, "example": PEOPLE[0]})
    document = json.dumps(schema.reader.record.json_schema())
    assert "email" in document
    assert "canary" not in document
    assert schema.reader.one(json.dumps({"x": 1, "email": PEOPLE[2]}).encode())["email"] == PEOPLE[2]
    with pytest.raises(ValueError, match="one of the values that the model was trained with") as error:
        schema.reader.one(b'{"x": 1, "email": "canary.of@nobody"}')
    assert not [problem for problem in error.value.errors() if "canary" in problem["msg"]]  # type: ignore[attr-defined]


def test_a_bad_cell_of_a_personal_column_is_named_by_its_row() -> None:
    rows = pd.DataFrame({"x": 1.0, "email": [*PEOPLE, "canary.of@nobody"], "born": "canary.never"})
    schema = about(LISTED, {"name": "born", "type": "datetime", "pii": True})
    with pytest.raises(UserError) as error:
        checked(schema, rows, "table", target=False)
    assert "column born, row 1, 2, 3: a personal value is no datetime and 4 more" in str(error.value)
    rows["born"] = "2000-01-01"
    with pytest.raises(UserError) as error:
        checked(schema, rows, "table", target=False)
    assert str(error.value) == "table: column email, row 7: a personal value breaks isin"


def test_a_card_hides_values_that_an_older_schema_lists() -> None:
    assert evaluate._limits(about(LISTED).columns[1]) == "any"
