"""Device taint eviction, branch by branch; the whole of it is in ``tests/sim/test_devices.py``."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api.codec import from_tree
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.resource.device import DeviceTaint
from pelamis.api.resource.devicetaintrule import KIND as RULE
from pelamis.api.resource.resourceclaim import DeviceRequestAllocationResult
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.client.types import Delete, Patch
from pelamis.controllers.devicetainteviction import Cause, PodWorld, RuleWorld, Tally, _until, reconcile

ADDED = "2026-01-01T00:00:00Z"
THEN = parse_rfc3339(ADDED)
POD_TREE = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {"nodeName": "x", "containers": []}}


@pytest.mark.parametrize(
    ("tolerations", "wanted"),
    [
        ([], THEN),
        ([{"operator": "Exists", "effect": "NoExecute"}], None),
        ([{"operator": "Exists"}], THEN),  # one that does not name the effect says nothing about eviction
        ([{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}], THEN + 30),
        ([{"key": "k", "value": "v", "effect": "NoExecute", "tolerationSeconds": -5}], THEN),
        ([{"key": "other", "operator": "Exists", "effect": "NoExecute"}], THEN),
        (
            [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": s} for s in (60, 20)],
            THEN + 20,
        ),
    ],
)
def test_how_long_a_taint_is_tolerated(tolerations: list[Any], wanted: float | None) -> None:
    result = msgspec.convert({"tolerations": tolerations}, DeviceRequestAllocationResult)
    assert _until(DeviceTaint(key="k", value="v", effect="NoExecute", timeAdded=ADDED), result) == wanted


def test_a_pod_goes_when_its_time_is_over() -> None:
    pod = from_tree(POD, POD_TREE)
    world = PodWorld(pod, [Cause(THEN + 50, ""), Cause(THEN + 30, "r")], False)
    plan = reconcile(world, THEN)
    assert (plan.requeue_at, plan.memo, list(plan.actions)) == (THEN + 30, "u", [])
    plan = reconcile(world, THEN + 30)
    (mark,) = plan.actions
    assert isinstance(mark, Patch)
    (condition,) = mark.body["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "DeletionByDeviceTaintManager")
    assert list(plan.then) == [Delete(POD, "n", "p", uid="u")]
    assert [e.message for e in plan.events] == ["Marking for deletion"]
    marked = {**POD_TREE, "status": {"conditions": [{**condition, "status": "True"}]}}
    assert list(reconcile(PodWorld(from_tree(POD, marked), world.causes, True), THEN + 31).actions) == list(plan.then)
    plan = reconcile(PodWorld(pod, [], True), THEN)
    assert ([e.message for e in plan.events], plan.memo) == (["Cancelling deletion"], None)


def rule(effect: str, **condition: Any) -> Any:
    conditions = [{"type": "EvictionInProgress", "observedGeneration": 1, **condition}] if condition else []
    return from_tree(
        RULE,
        {
            "metadata": {"name": "r", "uid": "u", "generation": 1},
            "spec": {"taint": {"key": "k", "effect": effect}},
            "status": {"conditions": conditions},
        },
    )


TWO = [("a", "1"), ("b", "2")]
LEFT = {"status": "True", "reason": "PodsPendingEviction", "lastTransitionTime": ADDED}


@pytest.mark.parametrize(
    ("world", "wanted"),
    [
        (RuleWorld(rule("NoExecute"), [], Tally()), ("False", "NotStarted", "")),
        (
            RuleWorld(rule("NoExecute"), TWO, Tally()),
            ("True", "PodsPendingEviction", "2 pods need to be evicted in 2 different namespaces."),
        ),
        (
            RuleWorld(rule("NoExecute", **LEFT), TWO[:1], Tally(frozenset("12"), 3)),
            (
                "True",
                "PodsPendingEviction",
                "1 pod needs to be evicted in 1 namespace. 4 pods evicted since starting the controller.",
            ),
        ),
        (
            RuleWorld(rule("NoExecute", **LEFT), [], Tally(frozenset("1"))),
            ("False", "Completed", "1 pod evicted since starting the controller."),
        ),
        (
            RuleWorld(rule("NoSchedule"), [], Tally()),
            ("False", "OtherEffect", "Eviction only happens for the NoExecute effect."),
        ),
        (
            RuleWorld(rule("None"), TWO[:1], Tally(), 1, 3),
            (
                "False",
                "NoEffect",
                "1 published device selected. 3 allocated devices selected. 1 pod would be evicted in 1 namespace if "
                "the effect was NoExecute. This information will not be updated again. Recreate the DeviceTaintRule "
                "to trigger an update.",
            ),
        ),
    ],
)
def test_how_far_a_rule_has_got(world: RuleWorld, wanted: tuple[str, str, str]) -> None:
    (patch,) = reconcile(world, THEN + 10).actions
    assert isinstance(patch, Patch)
    (told,) = patch.body["status"]["conditions"]
    assert (told["status"], told["reason"], told["message"]) == wanted
    assert told["lastTransitionTime"] == rfc3339(THEN + 10)


def test_a_rule_tells_at_most_every_ten_seconds() -> None:
    world = RuleWorld(rule("NoExecute", **LEFT), [], Tally(frozenset("1")))
    plan = reconcile(world, THEN + 4)
    assert (list(plan.actions), plan.requeue_at) == ([], THEN + 10)
