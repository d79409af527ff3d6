"""The status of a Deployment: counts, the conditions Available, Progressing and ReplicaFailure, the progress deadline.

Pure; each function takes the status so far and returns the next one. Conditions keep ``lastTransitionTime`` while their
status stays, and are left untouched while status and reason stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pelamis.api.apps.deployment import Deployment, DeploymentCondition, DeploymentStatus
from pelamis.api.apps.replicaset import ReplicaSet
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.reconcile import rollout

NO_DEADLINE = 2**31 - 1
TIMED_OUT = "ProgressDeadlineExceeded"
AVAILABLE = "NewReplicaSetAvailable"


def condition(status: DeploymentStatus, type: str) -> DeploymentCondition | None:
    return next((c for c in status.conditions if c.type == type), None)


def has_deadline(deployment: Deployment) -> bool:
    deadline = deployment.spec.progressDeadlineSeconds
    return deadline is not None and deadline != NO_DEADLINE


def _set(status: DeploymentStatus, new: DeploymentCondition) -> DeploymentStatus:
    current = condition(status, new.type)
    if current is not None:
        if current.status == new.status and current.reason == new.reason:
            return status
        if current.status == new.status:
            new = msgspec.structs.replace(new, lastTransitionTime=current.lastTransitionTime)
    others = tuple(c for c in status.conditions if c.type != new.type)
    return msgspec.structs.replace(status, conditions=(*others, new))


def _without(status: DeploymentStatus, type: str) -> DeploymentStatus:
    if condition(status, type) is None:
        return status
    return msgspec.structs.replace(status, conditions=tuple(c for c in status.conditions if c.type != type))


def _made(type: str, status: str, reason: str, message: str, now: float) -> DeploymentCondition:
    at = rfc3339(now)
    return DeploymentCondition(
        type=type, status=status, lastUpdateTime=at, lastTransitionTime=at, reason=reason, message=message
    )


def with_progress(
    deployment: Deployment, status: DeploymentStatus, value: str, reason: str, message: str, now: float
) -> DeploymentStatus:
    if not has_deadline(deployment):
        return status
    return _set(status, _made("Progressing", value, reason, message, now))


def with_found(deployment: Deployment, status: DeploymentStatus, name: str, now: float) -> DeploymentStatus:
    """A ReplicaSet of the template was there already: progress is counted from now on."""
    if condition(status, "Progressing") is not None:
        return status
    return with_progress(deployment, status, "True", "FoundNewReplicaSet", f'Found new replica set "{name}"', now)


def with_pause(deployment: Deployment, status: DeploymentStatus, now: float) -> DeploymentStatus:
    """The deadline does not run while a Deployment is paused."""
    if not has_deadline(deployment):
        return status
    current = condition(status, "Progressing")
    if current is not None and current.reason == TIMED_OUT:
        return status
    paused = current is not None and current.reason == "DeploymentPaused"
    if deployment.spec.paused and not paused:
        return with_progress(deployment, status, "Unknown", "DeploymentPaused", "Deployment is paused", now)
    if not deployment.spec.paused and paused:
        return with_progress(deployment, status, "Unknown", "DeploymentResumed", "Deployment is resumed", now)
    return status


def counted(
    deployment: Deployment, status: DeploymentStatus, sets: Sequence[ReplicaSet], new: ReplicaSet | None, now: float
) -> DeploymentStatus:
    """The numbers, and the condition Available."""
    available = sum(s.status.availableReplicas for s in sets)
    wanted = sum(1 if s.spec.replicas is None else s.spec.replicas for s in sets)
    status = msgspec.structs.replace(
        status,
        observedGeneration=deployment.metadata.generation,
        replicas=sum(s.status.replicas for s in sets),
        updatedReplicas=new.status.replicas if new is not None else 0,
        readyReplicas=sum(s.status.readyReplicas for s in sets),
        availableReplicas=available,
        unavailableReplicas=max(0, wanted - available),
        terminatingReplicas=sum(s.status.terminatingReplicas or 0 for s in sets),
    )
    if available >= rollout.wanted(deployment) - rollout.max_unavailable(deployment):
        made = _made("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
    else:
        made = _made(
            "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", now
        )
    return _set(status, made)


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    wanted = rollout.wanted(deployment)
    return (
        status.updatedReplicas == wanted
        and status.replicas == wanted
        and status.availableReplicas == wanted
        and status.observedGeneration >= deployment.metadata.generation
    )


def _is_progressing(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    return (
        new.updatedReplicas > old.updatedReplicas
        or new.replicas - new.updatedReplicas < old.replicas - old.updatedReplicas
        or new.readyReplicas > old.readyReplicas
        or new.availableReplicas > old.availableReplicas
    )


def _deadline(deployment: Deployment, current: DeploymentCondition) -> float:
    since = parse_rfc3339(current.lastUpdateTime) if current.lastUpdateTime else 0.0
    return since + (deployment.spec.progressDeadlineSeconds or 0)


def _has_timed_out(deployment: Deployment, status: DeploymentStatus, now: float) -> bool:
    current = condition(status, "Progressing")
    if current is None or not has_deadline(deployment) or current.reason == AVAILABLE:
        return False
    return current.reason == TIMED_OUT or _deadline(deployment, current) < now


def rolled(
    deployment: Deployment, status: DeploymentStatus, sets: Sequence[ReplicaSet], new: ReplicaSet | None, now: float
) -> DeploymentStatus:
    """``counted``, and the conditions Progressing and ReplicaFailure of a rollout."""
    out = counted(deployment, status, sets, new, now)
    what = f'ReplicaSet "{new.metadata.name}"' if new is not None else f'Deployment "{deployment.metadata.name}"'
    if not has_deadline(deployment):
        out = _without(out, "Progressing")
    else:
        current = condition(status, "Progressing")
        done = out.replicas == out.updatedReplicas and current is not None and current.reason == AVAILABLE
        if not done:
            out = _progress(deployment, status, out, what, now)
    failures = [c for c in new.status.conditions if c.type == "ReplicaFailure"] if new is not None else []
    if not failures:
        failures = [c for s in sets for c in s.status.conditions if c.type == "ReplicaFailure"]
    if not failures:
        return _without(out, "ReplicaFailure")
    first = failures[0]
    made = DeploymentCondition(
        type="ReplicaFailure",
        status=first.status,
        lastTransitionTime=first.lastTransitionTime,
        lastUpdateTime=first.lastTransitionTime,
        reason=first.reason,
        message=first.message,
    )
    return _set(out, made)


def _progress(
    deployment: Deployment, before: DeploymentStatus, out: DeploymentStatus, what: str, now: float
) -> DeploymentStatus:
    if is_complete(deployment, out):
        return with_progress(deployment, out, "True", AVAILABLE, f"{what} has successfully progressed.", now)
    if _is_progressing(deployment.status, out):
        made = _made("Progressing", "True", "ReplicaSetUpdated", f"{what} is progressing.", now)
        current = condition(before, "Progressing")
        if current is not None and current.status == "True":
            made = msgspec.structs.replace(made, lastTransitionTime=current.lastTransitionTime)
        # removed first, so that lastUpdateTime moves with every progress
        return _set(_without(out, "Progressing"), made)
    if _has_timed_out(deployment, out, now):
        return with_progress(deployment, out, "False", TIMED_OUT, f"{what} has timed out progressing.", now)
    return out


def stuck_at(deployment: Deployment, status: DeploymentStatus, now: float) -> float | None:
    """When to look again whether the deadline has passed."""
    current = condition(status, "Progressing")
    if current is None or not has_deadline(deployment) or deployment.spec.paused:
        return None
    if current.reason in (TIMED_OUT, AVAILABLE) or is_complete(deployment, status):
        return None
    return max(_deadline(deployment, current), now) + 1.0
