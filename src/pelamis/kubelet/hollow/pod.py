"""One hollow pod: carries out the instructions of the kubelet's pod machine over containers that are in memory only.

Whatever takes no time is done at once, and its outcome handed to the machine before anything else happens; the status
is built after the last of it. So a pod that nothing delays goes from Pending to Running and Ready in one write.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.base import quantity
from pelamis.kubelet import actions as a
from pelamis.kubelet import deviceclaims, status
from pelamis.kubelet.hollow import image as images
from pelamis.kubelet.hollow import lookup, script
from pelamis.kubelet.hollow.adopt import adopted
from pelamis.kubelet.hollow.behaviour import KILLED_CODE, Behaviour, problems
from pelamis.kubelet.hollow.prober import Probing
from pelamis.kubelet.hollow.thrift import slim
from pelamis.kubelet.hollow.timer import Timer
from pelamis.kubelet.images import ImageError, duration, normalize
from pelamis.kubelet.podstate import container_hash
from pelamis.kubelet.podsync import PodMachine
from pelamis.kubelet.publish import urgent
from pelamis.kubelet.resources import limits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pelamis.kubelet.hollow.kubelet import HollowKubelet

MINIMUM_GRACE_S = 2.0
_hashes: dict[tuple[str, str], str] = {}


def _hash(spec: Any) -> str:
    key = (spec.name, spec.image)
    found = _hashes.get(key)
    if found is None:
        if len(_hashes) > 4096:
            _hashes.clear()
        found = _hashes[key] = container_hash(spec)
    return found


class _Live:
    """A container that runs. exit: the timer of its own end; stop: of its end by a signal, at ``stop_at``."""

    __slots__ = ("exit", "hooked", "oom", "run", "stop", "stop_at", "stop_code")

    def __init__(self, run: a.Run) -> None:
        self.run = run
        self.exit: Timer | None = None
        self.oom: Timer | None = None
        self.stop: Timer | None = None
        self.stop_at = 0.0
        self.stop_code = 0
        self.hooked = False


class HollowPod:
    """``sent``: the status as the API has it, as far as is known; ``built``: as it should be; ``pod``: the newest."""

    __slots__ = (
        "_dirty",
        "_done",
        "_events",
        "_feeding",
        "_live",
        "_probing",
        "_under_way",
        "_wake",
        "_watches",
        "acked_rev",
        "behaviour",
        "built",
        "kubelet",
        "machine",
        "pod",
        "sent",
        "uid",
    )

    def __init__(self, kubelet: HollowKubelet, pod: Any) -> None:
        self.kubelet = kubelet
        self.pod = pod
        self.uid: str = pod.metadata.uid
        self.machine = PodMachine(pod, kubelet.agent.now())
        self.behaviour = Behaviour(pod.metadata.annotations)
        self.sent = pod.status
        self.built = pod.status
        self.acked_rev = 0
        self._events: list[a.Event] = []
        self._feeding = False
        self._dirty = False
        self._done = False
        self._under_way = 0
        self._wake: Timer | None = None
        self._live: dict[str, _Live] = {}
        self._probing: dict[str, Probing] | None = None
        self._watches: dict[str, list[Callable[[], object]]] | None = None

    # --- events in ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        pod = self.pod
        if self.behaviour._annotations is not None:
            for text in problems(pod.metadata.annotations):
                self.note("", "Warning", "HollowBehaviour", text)
        if not pod.status.startTime:
            self.feed(a.PodChanged(pod))
            return
        found = adopted(pod, self._id("sandbox", 0))
        for sandbox in found.sandboxes:
            for ip in sandbox.ips:
                self.kubelet.mark_address(ip)
        now = self.kubelet.agent.now()
        for run in found.runs:
            spec = next((spec for spec in _containers(pod) if spec.name == run.name), None)
            if spec is not None and run.state == "running":
                run.hash = _hash(spec)
                self._live[run.id] = _Live(run)
        self.feed(found)
        for live in list(self._live.values()):
            lasts = self._script(live.run.name).lasts
            if lasts is not None and live.exit is None:
                self._exit_after(live, live.run.started_at + lasts - now)
        if self.kubelet.strain.watchful or self.behaviour.says_usage:
            self._weigh()

    def feed(self, event: a.Event) -> None:
        if self._done:
            return
        self._events.append(event)
        if self._feeding:
            return
        self._feeding = True
        try:
            now = self.kubelet.agent.now()
            while self._events and not self._done:
                events, self._events = self._events, []
                for instruction in self.machine.steps(events, now):
                    self._do(instruction)
        finally:
            self._feeding = False
        if self._dirty and not self._done:
            self._dirty = False
            self._publish()

    def changed(self, pod: Any) -> None:
        """The API has a newer version of the pod."""
        old, self.pod = self.pod, pod
        if int(pod.metadata.resourceVersion or 0) >= self.acked_rev:
            self.sent = pod.status
        if _only_our_word(old, pod, self.built):
            self.pod = pod = slim(pod)
            self.machine.refresh(pod)
            self.built = pod.status
            return
        if old.metadata.annotations != pod.metadata.annotations:
            said = self.behaviour.says_usage
            self.behaviour = Behaviour(pod.metadata.annotations)
            self._mark_load()
            if said or self.behaviour.says_usage:
                self._weigh()
        if old.metadata.generation != pod.metadata.generation:
            self.kubelet.claims.add(pod)
        self.feed(a.PodChanged(pod))

    def gone(self) -> None:
        self.kubelet.agent.outbox.drop(self)
        self.feed(a.PodGone())

    def crash(self, container: str, exit_code: int, reason: str = "") -> bool:
        """End a running container from within; False when none runs."""
        for live in self._live.values():
            if live.run.name == container:
                self._exit(live, exit_code, reason)
                return True
        return False

    def lose_sandbox(self) -> None:
        """The sandbox dies, and all that is in it."""
        sandbox = self.machine.state.sandbox
        for live in list(self._live.values()):
            self._exit(live, KILLED_CODE, "")
        if sandbox is not None and sandbox.ready:
            self._release()
            self.feed(a.SandboxDied(sandbox.id))

    def watch_exit(self, id_: str, call: Callable[[], object]) -> None:
        """call when the container ends."""
        if self._watches is None:
            self._watches = {}
        self._watches.setdefault(id_, []).append(call)

    def unwatch_exit(self, id_: str, call: Callable[[], object]) -> None:
        if self._watches is not None and call in self._watches.get(id_, ()):
            self._watches[id_].remove(call)

    @property
    def holds(self) -> bool:
        """Whether it takes resources of the node."""
        ending = self.machine.state.ending
        if self.pod.status.phase in status.TERMINAL:
            return False
        return ending is None or self.machine.state.running()

    # --- instructions out ---------------------------------------------------------------------------------------------

    def note(self, container: str, type_: str, reason: str, message: str) -> None:
        self.kubelet.agent.note(self.pod, container, type_, reason, message)

    def _later(self, delay_s: float, fn: Callable[..., None], *args: Any) -> None:
        """Now, if it takes no time."""
        if delay_s <= 0.0:
            fn(*args)
            return
        self._under_way += 1
        self.kubelet.agent.timers.after(delay_s, self._arrive, fn, args)

    def _arrive(self, fn: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self.kubelet.defer(self._arrive, fn, args):
            return
        self._under_way -= 1
        if not self._done:
            fn(*args)

    def _do(self, instruction: a.Instruction) -> None:
        agent = self.kubelet.agent
        match instruction:
            case a.Publish():
                self._dirty = True
            case a.Wake(at):
                if self._wake is not None:
                    self._wake.cancel()
                self._wake = agent.timers.after(at - agent.now(), self._tick)
            case a.Note(type_, reason, message, container):
                agent.note(self.pod, container, type_, reason, message)
            case a.MountVolumes():
                self.mount()
            case a.RunSandbox(attempt):
                seconds = self.behaviour.sandbox_s()
                self._later((seconds or 0.0) + agent.delays.sandbox, self._run_sandbox, attempt, seconds is None)
            case a.StopSandbox(id_):
                self._release()
                self._events.append(a.SandboxStopped(id_))
            case a.EnsureImage(name):
                self._ensure_image(name)
            case a.StartContainer():
                delay = self.behaviour.start_s(instruction.name) + agent.delays.start
                self._later(delay, self._start, instruction)
            case a.StopContainer():
                self._stop(instruction)
            case a.StartProbes():
                self._start_probes(instruction)
            case a.StopProbes(id_, kinds):
                found = self._probing.get(id_) if self._probing is not None else None
                if found is not None and self._probing is not None and found.stop(kinds):
                    del self._probing[id_]
            case a.Resize(containers):
                self._events.append(a.Resized(tuple(name for name, _ in containers)))
                self._weigh()
            case a.CleanUp(remove):
                if self.kubelet.volumes_in_use:
                    self.kubelet.use(self, ())
                self._events.append(a.CleanedUp(remove))
            case a.ConfirmDeletion():
                agent.outbox.confirm(self)
            case a.Forget():
                self._end()

    def _tick(self) -> None:
        self._wake = None
        if not self.kubelet.defer(self._tick):
            self.feed(a.Tick())

    def _publish(self) -> None:
        state = self.machine.state
        if state.gone:
            return
        if not self.holds:
            self.kubelet.claims.remove(self.uid)
        built = status.build(state, self.kubelet.host, self.kubelet.agent.now(), self.built)
        if built == self.built and built == self.sent:
            return
        at_once = not self._under_way or urgent(msgspec.to_builtins(self.sent), msgspec.to_builtins(built))
        self.built = built
        self._mark_load()
        self.kubelet.agent.outbox.status(self, at_once=at_once)

    def _mark_load(self, *, gone: bool = False) -> None:
        """Tell who shares a total with others that this pod takes its part, or no longer."""
        line = self.behaviour.cpu_total()
        if line is not None:
            agent = self.kubelet.agent
            ready = any(c.type == "Ready" and c.status == "True" for c in self.built.conditions)
            agent.loads.mark(self.pod, line, agent.now(), ready=ready, gone=gone)

    def _end(self) -> None:
        self.close()
        self._release()
        self.kubelet.agent.outbox.drop(self)
        self.kubelet.forget(self)

    def close(self) -> None:
        """Take no more events."""
        self._done = True
        self._mark_load(gone=True)
        if self._wake is not None:
            self._wake.cancel()
        for live in self._live.values():
            for timer in (live.exit, live.oom, live.stop):
                if timer is not None:
                    timer.cancel()
        self._live.clear()
        for probing in (self._probing or {}).values():
            probing.stop(())
        self._probing = None

    # --- volumes ------------------------------------------------------------------------------------------------------

    def mount(self) -> None:
        """Look whether the objects behind the volumes are there."""
        lookups, pod = self.kubelet.agent.lookups, self.pod
        volumes = [volume for volume in lookup.needed(pod) if not lookups.at_hand(pod, volume)]
        if not volumes:
            self.feed(a.VolumesReady())
            return
        self._under_way += 1
        lookups.spawn(self._look_at(volumes))

    async def _look_at(self, volumes: list[Any]) -> None:
        self._arrive(self._mounted, (await self.kubelet.agent.lookups.mounts(self, volumes),))

    def _mounted(self, found: lookup.Mounts) -> None:
        kubelet = self.kubelet
        if found.message:
            self.feed(a.VolumesFailed(found.message))
            return
        if found.attached:
            kubelet.use(self, found.attached)
        if found.waits and self.machine.state.ending is None:
            kubelet.attaching[self] = None
        else:
            self.feed(a.VolumesReady())

    # --- sandbox and image --------------------------------------------------------------------------------------------

    def _id(self, name: str, attempt: int) -> str:
        return sha256(f"{self.uid}/{name}/{attempt}".encode()).hexdigest()

    def _run_sandbox(self, attempt: int, fails: bool) -> None:
        if fails:
            self.feed(a.SandboxFailed("rpc error: code = Unknown desc = failed to setup network for sandbox"))
            return
        if deviceclaims.uses(self.pod):
            self._under_way += 1
            self.kubelet.agent.lookups.spawn(self._look_at_devices(attempt))
        else:
            self._make_sandbox(attempt)

    async def _look_at_devices(self, attempt: int) -> None:
        self._arrive(self._devices_ready, (attempt, await self.kubelet.agent.lookups.devices(self)))

    def _devices_ready(self, attempt: int, why: str) -> None:
        if why:
            self.feed(a.SandboxFailed(deviceclaims.told(why), deviceclaims.FAILED))
        else:
            self._make_sandbox(attempt)

    def _make_sandbox(self, attempt: int) -> None:
        ips: tuple[str, ...] = ()
        if not self.pod.spec.hostNetwork:
            address = self.kubelet.take_address(lambda: self._make_sandbox(attempt))
            if address is None:
                return  # called again once the node has a range
            if not address:
                text = f"no IP addresses available in range set: {self.kubelet.cidr}"
                self.feed(a.SandboxFailed(f"rpc error: code = Unknown desc = failed to allocate for range 0: {text}"))
                return
            ips = (address,)
        id_ = self._id("sandbox", attempt)
        self.feed(a.SandboxStarted(a.Sandbox(id_, attempt, True, ips, self.kubelet.agent.now())))

    def _release(self) -> None:
        sandbox = self.machine.state.sandbox
        if sandbox is not None and sandbox.ready:
            for ip in sandbox.ips:
                self.kubelet.release_address(ip)

    def _ensure_image(self, name: str) -> None:
        agent, spec = self.kubelet.agent, self.machine.state.slots[name].spec
        try:
            reference = normalize(spec.image)
        except ImageError as error:
            self._events.append(a.ImageFailed(name, error.reason, str(error)))
            return
        policy = spec.imagePullPolicy or ("Always" if reference.endswith(":latest") else "IfNotPresent")
        pull_s = self.behaviour.pull_s(name)
        missing = pull_s is None or not agent.exists(reference)
        if policy == "Never" and missing:
            text = f'Container image "{spec.image}" is not present with pull policy of Never'
            self._events.append(a.ImageFailed(name, "ErrImageNeverPull", text))
        elif not missing and (policy == "Never" or (policy != "Always" and reference in self.kubelet.pulled)):
            agent.note(self.pod, name, "Normal", "Pulled", f'Container image "{spec.image}" already present on machine')
            self._events.append(a.ImageReady(name, images.digest(reference)))
        else:
            agent.note(self.pod, name, "Normal", "Pulling", f'Pulling image "{spec.image}"')
            self._later((pull_s or 0.0) + agent.delays.pull, self._pulled, name, reference, missing, agent.now())

    def _pulled(self, name: str, reference: str, missing: bool, began: float) -> None:
        if missing:
            self.feed(a.ImageFailed(name, "ErrImagePull", images.not_found(reference)))
            return
        agent = self.kubelet.agent
        self.kubelet.pulled.add(reference)
        if agent.record is not None:
            took = duration(agent.now() - began)
            text = f'Successfully pulled image "{reference}" in {took} ({took} including waiting).'
            agent.note(self.pod, name, "Normal", "Pulled", f"{text} Image size: {images.SIZE} bytes.")
        self.feed(a.ImageReady(name, images.digest(reference)))

    # --- containers ---------------------------------------------------------------------------------------------------

    def _script(self, name: str) -> script.Script:
        slot = self.machine.state.slots.get(name)
        return self.behaviour.run(slot.spec) if slot is not None else script.FOREVER

    def _start(self, order: a.StartContainer) -> None:
        spec = self.machine.state.slots[order.name].spec
        if lookup.refers(spec):
            self._under_way += 1
            self.kubelet.agent.lookups.spawn(self._look_up(order, spec))
        else:
            self._run(order)

    async def _look_up(self, order: a.StartContainer, spec: Any) -> None:
        self._arrive(self._configured, (order, await self.kubelet.agent.lookups.environment(self, spec)))

    def _configured(self, order: a.StartContainer, problem: str) -> None:
        if problem:
            self.feed(a.ContainerFailed(order.name, "CreateContainerConfigError", problem))
        else:
            self._run(order)

    def _run(self, order: a.StartContainer) -> None:
        name, now = order.name, self.kubelet.agent.now()
        state = self.machine.state
        slot = state.slots[name]
        sandbox = state.sandbox
        if sandbox is None or sandbox.id != order.sandbox_id or not sandbox.ready:
            text = f'sandbox container "{order.sandbox_id}" is not running'
            self.feed(a.ContainerFailed(name, "RunContainerError", text))
            return
        run = a.Run(
            id=self._id(name, order.attempt),
            name=name,
            attempt=order.attempt,
            state="running",
            created_at=now,
            started_at=now,
            image=slot.spec.image,
            image_ref=order.image_ref,
            hash=_hash(slot.spec),
            sandbox_id=order.sandbox_id,
        )
        self.note(name, "Normal", "Created", f"Created container: {name}")
        self.note(name, "Normal", "Started", f"Started container {name}")
        live = self._live[run.id] = _Live(run)
        hook = slot.spec.lifecycle.postStart if slot.spec.lifecycle is not None else None
        if hook is None:
            self._has_started(live, name)
        else:
            took_s, code = _hook(hook)
            self._later(took_s, self._hooked, live, name, code)

    def _has_started(self, live: _Live, name: str) -> None:
        self.feed(a.ContainerStarted(name, live.run))
        if self.kubelet.strain.watchful or self.behaviour.says_usage:
            self._weigh(live)
        if live.run.id in self._live and live.exit is None and live.run.state == "running":
            lasts = self._script(name).lasts
            if lasts is not None:
                self._exit_after(live, live.run.started_at + lasts - self.kubelet.agent.now())

    def _hooked(self, live: _Live, name: str, code: int) -> None:
        """The postStart hook has returned."""
        if live.run.id not in self._live:
            return
        if code == 0:
            self._has_started(live, name)
            return
        del self._live[live.run.id]
        text = f"PostStartHook failed: command exited with {code}"
        self.note(name, "Warning", "FailedPostStartHook", text)
        self.note(name, "Normal", "Killing", "FailedPostStartHook")
        self.feed(a.ContainerFailed(name, "PostStartHookError", text, self._ended(live, KILLED_CODE, "")))

    def _weigh(self, *some: _Live) -> None:
        """Those containers, or all, begin or use other amounts: when will they have used more than they may?"""
        now = self.kubelet.agent.now()
        self.kubelet.strain.changed(self)
        for live in some or list(self._live.values()):
            if live.oom is not None:
                live.oom.cancel()
                live.oom = None
            slot = self.machine.state.slots.get(live.run.name)
            if slot is None or self.behaviour._annotations is None:
                continue
            limit = limits_of(self.pod, slot.spec).get("memory", "")
            after = self.behaviour.oom_s(slot.spec, quantity.value(limit)) if limit else None
            if after is not None:
                delay = max(live.run.started_at + after - now, 0.0)
                live.oom = self.kubelet.agent.timers.after(delay, self._out_of_memory, live)

    def _out_of_memory(self, live: _Live) -> None:
        if not self.kubelet.defer(self._out_of_memory, live):
            self._exit(live, KILLED_CODE, "OOMKilled")

    def _exit_after(self, live: _Live, delay_s: float) -> None:
        code = self._script(live.run.name).code
        if delay_s <= 0.0:
            self._exit(live, code, "", finished_at=self.kubelet.agent.now() + delay_s)
        else:
            live.exit = self.kubelet.agent.timers.after(delay_s, self._exits, live, code)

    def _exits(self, live: _Live, code: int) -> None:
        if not self.kubelet.defer(self._exits, live, code):
            self._exit(live, code, "")

    def _ended(self, live: _Live, code: int, reason: str, finished_at: float = 0.0) -> a.Run:
        at = finished_at or self.kubelet.agent.now()
        return replace(
            live.run,
            state="exited",
            finished_at=max(at, live.run.started_at),
            exit_code=code,
            reason=reason or ("Completed" if code == 0 else "Error"),
        )

    def _exit(self, live: _Live, code: int, reason: str, *, finished_at: float = 0.0) -> None:
        if self._live.pop(live.run.id, None) is None:
            return
        run, stopping = self._ended(live, code, reason, finished_at), live.stop is not None
        if self.kubelet.strain.watchful:
            self.kubelet.strain.changed(self)
        for timer in (live.exit, live.oom, live.stop):
            if timer is not None:
                timer.cancel()
        if self._watches is not None:
            for call in self._watches.pop(run.id, ()):
                call()
        self.feed(a.ContainerStopped(run.name, run.id, run) if stopping else a.ContainerExited(run))

    def _stop(self, order: a.StopContainer) -> None:
        live = self._live.get(order.id)
        if live is None:
            slot = self.machine.state.slots.get(order.name)
            run = slot.current if slot is not None and slot.current is not None and slot.exited else None
            self._events.append(a.ContainerStopped(order.name, order.id, run))
            return
        delay_s, code = self._stopping(order, live)
        now = self.kubelet.agent.now()
        if live.stop is not None:
            if live.stop_at <= now + delay_s:
                return  # it ends sooner by what was asked before
            live.stop.cancel()
        live.stop_at, live.stop_code = now + delay_s, code
        live.stop = self.kubelet.agent.timers.after(delay_s, self._stops, live)
        if delay_s <= 0.0:
            self._exit(live, code, "")

    def _stops(self, live: _Live) -> None:
        if not self.kubelet.defer(self._stops, live):
            self._exit(live, live.stop_code, "")

    def _stopping(self, order: a.StopContainer, live: _Live) -> tuple[float, int]:
        """How many seconds the container takes to end, and its exit code."""
        grace, before = float(order.grace_s), 0.0
        if grace <= 0.0:
            return 0.0, KILLED_CODE
        slot = self.machine.state.slots.get(order.name)
        lifecycle = slot.spec.lifecycle if slot is not None else None
        if lifecycle is not None and lifecycle.preStop is not None and not live.hooked:
            live.hooked = True
            before, code = _hook(lifecycle.preStop)
            if before > grace:
                text = f"PreStopHook did not complete within {order.grace_s} seconds"
                self.note(order.name, "Warning", "FailedPreStopHook", text)
                before = grace
            elif code:
                text = f"PreStopHook failed: command exited with {code}"
                self.note(order.name, "Warning", "FailedPreStopHook", text)
            grace = max(grace - before, MINIMUM_GRACE_S)
        taken = self.behaviour.stop(order.name)
        if taken.after_s is None or taken.after_s > grace:
            return before + grace, KILLED_CODE
        return before + taken.after_s, taken.code

    def _start_probes(self, order: a.StartProbes) -> None:
        agent = self.kubelet.agent
        spec = self.machine.state.slots[order.name].spec
        probing = Probing(
            order,
            spec,
            self.behaviour,
            agent.now,
            self._probe_after,
            self.feed,
            lambda type_, reason, message: self.note(order.name, type_, reason, message),
        )
        if self._probing is None:
            self._probing = {}
        self._probing[order.id] = probing
        probing.run()

    def _probe_after(self, delay_s: float, fn: Callable[[], None]) -> Timer:
        return self.kubelet.agent.timers.after(delay_s, self._probe, fn)

    def _probe(self, fn: Callable[[], None]) -> None:
        if not self.kubelet.defer(self._probe, fn):
            fn()


def _containers(pod: Any) -> tuple[Any, ...]:
    return (*pod.spec.initContainers, *pod.spec.containers, *pod.spec.ephemeralContainers)


def _hook(handler: Any) -> tuple[float, int]:
    """(seconds that it takes, exit code) of a lifecycle hook."""
    if handler.exec is not None:
        found = script.understand(handler.exec.command)
        return found.lasts or 0.0, found.code
    if handler.sleep is not None:
        return float(handler.sleep.seconds), 0
    return 0.0, 0


def _only_our_word(old: Any, new: Any, built: Any) -> bool:
    """The pod differs from the version before in nothing but the status that was built here."""
    a_, b = old.metadata, new.metadata
    if (
        a_.generation != b.generation
        or a_.deletionTimestamp != b.deletionTimestamp
        or a_.deletionGracePeriodSeconds != b.deletionGracePeriodSeconds
        or a_.annotations != b.annotations
        or a_.labels != b.labels
    ):
        return False
    told = new.status
    if (
        told.phase != built.phase
        or told.reason != built.reason
        or told.podIPs != built.podIPs
        or told.containerStatuses != built.containerStatuses
        or told.initContainerStatuses != built.initContainerStatuses
        or told.ephemeralContainerStatuses != built.ephemeralContainerStatuses
        or told.resize != old.status.resize
        or told.nominatedNodeName != old.status.nominatedNodeName
        or told.resourceClaimStatuses != old.status.resourceClaimStatuses
    ):
        return False
    return {c.type: c for c in told.conditions} == {c.type: c for c in built.conditions}
