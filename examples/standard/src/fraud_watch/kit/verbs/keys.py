"""Add, list and revoke the keys of callers."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .. import UserError
from ..access import DEVELOPMENT, Access, Key, add, change, load, may_label
from ..settings import PROJECT
from ..terminal import console

commands = typer.Typer(name="keys", help="Who may call the service.", no_args_is_help=True)
Caller = Annotated[str, typer.Argument(help="Whose key it is: letters, digits, and _ . @ -")]
LABELS = "Let it label predictions that other callers asked for."


@commands.command("add")
def add_key(name: Caller, labels: Annotated[bool, typer.Option("--labels", help=LABELS)] = False) -> None:
    """Make a key for a caller. It is shown this once; running services take it within a second."""
    typer.echo(add(Access().keys, name, labels=labels))


@commands.command("list")
def list_keys() -> None:
    """List who has a key, since when, and whose predictions it may label."""
    path = Access().keys
    listing, labellers = Table("name", "since", "for", "labels"), may_label(path)
    for key in load(path).keys:
        where = DEVELOPMENT if key.development else "everywhere"
        labels = "all" if key.early or key.sha256 in labellers else "own"
        listing.add_row(escape(key.name), key.since, where, labels)
    console.print(listing)


@commands.command("revoke")
def revoke_key(name: Caller) -> None:
    """Refuse a caller's key from now on; running services do within a second."""

    def without(known: tuple[Key, ...]) -> tuple[Key, ...]:
        kept = tuple(key for key in known if key.name != name)
        if len(kept) == len(known):
            raise UserError(f"{name} has no key: `{PROJECT} keys list` shows who has")
        return kept

    change(Access().keys, without)
    typer.echo(f"{name} is refused from now on")
