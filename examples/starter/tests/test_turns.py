"""Turns: a caller who is alone may take all of them, and shares them while another one waits."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fraud_watch.kit.serve import Refusal, turns
from fraud_watch.kit.serve.turns import Turns


def run(test: Callable[[Turns], Awaitable[None]], most: int = 4) -> None:
    """Let a test take turns; at its end all are given back."""

    async def whole() -> None:
        those = Turns(most)
        await test(those)
        assert (those.taken, those.held, list(those.waiting)) == (0, {}, [])

    asyncio.run(whole())


async def refused(those: Turns, who: str) -> bool:
    try:
        await those.take(who)
    except Refusal as why:
        return why.problem.status == 503 and why.headers["Retry-After"] == "1"
    return False


def test_a_caller_who_is_alone_takes_all_and_one_more_is_refused_at_once() -> None:
    async def test(those: Turns) -> None:
        assert not any([await refused(those, "gateway") for _ in range(4)])
        async with asyncio.timeout(1):
            assert await refused(those, "gateway")
        for _ in range(4):
            those.leave("gateway")

    run(test)


def test_another_one_waits_for_the_next_turn_and_whoever_has_a_share_is_refused() -> None:
    async def test(those: Turns) -> None:
        for _ in range(4):
            await those.take("crowd")
        other = asyncio.create_task(those.take("other"))
        await asyncio.sleep(0)
        assert await refused(those, "crowd")
        those.leave("crowd")
        await other
        assert those.held == {"crowd": 3, "other": 1}
        assert await refused(those, "crowd"), "it has more than half of them"
        second = asyncio.create_task(those.take("other"))
        await asyncio.sleep(0)
        those.leave("crowd")
        await second
        assert await refused(those, "other"), "now it has its half"
        for who in ("crowd", "crowd", "other", "other"):
            those.leave(who)

    run(test)


def test_with_more_callers_than_turns_each_may_wait_for_one() -> None:
    async def test(those: Turns) -> None:
        for who in "abcd":
            await those.take(who)
        later = [asyncio.create_task(those.take(who)) for who in "efgh"]
        await asyncio.sleep(0)
        assert await refused(those, "i"), "as many wait as there are turns"
        for who in "abcdefgh":
            those.leave(who)
            await asyncio.sleep(0)
        await asyncio.gather(*later)

    run(test)


def test_who_waits_longest_is_next() -> None:
    async def test(those: Turns) -> None:
        for who in "ab":
            await those.take(who)
        first, second = asyncio.create_task(those.take("c")), asyncio.create_task(those.take("d"))
        await asyncio.sleep(0)
        those.leave("a")
        await first
        assert not second.done()
        those.leave("b")
        await second
        for who in "cd":
            those.leave(who)

    run(test, most=2)


def test_who_waits_counts_with_what_its_caller_holds() -> None:
    async def test(those: Turns) -> None:
        for who in "abbb":
            await those.take(who)
        second = asyncio.create_task(those.take("a"))
        await asyncio.sleep(0)
        assert await refused(those, "a"), "it holds one and waits for one, of four for two callers"
        third = asyncio.create_task(those.take("c"))
        await asyncio.sleep(0)
        for who in "bb":
            those.leave(who)
        await asyncio.gather(second, third)
        for who in "aabc":
            those.leave(who)

    run(test)


def test_who_waits_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.01)

    async def test(those: Turns) -> None:
        await those.take("one")
        assert await refused(those, "two")
        those.leave("one")

    run(test, most=1)


@pytest.mark.parametrize("given", [False, True])
def test_a_request_that_is_ended_while_it_waits_takes_no_turn(given: bool) -> None:
    async def test(those: Turns) -> None:
        await those.take("one")
        waiting = asyncio.create_task(those.take("two"))
        await asyncio.sleep(0)
        if given:
            those.leave("one")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        if not given:
            those.leave("one")

    run(test, most=1)
