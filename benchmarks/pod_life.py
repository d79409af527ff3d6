"""What one pod costs the server from its creation until it runs: CPU of each step, in the server's own process.

The steps are those of a hollow cluster: the ReplicaSet controller creates the pod (generateName, owner, the service
account's volume), the scheduler binds it, its kubelet patches the status, strategically, with its own identity. Each
version is decoded once for the components of the process and delivered to the watcher of the pod's node.

The limit beside the sum is 1 ms: 100,000 pods on one core in 100 s. The limit beside each step is the bare work that no
design avoids: one decode and one encode of the pod, and the store's commit of it, which brings it to the cache.
``script/bench pod-life``; ``python -m benchmarks.pod_life --profile`` shows the functions.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import uvloop
from benchmarks.frame import Row, below, table
from benchmarks.load import drive, request_bytes
from benchmarks.servers import Pods, api, api_server, process_settings

PODS, BATCH, NODES = 4_000, 100, 200
WARM = 400
NAMESPACE = "default"
WHEN = "2026-01-01T00:00:00Z"


def template(app: str) -> dict[str, Any]:
    """A pod as the ReplicaSet controller creates it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": app, "uid": f"uid-{app}"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{app}-",
            "namespace": NAMESPACE,
            "labels": {"app": app, "pod-template-hash": "5d78c9869d"},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            "containers": [
                {
                    "name": "web",
                    "image": "nginx:1.27",
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "imagePullPolicy": "IfNotPresent",
                }
            ],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        },
    }


def running(uid: str, i: int) -> dict[str, Any]:
    """The patch with which a kubelet says that all containers run."""
    conditions = [
        {"type": type, "status": "True", "observedGeneration": 1, "lastTransitionTime": WHEN}
        for type in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
    ]
    address = f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}"
    container = {
        "name": "web",
        "state": {"running": {"startedAt": WHEN}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": "nginx:1.27",
        "imageID": "docker.io/library/nginx@sha256:0a399eb16751829e1af26fea27b20c3ec28d7ab1fb72182879dcae1cca21206a",
        "containerID": f"containerd://{i:064x}",
        "started": True,
    }
    order = [{"type": c["type"]} for c in (*conditions, {"type": "PodScheduled"})]
    return {
        "metadata": {"uid": uid},
        "status": {
            "$setElementOrder/conditions": order,
            "observedGeneration": 1,
            "phase": "Running",
            "conditions": conditions,
            "hostIP": "10.0.0.1",
            "hostIPs": [{"ip": "10.0.0.1"}],
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": WHEN,
            "containerStatuses": [container],
        },
    }


class _Sink:
    """A watcher's stream that takes everything."""

    chunked = True
    writable = True
    on_lost: Any = None
    on_writable: Any = None

    def write_framed(self, data: bytes) -> bool:
        return True

    def close(self) -> None:
        return None

    def frame(self, data: bytes) -> bytes:
        return data


def _watch_nodes(server: Any, kind: Any) -> None:
    """One watcher per node, as kubelets have it, without the network."""
    from pelamis.apiserver.negotiate import PLAIN
    from pelamis.apiserver.present import Presenter
    from pelamis.apiserver.selection import Selection
    from pelamis.apiserver.watch import Watcher

    hub = server.watches.hub(server.objects.collection(kind))
    presenter = Presenter(kind, PLAIN, time.time)
    for i in range(NODES):
        channel = hub.channel(Selection(kind, "", "", f"spec.nodeName=node{i}"), presenter)
        hub.join(Watcher(_Sink(), False), channel)  # type: ignore[arg-type]


async def _bare(store: Any, kind: Any, values: Sequence[bytes]) -> float:
    """CPU seconds for one pod: decode, encode, decode, as a create cannot do without, and the commit."""
    from pelamis.api import codec
    from pelamis.store.types import Put

    start = time.process_time()
    for at in range(0, len(values), BATCH):
        ops = []
        for i, value in enumerate(values[at : at + BATCH]):
            ops.append(
                Put(kind.key("bare", f"b{at + i}"), codec.encode(codec.decode(kind, codec.encode(codec.parse(value)))))
            )
        await store.commit(ops)
    return (time.process_time() - start) / len(values)


async def _life(store: Any, pods: int, profile: Callable[[str], Any]) -> dict[str, float]:
    """CPU seconds of one pod in each step."""
    from pelamis.apiserver.user import User
    from pelamis.client.types import Create, Patch

    async with api_server(store) as (server, _, _):
        admin = server.client("system:admin", "system:masters")
        account = server.objects.kind("serviceaccounts")
        node = server.objects.kind("nodes")
        kind = server.objects.kind("pods")
        accounts = "system:serviceaccount:kube-system:replicaset-controller"
        controller = server.client(accounts, "system:serviceaccounts", "system:serviceaccounts:kube-system")
        scheduler = server.client("system:kube-scheduler")
        actions = [Create(account, {"metadata": {"name": "default", "namespace": NAMESPACE}})]
        actions += [Create(node, {"metadata": {"name": f"node{i}"}}) for i in range(NODES)]
        await _all(admin, actions)
        user = lambda i: User(f"system:node:node{i}", ("system:nodes", "system:authenticated"))  # noqa: E731
        kubelets = [server.client(user(i)) for i in range(NODES)]
        view = controller.view(kind)
        view.subscribe(lambda key, old, new: None)
        _watch_nodes(server, kind)
        process_settings()
        spent: dict[str, float] = {}

        async def creates(first: int, count: int) -> list[Any]:
            return await _all(controller, [Create(kind, template(f"app{first % 7}")) for _ in range(count)])

        async def binds(made: Sequence[Any]) -> None:
            await _all(
                scheduler, [Create(kind, _binding(o.obj, i % NODES), "binding", o.obj.metadata.name) for i, o in made]
            )

        async def statuses(made: Sequence[Any]) -> None:
            async def one(at: int) -> None:
                part = [(i, o.obj.metadata) for i, o in made if i % NODES == at]
                patches = [Patch(kind, m.namespace, m.name, running(m.uid, i), "strategic", "status") for i, m in part]
                await _all(kubelets[at], patches)

            await asyncio.gather(*(one(at) for at in {i % NODES for i, _ in made}))

        made: list[Any] = []

        async def step(name: str, work: Callable[[int], Any], first: int, count: int) -> float:
            """The median of the batches: other programs on the machine disturb some of them."""
            costs = []
            with profile(name):
                for at in range(first, first + count, BATCH):
                    start = time.process_time()
                    await work(at)
                    costs.append((time.process_time() - start) / BATCH)
            return sorted(costs)[len(costs) // 2]

        async def create(at: int) -> None:
            made.extend(enumerate(await creates(at, BATCH), start=len(made)))

        for first, count in ((0, WARM), (WARM, pods)):
            spent["create"] = await step("create", create, first, count)
            spent["bind"] = await step("bind", lambda at: binds(made[at : at + BATCH]), first, count)
            spent["status"] = await step("status", lambda at: statuses(made[at : at + BATCH]), first, count)
        delivered = sum(server.metrics.watch_events.values())
        assert delivered >= pods * 2, delivered
        entries = server.objects.collection(kind).range(NAMESPACE)[0][:2000]
        spent["bare"] = await _bare(store, kind, [e.data for e in entries])
        return spent


def _binding(pod: Any, node: int) -> dict[str, Any]:
    meta = pod.metadata
    return {
        "kind": "Binding",
        "apiVersion": "v1",
        "metadata": {"namespace": meta.namespace, "name": meta.name, "uid": meta.uid},
        "target": {"kind": "Node", "name": f"node{node}"},
    }


async def _all(client: Any, actions: Sequence[Any]) -> list[Any]:
    outcomes = await client.commit(actions)
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return list(outcomes)


class _NoProfile:
    def __call__(self, name: str) -> Any:
        import contextlib

        return contextlib.nullcontext()


class _Profile:
    """Prints the functions of each step that has a name."""

    def __call__(self, name: str) -> Any:
        import contextlib
        import cProfile
        import pstats

        @contextlib.contextmanager
        def running() -> Any:
            profile = cProfile.Profile()
            profile.enable()
            yield
            profile.disable()
            if name:
                print(name, file=sys.stderr)
                pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(60)

        return running()


def measure(durable: bool, pods: int = PODS, profile: Callable[[str], Any] | None = None) -> dict[str, float]:
    async def main() -> dict[str, float]:
        from pelamis.store.memory import MemoryStore
        from pelamis.store.sqlite import SqliteStore

        with tempfile.TemporaryDirectory(prefix="pelamis-bench-life-") as place:
            store: Any = SqliteStore(place) if durable else MemoryStore()
            await store.open()
            try:
                return await _life(store, pods, profile or _NoProfile())
            finally:
                await store.close()

    return uvloop.run(main())


def over_https() -> float:
    """CPU seconds of the server for one status patch that comes over HTTPS, from 16 connections."""

    async def main() -> float:
        number = itertools.count()

        def following() -> bytes:
            n = next(number)
            i = n % PODS
            body = running(f"00000000-0000-0000-0000-{i:012d}", i)
            body["status"]["message"] = str(n)
            path = f"/api/v1/namespaces/ns{i % 50}/pods/web-{i:06d}/status"
            return request_bytes("PATCH", path, msgspec.json.encode(body), "application/strategic-merge-patch+json")

        with api(fill=Pods(PODS)) as target:
            (await drive(target, following, 16, 0.5)).expect(200)
            before = target.cpu
            found = await drive(target, following, 16, 4.0)
            found.expect(200)
            return (target.cpu - before) / len(found.latencies)

    return uvloop.run(main())


def rows() -> list[Row]:
    out = []
    for durable, where in ((False, "memory"), (True, "SQLite")):
        spent = measure(durable)
        bare = spent.pop("bare") * 1e6
        parts = ", ".join(f"{name} {cost * 1e6:.0f}" for name, cost in spent.items())
        total = sum(spent.values()) * 1e6
        out.append(below(f"server CPU of a pod until it runs, {where}", total, 1000, "µs", f"µs: {parts}"))
        ratio = total / 3 / bare
        out.append(Row("  a step of it, on average", f"{total / 3:.0f} µs", f"bare {bare:.0f} µs", ratio))
    cost = over_https() * 1e6
    out.append(Row("  the status patch over HTTPS", f"{cost:.0f} µs", f"in process {spent['status'] * 1e6:.0f} µs"))
    return out


if __name__ == "__main__":
    if "--profile" in sys.argv:
        measure("--durable" in sys.argv, 1_000, _Profile())
    elif "--quick" in sys.argv:
        print({k: round(v * 1e6, 1) for k, v in measure("--durable" in sys.argv).items()})
    else:
        print(table(rows()))
