"""CPU of planning the writes that a cluster makes most: statuses, heartbeats, renewals, pods in bulk, bindings.

Limits in microseconds on one core of an AMD EPYC, without HTTP, store and cache. The peer in the notes is the general
path of a patch, which every write takes that is not plain.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import uvloop
from benchmarks.frame import Row, below, table

from pelamis.api import codec
from pelamis.apiserver import overlay
from pelamis.apiserver.server import ApiServer, Config
from pelamis.apiserver.user import User
from pelamis.apiserver.write import Patch, Write
from pelamis.base.clock import rfc3339, rfc3339_micro
from pelamis.client.types import Create
from pelamis.kubelet.hollow import node as nodes
from pelamis.net import tls
from pelamis.store.memory import MemoryStore

Tree = dict[str, Any]
NODE = User("system:node:n", ("system:nodes", "system:authenticated"))
NOW = 1_800_000_000.0
MODEL = {
    "metadata": {"generateName": "web-7c5d8-", "namespace": "default", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}]},
}


def cost(plan: Callable[[int], object], count: int = 40, rounds: int = 150) -> float:
    """Microseconds of one, the best of many short rounds."""
    best = float("inf")
    for n in range(rounds):
        start = time.thread_time()
        for i in range(count):
            plan(n * count + i)
        best = min(best, (time.thread_time() - start) / count)
    return best * 1e6


def conditions(i: int, *types: str) -> list[Tree]:
    at = rfc3339(NOW + i % 50)
    return [{"type": t, "status": "True", "lastTransitionTime": at, "observedGeneration": 1} for t in types]


def first(i: int) -> Tree:
    """What a kubelet says of a pod that has begun to run."""
    running = {
        "name": "c", "state": {"running": {"startedAt": rfc3339(NOW + i % 50)}}, "lastState": {}, "ready": True,
        "restartCount": 0, "image": "i", "imageID": "sha256:0123456789abcdef", "started": True,
        "containerID": f"containerd://{i:064d}", "allocatedResources": {"cpu": "10m", "memory": "16Mi"},
    }  # fmt: skip
    return {
        "observedGeneration": 1, "phase": "Running", "startTime": rfc3339(NOW), "containerStatuses": [running],
        "conditions": conditions(i, "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"),
        "hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}], "podIP": "10.1.0.7", "podIPs": [{"ip": "10.1.0.7"}],
    }  # fmt: skip


class Planner:
    """A server without sockets, and the objects that are written."""

    async def start(self) -> None:
        store = MemoryStore()
        await store.open()
        key = tls.key_pem(tls.new_key())
        self.server = ApiServer(Config(store=store, service_account_key=key, listen=False, clock=lambda: NOW))
        await self.server.start()
        kind = self.server.objects.kind
        self.pods, self.nodes, self.leases = kind("pods"), kind("nodes"), kind("leases.coordination.k8s.io")
        self.model = codec.decode(self.pods, msgspec.json.encode({"kind": "Pod", "apiVersion": "v1", **MODEL}))
        node = {
            "metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n"}},
            "spec": {"podCIDR": "10.1.0.0/24"},
            "status": {
                "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "conditions": [
                    {"type": t, "status": "False", "lastHeartbeatTime": rfc3339(NOW), "reason": t, "message": t}
                    for t in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
                ],
                "images": [{"names": [f"registry.example/a:{i}"], "sizeBytes": 1000 + i} for i in range(10)],
            },
        }
        account = {"metadata": {"name": "default", "namespace": "default"}}
        self.client = self.server.client("system:admin", "system:masters")
        for action in (Create(kind("serviceaccounts"), account), Create(self.nodes, node),
                       Create(self.leases, nodes.lease("n", "u", NOW, 40))):  # fmt: skip
            (outcome,) = await self.client.commit([action])
            assert outcome.error is None, outcome.error
        self.bound, self.free = [o.obj for o in await self.client.commit([Create(self.pods, self.model)] * 2)]
        binding = Create(self.pods, self.binding(self.bound), "binding", self.bound.metadata.name)
        (outcome,) = await self.client.commit([binding])
        assert outcome.error is None, outcome.error

    def binding(self, pod: Any) -> Tree:
        meta = {"name": pod.metadata.name, "namespace": "default", "uid": pod.metadata.uid}
        return {
            "kind": "Binding", "apiVersion": "v1", "metadata": meta, "target": {"kind": "Node", "name": "n"},
        }  # fmt: skip

    def plan(self, write: Write) -> None:
        write.user_agent = "kubelet/v1.37.0"
        try:
            self.server.rest._plan(write).send(None)
        except StopIteration:
            return
        raise AssertionError("the plan waits")

    def patch(self, kind: Any, namespace: str, name: str, sub: str, body: Tree, type: str = "strategic") -> None:
        self.plan(Write("patch", kind, NODE, namespace, name, sub, patch=Patch(type, body)))

    def status(self, i: int) -> None:
        body = {"metadata": {"uid": self.bound.metadata.uid}, "status": first(i)}
        self.patch(self.pods, "default", self.bound.metadata.name, "status", body)

    def ready(self, i: int) -> None:
        body = {"metadata": {"uid": self.bound.metadata.uid}, "status": {"conditions": conditions(i, "Ready")}}
        self.patch(self.pods, "default", self.bound.metadata.name, "status", body)

    def heartbeat(self, i: int) -> None:
        at = rfc3339(NOW + 1 + i % 50)
        types = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
        said = [{"type": t, "lastHeartbeatTime": at} for t in types]
        self.patch(self.nodes, "", "n", "status", {"status": {"conditions": said}})

    def renewal(self, i: int) -> None:
        body = {"spec": {"renewTime": rfc3339_micro(NOW + 1 + i)}}
        self.patch(self.leases, "kube-node-lease", "n", "", body, "merge")

    def whole(self, i: int) -> None:
        entry = self.server.objects.collection(self.leases).get("kube-node-lease", "n")
        assert entry is not None
        tree = codec.parse(entry.data)
        tree["spec"]["renewTime"] = rfc3339_micro(NOW + 1 + i)
        self.plan(Write("update", self.leases, NODE, "kube-node-lease", "n", tree=tree))

    def create(self, i: int) -> None:
        self.plan(Write("create", self.pods, self.client.user, "default", "", model=self.model))

    def bind(self, i: int) -> None:
        name = self.free.metadata.name
        tree = self.binding(self.free)
        self.plan(Write("create", self.pods, self.client.user, "default", name, "binding", tree=tree))


def rows() -> list[Row]:
    async def main() -> list[Row]:
        planner = Planner()
        await planner.start()
        out = []
        for what, limit, plan in (
            ("status of a pod that has begun to run", 110, planner.status),
            ("a pod is ready (one condition)", 60, planner.ready),
            ("heartbeat of a node (four conditions)", 75, planner.heartbeat),
            ("renewal of a lease, merge patch", 45, planner.renewal),
            ("renewal of a lease, PUT of the whole", 55, planner.whole),
            ("a pod of a model, in bulk", 25, planner.create),
            ("binding of a pod", 25, planner.bind),
        ):
            value = cost(plan)
            laid, overlay.laid = overlay.laid, lambda write, mutate: None
            general = cost(plan)
            overlay.laid = laid
            note = f"general path {general:.0f} µs" if general > value * 1.2 else ""
            out.append(below(f"plan: {what}", value, limit, "µs", note))
        await planner.server.stop(0.1)
        return out

    return uvloop.run(main())


if __name__ == "__main__":
    print(table(rows()))
