"""The store: a folder from which models are served. Its pointer, ``champion.json``, changes atomically.

A model is a folder of plain files, written once, checked whenever it is opened: ``manifest.json`` names every
other file with its hash. No file is a pickle: what the engine is made of, ``engine.py`` writes and reads.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from . import UserError, engine, personal
from .columns import Columns, Part
from .files import replace
from .predictor import TOLERANCE, BrokenModelError, Choice, Files, Manifest, Model, PlainName, now
from .schema import Schema
from .settings import Settings
from .signing import SIGNATURE, Keys


def write(folder: Path, schema_file: Path, manifest: Manifest, choice: Choice, sample: Columns) -> None:
    """Write the model's files into ``folder``, the manifest last; ``sample`` becomes its parity check."""
    folder.mkdir()
    shutil.copyfile(schema_file, folder / "schema.yaml")
    types = engine.save(folder, choice)
    model = Model(Schema.load(schema_file), manifest, choice.engine)
    personal.seal(model.schema, folder)
    records = model.schema.records(sample)
    parity = {"records": records, "outputs": model.raw(model.validated(records)).tolist()}
    (folder / "parity.json").write_text(json.dumps(parity), encoding="utf-8")
    served = {"engine": choice.name, "why": choice.why, "needs": choice.needs, "types": types}
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    complete = manifest.model_copy(update=served | {"files": files})
    (folder / "manifest.json").write_text(complete.model_dump_json(indent=2), encoding="utf-8")


def open_model(folder: Path, expected: str | None = None) -> Model:
    """Open a model after checking every hash, and that it predicts here what it did in training.

    Each file is read once, so that what is loaded is what was hashed, even if somebody changes it meanwhile.
    """
    path, files = folder / "manifest.json", Files(folder)
    try:
        content = path.read_bytes()
        if expected and _hash(content) != expected:
            raise BrokenModelError(f"{path} is not the one that was promoted")
        manifest = Manifest.model_validate_json(content)
        for name, digest in manifest.files.items():
            files[name] = (folder / name).read_bytes()
            if _hash(files[name]) != digest:
                raise BrokenModelError(f"{folder / name} has changed since it was written")
        parity = json.loads(files["parity.json"])
    except OSError as error:
        raise BrokenModelError(f"{error.filename} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise BrokenModelError(f"{path} is no manifest: {error}") from None
    except ValueError as error:
        raise BrokenModelError(f"{folder / 'parity.json'} is no JSON: {error}") from None
    try:
        schema = Schema.load(folder / "schema.yaml", files["schema.yaml"])
        model = Model(schema, manifest, engine.load(files, manifest))
        personal.check(schema, files)
        off = np.abs(model.raw(model.validated(parity["records"])) - np.array(parity["outputs"]))
    except BrokenModelError:
        raise
    except UserError as error:
        raise BrokenModelError(f"{folder} cannot predict here: {error}") from None
    except Exception as error:  # features.py and model.py are the user's: anything may come out of them
        raise BrokenModelError(f"{folder} cannot predict here: {error!r}") from error
    if not (off <= TOLERANCE * (1 + np.abs(parity["outputs"]))).all():
        why = "features.py or a library has changed since; train and promote again"
        said = f"{folder} predicts differently here than in training (by up to {off.max():.3g})"
        raise BrokenModelError(f"{said}: {why}")
    return model


def sha256(path: Path) -> str:
    return _hash(path.read_bytes())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Champion(Part):
    """The version that serves, the hash of its manifest, and those that served before it, latest last."""

    version: PlainName
    manifest: str
    since: str
    before: tuple[PlainName, ...] = ()


class Store:
    """The folder of models, with the keys that sign and check them: by default those of the settings."""

    def __init__(self, root: Path, keys: Keys | None = None) -> None:
        self.root = root
        self.pointer = root / "champion.json"
        self.keys = keys or Keys.of(Settings())

    def folder(self, version: str) -> Path:
        return self.root / "versions" / version

    def champion(self) -> Champion | None:
        """Who serves; None before the first promotion."""
        try:
            return Champion.model_validate_json(self.pointer.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BrokenModelError(f"{self.pointer} cannot be read: {error.strerror}") from None
        except ValidationError:
            raise BrokenModelError(f"{self.pointer} is damaged: remove it, then gate and promote") from None

    def open(self, champion: Champion) -> Model:
        """Open a champion, if the project's key signed it. Where the project has no key, any model opens."""
        folder = self.folder(champion.version)
        if self.verify(champion.version) not in (None, champion.manifest):
            raise BrokenModelError(f"{folder / 'manifest.json'} is not the one that was promoted")
        return open_model(folder, champion.manifest)

    def verify(self, version: str) -> str | None:
        """Return the hash of a version's manifest after checking its signature; None without a key."""
        if not self.keys.exist():
            return None
        return _hash(self.keys.verify(version, self.folder(version)))

    def sign(self, version: str, folder: Path, manifest: bytes = b"") -> None:
        """Sign a model whose manifest names every file: this manifest, or else that of the folder."""
        manifest = manifest or (folder / "manifest.json").read_bytes()
        _all_named(folder, Manifest.model_validate_json(manifest))
        self.keys.sign(version, folder, manifest)

    def servable(self) -> dict[str, str | None]:
        """Return the champion, with its manifest's hash, and the versions before it; latest last."""
        champion = self.champion()
        return dict.fromkeys(champion.before) | {champion.version: champion.manifest} if champion else {}

    def ready(self) -> None:
        """Refuse to go on where nothing could be signed, or where a second key would replace the first."""
        self.keys.ready()
        folders = {version: self.folder(version) for version in self.servable()}
        signed = [version for version, folder in folders.items() if (folder / SIGNATURE).exists()]
        if not self.keys.published() and not all(self.keys.signed(v, folders[v]) for v in signed):
            what = f"the store {self.root} holds signed models, and {self.keys.public} is missing here"
            raise UserError(f"{what}: fetch it from the repository (git pull), or set another STORE")

    def unsigned(self) -> dict[str, str]:
        """Return the versions that may serve and have no signature of the private key here.

        With each comes why it can't get one, or "". A signature of another key counts only until that key is
        replaced, also while both are trusted.
        """
        found = {}
        for version, manifest in self.servable().items():
            folder = self.folder(version)
            if not self.keys.signed(version, folder):
                found[version] = ""
                try:
                    _all_named(folder, open_model(folder, manifest).manifest)
                except BrokenModelError as error:
                    found[version] = f"version {version} isn't signed: it can't be opened here ({error})"
        return found

    def vouched(self, version: str) -> bytes:
        """Return the manifest of a version that any of the project's keys signed; empty if none did."""
        try:
            return self.keys.verify(version, self.folder(version))
        except BrokenModelError:
            return b""

    def sign_all(self, versions: Mapping[str, bytes]) -> str:
        """Sign versions of the store: this manifest of each, or that of its folder where it is empty.

        Say which key was made for it, where there was none.
        """

        def sign() -> None:
            for version, manifest in versions.items():
                self.sign(version, self.folder(version), manifest)

        made = self.keys.make(sign)
        if not made:
            sign()
        return made

    def sign_first(self) -> list[str]:
        """Make the project's key where there is none, and sign what has served; gives what to report.

        What is in the store is taken as it is: there was nothing to check it by.
        """
        if self.keys.published():
            return []
        self.ready()
        found = self.unsigned()
        made = self.sign_all({version: b"" for version, why in found.items() if not why})
        done = "version {} of the store is signed now, as it was found there"
        return [made, *(why or done.format(version) for version, why in found.items())]

    def publish(self, version: str, source: Path) -> None:
        """Copy a model's files in, unless they are there whole; they appear at once, or not at all."""
        target = self.folder(version)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Signed is what comes from the source, and not what somebody puts into the store meanwhile.
        manifest = (source / "manifest.json").read_bytes()
        with suppress(BrokenModelError):
            open_model(target)
            if sha256(target / "manifest.json") == _hash(manifest):
                if self.keys.exist():
                    self.sign(version, target, manifest)
                return
            raise UserError(f"the store holds another version {version}, from another registry than this one")
        draft = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=target.parent))
        try:
            shutil.copytree(source, draft, dirs_exist_ok=True)
            # Readable by the service, which may run as somebody else.
            draft.chmod(0o755)
            open_model(draft, _hash(manifest))
            if self.keys.exist():
                self.sign(version, draft, manifest)
            for path in draft.iterdir():
                _sync(path)
            if target.exists():
                shutil.rmtree(target)
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def point(self, version: str, before: tuple[str, ...]) -> Champion:
        """Make ``version`` the champion, in one step that cannot be seen half done."""
        manifest = sha256(self.folder(version) / "manifest.json")
        champion = Champion(version=version, manifest=manifest, since=now(), before=before)
        replace(self.pointer, champion.model_dump_json(indent=2) + "\n")
        return champion

    def promote(self, version: str) -> Champion:
        last = self.champion()
        return self.point(version, (*last.before, last.version) if last else ())

    def roll_back(self) -> Champion:
        """The champion before this one serves again."""
        last = self.champion()
        if last is None or not last.before:
            raise UserError("there is no earlier champion to go back to")
        *before, version = last.before
        open_model(self.folder(version), self.verify(version))
        return self.point(version, tuple(before))


def _all_named(folder: Path, manifest: Manifest) -> None:
    """Refuse a model with a file that its manifest, which is what is signed, doesn't name."""
    known = {*manifest.files, "manifest.json", SIGNATURE}
    if more := sorted(p.name for p in folder.iterdir() if p.name not in known and not p.name.startswith(".")):
        raise BrokenModelError(f"{folder} isn't signed: its manifest doesn't name {', '.join(more)}")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
