"""What goes into and out of the pod machine: event records in, instruction records out. Plain data, no behaviour.

Each instruction that takes time ends in exactly one event, which the executor hands back to the machine:

=================  =====================================================
RunSandbox         SandboxStarted | SandboxFailed
StopSandbox        SandboxStopped
MountVolumes       VolumesReady | VolumesFailed
EnsureImage        ImageReady | ImageFailed
StartContainer     ContainerStarted | ContainerFailed
StopContainer      ContainerStopped
Resize             Resized
CleanUp            CleanedUp | CleanUpFailed
=================  =====================================================

Independently of instructions come PodChanged, PodGone, Adopted, ResizeWaits, ContainerExited, SandboxDied, Probed,
Evicted, Tick.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ContainerKind = Literal["init", "sidecar", "main", "ephemeral"]
ProbeKind = Literal["startup", "liveness", "readiness"]


class Run(msgspec.Struct, omit_defaults=True, gc=False):
    """One container of the runtime, present or past. Times in seconds since the epoch, 0 = not yet.

    attempt: how many runs the container had before this one (its restart count). hash: of the declaration it was made
    from. image: as the runtime names it; image_ref: its id or digest.
    """

    id: str
    name: str
    attempt: int = 0
    state: Literal["created", "running", "exited", "unknown"] = "created"
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    image: str = ""
    image_ref: str = ""
    hash: str = ""
    sandbox_id: str = ""
    user: Any = None


class Sandbox(msgspec.Struct, omit_defaults=True, gc=False):
    """One pod sandbox. ready: it runs and has its network."""

    id: str
    attempt: int = 0
    ready: bool = True
    ips: tuple[str, ...] = ()
    created_at: float = 0.0


# --- events -----------------------------------------------------------------------------------------------------------


class PodChanged(msgspec.Struct, frozen=True, gc=False):
    """The declared pod is new or differs."""

    pod: Any


class PodGone(msgspec.Struct, frozen=True, gc=False):
    """The pod is no longer declared at all."""


class Adopted(msgspec.Struct, frozen=True, gc=False):
    """What the runtime already holds for this pod when the agent starts, newest first in both."""

    sandboxes: tuple[Sandbox, ...] = ()
    runs: tuple[Run, ...] = ()


class Pending(msgspec.Struct, frozen=True, gc=False):
    """A resize that the node has not granted. reason: Deferred or Infeasible; generation: of the pod that asks."""

    reason: str
    message: str
    generation: int


class ResizeWaits(msgspec.Struct, frozen=True, gc=False):
    """What the pod asks for is not granted yet; None: nothing waits any more."""

    pending: Pending | None


class Resized(msgspec.Struct, frozen=True, gc=False):
    """done: the containers that have what was asked for. error: why the others, or the pod, have not."""

    done: tuple[str, ...]
    error: str = ""


class VolumesReady(msgspec.Struct, frozen=True, gc=False):
    pass


class VolumesFailed(msgspec.Struct, frozen=True, gc=False):
    message: str


class SandboxStarted(msgspec.Struct, frozen=True, gc=False):
    sandbox: Sandbox


class SandboxFailed(msgspec.Struct, frozen=True, gc=False):
    """event: what the pod's event is called when it is another one, with the message as its text."""

    message: str
    event: str = ""


class SandboxStopped(msgspec.Struct, frozen=True, gc=False):
    id: str
    error: str = ""


class SandboxDied(msgspec.Struct, frozen=True, gc=False):
    id: str


class ImageReady(msgspec.Struct, frozen=True, gc=False):
    name: str
    ref: str


class ImageFailed(msgspec.Struct, frozen=True, gc=False):
    """image: the reference of an image volume that the container mounts, when that is what failed."""

    name: str
    reason: str
    message: str
    image: str = ""


class ContainerStarted(msgspec.Struct, frozen=True, gc=False):
    """The container runs and its postStart hook has succeeded."""

    name: str
    run: Run


class ContainerFailed(msgspec.Struct, frozen=True, gc=False):
    """It could not be created or started, or its postStart hook failed; ``run`` when something was created."""

    name: str
    reason: str
    message: str
    run: Run | None = None


class ContainerExited(msgspec.Struct, frozen=True, gc=False):
    run: Run


class ContainerStopped(msgspec.Struct, frozen=True, gc=False):
    """The stop call has returned; run is the container's state afterwards, None if the runtime has lost it."""

    name: str
    id: str
    run: Run | None
    error: str = ""


class Probed(msgspec.Struct, frozen=True, gc=False):
    """A probe's verdict has changed (thresholds applied)."""

    name: str
    id: str
    kind: ProbeKind
    ok: bool


class Evicted(msgspec.Struct, frozen=True, gc=False):
    """The node ends the pod: phase Failed with the reason given. condition: (type, reason, message) or None."""

    reason: str
    message: str
    grace_s: int | None = None
    condition: tuple[str, str, str] | None = None


class CleanedUp(msgspec.Struct, frozen=True, gc=False):
    """removed: the pod's containers and sandboxes are gone too."""

    removed: bool


class CleanUpFailed(msgspec.Struct, frozen=True, gc=False):
    message: str


class Retry(msgspec.Struct, frozen=True, gc=False):
    """Something a waiting pod depends on has changed (ConfigMap, Secret, claim, the runtime is back)."""


class Tick(msgspec.Struct, frozen=True, gc=False):
    """The time asked for with Wake has come."""


Event = (
    PodChanged
    | PodGone
    | Adopted
    | ResizeWaits
    | Resized
    | VolumesReady
    | VolumesFailed
    | SandboxStarted
    | SandboxFailed
    | SandboxStopped
    | SandboxDied
    | ImageReady
    | ImageFailed
    | ContainerStarted
    | ContainerFailed
    | ContainerExited
    | ContainerStopped
    | Probed
    | Evicted
    | CleanedUp
    | CleanUpFailed
    | Retry
    | Tick
)


# --- instructions -----------------------------------------------------------------------------------------------------


class MountVolumes(msgspec.Struct, frozen=True, gc=False):
    pass


class RunSandbox(msgspec.Struct, frozen=True, gc=False):
    attempt: int


class StopSandbox(msgspec.Struct, frozen=True, gc=False):
    id: str


class EnsureImage(msgspec.Struct, frozen=True, gc=False):
    name: str


class StartContainer(msgspec.Struct, frozen=True, gc=False):
    """sandbox_id: where; ips: the pod's addresses, for the environment."""

    name: str
    kind: ContainerKind
    attempt: int
    image_ref: str
    sandbox_id: str
    ips: tuple[str, ...]


class StopContainer(msgspec.Struct, frozen=True, gc=False):
    """Run preStop, then the stop signal, then SIGKILL, all within ``grace_s``."""

    name: str
    id: str
    grace_s: int
    message: str
    reason: str = ""


class StartProbes(msgspec.Struct, frozen=True, gc=False):
    """kinds: which of the container's probes run; startup gates the others inside the prober."""

    name: str
    id: str
    started_at: float
    startup_done: bool
    ready: bool


class StopProbes(msgspec.Struct, frozen=True, gc=False):
    """kinds () = all."""

    id: str
    kinds: tuple[ProbeKind, ...] = ()


class Resize(msgspec.Struct, frozen=True, gc=False):
    """Give the pod, and these of its running containers, by name and id, the resources that they were granted.

    before, after: of the pod's cgroup, as ``resources.for_pod`` has them; before is empty when it is not known.
    """

    containers: tuple[tuple[str, str], ...]
    before: dict[str, int]
    after: dict[str, int]


class Note(msgspec.Struct, frozen=True, gc=False):
    """An Event about the pod. container: the container meant, for the field path."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    container: str = ""


class Publish(msgspec.Struct, frozen=True, gc=False):
    """The pod's status has changed."""


class Wake(msgspec.Struct, frozen=True, gc=False):
    at: float


class CleanUp(msgspec.Struct, frozen=True, gc=False):
    """Everything has stopped: unmount volumes, remove the cgroup. remove: the pod's containers and sandboxes too."""

    remove: bool


class ConfirmDeletion(msgspec.Struct, frozen=True, gc=False):
    """Publish the final status, then DELETE the pod with grace 0."""


class Forget(msgspec.Struct, frozen=True, gc=False):
    """Nothing is left of the pod."""


Instruction = (
    MountVolumes
    | RunSandbox
    | StopSandbox
    | EnsureImage
    | StartContainer
    | StopContainer
    | StartProbes
    | StopProbes
    | Resize
    | Note
    | Publish
    | Wake
    | CleanUp
    | ConfirmDeletion
    | Forget
)


class Backoff(msgspec.Struct, omit_defaults=True, gc=False):
    """How long a retry has to wait: the first is free, then base, doubled up to the limit.

    Forgotten when the last retry lies ``2 * limit`` seconds back.
    """

    base_s: float = 10.0
    limit_s: float = 300.0
    delay_s: float = 0.0
    updated: float = 0.0

    def ready_at(self, since: float) -> float:
        """When the next retry may happen after a failure at ``since``."""
        if not self.delay_s or since - self.updated > 2 * self.limit_s:
            return since
        return since + self.delay_s

    def advance(self, now: float) -> None:
        """A retry happens now."""
        if not self.delay_s or now - self.updated > 2 * self.limit_s:
            self.delay_s = self.base_s
        else:
            self.delay_s = min(self.delay_s * 2, self.limit_s)
        self.updated = now

    def reset(self) -> None:
        self.delay_s = 0.0
