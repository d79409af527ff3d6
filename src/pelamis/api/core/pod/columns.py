"""What ``kubectl get pods`` shows: ready containers, a one-word status, restarts."""

from __future__ import annotations

from typing import Any

from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.status import ContainerStatus
from pelamis.api.table import age
from pelamis.base.clock import parse_rfc3339

_NONE = "<none>"


def pod_cells(pod: Pod, now: float) -> tuple[Any, ...]:
    ready, total, reason, restarts, last = summarize(pod)
    shown = str(restarts)
    if restarts and last:
        shown = f"{restarts} ({age(last, now)} ago)"
    status = pod.status
    return (
        pod.metadata.name,
        f"{ready}/{total}",
        reason,
        shown,
        age(pod.metadata.creationTimestamp, now),
        (status.podIPs[0].ip if status.podIPs else "") or _NONE,
        pod.spec.nodeName or _NONE,
        status.nominatedNodeName or _NONE,
        _readiness_gates(pod),
    )


def _readiness_gates(pod: Pod) -> str:
    gates = pod.spec.readinessGates
    if not gates:
        return _NONE
    states: dict[str, str] = {}
    for condition in pod.status.conditions:
        states.setdefault(condition.type, condition.status)
    return f"{sum(states.get(g.conditionType) == 'True' for g in gates)}/{len(gates)}"


def _later(a: str, b: str) -> str:
    if not b:
        return a
    return b if not a or parse_rfc3339(a) < parse_rfc3339(b) else a


def _restarted(status: ContainerStatus) -> str:
    ended = status.lastState.terminated
    return ended.finishedAt if ended is not None else ""


def _condition(pod: Pod, kind: str) -> bool:
    for condition in pod.status.conditions:
        if condition.type == kind:
            return condition.status == "True"
    return False


def summarize(pod: Pod) -> tuple[int, int, str, int, str]:
    """Ready containers, all containers, the status word, restarts, and when the last restart was ("" if never)."""
    spec, status = pod.spec, pod.status
    reason = status.reason or status.phase
    if any(c.type == "PodScheduled" and c.reason == "SchedulingGated" for c in status.conditions):
        reason = "SchedulingGated"
    sidecars = {c.name for c in spec.initContainers if c.restartPolicy == "Always"}
    total, ready, restarts, last = len(spec.containers) + len(sidecars), 0, 0, ""
    sidecar_restarts, sidecar_last = 0, ""
    initializing = False
    for i, container in enumerate(status.initContainerStatuses):
        restarts += container.restartCount
        last = _later(last, _restarted(container))
        sidecar = container.name in sidecars
        if sidecar:
            sidecar_restarts += container.restartCount
            sidecar_last = _later(sidecar_last, _restarted(container))
        ended, waiting = container.state.terminated, container.state.waiting
        if ended is not None and ended.exitCode == 0:
            continue
        if sidecar and container.started:
            ready += container.ready
            continue
        if ended is not None:
            what = f"Signal:{ended.signal}" if ended.signal else f"ExitCode:{ended.exitCode}"
            reason = f"Init:{ended.reason or what}"
        elif waiting is not None and waiting.reason and waiting.reason != "PodInitializing":
            reason = f"Init:{waiting.reason}"
        else:
            reason = f"Init:{i}/{len(spec.initContainers)}"
        initializing = True
        break
    if not initializing or _condition(pod, "Initialized"):
        restarts, last = sidecar_restarts, sidecar_last
        running = False
        for container in reversed(status.containerStatuses):
            restarts += container.restartCount
            last = _later(last, _restarted(container))
            ended, waiting = container.state.terminated, container.state.waiting
            if waiting is not None and waiting.reason:
                reason = waiting.reason
            elif ended is not None:
                what = f"Signal:{ended.signal}" if ended.signal else f"ExitCode:{ended.exitCode}"
                reason = ended.reason or what
            elif container.ready and container.state.running is not None:
                running = True
                ready += 1
        if reason == "Completed" and running:
            reason = "Running" if _condition(pod, "Ready") else "NotReady"
    if pod.metadata.deletionTimestamp:
        if status.reason == "NodeLost":
            reason = "Unknown"
        elif status.phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return ready, total, reason, restarts, last
