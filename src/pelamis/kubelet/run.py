"""The node agent's kubelet: joins the API's pods with the runtime's, and keeps one worker per pod.

Start: the runtime is asked for all that it holds, each pod's part is handed to its worker before the pod itself, so
that running containers are adopted as they are; what belongs to no pod any more is removed. From then on everything
is driven by events: the view of the node's pods, the runtime's event stream, timers of the machines. A relist every few
minutes is the safety net for events that were lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.node.runtimeclass import KIND as RUNTIME_CLASS
from pelamis.base import quantity
from pelamis.base.errors import StatusError
from pelamis.client.synced import synced
from pelamis.client.types import Client, Delete, Key, Patch, View
from pelamis.kubelet import actions as a
from pelamis.kubelet import admit, config, containerfiles, dns, fromcri, gc, pressure, status
from pelamis.kubelet.agent import Agent, Recorder
from pelamis.kubelet.allocation import Allocations
from pelamis.kubelet.cgroups import Cgroups
from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.cri.runtime import CriError, Runtime, RuntimeEvent
from pelamis.kubelet.dra import cdi
from pelamis.kubelet.dra.claims import Claims
from pelamis.kubelet.dra.devices import Devices
from pelamis.kubelet.dra.drivers import Drivers
from pelamis.kubelet.dra.registration import Registrar
from pelamis.kubelet.evict import Evictor
from pelamis.kubelet.images import Images
from pelamis.kubelet.node import NodeAgent
from pelamis.kubelet.prober import Prober
from pelamis.kubelet.publish import Publisher
from pelamis.kubelet.pullrecords import PullRecords
from pelamis.kubelet.references import References
from pelamis.kubelet.server import KubeletServer
from pelamis.kubelet.settings import KubeletConfig
from pelamis.kubelet.tokens import Tokens
from pelamis.kubelet.worker import Worker

log = logging.getLogger("pelamis.kubelet")
TERMINAL = ("Succeeded", "Failed")
START_RETRY_S = 1.0
SETTLE_S = (0.1, 1.0, 5.0)
SYNC_S = 10.0


class Kubelet:
    """record: where Events go. now: seconds since the epoch. server: the HTTPS side, None to go without.

    ``ready`` is set when the pods have been adopted and the node is registered.
    """

    def __init__(
        self,
        settings: KubeletConfig,
        client: Client,
        runtime: Runtime,
        record: Recorder,
        now: Callable[[], float],
        *,
        server: KubeletServer | None = None,
        cgroups: Cgroups | None = None,
        withdrawn: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        self.settings = settings
        self.client = client
        self.runtime = runtime
        self.now = now
        self.server = server
        self.workers: dict[str, Worker] = {}
        self.allocations = Allocations(self._room_for)
        self.withdrawn = withdrawn
        self.ready = asyncio.Event()
        self.started_at = now()
        self.pods: View[Any] = client.view(POD, field_selector=f"spec.nodeName={settings.node_name}")
        self._record = record
        self._classes: View[Any] = client.view(RUNTIME_CLASS)
        self._cgroups = cgroups if cgroups is not None else self._make_cgroups()
        self._uids: dict[Key, str] = {}
        self._dirty: dict[Key, None] = {}
        self._draining = False
        self._serial = 0
        self._known: dict[str, a.Adopted] = {}
        self._refused: set[str] = set()
        self._unsubscribe: Callable[[], None] | None = None
        self.removing: set[str] = set()
        self.agent: Agent
        self.node: NodeAgent
        self.devices: Devices | None = None

    def _make_cgroups(self) -> Cgroups | None:
        return Cgroups(self.settings.cgroup_root) if self.settings.manage_cgroups else None

    def _stamp(self) -> str:
        self._serial += 1
        return f"{int(self.now() * 1e6):x}.{self._serial}"

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. Containers keep running when it ends."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._close_at_end(), name="kubelet end")
            await self._start(tasks)
            log.info("node %s is up: %d pods", self.settings.node_name, len(self.workers))

    async def _close_at_end(self) -> None:
        """When the group ends, workers must not start anything more in it."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            if self._unsubscribe is not None:
                self._unsubscribe()
            for worker in self.workers.values():
                worker.close()
            if self.devices is not None:
                self.devices.close()

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        settings = self.settings
        for folder in (settings.root_dir, f"{settings.root_dir}/pods", settings.pod_logs_dir):
            _make_folder(folder)
        self.node = NodeAgent(settings, self.client, self.runtime, self._record, self.now)
        await self.node.prepare()
        drivers = Drivers(self.client, settings.node_name, tasks.create_task)
        claims = Claims(Path(settings.root_dir, "dra_manager_state"))
        self.devices = Devices(self.client, claims, drivers, now=self.now, changed=self._devices_changed)
        self.agent = self._make_agent(tasks, self.devices)
        if self._cgroups is not None:
            self._cgroups.setup()
        tasks.create_task(self.agent.publisher.run(), name="kubelet statuses")
        registered = tasks.create_task(self.node.run(self.ready), name="kubelet node")
        await synced(self.pods)
        for view in (self.agent.services, self._classes):  # environments and handlers are taken from them
            try:
                async with asyncio.timeout(SYNC_S):
                    await synced(view)
            except TimeoutError:
                log.warning("services or runtime classes could not be read yet; pods start without them")
        while True:
            try:
                present = await self.runtime.list_images()
                try:
                    self.agent.images.records.recover(present, self.now())
                except OSError as error:
                    log.warning("records of pulled images: %s", error)
                await self._adopt()
                break
            except CriError as error:
                log.warning("the container runtime does not answer: %s", error)
                await asyncio.sleep(START_RETRY_S)
        self._unsubscribe = self.pods.subscribe(self._on_pod)
        tasks.create_task(self._watch_runtime(), name="kubelet runtime events")
        tasks.create_task(self._relist(), name="kubelet relist")
        tasks.create_task(gc.housekeeping(self), name="kubelet housekeeping")
        tasks.create_task(gc.rotate_logs(self), name="kubelet log rotation")
        tasks.create_task(gc.collect_images(self), name="kubelet image collection")
        tasks.create_task(Evictor(self).run(), name="kubelet eviction")
        drivers.start()
        registrar = Registrar(Path(settings.root_dir, "plugins_registry"), drivers)
        tasks.create_task(registrar.run(), name="kubelet plugins")
        if self.server is not None:
            await self.server.start(self, tasks)
        del registered
        self.ready.set()

    def _make_agent(self, tasks: asyncio.TaskGroup, devices: Devices) -> Agent:
        settings = self.settings
        resolver = dns.parse(_read(settings.resolv_conf))
        return Agent(
            config=settings,
            client=self.client,
            runtime=self.runtime,
            now=self.now,
            tasks=tasks,
            references=References(self.client, self._reference_changed),
            tokens=Tokens(self.client, self.now),
            images=Images(
                self.runtime,
                self.now,
                PullRecords(Path(settings.root_dir, "image_manager")),
                parallel=settings.parallel_pulls,
            ),
            prober=Prober(self.runtime, self, tasks, self.now),
            publisher=Publisher(self.client, self.now),
            record=self._record,
            services=self.client.view(SERVICE),
            cgroups=self._cgroups,
            host=status.Host(self.node.ips, self.node.runtime_name, totals=True),
            resolver=resolver,
            memory_capacity=quantity.value(self.node.capacity.get("memory", "0")),
            allocatable=lambda: self.node.allocatable,
            stamp=self._stamp,
            withdrawn=self.withdrawn,
            runtime_class=lambda name: self._classes.get("", name),
            devices=devices,
            knows_cdi=lambda: cdi.understood_by(self.node.runtime_name, self.node.runtime_version),
        )

    # --- pods ---------------------------------------------------------------------------------------------------------

    def _on_pod(self, key: Key, old: Any, new: Any) -> None:
        self._dirty[key] = None
        if old is not None and new is not None and old.metadata.uid != new.metadata.uid:
            self._dirty[key] = None  # one pod of that name was replaced by another
        if not self._draining:
            self._draining = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        self._draining = False
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            pod = self.pods.get(*key)
            if pod is not None and pod.spec.nodeName != self.settings.node_name:
                pod = None
            self._pod(key, pod)

    def _pod(self, key: Key, pod: Any) -> None:
        uid = self._uids.get(key, "")
        if uid and (pod is None or pod.metadata.uid != uid):
            del self._uids[key]
            self._refused.discard(uid)
            worker = self.workers.get(uid)
            if worker is not None:
                worker.gone()
        if pod is None:
            return
        uid = pod.metadata.uid
        self._uids[key] = uid
        worker = self.workers.get(uid)
        if worker is not None:
            generation = pod.metadata.generation
            newer = not generation or generation != worker.pod.metadata.generation
            asks = newer and self.allocations.declare(pod, self.now())
            worker.changed(self.allocations.apply(pod))
            worker.waits(self.allocations.pending(uid))
            if asks or (self.allocations.waiting and pod.status.phase in TERMINAL):
                self._settle_resizes()
        elif uid not in self._refused:
            self._begin(pod)
        elif pod.metadata.deletionTimestamp:
            action = Delete(POD, pod.metadata.namespace, pod.metadata.name, uid=uid, grace_s=0)
            self.agent.tasks.create_task(self._commit(action), name=f"delete refused {pod.metadata.name}")

    def _begin(self, pod: Any, *, fresh: bool = False) -> None:
        uid = pod.metadata.uid
        known = self._known.pop(uid, None)
        if known is None and self._refuse(pod, fresh):
            return
        self.allocations.begin(pod)
        pod = self.allocations.apply(pod)
        worker = self.workers[uid] = Worker(self.agent, pod, self._forget)
        self.agent.references.use(pod)
        if known is not None:
            worker.feed(known)
        else:
            worker.feed(a.Adopted() if pod.status.startTime else a.PodChanged(pod))
        worker.waits(self.allocations.pending(uid))
        if known is not None and self.allocations.waiting:
            asyncio.get_running_loop().call_soon(self._settle_resizes)

    def _settle_resizes(self) -> None:
        """Grant what waits and fits now."""
        for pod in self.allocations.settle():
            worker = self.workers.get(pod.metadata.uid)
            newest = self.pods.get(pod.metadata.namespace, pod.metadata.name)
            if worker is not None and newest is not None and newest.metadata.uid == worker.uid:
                worker.changed(self.allocations.apply(newest))
                worker.waits(self.allocations.pending(worker.uid))

    def _room_for(self, pod: Any) -> str:
        """What a pod lacks to be resized as it is declared; "" when it fits beside what the others were granted."""
        others = admit.Claims(other for other in self.active() if other.metadata.uid != pod.metadata.uid)
        refusal = admit.check(pod, others, None, self.node.allocatable)
        return refusal.message.removeprefix("Pod was rejected: ") if refusal is not None else ""

    async def _ask_again(self, pod: Any) -> None:
        """A label that the scheduler knows may be newer than the Node that this kubelet saw last."""
        try:
            self.node.node = await self.client.get(NODE, "", self.settings.node_name)
        except (OSError, StatusError) as error:
            log.warning("the node could not be read: %s", error)
        uid = pod.metadata.uid
        self._refused.discard(uid)
        current = self.pods.get(pod.metadata.namespace, pod.metadata.name)
        if current is not None and current.metadata.uid == uid and uid not in self.workers:
            self._begin(current, fresh=True)

    def _refuse(self, pod: Any, fresh: bool) -> bool:
        """Turn a new pod away if the node cannot take it; True if so, or if that has to be found out first."""
        if pod.status.phase in TERMINAL or pod.metadata.deletionTimestamp or pod.status.startTime:
            return False
        node = self.node.node
        labels = node.metadata.labels if node is not None else None
        claims, room = admit.Claims(self.active()), self.node.allocatable
        refusal = admit.check(pod, claims, labels, room, strict_groups=self.node.strict_groups)
        refusal = refusal or pressure.refusal(pod, self.node.pressure)
        if refusal is None:
            return False
        self._refused.add(pod.metadata.uid)
        if refusal.reason == admit.AFFINITY and not fresh:
            self.agent.tasks.create_task(self._ask_again(pod), name=f"read the node for {pod.metadata.name}")
            return True
        self.agent.note(pod, "", "Warning", refusal.reason, refusal.message.removeprefix("Pod was rejected: "))
        built = status.rejected(pod, refusal.reason, refusal.message, self.now())
        body = {
            "metadata": {"uid": pod.metadata.uid},
            "status": {
                "phase": built.phase,
                "reason": built.reason,
                "message": built.message,
                "startTime": built.startTime,
                "observedGeneration": built.observedGeneration,
            },
        }
        action = Patch(POD, pod.metadata.namespace, pod.metadata.name, body, "strategic", subresource="status")
        self.agent.tasks.create_task(self._commit(action), name=f"refuse {pod.metadata.name}")
        return True

    async def _commit(self, action: Patch | Delete) -> None:
        for _ in range(10):
            try:
                await self.client.commit([action])
                return
            except OSError as error:
                log.warning("a refusal could not be sent: %s", error)
                await asyncio.sleep(START_RETRY_S)

    def active(self) -> list[Any]:
        """The pods that hold resources of the node."""
        out = []
        for worker in self.workers.values():
            ending = worker.machine.state.ending
            if worker.pod.status.phase not in TERMINAL and (ending is None or worker.machine.state.running()):
                out.append(worker.pod)
        return out

    def _forget(self, worker: Worker) -> None:
        if self.workers.get(worker.uid) is worker:
            del self.workers[worker.uid]
            if self.allocations.forget(worker.uid):
                self._settle_resizes()

    def find(self, namespace: str, name: str) -> Worker | None:
        """The worker of the pod that has this name now."""
        return self.workers.get(self._uids.get((namespace, name), ""))

    def _reference_changed(self, uid: str) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            asyncio.get_running_loop().call_soon(worker.dependency_changed)

    def _devices_changed(self, uid: str) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            worker.publish()

    # --- the prober's sink --------------------------------------------------------------------------------------------

    def verdict(self, uid: str, event: a.Probed) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            worker.feed(event)

    def note(self, uid: str, container: str, type_: str, reason: str, message: str) -> None:
        worker = self.workers.get(uid)
        if worker is not None:
            self.agent.note(worker.pod, container, type_, reason, message)

    # --- the runtime --------------------------------------------------------------------------------------------------

    async def inventory(self, *, details: bool = True) -> dict[str, a.Adopted]:
        """All that the runtime holds, by pod uid, newest first. details: with addresses, times and exit codes."""
        sandboxes = await self.runtime.list_sandboxes()
        containers = await self.runtime.list_containers()
        found: dict[str, tuple[list[a.Sandbox], list[a.Run]]] = {}
        for sandbox in sorted(sandboxes, key=lambda s: -s.created_at):
            uid = sandbox.labels.get(config.POD_UID)
            if uid:
                made = fromcri.listed_sandbox(sandbox)
                if details:
                    made = fromcri.sandbox(await self.runtime.sandbox_status(sandbox.id))
                found.setdefault(uid, ([], []))[0].append(made)
                self.agent.owners[sandbox.id] = (uid, "")
        for container in sorted(containers, key=lambda c: -c.created_at):
            uid = container.labels.get(config.POD_UID)
            if uid:
                run = await self._run_of(container) if details else fromcri.listed_run(container)
                if run is not None:
                    found.setdefault(uid, ([], []))[1].append(run)
                    self.agent.owners[container.id] = (uid, run.name)
        return {uid: a.Adopted(tuple(s), tuple(r)) for uid, (s, r) in found.items()}

    async def _run_of(self, container: cri.Container) -> a.Run | None:
        try:
            found = await self.runtime.container_status(container.id)
        except CriError:
            return None
        return fromcri.run(found, container.pod_sandbox_id, containerfiles.message(found))

    async def _adopt(self) -> None:
        self._known = await self.inventory()
        for key in self.pods.keys():  # noqa: SIM118 - a view, not a dict
            pod = self.pods.get(*key)
            if pod is not None and pod.spec.nodeName == self.settings.node_name:
                self._pod(key, pod)
        orphans, self._known = self._known, {}
        for uid, held in orphans.items():
            self.agent.tasks.create_task(gc.remove_orphan(self, uid, held), name=f"remove orphan {uid}")

    async def _watch_runtime(self) -> None:
        first = True
        async for event in self.runtime.events():
            if event.type == "lost":
                if not first:
                    log.info("the stream of runtime events was opened anew")
                first = False
                await self._reconcile()
                self.agent.tasks.create_task(self._settle(), name="kubelet relist after a new stream")
            else:
                self._on_runtime(event)

    async def _settle(self) -> None:
        """The runtime's own listing lags behind its events by some milliseconds, and one may fall between both."""
        for delay in SETTLE_S:
            await asyncio.sleep(delay)
            await self._reconcile()

    def _on_runtime(self, event: RuntimeEvent) -> None:
        if event.type != "exited":
            return
        uid, name = self.agent.owners.get(event.id, ("", ""))
        worker = self.workers.get(uid)
        if worker is None:
            return
        if name:
            worker.exited(event.id, name)
        else:
            worker.feed(a.SandboxDied(event.id))

    async def _relist(self) -> None:
        while True:
            await asyncio.sleep(self.settings.relist_s)
            await self._reconcile()

    async def _reconcile(self) -> None:
        """Tell the machines of what ended while no event came."""
        try:
            sandboxes: Sequence[cri.PodSandbox] = await self.runtime.list_sandboxes()
            containers: Sequence[cri.Container] = await self.runtime.list_containers()
        except CriError as error:
            log.warning("relist failed: %s", error)
            return
        up = {sandbox.id for sandbox in sandboxes if sandbox.state == cri.SANDBOX_READY}
        running = {container.id for container in containers if container.state == cri.RUNNING}
        known = {container.id for container in containers}
        for worker in list(self.workers.values()):
            state = worker.machine.state
            if state.sandbox is not None and state.sandbox.ready and state.sandbox.id not in up:
                worker.feed(a.SandboxDied(state.sandbox.id))
            for slot in list(state.slots.values()):
                run = slot.current
                if run is None or run.state != "running" or run.id in running:
                    continue
                if run.id in known:
                    worker.exited(run.id, slot.name)
                else:
                    worker.feed(a.ContainerStopped(slot.name, run.id, None))


def _make_folder(path: str) -> None:
    Path(path).mkdir(parents=True, exist_ok=True)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
