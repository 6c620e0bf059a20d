"""The callers' keys, of which only hashes are kept, in a file that services follow.

A key is 256 random bits, too many to try, so its plain SHA-256 is safe to keep. The slow hashes are for
passwords, which people choose, and would cost each request far more than its prediction.

A file next to it lists the keys that may label predictions which other callers asked for. It is a file of
its own because earlier releases, which may run at the same time, refuse a key with an unknown field.
"""

import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints, ValidationError

from . import UserError
from .columns import Part
from .files import append_secret, held, replace
from .settings import PROJECT, Environment

HEADER = "X-API-Key"
DEVELOPMENT = "development"
ENV = Path(".env")

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Access(Environment):
    """The file of keys, and the key that this machine's own commands send."""

    environment: str = DEVELOPMENT
    keys: Path = Path("keys", "keys.json")
    api_key: str = ""


class Key(Part):
    name: Name
    sha256: Hash
    since: str
    development: bool = False

    @property
    def early(self) -> bool:
        """Made by v0.2 or before, when every key could label everything: they wrote UTC as +00:00."""
        return not self.since.endswith("Z")


class Keys(Part):
    """The file."""

    keys: tuple[Key, ...] = ()


class Labels(Part):
    """The file next to it: the keys that may label what other callers asked for, besides the early ones."""

    sha256: tuple[Hash, ...] = ()


def hashed(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


def load(path: Path) -> Keys:
    try:
        return Keys.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is not there: `{PROJECT} keys add NAME` makes it") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError:
        raise UserError(f"{path} is damaged: put a good one back, or remove it and make new keys") from None


def labels_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}.labels.json")


def may_label(path: Path) -> frozenset[str]:
    """Return the hashes in the file next to ``path``. Without the file, only early keys have the right."""
    file = labels_file(path)
    try:
        return frozenset(Labels.model_validate_json(file.read_bytes()).sha256)
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    except ValidationError:
        again = f"revoke and add again (`{PROJECT} keys add NAME --labels`) the keys that need it"
        raise UserError(f"{file} is damaged: put a good one back, or remove it and {again}") from None


def change(
    path: Path,
    changed: Callable[[tuple[Key, ...]], tuple[Key, ...]],
    new: Key | None = None,
    labels: bool = False,
) -> None:
    """Replace the keys in the file, one command at a time. ``labels``: the new key may label everything."""
    with held(path):
        before = path.read_bytes() if path.exists() else None
        keys = changed(load(path).keys if before is not None else ())
        # A release that knows no lock may have written it.
        if before is not None and path.read_bytes() != before:
            raise UserError(f"{path} was changed at the same time: nothing was written, so run this again")
        change_labels(path, keys, new, labels)
        replace(path, Keys(keys=keys).model_dump_json(indent=2) + "\n")


def change_labels(path: Path, keys: tuple[Key, ...], new: Key | None, labels: bool) -> None:
    """Write which keys may label everything: none that is gone, and ``new`` only if ``labels``."""
    try:
        before = may_label(path)
    except UserError:
        # A damaged file must not prevent the revocation of a key.
        if labels:
            raise
        return
    after = before & {key.sha256 for key in keys}
    if new:
        # v0.2 revokes a key without its right: the same key, added again, must not regain it.
        after = after | {new.sha256} if labels else after - {new.sha256}
    if after != before:
        replace(labels_file(path), Labels(sha256=tuple(sorted(after))).model_dump_json(indent=2) + "\n")


def add(path: Path, name: str, key: str = "", development: bool = False, labels: bool = False) -> str:
    """Keep the hash of a key; without one, of a new one."""
    key = key or secrets.token_urlsafe(32)
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    try:
        new = Key(name=name, sha256=hashed(key.encode()), since=since, development=development)
    except ValidationError:
        raise UserError(f"{name!r} is no name for a caller: letters, digits, and _ . @ -, up to 64") from None

    def added(known: tuple[Key, ...]) -> tuple[Key, ...]:
        if name in [other.name for other in known]:
            instead = f"add one of another name, then `{PROJECT} keys revoke {name}`"
            raise UserError(f"{name} has a key: {instead}")
        return (*known, new)

    change(path, added, new, labels)
    return key


def prepare(access: Access) -> Access:
    """Make a key for development if there is no file of keys; it works on no other machine."""
    if access.environment != DEVELOPMENT or access.keys.exists():
        return access
    return with_own_key(access)


def with_own_key(access: Access) -> Access:
    """Make a key for development, whose text goes into ``.env``."""
    key = add(access.keys, DEVELOPMENT, access.api_key, development=True)
    if not access.api_key:
        append_secret(ENV, f"# Made for development on this machine; refused elsewhere.\nAPI_KEY={key}\n")
    return access.model_copy(update={"api_key": key})


def headers() -> dict[str, str]:
    """Return the headers that this machine's own requests need."""
    access = prepare(Access())
    if not access.api_key and access.environment == DEVELOPMENT:
        # Other callers have their keys already, and this machine has none.
        with suppress(UserError, OSError):
            if DEVELOPMENT not in {key.name for key in load(access.keys).keys}:
                access = with_own_key(access)
    return {HEADER: access.api_key} if access.api_key else {}
