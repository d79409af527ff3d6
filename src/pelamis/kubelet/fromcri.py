"""What the runtime reports, as the pod machine's records."""

from __future__ import annotations

from typing import Any, Literal

from pelamis.kubelet import config
from pelamis.kubelet.actions import Run, Sandbox
from pelamis.kubelet.cri import types as cri

_STATES: dict[int, Literal["created", "running", "exited", "unknown"]] = {
    cri.CREATED: "created",
    cri.RUNNING: "running",
    cri.EXITED: "exited",
    cri.UNKNOWN: "unknown",
}


def run(status: cri.ContainerStatus, sandbox_id: str, message: str = "") -> Run:
    """message: the termination message; the runtime's own where it is empty."""
    annotations = status.annotations
    attempt = status.metadata.attempt if status.metadata is not None else 0
    told = annotations.get(config.RESTARTS, "")
    user: Any = None
    if status.user is not None and status.user.linux is not None:
        linux = status.user.linux
        user = (linux.uid, linux.gid, linux.supplemental_groups)
    return Run(
        id=status.id,
        name=status.labels.get(config.CONTAINER_NAME, status.metadata.name if status.metadata else ""),
        attempt=int(told) if told.isdigit() else attempt,
        state=_STATES.get(status.state, "unknown"),
        created_at=status.created_at / 1e9,
        started_at=status.started_at / 1e9,
        finished_at=status.finished_at / 1e9,
        exit_code=status.exit_code,
        reason=status.reason,
        message=message or status.message,
        image=status.image.image if status.image is not None else "",
        image_ref=status.image_ref,
        hash=annotations.get(config.HASH, ""),
        sandbox_id=sandbox_id,
        user=user,
    )


def sandbox(status: cri.PodSandboxStatus) -> Sandbox:
    ips: tuple[str, ...] = ()
    if status.network is not None and status.network.ip:
        ips = (status.network.ip, *(extra.ip for extra in status.network.additional_ips))
    return Sandbox(
        id=status.id,
        attempt=status.metadata.attempt if status.metadata is not None else 0,
        ready=status.state == cri.SANDBOX_READY,
        ips=ips,
        created_at=status.created_at / 1e9,
    )


def listed_sandbox(item: cri.PodSandbox) -> Sandbox:
    """Without addresses."""
    attempt = item.metadata.attempt if item.metadata is not None else 0
    return Sandbox(item.id, attempt, item.state == cri.SANDBOX_READY, (), item.created_at / 1e9)


def listed_run(item: cri.Container) -> Run:
    """Without times and exit code."""
    told = item.annotations.get(config.RESTARTS, "")
    return Run(
        id=item.id,
        name=item.labels.get(config.CONTAINER_NAME, ""),
        attempt=int(told) if told.isdigit() else 0,
        state=_STATES.get(item.state, "unknown"),
        created_at=item.created_at / 1e9,
        sandbox_id=item.pod_sandbox_id,
    )
