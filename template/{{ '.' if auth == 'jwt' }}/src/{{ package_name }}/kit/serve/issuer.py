"""The keys of a tokens' issuer: fetched by a thread of their own, in seconds or not at all."""

import asyncio
import json
import logging
import time
import urllib.request

import jwt

from .repeated import aside

log = logging.getLogger(__name__)
DEADLINE = 3.0
"""Seconds for all of a fetch: what an issuer sends drop by drop is not waited for."""
AGAIN = 5.0
"""Seconds between two fetches, whatever came of the first: made-up tokens must not fetch for each of them."""
HUNG = 60.0
"""Seconds after which a fetch that has not ended is given up, and another one made."""
MOST_BYTES = 1_000_000
ALGORITHMS = {"RS256", "ES256"}
AWAY = "the keys at JWT_KEYS_URL cannot be had"


class Issuer:
    """An issuer and its public keys; if it does not answer, the previous keys stay valid."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: dict[str | None, jwt.PyJWK] = {}
        self.trouble = ""
        self.asked = float("-inf")
        self.running: asyncio.Task[None] | None = None

    async def key(self, name: str | None) -> jwt.PyJWK | None:
        """The key of that name; the issuer is asked for one that is not known yet."""
        if name not in self.keys:
            await self.fetch()
        return self.keys.get(name)

    async def fetch(self) -> None:
        """Fetch the keys, unless that was just done. All who wait share one fetch."""
        since = time.monotonic() - self.asked
        if self.running is None or self.running.done() or since > HUNG:
            if since < AGAIN:
                return
            self.asked, since = time.monotonic(), 0.0
            self.running = asyncio.create_task(aside(self.load))
        await asyncio.wait([self.running], timeout=max(0.0, DEADLINE - since))
        if not self.running.done():
            self.trouble = AWAY

    def load(self) -> None:
        """Take the keys as they are now; whatever goes wrong is the issuer's, and shown."""
        try:
            known = jwt.PyJWKSet.from_dict(json.loads(self._read())).keys
            keys = {key.key_id: key for key in known if key.algorithm_name in ALGORITHMS}
            if not keys:
                raise ValueError(f"there is no key for {' or '.join(sorted(ALGORITHMS))}")
            self.keys, self.trouble = keys, ""
        except Exception as error:
            if not self.trouble:
                log.error("%s: %s", AWAY, error)
            self.trouble = AWAY

    def _read(self) -> bytes:
        until, content = time.monotonic() + DEADLINE, b""
        with urllib.request.urlopen(self.url, timeout=DEADLINE) as response:
            while piece := response.read1(MOST_BYTES):
                content += piece
                if time.monotonic() > until or len(content) > MOST_BYTES:
                    raise TimeoutError(f"it sent more than {MOST_BYTES} bytes, or took over {DEADLINE:g} s")
        return content
