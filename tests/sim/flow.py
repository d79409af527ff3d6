"""Some controllers on the real simulator: the API server, hollow nodes and, where pods are to run, the scheduler.

Pods take a second to start (``ready_after_s``) and nothing else takes time, so that what is seen is the controllers'
doing. ``commits``: what they wrote, commit by commit. ``finish(pod)``: the exit code of a pod one second after it is
ready; None: it runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.serviceaccount import KIND as ACCOUNT
from pelamis.api.kind import Kind
from pelamis.base.errors import AlreadyExists
from pelamis.client.types import Action, Create, Patch
from pelamis.kubelet.actions import Evicted
from pelamis.kubelet.hollow.agent import Delays
from pelamis.kubelet.hollow.lookup import ROOT_CA
from pelamis.kubelet.hollow.node import HollowNode
from pelamis.reconcile.podstate import is_ready
from pelamis.reconcile.spec import Controller
from pelamis.sim.cluster import Cluster


class Flow(Cluster):
    def __init__(
        self,
        run_controllers: Sequence[Controller] | None,
        *,
        nodes: Sequence[str] = ("node-1",),
        ready_after_s: float = 1.0,
        finish: Callable[[Any], int | None] = lambda pod: None,
        **options: Any,
    ) -> None:
        ranged = run_controllers is not None  # else node IPAM gives them their ranges
        specs = [HollowNode(name, pod_cidr=f"10.1.{i}.0/24" if ranged else "") for i, name in enumerate(nodes)]
        self.commits: list[list[Action]] = []
        self.finish = finish
        delays = Delays(start=ready_after_s)
        super().__init__(run_controllers=run_controllers, nodes=specs, delays=delays, **options)
        self.door.heard = self._heard

    async def start(self) -> None:
        await super().start()
        meta = {"namespace": "default"}
        for action in (
            Create(ACCOUNT, {"metadata": {"name": "default", **meta}}),
            Create(CONFIGMAP, {"metadata": {"name": ROOT_CA, **meta}, "data": {"ca.crt": "PEM"}}),
        ):
            (outcome,) = await self.admin.commit([action])
            assert outcome.error is None or isinstance(outcome.error, AlreadyExists)
        for node in [spec.name for spec in self._specs]:
            await self.welcome(node)
        self.subscribe(POD, self._pod)
        await self.run(1)
        self.commits.clear()

    async def welcome(self, node: str) -> None:
        """What node lifecycle does for a node that is ready."""
        await self.until(lambda: self.get(NODE, "", node) is not None)
        await self.do(Patch(NODE, "", node, {"spec": {"taints": None}}))

    def _heard(self, component: str, process: str, actions: Sequence[Action]) -> None:
        if component == "controllers":
            self.commits.append(list(actions))

    def subscribe(self, kind: Kind, fn: Callable[[Any, Any, Any], None]) -> None:
        self.server.objects.view(kind.resource).subscribe(fn, replay=False)

    def _pod(self, key: Any, old: Any, new: Any) -> None:
        if new is not None and is_ready(new) and not (old is not None and is_ready(old)):
            code = self.finish(new)
            if code is not None:
                self.loop.call_later(1.0, self.terminate, key, code)

    def terminate(self, key: Any, code: int) -> None:
        """The pod's containers end."""
        found = self.nodes.pods.get(key)
        for container in found.pod.spec.containers if found is not None else ():
            self.nodes.crash_container(key[0], key[1], container.name, code)

    def fail(self, key: Any) -> None:
        """The node evicts the pod: it has failed for good."""
        self.nodes.pods[key].feed(Evicted("Evicted", "for a test", 0, ("DisruptionTarget", "TerminationByKubelet", "")))

    async def join(self, name: str, index: int) -> None:
        """One more node."""
        self.nodes.add_node(HollowNode(name, pod_cidr=f"10.1.{index}.0/24"))
        await self.welcome(name)

    def mine(self) -> list[Any]:
        """The pods of the default namespace."""
        return list(self.pods("default"))

    def told(self, component: str = "") -> list[str]:
        """Of the Events that a component has recorded, or all."""
        return [e.reason for e in self.objects(EVENT) if not component or component in e.source.component]
