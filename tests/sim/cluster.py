"""A small cluster on virtual time: controllers, a scheduler that binds at once, and a hollow kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.base.clock import rfc3339
from pelamis.client.types import Create, Delete, Patch
from pelamis.reconcile.runner import Runner
from pelamis.reconcile.spec import Controller
from pelamis.sim.loop import now

from .fake_client import FakeClient, FakeServer


class StaticKinds:
    """The Kinds seam for a fixed set."""

    def __init__(self, kinds: Sequence[Any]) -> None:
        self.kinds = list(kinds)

    def current(self) -> Sequence[Any]:
        return self.kinds

    def subscribe(self, fn: Callable[[Any, bool], None]) -> Callable[[], None]:
        for kind in self.kinds:
            fn(kind, True)
        return lambda: None


class Cluster:
    """ready_after_s: how long a started pod takes to be ready. broken: images whose pods never get ready."""

    def __init__(
        self,
        controllers: Sequence[Controller],
        *,
        kinds: Sequence[Any] = (),
        ready_after_s: float = 1.0,
        broken: Sequence[str] = (),
        nodes: Sequence[str] = ("node-1",),
        finish: Callable[[Any], int | None] = lambda pod: None,
    ) -> None:
        self.server = FakeServer(now)
        self.controllers = list(controllers)
        self.kinds = StaticKinds(kinds)
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.runners: dict[str, Runner] = {}
        self.ready_after_s = ready_after_s
        self.broken = set(broken)
        self.nodes = list(nodes)
        self.finish = finish
        self._turn = 0
        self.trace: list[str] = []

    def start(self) -> None:
        for name in self.nodes:
            if self.server.get(NODE, "", name) is None:
                self.server.do(Create(NODE, {"metadata": {"name": name}}))
        self.server.view(POD).subscribe(self._pod)
        for controller in self.controllers:
            self.start_one(controller)

    def start_one(self, controller: Controller) -> None:
        runner = Runner(
            controller, FakeClient(self.server, controller.user), clock=now, kinds=self.kinds, cpu=lambda: 0.0
        )
        self.runners[controller.name] = runner
        self.tasks[controller.name] = asyncio.ensure_future(runner.run())

    async def crash(self, name: str) -> None:
        task = self.tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])
        self.start_one(next(c for c in self.controllers if c.name == name))

    async def settle(self, seconds: float = 60.0) -> None:
        await asyncio.sleep(seconds)
        for task in self.tasks.values():
            if task.done():
                task.result()

    def pods(self) -> list[Any]:
        return self.server.objects(POD)

    def _pod(self, key: Any, old: Any, new: Any) -> None:
        """Bind, run and end pods, each a little later."""
        loop = asyncio.get_running_loop()
        if new is None:
            return
        meta = new.metadata
        if meta.deletionTimestamp is not None:
            if old is None or old.metadata.deletionTimestamp is None:
                loop.call_later(1.0, self._end, key, meta.uid)
        elif not new.spec.nodeName:
            if self.nodes and not any(True for _ in new.spec.schedulingGates):
                loop.call_later(0.01, self._bind, key, meta.uid)
        elif new.status.phase in ("", "Pending"):
            loop.call_later(0.01, self._begin, key, meta.uid)

    def _current(self, key: Any, uid: str) -> Any:
        pod = self.server.get(POD, *key)
        return pod if pod is not None and pod.metadata.uid == uid else None

    def _bind(self, key: Any, uid: str) -> None:
        pod = self._current(key, uid)
        if pod is None or pod.spec.nodeName:
            return
        self._turn += 1
        affinity = pod.spec.affinity
        node = self.nodes[self._turn % len(self.nodes)]
        if affinity is not None and affinity.nodeAffinity is not None:
            required = affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution
            if required is not None and required.nodeSelectorTerms[0].matchFields:
                node = required.nodeSelectorTerms[0].matchFields[0].values[0]
        tree = msgspec.json.decode(msgspec.json.encode(pod))
        tree["spec"]["nodeName"] = node
        tree["metadata"].pop("resourceVersion")
        self.server._replace(POD, tree, "", "")

    def _begin(self, key: Any, uid: str) -> None:
        pod = self._current(key, uid)
        if pod is None or pod.status.phase not in ("", "Pending"):
            return
        self._status(key, {"phase": "Running", "podIP": "10.244.0.9", "conditions": [self._ready("False")]})
        loop = asyncio.get_running_loop()
        if not self.broken & {c.image for c in pod.spec.containers}:
            loop.call_later(self.ready_after_s, self._become_ready, key, uid)

    def _become_ready(self, key: Any, uid: str) -> None:
        pod = self._current(key, uid)
        if pod is None or pod.metadata.deletionTimestamp is not None:
            return
        code = self.finish(pod)
        if code is None:
            self._status(key, {"phase": "Running", "conditions": [self._ready("True")]})
            return
        self.terminate(key, code)

    def terminate(self, key: Any, code: int) -> None:
        pod = self.server.get(POD, *key)
        statuses = [
            {
                "name": c.name,
                "ready": False,
                "restartCount": 0,
                "image": c.image,
                "imageID": "",
                "state": {"terminated": {"exitCode": code, "finishedAt": rfc3339(now())}},
            }
            for c in pod.spec.containers
        ]
        phase = "Succeeded" if code == 0 else "Failed"
        self._status(key, {"phase": phase, "conditions": [self._ready("False")], "containerStatuses": statuses})

    def _ready(self, value: str) -> dict[str, str]:
        return {"type": "Ready", "status": value, "lastTransitionTime": rfc3339(now())}

    def _status(self, key: Any, status: dict[str, Any]) -> None:
        self.server.do(Patch(POD, key[0], key[1], {"status": status}, "strategic", "status"))

    def _end(self, key: Any, uid: str) -> None:
        if self._current(key, uid) is not None:
            self.server.do(Delete(POD, key[0], key[1], uid=uid, grace_s=0))
            pod = self._current(key, uid)
            if pod is not None and pod.status.phase not in ("Succeeded", "Failed"):
                self.terminate(key, 143)  # finalizers hold it: it is finished at least
