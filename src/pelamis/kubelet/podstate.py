"""What the pod machine knows: the picture of one pod's sandbox, containers, volumes and end. Data and small queries.

The status is built from it (``status``), and the machine (``podsync``) decides from it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import msgspec

from pelamis.api.core.pod.container import ResourceRequirements
from pelamis.kubelet.actions import Backoff, ContainerKind, Pending, Run, Sandbox

_encode = msgspec.json.Encoder().encode


RESTART_ALL = "RestartAllContainers"


def container_hash(container: Any) -> str:
    """FNV-1a (32 bits) over name and image: a change of these, and of nothing else, replaces the container."""
    return _hash(container.name, container.image)


@lru_cache(maxsize=4096)
def _hash(name: str, image: str) -> str:
    value = 0x811C9DC5
    for byte in _encode({"image": image, "name": name}):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:x}"


class Slot(msgspec.Struct, omit_defaults=True, gc=False):
    """One declared container and its runs.

    current: the newest run; last: the newest finished one before it. pending: it has still to be run in this sandbox.
    waiting: (reason, message) shown while nothing runs. restart_now: the next start takes no regard of the restart
    policy and the back-off (the container was killed to be replaced). pull_failed: (reason, message, since, next
    attempt, image volume or "").
    applied: the resources that the run has (``resources.granted``).
    """

    name: str
    kind: ContainerKind
    spec: Any
    current: Run | None = None
    last: Run | None = None
    pending: bool = True
    busy: Literal["", "image", "start", "stop"] = ""
    waiting: tuple[str, str] = ("", "")
    retry_at: float = 0.0
    image_ref: str = ""
    pull: Backoff = msgspec.field(default_factory=Backoff)
    pull_failed: tuple[str, str, float, float, str] | None = None
    crash: Backoff = msgspec.field(default_factory=Backoff)
    noted_backoff: str = ""
    started: bool = False
    ready: bool = False
    probing: str = ""
    stop_deadline: float = 0.0
    restart_now: bool = False
    restarts: int = 0
    applied: ResourceRequirements | None = None

    @property
    def alive(self) -> bool:
        return self.current is not None and self.current.state in ("running", "unknown")

    @property
    def exited(self) -> bool:
        return self.current is not None and self.current.state == "exited"

    def action(self) -> str:
        """What the first restart rule says that matches the exit code; "" when none does."""
        run = self.current
        if run is not None and run.state == "exited" and self.kind != "ephemeral":
            for rule in self.spec.restartPolicyRules:
                codes = rule.exitCodes
                if codes is not None and (run.exit_code in codes.values) == (codes.operator == "In"):
                    return str(rule.action)
        return ""

    def restartable(self, pod: Any) -> bool:
        """Whether the run that has exited is to be followed by another, by restart policy and restart rules."""
        run = self.current
        if run is None or self.kind == "ephemeral":
            return False
        if self.kind == "sidecar":
            return True
        action = self.action()
        if action:
            return action in ("Restart", RESTART_ALL)
        policy = self.spec.restartPolicy or pod.spec.restartPolicy or "Always"
        if self.kind == "init":
            return policy != "Never" and run.exit_code != 0
        return policy == "Always" or (policy == "OnFailure" and run.exit_code != 0)


class Ending(msgspec.Struct, omit_defaults=True, gc=False):
    """Why and how the pod ends. deadline: when the last process must be gone."""

    cause: Literal["finished", "deleted", "gone", "evicted"]
    deadline: float
    reason: str = ""
    message: str = ""
    condition: tuple[str, str, str] | None = None


class Resizing(msgspec.Struct, omit_defaults=True, gc=False):
    """A resize that waits to be granted (``pending``), or is being carried out (``active``; ``generation``: who asked).

    before: the pod's cgroup as it is, ``resources.for_pod``; empty when that is not known. sent: what the containers
    of the instruction under way will have. error: why the last attempt failed.
    """

    pending: Pending | None = None
    active: bool = False
    generation: int = 0
    before: dict[str, int] = msgspec.field(default_factory=dict)
    after: dict[str, int] = msgspec.field(default_factory=dict)
    sent: dict[str, Any] = msgspec.field(default_factory=dict)
    busy: bool = False
    error: str = ""
    retry_at: float = 0.0


class PodState(msgspec.Struct, omit_defaults=True, gc=False):
    pod: Any
    slots: dict[str, Slot] = msgspec.field(default_factory=dict)
    sandbox: Sandbox | None = None
    sandbox_busy: Literal["", "run", "stop"] = ""
    sandbox_attempt: int = 0
    sandbox_retry_at: float = 0.0
    sandbox_stopped: bool = False
    volumes: Literal["none", "mounting", "ready", "failed"] = "none"
    volumes_retry_at: float = 0.0
    volumes_backoff_s: float = 0.0
    ending: Ending | None = None
    clean: Literal["no", "busy", "yes", "removed"] = "no"
    clean_retry_at: float = 0.0
    confirmed: bool = False
    gone: bool = False
    started_at: float = 0.0
    resize: Resizing | None = None
    restarting: bool = False
    """A restart rule asks for all containers to begin anew, and some of them still run."""

    def of_kind(self, *kinds: ContainerKind) -> list[Slot]:
        return [slot for slot in self.slots.values() if slot.kind in kinds]

    def init_done(self) -> bool:
        """Every init container has succeeded and every sidecar has started (once the main ones run, for good)."""
        done = True
        for slot in self.slots.values():
            match slot.kind:
                case "main":
                    if not slot.pending:
                        return True
                case "ephemeral":
                    pass
                case _ if slot.pending or slot.current is None:
                    done = False
                case "sidecar":
                    done = done and slot.started
                case _:
                    done = done and slot.exited and slot.current.exit_code == 0
        return done

    def init_failed(self) -> bool:
        for slot in self.slots.values():
            if (
                slot.kind == "init"
                and not slot.pending
                and slot.exited
                and slot.current is not None
                and slot.current.exit_code != 0
                and not slot.restartable(self.pod)
                and not slot.restart_now
            ):
                return True
        return False

    def finished(self) -> bool:
        """Nothing is left to run, by the restart policies."""
        if self.restarting:
            return False
        if self.init_failed():
            return True
        any_main = False
        for slot in self.slots.values():
            if slot.kind == "main":
                any_main = True
                if slot.pending or not slot.exited or slot.busy or slot.restart_now or slot.restartable(self.pod):
                    return False
        return any_main

    def running(self) -> bool:
        return any(slot.alive or slot.busy in ("start", "stop") for slot in self.slots.values())

    def next_to_start(self) -> list[Slot]:
        """The containers that are to be started or restarted next, in order."""
        out: list[Slot] = []
        mains = self.of_kind("main")
        running = any(not slot.pending for slot in mains)
        for slot in self.of_kind("init", "sidecar") if len(mains) < len(self.slots) else ():
            if slot.kind == "sidecar":
                if not slot.pending and slot.alive:
                    if not slot.started and not running:
                        return out
                    continue
                out.append(slot)
                if not running:
                    return out
            elif not running:
                if slot.pending:
                    return [*out, slot]
                if not slot.exited:
                    return out
                if slot.current is not None and slot.current.exit_code != 0:
                    return [*out, slot] if slot.restartable(self.pod) else out
        for slot in mains:
            again = slot.exited and (slot.restart_now or slot.restartable(self.pod)) and not self.restarting
            if slot.pending or again:
                out.append(slot)
        return out


def declared(pod: Any) -> list[tuple[str, ContainerKind, Any]]:
    """(name, kind, container) of everything that the pod declares, init containers first."""
    out: list[tuple[str, ContainerKind, Any]] = []
    for container in pod.spec.initContainers:
        out.append((container.name, "sidecar" if container.restartPolicy == "Always" else "init", container))
    out.extend((container.name, "main", container) for container in pod.spec.containers)
    out.extend((container.name, "ephemeral", container) for container in pod.spec.ephemeralContainers)
    return out
