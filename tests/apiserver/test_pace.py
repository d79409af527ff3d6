"""Writes in bulk: how many are let through in a turn of the loop, in which order; what a cancelled one gives back."""

from __future__ import annotations

import asyncio

from pelamis.apiserver.pace import Pace
from pelamis.sim.loop import run


def test_bulk_writers_take_turns_and_nobody_is_forgotten() -> None:
    async def main() -> None:
        pace = Pace(each_turn=10, in_store=25)
        begun: list[tuple[str, int]] = []
        most = out = 0

        async def write(name: str, count: int) -> None:
            nonlocal most, out
            left = count
            while left:
                granted = pace.take(left) or await pace.wait(left)
                assert 0 < granted <= 10
                begun.append((name, granted))
                out += granted
                most = max(most, out)
                left -= granted
                asyncio.get_running_loop().call_later(1, answered, granted)

        def answered(count: int) -> None:
            nonlocal out
            out -= count
            pace.give(count)

        await asyncio.gather(write("a", 40), write("b", 12), write("c", 3))
        assert {name: sum(n for who, n in begun if who == name) for name in "abc"} == {"a": 40, "b": 12, "c": 3}
        assert most <= 25
        assert [name for name, _ in begun[:4]] == ["a", "a", "b", "c"]  # in the order in which they asked
        await asyncio.sleep(2)
        assert pace.take(100) == 10

    run(main())


def test_a_writer_that_ends_while_it_waits_keeps_no_room() -> None:
    async def main() -> None:
        pace = Pace(each_turn=10, in_store=10)
        assert pace.take(10) == 10
        tasks = [asyncio.ensure_future(pace.wait(10)) for _ in range(3)]
        await asyncio.sleep(1)
        tasks[0].cancel()
        pace.give(10)
        await asyncio.sleep(0)
        tasks[1].cancel()
        assert await tasks[2] == 10
        pace.give(10)
        await asyncio.sleep(1)
        assert pace.take(100) == 10

    run(main())
