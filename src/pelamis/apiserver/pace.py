"""Lets others in between when somebody writes hundreds of objects at once.

A controller in this process may hand in a thousand creates in one call. Planning all of them holds the loop for a
quarter of a second, and whoever writes meanwhile, such as a node that renews its lease, waits behind all of them in the
store's queue too. So writes in bulk are planned some in each turn of the loop, all bulk writers together and in the
order in which they asked, and only so many of them are with the store at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque

SMALL = 8
"""As many writes are no bulk."""
EACH_TURN = 24
"""A few milliseconds of planning."""
IN_STORE = 256


class Pace:
    """each_turn: writes that are planned in a turn of the loop; in_store: that have not been answered yet."""

    def __init__(self, each_turn: int = EACH_TURN, in_store: int = IN_STORE) -> None:
        self._each_turn = self._left = each_turn
        self._room = in_store
        self._waiting: deque[tuple[int, asyncio.Future[int]]] = deque()
        self._armed = False

    def take(self, wanted: int) -> int:
        """How many of ``wanted`` writes may be planned at once; with 0, ask ``wait``. Each is given back."""
        if self._waiting:
            return 0
        return self._grant(wanted)

    async def wait(self, wanted: int) -> int:
        """At least one."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        self._arm()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give(future.result())
            raise

    def give(self, count: int) -> None:
        """So many have been answered, or were not written after all."""
        self._room += count
        if self._waiting:
            self._arm()

    def _grant(self, wanted: int) -> int:
        count = min(wanted, self._left, self._room)
        if count > 0:
            self._left -= count
            self._room -= count
            self._arm()
        return max(count, 0)

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._armed = False
        self._left = self._each_turn
        while self._waiting and min(self._left, self._room) > 0:
            wanted, future = self._waiting.popleft()
            if not future.done():
                future.set_result(self._grant(wanted))
