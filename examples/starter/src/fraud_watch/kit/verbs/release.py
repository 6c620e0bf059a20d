"""Decide which version serves."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .. import UserError
from ..settings import Settings
from ..terminal import console
from .training import Version

commands = typer.Typer()


@commands.command()
def promote(version: Version = None) -> None:
    """Let a version serve. It must have passed the gate against the champion of now."""
    from .. import registry

    show_champion(registry.promote(Settings(), version), "is the champion")


@commands.command()
def rollback() -> None:
    """Let the champion before this one serve again."""
    from .. import registry

    show_champion(registry.roll_back(Settings()), "is the champion again")


@commands.command()
def sign(yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False) -> None:
    """Sign the champion and earlier versions that the private key here has not signed.

    Use it once after upgrading, or after replacing the key. It asks about those that no trusted key signed.
    """
    from ..files import held
    from ..store import Store

    store = Store(Settings().store)
    store.ready()
    shown = [version for version, why in store.unsigned().items() if not (why or store.vouched(version))]
    for version in shown:
        what = f"isn't signed by a key that this project trusts: {store.folder(version)}"
        console.print(f"Version [bold]{version}[/] {escape(what)}", soft_wrap=True)
    if shown and not yes:
        typer.confirm("Sign what is in the store now?", abort=True)
    with held(store.pointer):
        store.ready()
        champion, found = store.champion(), store.unsigned()
        able = {version: store.vouched(version) for version, why in found.items() if not why}
        signed = {version: manifest for version, manifest in able.items() if manifest or version in shown}
        if made := store.sign_all(signed):
            console.print(escape(made), soft_wrap=True)
    if signed:
        done = f"Signed version {', '.join(signed)} with {store.keys.private}."
        console.print(f"[green]✓[/] {escape(done)}", soft_wrap=True)
    for why in filter(None, found.values()):
        console.print(f"[yellow]![/] {escape(why)}", soft_wrap=True)
    if champion and (reason := found.get(champion.version)):
        raise UserError(f"{reason}. Promote it again, or another version")
    if unseen := able.keys() - signed.keys():
        raise UserError(f"version {', '.join(sorted(unseen))} changed meanwhile: run this again")
    if not found:
        console.print("All versions that may serve are signed already.")


@commands.command()
def models() -> None:
    """List the registered versions: what they are worth, how the gate judged, which one serves."""
    from .. import registry

    listing = Table("version", "made", "score", "gate", "role")
    for row in registry.listing(Settings()):
        listing.add_row(*map(escape, row))
    console.print(listing)


def show_champion(version: str, what: str) -> None:
    """Show which version serves, and what a service must have installed for it."""
    from .. import engine
    from ..store import Store

    console.print(f"[green]✓[/] Version [bold]{version}[/] {what}")
    if needs := engine.needs(Store(Settings().store).folder(version)):
        console.print(f"[yellow]![/] To serve it, {escape(needs)}")
