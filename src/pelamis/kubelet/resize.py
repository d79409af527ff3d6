"""Resizes of one running pod: which steps bring its containers and its cgroup to what it was granted. Pure.

The pod's cgroup grows before its containers do and shrinks after them; a container whose policy asks for it is stopped,
and started again when the cgroup is right. While that goes on the status says so (``PodResizeInProgress``), with the
error of the last attempt if there was one; a failed attempt is repeated.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.kubelet import actions as a
from pelamis.kubelet import resources
from pelamis.kubelet.podstate import PodState, Resizing, Slot

RETRY_S = 10.0
_NAMES = ("cpu", "memory")


def differs(old: Any, new: Any) -> bool:
    """Whether two versions of a pod were granted different resources. Containers keep their order and number."""
    if old.spec.resources != new.spec.resources:
        return True
    for before, after in (
        (old.spec.initContainers, new.spec.initContainers),
        (old.spec.containers, new.spec.containers),
    ):
        if before is not after and any(b.resources != c.resources for b, c in zip(before, after, strict=False)):
            return True
    return False


def begin(state: PodState, old: Any) -> a.Note:
    """The pod was granted other resources than it had as ``old``."""
    resizing = state.resize
    if resizing is None:
        resizing = state.resize = Resizing()
    if not resizing.active:
        resizing.before = resources.for_pod(old)
    resizing.active = True
    resizing.generation = state.pod.metadata.generation
    resizing.after = resources.for_pod(state.pod)
    resizing.error, resizing.retry_at = "", 0.0
    return a.Note("Normal", "ResizeStarted", _text(state.pod, "Pod resize started", resizing.generation))


def wait(state: PodState, pending: a.Pending | None) -> a.Note | None:
    old = state.resize.pending if state.resize is not None else None
    if pending == old:
        return None
    if state.resize is None:
        state.resize = Resizing()
    state.resize.pending = pending
    if pending is None:
        _settle(state)
        return None
    if old is not None and (old.reason, old.generation) == (pending.reason, pending.generation):
        return None
    text = _text(state.pod, f"Pod resize {pending.reason}", pending.generation, pending.message)
    return a.Note("Warning", f"Resize{pending.reason}", text)


def _settle(state: PodState) -> None:
    if state.resize is not None and not state.resize.active and state.resize.pending is None:
        state.resize = None


def outcome(state: PodState, event: a.Resized, now: float) -> a.Note | None:
    resizing = state.resize
    if resizing is None:
        return None
    resizing.busy = False
    for name in event.done:
        if (slot := state.slots.get(name)) is not None and name in resizing.sent:
            slot.applied = resizing.sent[name]
    resizing.sent = {}
    if not event.error:
        resizing.before = resizing.after
        resizing.error = ""
        return None
    known, resizing.error, resizing.retry_at = resizing.error, event.error, now + RETRY_S
    if event.error == known:
        return None
    return a.Note("Warning", "ResizeError", _text(state.pod, "Pod resize error", resizing.generation, event.error))


def changed(slot: Slot, wanted: Any) -> list[str]:
    """The resources of a container that are to be other than they are."""
    old = slot.applied
    assert old is not None, "a container that runs was granted something"
    return [
        n for n in _NAMES if old.limits.get(n) != wanted.limits.get(n) or old.requests.get(n) != wanted.requests.get(n)
    ]


def told(declared: Any, seen: Any) -> Any:
    """What a container has that runs since before the agent started: what its status said was in effect."""

    def pick(own: dict[str, str], other: dict[str, str]) -> dict[str, str]:
        return {n: other.get(n, v) if n in _NAMES else v for n, v in own.items()}

    return msgspec.structs.replace(
        declared, limits=pick(declared.limits, seen.limits), requests=pick(declared.requests, seen.requests)
    )


def restarts(slot: Slot, names: list[str]) -> bool:
    policies = {p.resourceName: p.restartPolicy for p in slot.spec.resizePolicy}
    return any(policies.get(name) == "RestartContainer" for name in names)


def step(state: PodState, resizing: Resizing) -> tuple[list[Slot], a.Resize | None]:
    """(containers to stop because they have to be restarted, what to do with the others and the pod)."""
    stops: list[Slot] = []
    updates: dict[str, tuple[str, Any]] = {}
    for slot in state.of_kind("init", "sidecar", "main"):
        run = slot.current
        if run is None or run.state != "running" or slot.busy or slot.applied is None:
            continue
        wanted = resources.granted(state.pod, slot.spec)
        names = changed(slot, wanted)
        if names and restarts(slot, names):
            stops.append(slot)
        elif names:
            updates[slot.name] = (run.id, wanted)
    if stops or any(slot.restart_now and slot.busy == "stop" for slot in state.slots.values()):
        return stops, None
    if not updates and resizing.before == resizing.after:
        return [], None
    resizing.sent = {name: wanted for name, (_, wanted) in updates.items()}
    containers = tuple((name, id_) for name, (id_, _) in updates.items())
    return [], a.Resize(containers, resizing.before, resizing.after)


def finish(state: PodState, resizing: Resizing) -> a.Note | None:
    """All is done, unless a container has still to come back."""
    if any(slot.restart_now or slot.busy in ("start", "stop") for slot in state.slots.values()):
        return None
    text = _text(state.pod, "Pod resize completed", resizing.generation)
    resizing.active = False
    resizing.error = ""
    _settle(state)
    return a.Note("Normal", "ResizeCompleted", text)


def _text(pod: Any, what: str, generation: int, error: str = "") -> str:
    def all_of(containers: tuple[Any, ...]) -> list[dict[str, Any]]:
        return [{"name": c.name, "resources": msgspec.to_builtins(c.resources)} for c in containers]

    tree: dict[str, Any] = {}
    if pod.spec.initContainers:
        tree["initContainers"] = all_of(pod.spec.initContainers)
    tree["containers"] = all_of(pod.spec.containers)
    tree["generation"] = generation
    if error:
        tree["error"] = error
    return f"{what}: {msgspec.json.encode(tree).decode()}"
