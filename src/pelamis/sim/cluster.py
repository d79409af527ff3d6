"""A cluster in one coroutine: the real API server without sockets, the real controllers and scheduler, hollow nodes.

Everything is on the virtual loop that runs it, and everything that would come from outside comes from the seed: uids,
names, ties between nodes, faults. The store is the memory store; there are no threads and no sockets. So a run is a
function of its seed and of what is done to it, and ``trace.digest`` tells whether two runs were the same.

    async def main() -> None:
        async with Cluster(seed=7, nodes=3) as cluster:
            await cluster.apply(manifest)
            await cluster.run(60)

    loop.run(main())

Components crash, start again, lose their watches and meet errors (``faults``); the administrator's calls (``do``,
``apply``, ``get``) meet none. The API server, the controllers and the scheduler are one process, as in a real cluster:
``crash("server")`` takes all three, and hollow nodes go on without it. With several control planes (``planes``) each is
a process beside the API server that can die (``crash``), stand still (``pause``) and be cut off (``cut``), with a clock
that can be set (``clocks``).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from random import Random
from types import TracebackType
from typing import Any, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from pelamis.api import codec
from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver.metricsapi.summary import MemorySummaries, Summary
from pelamis.apiserver.server import ApiServer, Config
from pelamis.apiserver.user import LOOPBACK_USER, User
from pelamis.base.errors import StatusError
from pelamis.client.split import SplitClient
from pelamis.client.types import Action, Create, Outcome, Patch
from pelamis.controllers import Options, controllers
from pelamis.kubelet.hollow.agent import Delays
from pelamis.kubelet.hollow.node import HollowNode
from pelamis.kubelet.hollow.run import HollowNodes
from pelamis.net.tls import YEAR_S, key_pem, new_authority, new_key
from pelamis.reconcile.kinds import RegistryKinds
from pelamis.reconcile.leader import keep_leading
from pelamis.reconcile.recorder import Recorder
from pelamis.reconcile.runner import run_all
from pelamis.reconcile.signing import Signer
from pelamis.reconcile.spec import Controller
from pelamis.scheduler.run import Scheduler
from pelamis.sim.faults import COMPONENTS, Faults
from pelamis.sim.link import Door, Link, Mirror, Process
from pelamis.sim.loop import Clock, VirtualLoop, current
from pelamis.store.memory import MemoryStore
from pelamis.store.types import Event

log = logging.getLogger(__name__)
RETAIN_S = 3600.0
"""How often the past is forgotten: nobody in here asks for it."""
TURN_COST_S = 0.0001
DELAYS = Delays(sandbox=0.3, pull=1.5, start=0.2)
"""What a container runtime takes for it, about."""
AUTHORITY = new_authority("simulated", 946684800.0, 100 * YEAR_S, key=ec.derive_private_key(7, ec.SECP256R1()))
CA = AUTHORITY.cert.decode()
MANAGER = "system:kube-controller-manager"
PARTS = ("controllers", "scheduler")
"""Of a control plane."""
LEASE_OF_CONTROLLERS = "kube-controller-manager"


def _key(component: str, plane: str) -> str:
    return f"{component}@{plane}" if plane else component


class Failed(Exception):
    """A component ended by itself: a broken invariant."""


class Trace:
    """What was written, and when: a digest of all of it, and the last ``keep`` writes as text."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._hash = hashlib.blake2b(digest_size=16)
        self.writes = 0
        self.listener: Callable[[float, Event], None] | None = None

    def __call__(self, events: Sequence[Event]) -> None:
        at = self._loop.virtual
        for event in events:
            self.writes += 1
            self._hash.update(b"%.6f %d %s " % (at, event.rev, event.key.encode()))
            self._hash.update(event.value if event.value is not None else b"deleted")
            if self.listener is not None:
                self.listener(at, event)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class Ticks:
    """The clock that measures turns: each look at it costs the same, so that turns end alike in every run."""

    def __init__(self, cost_s: float = TURN_COST_S) -> None:
        self._cost_s = cost_s
        self._at = 0.0

    def __call__(self) -> float:
        self._at += self._cost_s
        return self._at


@lru_cache(maxsize=1)
def _signing_key() -> bytes:
    """Signs tokens, which no object holds; so it need not come from the seed."""
    return key_pem(new_key())


class Cluster:
    """nodes: a number of equal ones, or their specifications. mirror: components have views of their own, so that
    watches can lag and be lost, and nodes outlive the server; without it all read the server's own cache, which is
    faster. run_controllers: in place of all of them; run_scheduler False leaves it out. planes: control planes, each of
    controllers and a scheduler with views and a clock of its own, which elect a leader of either sort. node_events:
    kubelets record Events. delays: how long the steps of a pod's start and end take.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        nodes: int | Sequence[HollowNode] = 3,
        mirror: bool = False,
        options: Options | None = None,
        run_controllers: Sequence[Controller] | None = None,
        run_scheduler: bool = True,
        planes: int = 1,
        node_events: bool = False,
        delays: Delays = DELAYS,
        loop: VirtualLoop | None = None,
        **config: Any,
    ) -> None:
        self.loop = loop or current()
        self.clock = self.loop.clock
        self.seed = seed
        self.rng = Random(f"{seed}/cluster")
        self.faults = Faults(Random(f"{seed}/faults"))
        self.horizon = 0.0
        """Nothing disturbs watches, components, clocks or nodes before this time of the loop, but for ``expected``."""
        self.expected: dict[str, float] = {}
        """When something happens to single nodes: it says nothing about the others."""
        self._uneasy_until = 0.0
        self.loads: dict[str, str] = {}
        self.reasons: dict[str, int] = {}
        """How often Events of each reason were recorded, where somebody counts them (sim.observe)."""
        self.store = MemoryStore()
        self.door = Door()
        self.trace = Trace(self.loop)
        self.server: ApiServer
        self._config = config
        self._promises: dict[str, float] = {}
        chosen = options or Options(ca_bundle=CA, node_ranges=(("10.244.0.0/16", 24),))
        signer = Signer(lambda: AUTHORITY, Random(f"{seed}/signer").randbytes, deterministic=True)
        self._options = replace(chosen, node_promised=self._promised, sign_request=chosen.sign_request or signer)
        self._run_controllers = run_controllers
        self._run_scheduler = run_scheduler
        self._node_events = node_events
        self._delays = delays
        self.planes = tuple(f"cp-{i + 1}" for i in range(planes)) if planes > 1 else ("",)
        self.clocks = {plane: Clock(self.loop, self.clock) if plane else self.clock for plane in self.planes}
        """What the control planes take for the time of day, each for itself where there are several."""
        self._processes: dict[str, Process] = {}
        self._starts = 0
        self._mirror = mirror or planes > 1
        self._mirrors: dict[str, Mirror] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._down: dict[str, asyncio.TimerHandle] = {}
        self._specs = [HollowNode(f"node-{i + 1}") for i in range(nodes)] if isinstance(nodes, int) else list(nodes)
        self.admin: Link = Link(self.door, LOOPBACK_USER, mirror=None)
        self.nodes: HollowNodes
        self.scheduler: Scheduler | None = None
        self._changed = asyncio.Event()

    # -- life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        await self.store.open()
        self.store.watch("/registry/", 2, self.trace)
        self.store.watch("/registry/", 2, lambda events: self._changed.set())
        await self._start_server()
        for plane in self.planes:
            self._start_plane(plane)
        self._start_component("nodes")
        await asyncio.sleep(0)

    async def stop(self) -> None:
        for timer in self._down.values():
            timer.cancel()
        for name in list(self._tasks):
            await self._stop_component(name)
        if self.door.is_open:
            self.door.close()
            await self.server.stop(0.0)
        await self.store.close()

    async def _start_server(self) -> None:
        config = Config(
            store=self.store,
            service_account_key=_signing_key(),
            listen=False,
            clock=self.clock,
            entropy=Random(f"{self.seed}/server/{self.door.generation}").randbytes,
            retain_s=RETAIN_S,
            **{"summaries": MemorySummaries(self._summary), **self._config},
        )
        server = ApiServer(config)
        await server.start()
        self.server = server
        self.door.open(server)

    def _summary(self, node: str) -> Summary | None:
        """What the metrics API reads of a node; None while its kubelet does not run."""
        try:
            return msgspec.convert(self.nodes.summary(node), Summary)
        except KeyError:
            return None

    # -- components

    def _link(self, user: str | User, component: str, plane: str = "") -> Link:
        mirror, process = self._mirrors.get(_key(component, plane)), self._processes.get(plane)
        return Link(self.door, user, component, faults=self.faults, mirror=mirror, process=process)

    def _node_client(self, name: str) -> Link:
        user = User(f"system:node:{name}", ("system:nodes", "system:authenticated"))
        return self._link(user, "nodes")

    def _start_component(self, name: str) -> None:
        """name: with ``@`` and the control plane, where there are several."""
        part, _, plane = name.partition("@")
        process = self._processes.get(plane)
        if self._mirror and name not in self._mirrors:
            self._mirrors[name] = Mirror(self.door, lambda: self.faults.lag(part), process)
        if part == "controllers" and self._run_controllers != ():
            work = self._elected(LEASE_OF_CONTROLLERS, plane, partial(self._control, plane))
        elif part == "scheduler" and self._run_scheduler:
            work = self._elected("kube-scheduler", plane, partial(self._schedule, plane))
        elif part == "nodes":
            work = self._node_work()
        else:
            return
        context = process.context if process is not None else None
        self._tasks[name] = self.loop.create_task(work, name=name, context=context)

    def _start_plane(self, plane: str) -> None:
        if plane:
            self._processes[plane] = Process(plane)
        for part in PARTS:
            self._start_component(_key(part, plane))

    async def _elected(self, lease: str, plane: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not plane:
            await work()
            return
        link = self._link(LOOPBACK_USER, "controllers" if lease == LEASE_OF_CONTROLLERS else "scheduler", plane)
        self._starts += 1
        who = f"{plane}_{self._starts}"
        await keep_leading(link, "kube-system", lease, who, work, clock=self.clocks[plane])

    async def _control(self, plane: str) -> None:
        reader = self._link(MANAGER, "controllers", plane)

        def client_for(user: str) -> SplitClient:
            return SplitClient(reader, self._link(user, "controllers", plane))

        kinds = RegistryKinds(self.server.registry)
        made = controllers(self._options) if self._run_controllers is None else self._run_controllers
        await run_all(made, client_for, clock=self.clocks[plane], kinds=kinds, cpu=Ticks())

    async def _schedule(self, plane: str) -> None:
        link = self._link("system:kube-scheduler", "scheduler", plane)
        entropy = Random(f"{self.seed}/{_key('scheduler', plane)}").random
        scheduler = self.scheduler = Scheduler(link, clock=self.clocks[plane], entropy=entropy, cpu=Ticks())
        await scheduler.run()

    async def _node_work(self) -> None:
        """All hollow nodes; one reader sees for all of them, each writes as itself."""
        record = Recorder(self._link(LOOPBACK_USER, "nodes"), "kubelet", self.clock) if self._node_events else None
        self.nodes = HollowNodes(
            self._link(LOOPBACK_USER, "nodes"),
            self._specs,
            client_for=self._node_client,
            clock=self.clock,
            rng=Random(f"{self.seed}/nodes"),
            record=record,
            delays=self._delays,
            sign_in=self._sign_in,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self.nodes.run(), name="hollow nodes")
            if record is not None:
                group.create_task(record.run(), name="events of nodes")

    async def _stop_component(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if name != "nodes":
            mirror = self._mirrors.pop(name, None)
            if mirror is not None:
                mirror.close()

    def check(self) -> None:
        """Raises what ended a component."""
        for name, task in self._tasks.items():
            if task.done():
                error = task.exception()
                raise Failed(f"{name} ended: {error!r}") from error

    def _sign_in(self, node: str, what: str, period: float) -> float:
        """How long a node may be silent, because nobody can learn anything from it.

        All that reads leases and heartbeats is the grace of node lifecycle, five periods of a lease long, which is told
        of the silence (``promised``). While nothing disturbs nodes, watches or components, each renewal would move its
        deadline and do nothing else. From five periods before a disturbance every one is written, so the last one
        before it is where it always was.
        """
        now, until = self.loop.time(), self.horizon
        if now < (at := self.expected.get(node, 0.0)) < until:
            until = at
        periods = int((until - now) / period) - (4 if what == "lease" else 1)
        kubelet = self.nodes.kubelets.get(node)
        alive = kubelet is not None and kubelet.reachable
        if not alive or self.faults.rates or now < self._uneasy_until or periods <= 1:
            periods = 1
        if what == "lease":
            self._promises[node] = self.clock() + periods * period if periods > 1 else 0.0
        return periods * period

    def _promised(self, node: str) -> float:
        return self._promises.get(node, 0.0)

    def leader(self, lease: str = LEASE_OF_CONTROLLERS) -> str:
        """The control plane that holds the lease, or the scheduler's; "" while none does."""
        found = self.get(LEASE, "kube-system", lease)
        return str(found.spec.holderIdentity).partition("_")[0] if found is not None else ""

    # -- what happens to it

    async def crash(self, name: str, down_s: float = 0.0) -> None:
        """``controllers``, ``scheduler`` or ``server`` (all three) dies at once, and starts again after a while.

        Where there are several control planes: one of them by its name, or the API server alone.
        """
        if name == "server":
            self.door.close()
            for part in PARTS:
                await self._stop_component(part)
            await self.server.stop(0.0)
        elif name in self._processes:
            self._processes.pop(name).unreachable = True
            self.loop.thaw(name)
            for part in PARTS:
                await self._stop_component(_key(part, name))
        else:
            await self._stop_component(name)
        timer = self._down.pop(name, None)
        if timer is not None:
            timer.cancel()
        self._down[name] = self.loop.call_later(down_s, self._restart, name)

    def _restart(self, name: str) -> None:
        self._down.pop(name, None)
        self._tasks[f"restart of {name}"] = task = self.loop.create_task(self._up(name), name=f"restart of {name}")
        task.add_done_callback(lambda done: self._forget(f"restart of {name}", done))

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is None and self._tasks.get(name) is task:
            del self._tasks[name]

    async def _up(self, name: str) -> None:
        if name in self.planes:
            self._start_plane(name)
            return
        if name != "server":
            if self.door.is_open:
                self._start_component(name)
            return
        await self._start_server()
        for part in PARTS if self.planes == ("",) else ():
            if part not in self._down and part not in self._tasks:
                self._start_component(part)

    @property
    def down(self) -> Sequence[str]:
        """The components that are dead at the moment."""
        return tuple(self._down)

    def pause(self, plane: str, for_s: float) -> None:
        """The control plane stands still, as one that is stopped, and goes on where it was."""
        if plane in self._processes and not self.loop.is_frozen(plane):
            self.loop.freeze(plane)
            self.loop.call_later(for_s, self.loop.thaw, plane)

    def cut(self, plane: str, for_s: float) -> None:
        """The control plane runs, but does not reach the server."""
        process = self._processes.get(plane)
        if process is None or process.unreachable:
            return
        process.unreachable = True
        mirrors = [m for part in PARTS if (m := self._mirrors.get(_key(part, plane))) is not None]
        for mirror in mirrors:
            mirror.cut(for_s)

        def mend() -> None:
            process.unreachable = self._processes.get(plane) is not process

        self.loop.call_later(for_s, mend)

    def lose_watches(self, component: str, for_s: float, kinds: Sequence[Kind] = ()) -> None:
        """Needs ``mirror``. Events of that time never arrive; a new list shows where things are."""
        if component not in COMPONENTS:
            raise ValueError(f"no component {component!r}: {', '.join(COMPONENTS)}")
        for plane in self.planes if component != "nodes" else ("",):
            mirror = self._mirrors.get(_key(component, plane))
            if mirror is None:
                continue
            mirror.cut(for_s, kinds)
            self._uneasy_until = max(self._uneasy_until, self.loop.time() + for_s + 60.0)

    def background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Something that takes its time, ended with the cluster."""
        task = self._tasks[name] = self.loop.create_task(work, name=name)
        task.add_done_callback(lambda done: self._forget(name, done))

    # -- time

    @property
    def now(self) -> float:
        """Seconds since the start of the loop."""
        return self.loop.virtual

    async def run(self, seconds: float) -> None:
        """Time passes, and nothing is done to the cluster meanwhile."""
        self.horizon = max(self.horizon, self.loop.virtual + seconds)
        await asyncio.sleep(seconds)
        self.check()

    async def changed(self) -> None:
        """Until something is written."""
        self._changed.clear()
        await self._changed.wait()

    async def until(self, holds: Callable[[], bool], within_s: float = 600.0) -> bool:
        """Time passes until ``holds()``, asked after each write; False when it did not come true."""
        end = self.loop.virtual + within_s
        self.horizon = max(self.horizon, self.loop.virtual)
        while not holds():
            self.check()
            self._changed.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self._changed.wait()
            except TimeoutError:
                return holds()
        return True

    # -- the administrator

    async def do(self, *actions: Action) -> Sequence[Outcome]:
        """Raises the error of the first that is refused."""
        outcomes = await self.admin.commit(actions)
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
        return outcomes

    async def apply(self, *trees: Tree) -> None:
        """As ``kubectl apply --server-side``: the manifest's kind and apiVersion say what it is."""
        for tree in trees:
            kind = self.kind_of(tree)
            meta = tree.get("metadata") or {}
            namespace = (meta.get("namespace") or "default") if kind.namespaced else ""
            name = meta.get("name", "")
            if not name:
                await self.do(Create(kind, {**tree, "metadata": {**meta, "namespace": namespace}}))
                continue
            await self.do(Patch(kind, namespace, name, tree, "apply", force=True))

    def kind_of(self, tree: Tree) -> Kind:
        api_version, name = tree.get("apiVersion", ""), tree.get("kind", "")
        found = self.server.registry.by_api_version(api_version, name)
        if found is None:
            raise StatusError(404, "NotFound", f'no kind "{name}" in "{api_version}"')
        return found

    def get(self, kind: Kind, namespace: str, name: str) -> Any:
        return self.server.objects.view(kind.resource).get(namespace, name)

    def objects(self, kind: Kind, namespace: str = "") -> Sequence[Any]:
        return self.server.objects.view(kind.resource).list(namespace)

    def trees(self, kind: Kind, namespace: str = "") -> list[Tree]:
        entries = self.server.objects.view(kind.resource).entries(namespace)
        return [msgspec.json.decode(entry.data) for entry in entries]

    def tree(self, kind: Kind, namespace: str, name: str) -> Tree | None:
        found = self.get(kind, namespace, name)
        return None if found is None else codec.to_tree(found)

    def pods(self, namespace: str = "") -> Sequence[Any]:
        return self.objects(POD, namespace)

    def ready_nodes(self) -> Sequence[Any]:
        return [n for n in self.objects(NODE) if _ready(n)]


def _ready(obj: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in obj.status.conditions)
