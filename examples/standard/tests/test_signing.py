"""Signatures: what the service opens, which key signs, and how a project that had none gets one."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from fraud_watch.kit import UserError, files, registry, store, train
from fraud_watch.kit.predictor import BrokenModelError
from fraud_watch.kit.serve.app import create_app
from fraud_watch.kit.settings import Settings
from fraud_watch.kit.signing import SIGNATURE, Keys
from fraud_watch.kit.store import Champion, Store
from fraud_watch.kit.verbs.release import commands


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """The place of a key pair that is not there yet."""
    return Keys(tmp_path / "signing" / "public.pem", tmp_path / "signing" / "private.pem")


@pytest.fixture
def shop(tmp_path: Path, published: Path, keys: Keys) -> Store:
    """A store from before there were keys: two versions have served."""
    shop = Store(tmp_path / "store", keys)
    for version in ("1", "2"):
        shop.publish(version, published)
        shop.promote(version)
    return shop


@pytest.fixture
def signed(shop: Store) -> Store:
    """The same store after its key was made."""
    first = shop.sign_first()
    assert first[0].startswith("Created a key pair for signing models. Commit ")
    assert first[1:] == [f"version {v} of the store is signed now, as it was found there" for v in "12"]
    assert shop.sign_first() == []
    return shop


def test_a_clone_without_the_private_key_signs_for_itself(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SIGNING_PUBLIC_KEY", "SIGNING_PRIVATE_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert not Keys.of(Settings()).use_mine(), "the first promotion makes the project's key"
    Keys.of(Settings()).make()
    assert not Keys.of(Settings()).use_mine(), "the private key is here"
    Path("signing", "private.pem").unlink()
    theirs = Path("signing", "public.pem").read_bytes()
    assert Keys.of(Settings()).use_mine()
    assert not Keys.of(Settings()).use_mine(), "once"
    keys = Keys.of(Settings())
    assert keys.private == Path("signing", "mine", "private.pem")
    shop = Store(Path("store"), keys)
    assert shop.sign_first() == ["Created a key pair for this machine only, in signing/mine."]
    shop.publish("1", published)
    shop.sign("1", shop.folder("1"))
    shop.promote("1")
    shop.open(champion(shop))
    assert Path("signing", "public.pem").read_bytes() == theirs


def champion(shop: Store) -> Champion:
    found = shop.champion()
    assert found is not None
    return found


def settings(shop: Store, keys: Keys | None = None) -> Settings:
    here = Settings(store=shop.root, reload_seconds=0.02)
    place = {"signing_public_key": keys.public, "signing_private_key": keys.private} if keys else {}
    return here.model_copy(update=place)


def until(service: TestClient, text: str) -> str:
    """Ask /readyz until it says so, for ten seconds at most."""
    for _ in range(500):
        if text in (said := service.get("/readyz").text):
            return said
        service.portal.call(anyio.sleep, 0.02)  # type: ignore[union-attr]
    raise AssertionError(f"/readyz did not say {text!r} but {said}")


def changed(shop: Store) -> None:
    path = shop.folder("2") / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"run": "another"}))
    shop.point("2", ("1",))


def of_another_version(shop: Store) -> None:
    shutil.copyfile(shop.folder("1") / SIGNATURE, shop.folder("2") / SIGNATURE)


def of_another_key(shop: Store) -> None:
    other = Keys(shop.root / "public.pem", shop.root / "private.pem")
    other.make()
    Store(shop.root, other).sign("2", shop.folder("2"))


def missing(shop: Store) -> None:
    (shop.folder("2") / SIGNATURE).unlink()


def damaged(shop: Store) -> None:
    (shop.folder("2") / SIGNATURE).write_bytes(b"\xff")


FORGED = [changed, of_another_version, of_another_key, missing, damaged]


@pytest.mark.parametrize("forge", FORGED)
def test_only_what_the_project_s_key_signed_opens_and_is_rolled_back_to(
    signed: Store, forge: Callable[[Store], None]
) -> None:
    signed.open(champion(signed))
    forge(signed)
    with pytest.raises(BrokenModelError, match="version 2 isn't signed by this project's key"):
        signed.open(champion(signed))
    signed.point("1", ("2",))
    signed.open(champion(signed))
    with pytest.raises(BrokenModelError, match="version 2 isn't signed by this project's key"):
        signed.roll_back()
    assert champion(signed).version == "1"


def test_a_pointer_to_another_manifest_than_the_signed_one_is_refused(signed: Store) -> None:
    now = champion(signed).model_copy(update={"manifest": "0" * 64})
    with pytest.raises(BrokenModelError, match="not the one that was promoted"):
        signed.open(now)


def test_a_service_says_what_is_unsigned_and_goes_on(
    shop: Store,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Before there is a key, it serves and says so; afterwards what served goes on."""
    monkeypatch.chdir(tmp_path)
    with TestClient(create_app(settings(shop))) as service:
        text = "the model isn't signed, as this project has no key"
        assert text in until(service, "ready")
        service.portal.call(anyio.sleep, 0.2)  # type: ignore[union-attr]
        assert caplog.text.count(text) == 1, "it is logged once"
        shop.keys.make()
        until(service, "version 2 isn't signed by this project's key: it has no signature")
        assert service.get("/model").json()["version"] == "2"
        shop.sign_all({"1": b"", "2": b""})
        until(service, '"detail":""')
        shop.roll_back()
        while service.get("/model").json()["version"] == "2":
            service.portal.call(anyio.sleep, 0.02)  # type: ignore[union-attr]
        missing(shop)
        shop.promote("2")
        until(service, "version 2 isn't signed by this project's key: it has no signature")
        assert service.get("/model").json()["version"] == "1"


def test_a_service_without_the_public_key_says_that_signatures_are_not_checked(
    signed: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service that was deployed without the key goes on, and its store shows that a key exists."""
    monkeypatch.chdir(tmp_path / "store")
    text = "signatures are not checked: signing/public.pem is missing here. Commit it and deploy it"
    kept = {version: (signed.folder(version) / SIGNATURE).read_bytes() for version in "12"}
    for version in "12":
        (signed.folder(version) / SIGNATURE).unlink()
    with TestClient(create_app(settings(signed))) as service:
        until(service, "this project has no key: run `")
        for version, signature in kept.items():
            (signed.folder(version) / SIGNATURE).write_bytes(signature)
        until(service, text)
    with TestClient(create_app(settings(signed))) as service:
        until(service, text)


def test_a_link_to_a_public_key_that_is_gone_turns_no_check_off(signed: Store) -> None:
    signed.keys.public.unlink()
    signed.keys.public.symlink_to("gone.pem")
    with pytest.raises(BrokenModelError, match=r"the public key .* cannot be read"):
        signed.open(champion(signed))
    assert signed.sign_first() == [], "it replaces no key"
    folder = signed.keys.public.parent
    shutil.rmtree(folder)
    folder.symlink_to(folder)
    with pytest.raises(BrokenModelError, match=r"the public key .* cannot be read"):
        signed.open(champion(signed))


def test_a_public_key_that_the_settings_name_must_be_there(shop: Store) -> None:
    """A mount that is missing must not turn the check off."""
    gone = settings(shop, shop.keys._replace(public=shop.root / "gone.pem"))
    assert Keys.of(gone).required
    assert not Keys.of(settings(shop)).required
    with pytest.raises(BrokenModelError, match=r"public key .*gone\.pem cannot be read"):
        Store(shop.root, Keys.of(gone)).open(champion(shop))
    shop.keys.public.parent.mkdir()
    shop.keys.public.write_text("no key")
    with pytest.raises(BrokenModelError, match="holds no public key of Ed25519"):
        shop.open(champion(shop))


def test_the_first_promotion_makes_the_key_and_signs_what_has_served(
    shop: Store, trained: train.Result, caplog: pytest.LogCaptureFixture
) -> None:
    mine = settings(shop, shop.keys)
    for version, number in (("1", "8"), ("2", "9")):
        shop.folder(version).rename(shop.folder(number))
        path = shop.folder(number) / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"run": number}))
    shop.folder("7").mkdir()
    shop.point("9", ("7", "8"))
    client = registry.connect(mine)
    registry.note_gate(client, trained.version, ["too weak"], "9")
    with pytest.raises(UserError, match="did not pass the gate"):
        registry.promote(mine, trained.version)
    assert not shop.keys.public.exists(), "a promotion that is refused makes none"
    registry.note_gate(client, trained.version, [], "9")
    registry.promote(mine, trained.version)
    assert "version 9 of the store is signed now" in caplog.text
    assert "Created a key pair for signing models" in caplog.text
    assert "version 7 isn't signed: it can't be opened here" in caplog.text
    assert not (shop.folder("7") / SIGNATURE).exists(), "it doesn't open"
    shop.open(champion(shop))
    assert [registry.roll_back(mine), registry.roll_back(mine)] == ["9", "8"]
    shop.open(champion(shop))


def test_promoting_without_the_private_key_changes_nothing(
    signed: Store, trained: train.Result, tmp_path: Path
) -> None:
    mine = settings(signed, signed.keys)
    registry.note_gate(registry.connect(mine), trained.version, [], "2")
    kept = signed.keys.private.rename(tmp_path / "elsewhere.pem")
    before = {path: path.read_bytes() for path in signed.root.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"private\.pem, which signs .* set SIGNING_PRIVATE_KEY to its path"):
        registry.promote(mine, trained.version)
    other = Keys(tmp_path / "other" / "public.pem", signed.keys.private)
    other.make()
    with pytest.raises(UserError, match="doesn't belong to the public key"):
        registry.promote(mine, trained.version)
    rsa = generate_private_key(65537, 2048)
    text = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content, why in ((b"?", "holds no private key"), (text, "isn't one of Ed25519")):
        signed.keys.private.write_bytes(content)
        with pytest.raises(UserError, match=why):
            registry.promote(mine, trained.version)
    assert {path: path.read_bytes() for path in signed.root.rglob("*") if path.is_file()} == before
    kept.replace(signed.keys.private)
    registry.promote(mine, trained.version)


def test_two_promoters_at_once_make_one_key(keys: Keys, tmp_path: Path) -> None:
    keys = keys._replace(private=tmp_path / "folders" / "to be made" / "private.pem")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: keys.make(), range(8)))
    assert sorted(map(bool, made)) == [False] * 7 + [True]
    keys.signer()
    assert keys.private.stat().st_mode & 0o777 == 0o600
    assert keys.public.stat().st_mode & 0o444 == 0o444, "a service that runs as somebody else can read it"


def test_a_public_key_that_was_lost_is_made_of_the_private_one(signed: Store) -> None:
    signed.keys.public.unlink()
    private = signed.keys.private.read_bytes()
    assert signed.sign_first()[0] == f"Recreated {signed.keys.public} from {signed.keys.private}."
    assert signed.keys.private.read_bytes() == private
    signed.open(champion(signed))


def test_a_first_signing_that_was_interrupted_is_repeated(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(keys: Keys, version: str, folder: Path, manifest: bytes) -> None:
        if version == "2":
            raise OSError(28, "No space left on device")
        real(keys, version, folder, manifest)

    real = Keys.sign
    monkeypatch.setattr(Keys, "sign", full)
    with pytest.raises(OSError, match="No space left"):
        shop.sign_first()
    assert not shop.keys.published(), "services would refuse the champion"
    monkeypatch.undo()
    assert shop.sign_first()[1:] == ["version 2 of the store is signed now, as it was found there"]
    assert shop.unsigned() == {}


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_version_that_cannot_be_signed_is_named_and_keeps_no_other_from_it(
    shop: Store, version: str
) -> None:
    """A hidden file, as a network drive makes it, is no part of a model."""
    (shop.folder(version) / "more.skops").write_bytes(b"")
    (shop.folder("2" if version == "1" else "1") / ".nfs0001").write_bytes(b"")
    notes = shop.sign_first()
    assert any(f"version {version} isn't signed" in note and "name more.skops" in note for note in notes)
    assert list(shop.unsigned()) == [version]


@pytest.mark.parametrize("private", [True, False])
def test_no_second_key_replaces_the_first_one(
    signed: Store, trained: train.Result, private: bool, tmp_path: Path
) -> None:
    """As in a clone from before the public key was committed."""
    clone = Keys(tmp_path / "clone" / "public.pem", tmp_path / "clone" / "private.pem")
    if private:
        Keys(tmp_path / "x.pem", clone.private).make()
    mine = settings(signed, clone)
    registry.note_gate(registry.connect(mine), trained.version, [], "2")
    with pytest.raises(UserError, match=r"holds signed models, and .*public\.pem is missing here: fetch it"):
        registry.promote(mine, trained.version)
    assert not clone.published()
    signed.open(champion(signed))


def test_a_mistyped_public_key_is_not_made(signed: Store, tmp_path: Path) -> None:
    mistyped = signed.keys._replace(public=tmp_path / "nope.pem", required=True)
    with pytest.raises(UserError, match=r"names .*nope\.pem, which does not exist. Correct it, or remove"):
        Store(signed.root, mistyped).ready()
    fresh = Keys(tmp_path / "own" / "public.pem", tmp_path / "own" / "private.pem", required=True)
    Store(tmp_path / "new", fresh).sign_first()
    fresh.signer()


@pytest.fixture
def replacing(signed: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """The store while its key is replaced: both are trusted, and the new private key is in place."""
    other = Keys(tmp_path / "new" / "public.pem", tmp_path / "new" / "private.pem")
    other.make()
    with signed.keys.public.open("ab") as file:
        file.write(other.public.read_bytes())
    shutil.copyfile(other.private, signed.keys.private)
    monkeypatch.setenv("STORE", str(signed.root))
    monkeypatch.setenv("SIGNING_PUBLIC_KEY", str(signed.keys.public))
    monkeypatch.setenv("SIGNING_PRIVATE_KEY", str(signed.keys.private))
    return signed


def sign(*words: str) -> Result:
    return CliRunner().invoke(commands, ["sign", *words])


def test_a_key_is_replaced_as_the_guide_says(replacing: Store, tmp_path: Path) -> None:
    with TestClient(create_app(settings(replacing, replacing.keys))) as service:
        until(service, '"detail":""')
        assert list(replacing.unsigned()) == ["1", "2"], "the old key is about to go"
        done = sign()
        assert (done.exit_code, "Signed version 1, 2 with" in done.output) == (0, True)
        assert "signed already" in sign().output
        until(service, '"detail":""')
    shutil.copyfile(tmp_path / "new" / "public.pem", replacing.keys.public)
    with TestClient(create_app(settings(replacing, replacing.keys))) as service:
        until(service, '"detail":""')
        assert service.get("/model").json()["version"] == "2"
        replacing.roll_back()
        while service.get("/model").json()["version"] == "2":
            service.portal.call(anyio.sleep, 0.02)  # type: ignore[union-attr]
        until(service, '"detail":""')


@pytest.mark.parametrize("forge", FORGED)
def test_what_no_trusted_key_signed_is_not_signed_without_asking(
    replacing: Store, forge: Callable[[Store], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where it was so from the start, nor where somebody changes it in the last moment."""

    @contextmanager
    def late(path: Path) -> Iterator[None]:
        forge(replacing)
        yield

    with monkeypatch.context() as patch:
        patch.setattr(files, "held", late)
        assert "version 2 changed meanwhile" in str(sign().exception)
    assert replacing.vouched("2") == b""
    replacing.sign("1", replacing.folder("1"))
    asked = sign()
    assert (asked.exit_code, "Version 2 isn't signed by" in asked.output) == (1, True)
    assert "Version 1" not in asked.output
    assert replacing.vouched("2") == b""
    assert sign("--yes").exit_code == 0
    replacing.open(champion(replacing))


def test_a_version_that_is_promoted_again_gets_the_signature_of_the_new_key(
    signed: Store, published: Path, tmp_path: Path
) -> None:
    other = Keys(tmp_path / "new" / "public.pem", tmp_path / "new" / "private.pem")
    other.make()
    signed.keys.public.write_bytes(signed.keys.public.read_bytes() + other.public.read_bytes())
    Store(signed.root, signed.keys._replace(private=other.private)).publish("2", published)
    Store(signed.root, other).open(champion(signed))


@pytest.mark.parametrize(
    ("version", "moment"),
    [("2", "open_model"), ("2", "sha256"), ("3", "shutil.copytree"), ("3", "open_model")],
)
def test_nothing_is_signed_that_somebody_swaps_in_the_store(
    signed: Store, published: Path, monkeypatch: pytest.MonkeyPatch, version: str, moment: str
) -> None:
    """Version 2 is in the store already; version 3 is copied there."""
    step = attrgetter(moment)(store)

    def swap(*args: Any, **more: Any) -> Any:
        done = step(*args, **more)
        for path in signed.root.glob(f"versions/*{version}*/manifest.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"run": "another"}))
        return done

    monkeypatch.setattr(f"{store.__name__}.{moment}", swap)
    with suppress(UserError):
        signed.publish(version, published)
    with pytest.raises(BrokenModelError, match=r"isn't signed by this project's key|cannot be read"):
        signed.verify(version)
    if moment == "shutil.copytree":
        assert not signed.folder("3").exists(), "it isn't what came from the registry"


def test_a_file_that_the_manifest_does_not_name_is_not_signed(signed: Store) -> None:
    (signed.folder("2") / "more.skops").write_bytes(b"")
    with pytest.raises(BrokenModelError, match=r"its manifest doesn't name more\.skops"):
        signed.sign("2", signed.folder("2"))
