"""The callers' tokens: signed, for this service, and not expired.

``sub`` names the caller, ``roles`` what it may do (predict, admin); ``iss``, ``aud`` and ``exp`` are checked.
It is signed with JWT_SECRET (HS256), or by an issuer whose public keys are at JWT_KEYS_URL (RS256, ES256).

A token with the role LABEL_ROLE may label predictions that other callers asked for. If LABEL_ROLE is empty,
every token may, as in v0.2 and before, unless its claim ``labels`` is "own": ``token`` makes such tokens.
"""

import secrets
import time
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import jwt
from pydantic import Field

from .files import append_secret
from .settings import PROJECT, Environment

DEVELOPMENT = "development"
EXAMPLE = "an-example-of-32-bytes-or-more-that-is-refused-outside-development"
ENV = Path(".env")
DAY = 86400
LABEL_ROLE = "label"
"""The role that this machine's own commands write and ask for, unless LABEL_ROLE names another."""
OWN = "own"

Role = Literal["predict", "admin"]


class Access(Environment):
    """How tokens are checked, and signed for development."""

    environment: str = DEVELOPMENT
    jwt_secret: str = ""
    jwt_keys_url: str = ""
    jwt_issuer: str = PROJECT
    jwt_audience: str = PROJECT
    jwt_leeway_seconds: Annotated[float, Field(ge=0, le=300)] = 10.0
    label_role: str = ""


def wrong(access: Access) -> str:
    """Say why no token can be trusted with these settings; empty if one can."""
    if access.jwt_keys_url:
        return ""
    if len(access.jwt_secret.encode()) < 32:
        return "JWT_SECRET is missing or shorter than 32 bytes: all requests are refused"
    if access.jwt_secret == EXAMPLE and access.environment != DEVELOPMENT:
        return "JWT_SECRET is the one of the example, which is public: all requests are refused"
    return ""


def may_label_all(access: Access, claims: Mapping[str, Any], roles: Container[str]) -> bool:
    """Whether a token may label predictions that other callers asked for."""
    return access.label_role in roles if access.label_role else claims.get("labels") != OWN


def prepare(access: Access) -> Access:
    """Make a secret for development on this machine if nothing is set."""
    if access.environment != DEVELOPMENT or access.jwt_secret or access.jwt_keys_url:
        return access
    if not Access().jwt_secret:  # else it was made since this was read
        # No token is signed with a new secret yet, so none can lose a right.
        role = "" if access.label_role else f"LABEL_ROLE={LABEL_ROLE}\n"
        secret = f"JWT_SECRET={secrets.token_urlsafe(32)}\n"
        append_secret(ENV, f"# Made for development on this machine.\n{role}{secret}")
    made = Access()
    role = access.label_role or made.label_role
    return access.model_copy(update={"jwt_secret": made.jwt_secret, "label_role": role})


def signed(access: Access, name: str, role: Role, days: float, labels: bool = False) -> str:
    expires = int(time.time() + days * DAY)
    about = {"iss": access.jwt_issuer, "aud": access.jwt_audience, "exp": expires}
    roles = [role, access.label_role or LABEL_ROLE] if labels else [role]
    right = {} if labels else {"labels": OWN}
    claims = {"sub": name, "roles": roles, **right, **about}
    return jwt.encode(claims, access.jwt_secret, algorithm="HS256")


def headers() -> dict[str, str]:
    """Return the headers that this machine's own requests need."""
    access = prepare(Access())
    if not access.jwt_secret or wrong(access):
        return {}
    return {"Authorization": f"Bearer {signed(access, DEVELOPMENT, 'predict', 1)}"}
