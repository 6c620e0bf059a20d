"""Make tokens for callers."""

from typing import Annotated

import typer

from .. import UserError
from ..access import Access, Role, prepare, signed, wrong

commands = typer.Typer()
Caller = Annotated[str, typer.Argument(help="Who will call with it.")]


@commands.command()
def token(
    name: Caller,
    role: Annotated[Role, typer.Option(help="What the caller may do.")] = "predict",
    days: Annotated[float, typer.Option(min=0.001, max=365, help="How long it holds.")] = 1,
    labels: Annotated[
        bool, typer.Option("--labels", help="Let it label predictions that other callers asked for.")
    ] = False,
) -> None:
    """Print a token that JWT_SECRET signs, for a caller."""
    access = prepare(Access())
    if access.jwt_keys_url:
        raise UserError("the issuer at JWT_KEYS_URL makes the tokens: ask there")
    if why := wrong(access):
        raise UserError(why)
    typer.echo(signed(access, name, role, days, labels))
