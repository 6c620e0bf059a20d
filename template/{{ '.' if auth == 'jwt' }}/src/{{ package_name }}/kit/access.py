"""Who may call: whoever has a token that is signed, for this service, and not out of date.

``sub`` says who calls, ``roles`` what for (predict, admin); ``iss``, ``aud`` and ``exp`` are checked. It is
signed with JWT_SECRET (HS256), or by an issuer whose public keys are at JWT_KEYS_URL (RS256, ES256).
"""

import secrets
import time
from pathlib import Path
from typing import Annotated, Literal

import jwt
import typer
from pydantic import Field

from . import UserError
from .settings import PROJECT, Environment

DEVELOPMENT = "development"
EXAMPLE = "an-example-of-32-bytes-or-more-that-is-refused-outside-development"
ENV = Path(".env")
DAY = 86400

Role = Literal["predict", "admin"]
Caller = Annotated[str, typer.Argument(help="Who will call with it.")]


class Access(Environment):
    """How tokens are checked, and signed for development."""

    environment: str = DEVELOPMENT
    jwt_secret: str = ""
    jwt_keys_url: str = ""
    jwt_issuer: str = PROJECT
    jwt_audience: str = PROJECT
    jwt_leeway_seconds: Annotated[float, Field(ge=0, le=300)] = 10.0


def wrong(access: Access) -> str:
    """Why no token can be trusted with these settings; empty if one can."""
    if access.jwt_keys_url:
        return ""
    if len(access.jwt_secret.encode()) < 32:
        return "JWT_SECRET is missing or shorter than 32 bytes: nobody is let in"
    if access.jwt_secret == EXAMPLE and access.environment != DEVELOPMENT:
        return "JWT_SECRET is the one of the example, which anybody knows: nobody is let in"
    return ""


def prepare(access: Access) -> Access:
    """Where nothing is set, make a secret for development on this machine."""
    if access.environment != DEVELOPMENT or access.jwt_secret or access.jwt_keys_url:
        return access
    if made := Access().jwt_secret:  # since this was read
        return access.model_copy(update={"jwt_secret": made})
    secret = secrets.token_urlsafe(32)
    before = ENV.read_text(encoding="utf-8") if ENV.exists() else ""
    ENV.touch(mode=0o600)
    ENV.chmod(0o600)
    line = f"# Made for development on this machine.\nJWT_SECRET={secret}\n"
    ENV.write_text(f"{before}\n{line}" if before else line, encoding="utf-8")
    return access.model_copy(update={"jwt_secret": secret})


def signed(access: Access, name: str, role: Role, days: float) -> str:
    expires = int(time.time() + days * DAY)
    about = {"iss": access.jwt_issuer, "aud": access.jwt_audience, "exp": expires}
    return jwt.encode({"sub": name, "roles": [role], **about}, access.jwt_secret, algorithm="HS256")


def headers() -> dict[str, str]:
    """What a request of this machine's own carries."""
    access = prepare(Access())
    if not access.jwt_secret or wrong(access):
        return {}
    return {"Authorization": f"Bearer {signed(access, DEVELOPMENT, 'predict', 1)}"}


def token(
    name: Caller,
    role: Annotated[Role, typer.Option(help="What the caller may do.")] = "predict",
    days: Annotated[float, typer.Option(min=0.001, max=365, help="How long it holds.")] = 1,
) -> None:
    """Print a token that JWT_SECRET signs, for a caller."""
    access = prepare(Access())
    if access.jwt_keys_url:
        raise UserError("the issuer at JWT_KEYS_URL makes the tokens: ask there")
    if why := wrong(access):
        raise UserError(why)
    typer.echo(signed(access, name, role, days))
