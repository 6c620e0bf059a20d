"""How often a caller may ask: a bucket of tokens for each, which fills at a steady rate.

A request takes a token. A batch is charged for each of its records once they are answered, as only then
their number is known: a caller may so come into debt, and waits until it is paid.
"""

import math
import time
from collections import OrderedDict
from typing import Annotated, Any

from pydantic import Field

from ..settings import Environment
from . import Refusal, documented
from .part import PROBES, Batch, Call, Part, Stage

MOST = 10_000
"""Buckets that are kept: of more callers, those that asked last. One that is forgotten starts full."""
METRICS = "/metrics"
"""Not limited: who watches must see most when there is most to do."""
REFUSED_BYTES = 2_000
"""Bytes of a body that does not fit the schema that cost as much as a record."""


class Rate(Environment):
    """Records a second, and how many at once after a pause."""

    rate_per_second: Annotated[float, Field(gt=0)] = 500.0
    rate_burst: Annotated[float, Field(ge=1)] = 1000.0


class Bucket:
    __slots__ = ("at", "left")

    def __init__(self, left: float, at: float) -> None:
        self.left, self.at = left, at


def too_often(seconds: float) -> Refusal:
    wait = str(max(1, math.ceil(seconds)))
    return Refusal(429, "Too many requests", f"Ask again in {wait} s", {"Retry-After": wait})


class Limits(Part):
    """The buckets of this process: a caller's where one is known, else that of the address.

    All runs on the event loop, so nothing is locked.
    """

    stage = Stage.LIMIT

    def __init__(self, rate: Rate | None = None) -> None:
        self.limit = rate or Rate()
        self.rate, self.burst = self.limit.rate_per_second, self.limit.rate_burst
        self.buckets: OrderedDict[str, Bucket] = OrderedDict()

    def bucket(self, name: str, now: float) -> Bucket:
        """A caller's bucket, filled up to now."""
        bucket = self.buckets.get(name)
        if bucket is None:
            if len(self.buckets) >= MOST:
                self.buckets.popitem(last=False)
            bucket = self.buckets[name] = Bucket(self.burst, now)
            return bucket
        self.buckets.move_to_end(name)
        bucket.left = min(bucket.left + (now - bucket.at) * self.rate, self.burst)
        bucket.at = now
        return bucket

    async def admit(self, call: Call) -> None:
        if call.path == METRICS:
            return
        bucket = self.bucket(call.caller or call.client, time.monotonic())
        if bucket.left < 1:
            raise too_often((1 - bucket.left) / self.rate)
        bucket.left -= 1

    def observed(self, batch: Batch) -> None:
        if len(batch.answers) > 1:
            self.charge(batch.call, len(batch.answers) - 1)

    def ended(self, call: Call) -> None:
        """To refuse a large body takes as long as to answer it."""
        if call.status == 422:
            self.charge(call, call.size // REFUSED_BYTES)

    def charge(self, call: Call, tokens: int) -> None:
        self.bucket(call.caller or call.client, time.monotonic()).left -= tokens

    def document(self, openapi: dict[str, Any]) -> None:
        for path, operations in openapi["paths"].items():
            for operation in operations.values() if path not in PROBES else ():
                operation["responses"] |= {str(status): told for status, told in documented(429).items()}
