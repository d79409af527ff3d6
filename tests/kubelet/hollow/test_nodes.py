"""Hollow nodes on virtual time: registration, leases, pods of every sort, faults."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kubelet.hollow.world import World, notes, phases, play, pod, ready


def test_a_pod_that_nothing_delays_is_running_and_ready_in_one_write() -> None:
    async def scenario(world: World) -> None:
        assert ready(world.node())
        await world.create(pod("web"))
        found = world.pod("web")
        assert found.status.phase == "Running" and ready(found)
        assert found.status.podIP == "10.1.0.2" and found.status.hostIP == "127.1.0.1"
        assert world.nodes.agent.outbox.writes == 3, "the node, its lease, the pod's status"
        await world.sleep(10.1)
        assert world.nodes.agent.outbox.writes == 4, "one renewal"
        assert world.reasons("web") == ["Pulling", "Pulled", "Created", "Started"]

    play(scenario)
