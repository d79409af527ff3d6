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

from dataclasses import dataclass, field
from typing import Any, Literal

ContainerKind = Literal["init", "sidecar", "main", "ephemeral"]
ProbeKind = Literal["startup", "liveness", "readiness"]


@dataclass(slots=True)
class Run:
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


@dataclass(slots=True)
class Sandbox:
    """One pod sandbox. ready: it runs and has its network."""

    id: str
    attempt: int = 0
    ready: bool = True
    ips: tuple[str, ...] = ()
    created_at: float = 0.0


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PodChanged:
    """The declared pod is new or differs."""

    pod: Any


@dataclass(frozen=True, slots=True)
class PodGone:
    """The pod is no longer declared at all."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What the runtime already holds for this pod when the agent starts, newest first in both."""

    sandboxes: tuple[Sandbox, ...] = ()
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """A resize that the node has not granted. reason: Deferred or Infeasible; generation: of the pod that asks."""

    reason: str
    message: str
    generation: int


@dataclass(frozen=True, slots=True)
class ResizeWaits:
    """What the pod asks for is not granted yet; None: nothing waits any more."""

    pending: Pending | None


@dataclass(frozen=True, slots=True)
class Resized:
    """done: the containers that have what was asked for. error: why the others, or the pod, have not."""

    done: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class VolumesReady:
    pass


@dataclass(frozen=True, slots=True)
class VolumesFailed:
    message: str


@dataclass(frozen=True, slots=True)
class SandboxStarted:
    sandbox: Sandbox


@dataclass(frozen=True, slots=True)
class SandboxFailed:
    """event: what the pod's event is called when it is another one, with the message as its text."""

    message: str
    event: str = ""


@dataclass(frozen=True, slots=True)
class SandboxStopped:
    id: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class SandboxDied:
    id: str


@dataclass(frozen=True, slots=True)
class ImageReady:
    name: str
    ref: str


@dataclass(frozen=True, slots=True)
class ImageFailed:
    """image: the reference of an image volume that the container mounts, when that is what failed."""

    name: str
    reason: str
    message: str
    image: str = ""


@dataclass(frozen=True, slots=True)
class ContainerStarted:
    """The container runs and its postStart hook has succeeded."""

    name: str
    run: Run


@dataclass(frozen=True, slots=True)
class ContainerFailed:
    """It could not be created or started, or its postStart hook failed; ``run`` when something was created."""

    name: str
    reason: str
    message: str
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class ContainerExited:
    run: Run


@dataclass(frozen=True, slots=True)
class ContainerStopped:
    """The stop call has returned; run is the container's state afterwards, None if the runtime has lost it."""

    name: str
    id: str
    run: Run | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe's verdict has changed (thresholds applied)."""

    name: str
    id: str
    kind: ProbeKind
    ok: bool


@dataclass(frozen=True, slots=True)
class Evicted:
    """The node ends the pod: phase Failed with the reason given. condition: (type, reason, message) or None."""

    reason: str
    message: str
    grace_s: int | None = None
    condition: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """removed: the pod's containers and sandboxes are gone too."""

    removed: bool


@dataclass(frozen=True, slots=True)
class CleanUpFailed:
    message: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Something a waiting pod depends on has changed (ConfigMap, Secret, claim, the runtime is back)."""


@dataclass(frozen=True, slots=True)
class Tick:
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


@dataclass(frozen=True, slots=True)
class MountVolumes:
    pass


@dataclass(frozen=True, slots=True)
class RunSandbox:
    attempt: int


@dataclass(frozen=True, slots=True)
class StopSandbox:
    id: str


@dataclass(frozen=True, slots=True)
class EnsureImage:
    name: str


@dataclass(frozen=True, slots=True)
class StartContainer:
    """sandbox_id: where; ips: the pod's addresses, for the environment."""

    name: str
    kind: ContainerKind
    attempt: int
    image_ref: str
    sandbox_id: str
    ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Run preStop, then the stop signal, then SIGKILL, all within ``grace_s``."""

    name: str
    id: str
    grace_s: int
    message: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StartProbes:
    """kinds: which of the container's probes run; startup gates the others inside the prober."""

    name: str
    id: str
    started_at: float
    startup_done: bool
    ready: bool


@dataclass(frozen=True, slots=True)
class StopProbes:
    """kinds () = all."""

    id: str
    kinds: tuple[ProbeKind, ...] = ()


@dataclass(frozen=True, slots=True)
class Resize:
    """Give the pod, and these of its running containers, by name and id, the resources that they were granted.

    before, after: of the pod's cgroup, as ``resources.for_pod`` has them; before is empty when it is not known.
    """

    containers: tuple[tuple[str, str], ...]
    before: dict[str, int]
    after: dict[str, int]


@dataclass(frozen=True, slots=True)
class Note:
    """An Event about the pod. container: the container meant, for the field path."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class Publish:
    """The pod's status has changed."""


@dataclass(frozen=True, slots=True)
class Wake:
    at: float


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Everything has stopped: unmount volumes, remove the cgroup. remove: the pod's containers and sandboxes too."""

    remove: bool


@dataclass(frozen=True, slots=True)
class ConfirmDeletion:
    """Publish the final status, then DELETE the pod with grace 0."""


@dataclass(frozen=True, slots=True)
class Forget:
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


@dataclass(slots=True)
class Backoff:
    """How long a retry has to wait: the first is free, then base, doubled up to the limit.

    Forgotten when the last retry lies ``2 * limit`` seconds back.
    """

    base_s: float = 10.0
    limit_s: float = 300.0
    delay_s: float = 0.0
    updated: float = field(default=0.0)

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
