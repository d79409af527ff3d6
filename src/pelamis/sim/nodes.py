"""Interim hollow nodes of the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.base.clock import rfc3339, rfc3339_micro
from pelamis.client.types import Action, Client, Create, Delete, Patch
from pelamis.kubelet.cri.hollow import plan

CAPACITY = {"cpu": "4", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}
LEASES = "kube-node-lease"
BEAT_S = 10.0


@dataclass(frozen=True, slots=True)
class NodeSpec:
    name: str
    capacity: Mapping[str, str] = field(default_factory=lambda: CAPACITY)
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()


class _Node:
    def __init__(self, spec: NodeSpec, client: Client) -> None:
        self.spec = spec
        self.client = client
        self.on = True
        self.started: dict[str, float] = {}


class Nodes:
    def __init__(
        self, client_for: Callable[[str], Client], clock: Callable[[], float], rng: Random, horizon: Callable[[], float]
    ) -> None:
        self._client_for = client_for
        self._clock = clock
        self._rng = rng
        self._horizon = horizon
        self._nodes: dict[str, _Node] = {}
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def add(self, spec: NodeSpec) -> None:
        node = self._nodes[spec.name] = _Node(spec, self._client_for(spec.name))
        self._queue.put_nowait(lambda: self._register(node))

    def has(self, name: str) -> bool:
        return name in self._nodes

    def names(self) -> Sequence[str]:
        return tuple(self._nodes)

    def power_off(self, name: str) -> None:
        self._nodes[name].on = False

    def power_on(self, name: str) -> None:
        node = self._nodes[name]
        if not node.on:
            node.on = True
            node.started.clear()
            self._queue.put_nowait(lambda: self._register(node))

    def remove(self, name: str) -> None:
        self._nodes.pop(name)

    async def run(self) -> None:
        cancel = self._client_for("all").view(POD).subscribe(self._changed) if False else None
        async with asyncio.TaskGroup() as group:
            while True:
                work = await self._queue.get()
                group.create_task(work())
        del cancel

    def _changed(self, key: Any, old: Any, new: Any) -> None:
        if new is not None and new.spec.nodeName in self._nodes:
            self._queue.put_nowait(lambda: self._pod(new))

    async def _commit(self, node: _Node, actions: Sequence[Action]) -> None:
        if not node.on:
            return
        try:
            for outcome in await node.client.commit(actions):
                if outcome.error is not None and outcome.error.reason not in ("NotFound", "Conflict", "AlreadyExists"):
                    raise outcome.error
        except OSError:
            await asyncio.sleep(1)

    async def _register(self, node: _Node) -> None:
        spec, name, now = node.spec, node.spec.name, self._clock()
        node.client.view(POD, field_selector=f"spec.nodeName={name}").subscribe(self._changed)
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": rfc3339(now), "reason": "KubeletReady"}
        status = {"capacity": dict(spec.capacity), "allocatable": dict(spec.capacity), "conditions": [ready]}
        tree: dict[str, Any] = {"metadata": {"name": name, "labels": {**labels, **spec.labels}}, "status": status}
        await self._commit(node, [Create(NODE, tree), Patch(NODE, "", name, {"status": status}, "strategic", "status")])
        lease = {"holderIdentity": name, "renewTime": rfc3339_micro(now), "leaseDurationSeconds": 40}
        await self._commit(node, [Create(LEASE, {"metadata": {"name": name, "namespace": LEASES}, "spec": lease})])
        while node.on and self._nodes.get(name) is node:
            await asyncio.sleep(BEAT_S)
            spec2 = {"renewTime": rfc3339_micro(self._clock())}
            await self._commit(node, [Patch(LEASE, LEASES, name, {"spec": spec2})])

    async def _pod(self, pod: Any) -> None:
        node = self._nodes.get(pod.spec.nodeName)
        meta = pod.metadata
        if node is None or not node.on:
            return
        if meta.deletionTimestamp is not None:
            await asyncio.sleep(1)
            await self._commit(node, [Delete(POD, meta.namespace, meta.name, uid=meta.uid, grace_s=0)])
            return
        if pod.status.phase != "Pending" or meta.uid in node.started:
            return
        node.started[meta.uid] = self._clock()
        await asyncio.sleep(1)
        await self._commit(node, [self._status(pod, None)])
        ends = [plan([*c.command, *c.args]) for c in pod.spec.containers]
        if all(at is not None for at, _ in ends):
            await asyncio.sleep(max(at or 0.0 for at, _ in ends))
            await self._commit(node, [self._status(pod, max(code for _, code in ends))])

    def _status(self, pod: Any, code: int | None) -> Patch:
        meta, at = pod.metadata, rfc3339(self._clock())
        phase = "Running" if code is None else "Succeeded" if code == 0 else "Failed"
        state = {"running": {"startedAt": at}} if code is None else {"terminated": {"exitCode": code, "finishedAt": at}}
        statuses = [
            {"name": c.name, "ready": code is None, "restartCount": 0, "image": c.image, "imageID": "", "state": state}
            for c in pod.spec.containers
        ]
        ready = {"type": "Ready", "status": "True" if code is None else "False", "lastTransitionTime": at}
        status: dict[str, Any] = {"phase": phase, "conditions": [ready], "containerStatuses": statuses}
        status["podIP"] = f"10.244.0.{int(meta.resourceVersion) % 250 + 1}"
        status["podIPs"] = [{"ip": status["podIP"]}]
        return Patch(
            POD, meta.namespace, meta.name, {"metadata": {"uid": meta.uid}, "status": status}, "strategic", "status"
        )
