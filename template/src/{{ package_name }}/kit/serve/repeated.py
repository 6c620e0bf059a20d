"""Background work that is repeated until the service stops, also after errors."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

log = logging.getLogger(__name__)
STUCK = 10.0
"""Seconds after which unfinished work is reported as trouble."""
Result = TypeVar("Result")


class Repeated:
    """Work that runs every few seconds. An error is logged and reported, and the work is tried again."""

    def __init__(self, name: str, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        self.name, self.seconds, self.work = name, seconds, work
        self.failure = ""
        self.began = 0.0

    @property
    def trouble(self) -> str:
        if self.began and time.monotonic() > self.began + STUCK:
            return f"{self.name} has taken longer than {STUCK:g} s"
        return self.failure

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.seconds)
            await self.once()

    async def once(self) -> None:
        self.began = time.monotonic()
        try:
            await self.work()
        except Exception as error:
            # Only the type of the error: its text may hold a password, and /readyz is public.
            failure = f"{self.name} failed with {type(error).__name__}"
            if failure != self.failure:
                log.error("%s failed; it is tried again every %g s", self.name, self.seconds, exc_info=error)
            self.failure = failure
        else:
            if self.failure:
                log.info("%s works again", self.name)
            self.failure = ""
        finally:
            self.began = 0.0


async def aside(work: Callable[[], Result]) -> Result:
    """Run work that may hang in its own thread, which takes no pool worker and does not delay shutdown."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        if not done.done():  # else the waiting task was cancelled
            outcome()

    def run() -> None:
        try:
            outcome = partial(done.set_result, work())
        except BaseException as error:  # features.py is the user's: it may even end the interpreter
            plain = isinstance(error, Exception) and not isinstance(error, StopIteration)
            outcome = partial(done.set_exception, error if plain else RuntimeError(repr(error)))
        with suppress(RuntimeError):  # the service has ended
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, daemon=True).start()
    return await done
