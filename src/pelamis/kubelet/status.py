"""A pod's status, built from the machine's picture: pure, total, and the same for the same picture.

Container states, phase, reasons, messages and conditions follow upstream's kubelet. What others have written into the
status (readiness gates, scheduler's conditions) is kept; a finished phase never goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import astuple

from pelamis.api.core.pod.container import ResourceRequirements
from pelamis.api.core.pod.qos import qos_class
from pelamis.api.core.pod.status import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    ContainerUser,
    HostIP,
    LinuxContainerUser,
    PodCondition,
    PodIP,
    PodStatus,
    VolumeMountStatus,
)
from pelamis.base import quantity
from pelamis.base.clock import rfc3339
from pelamis.kubelet.actions import Run
from pelamis.kubelet.podstate import RESTART_ALL, PodState, Slot
from pelamis.kubelet.resources import effective

RESIZE_PENDING, RESIZE_IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
RESIZES = (RESIZE_PENDING, RESIZE_IN_PROGRESS)
"""Conditions that are there only while they are true."""
RESTARTING = "AllContainersRestarting"
"""Of pods with a restart rule that can restart all their containers."""
OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
_OURS = frozenset((*OWNED, *RESIZES, RESTARTING))
_AT_TIMES = (*RESIZES, RESTARTING, "DisruptionTarget")
_OURS_AT_TIMES = frozenset((*OWNED, *_AT_TIMES))
TERMINAL = ("Succeeded", "Failed")


def _binary(amount: int) -> str:
    return quantity.from_int(amount, "BinarySI")


_UNITS = (
    ("cpu", quantity.milli, quantity.from_milli),
    ("memory", quantity.value, _binary),
    ("ephemeral-storage", quantity.value, _binary),
)


@dataclass(frozen=True, slots=True)
class Host:
    """The node's part of every status. runtime: the prefix of container ids (``containerd``).

    totals: whether the sums of a pod's containers are told, too; otherwise only what is declared for the whole pod.
    """

    ips: tuple[str, ...] = ()
    runtime: str = "containerd"
    totals: bool = False


def build(state: PodState, host: Host, now: float, old: PodStatus | None = None) -> PodStatus:
    """old: the status built before (the API's at first): what has not changed keeps its transition times.

    What others write is taken from the pod as the API has it.
    """
    pod, api = state.pod, state.pod.status
    old = api if old is None else old
    has_init = bool(pod.spec.initContainers)
    kept = {c.name: c for c in (*old.initContainerStatuses, *old.containerStatuses, *old.ephemeralContainerStatuses)}
    ended = state.ending is not None
    first = "PodInitializing" if has_init else "ContainerCreating"
    inits: list[ContainerStatus] = []
    mains: list[ContainerStatus] = []
    others: list[ContainerStatus] = []
    for slot in state.slots.values():
        before = kept.get(slot.name)
        if slot.kind == "main":
            mains.append(_container(state, slot, before, first, host))
        elif slot.kind == "ephemeral":
            others.append(_container(state, slot, before, "ContainerCreating", host))
        else:
            inits.append(_container(state, slot, before, "PodInitializing", host))
    if len(mains) > 1:
        mains.sort(key=lambda c: c.name)
    init, main, ephemeral = tuple(inits), tuple(mains), tuple(others)
    phase = _phase(state, init, main, old.phase)
    if old.phase in TERMINAL:
        phase = old.phase
    elif state.ending is not None and state.ending.cause == "evicted":
        phase = "Failed"
    elif phase in TERMINAL and state.running() and ended:
        phase = old.phase or "Pending"  # sidecars are still being stopped
    elif state.ending is not None and state.ending.reason and state.clean != "no":
        phase = "Failed"
    reason, message = old.reason, old.message
    if state.ending is not None and state.ending.reason:
        reason, message = state.ending.reason, state.ending.message
    ips = _pod_ips(state, host)
    if not ips and (ended or state.sandbox is None or not state.sandbox.ready):
        ips = tuple(ip.ip for ip in old.podIPs)
    status = PodStatus(
        observedGeneration=pod.metadata.generation,
        phase=phase,
        conditions=_conditions(state, phase, init, main, now, old),
        message=message,
        reason=reason,
        nominatedNodeName=api.nominatedNodeName,
        hostIP=host.ips[0] if host.ips else "",
        hostIPs=tuple(HostIP(ip=ip) for ip in host.ips),
        podIP=ips[0] if ips else "",
        podIPs=tuple(PodIP(ip=ip) for ip in ips),
        startTime=rfc3339(state.started_at),
        initContainerStatuses=init,
        containerStatuses=main,
        qosClass=old.qosClass or qos_class(pod),
        ephemeralContainerStatuses=ephemeral,
        resize=api.resize,
        **_whole(state, old, host),
        resourceClaimStatuses=api.resourceClaimStatuses,
        extendedResourceClaimStatus=api.extendedResourceClaimStatus,
        volumeHealth=api.volumeHealth,
    )
    return status


def rejected(pod: Any, reason: str, message: str, now: float) -> PodStatus:
    """The status of a pod that the node does not admit."""
    return PodStatus(
        phase="Failed",
        reason=reason,
        message=message,
        startTime=rfc3339(now),
        observedGeneration=pod.metadata.generation,
        conditions=pod.status.conditions,
        qosClass=qos_class(pod),
    )


def _pod_ips(state: PodState, host: Host) -> tuple[str, ...]:
    if state.sandbox is None:
        return ()
    return host.ips if state.pod.spec.hostNetwork else state.sandbox.ips


# --- containers -------------------------------------------------------------------------------------------------------


def _terminated(run: Run, host: Host) -> ContainerStateTerminated:
    reason = run.reason or ("Completed" if run.exit_code == 0 else "Error")
    return ContainerStateTerminated(
        exitCode=run.exit_code,
        reason=reason,
        message=run.message,
        startedAt=rfc3339(run.started_at) if run.started_at else rfc3339(0),
        finishedAt=rfc3339(run.finished_at) if run.finished_at else rfc3339(0),
        containerID=f"{host.runtime}://{run.id}",
    )


def _container(state: PodState, slot: Slot, old: ContainerStatus | None, default: str, host: Host) -> ContainerStatus:
    run, spec = slot.current, slot.spec
    last = ContainerState()
    if slot.last is not None:
        last = ContainerState(terminated=_terminated(slot.last, host))
    reason, message = slot.waiting
    restarts = slot.restarts
    if run is None:
        if old is not None and old.containerID and (state.ending is not None):
            return old if old.state.terminated else _lost(old)
        if old is not None and old.containerID and old.state.terminated:
            last = ContainerState(terminated=old.state.terminated)
        current = ContainerState(waiting=ContainerStateWaiting(reason=reason or default, message=message))
    elif run.state == "running":
        current = ContainerState(running=ContainerStateRunning(startedAt=rfc3339(run.started_at)))
    elif run.state == "exited":
        retrying = state.ending is None and (slot.pending or slot.restartable(state.pod)) and bool(reason)
        if retrying and slot.kind != "ephemeral":
            last = ContainerState(terminated=_terminated(run, host))
            current = ContainerState(waiting=ContainerStateWaiting(reason=reason, message=message))
        else:
            current = ContainerState(terminated=_terminated(run, host))
    else:
        current = ContainerState(waiting=ContainerStateWaiting(reason=reason or default, message=message))
    running = run is not None and run.state == "running"
    started = slot.started and running
    if slot.kind == "init":
        ready = run is not None and run.state == "exited" and run.exit_code == 0
        started = started and running
    else:
        ready = slot.ready and running and slot.kind != "ephemeral"
    resources = None
    allocated: dict[str, str] = {}
    if slot.kind != "ephemeral" and run is not None:
        applied = slot.applied if slot.applied is not None and running else spec.resources
        limits = applied.limits if spec.resources.limits else {}
        resources = ResourceRequirements(limits=limits, requests=applied.requests)
        allocated = spec.resources.requests
    return ContainerStatus(
        name=slot.name,
        state=current,
        lastState=last,
        ready=ready,
        restartCount=restarts,
        image=(run.image if run is not None else "") or spec.image,
        imageID=run.image_ref if run is not None else "",
        containerID=f"{host.runtime}://{run.id}" if run is not None else "",
        started=started,
        allocatedResources=allocated,
        resources=resources,
        volumeMounts=tuple(
            VolumeMountStatus(
                name=mount.name,
                mountPath=mount.mountPath,
                readOnly=mount.readOnly,
                recursiveReadOnly=(mount.recursiveReadOnly or "Disabled") if mount.readOnly else None,
            )
            for mount in spec.volumeMounts
        ),
        user=_user(run),
    )


def _whole(state: PodState, old: PodStatus, host: Host) -> dict[str, Any]:
    """Resources of the pod as a whole: granted, and in effect."""
    pod = state.pod
    declared = pod.spec.resources
    if declared is None and not host.totals:
        return {}
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for name, unit, make in _UNITS:
        amount, _ = effective(pod, "requests", name, unit)
        if amount:
            requests[name] = (declared.requests.get(name) if declared is not None else "") or make(amount)
        amount, complete = effective(pod, "limits", name, unit)
        if amount and complete:
            limits[name] = (declared.limits.get(name) if declared is not None else "") or make(amount)
    if declared is not None:
        requests |= {n: v for n, v in declared.requests.items() if n not in requests}
        limits |= {n: v for n, v in declared.limits.items() if n not in limits}
    if not requests and not limits:
        return {}
    running = state.resize is not None and state.resize.active and old.resources is not None
    current = old.resources if running else ResourceRequirements(limits=limits, requests=requests)
    return {"allocatedResources": requests, "resources": current}


def _user(run: Run | None) -> ContainerUser | None:
    if run is None or run.user is None:
        return None
    uid, gid, groups = run.user
    return ContainerUser(linux=LinuxContainerUser(uid=uid, gid=gid, supplementalGroups=tuple(groups)))


def _lost(old: ContainerStatus) -> ContainerStatus:
    """A container that the API knows and the runtime does not, of a pod that ends."""
    return ContainerStatus(
        name=old.name,
        state=ContainerState(
            terminated=ContainerStateTerminated(
                exitCode=137,
                reason="ContainerStatusUnknown",
                message="The container could not be located when the pod was terminated",
                containerID=old.containerID,
                startedAt=rfc3339(0),
                finishedAt=rfc3339(0),
            )
        ),
        lastState=old.lastState,
        restartCount=old.restartCount,
        image=old.image,
        imageID=old.imageID,
        containerID=old.containerID,
        started=False,
        allocatedResources=old.allocatedResources,
        resources=old.resources,
        volumeMounts=old.volumeMounts,
    )


# --- phase ------------------------------------------------------------------------------------------------------------


def _phase(state: PodState, init: Sequence[ContainerStatus], main: Sequence[ContainerStatus], before: str) -> str:
    pod = state.pod
    if state.init_failed():
        return "Failed"
    ended = state.ending is not None
    if not state.init_done() and not any(c.state.running or c.state.terminated for c in main) and not ended:
        return "Pending"
    running = waiting = stopped = succeeded = 0
    for status in main:
        if status.state.running is not None:
            running += 1
        elif status.state.terminated is not None:
            stopped += 1
            succeeded += status.state.terminated.exitCode == 0
        elif status.lastState.terminated is not None:
            stopped += 1
        else:
            waiting += 1
    if ended:  # nothing starts any more: what never ran counts as failed once everything has stopped
        if running or state.running() or not _quiet(state):
            return before or ("Running" if running else "Pending")
        return "Succeeded" if main and succeeded == len(main) else "Failed"
    if waiting:
        return "Pending"
    if running:
        return "Running"
    if stopped:
        if stopped == succeeded and all(not slot.restartable(pod) for slot in state.of_kind("main")):
            return "Succeeded"
        if any(slot.restartable(pod) or slot.restart_now or slot.pending for slot in state.of_kind("main")):
            return "Running"
        return "Failed"
    return "Pending"


def _quiet(state: PodState) -> bool:
    """The pod's processes are gone for good: its sandbox was stopped, or it never had one."""
    return (state.sandbox is None or state.sandbox_stopped) and not state.sandbox_busy


# --- conditions -------------------------------------------------------------------------------------------------------


def _conditions(
    state: PodState,
    phase: str,
    init: Sequence[ContainerStatus],
    main: Sequence[ContainerStatus],
    now: float,
    previous: PodStatus,
) -> tuple[PodCondition, ...]:
    pod = state.pod
    old = {c.type: c for c in pod.status.conditions if c.type not in _OURS}
    for condition in previous.conditions:
        if condition.type in _OURS:
            old[condition.type] = condition
    sandboxed = state.sandbox is not None and state.sandbox.ready and bool(state.sandbox.ips or pod.spec.hostNetwork)
    containers_ready = _containers_ready(state, phase, main)
    wanted = [
        ("PodReadyToStartContainers", "True" if sandboxed else "False", "", ""),
        _initialized(state, phase, init),
        _ready(pod, containers_ready, old),
        ("ContainersReady", *containers_ready),
        ("PodScheduled", "True", "", ""),
    ]
    if _may_restart_all(state):
        wanted.append((RESTARTING, *_restarting(state, phase)))
    if state.ending is not None and state.ending.condition is not None:
        type_, reason, message = state.ending.condition
        wanted.append((type_, "True", reason, message))
    out = _resize_conditions(state, old, now)
    generation, at = pod.metadata.generation, rfc3339(now)
    for type_, status, reason, message in wanted:
        before = old.pop(type_, None)
        out.append(
            PodCondition(
                type=type_,
                observedGeneration=generation,
                status=status,
                lastTransitionTime=before.lastTransitionTime if before is not None and before.status == status else at,
                reason=reason,
                message=message,
            )
        )
    out.extend(old.values())
    return tuple(out)


def _may_restart_all(state: PodState) -> bool:
    for slot in state.slots.values():
        for rule in slot.spec.restartPolicyRules:
            if rule.action == RESTART_ALL:
                return True
    return False


def _resize_conditions(state: PodState, old: dict[str, PodCondition], now: float) -> list[PodCondition]:
    """Taken out of ``old``: they stay only as long as they are true."""
    resize = state.resize
    before = {type_: old.pop(type_, None) for type_ in RESIZES}
    if resize is None or state.ending is not None:
        return []
    wanted = []
    if resize.pending is not None:
        wanted.append((RESIZE_PENDING, resize.pending.reason, resize.pending.message, resize.pending.generation))
    if resize.active:
        wanted.append((RESIZE_IN_PROGRESS, "Error" if resize.error else "", resize.error, resize.generation))
    out = []
    for type_, reason, message, generation in wanted:
        known = before[type_]
        out.append(
            PodCondition(
                type=type_,
                observedGeneration=generation,
                status="True",
                lastTransitionTime=known.lastTransitionTime if known is not None else rfc3339(now),
                reason=reason,
                message=message,
            )
        )
    return out


def _restarting(state: PodState, phase: str) -> tuple[str, str, str]:
    if phase in TERMINAL:
        return "False", "PodCompleted" if phase == "Succeeded" else "PodFailed", ""
    if not state.restarting:
        return "False", "", ""
    return "True", "RestartAllContainersStarted", "container exited with restart policy rule"


def _initialized(state: PodState, phase: str, init: Sequence[ContainerStatus]) -> tuple[str, str, str, str]:
    if not init:
        return "Initialized", "True", "PodCompleted" if phase == "Succeeded" else "", ""
    if phase == "Succeeded":
        return "Initialized", "True", "PodCompleted", ""
    if state.init_done() and not state.init_failed():
        return "Initialized", "True", "", ""
    kinds = {slot.name: slot.kind for slot in state.slots.values()}
    incomplete = [c.name for c in init if not (c.started if kinds.get(c.name) == "sidecar" else c.ready)]
    text = f"containers with incomplete status: [{' '.join(incomplete)}]"
    return "Initialized", "False", "ContainersNotInitialized", text


def _containers_ready(state: PodState, phase: str, main: Sequence[ContainerStatus]) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    sidecars = [slot.name for slot in state.of_kind("sidecar") if not slot.ready]
    unready = [*sidecars, *(c.name for c in main if not c.ready)]
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return "True", "", ""


def _ready(pod: Any, containers: tuple[str, str, str], old: dict[str, PodCondition]) -> tuple[str, str, str, str]:
    status, reason, message = containers
    if status != "True":
        return "Ready", status, reason, message
    missing = []
    for gate in pod.spec.readinessGates:
        condition = old.get(gate.conditionType)
        if condition is None:
            text = f'corresponding condition of pod readiness gate "{gate.conditionType}" does not exist.'
            missing.append(text)
        elif condition.status != "True":
            text = f'the status of pod readiness gate "{gate.conditionType}" is not "True", but {condition.status}'
            missing.append(text)
    if missing:
        return "Ready", "False", "ReadinessGatesNotReady", ", ".join(missing)
    return "Ready", "True", "", ""


# --- the difference as a patch ----------------------------------------------------------------------------------------


def difference(uid: str, old: PodStatus, new: PodStatus) -> Any:
    """``patch``, of statuses that are not yet trees: only what differs is made one."""
    body: dict[str, Any] = {}
    for name, before, after in zip(PodStatus.__struct_fields__, astuple(old), astuple(new), strict=True):
        if before is after or before == after:
            continue
        if name == "conditions":
            known = {c.type: c for c in before}
            changed = [
                _changed(known.get(c.type), c) for c in after if c.type in _OURS_AT_TIMES and known.get(c.type) != c
            ]
            told = {c.type for c in after}
            changed += [_gone(type_) for type_ in RESIZES if type_ in known and type_ not in told]
            if changed:
                body[name] = changed
        elif name in ("podIPs", "hostIPs"):
            body[name] = _addresses_changed(_tree(before) or (), _tree(after) or ())
        else:
            body[name] = _tree(after)
    return {"metadata": {"uid": uid}, "status": body} if body else None


def _changed(before: PodCondition | None, after: PodCondition) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(after)
    return {**dict.fromkeys(msgspec.to_builtins(before)), **tree} if before is not None else tree


def _gone(type_: str) -> dict[str, str]:
    return {"$patch": "delete", "type": type_}


def _tree(value: Any) -> Any:
    """None for what is left out: what is empty."""
    return msgspec.to_builtins(value) if value else None


def patch(uid: str, old: dict[str, Any], new: dict[str, Any], owned: frozenset[str] = frozenset(OWNED)) -> Any:
    """A strategic merge patch of the status subresource that turns ``old`` into ``new``; None when they are equal.

    Both are trees of PodStatus. Conditions are merged by type, so that those of others are not touched; addresses
    that are no longer there are deleted by their key.
    """
    body: dict[str, Any] = {}
    for name in {*old, *new}:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name == "conditions":
            changed = _conditions_changed(before or (), after or (), owned)
            if changed:
                body[name] = changed
        elif name in ("podIPs", "hostIPs"):
            body[name] = _addresses_changed(before or (), after or ())
        else:
            body[name] = after
    if not body:
        return None
    return {"metadata": {"uid": uid}, "status": body}


def _conditions_changed(before: Sequence[Any], after: Sequence[Any], owned: frozenset[str]) -> list[dict[str, Any]]:
    known = {c["type"]: c for c in before}
    changed = [
        {**dict.fromkeys(known.get(c["type"], ())), **c}  # what is no longer said is taken away by a null
        for c in after
        if known.get(c["type"]) != c and (c["type"] in owned or c["type"] in _AT_TIMES)
    ]
    told = {c["type"] for c in after}
    return changed + [_gone(type_) for type_ in RESIZES if type_ in known and type_ not in told]


def _addresses_changed(before: Sequence[Any], after: Sequence[Any]) -> list[dict[str, Any]]:
    gone = {ip["ip"] for ip in before} - {ip["ip"] for ip in after}
    return [*({"$patch": "delete", "ip": ip} for ip in sorted(gone)), *after]
