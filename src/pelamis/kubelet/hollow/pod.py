"""One hollow pod: carries out the instructions of the kubelet's pod machine over containers that are in memory only.

Whatever takes no time is done at once, and its outcome handed to the machine before anything else happens; the status
is built after the last of it. So a pod that nothing delays goes from Pending to Running and Ready in one write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from pelamis.kubelet import actions as a
from pelamis.kubelet import deviceclaims, status
from pelamis.kubelet.hollow import image as images
from pelamis.kubelet.hollow import lookup, script
from pelamis.kubelet.hollow.adopt import adopted
from pelamis.kubelet.hollow.behaviour import KILLED_CODE, behaviour, problems
from pelamis.kubelet.hollow.containers import Containers, Live
from pelamis.kubelet.hollow.rest import Packed, Picture, unpack
from pelamis.kubelet.hollow.thrift import slim
from pelamis.kubelet.hollow.timer import Timer
from pelamis.kubelet.images import ImageError, duration, normalize
from pelamis.kubelet.podstate import PodState, container_hash
from pelamis.kubelet.podsync import PodMachine
from pelamis.kubelet.publish import urgent

if TYPE_CHECKING:
    from pelamis.kubelet.hollow.kubelet import HollowKubelet


class HollowPod:
    """``pod``: the newest; ``built``: its status as it should be; ``sent``: as the API has it, as far as is known.

    While nothing is to be done these, and all that the machine knows, are packed (``rest``); whoever asks for them
    has them again. ``picture`` is for those who only look.
    """

    __slots__ = (
        "_awake",
        "_containers",
        "_dirty",
        "_done",
        "_events",
        "_feeding",
        "_holds",
        "_machine",
        "_packed",
        "_picture",
        "_under_way",
        "_wake",
        "acked_rev",
        "behaviour",
        "kubelet",
        "rev",
        "uid",
    )

    def __init__(self, kubelet: HollowKubelet, pod: Any) -> None:
        self.kubelet = kubelet
        self.uid: str = pod.metadata.uid
        pod = slim(pod)
        self.rev = int(pod.metadata.resourceVersion or 0)
        """Of the newest version."""
        self.behaviour = behaviour(pod.metadata.annotations)
        self.acked_rev = 0
        self._packed: Packed | None = None
        self._machine: PodMachine | None = PodMachine(pod, kubelet.agent.now())
        self._picture: Picture | None = Picture(pod, self._machine.state, pod.status, pod.status)
        self._containers: Containers | None = Containers(self)
        self._events: list[a.Event] | None = None
        self._feeding = False
        self._dirty = False
        self._done = False
        self._awake = False
        """It may not rest just now."""
        self._holds = True
        self._under_way = 0
        self._wake: Timer | None = None

    # --- what is known ------------------------------------------------------------------------------------------------

    def _unpack(self) -> Picture:
        assert self._packed is not None
        found = self._picture = unpack(self._packed)
        self._packed = None
        state = found.state
        self._machine = PodMachine(found.pod, 0.0, state)
        if self._containers is None:
            runs = (slot.current for slot in state.slots.values() if slot.current is not None)
            self._containers = Containers(self, (run for run in runs if run.state == "running"))
        return found

    def picture(self) -> Picture:
        """To look at: a pod that rests goes on resting."""
        if self._picture is not None:
            return self._picture
        assert self._packed is not None
        return unpack(self._packed)

    @property
    def pod(self) -> Any:
        return (self._picture or self._unpack()).pod

    @property
    def built(self) -> Any:
        return (self._picture or self._unpack()).built

    @property
    def sent(self) -> Any:
        return (self._picture or self._unpack()).sent

    @property
    def machine(self) -> PodMachine:
        if self._machine is None:
            self._unpack()
        machine = self._machine
        assert machine is not None
        return machine

    @property
    def containers(self) -> Containers:
        if self._containers is None:
            self._unpack()
        containers = self._containers
        assert containers is not None
        return containers

    @property
    def resting(self) -> bool:
        return self._packed is not None

    def rest(self) -> None:
        """Pack what is known, unless something is to be done with it soon."""
        found, machine, containers = self._picture, self._machine, self._containers
        if found is None or machine is None or self._feeding or self._awake or self._done or self._under_way:
            return
        state = machine.state
        if (
            self._events
            or found.built != found.sent
            or state.pod is not found.pod
            or not machine.resting
            or self in self.kubelet.attaching
        ):
            return
        if containers is not None and containers.idle and _told(state, containers.live.values()):
            self._containers = None
        self._holds = self.holds
        self._packed = self.kubelet.agent.packer.pack(found)
        self._picture = self._machine = self._events = None

    # --- events in ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        pod = self.pod
        if not self.behaviour.plain:
            for text in problems(pod.metadata.annotations):
                self.note("", "Warning", "HollowBehaviour", text)
        if not pod.status.startTime:
            self.feed(a.PodChanged(pod))
            return
        self._awake = True
        self._adopt(pod)
        self._awake = False
        self.rest()

    def _adopt(self, pod: Any) -> None:
        found = adopted(pod, self._id("sandbox", 0))
        for sandbox in found.sandboxes:
            for ip in sandbox.ips:
                self.kubelet.mark_address(ip)
        now = self.kubelet.agent.now()
        containers = self.containers
        for run in found.runs:
            spec = next((spec for spec in _containers(pod) if spec.name == run.name), None)
            if spec is not None and run.state == "running":
                run.hash = container_hash(spec)
                containers.live[run.id] = Live(run)
        self.feed(found)
        for live in list(containers.live.values()):
            lasts = self.script(live.run.name).lasts
            if lasts is not None and live.exit is None:
                containers.exit_after(live, live.run.started_at + lasts - now)
        if self.kubelet.strain.watchful or self.behaviour.says_usage:
            containers.weigh()

    def feed(self, event: a.Event) -> None:
        if self._done:
            return
        if self._events is None:
            self._events = []
        self._events.append(event)
        if self._feeding:
            return
        machine = self.machine
        self._feeding = True
        try:
            now = self.kubelet.agent.now()
            while self._events and not self._done:
                events, self._events = self._events, []
                for instruction in machine.steps(events, now):
                    self._do(instruction)
        finally:
            self._feeding = False
        if self._dirty and not self._done:
            self._dirty = False
            self._publish()
        self.rest()

    def _answer(self, event: a.Event) -> None:
        """Of an instruction that took no time."""
        if self._events is None:
            self._events = []
        self._events.append(event)

    def changed(self, pod: Any) -> None:
        """The API has a newer version of the pod."""
        picture, machine = self._picture or self._unpack(), self.machine
        old, built = picture.pod, picture.built
        picture.pod = pod = slim(pod)
        self.rev = int(pod.metadata.resourceVersion or 0)
        if self.rev >= self.acked_rev:
            picture.sent = pod.status
        if _only_our_word(old, pod, built):
            machine.refresh(pod)
            picture.built = pod.status
            self.rest()
            return
        if old.metadata.annotations != pod.metadata.annotations:
            said = self.behaviour.says_usage
            self.behaviour = behaviour(pod.metadata.annotations)
            self._mark_load()
            if said or self.behaviour.says_usage:
                self.containers.weigh()
        if old.metadata.generation != pod.metadata.generation:
            self.kubelet.claims.add(pod)
        self.feed(a.PodChanged(pod))

    def accepted(self, rev: int, built: Any) -> None:
        """The API has that status, as of that revision."""
        self.acked_rev = max(self.acked_rev, rev)
        if self.rev < rev:
            (self._picture or self._unpack()).sent = built

    def gone(self) -> None:
        self.kubelet.agent.outbox.drop(self)
        self.feed(a.PodGone())

    def crash(self, container: str, exit_code: int, reason: str = "") -> bool:
        """End a running container from within; False when none runs."""
        containers = self.containers
        for live in containers.live.values():
            if live.run.name == container:
                containers.exit(live, exit_code, reason)
                return True
        return False

    def lose_sandbox(self) -> None:
        """The sandbox dies, and all that is in it."""
        self._awake = True
        sandbox, containers = self.machine.state.sandbox, self.containers
        for live in list(containers.live.values()):
            containers.exit(live, KILLED_CODE, "")
        self._awake = False
        if sandbox is not None and sandbox.ready:
            self._release()
            self.feed(a.SandboxDied(sandbox.id))

    @property
    def holds(self) -> bool:
        """Whether it takes resources of the node."""
        if self._picture is None:
            return self._holds
        state = self._picture.state
        if self._picture.pod.status.phase in status.TERMINAL:
            return False
        return state.ending is None or state.running()

    # --- instructions out ---------------------------------------------------------------------------------------------

    def note(self, container: str, type_: str, reason: str, message: str) -> None:
        self.kubelet.agent.note(self.pod, container, type_, reason, message)

    def later(self, delay_s: float, fn: Callable[..., None], *args: Any) -> None:
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
                self.later((seconds or 0.0) + agent.delays.sandbox, self._run_sandbox, attempt, seconds is None)
            case a.StopSandbox(id_):
                self._release()
                self._answer(a.SandboxStopped(id_))
            case a.EnsureImage(name):
                self._ensure_image(name)
            case a.StartContainer():
                delay = self.behaviour.start_s(instruction.name) + agent.delays.start
                self.later(delay, self._start, instruction)
            case a.StopContainer():
                answer = self.containers.stop(instruction)
                if answer is not None:
                    self._answer(answer)
            case a.StartProbes():
                self.containers.start_probes(instruction)
            case a.StopProbes(id_, kinds):
                self.containers.stop_probes(id_, kinds)
            case a.Resize(containers):
                self._answer(a.Resized(tuple(name for name, _ in containers)))
                self.containers.weigh()
            case a.CleanUp(remove):
                if self.kubelet.volumes_in_use:
                    self.kubelet.use(self, ())
                self._answer(a.CleanedUp(remove))
            case a.ConfirmDeletion():
                agent.outbox.confirm(self)
            case a.Forget():
                self._end()

    def _tick(self) -> None:
        self._wake = None
        if not self.kubelet.defer(self._tick):
            self.feed(a.Tick())

    def _publish(self) -> None:
        picture = self._picture or self._unpack()
        state = picture.state
        if state.gone:
            return
        if not self.holds:
            self.kubelet.claims.remove(self.uid)
        built = status.build(state, self.kubelet.host, self.kubelet.agent.now(), picture.built)
        if built == picture.built and built == picture.sent:
            return
        at_once = not self._under_way or urgent(msgspec.to_builtins(picture.sent), msgspec.to_builtins(built))
        picture.built = built
        self._mark_load()
        self.kubelet.agent.outbox.status(self, at_once=at_once)

    def _mark_load(self, *, gone: bool = False) -> None:
        """Tell who shares a total with others that this pod takes its part, or no longer."""
        line = self.behaviour.cpu_total()
        if line is not None:
            agent = self.kubelet.agent
            found = self.picture()
            ready = any(c.type == "Ready" and c.status == "True" for c in found.built.conditions)
            agent.loads.mark(found.pod, line, agent.now(), ready=ready, gone=gone)

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
        if self._containers is not None:
            self._containers.close()

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
            self._answer(a.ImageFailed(name, error.reason, str(error)))
            return
        policy = spec.imagePullPolicy or ("Always" if reference.endswith(":latest") else "IfNotPresent")
        pull_s = self.behaviour.pull_s(name)
        missing = pull_s is None or not agent.exists(reference)
        if policy == "Never" and missing:
            text = f'Container image "{spec.image}" is not present with pull policy of Never'
            self._answer(a.ImageFailed(name, "ErrImageNeverPull", text))
        elif not missing and (policy == "Never" or (policy != "Always" and reference in self.kubelet.pulled)):
            text = f'Container image "{spec.image}" already present on machine and can be accessed by the pod'
            agent.note(self.pod, name, "Normal", "Pulled", text)
            self._answer(a.ImageReady(name, images.digest(reference)))
        else:
            agent.note(self.pod, name, "Normal", "Pulling", f'Pulling image "{spec.image}"')
            self.later((pull_s or 0.0) + agent.delays.pull, self._pulled, name, reference, missing, agent.now())

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

    def script(self, name: str) -> script.Script:
        slot = self.machine.state.slots.get(name)
        return self.behaviour.run(self.pod, slot.spec) if slot is not None else script.FOREVER

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
            hash=container_hash(slot.spec),
            sandbox_id=order.sandbox_id,
        )
        self.note(name, "Normal", "Created", f"Created container: {name}")
        self.note(name, "Normal", "Started", f"Started container {name}")
        self.containers.run(run, slot.spec)


def _told(state: PodState, live: Collection[Live]) -> bool:
    """Whether the machine knows of just these containers."""
    known = [slot.current for slot in state.slots.values() if slot.current is not None]
    running = {run.id: run for run in known if run.state == "running"}
    return len(running) == len(live) and all(running.get(one.run.id) is one.run for one in live)


def _containers(pod: Any) -> tuple[Any, ...]:
    return (*pod.spec.initContainers, *pod.spec.containers, *pod.spec.ephemeralContainers)


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
