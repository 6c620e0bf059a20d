"""The keys at the door: one look-up by hash for each request, in a file that is read again when it changes.

What is compared is the hash, which a caller cannot steer: how long it takes tells nothing of any key.
"""

import logging
from contextlib import suppress
from functools import partial
from typing import Any

from .. import UserError
from ..access import DEVELOPMENT, HEADER, Access, Key, hashed, load, prepare
from ..settings import PROJECT
from . import Refusal, documented
from .front import ASSETS, OPEN, PROBES, Call, Part
from .repeated import Repeated, aside

log = logging.getLogger(__name__)
RAW = HEADER.lower().encode()
ASK = {"WWW-Authenticate": f'ApiKey realm="{PROJECT}", header="{HEADER}"'}
EVERY = 0.5
"""Seconds between looks at the file: a key is taken, or refused, within a second."""


class Auth(Part):
    def __init__(self, access: Access | None = None) -> None:
        self.access = access or Access()
        self.keys: dict[str, Key] | None = None
        self.seen: object = None
        self.why = ""
        self.repeated = [Repeated("Following the keys", EVERY, partial(aside, self.refresh))]

    async def start(self) -> None:
        await aside(self.prepare)

    def prepare(self) -> None:
        with suppress(UserError, OSError):
            prepare(self.access)
        self.refresh()

    def refresh(self) -> None:
        """Take the file's keys if it has changed; while it is broken, those that were good stay."""
        try:
            about = self.access.keys.stat()
            seen = (about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino)
        except OSError:
            seen = None
        if seen is not None and seen == self.seen:
            return
        try:
            keys = load(self.access.keys).keys
            self.why = ""
        except UserError as error:
            if str(error) != self.why:
                log.error("%s; %s", error, "the keys of before hold" if self.keys else "nobody is let in")
            self.why = str(error)
        else:
            here = self.access.environment == DEVELOPMENT
            self.keys = {key.sha256: key for key in keys if here or not key.development}
            log.info("%d keys", len(self.keys))
        self.seen = seen

    async def admit(self, call: Call) -> None:
        if call.path in OPEN:
            return
        if self.keys is None:
            raise Refusal(503, "No keys", "The service has no keys to check: /readyz says why")
        given = call.headers.get(RAW)
        if given is None:
            if call.path.startswith(ASSETS):
                return
            raise Refusal(401, "No key", f"Send your key as {HEADER}", ASK)
        key = self.keys.get(hashed(given))
        if key is None:
            raise Refusal(401, "Wrong key", f"The key in {HEADER} is unknown here, or was revoked", ASK)
        call.caller = key.name

    def trouble(self) -> str:
        return self.why

    def document(self, openapi: dict[str, Any]) -> None:
        scheme = {"type": "apiKey", "in": "header", "name": HEADER}
        openapi.setdefault("components", {})["securitySchemes"] = {"key": scheme}
        for path, operations in openapi["paths"].items():
            for operation in operations.values() if path not in OPEN | PROBES else ():
                operation["security"] = [{"key": []}]
                operation["responses"] |= {str(s): told for s, told in documented(401, 503).items()}
