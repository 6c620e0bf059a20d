"""Turns: how many requests are at work at once, and whose they are."""

import asyncio
from collections import deque

from . import Refusal

PATIENCE = 2.0
"""Seconds that a request waits for its turn while others hold more than their share."""


class Turns:
    """A caller who is alone may take all turns. While another one waits, each gets a share of them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held: dict[str, int] = {}
        self.taken = 0
        self.waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    async def take(self, who: str) -> None:
        """Take a turn, or refuse a caller who has a share of them already."""
        if self.taken < self.most and not self.waiting:
            self._give(who)
            return
        callers = {who, *self.held, *(other for other, _ in self.waiting)}
        mine = self.held.get(who, 0) + sum(other == who for other, _ in self.waiting)
        if len(self.waiting) >= self.most or mine * len(callers) >= self.most:
            raise busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((who, turn))
        try:
            # Not awaited itself: a time-out would cancel it, and a turn given at that moment would be lost.
            await asyncio.wait([turn], timeout=PATIENCE)
        except asyncio.CancelledError:
            if turn.done():
                self.leave(who)
            raise
        finally:
            if not turn.done():
                self.waiting.remove((who, turn))
        if not turn.done():
            raise busy()

    def leave(self, who: str) -> None:
        """Give a turn back; the first who waits has it."""
        self.taken -= 1
        left = self.held.pop(who) - 1
        if left:
            self.held[who] = left
        if self.waiting:
            first, turn = self.waiting.popleft()
            self._give(first)
            turn.set_result(None)

    def _give(self, who: str) -> None:
        self.taken += 1
        self.held[who] = self.held.get(who, 0) + 1


def busy() -> Refusal:
    return Refusal(503, "Busy", "Too many requests at once", {"Retry-After": "1"})
