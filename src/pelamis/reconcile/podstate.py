"""What a pod's status means for the controllers, and which pods to delete first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.status import PodCondition
from pelamis.base.clock import parse_rfc3339, rfc3339

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def is_active(pod: Pod) -> bool:
    """Not finished and not being deleted."""
    return pod.status.phase not in ("Succeeded", "Failed") and pod.metadata.deletionTimestamp is None


def is_finished(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def is_terminating(pod: Pod) -> bool:
    return not is_finished(pod) and pod.metadata.deletionTimestamp is not None


def disrupted(pod: Pod, reason: str, message: str, now: float) -> dict[str, Any]:
    """The part of a strategic patch of a pod's status that says why it is about to be deleted."""
    target: dict[str, Any] = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": rfc3339(now),
    }
    if pod.metadata.generation:
        target["observedGeneration"] = pod.metadata.generation
    return with_condition(pod, target)


def with_condition(pod: Pod, condition: dict[str, Any]) -> dict[str, Any]:
    """The part of a strategic patch of a pod's status that sets a condition, behind those that there are."""
    types = dict.fromkeys((*(c.type for c in pod.status.conditions), condition["type"]))
    return {"conditions": [condition], "$setElementOrder/conditions": [{"type": type} for type in types]}


def condition(pod: Pod, type: str) -> PodCondition | None:
    for c in pod.status.conditions:
        if c.type == type:
            return c
    return None


def is_ready(pod: Pod) -> bool:
    for c in pod.status.conditions:
        if c.type == "Ready":
            return c.status == "True"
    return False


def ready_since(pod: Pod) -> float:
    """0 when the pod is not ready or does not say since when."""
    c = condition(pod, "Ready")
    if c is None or c.status != "True" or not c.lastTransitionTime:
        return 0.0
    return parse_rfc3339(c.lastTransitionTime)


def available_at(pod: Pod, min_ready_s: int) -> float | None:
    """When the pod becomes or became available, as things are; None = not by time alone."""
    if not is_ready(pod):
        return None
    if min_ready_s == 0:
        return 0.0
    since = ready_since(pod)
    return since + min_ready_s if since else None


def is_available(pod: Pod, min_ready_s: int, now: float) -> bool:
    at = available_at(pod, min_ready_s)
    return at is not None and at <= now


def next_available(pods: Sequence[Pod], min_ready_s: int, now: float) -> float | None:
    """When the next of the pods turns from ready to available."""
    if not min_ready_s:
        return None
    times = [at for pod in pods if (at := available_at(pod, min_ready_s)) is not None and at > now]
    return min(times) if times else None


def created(pod: Pod) -> float:
    return parse_rfc3339(pod.metadata.creationTimestamp) if pod.metadata.creationTimestamp else 0.0


def _age_rank(since: float, now: float) -> int:
    """Powers of two of the age in nanoseconds: pods of about the same age are taken at random (by uid)."""
    age = int((now - since) * 1e9)
    return int(log2(age)) if age > 0 else -1


def _cost(pod: Pod) -> int:
    try:
        return int(pod.metadata.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0


def restarts(pod: Pod) -> tuple[int, int]:
    """The highest restart count of a container, and of a sidecar."""
    regular = max((c.restartCount for c in pod.status.containerStatuses), default=0)
    sidecars = {c.name for c in pod.spec.initContainers if c.restartPolicy == "Always"}
    sidecar = max((c.restartCount for c in pod.status.initContainerStatuses if c.name in sidecars), default=0)
    return regular, sidecar


def deletion_order(pods: Sequence[Pod], ranks: Mapping[str, int], now: float) -> list[Pod]:
    """Pods to delete first come first, as upstream ranks them when it scales down.

    ranks: uid to the number of related pods on the pod's node (see ``ranks_by_node``); a crowded node gives first.
    Of two equal pods the unassigned, pending, unready, cheaper, crowded, younger, more restarted one goes first.
    """

    def key(pod: Pod) -> tuple[object, ...]:
        ready = is_ready(pod)
        since = ready_since(pod) if ready else 0.0
        regular, sidecar = restarts(pod)
        born = created(pod)
        return (
            bool(pod.spec.nodeName),
            _PHASE_ORDER.get(pod.status.phase, 0),
            ready,
            _cost(pod),
            -ranks.get(pod.metadata.uid, 0),
            (0 if not since else 1, _age_rank(since, now)) if ready else (0, 0),
            pod.metadata.uid if ready and since else "",
            -regular,
            -sidecar,
            (0 if not born else 1, _age_rank(born, now)),
            pod.metadata.uid,
        )

    ordered = sorted(pods, key=key)
    return ordered


def ranks_by_node(pods: Sequence[Pod], related: Sequence[Pod]) -> dict[str, int]:
    on_node: dict[str, int] = {}
    for pod in related:
        if is_active(pod):
            on_node[pod.spec.nodeName] = on_node.get(pod.spec.nodeName, 0) + 1
    return {pod.metadata.uid: on_node.get(pod.spec.nodeName, 0) for pod in pods}
