"""From the registry to the store: promotion, rollback, and what happens when either is cut short."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock
from zipfile import ZipFile

import mlflow
import numpy as np
import pandas as pd
import pytest

from fraud_watch.features import features
from fraud_watch.kit import UserError, registry, task, train, trust
from fraud_watch.kit.columns import Columns
from fraud_watch.kit.evaluate import Prepared
from fraud_watch.kit.predictor import (
    TOLERANCE,
    BrokenModelError,
    Choice,
    Manifest,
    Model,
    made,
    sklearn,
)
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.settings import PROJECT, Params, Settings
from fraud_watch.kit.signing import SIGNATURE
from fraud_watch.kit.store import Champion, Store, open_model, sha256, write


@pytest.fixture
def shop(tmp_path: Path, published: Path) -> Store:
    """A store of its own with three versions in it and the first one promoted."""
    shop = Store(tmp_path / "store")
    for version in ("1", "2", "3"):
        shop.publish(version, published)
    shop.promote("1")
    return shop


@pytest.fixture
def estimator(prepared: Prepared, params: Params, tmp_path: Path) -> Path:
    """The files of a model that scikit-learn serves, as every engine can."""
    learned = train.fit(prepared, params, params.model.options)
    choice = Choice("sklearn", sklearn(learned.estimator), learned.estimator, "for a test")
    manifest = Manifest(run="none", decision=learned.decision)
    write(tmp_path / "estimator", Path("schema.yaml"), manifest, choice, prepared.schema.sample(8))
    open_model(tmp_path / "estimator")
    return tmp_path / "estimator"


def test_promote_asks_for_the_gate_and_moves_files_pointer_and_alias(
    trained: train.Result, params: Params, machine: Settings, tmp_path: Path
) -> None:
    mine = machine.model_copy(update={"store": tmp_path / "store"})
    client = registry.connect(mine)
    with pytest.raises(UserError, match="there is no version 99; registered: 1"):
        registry.promote(mine, "99")
    registry.note_gate(client, trained.version, ["it is too weak"], "none")
    with pytest.raises(UserError, match="did not pass the gate: it is too weak"):
        registry.promote(mine, trained.version)
    with pytest.raises(UserError, match="no version that passed the gate"):
        registry.promote(mine, None)
    assert not (tmp_path / "store" / "versions").exists()

    version, checks = train.rejudge(params, mine, trained.version, lambda _: nullcontext())
    assert all(check.passed for check in checks)
    assert registry.promote(mine, None) == version == trained.version
    champion = Store(mine.store).champion()
    assert champion is not None
    assert champion.version == version
    assert str(registry.find(client, None).version) == version
    assert str(client.get_registered_model(PROJECT).aliases["champion"]) == version
    assert registry.listing(mine)[0][3:] == ("passed", "champion, challenger")
    made = datetime.fromisoformat(registry.listing(mine)[0][1])
    assert abs(datetime.now() - made) < timedelta(hours=1)
    assert registry.promote(mine, version) == version

    # Judged when there was no champion, so not good enough against this one.
    registry.note_gate(client, trained.version, [], "none")
    older = champion.model_copy(update={"version": "0", "manifest": "0"})
    Store(mine.store).pointer.write_text(older.model_dump_json())
    with pytest.raises(UserError, match="was judged against another champion"):
        registry.promote(mine, version)


def test_the_registered_model_answers_as_the_store_does(
    trained: train.Result, published: Path, schema: Schema, machine: Settings
) -> None:
    registry.connect(machine)
    loaded = mlflow.pyfunc.load_model(f"models:/{PROJECT}/{trained.version}")
    model = open_model(published)
    columns = schema.sample(20, seed=9)
    frame = pd.DataFrame({c.name: columns[c.name] for c in schema.inputs})
    for column in schema.inputs:
        if not column.nullable and column.type in ("integer", "boolean"):
            frame[column.name] = frame[column.name].astype("int64" if column.type == "integer" else "bool")
    answers = loaded.predict(frame)
    expected = task.table(schema, model.manifest.decision, model.raw(columns))
    assert list(answers["prediction"]) == list(expected["prediction"])


def test_roll_back_goes_through_the_champions_before(shop: Store) -> None:
    shop.promote("2")
    shop.promote("3")
    assert [shop.roll_back().version, shop.roll_back().version] == ["2", "1"]
    with pytest.raises(UserError, match="no earlier champion"):
        shop.roll_back()


@pytest.mark.parametrize("fatal", ["shutil.copytree", "_sync", "open_model", "sha256", "Path.replace"])
def test_cut_short_anywhere_the_old_champion_serves_on(
    shop: Store, published: Path, monkeypatch: pytest.MonkeyPatch, fatal: str
) -> None:
    class KilledError(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise KilledError

    def release() -> None:
        shop.publish("4", published)
        shop.promote("4")

    with monkeypatch.context() as patch:
        patch.setattr(f"fraud_watch.kit.store.{fatal}", die)
        with pytest.raises(KilledError):
            release()
    champion = shop.champion()
    assert champion is not None
    assert champion.version == "1"
    shop.open(champion)
    release()
    champion = shop.champion()
    assert champion is not None
    assert shop.open(champion).manifest == open_model(published).manifest


def test_a_store_can_be_made_again_from_the_registry(
    trained: train.Result, published: Path, machine: Settings, tmp_path: Path
) -> None:
    registry.connect(machine)
    with registry.files_of(trained.version) as files:
        Store(tmp_path).publish(trained.version, files)
    names = sorted(path.name for path in published.iterdir())
    copied = Store(tmp_path).folder(trained.version)
    assert sorted(path.name for path in copied.iterdir()) == sorted([*names, SIGNATURE])
    assert copied.stat().st_mode & 0o777 == 0o755, "a service that runs as somebody else can read it"


def test_a_file_that_changed_or_is_gone_is_refused(shop: Store) -> None:
    champion = shop.champion()
    assert champion is not None
    for path in list(shop.folder("1").iterdir()):
        good = path.read_bytes()
        path.write_bytes(good + b"?")
        with pytest.raises(BrokenModelError, match=r"has changed since|isn't signed by this project's key"):
            shop.open(champion)
        path.unlink()
        with pytest.raises(BrokenModelError, match=r"cannot be read|it has no signature"):
            shop.open(champion)
        path.write_bytes(good)
    shop.open(champion)


@pytest.fixture(params=["published", "estimator"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model as this project serves it, and one that scikit-learn serves; nobody else uses the files."""
    return Path(shutil.copytree(request.getfixturevalue(request.param), tmp_path / "stored"))


def test_what_was_hashed_is_what_loads(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can write the store changes each file as soon as it was read."""
    whole = open_model(stored)
    columns = whole.schema.sample(20, seed=3)
    read, seen = Path.read_bytes, list[str]()

    def once(path: Path) -> bytes:
        content = read(path)
        if path.parent == stored:
            seen.append(path.name)
            path.write_bytes(b"swapped")
        return content

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", once)
        model = open_model(stored)
    assert model[:2] == whole[:2]
    np.testing.assert_array_equal(model.raw(columns), whole.raw(columns))
    assert sorted(seen) == sorted([*model.manifest.files, "manifest.json"]), "each was read, and once"


def test_a_file_that_the_manifest_does_not_name_is_not_read(stored: Path) -> None:
    files = json.loads((stored / "manifest.json").read_text())["files"]
    for name in files:
        altered(stored, files={other: digest for other, digest in files.items() if other != name})
        with pytest.raises(BrokenModelError, match=rf"stored/manifest\.json doesn't name {name}, which"):
            open_model(stored)
    altered(stored, files=files)
    open_model(stored)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "..", "", "a/b", "a\\b", ".hidden"])
def test_a_manifest_that_leads_out_of_the_model_is_refused(
    published: Path, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(published, copy)
    (tmp_path / "outside").write_bytes(b"")
    files = json.loads((copy / "manifest.json").read_text())["files"]
    altered(copy, files=files | {name: sha256(tmp_path / "outside")})
    with pytest.raises(BrokenModelError, match=r"manifest\.json is no manifest"):
        open_model(copy)


def test_a_model_that_computes_something_else_here_is_refused(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(published, copy)

    def other(columns: Columns) -> dict[str, np.ndarray]:
        given = {name: np.asarray(values) for name, values in features(columns).items()}
        return {n: np.full_like(v, None) if v.dtype == object else v * 2 + 1 for n, v in given.items()}

    monkeypatch.setattr("fraud_watch.kit.predictor.features", other)
    with pytest.raises(BrokenModelError, match="predicts differently here than in training"):
        open_model(copy)
    monkeypatch.setattr("fraud_watch.kit.predictor.features", lambda _: {})
    with pytest.raises(BrokenModelError, match="cannot predict here"):
        open_model(copy)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([True, False]), np.array([1.0, 0.0])),
        (np.array([1, 2], dtype=np.int8), np.array([1.0, 2.0])),
        (np.array([0.5], dtype=np.float32), np.array([0.5])),
        (np.array(["a", "b"]), np.array(["a", "b"], dtype=object)),
        (pd.Series([1, None], dtype="Int64"), np.array([1.0, np.nan])),
        (pd.Series(["a", None], dtype="string"), np.array(["a", None], dtype=object)),
    ],
)
def test_features_may_be_other_numbers_and_texts(
    monkeypatch: pytest.MonkeyPatch, values: object, expected: np.ndarray
) -> None:
    replaced = "fraud_watch.kit.predictor.features"
    monkeypatch.setattr(replaced, lambda columns: {"x": values})
    given = made({})["x"]
    assert given.dtype == expected.dtype
    np.testing.assert_array_equal(given, expected)


def test_features_that_are_arrays_of_numbers_and_objects_are_not_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"x": np.array([0.5]), "word": np.array(["a", None], dtype=object)}
    monkeypatch.setattr("fraud_watch.kit.predictor.features", lambda columns: given)
    assert all(made({})[name] is values for name, values in given.items())


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (np.array(["2024-01-01"], dtype="M8[s]"), r"an array of datetime64\[s\]"),
        ([1.0, 2.0], "a list"),
        (1.0, "a float"),
    ],
)
def test_features_of_another_kind_are_refused(
    monkeypatch: pytest.MonkeyPatch, values: object, what: str
) -> None:
    replaced = "fraud_watch.kit.predictor.features"
    monkeypatch.setattr(replaced, lambda columns: {"x": values})
    with pytest.raises(UserError, match=rf"features\.py: x is {what}; return an array of numbers"):
        made({})


def test_types_are_trusted_name_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    own = trust.PACKAGE
    known = ["sklearn.tree._tree.Tree", f"{own}.model.build", f"{own}.features.features"]
    known += ["numpy.nan_to_num", "sklearn.preprocessing._data.minmax_scale"]
    strange = ["numpy.load", "sklearn.tree.os", "builtins.eval", "sklearn.pipeline.Pipeline.fit"]
    strange += [f"{own}.model.Pipeline", f"{own}.cli.run", f"{own}.kit.store.Store"]
    strange += [f"{own}.features.np", f"{own}./etc/x.Own", own]
    other = ["mlflow.models.ModelSignature", "mlflow.models.os", "mlflow.gone.Fake", "mlflow_fake.Own"]
    assert trust.foreign([*known, *strange, *other]) == [*strange, *other]
    monkeypatch.setattr(trust, "declared", lambda: ("mlflow", "numpy", "sklearn", "builtins", "numpy.load"))
    left = [*strange[1:], "mlflow.models.os", "mlflow.gone.Fake", "mlflow_fake.Own"]
    assert trust.foreign([*known, *strange, *other]) == left
    why = trust.refusal(["numpy.save", "xgboost.core.Booster"])
    assert "trusted.py can name only single types of numpy, not the package" in why
    assert "TRUSTED_TYPES = ['builtins', 'mlflow', 'numpy', 'numpy.load'" in why


def test_the_project_s_own_classes_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "SOURCES", tmp_path)
    (tmp_path / "steps").mkdir()
    source = "from os import system\nclass Own: ...\ndef run(): ...\nopen('ran', 'w')\n"
    source += "try:\n    import gone\nexcept ImportError:\n    if system:\n        class Late: ...\n"
    for path in ("model.py", "steps/__init__.py", "steps/own.py", "other.py"):
        (tmp_path / path).write_text(source)
    modules = [f"{trust.PACKAGE}.{name}" for name in ("model", "steps", "steps.own")]
    names = [f"{module}.{name}" for module in modules for name in ("Own", "run", "Late", "system")]
    trusted = [name for name in names if not name.endswith("system")]
    assert sorted(set(names) - set(trust.foreign(names))) == sorted(trusted)
    strange = [f"{trust.PACKAGE}.steps.{tmp_path / 'other'}.Own", f"{trust.PACKAGE}.gone.Own"]
    strange += [f"{trust.PACKAGE}.Own", "mlflow.model.Own"]
    assert trust.foreign(strange) == strange
    assert not Path("ran").exists(), "no module was imported"


@pytest.mark.parametrize(("share", "equal"), [(0.9, True), (1.1, False), (-1.1, False)])
def test_a_billionth_is_what_two_machines_may_differ_by(
    published: Path, tmp_path: Path, share: float, equal: bool
) -> None:
    """Relative to one and the figure; one figure that is further off is enough."""
    copy = tmp_path / "model"
    shutil.copytree(published, copy)
    parity = json.loads((copy / "parity.json").read_text())
    outputs = np.array(parity["outputs"])
    outputs.flat[0] += share * 1e-9 * (1 + abs(outputs.flat[0]))
    (copy / "parity.json").write_text(json.dumps({**parity, "outputs": outputs.tolist()}))
    altered(copy, files=hashes(copy))
    if equal:
        open_model(copy)
    else:
        with pytest.raises(BrokenModelError, match="predicts differently here"):
            open_model(copy)


@pytest.mark.parametrize(("written", "off"), [(0.0, TOLERANCE), (3.0, 3.9 * TOLERANCE)])
def test_a_difference_as_large_as_the_tolerance_is_allowed(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: float, off: float
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(published, copy)
    parity = json.loads((copy / "parity.json").read_text())
    (copy / "parity.json").write_text(json.dumps({**parity, "outputs": [written]}))
    altered(copy, files=hashes(copy))
    monkeypatch.setattr(Model, "raw", lambda self, columns: np.array([written + off]))
    open_model(copy)


def altered(folder: Path, **entries: object) -> None:
    """As if the training had written another manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in folder.iterdir() if path.name != "manifest.json"}


def node(name: str, loader: str, **more: object) -> dict[str, object]:
    """An entry of a file that skops reads."""
    module, _, last = name.rpartition(".")
    return {"__class__": last, "__module__": module, "__loader__": loader, **more}


TEXT = node("builtins.str", "JsonNode", content=json.dumps("open('canary', 'w')"))
NONE = node("builtins.list", "ListNode", content=[])
NOTHING = node("builtins.dict", "DictNode", content={}, key_types=NONE)
EXEC = node("builtins.exec", "FunctionNode")
PARTIAL = {"func": EXEC, "args": node("builtins.tuple", "TupleNode", content=[])}
PARTIAL |= {"kwds": NOTHING, "namespace": NOTHING}
HOSTILE = [
    EXEC,
    node("numpy.testing._private.utils.measure", "FunctionNode"),
    node("numpy.testing._private.utils.measure", "TypeNode"),
    node("builtins.eval", "TypeNode"),
    node("_pickle.loads", "FunctionNode"),
    node("joblib.numpy_pickle.load", "FunctionNode"),
    node("sklearn.utils._testing.create_memmap_backed_data", "FunctionNode"),
    node("subprocess.Popen", "ConstructorFromReduceNode", content=TEXT),
    node("operator.methodcaller", "OperatorFuncNode", attrs=NONE),
    node("functools.partial", "PartialNode", content=PARTIAL),
    node(
        "sklearn.pipeline.Pipeline",
        "MethodNode",
        content={"func": "fit", "obj": node("sklearn.pipeline.Pipeline", "ObjectNode", content=NOTHING)},
    ),
    node(f"{trust.PACKAGE}.kit.store.Store", "TypeNode"),
]


def infect(folder: Path, call: dict[str, object]) -> None:
    """Put a file in place of a model's estimator that makes this call when it is loaded."""
    code = {"open('canary', 'w')": TEXT}
    calls = node("builtins.list", "ListNode", content=[call])
    root = node("builtins.dict", "DictNode", content=code, key_types=calls)
    with ZipFile(folder / "model.skops", "w") as file:
        file.writestr("schema.json", json.dumps({**root, "protocol": 2}))
    altered(folder, types=[], files=hashes(folder))


@pytest.mark.parametrize("call", HOSTILE)
def test_a_file_that_runs_code_is_refused_before_it_runs(
    estimator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: dict[str, object]
) -> None:
    monkeypatch.chdir(tmp_path)
    infect(estimator, call)
    with pytest.raises(BrokenModelError, match="holds types that are not trusted"):
        open_model(estimator)
    assert not Path("canary").exists()


def test_the_gate_and_the_promotion_refuse_a_registered_file_that_runs_code(
    estimator: Path, prepared: Prepared, params: Params, machine: Settings, tmp_path: Path
) -> None:
    infect(estimator, HOSTILE[1])
    mine = machine.model_copy(update={"store": tmp_path / "store"})
    client = registry.connect(mine)
    with mlflow.start_run():
        version = registry.register(estimator, prepared.schema)
    client.set_model_version_tag(PROJECT, version, "gate", "passed")
    client.set_model_version_tag(PROJECT, version, "gate_against", "none")
    try:
        with pytest.raises(BrokenModelError, match="not trusted: numpy"):
            train.rejudge(params, mine, version, lambda _: nullcontext())
        with pytest.raises(UserError, match="cannot serve: the model holds types that are not trusted"):
            registry.promote(mine, version)
    finally:
        client.delete_model_version(PROJECT, version)
    assert not Path("canary").exists()
    assert Store(mine.store).champion() is None


def test_a_damaged_pointer_is_named(shop: Store) -> None:
    shop.pointer.write_text("{")
    with pytest.raises(BrokenModelError, match="is damaged"):
        shop.champion()


@pytest.mark.parametrize("version", ["../../elsewhere", "/etc", "..", "", "a/b"])
def test_a_pointer_that_leads_out_of_the_store_is_not_followed(shop: Store, version: str) -> None:
    champion = shop.champion()
    assert champion is not None
    shop.pointer.write_text(json.dumps(champion.model_dump() | {"version": version}))
    with pytest.raises(BrokenModelError, match="is damaged"):
        shop.champion()


def test_promoting_again_makes_damaged_files_whole(
    trained: train.Result, machine: Settings, tmp_path: Path
) -> None:
    mine = machine.model_copy(update={"store": tmp_path / "store"})
    registry.note_gate(registry.connect(mine), trained.version, [], "none")
    registry.promote(mine, trained.version)
    shop = Store(mine.store)
    champion = shop.champion()
    assert champion is not None
    model = shop.folder(trained.version) / "parity.json"
    for damage in (lambda: model.write_bytes(b"x"), lambda: shutil.rmtree(model.parent)):
        damage()
        with pytest.raises(BrokenModelError):
            shop.open(champion)
        registry.promote(mine, trained.version)
        shop.open(champion)
    assert shop.champion() == champion


def test_a_store_of_another_registry_is_not_overwritten(shop: Store, published: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(published, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**manifest, "run": "another"}))
    with pytest.raises(UserError, match="another version 1, from another registry"):
        shop.publish("1", other)
    champion = shop.champion()
    assert champion is not None
    shop.open(champion)


def test_a_promotion_that_was_overtaken_is_refused(
    trained: train.Result, machine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = machine.model_copy(update={"store": tmp_path / "store"})
    registry.note_gate(registry.connect(mine), trained.version, [], "none")
    publish = Store.publish

    def overtaken(shop: Store, version: str, source: Path) -> None:
        publish(shop, version, source)
        shop.point(version, ("7",))

    monkeypatch.setattr(Store, "publish", overtaken)
    with pytest.raises(UserError, match="another version was promoted in the meantime"):
        registry.promote(mine, trained.version)


@pytest.mark.parametrize("error", [mlflow.MlflowException("it is gone"), ValueError("it is garbage")])
def test_a_rollback_needs_no_registry(
    shop: Store,
    machine: Settings,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop.promote("2")
    connect = Mock(side_effect=error)
    monkeypatch.setattr(registry, "connect", connect)
    mine = machine.model_copy(update={"store": shop.root})
    assert registry.roll_back(mine) == "1"
    connect.assert_called_once_with(mine, seconds=10, retries=1)
    assert f"version 1 serves, but the registry could not be updated ({type(error).__name__})" in caplog.text


@pytest.mark.parametrize("told", ["", "7"])
def test_a_registry_is_not_waited_for_as_long_as_mlflow_would(
    machine: Settings, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
    for name in usual:
        monkeypatch.setenv(name, told)
        if not told:
            monkeypatch.delenv(name)
    registry.connect(machine)
    for name, value in usual.items():
        assert os.environ[name] == (told or value)


def test_two_rollbacks_take_turns(shop: Store, machine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each goes one champion back, and none of them is lost."""
    monkeypatch.setattr(registry, "connect", Mock(side_effect=mlflow.MlflowException("it is gone")))
    for version in ("2", "3"):
        shop.promote(version)
    mine = machine.model_copy(update={"store": shop.root})
    with ThreadPoolExecutor(2) as pool:
        versions = sorted(pool.map(lambda _: registry.roll_back(mine), range(2)))
    assert versions == ["1", "2"]
    champion = shop.champion()
    assert champion is not None
    assert (champion.version, champion.before) == ("1", ())


def test_the_challenger_is_the_newest_that_passed(trained: train.Result, machine: Settings) -> None:
    client = registry.connect(machine)
    registry.note_gate(client, trained.version, [], "none")
    assert str(registry.find(client, None).version) == trained.version
    registry.note_gate(client, trained.version, ["it is too weak"], "none")
    with pytest.raises(UserError, match="no version that passed the gate"):
        registry.find(client, None)
    registry.note_gate(client, trained.version, [], "none")


@pytest.fixture
def three() -> Mock:
    """A registry with three versions; MLflow sorts their numbers as text."""
    passed, failed = {"gate": "passed"}, {"gate": "failed", "gate_reasons": "too weak"}
    tags: dict[str, dict[str, str]] = {"9": passed, "2": {}, "11": failed, "10": passed}
    made = [SimpleNamespace(version=n, tags=t, creation_timestamp=0, run_id=n) for n, t in tags.items()]
    client = Mock()
    client.search_model_versions.return_value = made
    client.get_registered_model.return_value.aliases = {"challenger": "10"}
    client.get_run.return_value.data.metrics = {"score": 0.25}
    return client


def test_an_older_version_that_passed_is_for_a_person_to_choose(three: Mock) -> None:
    three.get_model_version_by_alias.return_value = SimpleNamespace(version="10")
    with pytest.raises(UserError, match=r"11 failed its gate: too weak\. Version 10 passed: promote 10 lets"):
        registry.newest(three, None)
    serving = Champion(version="10", manifest="", since="")
    with pytest.raises(UserError, match=r"11 failed its gate: too weak\. Version 10 goes on serving"):
        registry.newest(three, serving)
    first = next(v for v in three.search_model_versions.return_value if v.version == "11")
    first.tags = {}
    with pytest.raises(UserError, match=r"version 11 has not been judged\. Version 10 passed"):
        registry.newest(three, None)
    first.tags = {"gate": "passed"}
    assert registry.newest(three, None) is first


@pytest.mark.parametrize(
    ("failures", "verdict", "reasons"),
    [([], "passed", "none"), (["too weak", "too slow"], "failed", "too weak; too slow")],
)
def test_a_verdict_and_its_reasons_are_tags_and_the_newest_that_passed_is_the_challenger(
    three: Mock, failures: list[str], verdict: str, reasons: str
) -> None:
    registry.note_gate(three, "2", failures, "9")
    noted = {call.args[2]: call.args[3] for call in three.set_model_version_tag.call_args_list}
    assert noted == {"gate": verdict, "gate_reasons": reasons, "gate_against": "9"}
    three.set_registered_model_alias.assert_called_once_with(PROJECT, "challenger", "10")


def test_versions_are_listed_newest_first_with_gate_and_role(
    three: Mock, machine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "connect", lambda settings: three)
    monkeypatch.setattr(Store, "champion", lambda store: SimpleNamespace(version="9"))
    assert [(number, *rest) for number, _, *rest in registry.listing(machine)] == [
        ("11", "0.25", "failed: too weak", ""),
        ("10", "0.25", "passed", "challenger"),
        ("9", "0.25", "passed", "champion"),
        ("2", "0.25", "not judged", ""),
    ]
    monkeypatch.setattr(Store, "champion", lambda store: None)
    assert not any("champion" in role for *_, role in registry.listing(machine))
    three.search_model_versions.return_value = []
    assert registry.listing(machine) == []


def test_the_registered_model_names_its_columns_and_types() -> None:
    """A nullable column of integers or booleans is one of floats to pandas."""
    kinds = ("number", "integer", "boolean", "datetime", "text")
    columns = [{"name": f"{k}_{n}", "type": k, "nullable": bool(n)} for n in (0, 1) for k in kinds]
    about = {"problem": "regression", "target": {"name": "worth"}, "columns": columns}
    inputs = registry.signature(Schema.parse(about, "here")).inputs
    types = ["double", "long", "boolean", "datetime", "string"]
    types += ["double", "double", "double", "datetime", "string"]
    assert inputs.input_names() == [c["name"] for c in columns]
    assert [kind.name for kind in inputs.input_types()] == types
    assert inputs.required_input_names() == [c["name"] for c in columns[:5]]


def test_what_cannot_even_be_loaded_is_a_broken_model(
    estimator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where model.py has a class that this service lacks: the service goes on with the model before."""

    def fail(*_: object, **__: object) -> None:
        raise AttributeError("no such class")

    monkeypatch.setattr("skops.io.loads", fail)
    with pytest.raises(BrokenModelError, match="no such class"):
        open_model(estimator)


def test_the_parity_sample_spans_the_test_rows_and_holds_nothing_personal(
    prepared: Prepared, params: Params
) -> None:
    secret = prepared.schema.inputs[0]
    hidden = tuple(c.model_copy(update={"pii": c == secret}) for c in prepared.schema.columns)
    schema = prepared.schema.model_copy(update={"columns": hidden})
    sample = train._parity_sample(prepared._replace(schema=schema), params.seed)
    held = prepared.frame.iloc[prepared.rows.test]
    places = np.linspace(0, len(held) - 1, train.PARITY_ROWS).astype(int)
    assert sample[secret.name][: train.PARITY_ROWS].tolist() != held[secret.name].iloc[places].tolist()
    for column in schema.inputs[1:]:
        shown = sample[column.name]
        assert len(shown) == 2 * train.PARITY_ROWS, "half of them are made up"
        np.testing.assert_array_equal(shown[:1], held[column.name].to_numpy()[:1])
        np.testing.assert_array_equal(shown[train.PARITY_ROWS - 1], held[column.name].to_numpy()[-1])
