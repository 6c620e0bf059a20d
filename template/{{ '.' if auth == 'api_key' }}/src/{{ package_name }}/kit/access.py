"""Who may call: a key for each caller, of which only the hash is kept, in a file that services follow.

A key is 256 random bits. Nobody can try them all, so a plain SHA-256 of it gives nothing away; the slow
hashes are for passwords, which people choose, and would cost each request far more than its prediction.
"""

import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import StringConstraints, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import UserError
from .columns import Part
from .files import held, replace
from .settings import PROJECT, Environment

HEADER = "X-API-Key"
DEVELOPMENT = "development"
ENV = Path(".env")
verbs = typer.Typer(help="Who may call the service.", no_args_is_help=True)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
Caller = Annotated[str, typer.Argument(help="Whose key it is: letters, digits, and _ . @ -")]


class Access(Environment):
    """Where the keys are, and what this machine's own commands send."""

    environment: str = DEVELOPMENT
    keys: Path = Path("keys", "keys.json")
    api_key: str = ""


class Key(Part):
    name: Name
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    since: str
    development: bool = False


class Keys(Part):
    """The file."""

    keys: tuple[Key, ...] = ()


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


def change(path: Path, changed: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
    """Put other keys into the file. Two commands at once take turns, so that none undoes the other's work."""
    with held(path):
        before = path.read_bytes() if path.exists() else None
        keys = changed(load(path).keys if before is not None else ())
        # A release that knows no lock may have written it.
        if before is not None and path.read_bytes() != before:
            raise UserError(f"{path} was changed at the same time: nothing was written, so run this again")
        replace(path, Keys(keys=keys).model_dump_json(indent=2) + "\n")


def add(path: Path, name: str, key: str = "", development: bool = False) -> str:
    """Keep the hash of a key; without one, of a new one."""
    key = key or secrets.token_urlsafe(32)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        new = Key(name=name, sha256=hashed(key.encode()), since=since, development=development)
    except ValidationError:
        raise UserError(f"{name!r} is no name for a caller: letters, digits, and _ . @ -, up to 64") from None

    def added(known: tuple[Key, ...]) -> tuple[Key, ...]:
        if name in [other.name for other in known]:
            instead = f"add one of another name, then `{PROJECT} keys revoke {name}`"
            raise UserError(f"{name} has a key: {instead}")
        return (*known, new)

    change(path, added)
    return key


def prepare(access: Access) -> Access:
    """Where there are no keys at all, make one for development; it works on no other machine."""
    if access.environment != DEVELOPMENT or access.keys.exists():
        return access
    return with_own_key(access)


def with_own_key(access: Access) -> Access:
    """Make a key for development, whose text goes into ``.env``."""
    key = add(access.keys, DEVELOPMENT, access.api_key, development=True)
    if not access.api_key:
        before = ENV.read_text(encoding="utf-8") if ENV.exists() else ""
        ENV.touch(mode=0o600)
        ENV.chmod(0o600)
        line = f"# Made for development on this machine; refused elsewhere.\nAPI_KEY={key}\n"
        ENV.write_text(f"{before}\n{line}" if before else line, encoding="utf-8")
    return access.model_copy(update={"api_key": key})


def headers() -> dict[str, str]:
    """What a request of this machine's own carries."""
    access = prepare(Access())
    if not access.api_key and access.environment == DEVELOPMENT:
        # Other callers have their keys already, and this machine has none.
        with suppress(UserError, OSError):
            if DEVELOPMENT not in {key.name for key in load(access.keys).keys}:
                access = with_own_key(access)
    return {HEADER: access.api_key} if access.api_key else {}


@verbs.command("add")
def add_key(name: Caller) -> None:
    """Make a key for a caller. It is shown this once; running services take it within a second."""
    typer.echo(add(Access().keys, name))


@verbs.command("list")
def list_keys() -> None:
    """List who has a key, and since when."""
    listing = Table("name", "since", "for")
    for key in load(Access().keys).keys:
        listing.add_row(escape(key.name), key.since, DEVELOPMENT if key.development else "everywhere")
    Console().print(listing)


@verbs.command("revoke")
def revoke_key(name: Caller) -> None:
    """Refuse a caller's key from now on; running services do within a second."""

    def without(known: tuple[Key, ...]) -> tuple[Key, ...]:
        kept = tuple(key for key in known if key.name != name)
        if len(kept) == len(known):
            raise UserError(f"{name} has no key: `{PROJECT} keys list` shows who has")
        return kept

    change(Access().keys, without)
    typer.echo(f"{name} is refused from now on")
