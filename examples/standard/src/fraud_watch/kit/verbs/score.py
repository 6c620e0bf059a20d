"""Score files."""

from pathlib import Path
from typing import Annotated

import typer

from .. import UserError
from ..settings import PROJECT, Settings
from ..terminal import console

commands = typer.Typer()


@commands.command()
def score(
    source: Annotated[Path, typer.Argument(help="Rows to score: a .parquet file.")],
    output: Annotated[Path, typer.Argument(help="Where the rows and their predictions go.")],
) -> None:
    """Score a file with the champion, in constant memory. A run that was stopped goes on where it was."""
    from .. import batch
    from ..store import Store

    store = Store(Settings().store)
    champion = store.champion()
    if champion is None:
        raise UserError(f"no model is promoted yet: run `{PROJECT} promote`")
    with console.status("Scoring …") as status:

        def tell(rows: int) -> None:
            status.update(f"Scoring … {rows} rows")

        done = batch.score_file(store.open(champion), champion.version, source, output, tell=tell)
    console.print(f"[green]✓[/] {done} rows scored by version {champion.version} into {output}")
