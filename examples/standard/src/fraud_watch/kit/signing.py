"""Signatures of stored models: the machine that promotes signs, and what serves checks it by the public key.

The public key is committed, and goes where the service runs. The private key stays where promotion runs.
"""

import base64
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from . import UserError
from .files import append_secret, held, replace
from .predictor import BrokenModelError
from .settings import PROJECT, Settings

SIGNATURE = "manifest.sig"
MINE = "mine"
"""The folder of a key pair for one machine, next to that of the project."""
PURPOSE = b"slipway model 1"
BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
UNSIGNED = f"the model isn't signed, as this project has no key: run `{PROJECT} sign` where you promote"


def message(version: str, manifest: bytes) -> bytes:
    """Return what is signed. The manifest has the hash of every other file of the model."""
    return b"\0".join([PURPOSE, PROJECT.encode(), version.encode(), manifest])


class Keys(NamedTuple):
    """The files of the project's key pair. The public one may hold several keys, as while one is replaced."""

    public: Path
    private: Path
    required: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Keys":
        """The key pair of the settings. A public key that they name must be there."""
        named = "signing_public_key" in settings.model_fields_set
        return cls(settings.signing_public_key, settings.signing_private_key, named)

    def exist(self) -> bool:
        return self.required or self.published()

    def published(self) -> bool:
        """Whether the public key is here. What can't be looked at counts, also a link that leads nowhere."""
        try:
            self.public.lstat()
        except OSError as error:
            return not isinstance(error, FileNotFoundError | NotADirectoryError)
        return True

    def trusted(self) -> list[Ed25519PublicKey]:
        """Return the public keys by which a model may be signed."""
        try:
            blocks = BLOCK.findall(self.public.read_bytes())
            keys = [load_pem_public_key(block) for block in blocks]
        except OSError as error:
            raise BrokenModelError(f"the public key {self.public} cannot be read: {error.strerror}") from None
        except (ValueError, UnsupportedAlgorithm):
            keys = []
        found = [key for key in keys if isinstance(key, Ed25519PublicKey)]
        if not found or len(found) < len(keys):
            raise BrokenModelError(f"{self.public} holds no public key of Ed25519: restore it from git")
        return found

    def unchecked(self, folder: Path) -> str:
        """Say why the signature of a model isn't checked; empty where it is."""
        if self.exist():
            return ""
        if (folder / SIGNATURE).exists():
            return f"signatures are not checked: {self.public} is missing here. Commit it and deploy it"
        return UNSIGNED

    def verify(self, version: str, folder: Path, by: Sequence[Ed25519PublicKey] = ()) -> bytes:
        """Return the manifest of a version, after checking that one of the project's keys signed it."""
        keys = by or self.trusted()
        try:
            manifest = (folder / "manifest.json").read_bytes()
            signature = base64.b64decode((folder / SIGNATURE).read_bytes().strip(), validate=True)
        except FileNotFoundError as error:
            if error.filename != str(folder / SIGNATURE):
                raise BrokenModelError(f"{error.filename} cannot be read: {error.strerror}") from None
            why = "it has no signature"
        except OSError as error:
            raise BrokenModelError(f"{error.filename} cannot be read: {error.strerror}") from None
        except ValueError:
            why = f"{folder / SIGNATURE} is damaged"
        else:
            if any(_signed(key, signature, message(version, manifest)) for key in keys):
                return manifest
            how = "another key signed it, or the files were changed"
            why = f"its signature does not match {self.public}: {how}"
        mend = f"promote it again, or run `{PROJECT} sign` if you know where it comes from"
        raise BrokenModelError(f"version {version} isn't signed by this project's key: {why}; {mend}")

    def signer(self) -> Ed25519PrivateKey:
        """Return the private key, which must belong to the public one."""
        try:
            key = load_pem_private_key(self.private.read_bytes(), password=None)
        except OSError as error:
            raise UserError(self._missing(error.strerror or "")) from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise UserError(f"{self.private} holds no private key without a password") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise UserError(f"{self.private} holds a private key that isn't one of Ed25519")
        if self.published() and _text(key.public_key()) not in map(_text, self.trusted()):
            raise UserError(f"the private key {self.private} doesn't belong to the public key {self.public}")
        return key

    def _missing(self, why: str) -> str:
        return (
            f"the private key {self.private}, which signs what is promoted, cannot be read: {why}. "
            "Promote on the machine that has it, or set SIGNING_PRIVATE_KEY to its path. "
            f"To try promotions on this machine alone, set {' and '.join(self._mine())} in .env"
        )

    def _created(self) -> str:
        if self.public.parent.name == MINE:
            return f"Created a key pair for this machine only, in {self.public.parent}."
        return (
            f"Created a key pair for signing models. Commit {self.public}. Keep a copy of {self.private}: "
            "promoting needs it, and it can't be recreated."
        )

    def _mine(self) -> list[str]:
        """Return the settings of a key pair for this machine alone."""
        mine = self.public.with_name(MINE)
        names = {"SIGNING_PRIVATE_KEY": "private.pem", "SIGNING_PUBLIC_KEY": "public.pem"}
        return [f"{name}={mine / file}" for name, file in names.items()]

    def use_mine(self) -> bool:
        """Let a clone without the private key sign for itself; gives whether it has to from now on."""
        if self.required or self.private.exists() or not self.published():
            return False
        why = "# Models are signed for this machine alone: the project's private key is not here."
        append_secret(Path(".env"), "\n".join([why, *self._mine(), ""]))
        return True

    def ready(self) -> None:
        """Refuse to go on where nothing could be signed."""
        # Only a pair of one folder may be completed: elsewhere the path is more likely mistyped.
        lone = self.private.exists() and self.public.parent != self.private.parent
        if self.required and lone and not self.published():
            why = f"SIGNING_PUBLIC_KEY names {self.public}, which does not exist"
            raise UserError(f"{why}. Correct it, or remove the setting")
        if self.published() or self.private.exists():
            self.signer()

    def signed(self, version: str, folder: Path) -> bool:
        """Whether the private key that is here made the signature of a version."""
        try:
            return self.private.exists() and bool(self.verify(version, folder, [self.signer().public_key()]))
        except BrokenModelError:
            return False

    def make(self, sign: Callable[[], object] | None = None) -> str:
        """Make the key pair, or the public half alone, and say so; empty where the public key is here.

        ``sign`` is called before the public key appears, so that a call that was interrupted can be repeated.
        """
        with held(self.public):
            if self.published():
                return ""
            note = f"Recreated {self.public} from {self.private}."
            if not self.private.exists():
                self.private.parent.mkdir(parents=True, exist_ok=True)
                new = Ed25519PrivateKey.generate()
                text = new.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                draft = self.private.with_name(f".{self.private.name}.{os.getpid()}")
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    file.write(text)
                    os.fsync(file.fileno())
                draft.replace(self.private)
                note = self._created()
            if sign:
                sign()
            replace(self.public, _text(self.signer().public_key()).decode())
            return note

    def sign(self, version: str, folder: Path, manifest: bytes) -> None:
        """Write the signature of a version's manifest into its folder."""
        signature = self.signer().sign(message(version, manifest))
        replace(folder / SIGNATURE, base64.b64encode(signature).decode() + "\n")


def _signed(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _text(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
