"""Get the table, and check it against schema.yaml."""

import subprocess
import sys
from pathlib import Path

import typer

from .. import UserError
from ..schema import Schema
from ..settings import PARAMS, SCHEMA, Params, Settings
from ..terminal import console, step

commands = typer.Typer()
DEMO = Path("data", "demo.py")


@commands.command()
def fetch() -> None:
    """Put the raw table where params.yaml says it is: the demo's is made; your own must lie there."""
    source = Path(Params.load(PARAMS).data.source)
    if str(source).lower().split()[:1] == ["select"]:
        console.print("params.yaml names a query: the database is asked when training")
    elif source.exists():
        console.print(f"{source} is there")
    elif DEMO.exists():
        source.parent.mkdir(parents=True, exist_ok=True)
        with step(f"Making the demo's table, {source}"):
            subprocess.run([sys.executable, str(DEMO), str(source)], check=True)
    else:
        raise UserError(f"{source} is not there: put your table there, or change data.source in params.yaml")


@commands.command()
def check() -> None:
    """Hold the data against schema.yaml; every cell that does not fit is named."""
    from .. import table

    params, schema = Params.load(PARAMS), Schema.load(SCHEMA)
    frame = table.load(schema, params.data.source, Settings().data_url)
    console.print(f"[green]✓[/] {len(frame)} rows fit schema.yaml; data hash {table.data_hash(frame)[:16]}")
