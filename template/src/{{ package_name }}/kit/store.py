"""The store: a folder from which models are served. Its pointer, ``champion.json``, changes atomically."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from . import UserError
from .columns import Part
from .predictor import BrokenModelError, Model, now, open_model, sha256


class Champion(Part):
    """The version that serves, the hash of its manifest, and those that served before it, latest last."""

    version: str
    manifest: str
    since: str
    before: tuple[str, ...] = ()


class Store:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.pointer = root / "champion.json"

    def folder(self, version: str) -> Path:
        return self.root / "versions" / version

    def champion(self) -> Champion | None:
        """Who serves; None before the first promotion."""
        try:
            return Champion.model_validate_json(self.pointer.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BrokenModelError(f"{self.pointer} cannot be read: {error.strerror}") from None
        except ValidationError:
            raise BrokenModelError(f"{self.pointer} is damaged: remove it, then gate and promote") from None

    def open(self, champion: Champion) -> Model:
        return open_model(self.folder(champion.version), champion.manifest)

    def publish(self, version: str, source: Path) -> None:
        """Copy a model's files in, unless they are there whole; they appear at once, or not at all."""
        target = self.folder(version)
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(BrokenModelError):
            open_model(target)
            if sha256(target / "manifest.json") == sha256(source / "manifest.json"):
                return
            raise UserError(f"the store holds another version {version}, from another registry than this one")
        draft = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=target.parent))
        try:
            shutil.copytree(source, draft, dirs_exist_ok=True)
            # Readable by the service, which may run as somebody else.
            draft.chmod(0o755)
            for path in draft.iterdir():
                _sync(path)
            open_model(draft)
            if target.exists():
                shutil.rmtree(target)
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def point(self, version: str, before: tuple[str, ...]) -> Champion:
        """Make ``version`` the champion, in one step that cannot be seen half done."""
        manifest = sha256(self.folder(version) / "manifest.json")
        champion = Champion(version=version, manifest=manifest, since=now(), before=before)
        draft = self.pointer.with_suffix(f".{os.getpid()}")
        draft.write_text(champion.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _sync(draft)
        draft.replace(self.pointer)
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
        open_model(self.folder(version))
        return self.point(version, tuple(before))


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
