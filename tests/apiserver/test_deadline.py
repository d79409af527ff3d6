"""The shared time limit of writes, and the one that a client gives its request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from pelamis.apiserver.pipeline import Deadline
from pelamis.apiserver.request import timeout_of
from pelamis.base.errors import StatusError

T = TypeVar("T")


async def limited(deadline: Deadline, work: Awaitable[T]) -> T:
    """As a request is."""
    task = asyncio.current_task()
    assert task is not None
    with deadline.within(task, asyncio.get_running_loop().time()):
        return await work


def test_work_past_its_limit_times_out_and_the_rest_goes_on() -> None:
    async def main() -> None:
        late, calm = Deadline(0.0), Deadline(3600.0)
        never = asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            await limited(late, asyncio.wait_for(never, None))
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        assert await limited(late, asyncio.sleep(0, "done")) == "done"
        first = asyncio.create_task(limited(calm, asyncio.Event().wait()))
        assert await limited(calm, asyncio.sleep(0, 1)) == 1
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not calm._due and not late._due and not late._expired

    asyncio.run(main())


def test_who_is_cancelled_from_outside_at_the_limit_stays_cancelled() -> None:
    async def main() -> None:
        deadline = Deadline(3600.0)
        task = asyncio.create_task(limited(deadline, asyncio.Event().wait()))
        await asyncio.sleep(0)
        deadline._due[task] = 0.0
        deadline._check(asyncio.get_running_loop())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.parametrize(
    ("query", "limit_s"),
    [("", 0.0), ("timeout=", 0.0), ("timeout=1m30s", 90.0), ("timeout=-1s", 0.0), ("a=b&timeout=0", 0.0)],
)
def test_a_client_may_limit_its_request(query: str, limit_s: float) -> None:
    assert timeout_of(query) == limit_s


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("invalid", 'time: invalid duration "invalid"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
    ],
)
def test_a_limit_that_is_no_duration(text: str, why: str) -> None:
    with pytest.raises(StatusError) as error:
        timeout_of(f"timeout={text}")
    assert (error.value.code, error.value.message) == (400, f"invalid timeout specified in the request URL - {why}")
