"""Keys: made, listed, revoked, followed without a restart; who is let in, and what others are told."""

import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from fraud_watch.kit import UserError, access, files
from fraud_watch.kit.access import DEVELOPMENT, Access, hashed, load
from fraud_watch.kit.serve.app import create_app
from fraud_watch.kit.serve.part import ASSETS, Call, Part
from fraud_watch.kit.serve.parts import auth
from fraud_watch.kit.serve.parts.auth import Auth
from fraud_watch.kit.settings import Settings
from fraud_watch.kit.verbs.keys import commands

LET_IN = "no model is promoted yet"
"""What a caller is told who is let in: the store is empty here."""


class Callers(Part):
    """Remembers who called, and who of them may label what others asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.labellers: set[str] = set()

    def ended(self, call: Call) -> None:
        self.names.append(call.caller)
        (self.labellers.add if call.labels_all else self.labellers.discard)(call.caller)


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without keys, the current one; and a service that looks at them often."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(auth, "EVERY", 0.01)
    for name in ("API_KEY", "ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "keys" / "keys.json"
    # Absolute: a service that has just ended may look at it once more, when the folder is another one.
    monkeypatch.setenv("KEYS", str(path))
    return path


@pytest.fixture
def callers() -> Callers:
    return Callers()


@pytest.fixture
def service(tmp_path: Path, callers: Callers) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=tmp_path / "store"), [Auth(), callers])) as client:
        yield client


def call(*words: str) -> str:
    result = CliRunner().invoke(commands, list(words))
    if result.exception:
        raise result.exception
    return result.output.strip()


def asked(service: TestClient, key: str = "", path: str = "/predict", method: str = "POST") -> str:
    """What is said to a caller: the detail of the problem."""
    response = service.request(method, path, headers={"X-API-Key": key} if key else {}, json={})
    assert response.headers["content-type"] == "application/problem+json"
    if response.status_code == 401:
        assert "X-API-Key" in response.headers["www-authenticate"]
    return f"{response.status_code} {response.json()['detail']}"


def early(keys: Path, name: str) -> str:
    """Add a key as the command of v0.2 does."""
    key = f"the key of {name}"
    since = "2026-01-31T12:00:00+00:00"
    new = access.Key(name=name, sha256=hashed(key.encode()), since=since)
    known = load(keys).keys if keys.exists() else ()
    files.replace(keys, access.Keys(keys=(*known, new)).model_dump_json())
    return key


def until(service: TestClient, key: str, said: str) -> None:
    """Ask again and again, for ten seconds at most."""
    for _ in range(1000):
        if said in asked(service, key):
            return
        service.portal.call(anyio.sleep, 0.01)  # type: ignore[union-attr]
    raise AssertionError(f"it did not say {said!r} but {asked(service, key)!r}")


def test_keys_are_shown_once_and_kept_as_hashes(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYS")
    assert Access().keys.resolve() == keys
    key = call("add", "shop")
    assert len(key) == 43, "256 bits"
    assert key not in keys.read_text()
    assert hashed(key.encode()) in keys.read_text()
    assert "shop" in call("list")
    with pytest.raises(UserError, match="shop has a key"):
        call("add", "shop")
    with pytest.raises(UserError, match="is no name"):
        call("add", "a shop\n")
    call("revoke", "shop")
    with pytest.raises(UserError, match="shop has no key"):
        call("revoke", "shop")


def test_the_commands_for_keys_are_listed_and_their_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "revoke" in CliRunner().invoke(commands, []).output
    monkeypatch.setenv("KEYS", str(tmp_path / "new" / "folder" / "keys.json"))
    call("add", "shop")
    assert "everywhere" in call("list")


def test_several_callers_each_with_a_name_and_without_a_restart(
    service: TestClient, callers: Callers
) -> None:
    first, second = call("add", "first"), call("add", "second")
    until(service, second, LET_IN)
    assert callers.names[-1] == "second"
    assert LET_IN in asked(service, first)
    call("revoke", "first")
    until(service, first, "401 The key in X-API-Key is unknown here, or was revoked")
    assert callers.names[-1] == ""
    assert LET_IN in asked(service, second)


def test_probes_metrics_and_documentation_need_no_key_and_all_else_does(service: TestClient) -> None:
    for path in ("/healthz", "/metrics", "/docs", "/openapi.json"):
        assert service.get(path).status_code == 200
    assert service.get(f"{ASSETS}swagger-ui.css").status_code == 200
    assert LET_IN in asked(service, path="/readyz", method="GET")
    for path, method in (("/predict", "POST"), ("/predict/batch", "POST"), ("/model", "GET"), ("/no", "GET")):
        assert asked(service, path=path, method=method) == "401 Send your key as X-API-Key"
        assert asked(service, "nonsense", path, method).startswith("401 The key in X-API-Key is unknown")


def test_the_documentation_says_what_to_send(service: TestClient) -> None:
    document = service.get("/openapi.json").json()
    scheme = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    assert document["components"]["securitySchemes"] == {"key": scheme}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == (path not in ("/healthz", "/readyz"))
            assert ("401" in operation["responses"]) == ("security" in operation)
    statuses = set(document["paths"]["/predict"]["post"]["responses"])
    assert statuses == {"200", "401", "408", "413", "415", "422", "431", "503"}


def test_a_key_for_development_is_made_where_there_is_none(keys: Path, service: TestClient) -> None:
    env = Path(".env")
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    sent = access.headers()["X-API-Key"]
    assert f"API_KEY={sent}" in env.read_text()
    assert sent not in keys.read_text()
    assert LET_IN in asked(service, sent)
    assert [key.development for key in load(keys).keys] == [True]
    keys.unlink()
    assert access.headers()["X-API-Key"] == sent, "the one in .env is taken again"
    assert keys.exists()


def test_this_machine_gets_its_key_where_others_have_theirs_already(keys: Path) -> None:
    access.add(keys, "shop")
    sent = access.headers()["X-API-Key"]
    assert [key.name for key in load(keys).keys] == ["shop", "development"]
    assert access.headers()["X-API-Key"] == sent
    Path(".env").unlink()
    assert access.headers() == {}, "what was shown once is not shown again"


def test_what_stands_in_env_stays_there() -> None:
    Path(".env").write_text("PORT=9000")
    key = access.headers()["X-API-Key"]
    assert Path(".env").read_text().startswith("PORT=9000\n")
    assert Access().api_key == key
    assert Settings().port == 9000


def test_elsewhere_no_key_is_made_and_that_for_development_is_refused(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert "X-API-Key" not in access.headers()
    with TestClient(create_app(Settings(store=tmp_path / "store"), [Auth()])) as service:
        assert "503" in asked(service, "any")
        assert not keys.exists()
        real = access.add(keys, "shop")
        assert "X-API-Key" not in access.headers()
        assert [key.name for key in load(keys).keys] == ["shop"]
        development = access.add(keys, "development", development=True)
        until(service, real, LET_IN)
        assert "401" in asked(service, development)


@pytest.mark.parametrize("damage", ["{", '{"keys": [{"name": "shop"}]}', '{"key": []}'])
def test_without_a_good_file_it_lets_nobody_in_and_says_so(tmp_path: Path, keys: Path, damage: str) -> None:
    keys.parent.mkdir()
    keys.write_text(damage)
    broken = Auth()
    with TestClient(create_app(Settings(store=tmp_path / "store"), [broken])) as service:
        assert asked(service, "any") == "503 The service has no keys to check: /readyz says why"
        assert "is damaged" in broken.trouble()
        assert 'part_in_trouble{part="Auth"} 1.0' in service.get("/metrics").text
        keys.unlink()
        until(service, call("add", "shop"), LET_IN)
        assert not broken.trouble()


def test_a_fault_of_the_file_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    part = Auth()
    for _ in range(2):
        part.refresh()
        assert caplog.text.count("makes it; all requests are refused") == 1


def test_a_key_is_for_everywhere_unless_the_file_says_otherwise(keys: Path) -> None:
    keys.parent.mkdir()
    key = {"name": "shop", "sha256": hashed(b"a key"), "since": ""}
    keys.write_text(json.dumps({"keys": [key]}))
    part = Auth(Access(environment="production"))
    part.refresh()
    assert part.keys
    assert [key.name for key in part.keys.values()] == ["shop"]


def test_a_file_that_breaks_later_leaves_the_keys_of_before(service: TestClient, keys: Path) -> None:
    key = call("add", "shop")
    until(service, key, LET_IN)
    good = keys.read_text()
    for damaged in ("{", None):
        keys.unlink() if damaged is None else keys.write_text(damaged)
        for _ in range(20):
            service.portal.call(anyio.sleep, 0.01)  # type: ignore[union-attr]
            assert LET_IN in asked(service, key)
        assert 'part_in_trouble{part="Auth"} 1.0' in service.get("/metrics").text
    keys.write_text(good.replace("shop", "store"))
    until(service, key, LET_IN)
    for _ in range(1000):
        if 'part_in_trouble{part="Auth"} 0.0' in service.get("/metrics").text:
            break
        service.portal.call(anyio.sleep, 0.01)  # type: ignore[union-attr]
    else:
        raise AssertionError("it still complains")


def test_labelling_for_others_is_a_right_that_early_keys_keep(
    service: TestClient, callers: Callers, keys: Path
) -> None:
    given = {name: early(keys, name) for name in ("old", "older")}
    given |= {"own": call("add", "own"), "office": call("add", "office", "--labels")}
    given["later"] = early(keys, "later")
    for key in given.values():
        until(service, key, LET_IN)
    assert callers.labellers - {""} == {"old", "older", "office", "later"}
    rows = [[cell.strip() for cell in line.split("│")] for line in call("list").splitlines()]
    whose = {row[1]: row[4] for row in rows if len(row) == 6}
    assert whose == {name: "own" if name in ("own", DEVELOPMENT) else "all" for name in (*given, DEVELOPMENT)}


def test_a_right_goes_with_its_key(service: TestClient, callers: Callers, keys: Path) -> None:
    call("add", "office", "--labels")
    call("add", "clinic", "--labels")
    call("revoke", "office")
    assert access.may_label(keys) == {key.sha256 for key in load(keys).keys if key.name == "clinic"}
    until(service, call("add", "office"), LET_IN)
    assert "office" not in callers.labellers
    early(keys, "old")
    call("revoke", "old")
    until(service, call("add", "old"), LET_IN)
    assert "old" not in callers.labellers


def test_a_key_that_v02_revoked_does_not_regain_its_right(keys: Path) -> None:
    access.add(keys, "office", "a key", labels=True)
    files.replace(keys, access.Keys().model_dump_json())  # v0.2 knows only this file
    access.add(keys, "office", "a key")
    assert access.may_label(keys) == set()
    files.replace(keys, access.Keys().model_dump_json())
    access.add(keys, "office", "a key", labels=True)
    assert access.may_label(keys) == {hashed(b"a key")}


def test_no_key_gains_a_right_by_what_happens_to_the_file(
    service: TestClient, callers: Callers, keys: Path
) -> None:
    own, office = call("add", "own"), call("add", "office", "--labels")
    file = access.labels_file(keys)
    good = file.read_text()
    until(service, office, LET_IN)
    file.write_text("{")
    end = 'part_in_trouble{part="Auth"} 1.0'
    for _ in range(1000):
        if end in service.get("/metrics").text:
            break
        service.portal.call(anyio.sleep, 0.01)  # type: ignore[union-attr]
    for key in (own, office):
        assert LET_IN in asked(service, key)
    assert callers.labellers & {"own", "office"} == {"office"}, "what was known holds"
    part = Auth()
    part.refresh()
    assert "keys.labels.json is damaged" in part.trouble()
    assert part.keys, "the keys themselves are good"
    assert not part.labellers
    with pytest.raises(UserError, match="is damaged: put a good one back, or remove it and revoke and add"):
        call("add", "clinic", "--labels")
    call("revoke", "own")
    file.unlink()
    part.refresh()
    assert not part.trouble()
    assert not part.labellers
    file.write_text(good)
    part.refresh()
    assert len(part.labellers) == 1


def test_changes_at_the_same_time_take_turns(keys: Path) -> None:
    for name in ("gone", "shop"):
        access.add(keys, name)
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(access.add, keys, f"caller-{number}", labels=True) for number in range(8)]
        made.append(pool.submit(call, "revoke", "gone"))
        for done in made:
            done.result()
    expected = {"shop", *(f"caller-{number}" for number in range(8))}
    assert {key.name for key in load(keys).keys} == expected
    assert access.may_label(keys) == {key.sha256 for key in load(keys).keys if key.name != "shop"}


def test_a_change_by_a_command_that_knows_no_lock_is_not_undone(keys: Path) -> None:
    access.add(keys, "shop")
    others = keys.read_text(encoding="utf-8").replace("shop", "bank")

    def written_meanwhile(known: tuple[access.Key, ...]) -> tuple[access.Key, ...]:
        keys.write_text(others, encoding="utf-8")
        return ()

    with pytest.raises(UserError, match="was changed at the same time"):
        access.change(keys, written_meanwhile)
    assert keys.read_text(encoding="utf-8") == others


def test_who_waits_too_long_for_the_file_is_told(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.01)
    with (
        ThreadPoolExecutor(1) as pool,
        files.held(keys),
        pytest.raises(UserError, match=r"another command is changing .*keys\.json"),
    ):
        pool.submit(access.add, keys, "shop").result()


def test_a_key_makes_the_file_of_settings_private(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=info\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0o644)
    access.headers()
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
