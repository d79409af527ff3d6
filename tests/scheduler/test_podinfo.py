"""What is taken over from a pod of the same template, and what a newer version of a pod changes."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from pelamis.api.codec import from_tree
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.scheduler.podinfo import Model, PodInfo

from .twin import draws

OWN = ("memo", "vector")


def _again(pod: Pod, name: str) -> Pod:
    return replace(pod, metadata=replace(pod.metadata, name=name, uid=f"uid-{name}"))


def _facts(info: PodInfo) -> dict[str, Any]:
    names = [n for n in PodInfo.__slots__ if not n.startswith("_") and n not in OWN]
    return {**{n: getattr(info, n) for n in names}, "signature": info.signature}


@pytest.mark.parametrize("seed", range(60))
def test_a_pod_like_another(seed: int) -> None:
    """One made with the other's model is as one made anew."""
    r = Random(seed)
    world = draws.world(r)
    first: Pod = from_tree(POD, draws.pod(r, "first", world, volumes=0.5))
    second = _again(first, "second")
    model = Model(first)
    assert model.covers(second)
    PodInfo(first, model).refreshed(replace(first, status=replace(first.status, startTime="2026-01-01T00:00:00Z")))
    assert _facts(PodInfo(second, model)) == _facts(PodInfo(second))


def test_what_a_model_does_not_cover() -> None:
    pod: Pod = from_tree(POD, {"metadata": {"name": "a", "namespace": "x", "labels": {"a": "b"}}, "spec": {}})
    model = Model(pod)
    meta = pod.metadata
    others = (
        replace(pod, spec=replace(pod.spec, nodeName="n")),
        replace(pod, status=replace(pod.status, phase="Running")),
        replace(pod, metadata=replace(meta, labels={"a": "c"})),
        replace(pod, metadata=replace(meta, namespace="y")),
        replace(pod, metadata=replace(meta, deletionTimestamp="2026-01-01T00:00:00Z")),
    )
    assert not any(model.covers(other) for other in others)


GIVEN = {"cpu": "100m", "memory": "1Gi"}
MORE = {"cpu": "200m", "memory": "1Gi"}


def _version(**status: Any) -> Pod:
    container = {"name": "c", "image": "i", "resources": {"requests": GIVEN}}
    pod: Pod = from_tree(POD, {"metadata": {"name": "a"}, "spec": {"containers": [container]}, "status": status})
    return pod


def _one(**status: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "c", "image": "i", "imageID": "", **status}]}


VERSIONS = (
    _version(),
    _version(**_one()),
    _version(**_one(allocatedResources=GIVEN)),
    _version(**_one(allocatedResources=GIVEN, resources={"requests": GIVEN})),
    _version(**_one(allocatedResources=MORE)),
    _version(**_one(allocatedResources=GIVEN, resources={"requests": MORE})),
    _version(**_one(resources={})),
)


@pytest.mark.parametrize("before", range(len(VERSIONS)))
@pytest.mark.parametrize("after", range(len(VERSIONS)))
def test_a_status_that_changes_what_the_pod_takes(before: int, after: int) -> None:
    old, new = VERSIONS[before], VERSIONS[after]
    info = PodInfo(old)
    same = PodInfo(old).requests == PodInfo(new).requests
    again: Pod = msgspec.json.decode(msgspec.json.encode(new), type=Pod)
    assert info.refreshed(again) is same
    assert (info.pod is again) is same
