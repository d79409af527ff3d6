"""Allocation and reservation on their way into a claim, when answers are lost and others write too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.client.types import Action, Outcome, Update
from pelamis.scheduler.devicebinding import DeviceBinder, Part, Reservation, freed, undo
from pelamis.sim.loop import now, run
from tests.apiserver.memory import MemoryServer
from tests.scheduler.make import pod

from .make import claim, class_, device, exactly, granted, inventory, slice_

WANTED = {"name": "r", "exactly": {"deviceClassName": "any", "allocationMode": "ExactCount", "count": 1}}
ASKED = {"metadata": {"name": "c", "namespace": "default"}, "spec": {"devices": {"requests": [WANTED]}}}


class Line:
    """A client whose status writes lose their answers: ``y`` it is carried out, ``n`` it is not, ``-`` all is well."""

    def __init__(self, server: MemoryServer, losses: str) -> None:
        self._client = server.client("system:kube-scheduler", "scheduler")
        self._losses = list(losses)

    async def commit(self, actions: Sequence[Action]) -> Sequence[Outcome]:
        (action,) = actions
        loss = "-"
        if isinstance(action, Update) and action.subresource == "status" and self._losses:
            loss = self._losses.pop(0)
        if loss == "n":
            raise OSError("lost on the way there")
        outcomes = await self._client.commit(actions)
        if loss == "y":
            raise OSError("lost on the way back")
        return outcomes

    async def get(self, kind: Any, namespace: str, name: str) -> Any:
        return await self._client.get(kind, namespace, name)


@pytest.mark.parametrize(
    ("losses", "trouble", "taken"),
    [
        ("", "", True),
        ("y", "", True),
        ("n", "", True),
        ("nyn", "", True),
        ("nnnnn", "lost", False),
        ("nnnny", "lost", True),
    ],
)
def test_devices_are_free_again_only_when_that_is_known(losses: str, trouble: str, taken: bool) -> None:
    async def main() -> None:
        server = await MemoryServer(now).start()
        asked = claim("c", exactly())
        await server.put(CLAIM, ASKED)
        stock = inventory(class_("any"), slice_("s", device("x")))
        (found,) = granted(stock, asked)
        stored = server.get(CLAIM, "default", "c")
        uid = stored.metadata.uid
        stock.grant(uid, found)
        kept = Reservation(pod("p"), [Part(stored, found, uid)])
        line: Any = Line(server, losses)
        binder = DeviceBinder(line, stock, now)
        said = ""
        try:
            said = await binder.bind(kept)
        except OSError:
            said = "lost"
            assert not undo(stock, kept)
            assert stock.pending, "nobody knows yet"
            binder.settle(kept)
            await asyncio.sleep(5)
        assert said == trouble
        status = server.get(CLAIM, "default", "c").status
        assert (status.allocation is not None) is taken
        assert [c.uid for c in status.reservedFor] == (["uid-p"] if taken else [])
        assert bool(stock.pending) is taken, "a view would show it, and then it is not pending any longer"

    run(main())


def test_a_claim_that_was_written_keeps_its_devices_without_its_pod() -> None:
    """The view may be late: until it shows the claim as it was written, or newer, nobody else gets the devices."""

    async def main() -> None:
        server = await MemoryServer(now).start()
        await server.put(CLAIM, ASKED)
        stock = inventory(class_("any"), slice_("s", device("x")))
        (found,) = granted(stock, claim("c", exactly()))
        before = server.get(CLAIM, "default", "c")
        uid = before.metadata.uid
        stock.set_claim(("default", "c"), before)
        stock.grant(uid, found)
        kept = Reservation(pod("p"), [Part(before, found, uid)])
        line: Any = Line(server, "")
        assert await DeviceBinder(line, stock, now).bind(kept) == ""
        assert undo(stock, kept)
        assert stock.pending
        stock.set_claim(("default", "c"), before)
        assert stock.pending, "an older state tells nothing"
        await server.do(freed(server.get(CLAIM, "default", "c")))
        stock.set_claim(("default", "c"), server.get(CLAIM, "default", "c"))
        assert not stock.pending
        assert not stock.allocated

    run(main())


def test_who_comes_second_is_told() -> None:
    async def main() -> None:
        server = await MemoryServer(now).start()
        await server.put(CLAIM, ASKED)
        stock = inventory(class_("any"), slice_("s", device("x"), device("y")))
        found = granted(stock, claim("c", exactly(count=2)))[0]
        other = granted(stock, claim("c", exactly()))[0]
        stored = server.get(CLAIM, "default", "c")
        line: Any = Line(server, "")
        binder = DeviceBinder(line, stock, now)
        assert not await binder.bind(Reservation(pod("p"), [Part(stored, found, "u")]))
        said = await binder.bind(Reservation(pod("q"), [Part(stored, other, "u")]))
        assert said == "claim default/c got allocated elsewhere in the meantime"
        shared = server.get(CLAIM, "default", "c")
        assert not await binder.bind(Reservation(pod("q"), [Part(shared)]))
        assert [c.uid for c in server.get(CLAIM, "default", "c").status.reservedFor] == ["uid-p", "uid-q"]

    run(main())
