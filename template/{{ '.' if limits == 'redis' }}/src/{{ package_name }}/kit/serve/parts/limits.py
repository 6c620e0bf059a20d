"""One limit over all replicas: the buckets are in Redis, and each process borrows a few tokens at a time.

A request that asked Redis itself would take ten times as long as its prediction. So a process borrows what a
caller used in a tenth of a second, at least one, and what is unused after a second is void. All replicas
together never let in more than the bucket holds. While Redis does not answer, each process limits on its own.
"""

import asyncio
import logging
import time
from collections import OrderedDict

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ...settings import PROJECT, Environment
from .. import limits
from ..limits import METRICS, Limits, Rate, too_often
from ..part import Call
from ..repeated import Repeated

log = logging.getLogger(__name__)
PATIENCE = 0.05
"""Seconds that a request waits for Redis at most."""
AGAIN = 1.0
"""Seconds between attempts to reach a Redis that is gone."""
LASTS = 1.0
"""Seconds for which what Redis said holds, be it tokens or that there are none."""
AHEAD = 0.1
"""Seconds for which tokens are borrowed."""
CONNECTIONS = 16
BUCKET = """
local rate, burst, wanted, owed = unpack(ARGV)
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'left', 'at')
local left, at = tonumber(kept[1]) or tonumber(burst), tonumber(kept[2]) or now
left = math.min(burst, left + math.max(0, now - at) * rate - owed)
local given = math.max(0, math.min(wanted, math.floor(left)))
left = left - given
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], string.format('%d', math.ceil((burst - left) / rate * 1000) + 1000))
return {given, math.ceil(math.max(0, 1 - left) / rate * 1000)}
"""
"""In one step: fills a bucket by the clock of Redis, settles what is owed, and gives what is wanted, if there
is as much."""


class Place(Environment):
    redis_url: str = "redis://127.0.0.1:6379/0"


class Share:
    """What this process has borrowed for one caller; below zero is what the caller owes for a batch."""

    __slots__ = ("asking", "closed", "name", "since", "tokens", "until", "used", "usual", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.tokens = self.used = self.usual = self.waiting = 0
        self.since = self.until = self.closed = 0.0
        self.asking: asyncio.Task[None] | None = None


def connected(url: str) -> "Redis":
    """Connections that give up soon: whoever waits for them has a request to answer."""
    patience = {"timeout": PATIENCE, "socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    retry = Retry(NoBackoff(), 0)
    pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, retry=retry, **patience)
    return Redis.from_pool(pool)


class SharedLimits(Limits):
    def __init__(self, rate: Rate | None = None, redis: "Redis | None" = None) -> None:
        super().__init__(rate)
        self.redis = redis or connected(Place().redis_url)
        self.lend = self.redis.register_script(BUCKET)
        self.shares: OrderedDict[str, Share] = OrderedDict()
        self.why = ""

        self.repeated = [Repeated("Looking for Redis", AGAIN, self.watch)]

    async def start(self) -> None:
        await self.knock()

    async def stop(self) -> None:
        await self.redis.aclose()

    def trouble(self) -> str:
        return self.why

    async def knock(self) -> None:
        try:
            await self.redis.ping()
        except (RedisError, OSError) as error:
            self.lost(error)
        else:
            if self.why:
                log.info("Redis answers again")
            self.why = ""

    def lost(self, error: Exception) -> None:
        """From now on each process limits on its own. The error may hold a password, its kind does not."""
        if not self.why:
            log.error("Redis does not answer (%s): each process limits on its own", type(error).__name__)
        self.why = "Redis does not answer: each process limits on its own"

    async def watch(self) -> None:
        """Look for a Redis that is gone, so that no request has to."""
        if self.why:
            await self.redis.connection_pool.disconnect(inuse_connections=False)
            await self.knock()

    def share(self, call: Call) -> Share:
        name = call.caller or call.client
        share = self.shares.get(name)
        if share is None:
            if len(self.shares) >= limits.MOST:
                self.shares.popitem(last=False)
            share = self.shares[name] = Share(name)
        else:
            self.shares.move_to_end(name)
        return share

    async def admit(self, call: Call) -> None:
        if call.path == METRICS:
            return
        share, now = self.share(call), time.monotonic()
        while not self.why:
            if now < share.until:
                if share.tokens > 0:
                    share.tokens -= 1
                    share.used += 1
                    return
                if now < share.closed:
                    raise too_often(share.closed - now)
            await self.borrowed(share)
            now = time.monotonic()
        await super().admit(call)

    def charge(self, call: Call, tokens: int) -> None:
        if self.why:
            super().charge(call, tokens)
        else:
            self.share(call).tokens -= tokens

    async def borrowed(self, share: Share) -> None:
        """Wait until tokens are there, or Redis said that there are none; all who wait ask once."""
        share.waiting += 1
        try:
            if share.asking is None:
                share.asking = asyncio.create_task(self.borrow(share))
            await asyncio.shield(share.asking)
        finally:
            share.waiting -= 1

    async def borrow(self, share: Share) -> None:
        now = time.monotonic()
        if now - share.since > AHEAD:
            share.usual = int(share.used * AHEAD / (now - share.since))
            share.used, share.since = 0, now
        wanted = max(share.waiting, min(max(share.usual, share.used), int(self.burst / 4)))
        owed, share.tokens = -share.tokens, 0
        try:
            key = f"{PROJECT}:limit:{share.name}"
            given, wait = await self.lend(keys=[key], args=[self.rate, self.burst, wanted, owed])
        except (RedisError, OSError) as error:
            share.tokens -= owed
            self.lost(error)
        else:
            share.tokens += given
            share.until, share.closed = now + LASTS, 0.0 if given else now + wait / 1000
        finally:
            share.asking = None


PART = SharedLimits
