"""The loop of virtual time: jumps, order, steps of the clock, being stuck."""

from __future__ import annotations

import asyncio

import pytest

from pelamis.sim.loop import EPOCH, Stuck, current, now, run


def test_waiting_takes_no_time_and_timers_keep_their_order() -> None:
    async def main() -> list[str]:
        loop, out = current(), []
        for name in "abc":
            loop.call_at(10.0, out.append, name)
        loop.call_at(5.0, out.append, "early")
        gone = loop.call_at(7.0, out.append, "never")
        gone.cancel()
        await asyncio.sleep(365 * 86400)
        assert loop.time() == 365 * 86400
        return out

    assert run(main()) == ["early", "a", "b", "c"]


def test_the_clock_steps_and_timers_do_not() -> None:
    async def main() -> None:
        loop = current()
        assert now() == EPOCH
        loop.clock.step(-3600)
        assert now() == EPOCH - 3600
        await asyncio.sleep(60)
        assert (now(), loop.time()) == (EPOCH - 3540, 60.0)

    run(main())


def test_what_waits_for_ever_is_told() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        run(main())


def test_timeouts_fire_and_other_threads_are_heard() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()
        assert await asyncio.to_thread(lambda: 7) == 7

    run(main(), outside=True)


def test_it_may_start_before_zero() -> None:
    async def main() -> float:
        await asyncio.sleep(10)
        return current().time()

    assert run(main(), start=-30) == -20
