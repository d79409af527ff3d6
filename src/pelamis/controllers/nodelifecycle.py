"""Node lifecycle: notices nodes that went silent, and taints nodes by their conditions.

Two sorts of keys. A node's own key watches its heartbeat (lease or status; when one of them was last *seen* to change,
by this process's clock, is remembered between reconciles; the lease of a node that is well is only looked at when the
grace period would end without it) and, after the grace period, sets its conditions to Unknown;
keeps the NoSchedule taints equal to the conditions; marks the pods of a node that stopped being ready as not ready.

The key of all nodes, ("", ""), gives and takes the NoExecute taints that evict pods. How fast depends on how much of a
zone is down: one node in 10 s normally; slower, or not at all, when most of the zone is down, since then the fault is
more likely in between; and when all zones are down, nothing is evicted and the taints are taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.node import Node, NodeCondition
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.reference import ObjectReference
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.client.types import Action, Key, Patch, Update
from pelamis.reconcile import changes
from pelamis.reconcile import nodehealth as health
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.podstate import is_finished, is_ready
from pelamis.reconcile.spec import Controller, Views, Watch

LEASES = "kube-node-lease"
ALL_NODES = ("", "")
GRACE_S = 50.0
STARTUP_GRACE_S = 60.0
EVICTIONS_PER_S = 0.1
SLOW_EVICTIONS_PER_S = 0.01
LARGE_ZONE = 50
UNHEALTHY_SHARE = 0.55
MARK_AGAIN_S = 10.0
WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_LABELS = (("beta.kubernetes.io/os", "kubernetes.io/os"), ("beta.kubernetes.io/arch", "kubernetes.io/arch"))


@dataclass(frozen=True, slots=True)
class Seen:
    """renewed, heartbeat: the last values; at: when one of them was seen to change; ready: the last Ready status.

    marked_at: when its pods were last marked as not ready.
    """

    renewed: str
    heartbeat: str
    at: float
    ready: str
    marked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeWorld:
    name: str
    node: Node | None
    renewed: str
    pods: Callable[[], Sequence[Pod]]
    seen: Seen | None
    grace_s: float
    startup_grace_s: float
    promised: float = 0.0
    """Until when the node is known to renew its lease without being asked to show it."""
    renewed_at: float = 0.0
    """When the lease was last seen to change; 0 = not since the start."""


@dataclass(frozen=True, slots=True)
class ZonesWorld:
    """evicted: when each zone's last node got its NoExecute taint."""

    nodes: Sequence[Node]
    evicted: dict[str, float]


def reconcile(world: Any, now: float) -> Plan:
    return _zones(world, now) if isinstance(world, ZonesWorld) else _node(world, now)


def _reference(node: Node) -> ObjectReference:
    return ObjectReference(kind="Node", apiVersion="v1", name=node.metadata.name, uid=node.metadata.uid)


def _node(world: NodeWorld, now: float) -> Plan:
    node, seen = world.node, world.seen
    if node is None:
        if seen is None:
            return NOTHING
        # a node that is gone has no uid to refer to: its name stands for it
        ref = ObjectReference(kind="Node", apiVersion="v1", name=world.name, uid=world.name)
        message = f"Node {world.name} event: Removing Node {world.name} from Controller"
        return Plan(events=(EventNote(ref, "Normal", "RemovingNode", message),), memo=None)
    events: list[EventNote] = []
    if seen is None:
        message = f"Node {world.name} event: Registered Node {world.name} in Controller"
        events.append(EventNote(_reference(node), "Normal", "RegisteredNode", message))
    ready = health.condition(node, "Ready")
    heartbeat = ready.lastHeartbeatTime if ready is not None and ready.status != "Unknown" else ""
    grace = world.grace_s
    if ready is None and not world.renewed:
        # it has never said anything: it gets a little longer, from its creation on
        at = parse_rfc3339(node.metadata.creationTimestamp) if node.metadata.creationTimestamp else now
        grace = world.startup_grace_s
        fresh = Seen(world.renewed, heartbeat, max(at, seen.at if seen is not None else at), "")
    elif seen is None or seen.renewed != world.renewed or (heartbeat and seen.heartbeat != heartbeat):
        marked_at = seen.marked_at if seen is not None else 0.0
        at = now if seen is None or (heartbeat and seen.heartbeat != heartbeat) else world.renewed_at or now
        fresh = Seen(world.renewed, heartbeat, at, seen.ready if seen is not None else "", marked_at)
    else:
        fresh = seen
    deadline = max(fresh.at, world.promised) + grace
    silent = now >= deadline
    status = ready.status if ready is not None else ""
    actions: list[Action] = []
    if silent:
        conditions = _unknown(node, now)
        if conditions != node.status.conditions:
            status = "Unknown"
            changed = msgspec.structs.replace(node.status, conditions=conditions)
            actions.append(Update(NODE, msgspec.structs.replace(node, status=changed), "status"))
    if not actions:
        taints = health.no_schedule_taints(node, now)
        labels = {new: node.metadata.labels[old] for old, new in _LABELS if _lacks(node, old, new)}
        if taints is not None:
            actions.append(health.taint_patch(node, taints))
        elif labels:
            body = {"metadata": {"labels": labels}}
            actions.append(Patch(NODE, "", world.name, body, "strategic"))
    turned = fresh.ready == "True" and status in ("False", "Unknown")
    if turned:
        message = f"Node {world.name} status is now: NodeNotReady"
        events.append(EventNote(_reference(node), "Normal", "NodeNotReady", message))
    again = None if silent else deadline
    if turned or status == "Unknown":
        pods = [p for p in world.pods() if is_ready(p) and not is_finished(p)]
        if pods and not turned and now < fresh.marked_at + MARK_AGAIN_S:
            # its kubelet lives and says otherwise: not as fast as it can answer
            due = fresh.marked_at + MARK_AGAIN_S
            again = due if again is None else min(again, due)
        elif pods:
            fresh = replace(fresh, marked_at=now)
            for pod in pods:
                actions.append(_not_ready(pod, now))
                events.append(EventNote(pod, "Warning", "NodeNotReady", "Node is not ready"))
    fresh = replace(fresh, ready=status)
    return Plan(actions=actions, events=events, memo=fresh if fresh != seen else seen, requeue_at=again)


def _lacks(node: Node, old: str, new: str) -> bool:
    labels = node.metadata.labels
    return old in labels and labels.get(new) != labels[old]


def _unknown(node: Node, now: float) -> tuple[NodeCondition, ...]:
    out = list(node.status.conditions)
    at = rfc3339(now)
    for type in WATCHED:
        index = next((i for i, c in enumerate(out) if c.type == type), None)
        if index is None:
            out.append(
                NodeCondition(
                    type=type,
                    status="Unknown",
                    reason="NodeStatusNeverUpdated",
                    message="Kubelet never posted node status.",
                    lastHeartbeatTime=node.metadata.creationTimestamp,
                    lastTransitionTime=at,
                )
            )
        elif out[index].status != "Unknown":
            out[index] = msgspec.structs.replace(
                out[index],
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                lastTransitionTime=at,
            )
    return tuple(out)


def _not_ready(pod: Pod, now: float) -> Patch:
    body = {"status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": rfc3339(now)}]}}
    return Patch(POD, pod.metadata.namespace, pod.metadata.name, body, "strategic", "status")


def rate(statuses: Sequence[str]) -> float | None:
    """How many nodes of a zone may be evicted in a second, by their Ready statuses; None = the whole zone is down."""
    not_ready = len(statuses) - statuses.count("True")
    if not_ready == len(statuses):
        return None
    if not_ready > 2 and not_ready / len(statuses) >= UNHEALTHY_SHARE:
        return SLOW_EVICTIONS_PER_S if len(statuses) > LARGE_ZONE else 0.0
    return EVICTIONS_PER_S


_NO_EXECUTE = {"False": health.NOT_READY, "Unknown": health.UNREACHABLE}


def _zones(world: ZonesWorld, now: float) -> Plan:
    zones: dict[str, list[tuple[Node, str]]] = {}
    for node in world.nodes:
        zones.setdefault(health.zone(node), []).append((node, health.ready_status(node)))
    rates = {name: rate([status for _, status in nodes]) for name, nodes in zones.items()}
    everything_down = all(r is None for r in rates.values())
    evicted = dict(world.evicted)
    actions: list[Action] = []
    again: list[float] = []
    for name, nodes in zones.items():
        speed = rates[name]
        if speed is None:
            speed = EVICTIONS_PER_S
        for node, status in nodes:
            key = "" if everything_down else _NO_EXECUTE.get(status, "")
            if not key and not node.spec.taints:
                continue
            taints = health.with_no_execute(node, key, now)
            if taints is None:
                continue
            tainted = any(
                t.effect == "NoExecute" and t.key in (health.NOT_READY, health.UNREACHABLE) for t in node.spec.taints
            )
            if key and not tainted:
                if speed == 0.0:
                    continue
                due = evicted.get(name, 0.0) + 1.0 / speed
                if due > now:
                    again.append(due)
                    continue
                evicted[name] = now
            pending = health.no_schedule_taints(node, now) if key else None
            if pending is not None:  # those come first, as upstream; they may not be written yet
                spec = msgspec.structs.replace(node.spec, taints=pending)
                taints = health.with_no_execute(msgspec.structs.replace(node, spec=spec), key, now) or pending
            actions.append(health.taint_patch(node, taints))
    return Plan(actions=actions, memo=evicted, requeue_at=min(again) if again else None)


def _node_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    name = (new if new is not None else old).metadata.name
    same = (
        old is not None
        and new is not None
        and health.ready_status(old) == health.ready_status(new)
        and old.spec.taints == new.spec.taints
        and health.zone(old) == health.zone(new)
    )
    return (("", name),) if same else (("", name), ALL_NODES)


def _lease_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """A renewal is looked at when the node's time would be up without it, unless the node is in trouble."""
    meta = (new if new is not None else old).metadata
    if meta.namespace != LEASES:
        return ()
    key = ("", meta.name)
    views.touch(key)
    seen = views.memo(key)
    # A node that stops being ready is reconciled for that, and then its lease counts at once again.
    # After the clock has stepped back, the time that was reckoned before it would come too late.
    well = seen is not None and seen.ready == "True" and views.touched(key) >= seen.at
    return () if well and old is not None and new is not None else (key,)


def _pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """A pod that is bound to, or becomes ready on, a node that is silent."""
    if new is None or not new.spec.nodeName or not is_ready(new) or (old is not None and is_ready(old)):
        return ()
    node = views(NODE).get("", new.spec.nodeName)
    return (("", new.spec.nodeName),) if node is not None and health.ready_status(node) == "Unknown" else ()


def controller(
    grace_s: float = GRACE_S,
    startup_grace_s: float = STARTUP_GRACE_S,
    promised: Callable[[str], float] = lambda name: 0.0,
) -> Controller:
    """grace_s: how long a node may be silent; startup_grace_s: how long after its creation it may never have spoken.

    promised(name): until when it is known to be alive (a simulator knows that nothing happens for a while).
    """

    def gather(views: Views, key: Key) -> NodeWorld | ZonesWorld | None:
        if key == ALL_NODES:
            return ZonesWorld(views(NODE).list(), views.memo(key) or {})
        name = key[1]
        node = views(NODE).get("", name)
        seen = views.memo(key)
        if node is None and seen is None:
            return None
        lease = views(LEASE).get(LEASES, name)
        renewed = (lease.spec.renewTime or "") if lease is not None else ""
        return NodeWorld(
            name,
            node,
            renewed,
            lambda: views(POD).by_index("node", name),
            seen,
            grace_s,
            startup_grace_s,
            promised(name),
            views.touched(key),
        )

    return Controller(
        name="nodelifecycle",
        identity="node-controller",
        component="node-controller",
        watches=(
            Watch(NODE, _node_keys),
            Watch(LEASE, _lease_keys),
            Watch(POD, _pod_keys, (changes.ADDED | changes.READY, changes.BOUND)),
        ),
        gather=gather,
        reconcile=reconcile,
    )
