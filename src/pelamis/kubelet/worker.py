"""Carries out the instructions of one pod's machine and hands the outcomes back to it.

Every instruction that takes time runs in a task of its own; a failure of any sort becomes the event that says so, and
the machine decides when to try again. The machine itself is never awaited: events are fed to it one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Delete
from pelamis.kubelet import actions as a
from pelamis.kubelet import (
    actuation,
    config,
    containerfiles,
    deviceclaims,
    dns,
    env,
    fromcri,
    hooks,
    logs,
    metrics,
    status,
)
from pelamis.kubelet.agent import Agent
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri.runtime import CriError
from pelamis.kubelet.dra import cdi
from pelamis.kubelet.podimages import PodImages
from pelamis.kubelet.podsync import PodMachine
from pelamis.kubelet.prober import Target
from pelamis.kubelet.publish import urgent
from pelamis.kubelet.references import NotSynced
from pelamis.kubelet.volumes import image as image_volume
from pelamis.kubelet.volumes import incontainer
from pelamis.kubelet.volumes import pod as volumes
from pelamis.kubelet.volumes.context import Context
from pelamis.kubelet.volumes.payload import VolumeError

log = logging.getLogger("pelamis.kubelet.pod")
Work = Callable[..., Coroutine[Any, Any, None]]
DELETE_RETRY_S = 1.0
WITHDRAW_S = 1.0
"""How long a deleted pod waits at most for its endpoints to leave the rules before its containers are told to stop."""
STATUS_RETRIES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Worker:
    """One pod. ``pod`` is the newest declaration; ``sent``, ``wanted`` and ``acked_rev`` are the publisher's."""

    def __init__(self, agent: Agent, pod: Any, forget: Any) -> None:
        self.agent = agent
        self.pod = pod
        self.uid: str = pod.metadata.uid
        self.machine = PodMachine(pod, agent.now())
        self.sent: dict[str, Any] = msgspec.to_builtins(pod.status)
        self.wanted: dict[str, Any] = self.sent
        self.acked_rev = 0
        self.paths: dict[str, str] = {}
        self.images = PodImages(agent)
        self.sandbox_config: cri.PodSandboxConfig | None = None
        self._forget = forget
        self._built = pod.status
        self._timer: asyncio.TimerHandle | None = None
        self._token_timer: asyncio.TimerHandle | None = None
        self._exits: dict[str, a.Run] = {}
        self._hooked: set[str] = set()
        self._log_watches: dict[str, list[logs.Watch]] = {}
        self._refreshing = False
        self._done = False

    # --- events in ----------------------------------------------------------------------------------------------------

    def feed(self, event: a.Event) -> None:
        if self._done:
            return
        self._count(event)
        for instruction in self.machine.step(event, self.agent.now()):
            self._do(instruction)
        if isinstance(event, a.ContainerExited | a.ContainerStopped):
            for watch in self._log_watches.pop(event.run.id if event.run is not None else "", ()):
                watch.poke()
        if isinstance(event, a.ContainerStarted) and event.run.id in self._exits:
            self.feed(a.ContainerExited(self._exits.pop(event.run.id)))

    def _count(self, event: a.Event) -> None:
        match event:
            case a.SandboxStarted() | a.SandboxFailed():
                metrics.pod_started(failed=isinstance(event, a.SandboxFailed))
            case a.ContainerStarted(name):
                metrics.container_started(self.machine.state.slots[name].kind)
            case a.ContainerFailed(name, reason):
                metrics.container_started(self.machine.state.slots[name].kind, reason)
            case a.ContainerExited(run) | a.ContainerStopped(run=run) if run is not None and run.state == "exited":
                slot = self.machine.state.slots.get(run.name)
                known = slot.current if slot is not None else None
                if slot is not None and known is not None and known.id == run.id and known.state != "exited":
                    metrics.container_ended(slot.kind, run)

    def changed(self, pod: Any) -> None:
        old, self.pod = self.pod, pod
        rev = int(pod.metadata.resourceVersion or 0)
        if rev >= self.acked_rev:
            self.sent = msgspec.to_builtins(pod.status)
        self.feed(a.PodChanged(pod))
        if old.metadata.labels != pod.metadata.labels or old.metadata.annotations != pod.metadata.annotations:
            self.refresh()

    def waits(self, pending: a.Pending | None) -> None:
        """What the pod asks for has not been granted, or (None) nothing waits any more."""
        resize = self.machine.state.resize
        if pending != (resize.pending if resize is not None else None):
            self.feed(a.ResizeWaits(pending))

    def gone(self) -> None:
        self.agent.publisher.drop(self.uid)
        self.feed(a.PodGone())

    def dependency_changed(self) -> None:
        """Something the pod refers to has changed: retry what waits, and bring the volumes up to date."""
        self.feed(a.Retry())
        self.refresh()

    def exited(self, id_: str, name: str) -> None:
        self._spawn(f"exit {name}", self._observe_exit, id_, name)

    def watch_exit(self, id_: str, watch: logs.Watch) -> None:
        """Poke ``watch`` when the container exits."""
        self._log_watches.setdefault(id_, []).append(watch)

    # --- instructions out ---------------------------------------------------------------------------------------------

    def _spawn(self, what: str, work: Work, *args: Any, failed: Callable[[str], a.Event] | None = None) -> None:
        """failed: the event that stands for an unforeseen failure, so that the machine never waits in vain."""
        if self._done:
            return
        meta = self.pod.metadata
        name = f"pod {meta.namespace}/{meta.name} {what}"
        self.agent.tasks.create_task(self._guard(name, work, args, failed), name=name)

    async def _guard(
        self, name: str, work: Work, args: tuple[Any, ...], failed: Callable[[str], a.Event] | None
    ) -> None:
        """A defect that shows with one pod must not end the agent of all the others."""
        try:
            await work(*args)
        except Exception as error:
            log.exception("%s", name)
            if failed is not None:
                self.feed(failed(f"{type(error).__name__}: {error}"))

    def _do(self, instruction: a.Instruction) -> None:
        agent = self.agent
        match instruction:
            case a.Publish():
                self.publish()
            case a.Wake(at):
                if self._timer is not None:
                    self._timer.cancel()
                delay = max(at - agent.now(), 0.0)
                self._timer = asyncio.get_running_loop().call_later(delay, self.feed, a.Tick())
            case a.Note(type_, reason, message, container):
                agent.note(self.pod, container, type_, reason, message)
            case a.MountVolumes():
                self._spawn("volumes", self._mount, failed=a.VolumesFailed)
            case a.RunSandbox(attempt):
                self._spawn("sandbox", self._run_sandbox, attempt, failed=a.SandboxFailed)
            case a.StopSandbox(id_):
                self._spawn("stop sandbox", self._stop_sandbox, id_, failed=lambda text: a.SandboxStopped(id_, text))
            case a.EnsureImage(name):
                self._spawn(
                    f"image {name}",
                    self._ensure_image,
                    name,
                    failed=lambda text: a.ImageFailed(name, "ErrImagePull", text),
                )
            case a.StartContainer():
                started = instruction.name
                self._spawn(
                    f"start {started}",
                    self._start,
                    instruction,
                    failed=lambda text: a.ContainerFailed(started, "CreateContainerError", text),
                )
            case a.StopContainer():
                ended = instruction
                self._spawn(
                    f"stop {ended.name}",
                    self._stop,
                    ended,
                    failed=lambda text: a.ContainerStopped(ended.name, ended.id, None, text),
                )
            case a.StartProbes(name, id_, started_at, startup_done, ready):
                slot = self.machine.state.slots[name]
                target = Target(self.uid, slot.spec, id_, self._ips()[0] if self._ips() else "127.0.0.1")
                agent.prober.start(target, started_at, startup_done=startup_done, ready=ready)
            case a.StopProbes(id_, kinds):
                agent.prober.stop(id_, kinds)
            case a.Resize():
                self._spawn("resize", self._resize, instruction, failed=lambda text: a.Resized((), text))
            case a.CleanUp(remove):
                self._spawn("clean up", self._clean_up, remove, failed=a.CleanUpFailed)
            case a.ConfirmDeletion():
                self._spawn("confirm deletion", self._confirm_deletion)
            case a.Forget():
                self._end()

    def _ips(self) -> tuple[str, ...]:
        sandbox = self.machine.state.sandbox
        if self.pod.spec.hostNetwork:
            return self.agent.host.ips
        return sandbox.ips if sandbox is not None else ()

    def publish(self) -> None:
        if self.machine.state.gone:
            return
        built = status.build(self.machine.state, self.agent.host, self.agent.now(), self._built)
        if self.pod.spec.resourceClaims:
            built = self._with_health(built)
        self._built = built
        tree: dict[str, Any] = msgspec.to_builtins(built)
        if tree == self.wanted and tree == self.sent:
            return
        at_once = urgent(self.sent, tree)
        self.wanted = tree
        self.agent.publisher.mark(self, at_once=at_once)

    def _with_health(self, built: Any) -> Any:
        """The status, with the health of the containers' devices."""
        specs = {container.name: container for container in self.pod.spec.containers}
        statuses = []
        for one in built.containerStatuses:
            found = self.agent.devices.status(self.pod, specs[one.name]) if one.name in specs else ()
            statuses.append(msgspec.structs.replace(one, allocatedResourcesStatus=found))
        return msgspec.structs.replace(built, containerStatuses=tuple(statuses))

    def close(self) -> None:
        """Take no more events; the containers stay as they are."""
        self._done = True
        for timer in (self._timer, self._token_timer):
            if timer is not None:
                timer.cancel()

    def _end(self) -> None:
        self.close()
        agent = self.agent
        agent.references.drop(self.uid)
        agent.tokens.drop(self.uid)
        agent.publisher.drop(self.uid)
        for id_ in [id_ for id_, (uid, _) in agent.owners.items() if uid == self.uid]:
            del agent.owners[id_]
        self._forget(self)

    # --- volumes ------------------------------------------------------------------------------------------------------

    def _context(self) -> Context:
        agent = self.agent
        return Context(
            pod=self.pod,
            folder=agent.pod_folder(self.uid),
            configmap=agent.references.configmap,
            secret=agent.references.secret,
            claim=agent.references.claim,
            volume=agent.references.volume,
            trust_bundles=agent.references.trust_bundles,
            token=agent.tokens.get,
            stamp=agent.stamp,
            ips=self._ips(),
            host_ips=agent.host.ips,
            allocatable=agent.allocatable(),
        )

    async def _mount(self) -> None:
        agent = self.agent
        try:
            folder = agent.pod_folder(self.uid)
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            await agent.references.synced(self.pod)
            self.paths |= await volumes.set_up(self._context())
        except (VolumeError, NotSynced, OSError) as error:
            self.feed(a.VolumesFailed(str(error)))
            return
        self._renew_tokens()
        self.feed(a.VolumesReady())

    def _renew_tokens(self) -> None:
        at = self.agent.tokens.renew_at(self.uid)
        if self._token_timer is not None:
            self._token_timer.cancel()
            self._token_timer = None
        if at is not None and not self._done:
            delay = max(at - self.agent.now(), 1.0)
            self._token_timer = asyncio.get_running_loop().call_later(delay, self.refresh)

    def refresh(self) -> None:
        """Bring live volumes up to date, once per burst of changes."""
        state = self.machine.state
        if self._done or self._refreshing or state.volumes != "ready" or state.clean != "no":
            return
        self._refreshing = True
        self._spawn("refresh volumes", self._refresh)

    async def _refresh(self) -> None:
        try:
            await asyncio.sleep(0)
            self._refreshing = False
            await self.agent.references.synced(self.pod)
            await volumes.refresh(self._context())
        except (VolumeError, NotSynced, OSError) as error:
            self.agent.note(self.pod, "", "Warning", "FailedMount", str(error))
        self._renew_tokens()

    # --- sandbox ------------------------------------------------------------------------------------------------------

    async def _run_sandbox(self, attempt: int) -> None:
        agent = self.agent
        if deviceclaims.uses(self.pod) and (why := await self._prepare_devices()):
            self.feed(a.SandboxFailed(deviceclaims.told(why), deviceclaims.FAILED))
            return
        try:
            if self.pod.spec.hostUsers is False:
                raise ValueError("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
            settings = self._sandbox_settings(attempt)
            os.makedirs(settings.log_directory, exist_ok=True)
            if agent.cgroups is not None:
                agent.cgroups.create_pod(self.pod, agent.config.pod_pids)
            self.sandbox_config = settings
            id_ = await agent.runtime.run_sandbox(settings, self._handler())
            agent.owners[id_] = (self.uid, "")
            made = fromcri.sandbox(await agent.runtime.sandbox_status(id_))
        except (CriError, OSError, ValueError) as error:
            self.feed(a.SandboxFailed(str(error)))
            return
        self.feed(a.SandboxStarted(made))

    async def _prepare_devices(self) -> str:
        """Why the devices of the pod's claims cannot be used."""
        try:
            return await self.agent.devices.prepare(self.pod)
        except OSError as error:
            return str(error)

    def _handler(self) -> str:
        """The runtime's handler for the pod's RuntimeClass; its name stands for it unless an object says otherwise."""
        name = self.pod.spec.runtimeClassName
        if not name:
            return ""
        found = self.agent.runtime_class(name)
        return str(found.handler) if found is not None else str(name)

    def _sandbox_settings(self, attempt: int) -> cri.PodSandboxConfig:
        agent = self.agent
        limits = dns.Limits()
        resolver = dns.for_pod(self.pod, agent.config.cluster_dns, agent.config.cluster_domain, agent.resolver, limits)
        for text in limits.notes:
            agent.note(self.pod, "", "Warning", "DNSConfigForming", text)
        return config.sandbox(
            self.pod,
            attempt,
            resolver=resolver,
            cluster_domain=agent.config.cluster_domain,
            logs=agent.config.pod_logs_dir,
            cgroup=agent.cgroups.pod_path(self.pod) if agent.cgroups is not None else "",
            seccomp=f"{agent.config.seccomp_root}/",
        )

    async def _stop_sandbox(self, id_: str) -> None:
        try:
            await self.agent.runtime.stop_sandbox(id_)
        except CriError as error:
            self.feed(a.SandboxStopped(id_, str(error)))
            return
        self.feed(a.SandboxStopped(id_))

    # --- containers ---------------------------------------------------------------------------------------------------

    async def _ensure_image(self, name: str) -> None:
        slot = self.machine.state.slots.get(name)
        if slot is not None:
            self.feed(await self.images.ensure(self.pod, slot.spec, self.sandbox_config))

    async def _start(self, order: a.StartContainer) -> None:
        agent, name = self.agent, order.name
        slot = self.machine.state.slots[name]
        try:
            settings = await self._container_settings(order, slot.spec)
        except (env.ConfigError, VolumeError, NotSynced, ValueError, deviceclaims.Hindered) as error:
            self.feed(a.ContainerFailed(name, "CreateContainerConfigError", str(error)))
            return
        except (OSError, CriError, cdi.CdiError) as error:
            self.feed(a.ContainerFailed(name, "CreateContainerError", str(error)))
            return
        if self.sandbox_config is None:
            self.sandbox_config = self._sandbox_settings(self.machine.state.sandbox_attempt)
        try:
            id_ = await agent.runtime.create_container(order.sandbox_id, settings, self.sandbox_config)
        except CriError as error:
            self.feed(a.ContainerFailed(name, "CreateContainerError", str(error)))
            return
        agent.owners[id_] = (self.uid, name)
        agent.note(self.pod, name, "Normal", "Created", f"Created container: {name}")
        try:
            await agent.runtime.start_container(id_)
        except CriError as error:
            run = await self._observe(id_, order.sandbox_id)
            self.feed(a.ContainerFailed(name, "RunContainerError", error.message, run))
            return
        agent.note(self.pod, name, "Normal", "Started", f"Started container {name}")
        run = await self._observe(id_, order.sandbox_id)
        where = agent.config
        containerfiles.link_log(where.pod_logs_dir, where.container_logs_dir, self.pod, name, id_, order.attempt)
        hook = slot.spec.lifecycle.postStart if slot.spec.lifecycle is not None else None
        if hook is not None and not await self._post_start(hook, order, slot.spec, id_):
            return
        if run is None:
            now = agent.now()
            run = a.Run(id_, name, order.attempt, "running", now, now, hash=settings.annotations[config.HASH])
            run.sandbox_id = order.sandbox_id
        self.feed(a.ContainerStarted(name, run))

    async def _post_start(self, hook: Any, order: a.StartContainer, spec: Any, id_: str) -> bool:
        host = order.ips[0] if order.ips else "127.0.0.1"
        try:
            await hooks.run(self.agent.runtime, hook, spec, id_, host)
        except hooks.HookError as error:
            self.agent.note(self.pod, order.name, "Warning", "FailedPostStartHook", f"PostStartHook failed: {error}")
            self.agent.note(self.pod, order.name, "Normal", "Killing", "FailedPostStartHook")
            grace = self.pod.spec.terminationGracePeriodSeconds
            with contextlib.suppress(CriError):
                await self.agent.runtime.stop_container(id_, 30 if grace is None else grace)
            run = await self._observe(id_, order.sandbox_id)
            self.feed(a.ContainerFailed(order.name, "PostStartHookError", f"PostStartHook failed: {error}", run))
            return False
        return True

    async def _container_settings(self, order: a.StartContainer, spec: Any) -> cri.ContainerConfig:
        agent, pod = self.agent, self.pod
        await agent.references.synced(pod)
        ips = self._ips()
        sources = env.Sources(
            agent.references.configmap,
            agent.references.secret,
            agent.services.list(),
            ips,
            agent.host.ips,
            agent.allocatable(),
            functools.partial(incontainer.text_of, self.paths),
        )
        environment = env.build(pod, spec, sources)
        folder = agent.pod_folder(self.uid)
        await self.images.mount(pod, spec, self.paths)
        if any(one.name not in self.paths for one in spec.volumeMounts):
            self.paths |= await volumes.set_up(self._context())  # an ephemeral container names what nothing used before
        message = ""
        if spec.terminationMessagePath:
            message = containerfiles.for_message(folder, spec.name, f"{order.attempt}-{agent.stamp()}")
        target = ""
        if order.kind == "ephemeral" and spec.targetContainerName:
            other = self.machine.state.slots.get(spec.targetContainerName)
            if other is None or other.current is None:
                raise env.ConfigError(f"unable to find target container {spec.targetContainerName!r}")
            target = other.current.id
        cdi_names: tuple[str, ...] = ()
        edits = cdi.Edits()
        if deviceclaims.uses(pod):
            cdi_names = tuple(agent.devices.of_container(pod, spec))
            if cdi_names and not agent.knows_cdi():
                edits, cdi_names = cdi.edits(cdi_names), ()
                environment = {**environment, **edits.env}
        image = await agent.runtime.image_status(order.image_ref)
        os.makedirs(f"{agent.config.pod_logs_dir}/{config.log_folder(pod)}/{spec.name}", exist_ok=True)
        made = config.Made(
            image=image,
            image_ref=order.image_ref,
            environment=environment,
            mounts=incontainer.mounts(pod, spec, self.paths, environment, folder),
            hosts_path=containerfiles.hosts(folder, pod, ips, agent.config.cluster_domain),
            message_path=message,
            memory_capacity=agent.memory_capacity,
            seccomp=f"{agent.config.seccomp_root}/",
            target_id=target,
            devices=(*incontainer.devices(pod, spec, self.paths), *edits.devices),
            cdi=cdi_names,
            more_mounts=tuple(edits.mounts),
        )
        return config.container(pod, spec, order.attempt, made)

    # --- observing ----------------------------------------------------------------------------------------------------

    async def _observe(self, id_: str, sandbox_id: str) -> a.Run | None:
        """The container's state now, with its termination message; None if the runtime does not know it."""
        try:
            found = await self.agent.runtime.container_status(id_)
        except CriError:
            return None
        return fromcri.run(found, sandbox_id, containerfiles.message(found))

    async def _observe_exit(self, id_: str, name: str) -> None:
        """The runtime tells of an exit before its own status says so: by a moment, or by seconds when it is busy."""
        delays = itertools.chain(STATUS_RETRIES, itertools.repeat(STATUS_RETRIES[-1]))
        while (run := await self._observe(id_, self._sandbox_of(id_))) is not None and run.state != "exited":
            await asyncio.sleep(next(delays))
            if self._done:
                return
        if run is None:
            return
        slot = self.machine.state.slots.get(name)
        if slot is None or slot.current is None or slot.current.id != id_:
            self._exits[id_] = run
        run.name = run.name or name
        self.feed(a.ContainerExited(run))

    def _sandbox_of(self, id_: str) -> str:
        for slot in self.machine.state.slots.values():
            if slot.current is not None and slot.current.id == id_:
                return slot.current.sandbox_id
        sandbox = self.machine.state.sandbox
        return sandbox.id if sandbox is not None else ""

    # --- stopping -----------------------------------------------------------------------------------------------------

    async def _stop(self, order: a.StopContainer) -> None:
        agent = self.agent
        slot = self.machine.state.slots.get(order.name)
        grace = float(order.grace_s)
        error = ""
        hook = None
        if slot is not None and slot.spec.lifecycle is not None and order.id not in self._hooked:
            hook = slot.spec.lifecycle.preStop
        if grace > 0 and self.pod.metadata.deletionTimestamp:
            grace -= await self._withdrawn(min(WITHDRAW_S, grace / 2))
        if hook is not None and slot is not None and grace > 0:
            self._hooked.add(order.id)
            began = agent.now()
            ips = self._ips()
            try:
                async with asyncio.timeout(grace):
                    await hooks.run(agent.runtime, hook, slot.spec, order.id, ips[0] if ips else "127.0.0.1")
            except TimeoutError:
                text = f"PreStopHook did not complete within {order.grace_s} seconds"
                agent.note(self.pod, order.name, "Warning", "FailedPreStopHook", text)
            except hooks.HookError as failure:
                agent.note(self.pod, order.name, "Warning", "FailedPreStopHook", f"PreStopHook failed: {failure}")
            grace = max(grace - (agent.now() - began), 2.0)
        try:
            await agent.runtime.stop_container(order.id, int(grace + 0.5))
        except CriError as failure:
            error = str(failure)
        run = await self._observe(order.id, self._sandbox_of(order.id))
        if run is not None:
            run.name = run.name or order.name
        self.feed(a.ContainerStopped(order.name, order.id, run, error))

    async def _withdrawn(self, limit_s: float) -> float:
        """Lets the Services leave the pod before its containers hear of the end; returns the seconds that it took."""
        agent, meta = self.agent, self.pod.metadata
        if agent.withdrawn is None:
            return 0.0
        began = agent.now()
        try:
            async with asyncio.timeout(limit_s):
                await agent.withdrawn(meta.namespace, meta.uid)
        except TimeoutError:
            log.info("pod %s/%s is still offered by a Service; it is stopped all the same", meta.namespace, meta.name)
        return agent.now() - began

    async def _resize(self, order: a.Resize) -> None:
        self.feed(await actuation.resize(self.agent, self.pod, order))

    async def _clean_up(self, remove: bool) -> None:
        agent = self.agent
        folder = agent.pod_folder(self.uid)
        why = await agent.devices.unprepare(self.uid)
        if why:
            self.feed(a.CleanUpFailed(why))
            return
        try:
            if remove:
                await self._remove_from_runtime()
            views = image_volume.views(folder)
            volumes.take_down(folder)
            for view in views:
                await agent.runtime.drop_view(view)
            if agent.cgroups is not None and not agent.cgroups.remove_pod(self.pod):
                await asyncio.sleep(0.05)
                agent.cgroups.remove_pod(self.pod)
            if remove:
                shutil.rmtree(folder, ignore_errors=True)
                shutil.rmtree(Path(agent.config.pod_logs_dir, config.log_folder(self.pod)), ignore_errors=True)
        except (CriError, OSError) as error:
            self.feed(a.CleanUpFailed(str(error)))
            return
        self.feed(a.CleanedUp(remove))

    async def _remove_from_runtime(self) -> None:
        runtime = self.agent.runtime
        labels = {config.POD_UID: self.uid}
        for container in await runtime.list_containers(labels):
            _, name = self.agent.owners.get(container.id, ("", ""))
            if name:
                containerfiles.unlink_log(self.agent.config.container_logs_dir, self.pod, name, container.id)
            await runtime.remove_container(container.id)
        for sandbox in await runtime.list_sandboxes(labels):
            await runtime.stop_sandbox(sandbox.id)
            await runtime.remove_sandbox(sandbox.id)

    async def _confirm_deletion(self) -> None:
        agent = self.agent
        meta = self.pod.metadata
        await agent.publisher.flush(self)
        while not self.machine.state.gone and not self._done:
            try:
                action = Delete(POD, meta.namespace, meta.name, uid=meta.uid, grace_s=0)
                outcome = (await agent.client.commit([action]))[0]
                if outcome.error is None or outcome.error.reason in ("NotFound", "Conflict"):
                    return
                log.warning("deletion of %s/%s was refused: %s", meta.namespace, meta.name, outcome.error)
            except OSError as error:
                log.warning("deletion of %s/%s could not be confirmed: %s", meta.namespace, meta.name, error)
            await asyncio.sleep(DELETE_RETRY_S)
