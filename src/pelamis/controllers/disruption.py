"""Disruption: the status of PodDisruptionBudgets, by which evictions are allowed or refused.

``disruptedPods`` names pods whose eviction was granted; for two minutes they do not count as healthy, then they are
taken for spared. A pod whose condition DisruptionTarget is older than that, and which is still there, loses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.replicationcontroller import KIND as REPLICATIONCONTROLLER
from pelamis.api.meta import Condition
from pelamis.api.policy.poddisruptionbudget import KIND as BUDGET
from pelamis.api.policy.poddisruptionbudget import PodDisruptionBudget
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.base.intstr import scaled
from pelamis.base.labels import from_label_selector
from pelamis.client.types import Key, Patch, Update
from pelamis.reconcile.ownership import controller_of, selects
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.podstate import condition, is_ready
from pelamis.reconcile.spec import Controller, Views, Watch

DELETION_TIMEOUT_S = 120.0
STALE_S = 120.0
_SCALED = {(k.group, k.kind): k for k in (DEPLOYMENT, REPLICASET, STATEFULSET, REPLICATIONCONTROLLER)}


@dataclass(frozen=True, slots=True)
class World:
    """scales: wanted replicas of the controllers of the pods, by uid. unmanaged: pods without a known controller."""

    budget: PodDisruptionBudget
    pods: Sequence[Pod]
    scales: dict[str, int]
    unmanaged: Sequence[str]


@dataclass(frozen=True, slots=True)
class Target:
    """A pod with a DisruptionTarget condition."""

    pod: Pod


def gather(views: Views, key: Key) -> World | Target | None:
    namespace, name = key
    if name.startswith("/"):
        pod: Pod | None = views(POD).get(namespace, name[1:])
        return Target(pod) if pod is not None else None
    budget: PodDisruptionBudget | None = views(BUDGET).get(*key)
    if budget is None:
        return None
    pods = [p for p in views(POD).list(namespace) if selects(budget.spec.selector, p.metadata.labels)]
    scales: dict[str, int] = {}
    unmanaged: list[str] = []
    for pod in pods:
        found = _scale(views, pod)
        if found is None:
            unmanaged.append(pod.metadata.name)
        else:
            scales[found[0]] = found[1]
    return World(budget, pods, scales, unmanaged)


def _scale(views: Views, pod: Pod) -> tuple[str, int] | None:
    """(uid, replicas) of the topmost controller that has a scale."""
    obj: Any = pod
    found: Any = None
    while (ref := controller_of(obj)) is not None:
        group = ref.apiVersion.partition("/")[0] if "/" in ref.apiVersion else ""
        kind = _SCALED.get((group, ref.kind))
        owner = views(kind).get(pod.metadata.namespace, ref.name) if kind is not None else None
        if owner is None or owner.metadata.uid != ref.uid:
            break
        obj = found = owner
    if found is None:
        return None
    return found.metadata.uid, 1 if found.spec.replicas is None else found.spec.replicas


def reconcile(world: Any, now: float) -> Plan:
    if isinstance(world, Target):
        return _stale(world.pod, now)
    budget: PodDisruptionBudget = world.budget
    events: list[EventNote] = []
    if not world.pods:
        events.append(EventNote(budget, "Normal", "NoPods", "No matching pods found"))
    if world.unmanaged and (budget.spec.maxUnavailable is not None or isinstance(budget.spec.minAvailable, str)):
        message = (
            f"Pods selected by this PodDisruptionBudget (selector: {from_label_selector(budget.spec.selector)}) were "
            "found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may "
            'result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the '
            "PDB to an integer value."
        )
        events.append(EventNote(budget, "Warning", "UnmanagedPods", message))
    expected, desired = _wanted(world)
    disrupted: dict[str, str] = {}
    again: list[float] = []
    by_name = {p.metadata.name: p for p in world.pods}
    for name, at in budget.status.disruptedPods.items():
        pod = by_name.get(name)
        if pod is None or pod.metadata.deletionTimestamp is not None:
            continue
        expires = parse_rfc3339(at) + DELETION_TIMEOUT_S
        if expires < now:
            message = "Pod was expected by PDB to be deleted but it wasn't"
            events.append(EventNote(pod, "Warning", "NotDeleted", message))
            continue
        disrupted[name] = at
        again.append(expires + 1.0)
    healthy = sum(
        is_ready(p) and p.metadata.deletionTimestamp is None and p.metadata.name not in disrupted for p in world.pods
    )
    allowed = healthy - desired
    if expected <= 0 or allowed <= 0:
        allowed = 0
    status = msgspec.structs.replace(
        budget.status,
        observedGeneration=budget.metadata.generation,
        disruptedPods=disrupted,
        disruptionsAllowed=allowed,
        currentHealthy=healthy,
        desiredHealthy=desired,
        expectedPods=expected,
        conditions=_conditions(budget, allowed > 0, now),
    )
    requeue_at = min(again) if again else None
    if status == budget.status:
        return Plan(requeue_at=requeue_at, events=[e for e in events if e.reason == "NotDeleted"])
    update = Update(BUDGET, msgspec.structs.replace(budget, status=status), "status")
    return Plan(actions=(update,), events=events, requeue_at=requeue_at)


def _wanted(world: World) -> tuple[int, int]:
    """(expected pods, how many of them must be healthy)."""
    spec = world.budget.spec
    scale = sum(world.scales.values())
    if spec.maxUnavailable is not None:
        return scale, max(0, scale - scaled(spec.maxUnavailable, scale, True))
    if isinstance(spec.minAvailable, int):
        return len(world.pods), spec.minAvailable
    if spec.minAvailable is not None:
        return scale, scaled(spec.minAvailable, scale, True)
    return len(world.pods), 0


def _conditions(budget: PodDisruptionBudget, allowed: bool, now: float) -> tuple[Condition, ...]:
    old = next((c for c in budget.status.conditions if c.type == "DisruptionAllowed"), None)
    value = "True" if allowed else "False"
    made = Condition(
        type="DisruptionAllowed",
        status=value,
        observedGeneration=budget.metadata.generation,
        lastTransitionTime=old.lastTransitionTime if old is not None and old.status == value else rfc3339(now),
        reason="SufficientPods" if allowed else "InsufficientPods",
        message="",
    )
    return (*(c for c in budget.status.conditions if c.type != "DisruptionAllowed"), made)


def _stale(pod: Pod, now: float) -> Plan:
    target = condition(pod, "DisruptionTarget")
    if target is None or target.status != "True" or pod.metadata.deletionTimestamp is not None:
        return NOTHING
    if pod.status.phase in ("Succeeded", "Failed") or not target.lastTransitionTime:
        return NOTHING
    at = parse_rfc3339(target.lastTransitionTime) + STALE_S
    if at > now:
        return Plan(requeue_at=at)
    changed = {"type": "DisruptionTarget", "status": "False", "lastTransitionTime": rfc3339(now)}
    body = {"status": {"conditions": [changed]}}
    meta = pod.metadata
    return Plan(actions=(Patch(POD, meta.namespace, meta.name, body, "strategic", "status", rev=meta.resourceVersion),))


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    namespace = (new if new is not None else old).metadata.namespace
    out: list[Key] = []
    if new is not None and condition(new, "DisruptionTarget") is not None:
        out.append((namespace, f"/{new.metadata.name}"))
    if old is not None and new is not None and _facts(old) == _facts(new):
        return out
    for budget in views(BUDGET).list(namespace):
        if any(selects(budget.spec.selector, o.metadata.labels) for o in (old, new) if o is not None):
            out.append((namespace, budget.metadata.name))
    return out


def _facts(pod: Pod) -> tuple[Any, ...]:
    ref = controller_of(pod)
    return is_ready(pod), pod.metadata.deletionTimestamp, pod.metadata.labels, ref.uid if ref is not None else ""


def _scale_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """A controller of another size changes how many pods are expected."""
    if old is not None and new is not None and old.spec.replicas == new.spec.replicas:
        return ()
    obj = new if new is not None else old
    template = obj.spec.template
    labels = template.metadata.labels if template is not None else {}
    namespace = obj.metadata.namespace
    return [(namespace, b.metadata.name) for b in views(BUDGET).list(namespace) if selects(b.spec.selector, labels)]


CONTROLLER = Controller(
    name="disruption",
    identity="disruption-controller",
    component="controllermanager",
    watches=(
        Watch(BUDGET),
        Watch(POD, _pod_keys),
        *(Watch(kind, _scale_keys) for kind in _SCALED.values()),
    ),
    gather=gather,
    reconcile=reconcile,
)
