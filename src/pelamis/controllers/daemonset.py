"""DaemonSet: one pod on every node that fits, and the rolling replacement of these pods.

A pod is bound to its node by a node affinity on the node's name and goes through the scheduler like any other. Whether
a node fits is decided here from node name, node affinity and taints; resources are the scheduler's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.apps.controllerrevision import KIND as REVISION
from pelamis.api.apps.controllerrevision import ControllerRevision
from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.daemonset import DaemonSet
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Node
from pelamis.api.core.nodeselector import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from pelamis.api.core.pod.affinity import Affinity, NodeAffinity, Toleration
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.pod.toleration import covers
from pelamis.base.intstr import scaled
from pelamis.base.labels import Selector, SelectorError, from_node_requirements
from pelamis.client.types import Action, Key, Outcome, Update
from pelamis.reconcile import changes
from pelamis.reconcile.ownership import candidates, claim, is_empty, owner_keys, selection, selects
from pelamis.reconcile.plan import EventNote, Plan, failure
from pelamis.reconcile.podcontrol import (
    create_pods,
    created_events,
    delete_pod,
    deleted_events,
    pod_of,
    slow_start,
)
from pelamis.reconcile.podstate import created, is_available, is_ready, next_available
from pelamis.reconcile.revision import POD_HASH, history, surplus
from pelamis.reconcile.spec import Controller, Views, Watch

BURST = 250
GENERATION = "pod-template-generation"
GENERATION_NOTE = "deprecated.daemonset.template.generation"
FAILED_BACKOFF_S = (1.0, 900.0)
"""A pod that fails again and again on a node is replaced after 1 s, 2 s, … 15 minutes."""
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")

Backoff = Mapping[str, tuple[float, float]]
"""node to (delay of the last replacement, when it happened)."""


@dataclass(frozen=True, slots=True)
class World:
    daemonset: DaemonSet
    pods: Sequence[Pod]
    nodes: Sequence[Node]
    revisions: Sequence[ControllerRevision]
    namesake: Any
    backoff: Backoff


def gather(views: Views, key: Key) -> World | None:
    daemonset: DaemonSet | None = views(DAEMONSET).get(*key)
    if daemonset is None:
        return None
    selected = selection(daemonset.spec.selector)
    pods = candidates(views, POD, daemonset, selected)
    revisions = candidates(views, REVISION, daemonset, selected)
    return World(
        daemonset,
        pods,
        views(NODE).list(),
        revisions,
        lambda name: views(REVISION).get(key[0], name),
        views.memo(key) or {},
    )


# Which nodes


def pod_spec(daemonset: DaemonSet) -> PodSpec:
    """The template's pod spec with the tolerations that daemon pods get."""
    spec = daemonset.spec.template.spec
    wanted = (*_TOLERATED, *((_NETWORK,) if spec.hostNetwork else ()))
    extra = tuple(Toleration(key=key, operator="Exists", effect=effect) for key, effect in wanted)
    kept = tuple(
        t
        for t in spec.tolerations
        if not any(t.key == e.key and t.effect == e.effect and t.operator == "Exists" for e in extra)
    )
    return msgspec.structs.replace(spec, tolerations=(*kept, *extra))


def on_node(spec: PodSpec, name: str) -> PodSpec:
    """Bound by affinity to one node: in place of the required terms, which the node has been checked against."""
    here = (NodeSelectorRequirement(key="metadata.name", operator="In", values=(name,)),)
    affinity = spec.affinity or Affinity()
    node = affinity.nodeAffinity or NodeAffinity()
    node = msgspec.structs.replace(
        node,
        requiredDuringSchedulingIgnoredDuringExecution=NodeSelector(
            nodeSelectorTerms=(NodeSelectorTerm(matchFields=here),)
        ),
    )
    return msgspec.structs.replace(spec, affinity=msgspec.structs.replace(affinity, nodeAffinity=node))


Verdict = tuple[bool, bool]
"""(a pod should run here, a pod that runs here may stay)."""
_FITS: Verdict = (True, True)
_UNFIT: Verdict = (False, False)
_STAYS: Verdict = (False, True)


def _terms(spec: PodSpec) -> list[tuple[Selector | None, Selector | None]] | None:
    """The required node affinity as (labels, fields) of which one must match; None = any node will do."""
    affinity = spec.affinity.nodeAffinity if spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    if required is None:
        return None
    out: list[tuple[Selector | None, Selector | None]] = []
    for term in required.nodeSelectorTerms:
        if not term.matchExpressions and not term.matchFields:
            continue
        try:
            by_label = from_node_requirements(term.matchExpressions) if term.matchExpressions else None
            by_field = from_node_requirements(term.matchFields) if term.matchFields else None
        except SelectorError:
            continue
        out.append((by_label, by_field))
    return out


def placement(spec: PodSpec) -> Callable[[Node], Verdict]:
    """Compiles what the spec asks of a node once, for the many nodes that are asked."""
    name, wanted, terms = spec.nodeName, tuple(spec.nodeSelector.items()), _terms(spec)
    tolerations = spec.tolerations

    def affine(node: Node) -> bool:
        labels = node.metadata.labels
        for k, v in wanted:
            if labels.get(k) != v:
                return False
        if terms is None:
            return True
        fields = {"metadata.name": node.metadata.name}
        return any(
            (by_label is None or by_label.matches(labels)) and (by_field is None or by_field.matches(fields))
            for by_label, by_field in terms
        )

    def verdict(node: Node) -> Verdict:
        if (name and name != node.metadata.name) or ((wanted or terms is not None) and not affine(node)):
            return _UNFIT
        taints = node.spec.taints
        if not taints:
            return _FITS
        refused = {t.effect for t in taints if not any(covers(o, t) for o in tolerations)}
        if "NoExecute" in refused:
            return _UNFIT
        return _STAYS if "NoSchedule" in refused else _FITS

    return verdict


def node_of(pod: Pod) -> str:
    """Where the pod is, or where its affinity will bring it."""
    if pod.spec.nodeName:
        return pod.spec.nodeName
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
    for term in required.nodeSelectorTerms if required is not None else ():
        for r in term.matchFields:
            if r.key == "metadata.name" and r.operator == "In" and len(r.values) == 1:
                return r.values[0]
    return ""


@dataclass(slots=True)
class _Work:
    daemonset: DaemonSet
    spec: PodSpec
    digest: str
    by_node: dict[str, list[Pod]]
    now: float
    create: list[str]
    delete: dict[str, Pod]
    events: list[EventNote]
    backoff: dict[str, tuple[float, float]]
    again: list[float]
    surging: bool
    """Whether an old and a new pod may be on one node together."""
    generation: str | None

    def updated(self, pod: Pod) -> bool:
        labels = pod.metadata.labels
        if labels.get(POD_HASH) == self.digest:
            return True
        return self.generation is not None and labels.get(GENERATION) == self.generation

    def available(self, pod: Pod) -> bool:
        return is_available(pod, self.daemonset.spec.minReadySeconds, self.now)


def reconcile(world: World, now: float) -> Plan:
    daemonset = world.daemonset
    selector = daemonset.spec.selector
    if is_empty(selector):
        message = "This daemon set is selecting all pods. A non-empty selector is required."
        return Plan(events=(EventNote(daemonset, "Warning", "SelectingAll", message),))
    selected = selection(selector)
    pods, claims = claim(POD, world.pods, daemonset, DAEMONSET, selected)
    revisions, more = claim(REVISION, world.revisions, daemonset, DAEMONSET, selected)
    claims += more
    past = history(daemonset, DAEMONSET, revisions, POD_HASH, daemonset.spec.template.metadata.labels, world.namesake)
    if past.collision is not None:
        status = msgspec.structs.replace(daemonset.status, collisionCount=past.collision)
        changed = msgspec.structs.replace(daemonset, status=status)
        return Plan(actions=(Update(DAEMONSET, changed, "status"),))
    by_node: dict[str, list[Pod]] = {}
    for pod in pods:
        by_node.setdefault(node_of(pod), []).append(pod)
    digest = past.update.metadata.labels.get(POD_HASH, "")
    spec = pod_spec(daemonset)
    surging = _limits(daemonset, 1)[0] > 0
    generation = daemonset.metadata.annotations.get(GENERATION_NOTE)
    work = _Work(daemonset, spec, digest, by_node, now, [], {}, [], dict(world.backoff), [], surging, generation)
    verdict = placement(spec)
    verdicts = {n.metadata.name: verdict(n) for n in world.nodes}
    if daemonset.metadata.deletionTimestamp is None:
        for name, (run, stay) in verdicts.items():
            there = by_node.get(name)
            if there or run:
                _manage(work, name, there or [], run, stay)
        for name, elsewhere in by_node.items():
            if name not in verdicts:
                for pod in elsewhere:
                    if not pod.spec.nodeName and pod.metadata.deletionTimestamp is None:
                        work.delete[pod.metadata.uid] = pod
        rolling = daemonset.spec.updateStrategy.type == "RollingUpdate" and not all(map(work.updated, pods))
        if rolling and not work.create and not work.delete:
            _roll(work, verdicts)
    work.backoff = {n: b for n, b in work.backoff.items() if now - b[1] < 2 * FAILED_BACKOFF_S[1]}
    live = {p.metadata.labels.get(POD_HASH, "") for p in pods}
    old = [] if work.create or work.delete else surplus(past.older, daemonset.spec.revisionHistoryLimit, live)
    status_update = _status(work, verdicts)
    extra = (*claims, *past.actions, *old, *status_update)
    return _plan(work, extra)


def _plan(work: _Work, extra: Sequence[Action]) -> Plan:
    daemonset = work.daemonset
    times = list(work.again)
    if daemonset.spec.minReadySeconds:
        pods = [p for there in work.by_node.values() for p in there]
        ready_at = next_available(pods, daemonset.spec.minReadySeconds, work.now)
        times += () if ready_at is None else (ready_at,)
    requeue_at = min(times) if times else None
    victims = list(work.delete.values())[:BURST]
    creates = create_pods([_pod(work, name) for name in work.create[:BURST]])
    deletes = [delete_pod(p) for p in victims]

    def finish(outcomes: Sequence[Outcome], rest: Sequence[Outcome]) -> Plan:
        notes, error = created_events(daemonset, outcomes)
        gone, refused = deleted_events(daemonset, victims, rest[: len(deletes)])
        other = failure(extra, rest[len(deletes) :])
        worst = error or refused or other
        return Plan(
            events=(*work.events, *notes, *gone),
            error="" if worst is None else (worst.message or worst.reason),
            requeue_at=requeue_at,
            memo=work.backoff or None,
        )

    if not creates and not deletes and not extra:
        return Plan(requeue_at=requeue_at, memo=work.backoff or None)
    return slow_start(creates, (*deletes, *extra), finish)


def _pod(work: _Work, node: str) -> Pod:
    daemonset = work.daemonset
    pod = pod_of(daemonset.spec.template, daemonset, DAEMONSET)
    labels = {**pod.metadata.labels, POD_HASH: work.digest}
    generation = daemonset.metadata.annotations.get(GENERATION_NOTE)
    if generation is not None:
        labels[GENERATION] = generation
    meta = msgspec.structs.replace(pod.metadata, labels=labels)
    return msgspec.structs.replace(pod, metadata=meta, spec=on_node(work.spec, node))


def _oldest(pods: list[Pod]) -> list[Pod]:
    return pods if len(pods) < 2 else sorted(pods, key=lambda p: (not p.spec.nodeName, created(p), p.metadata.name))


def _manage(work: _Work, name: str, pods: list[Pod], run: bool, stay: bool) -> None:
    if run and not pods:
        work.create.append(name)
        return
    if not stay:
        for pod in pods:
            if pod.metadata.deletionTimestamp is None:
                work.delete[pod.metadata.uid] = pod
        return
    running: list[Pod] = []
    for pod in pods:
        if pod.metadata.deletionTimestamp is not None:
            continue
        where = f"{pod.metadata.namespace}/{pod.metadata.name} on node {name}"
        if pod.status.phase == "Failed":
            last, at = work.backoff.get(name, (0.0, 0.0))
            if work.now < at + last:
                work.again.append(at + last)
                continue
            forgotten = work.now - at > 2 * FAILED_BACKOFF_S[1]
            delay = FAILED_BACKOFF_S[0] if not last or forgotten else min(2 * last, FAILED_BACKOFF_S[1])
            work.backoff[name] = (delay, work.now)
            message = f"Found failed daemon pod {where}, will try to kill it"
            work.events.append(EventNote(work.daemonset, "Warning", "FailedDaemonPod", message))
            work.delete[pod.metadata.uid] = pod
        elif pod.status.phase == "Succeeded":
            message = f"Found succeeded daemon pod {where}, will try to delete it"
            work.events.append(EventNote(work.daemonset, "Normal", "SucceededDaemonPod", message))
            work.delete[pod.metadata.uid] = pod
        else:
            running.append(pod)
    if not work.surging:
        for pod in _oldest(running)[1:]:
            work.delete[pod.metadata.uid] = pod
        return
    # while surging an old and a new pod may be here, until the new one is available
    new = _oldest([p for p in running if work.updated(p)])
    old = _oldest([p for p in running if not work.updated(p)])
    for pod in (*new[1:], *old[1:]):
        work.delete[pod.metadata.uid] = pod
    if new and old and (work.available(new[0]) or not work.available(old[0])):
        work.delete[old[0].metadata.uid] = old[0]


def _limits(daemonset: DaemonSet, desired: int) -> tuple[int, int]:
    """maxSurge and maxUnavailable in pods."""
    strategy = daemonset.spec.updateStrategy
    rolling = strategy.rollingUpdate
    if strategy.type != "RollingUpdate" or rolling is None:
        return 0, 1
    surge = scaled(rolling.maxSurge if rolling.maxSurge is not None else 0, desired, True)
    unavailable = scaled(rolling.maxUnavailable if rolling.maxUnavailable is not None else 1, desired, True)
    return surge, unavailable if surge or unavailable else 1


def _roll(work: _Work, verdicts: Mapping[str, tuple[bool, bool]]) -> None:
    """Replace pods of older templates, as many at a time as the strategy allows."""
    desired = sum(run for run, _ in verdicts.values())
    surge, unavailable = _limits(work.daemonset, desired)
    used = 0
    at_once: list[Any] = []
    later: list[Any] = []
    for name, (run, _) in verdicts.items():
        pods = [p for p in work.by_node.get(name, ()) if p.metadata.deletionTimestamp is None]
        if not pods and not run:
            continue
        new: list[Pod] = []
        old: list[Pod] = []
        for p in pods:
            (new if work.updated(p) else old).append(p)
        if surge:
            if len(new) > 1 or len(old) > 1 or not old:
                continue
            if new:
                used += 1
            elif not work.available(old[0]):
                at_once.append(name)
                used += 1
            else:
                later.append(name)
            continue
        if len(new) > 1 or len(old) > 1 or bool(new) == bool(old):
            used += 1
        elif new:
            used += not work.available(new[0])
        elif not work.available(old[0]):
            at_once.append(old[0])
            used += 1
        else:
            later.append(old[0])
    room = max(0, (surge or unavailable) - used)
    chosen = [*at_once, *later[:room]]
    if surge:
        work.create.extend(chosen)
    else:
        work.delete.update({p.metadata.uid: p for p in chosen})


def _status(work: _Work, verdicts: Mapping[str, tuple[bool, bool]]) -> tuple[Action, ...]:
    daemonset = work.daemonset
    desired = current = misscheduled = ready = available = updated = 0
    min_ready_s = daemonset.spec.minReadySeconds
    for name, (run, _) in verdicts.items():
        pods = work.by_node.get(name, [])
        if not run:
            misscheduled += bool(pods)
            continue
        desired += 1
        if not pods:
            continue
        current += 1
        pod = _oldest(pods)[0]
        if is_ready(pod):
            ready += 1
            available += not min_ready_s or work.available(pod)
        updated += work.updated(pod)  # while surging, the new pod counts when it is the only one
    status = msgspec.structs.replace(
        daemonset.status,
        observedGeneration=daemonset.metadata.generation,
        desiredNumberScheduled=desired,
        currentNumberScheduled=current,
        numberMisscheduled=misscheduled,
        numberReady=ready,
        updatedNumberScheduled=updated,
        numberAvailable=available,
        numberUnavailable=desired - available,
    )
    if status == daemonset.status:
        return ()
    return (Update(DAEMONSET, msgspec.structs.replace(daemonset, status=status), "status"),)


def _matches(owner: Any, labels: Mapping[str, str]) -> bool:
    return selects(owner.spec.selector, labels)


def _node_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """A node concerns the DaemonSets for which it begins or stops to fit."""
    same = old is not None and new is not None and old.metadata.labels == new.metadata.labels
    if same and old.spec.taints == new.spec.taints:
        return ()
    out: list[Key] = []
    for daemonset in views(DAEMONSET).list():
        verdict = placement(pod_spec(daemonset))
        before = verdict(old) if old is not None else _UNFIT
        after = verdict(new) if new is not None else _UNFIT
        if before != after:
            out.append((daemonset.metadata.namespace, daemonset.metadata.name))
    return out


CONTROLLER = Controller(
    name="daemonset",
    identity="daemon-set-controller",
    component="daemonset-controller",
    watches=(
        Watch(DAEMONSET),
        Watch(POD, owner_keys(DAEMONSET, _matches), (changes.OF_DAEMONSET | changes.ORPHAN,)),
        Watch(REVISION, owner_keys(DAEMONSET, _matches)),
        Watch(NODE, _node_keys),
    ),
    gather=gather,
    reconcile=reconcile,
)
