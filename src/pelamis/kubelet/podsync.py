"""The life of one pod on the node: a pure machine, ``step(event, now) -> instructions``.

Theory of operation. Each event first updates the picture (``podstate``), then ``_decide`` compares it with the declared
pod and gives out what can be done now. What is under way is marked busy, so nothing is given out twice, and a
decision never depends on which event came. Two phases: *bringing up* (volumes and sandbox at once and side by side
with the image checks; init containers and sidecars in order; then the main ones in order; restarts with back-off) and
*winding down* (main containers together, then sidecars in reverse order, then the sandbox, then the clean-up, then the
confirmation of the deletion). A pod winds down because it was deleted, has vanished, was evicted, has passed its
deadline, or has finished.

Delays: a failed container restarts at once the first time, then after 10 s, doubled to 300 s, and the count is
forgotten after 10 minutes of running; pulls follow the same steps; sandbox, volume and configuration errors are tried
again within seconds, and at once when something they depend on changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pelamis.base.clock import parse_rfc3339
from pelamis.kubelet import actions as a
from pelamis.kubelet import adoption, resize, resources
from pelamis.kubelet.podstate import RESTART_ALL, Ending, PodState, Slot, container_hash, declared

MINIMUM_GRACE_S = 2
RETRY_S = 10.0
SANDBOX_RETRY_S = 5.0
VOLUME_RETRY_S = 0.5
VOLUME_RETRY_MAX_S = 122.0
SHOW_ERROR_S = 1.0
"""ErrImagePull is shown so long before it becomes ImagePullBackOff."""
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


class PodMachine:
    """One per pod uid. ``state`` is read by the status builder and changed here only."""

    __slots__ = ("_out", "_wake", "state")

    def __init__(self, pod: Any, now: float, state: PodState | None = None) -> None:
        """state: of a machine that was put away."""
        self._out: list[a.Instruction] = []
        self._wake: float | None = None
        if state is not None:
            self.state = state
            return
        self.state = PodState(pod)
        self.state.started_at = parse_rfc3339(pod.status.startTime) if pod.status.startTime else now
        self._declare()

    def step(self, event: a.Event, now: float) -> list[a.Instruction]:
        return self.steps((event,), now)

    def steps(self, events: Iterable[a.Event], now: float) -> list[a.Instruction]:
        """Several events of one moment, and one decision after the last of them."""
        self._out = []
        self._wake = None
        for event in events:
            self._apply(event, now)
        self._decide(now)
        self._emit(a.Publish())
        if self._wake is not None:
            self._emit(a.Wake(max(self._wake, now)))
        return self._out

    def refresh(self, pod: Any) -> None:
        """A newer version that differs in nothing that is decided from: what was published has come back."""
        self.state.pod = pod

    @property
    def resting(self) -> bool:
        """Nothing is under way: whatever is still to come is a timer's, or comes from outside."""
        s = self.state
        if s.sandbox_busy or s.volumes == "mounting" or s.clean == "busy" or s.resize is not None or s.gone:
            return False
        return not any(slot.busy for slot in s.slots.values())

    def _emit(self, instruction: a.Instruction) -> None:
        self._out.append(instruction)

    def _note(self, note: a.Note | None) -> None:
        if note is not None:
            self._emit(note)

    def _wake_at(self, at: float) -> None:
        self._wake = at if self._wake is None else min(self._wake, at)

    # --- events -------------------------------------------------------------------------------------------------------

    def _apply(self, event: a.Event, now: float) -> None:
        s = self.state
        match event:
            case a.PodChanged(pod):
                old, s.pod = s.pod, pod
                if old is pod:
                    return
                self._declare()
                if s.ending is None and resize.differs(old, pod):
                    self._emit(resize.begin(s, old))
            case a.ResizeWaits(pending):
                self._note(resize.wait(s, pending))
            case a.Resized():
                self._note(resize.outcome(s, event, now))
            case a.PodGone():
                s.gone = True
            case a.Adopted():
                for running in adoption.take_over(s, event):
                    self._start_probes(running)
            case a.VolumesReady():
                s.volumes = "ready"
                s.volumes_backoff_s = 0.0
            case a.VolumesFailed(message):
                s.volumes = "failed"
                s.volumes_backoff_s = min(max(s.volumes_backoff_s * 2, VOLUME_RETRY_S), VOLUME_RETRY_MAX_S)
                s.volumes_retry_at = now + s.volumes_backoff_s
                self._emit(a.Note("Warning", "FailedMount", message))
            case a.SandboxStarted(sandbox):
                s.sandbox = sandbox
                s.sandbox_busy = ""
                s.sandbox_stopped = False
            case a.SandboxFailed(message, called):
                s.sandbox_busy = ""
                s.sandbox_retry_at = now + SANDBOX_RETRY_S
                s.sandbox_attempt += 1
                if not called:
                    called, message = "FailedCreatePodSandBox", f"Failed to create pod sandbox: {message}"
                self._emit(a.Note("Warning", called, message))
            case a.SandboxStopped(id_, error):
                self._sandbox_stopped(id_, error, now)
            case a.SandboxDied(id_):
                if s.sandbox is not None and s.sandbox.id == id_:
                    s.sandbox.ready = False
            case a.ImageReady(name, ref):
                if slot := s.slots.get(name):
                    slot.busy = "" if slot.busy == "image" else slot.busy
                    slot.image_ref = ref
                    slot.pull_failed = None
                    slot.pull.reset()
            case a.ImageFailed():
                self._image_failed(event, now)
            case a.ContainerStarted(name, run):
                if slot := s.slots.get(name):
                    self._started(slot, run)
            case a.ContainerFailed():
                self._start_failed(event, now)
            case a.ContainerExited(run):
                self._exited(run)
            case a.ContainerStopped(name, id_, run, error):
                self._stopped(name, id_, run, error, now)
            case a.Probed():
                self._probed(event)
            case a.Evicted(reason, message, grace_s, condition):
                if s.ending is None:
                    grace = self._spec_grace() if grace_s is None else grace_s
                    s.ending = Ending("evicted", now + max(grace, 0), reason, message, condition)
            case a.CleanedUp(removed):
                s.clean = "removed" if removed else "yes"
            case a.CleanUpFailed(message):
                s.clean = "no"
                s.clean_retry_at = now + RETRY_S
                self._emit(a.Note("Warning", "FailedKillPod", f"error killing pod: {message}"))
            case a.Retry():
                s.volumes_retry_at = s.sandbox_retry_at = s.clean_retry_at = now
                for slot in s.slots.values():
                    slot.retry_at = min(slot.retry_at, now)
            case a.Tick():
                pass

    def _declare(self) -> None:
        """Bring the slots in line with the declared containers."""
        s = self.state
        slots: dict[str, Slot] = {}
        for name, kind, spec in declared(s.pod):
            slot = s.slots.get(name) or Slot(name, kind, spec)
            if slot.spec.image != spec.image:
                slot.image_ref, slot.pull_failed, slot.retry_at = "", None, 0.0
                slot.pull.reset()
                slot.crash.reset()
            slot.spec = spec
            slots[name] = slot
        s.slots = slots

    def _sandbox_stopped(self, id_: str, error: str, now: float) -> None:
        s = self.state
        s.sandbox_busy = ""
        if error:
            s.sandbox_retry_at = now + RETRY_S
            self._emit(a.Note("Warning", "FailedKillPod", f'error killing pod: failed to "KillPodSandbox": {error}'))
            return
        if s.sandbox is None or s.sandbox.id != id_:
            return
        s.sandbox.ready = False
        s.sandbox_stopped = True
        if s.ending is None:  # it died by itself: the next one starts everything afresh
            s.sandbox = None
            s.sandbox_attempt += 1
            for slot in s.slots.values():
                done = slot.exited and slot.kind == "main" and not slot.restartable(s.pod)
                slot.pending = not done and slot.kind != "ephemeral"

    def _image_failed(self, event: a.ImageFailed, now: float) -> None:
        slot = self.state.slots.get(event.name)
        if slot is None:
            return
        slot.busy = "" if slot.busy == "image" else slot.busy
        slot.waiting = (event.reason, event.message)
        slot.pull.advance(now)
        slot.pull_failed = (event.reason, event.message, now, now + slot.pull.delay_s, event.image)
        whose = "" if event.image else slot.name  # a volume is the pod's
        if event.reason == "ErrImagePull":
            note = f'Failed to pull image "{event.image or slot.spec.image}": {event.message}'
            self._emit(a.Note("Warning", "Failed", note, whose))
        elif event.reason == "ErrImageNeverPull":
            self._emit(a.Note("Warning", "ErrImageNeverPull", event.message, whose))
        elif event.reason == "InvalidImageName":
            self._emit(a.Note("Warning", "InspectFailed", event.message, whose))
        self._emit(a.Note("Warning", "Failed", f"Error: {event.reason}", slot.name))

    def _started(self, slot: Slot, run: a.Run) -> None:
        if slot.exited:
            slot.last = slot.current
        slot.current = run
        slot.busy = ""
        slot.pending = False
        slot.restart_now = False
        slot.waiting = ("", "")
        slot.restarts = run.attempt
        slot.image_ref = ""
        slot.stop_deadline = 0.0
        slot.started = slot.ready = False
        if run.state == "running":
            slot.started = slot.spec.startupProbe is None
            slot.ready = slot.started and slot.spec.readinessProbe is None
            self._start_probes(slot)
        self._follow_rule(slot)

    def _follow_rule(self, slot: Slot) -> None:
        if self.state.ending is None and slot.action() == RESTART_ALL:
            self.state.restarting = True

    def _start_probes(self, slot: Slot) -> None:
        spec = slot.spec
        if slot.current is None or slot.kind in ("init", "ephemeral"):
            return
        if spec.startupProbe is None and spec.livenessProbe is None and spec.readinessProbe is None:
            return
        slot.probing = slot.current.id
        self._emit(a.StartProbes(slot.name, slot.current.id, slot.current.started_at, slot.started, slot.ready))

    def _stop_probes(self, slot: Slot) -> None:
        if slot.probing:
            self._emit(a.StopProbes(slot.probing))
            slot.probing = ""

    def _start_failed(self, event: a.ContainerFailed, now: float) -> None:
        slot = self.state.slots.get(event.name)
        if slot is None:
            return
        slot.busy = ""
        slot.image_ref = ""
        slot.waiting = (event.reason, event.message)
        if event.run is not None:
            if slot.exited:
                slot.last = slot.current
            slot.current = event.run
            slot.restarts = event.run.attempt
            slot.pending = False
            slot.restart_now = False
        else:
            slot.retry_at = now + RETRY_S
        if event.reason != "PostStartHookError":
            self._emit(a.Note("Warning", "Failed", f"Error: {event.message}", slot.name))

    def _exited(self, run: a.Run) -> None:
        slot = self.state.slots.get(run.name)
        if slot is None or slot.current is None or slot.current.id != run.id:
            return
        if slot.current.state == "exited" and run.state == "exited":
            return
        slot.current = run
        if run.state == "exited":
            slot.started = slot.ready = False
            self._stop_probes(slot)
            self._follow_rule(slot)

    def _stopped(self, name: str, id_: str, run: a.Run | None, error: str, now: float) -> None:
        slot = self.state.slots.get(name)
        if slot is None:
            return
        if slot.busy == "stop":
            slot.busy = ""
        if slot.current is None or slot.current.id != id_:
            return
        if run is not None:
            self._exited(run)
        elif not error:  # the runtime does not know it any more
            lost = slot.current
            lost.state, lost.exit_code, lost.reason = "exited", 137, "ContainerStatusUnknown"
            lost.message = "The container could not be located when the pod was terminated"
            lost.finished_at = now
            slot.started = slot.ready = False
            self._stop_probes(slot)
        if slot.alive:
            slot.stop_deadline = 0.0
            slot.retry_at = now + MINIMUM_GRACE_S
            if error:
                self._emit(a.Note("Warning", "FailedKillPod", f"error killing pod: {error}"))

    def _probed(self, event: a.Probed) -> None:
        slot = self.state.slots.get(event.name)
        if slot is None or slot.current is None or slot.current.id != event.id or not slot.alive:
            return
        if event.kind == "startup" and event.ok:
            slot.started = True
            slot.ready = slot.spec.readinessProbe is None or slot.ready
        elif event.kind == "readiness":
            slot.ready = event.ok and slot.started
        elif not event.ok and self.state.ending is None and slot.busy != "stop":
            probe = slot.spec.livenessProbe if event.kind == "liveness" else slot.spec.startupProbe
            own = probe.terminationGracePeriodSeconds if probe is not None else None
            grace = self._spec_grace() if own is None else own
            message = f"Container {slot.name} failed {event.kind} probe, will be restarted"
            self._emit(a.StopProbes(event.id, ("liveness", "startup")))
            self._stop(slot, grace, message)

    # --- decisions ----------------------------------------------------------------------------------------------------

    def _spec_grace(self) -> int:
        grace = self.state.pod.spec.terminationGracePeriodSeconds
        return 30 if grace is None else int(grace)

    def _decide(self, now: float) -> None:
        s = self.state
        self._check_end(now)
        if s.ending is not None:
            self._wind_down(s.ending, now)
        else:
            self._bring_up(now)

    def _check_end(self, now: float) -> None:
        s = self.state
        meta = s.pod.metadata
        limit = s.pod.spec.activeDeadlineSeconds
        if s.gone and (s.ending is None or s.ending.cause != "gone"):
            grace = meta.deletionGracePeriodSeconds
            grace = self._spec_grace() if grace is None else grace
            deadline = now + max(int(grace), 1)
            if s.ending is not None and s.ending.cause in ("deleted", "evicted"):
                deadline = min(deadline, s.ending.deadline)
            s.ending = Ending("gone", deadline)
            if s.clean == "yes":
                s.clean = "no"
        elif meta.deletionTimestamp and not s.gone:
            grace = meta.deletionGracePeriodSeconds
            deadline = now + (self._spec_grace() if grace is None else int(grace))
            if s.ending is None or s.ending.cause == "finished":
                reason, message = (s.ending.reason, s.ending.message) if s.ending else ("", "")
                s.ending = Ending("deleted", deadline, reason, message)
            elif s.ending.cause == "evicted":
                old = s.ending
                s.ending = Ending("deleted", min(deadline, old.deadline), old.reason, old.message, old.condition)
            elif deadline < s.ending.deadline - 0.5:
                s.ending.deadline = deadline
        elif s.ending is None and limit is not None and now >= s.started_at + limit:
            s.ending = Ending("evicted", now + self._spec_grace(), "DeadlineExceeded", DEADLINE_MESSAGE)
            self._emit(a.Note("Normal", "DeadlineExceeded", DEADLINE_MESSAGE))
        elif s.ending is None and s.finished():
            s.ending = Ending("finished", now + self._spec_grace())
        if s.ending is None and limit is not None:
            self._wake_at(s.started_at + limit)

    def _bring_up(self, now: float) -> None:
        s = self.state
        if s.volumes == "none" or (s.volumes == "failed" and now >= s.volumes_retry_at):
            s.volumes = "mounting"
            self._emit(a.MountVolumes())
        elif s.volumes == "failed":
            self._wake_at(s.volumes_retry_at)
        self._bring_up_sandbox(now)
        if s.restarting and not self._begin_anew(now):
            return
        targets = self.state.next_to_start()
        extras = [slot for slot in s.slots.values() if slot.kind == "ephemeral" and slot.pending]
        if s.sandbox is None or s.sandbox.ready:
            for slot in (*targets, *extras):
                self._ensure_image(slot, now)
        self._replace_changed(now)
        if not self._resize(now) or s.sandbox is None or not s.sandbox.ready or s.volumes != "ready":
            return
        for slot in extras:
            if not slot.busy and slot.image_ref and self._may_start(slot, now):
                self._start(slot, s.sandbox, now)
        for slot in targets:
            if slot.busy in ("image", "start"):
                break  # containers start in order; one that waits for a later attempt does not hold up the rest
            if not slot.busy and slot.image_ref and self._may_start(slot, now):
                self._start(slot, s.sandbox, now)
                break

    def _begin_anew(self, now: float) -> bool:
        """A restart rule has asked for it: kill what runs, then everything is still to be run. False: not yet.

        Main containers that have not been started yet are started before, if nothing is in their way.
        """
        s = self.state
        slots = s.of_kind("main", "init", "sidecar")
        mains = s.of_kind("main")
        if any(not slot.pending for slot in mains) and any(
            slot.pending and slot.current is None and slot.pull_failed is None and now >= slot.retry_at
            for slot in mains
        ):
            return True
        for slot in slots:
            if slot.alive and slot.busy not in ("start", "stop"):
                self._stop(slot, 0, "killing", RESTART_ALL)
        if any(slot.alive or slot.busy in ("start", "stop") for slot in slots):
            return False
        for slot in slots:
            slot.pending = True
            slot.restart_now = False
        s.restarting = False
        return True

    def _start(self, slot: Slot, sandbox: a.Sandbox, now: float) -> None:
        slot.busy = "start"
        slot.applied = resources.granted(self.state.pod, slot.spec)
        attempt = slot.restarts
        if slot.current is not None:
            attempt = max(slot.restarts, slot.current.attempt) + 1
        if slot.exited:
            slot.crash.advance(now)
        self._emit(a.StartContainer(slot.name, slot.kind, attempt, slot.image_ref, sandbox.id, sandbox.ips))

    def _bring_up_sandbox(self, now: float) -> None:
        s = self.state
        if s.sandbox_busy:
            return
        if s.sandbox is None:
            if now >= s.sandbox_retry_at:
                s.sandbox_busy = "run"
                self._emit(a.RunSandbox(s.sandbox_attempt))
            else:
                self._wake_at(s.sandbox_retry_at)
        elif not s.sandbox.ready:
            alive = [slot for slot in s.slots.values() if slot.alive]
            for slot in alive:
                self._stop(slot, self._spec_grace(), f"Stopping container {slot.name}")
            if alive or any(slot.busy in ("start", "stop") for slot in s.slots.values()):
                return
            if now < s.sandbox_retry_at:
                self._wake_at(s.sandbox_retry_at)
                return
            s.sandbox_busy = "stop"
            self._emit(a.Note("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created."))
            self._emit(a.StopSandbox(s.sandbox.id))

    def _ensure_image(self, slot: Slot, now: float) -> None:
        """Have the image checked or pulled, unless it waits for a back-off of its own."""
        if slot.busy or slot.image_ref or not self._may_start(slot, now):
            return
        if slot.pull_failed is not None:
            reason, message, since, at, volume = slot.pull_failed
            if now < at:
                self._wake_at(at)
                if reason != "ErrImagePull":
                    return
                if now < since + SHOW_ERROR_S:
                    self._wake_at(since + SHOW_ERROR_S)
                elif slot.waiting[0] == "ErrImagePull":
                    text = f'Back-off pulling image "{volume or slot.spec.image}"'
                    slot.waiting = ("ImagePullBackOff", f"{text}: {reason}: {message}")
                    self._emit(a.Note("Normal", "BackOff", text, "" if volume else slot.name))
                    self._emit(a.Note("Warning", "Failed", "Error: ImagePullBackOff", slot.name))
                return
        slot.busy = "image"
        self._emit(a.EnsureImage(slot.name))

    def _may_start(self, slot: Slot, now: float) -> bool:
        """False while a back-off or a retry delay runs; then the waiting reason and the wake-up are set."""
        s = self.state
        if slot.exited and slot.current is not None and not slot.restart_now:
            at = slot.crash.ready_at(slot.current.finished_at)
            if now < at:
                where = f"{s.pod.metadata.name}_{s.pod.metadata.namespace}({s.pod.metadata.uid})"
                slot.waiting = (
                    "CrashLoopBackOff",
                    f"back-off {_go_duration(slot.crash.delay_s)} restarting failed container={slot.name} pod={where}",
                )
                if slot.noted_backoff != slot.current.id:
                    slot.noted_backoff = slot.current.id
                    text = f"Back-off restarting failed container {slot.name} in pod {where}"
                    self._emit(a.Note("Warning", "BackOff", text, slot.name))
                self._wake_at(at)
                return False
        if now < slot.retry_at:
            self._wake_at(slot.retry_at)
            return False
        return True

    def _replace_changed(self, now: float) -> None:
        """A running container whose image is declared differently is replaced."""
        for slot in self.state.slots.values():
            run = slot.current
            if run is not None and run.state == "unknown" and not slot.busy and now >= slot.retry_at:
                slot.restart_now = True  # the runtime has lost track of it: it must go before it can run again
                text = f"Container {slot.name} is in unknown state, try killing it before restart"
                self._stop(slot, self._spec_grace(), text)
            if run is None or run.state != "running" or slot.busy:
                continue
            if run.hash and run.hash != container_hash(slot.spec) and slot.kind != "ephemeral":
                slot.restart_now = True
                text = f"Container {slot.name} definition changed, will be restarted"
                self._stop(slot, self._spec_grace(), text)

    def _resize(self, now: float) -> bool:
        """Bring the pod to what it was granted; False while containers must not be started."""
        s = self.state
        resizing = s.resize
        if resizing is None or not resizing.active:
            return True
        if resizing.busy:
            return False
        if s.sandbox is None or not s.sandbox.ready:
            if s.sandbox is None and not s.sandbox_busy:  # what is made from now on is made as it was granted
                resizing.before = resizing.after
                self._note(resize.finish(s, resizing))
            return True
        if resizing.error and now < resizing.retry_at:
            self._wake_at(resizing.retry_at)
            return True
        stops, order = resize.step(s, resizing)
        for slot in stops:
            slot.restart_now = True
            self._stop(slot, self._spec_grace(), f"Container {slot.name} resize requires restart")
        if order is not None:
            resizing.busy = True
            self._emit(order)
        elif resizing.before == resizing.after and not stops:
            self._note(resize.finish(s, resizing))
            return True
        return False

    def _stop(self, slot: Slot, grace_s: int, message: str, reason: str = "") -> None:
        if slot.current is None:
            return
        slot.busy = "stop"
        self._emit(a.Note("Normal", "Killing", message, slot.name))
        self._emit(a.StopContainer(slot.name, slot.current.id, max(grace_s, 0), message, reason))

    # --- winding down -------------------------------------------------------------------------------------------------

    def _wind_down(self, ending: Ending, now: float) -> None:
        s = self.state
        for slot in s.slots.values():
            if slot.probing and slot.current is not None:
                self._emit(a.StopProbes(slot.probing, ("liveness", "startup")))
                slot.probing = slot.probing if slot.alive else ""
        quiet = True
        for slot in s.of_kind("main", "init", "ephemeral"):
            if slot.alive:
                self._end(slot, ending, 1, now)
            if slot.alive or slot.busy in ("start", "stop"):
                quiet = False
        if quiet:
            for slot in reversed(s.of_kind("sidecar")):
                if slot.alive:
                    self._end(slot, ending, MINIMUM_GRACE_S, now)
                if slot.alive or slot.busy in ("start", "stop"):
                    quiet = False
                    break
        if not quiet or s.sandbox_busy:
            return
        if s.volumes == "mounting":
            return
        if s.sandbox is not None and not s.sandbox_stopped:
            if now < s.sandbox_retry_at:
                self._wake_at(s.sandbox_retry_at)
                return
            s.sandbox_busy = "stop"
            self._emit(a.StopSandbox(s.sandbox.id))
            return
        if s.clean in ("no", "busy"):
            if s.clean == "no":
                if now < s.clean_retry_at:
                    self._wake_at(s.clean_retry_at)
                    return
                s.clean = "busy"
                self._emit(a.CleanUp(remove=s.gone))
            return
        if s.gone:
            if s.clean == "yes":  # cleaned while still declared; now the remains go too
                s.clean = "busy"
                self._emit(a.CleanUp(remove=True))
            else:
                self._emit(a.Forget())
        elif s.pod.metadata.deletionTimestamp and not s.confirmed:
            s.confirmed = True
            self._emit(a.ConfirmDeletion())

    def _end(self, slot: Slot, ending: Ending, minimum: int, now: float) -> None:
        """Stop a container of a pod that ends; again if the deadline has come closer since."""
        deadline = max(ending.deadline, now + minimum)
        first = slot.stop_deadline == 0.0
        if not first and (slot.busy == "stop" and deadline >= slot.stop_deadline - 0.5):
            return
        if first and slot.busy == "stop":  # being stopped for another reason: let the shorter of both count
            slot.stop_deadline = deadline
            if slot.current is not None:
                self._emit(a.StopContainer(slot.name, slot.current.id, round(deadline - now), ""))
            return
        if now < slot.retry_at and first:
            self._wake_at(slot.retry_at)
            return
        slot.stop_deadline = deadline
        grace = round(deadline - now)
        if first:
            self._stop(slot, grace, f"Stopping container {slot.name}")
        elif slot.current is not None:
            slot.busy = "stop"
            self._emit(a.StopContainer(slot.name, slot.current.id, grace, ""))


def _go_duration(seconds: float) -> str:
    """``10s``, ``1m20s``, ``5m0s``: as Go prints whole seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
