"""The API server in memory, without sockets and without any component: what units are tried against that speak Client.

    server = await MemoryServer(clock).start()
    client = server.client("system:kube-scheduler", "scheduler")
    await server.put(POD, {"metadata": …, "spec": …, "status": …})

It is the real server: what it is given must be valid, and comes back with its defaults. ``put`` takes objects as they
are to be, with a status, and a pod with a priority. Clients of a component are heard (``commits``), and meet
``faults``; with ``lag_s`` their views are late. Works on virtual time and on real time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.serviceaccount import KIND as ACCOUNT
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.scheduling.priorityclass import KIND as PRIORITY
from pelamis.apiserver.server import ApiServer, Config
from pelamis.apiserver.user import LOOPBACK_USER, User
from pelamis.base.errors import AlreadyExists
from pelamis.client.types import Action, Create, Outcome, Patch
from pelamis.net.tls import key_pem, new_key
from pelamis.sim.faults import Faults
from pelamis.sim.link import Door, Link, Mirror
from pelamis.store.memory import MemoryStore


@lru_cache(maxsize=1)
def _key() -> bytes:
    return key_pem(new_key())


class MemoryServer:
    def __init__(self, clock: Callable[[], float], *, lag_s: float = 0.0) -> None:
        self.faults = Faults(Random(1))
        self.commits: list[list[Action]] = []
        self._store = MemoryStore()
        self._door = Door()
        self._door.heard = self._heard
        self._mirror = Mirror(self._door, lambda: lag_s) if lag_s else None
        self._server = ApiServer(
            Config(
                store=self._store, service_account_key=_key(), listen=False, clock=clock, entropy=Random(2).randbytes
            )
        )
        self._admin = Link(self._door, LOOPBACK_USER, mirror=None)

    async def start(self, *namespaces: str) -> MemoryServer:
        await self._store.open()
        await self._server.start()
        self._door.open(self._server)
        for name in namespaces:
            await self.do(Create(NAMESPACE, {"metadata": {"name": name}}))
        account = {"metadata": {"name": "default", "namespace": "default"}, "automountServiceAccountToken": False}
        await self.do(Create(ACCOUNT, account))
        return self

    async def stop(self) -> None:
        self._door.close()
        await self._server.stop(0.0)
        await self._store.close()

    def _heard(self, component: str, process: str, actions: Sequence[Action]) -> None:
        if component:
            self.commits.append(list(actions))

    def client(self, user: str | User, component: str) -> Link:
        return Link(self._door, user, component, faults=self.faults, mirror=self._mirror)

    # -- the administrator

    async def do(self, *actions: Action) -> Sequence[Outcome]:
        """Raises the error of the first that is refused."""
        outcomes = await self._admin.commit(actions)
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
        return outcomes

    async def put(self, kind: Kind, *trees: Tree) -> Sequence[Any]:
        """Makes objects, and writes the status that they have. Nodes have the taints that are theirs alone."""
        made = []
        for tree in trees:
            if kind is POD:
                tree = await self._with_class(tree)
            (outcome,) = await self.do(Create(kind, tree))
            meta = outcome.obj.metadata
            if kind is NODE:
                spec = {"taints": tree.get("spec", {}).get("taints")}
                (outcome,) = await self.do(Patch(kind, "", meta.name, {"spec": spec}, "merge"))
            if tree.get("status"):
                status = Patch(kind, meta.namespace, meta.name, {"status": tree["status"]}, "merge", "status")
                (outcome,) = await self.do(status)
            made.append(outcome.obj)
        return made

    async def _with_class(self, tree: Tree) -> Tree:
        """A pod has its priority from a class."""
        spec = dict(tree["spec"])
        value = spec.pop("priority", None)
        if value is None:
            return tree
        name = f"of{value}"
        try:
            await self.do(Create(PRIORITY, {"metadata": {"name": name}, "value": value}))
        except AlreadyExists:
            pass
        return {**tree, "spec": {**spec, "priorityClassName": name}}

    def get(self, kind: Kind, namespace: str, name: str) -> Any:
        return self._server.objects.view(kind.resource).get(namespace, name)

    def objects(self, kind: Kind) -> Sequence[Any]:
        return self._server.objects.view(kind.resource).list()

    def subscribe(self, kind: Kind, fn: Callable[[Any, Any, Any], None]) -> Callable[[], None]:
        return self._server.objects.view(kind.resource).subscribe(fn)
