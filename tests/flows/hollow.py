"""Nodes and pods without containers, on a real API server: binds pods, says that they run, ends them."""

from __future__ import annotations

import asyncio
from typing import Any

from pelamis.api.coordination.lease import KIND as LEASE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.base.clock import rfc3339, rfc3339_micro
from pelamis.client.types import Action, Client, Create, Delete, Patch


class HollowNodes:
    """finish(pod) gives the exit code of a pod's containers, None for one that keeps running."""

    def __init__(self, client: Client, names: tuple[str, ...], clock: Any, finish: Any = lambda pod: None) -> None:
        self._client = client
        self._names = names
        self._clock = clock
        self._finish = finish
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._turn = 0
        self.refused: list[str] = []

    async def register(self) -> None:
        now = self._clock()
        actions: list[Action] = []
        for name in self._names:
            ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": rfc3339(now), "reason": "KubeletReady"}
            actions.append(Create(NODE, {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}))
            actions.append(Patch(NODE, "", name, {"status": {"conditions": [ready]}}, "strategic", "status"))
            spec = {"holderIdentity": name, "renewTime": rfc3339_micro(now), "leaseDurationSeconds": 40}
            actions.append(Create(LEASE, {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec}))
        await self._commit(actions)

    async def run(self) -> None:
        cancel = self._client.view(POD).subscribe(lambda key, old, new: self._queue.put_nowait((old, new)))
        try:
            while True:
                old, new = await self._queue.get()
                if new is not None:
                    await self._commit(self._actions(old, new))
        finally:
            cancel()

    async def _commit(self, actions: list[Action]) -> None:
        for outcome in await self._client.commit(actions) if actions else ():
            if outcome.error is not None and outcome.error.reason not in ("NotFound", "Conflict"):
                self.refused.append(outcome.error.message)

    def _actions(self, old: Any, pod: Any) -> list[Action]:
        meta = pod.metadata
        if meta.deletionTimestamp is not None:
            return [Delete(POD, meta.namespace, meta.name, uid=meta.uid, grace_s=0)]
        if not pod.spec.nodeName:
            return [self._bind(pod)] if old is None else []
        if pod.status.phase != "Pending" or not pod.spec.nodeName:
            return []
        code = self._finish(pod)
        at = rfc3339(self._clock())
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
        return [Patch(POD, meta.namespace, meta.name, {"status": status}, "strategic", "status")]

    def _bind(self, pod: Any) -> Action:
        self._turn += 1
        node = self._names[self._turn % len(self._names)]
        affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
        required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
        if required is not None and required.nodeSelectorTerms[0].matchFields:
            node = required.nodeSelectorTerms[0].matchFields[0].values[0]
        meta = pod.metadata
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta.name, "namespace": meta.namespace},
            "target": {"kind": "Node", "name": node},
        }
        return Create(POD, body, "binding", meta.name)
