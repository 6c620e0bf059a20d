"""Export the prediction log."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ..schema import Schema
from ..settings import SCHEMA
from ..terminal import console, step

commands = typer.Typer()


@commands.command()
def export_log(
    output: Annotated[Path, typer.Argument(help="Where the rows go: a .parquet file.")],
    since: Annotated[datetime | None, typer.Option(help="Only from this time on, in UTC.")] = None,
    labelled: Annotated[bool, typer.Option(help="Only those whose label has come.")] = False,
) -> None:
    """Write the logged predictions, with the labels that have come, as a table to train on."""
    from ..export import export_log

    with step(f"Writing {output}"):
        rows = export_log(Schema.load(SCHEMA), output, since, labelled)
    console.print(f"{rows} predictions")
