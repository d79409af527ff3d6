"""What a hollow node held before its process was started anew, read back from the pod's status. Pure.

A hollow container is nothing but what the API says of it, so it goes on as if it had never been left alone.
"""

from __future__ import annotations

from typing import Any

from pelamis.base.clock import parse_rfc3339
from pelamis.kubelet import actions as a


def _time(text: str) -> float:
    return parse_rfc3339(text) if text else 0.0


def _id(text: str) -> str:
    return text.rpartition("//")[2]


def _ended(name: str, attempt: int, image: tuple[str, str], told: Any, sandbox_id: str) -> a.Run:
    started = _time(told.startedAt)
    return a.Run(
        id=_id(told.containerID),
        name=name,
        attempt=attempt,
        state="exited",
        created_at=started,
        started_at=started,
        finished_at=_time(told.finishedAt),
        exit_code=told.exitCode,
        reason=told.reason,
        message=told.message,
        image=image[0],
        image_ref=image[1],
        sandbox_id=sandbox_id,
    )


def adopted(pod: Any, sandbox_id: str) -> a.Adopted:
    """sandbox_id: the name that the pod's sandbox has."""
    status = pod.status
    runs: list[a.Run] = []
    for told in (*status.initContainerStatuses, *status.containerStatuses, *status.ephemeralContainerStatuses):
        image = (told.image, told.imageID)
        count = told.restartCount
        if told.state.running is not None:
            at = _time(told.state.running.startedAt)
            run = a.Run(_id(told.containerID), told.name, count, "running", at, at, image=image[0], image_ref=image[1])
            run.sandbox_id = sandbox_id
            runs.append(run)
            count -= 1
        elif told.state.terminated is not None:
            runs.append(_ended(told.name, count, image, told.state.terminated, sandbox_id))
            count -= 1
        if told.lastState.terminated is not None and count >= 0:
            runs.append(_ended(told.name, count, image, told.lastState.terminated, sandbox_id))
            if count > 0 and told.state.waiting is not None:  # that it waited a while already is what one more run says
                runs.append(a.Run(f"{runs[-1].id}-", told.name, count - 1, "exited", sandbox_id=sandbox_id))
    runs = [run for run in runs if run.id]
    ready = next((c.status == "True" for c in status.conditions if c.type == "PodReadyToStartContainers"), bool(runs))
    if status.phase in ("Succeeded", "Failed"):
        ready = False
    ips = () if pod.spec.hostNetwork else tuple(ip.ip for ip in status.podIPs)
    if not runs and not (ready and (ips or pod.spec.hostNetwork)):
        return a.Adopted()
    return a.Adopted((a.Sandbox(sandbox_id, 0, ready, ips, _time(status.startTime)),), tuple(runs))
