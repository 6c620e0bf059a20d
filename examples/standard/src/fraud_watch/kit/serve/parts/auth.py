"""Admission by key: one look-up by hash for each request, in files that are read again when they change.

A caller cannot choose the hash that is compared, so the time that it takes reveals no key.
"""

import logging
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ... import UserError
from ...access import DEVELOPMENT, HEADER, Access, Key, hashed, headers, labels_file, load, may_label, prepare
from ...settings import PROJECT
from .. import Refusal, documented
from ..part import ASSETS, OPEN, PROBES, Call, Part, Stage
from ..repeated import Repeated, aside

log = logging.getLogger(__name__)
RAW = HEADER.lower().encode()
ASK = {"WWW-Authenticate": f'ApiKey realm="{PROJECT}", header="{HEADER}"'}
EVERY = 0.5
"""Seconds between looks at the files: a key is taken, or refused, within a second."""


def stamp(path: Path) -> tuple[int, ...] | None:
    """Return what differs once a file was changed or replaced; None if it cannot be had."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino


class Auth(Part):
    stage = Stage.IDENTIFY
    own_headers = staticmethod(headers)

    def __init__(self, access: Access | None = None) -> None:
        self.access = access or Access()
        self.keys: dict[str, Key] | None = None
        self.labellers: frozenset[str] = frozenset()
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
        """Read the files if they have changed; if one is broken, its previous content stays valid."""
        seen = stamp(self.access.keys), stamp(labels_file(self.access.keys))
        if seen == self.seen:
            return
        why = []
        try:
            keys = load(self.access.keys).keys
        except UserError as error:
            effect = "the previous keys stay valid" if self.keys else "all requests are refused"
            why.append(f"{error}; {effect}")
        else:
            here = self.access.environment == DEVELOPMENT
            self.keys = {key.sha256: key for key in keys if here or not key.development}
            log.info("number of valid keys: %d", len(self.keys))
        try:
            self.labellers = may_label(self.access.keys)
        except UserError as error:
            why.append(f"{error}; the previous labelling rights stay valid")
        for reason in why:
            if reason not in self.why:
                log.error(reason)
        self.why, self.seen = "; ".join(why), seen

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
        call.labels_all = key.early or key.sha256 in self.labellers

    def trouble(self) -> str:
        return self.why

    def document(self, openapi: dict[str, Any]) -> None:
        scheme = {"type": "apiKey", "in": "header", "name": HEADER}
        openapi.setdefault("components", {})["securitySchemes"] = {"key": scheme}
        for path, operations in openapi["paths"].items():
            for operation in operations.values() if path not in OPEN | PROBES else ():
                operation["security"] = [{"key": []}]
                operation["responses"] |= {str(s): answer for s, answer in documented(401, 503).items()}


PART = Auth
