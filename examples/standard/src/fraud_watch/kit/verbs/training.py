"""Train a model, and judge it."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..settings import PARAMS, Params, Settings
from ..terminal import console, step

if TYPE_CHECKING:
    from ..evaluate import Check

commands = typer.Typer()
Version = Annotated[str | None, typer.Argument(help="Without one, the newest that passed the gate.")]
SKIP = "Judge without the champion, where today's table lacks columns that it needs."
Skip = Annotated[bool, typer.Option("--skip-champion", help=SKIP)]


@commands.command()
def train(skip_champion: Skip = False) -> None:
    """Train, evaluate, register, and hold the model against the gate. The model card says what came of it."""
    from .. import train

    result = train.train(Params.load(PARAMS), Settings(), step, skip_champion)
    figures = ", ".join(f"{name} {value:.3g}" for name, value in result.metrics.items())
    console.print(f"Version [bold]{result.version}[/]: {figures}")
    console.print(f"{escape(str(result.choice))}\nModel card: {result.card}", highlight=False)
    for note in result.notes:
        console.print(f"[yellow]![/] {escape(note)}", highlight=False)
    show_verdict(result.version, result.checks)


@commands.command()
def gate(version: Version = None, skip_champion: Skip = False) -> None:
    """Judge a registered version again, against today's limits, data and champion."""
    from .. import train

    judged, checks = train.rejudge(Params.load(PARAMS), Settings(), version, step, skip_champion)
    if not show_verdict(judged, checks):
        raise typer.Exit(1)


def show_verdict(version: str, checks: "list[Check]") -> bool:
    """Show the gate's checks; return whether all passed."""
    listing = Table("check", "passed", title=f"The gate on version {version}", title_justify="left")
    for check in checks:
        listing.add_row(escape(str(check)), "[green]yes[/]" if check.passed else "[red]no[/]")
    console.print(listing)
    passed = all(check.passed for check in checks)
    if not passed:
        console.print("It stays registered and cannot be promoted. Limits: params.yaml, gate.")
    return passed
