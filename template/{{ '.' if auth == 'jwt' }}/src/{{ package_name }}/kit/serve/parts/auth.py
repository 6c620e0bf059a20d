"""Admission by token. A checked token is remembered by its hash, and checked again after some minutes."""

import hashlib
import logging
import time
from collections import OrderedDict
from contextlib import suppress
from typing import Any, NamedTuple

import jwt
from jwt import InvalidTokenError

from ...access import Access, headers, may_label_all, prepare, wrong
from ...settings import PROJECT
from .. import Refusal, documented
from ..issuer import Issuer
from ..part import ASSETS, OPEN, PROBES, Call, Part, Stage
from ..repeated import Repeated

log = logging.getLogger(__name__)
ROLES = frozenset({"predict", "admin"})
ADMIN = frozenset({"/model"})
"""Paths for admins alone. All others are for both roles."""
CLAIMS = ["aud", "exp", "iss", "sub"]
MOST = 10_000
"""Checked tokens that are remembered: of more, the last."""
AGAIN = 300.0
"""Seconds after which a token is checked again, should a key have been withdrawn."""
FRESH = 60.0
"""Seconds after which the issuer's keys are fetched again."""


class Known(NamedTuple):
    until: float
    name: str
    roles: frozenset[str]
    labels_all: bool


def unknown(why: str, error: str = "") -> Refusal:
    ask = f'Bearer realm="{PROJECT}"' + (f', error="{error}"' if error else "")
    return Refusal(401, "Not authenticated", why, {"WWW-Authenticate": ask})


class Auth(Part):
    stage = Stage.IDENTIFY
    own_headers = staticmethod(headers)

    def __init__(self, access: Access | None = None) -> None:
        self.access = access or Access()
        self.known: OrderedDict[bytes, Known] = OrderedDict()
        url = self.access.jwt_keys_url
        self.issuer = Issuer(url) if url else None
        if self.issuer:
            self.repeated = [Repeated("Fetching the issuer's keys", FRESH, self.issuer.fetch)]
        self.why = wrong(self.access)

    async def start(self) -> None:
        with suppress(OSError):
            self.access = prepare(self.access)
        self.why = wrong(self.access)
        if self.why:
            log.error(self.why)
        elif self.issuer:
            await self.issuer.fetch()

    async def admit(self, call: Call) -> None:
        if call.path in OPEN:
            return
        given = call.headers.get(b"authorization")
        if given is None:
            if call.path.startswith(ASSETS):
                return
            raise unknown("Send a token as Authorization: Bearer")
        digest = hashlib.sha256(given).digest()
        known = self.known.get(digest)
        if known is None or known.until < time.time():
            known = self.known[digest] = await self.checked(given)
            if len(self.known) > MOST:
                self.known.popitem(last=False)
        call.caller, call.labels_all = known.name, known.labels_all
        if not known.roles & ROLES or (call.path in ADMIN and "admin" not in known.roles):
            raise Refusal(403, "Not allowed", "The token has not the role for this")

    async def checked(self, given: bytes) -> Known:
        kind, _, token = given.partition(b" ")
        if kind.lower() != b"bearer":
            raise unknown("Send a token as Authorization: Bearer")
        access = self.access
        try:
            key: Any = access.jwt_secret
            if self.issuer:
                key = await self.issuer.key(jwt.get_unverified_header(token).get("kid"))
            if self.why or (self.issuer and not self.issuer.keys):
                raise Refusal(503, "No tokens", "The service cannot check tokens: /readyz says why")
            if key is None:
                raise InvalidTokenError("its key is unknown")
            claims = jwt.decode(
                token,
                key,
                # Never what the token itself asks for.
                algorithms=[key.algorithm_name] if self.issuer else ["HS256"],
                audience=access.jwt_audience,
                issuer=access.jwt_issuer,
                leeway=access.jwt_leeway_seconds,
                options={"require": CLAIMS},
            )
            # A log can hold neither a NUL nor a lone surrogate, which ``encode`` refuses. Removing them would
            # make one caller of two.
            if b"\0" in claims["sub"].encode():
                raise InvalidTokenError("its sub has a NUL")
            until = min(float(claims["exp"]) + access.jwt_leeway_seconds, time.time() + AGAIN)
        except Refusal:
            raise
        except Exception as error:  # what a token holds is its maker's: anything may come out of it
            known = isinstance(error, InvalidTokenError)
            why = f"The token is not accepted: {error if known else 'its claims are malformed'}"
            raise unknown(why, "invalid_token") from None
        given_roles = claims.get("roles")
        roles = frozenset(map(str, given_roles if isinstance(given_roles, list) else ()))
        return Known(until, claims["sub"], roles, may_label_all(access, claims, roles))

    def trouble(self) -> str:
        return self.why or (self.issuer.trouble if self.issuer else "")

    def document(self, openapi: dict[str, Any]) -> None:
        scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        openapi.setdefault("components", {})["securitySchemes"] = {"token": scheme}
        for path, operations in openapi["paths"].items():
            for operation in operations.values() if path not in OPEN | PROBES else ():
                operation["security"] = [{"token": []}]
                operation["responses"] |= {str(s): answer for s, answer in documented(401, 403, 503).items()}


PART = Auth
