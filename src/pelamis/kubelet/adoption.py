"""What an agent that has just started finds of a pod in the runtime, brought into the picture of the pod."""

from __future__ import annotations

from pelamis.kubelet import actions as a
from pelamis.kubelet import resize, resources
from pelamis.kubelet.podstate import RESTART_ALL, Ending, PodState, Resizing, Slot


def take_over(s: PodState, event: a.Adopted) -> list[Slot]:
    """The slots whose containers run: they are to be probed from now on.

    What the runtime does not keep (started, ready, the resources in force) is read from the pod's last status.
    """
    running: list[Slot] = []
    if event.sandboxes:
        s.sandbox = event.sandboxes[0]
        s.sandbox_attempt = s.sandbox.attempt
    status = s.pod.status
    known = {
        c.name: c
        for c in (*status.initContainerStatuses, *status.containerStatuses, *status.ephemeralContainerStatuses)
    }
    for slot in s.slots.values():
        told = known.get(slot.name)
        runs = [run for run in event.runs if run.name == slot.name]
        if told is not None and told.containerID:
            slot.restarts = told.restartCount + (0 if runs else 1)
        if not runs:
            continue
        slot.restarts = max(run.attempt for run in runs)
        if runs[0].state == "created":  # the agent was ended between creating and starting it
            slot.restarts += 1
            runs = runs[1:]
            if not runs:
                continue
        run, older = runs[0], [r for r in runs[1:] if r.state == "exited"]
        slot.current = run
        slot.last = older[0] if older else None
        slot.applied = resources.granted(s.pod, slot.spec)
        if run.state == "running" and told is not None and told.resources is not None:
            slot.applied = resize.told(slot.applied, told.resources)
        slot.pending = s.sandbox is None or run.sandbox_id != s.sandbox.id
        if run.state == "running":
            same = told is not None and told.containerID.endswith(run.id)
            slot.started = slot.spec.startupProbe is None or bool(same and told and told.started)
            slot.ready = slot.started and (slot.spec.readinessProbe is None or bool(same and told and told.ready))
            running.append(slot)
        elif run.state == "exited" and slot.last is not None:
            slot.crash.delay_s = min(10.0 * 2 ** min(run.attempt - 1, 5), 300.0) if run.attempt else 0.0
            slot.crash.updated = run.started_at
    if status.phase in ("Succeeded", "Failed"):
        s.ending = Ending("finished", 0.0, status.reason, status.message)
    s.restarting = s.ending is None and any(slot.action() == RESTART_ALL for slot in s.slots.values())
    under_way = next((c for c in status.conditions if c.type == "PodResizeInProgress"), None)
    if under_way is not None and s.ending is None:
        s.resize = Resizing(active=True, generation=under_way.observedGeneration, after=resources.for_pod(s.pod))
    return running
