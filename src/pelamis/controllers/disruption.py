"""Disruption: the status of PodDisruptionBudgets, by which evictions are allowed or refused.

``disruptedPods`` names pods whose eviction was granted; for two minutes they do not count as healthy, then they are
taken for spared. A pod whose condition DisruptionTarget is older than that, and which is still there, loses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pelamis.api.apiextensions.customresourcedefinition import KIND as DEFINITION
from pelamis.api.apiextensions.selector import steps, value_at
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.replicationcontroller import KIND as REPLICATIONCONTROLLER
from pelamis.api.custom import Custom
from pelamis.api.kind import Kind
from pelamis.api.meta import Condition, LabelSelector, OwnerReference
from pelamis.api.policy.poddisruptionbudget import KIND as BUDGET
from pelamis.api.policy.poddisruptionbudget import PodDisruptionBudget
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.base.intstr import scaled
from pelamis.client.types import Key, Patch, Update
from pelamis.reconcile import changes
from pelamis.reconcile.ownership import controller_of, selection, selects
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.podstate import condition, is_ready
from pelamis.reconcile.spec import Controller, Views, Watch

DELETION_TIMEOUT_S = 120.0
STALE_S = 120.0
_SCALED = {(k.group, k.kind): k for k in (DEPLOYMENT, REPLICASET, STATEFULSET, REPLICATIONCONTROLLER)}


@dataclass(frozen=True, slots=True)
class World:
    """scales: wanted replicas of the controllers of the pods, by uid. unmanaged: pods without a controller.

    problem: why the scale of a controller is not known.
    """

    budget: PodDisruptionBudget
    pods: Sequence[Pod]
    scales: Mapping[str, int]
    unmanaged: Sequence[str]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A pod with a DisruptionTarget condition, or one that several budgets select.

    chosen: the first of those budgets; empty where there is one at most.
    """

    pod: Pod
    chosen: str = ""


def gather(views: Views, key: Key) -> World | Target | None:
    namespace, name = key
    if name.startswith("/"):
        pod: Pod | None = views(POD).get(namespace, name[1:])
        if pod is None:
            return None
        budgets = _budgets(views, pod)
        return Target(pod, budgets[0].metadata.name if len(budgets) > 1 else "")
    budget: PodDisruptionBudget | None = views(BUDGET).get(*key)
    if budget is None:
        return None
    selected = selection(budget.spec.selector)
    pods = [p for p in views(POD).list(namespace) if selected(p.metadata.labels)]
    if not _by_share(budget):
        return World(budget, pods, {}, ())
    scales: dict[str, int] = {}
    unmanaged: list[str] = []
    seen: set[str] = set()
    for pod in pods:
        ref = controller_of(pod)
        if ref is None:
            unmanaged.append(pod.metadata.name)
        elif ref.uid not in seen:
            seen.add(ref.uid)
            try:
                found = _scale(views, namespace, ref)
            except _Unknown as why:
                return World(budget, pods, {}, (), str(why))
            if found is None:
                return World(budget, pods, {}, (), f'found no controllers for pod "{pod.metadata.name}"')
            scales[found[0]] = found[1]
    return World(budget, pods, scales, unmanaged)


def _by_share(budget: PodDisruptionBudget) -> bool:
    """Whether the budget counts by how many pods are wanted, not by how many there are."""
    return budget.spec.maxUnavailable is not None or isinstance(budget.spec.minAvailable, str)


class _Unknown(Exception):
    """A controller whose scale nobody can tell."""


def _scale(views: Views, namespace: str, ref: OwnerReference) -> tuple[str, int] | None:
    """(uid, replicas) of the controller that has the scale: of a ReplicaSet, the Deployment above it if there is one.

    None: the controller is not there, or another one has its name.
    """
    group, _, _ = ref.apiVersion.rpartition("/")
    kind = _SCALED.get((group, ref.kind))
    if kind is None:
        kind = next((k for k in views.every() if k.kind == ref.kind and k.group == group), None)
    if kind is None:
        raise _Unknown(f'no matches for kind "{ref.kind}" in version "{ref.apiVersion}"')
    if kind.subresource("scale") is None:
        raise _Unknown(f"{kind.resource} does not implement the scale subresource")
    owner = views(kind).get(namespace, ref.name)
    if owner is None or owner.metadata.uid != ref.uid:
        return None
    if isinstance(owner, Custom):
        replicas = _custom_replicas(views, kind, owner)
    else:
        above = controller_of(owner) if kind is REPLICASET else None
        if above is not None and above.kind == "Deployment" and above.apiVersion.rpartition("/")[0] == DEPLOYMENT.group:
            deployment = views(DEPLOYMENT).get(namespace, above.name)
            if deployment is not None and deployment.metadata.uid == above.uid:
                owner = deployment
        replicas = 1 if owner.spec.replicas is None else owner.spec.replicas
    return owner.metadata.uid, replicas


def _custom_replicas(views: Views, kind: Kind, owner: Custom) -> int:
    definition = views(DEFINITION).get("", kind.resource)
    versions = definition.spec.versions if definition is not None else ()
    version = next((v for v in versions if v.name == kind.version), None)
    paths = version.subresources.scale if version is not None and version.subresources is not None else None
    replicas = value_at(owner.tree, steps(paths.specReplicasPath) or []) if paths is not None else None
    if not isinstance(replicas, int):
        where = paths.specReplicasPath if paths is not None else ".spec.replicas"
        raise _Unknown(f'the spec replicas field "{where}" does not exist')
    return replicas


def reconcile(world: Any, now: float) -> Plan:
    if isinstance(world, Target):
        plan = _stale(world.pod, now)
        if not world.chosen:
            return plan
        meta = world.pod.metadata
        message = (
            f'Pod "{meta.namespace}"/"{meta.name}" matches multiple PodDisruptionBudgets.  '
            f'Chose "{world.chosen}" arbitrarily.'
        )
        note = EventNote(world.pod, "Warning", "MultiplePodDisruptionBudgets", message)
        return replace(plan, events=(note,))
    budget: PodDisruptionBudget = world.budget
    events: list[EventNote] = []
    if not world.pods:
        events.append(EventNote(budget, "Normal", "NoPods", "No matching pods found"))
    if world.problem:
        return _unsafe(world, events, now)
    if world.unmanaged:
        message = (
            f"Pods selected by this PodDisruptionBudget (selector: {_go(budget.spec.selector)}) were "
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
            name = f"{budget.metadata.namespace}/{budget.metadata.name}"
            message = f"Pod was expected by PDB {name} to be deleted but it wasn't"
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


def _unsafe(world: World, events: list[EventNote], now: float) -> Plan:
    """Nobody can tell how many pods are expected: nothing may be evicted meanwhile."""
    budget = world.budget
    message = f"Failed to calculate the number of expected pods: {world.problem}"
    events.append(EventNote(budget, "Warning", "CalculateExpectedPodCountFailed", message))
    conditions = _conditions(budget, False, now, ("SyncFailed", world.problem), budget.status.observedGeneration)
    status = msgspec.structs.replace(budget.status, disruptionsAllowed=0, conditions=conditions)
    if status == budget.status:
        return NOTHING
    return Plan(actions=(Update(BUDGET, msgspec.structs.replace(budget, status=status), "status"),), events=events)


def _go(selector: LabelSelector | None) -> str:
    """As Go prints it, which is what upstream says."""
    if selector is None:
        return "nil"
    labels = "".join(f"{k}: {v}," for k, v in sorted(selector.matchLabels.items()))
    terms = "".join(
        f"LabelSelectorRequirement{{Key:{e.key},Operator:{e.operator},Values:[{' '.join(e.values)}],}},"
        for e in selector.matchExpressions
    )
    some = f"MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{terms}}}"
    return f"&LabelSelector{{{some},}}"


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


def _conditions(
    budget: PodDisruptionBudget, allowed: bool, now: float, why: tuple[str, str] = ("", ""), generation: int = -1
) -> tuple[Condition, ...]:
    """why: reason and message, where they are not those of the count. generation: -1 = the present one."""
    old = next((c for c in budget.status.conditions if c.type == "DisruptionAllowed"), None)
    value = "True" if allowed else "False"
    made = Condition(
        type="DisruptionAllowed",
        status=value,
        observedGeneration=budget.metadata.generation if generation < 0 else generation,
        lastTransitionTime=old.lastTransitionTime if old is not None and old.status == value else rfc3339(now),
        reason=why[0] or ("SufficientPods" if allowed else "InsufficientPods"),
        message=why[1],
    )
    return (*(c for c in budget.status.conditions if c.type != "DisruptionAllowed"), made)


def _stale(pod: Pod, now: float) -> Plan:
    target = condition(pod, "DisruptionTarget")
    if target is None or target.status != "True" or pod.metadata.deletionTimestamp is not None:
        return NOTHING
    if target.reason == "TerminationByKubelet":
        return NOTHING  # the pod may take however long it wants to end
    if pod.status.phase in ("Succeeded", "Failed") or not target.lastTransitionTime:
        return NOTHING
    at = parse_rfc3339(target.lastTransitionTime) + STALE_S
    if at > now:
        return Plan(requeue_at=at)
    changed = {
        "type": "DisruptionTarget",
        "status": "False",
        "lastTransitionTime": rfc3339(now),
        "reason": None,
        "message": None,
    }
    body = {"status": {"conditions": [changed]}}
    meta = pod.metadata
    return Plan(actions=(Patch(POD, meta.namespace, meta.name, body, "strategic", "status", rev=meta.resourceVersion),))


_CONCERNING = (
    changes.ADDED
    | changes.DELETED
    | changes.READY
    | changes.DELETION
    | changes.LABELS
    | changes.OWNERS
    | changes.MARKED
)


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    namespace = (new if new is not None else old).metadata.namespace
    out: list[Key] = []
    if new is not None and condition(new, "DisruptionTarget") is not None:
        out.append((namespace, f"/{new.metadata.name}"))
    budgets = views(BUDGET)
    if not len(budgets) or (old is not None and new is not None and _facts(old) == _facts(new)):
        return out
    mine = 0
    for budget in budgets.list(namespace):
        before = old is not None and selects(budget.spec.selector, old.metadata.labels)
        after = new is not None and selects(budget.spec.selector, new.metadata.labels)
        mine += after
        if before or after:
            out.append((namespace, budget.metadata.name))
    if mine > 1:
        out.append((namespace, f"/{new.metadata.name}"))
    return out


def _budgets(views: Views, pod: Pod) -> list[PodDisruptionBudget]:
    meta = pod.metadata
    return [b for b in views(BUDGET).list(meta.namespace) if selects(b.spec.selector, meta.labels)]


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
        Watch(POD, _pod_keys, (_CONCERNING,)),
        *(Watch(kind, _scale_keys) for kind in _SCALED.values()),
    ),
    kinds=(DEFINITION,),
    gather=gather,
    reconcile=reconcile,
)
