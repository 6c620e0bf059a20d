"""The command line: `slipway new` and `slipway tags`."""

from typing import Annotated

import typer

from slipway import adoption, project, releases
from slipway.refusal import Refusal

app = typer.Typer(
    help="Start a project from the Slipway template.", add_completion=False
)

DEST = typer.Argument(help="Where the project goes: a folder that is new or empty.")
COPIER = typer.Argument(
    help="Handed to Copier, such as --defaults or --data NAME=VALUE."
)
FROM = typer.Option("--from", help="The template's address, which updates come from.")
REF = typer.Option("--ref", help="A tag, branch or commit; the newest tag if left out.")
TABLE = typer.Option(
    "--adopt", help="A table of your own for the project to start with."
)
TARGET = typer.Option("--target", help="The column of that table to predict.")


@app.command(context_settings={"ignore_unknown_options": True})
def new(
    dest: Annotated[str, DEST],
    copier_arguments: Annotated[list[str] | None, COPIER] = None,
    source: Annotated[str, FROM] = "",
    ref: Annotated[str, REF] = "",
    table: Annotated[str, TABLE] = "",
    target: Annotated[str, TARGET] = "",
) -> None:
    """Make a project: ask the questions, render the answers, adopt a table."""
    try:
        list(releases.restore(project.CHECKOUT))
        request = project.Request.checked(dest, source, ref, copier_arguments or [])
        own_table = adoption.Table.checked(table, target)
        made = project.make(request)
        for note in project.notes(request, made):
            typer.echo(f"\n{note}", err=True)
        if own_table and made:
            adoption.adopt(own_table, made)
    except Refusal as refusal:
        typer.echo(f"slipway: {refusal}", err=True)
        raise typer.Exit(1) from refusal


@app.command()
def tags() -> None:
    """Make the tags of all releases anew, from releases.txt."""
    try:
        made = list(releases.restore(project.CHECKOUT))
        if absent := releases.absent(project.CHECKOUT):
            raise Refusal(
                f"this clone does not hold the commits of {', '.join(absent)}: "
                "git fetch --unshallow"
            )
        typer.echo(f"Made: {', '.join(made)}" if made else "All tags are there.")
    except Refusal as refusal:
        typer.echo(f"slipway: {refusal}", err=True)
        raise typer.Exit(1) from refusal
