"""Pods that rest: what was packed is the same again, and events find it so."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.base import tree
from pelamis.cache.collection import Collection
from pelamis.cache.entry import decode_of
from pelamis.cache.view import View
from pelamis.client.types import Patch
from pelamis.kubelet.hollow.inbox import Inbox, Viewed
from pelamis.kubelet.hollow.rest import Packer, Picture, unpack
from pelamis.kubelet.podstate import declared
from pelamis.kubelet.podsync import PodMachine
from tests.kubelet.hollow.world import World, notes, phases, play, pod

PODS = {
    "plain": pod("plain"),
    "ends": pod("ends", "true", restartPolicy="Never"),
    "fails": pod("fails", "false"),
    "probed": pod("probed", c_readinessProbe={"httpGet": {"port": 80}}, meta=notes(readiness="after=3s")),
    "flaps": pod("flaps", c_livenessProbe={"exec": {"command": ["true"]}}, meta=notes(liveness="5s=fail")),
    "lasts": pod("lasts", "sleep", "60", restartPolicy="OnFailure"),
    "waits": pod("waits", c_image="missing.invalid/app:1"),
    "first": pod("first", initContainers=[{"name": "init", "image": "app:1", "command": ["sleep", "5"]}]),
    "side": pod("side", initContainers=[{"name": "s", "image": "app:1", "restartPolicy": "Always"}]),
    "resources": pod("resources", c_resources={"requests": {"cpu": "1"}, "limits": {"memory": "64Mi"}}),
    "host": pod("host", hostNetwork=True),
}


def test_a_picture_of_any_pod_at_any_time_is_the_same_again() -> None:
    packer, seen = Packer(), 0

    async def scenario(world: World) -> None:
        nonlocal seen
        await world.create(*(tree.copy(one) for one in PODS.values()))
        for _ in range(40):
            for held in world.nodes.pods.values():
                found = held.picture()
                shown = repr(found)
                text = msgspec.json.encode(found)
                packed = packer.pack(found)
                found.state.pod = found.pod
                for name, _, spec in declared(found.pod):
                    found.state.slots[name].spec = spec
                again = unpack(packed)
                assert repr(again) == shown
                assert len(packed.data) < 900 < len(text)
                assert all(s.spec is not None for s in again.state.slots.values()) and again.state.pod is again.pod
                seen += 1
            await world.sleep(1.7)

    play(scenario)
    assert seen == 40 * len(PODS)


def test_pods_rest_when_nothing_is_to_be_done() -> None:
    async def scenario(world: World) -> None:
        await world.create(*(tree.copy(one) for one in PODS.values()))
        await world.sleep(30)
        resting = {name for (_, name), held in world.nodes.pods.items() if held.resting}
        assert resting >= {"plain", "ends", "probed", "lasts", "first", "side", "resources", "host"}
        held = world.nodes.pods["default", "plain"]
        assert held.picture().pod.status == world.pod("plain").status and held.resting
        assert world.nodes.summary("n1")["pods"] and held.resting
        await world.do(Patch(POD, "default", "plain", {"metadata": {"labels": {"a": "b"}}}))
        await world.sleep(1)
        assert held.resting and held.picture().pod.metadata.labels == {"a": "b"}
        assert world.nodes.crash_container("default", "plain", "main", 3)
        await world.sleep(1)
        assert world.pod("plain").status.containerStatuses[0].restartCount == 1 and held.resting
        await world.sleep(40)
        assert phases(world, "lasts") == ["Succeeded"]
        await world.delete("plain", 0)
        await world.sleep(1)
        assert world.pod("plain") is None and ("default", "plain") not in world.nodes.pods

    play(scenario)


def test_a_resting_pod_is_adopted_and_taken_along() -> None:
    async def scenario(world: World) -> None:
        await world.create(pod("p"), pod("q", "sleep", "100"))
        await world.sleep(2)
        before = world.pod("p").status
        await world.stop()
        await world.start()
        await world.sleep(2)
        assert world.pod("p").status == before and world.nodes.pods["default", "p"].resting
        world.nodes.stop_node("n1")
        await world.do(Patch(POD, "default", "p", {"metadata": {"labels": {"a": "b"}}}))
        await world.sleep(30)
        assert world.nodes.pods["default", "p"].picture().pod.metadata.labels == {}
        world.nodes.start_node("n1")
        await world.sleep(2)
        assert world.nodes.pods["default", "p"].picture().pod.metadata.labels == {"a": "b"}

    play(scenario)


# --- the inbox --------------------------------------------------------------------------------------------------------


def _bytes(name: str, rev: int, node: str) -> bytes:
    made = pod(name, node=node)
    made["metadata"] |= {"resourceVersion": str(rev), "uid": f"u-{name}"}
    return msgspec.json.encode({"kind": "Pod", "apiVersion": "v1", **made})


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "list", "take", "give"]),
        st.sampled_from("abcd"),
        st.sampled_from(["n1", "n2"]),
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_an_inbox_is_a_view_that_forgets_what_is_held_elsewhere(steps: list[tuple[str, str, str]]) -> None:
    """Against a view over a collection that is fed the same."""
    held: dict[Any, Any] = {}
    inbox, collection = Inbox(held.get), Collection(POD)
    view = Viewed(View(collection))
    heard: tuple[list[Any], list[Any]] = ([], [])
    inbox.subscribe(lambda key, old, new: heard[0].append(key))
    view.subscribe(lambda key, old, new: heard[1].append(key))
    there: dict[str, tuple[int, bytes]] = {}
    for rev, (what, name, node) in enumerate(steps, start=2):
        key = ("default", name)
        if what == "put":
            type_ = "MODIFIED" if name in there else "ADDED"
            there[name] = rev, _bytes(name, rev, node)
            for sink in (inbox, collection):
                sink.apply_served(type_, "default", name, *there[name])
        elif what == "delete" and name in there:
            data = there.pop(name)[1]
            for sink in (inbox, collection):
                sink.apply_served("DELETED", "default", name, rev, data)
        elif what == "list":
            there.pop(name, None)
            found = [("default", n, at, data) for n, (at, data) in there.items()]
            for sink in (inbox, collection):
                sink.replace(found, rev)
        elif what == "take" and name in there:
            held[key] = inbox.get(*key)
            inbox.taken(key)
        elif what == "give" and key in held:
            inbox.given_back(key, held.pop(key))
        assert heard[0] == heard[1]
        assert inbox.progress.rev == collection.rev and inbox.synced == view.synced
        for n in "abcd":
            assert inbox.get("default", n) == view.get("default", n)
        for at in ("n1", "n2"):
            assert list(inbox.on_node(at)) == list(view.on_node(at))


@pytest.mark.parametrize("count", [1, 600])
def test_models_are_bounded(count: int) -> None:
    packer, decode = Packer(), decode_of(POD)
    for i in range(count):
        made = pod("p", c_image=f"app:{i}")
        found = decode(msgspec.json.encode({"kind": "Pod", "apiVersion": "v1", **made}))
        again = unpack(packer.pack(Picture(found, PodMachine(found, 1.0).state, found.status, found.status)))
        assert again.pod == found
    assert len(packer._models) <= 250
