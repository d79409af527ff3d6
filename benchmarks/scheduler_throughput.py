"""Pods created -> bound -> seen by a watch, in the server's own process, as upstream's scheduler_perf measures it.

A real API server (admission, authorization, group commits to SQLite), the scheduler on its own identity, and a client
that creates pods as fast as it is answered; a subscriber of the pods' changes counts what is bound. Nodes are hollow:
objects alone. The workloads and templates are scheduler_perf's (nodes of 4 cores and 32 GiB, pods of 100m and 500 MiB),
and its published CI thresholds, in pods per second, are the named floor beside each figure.

``note`` says where the time goes: CPU per pod of the whole process, and of the scheduler's own turns.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import uvloop
from benchmarks.frame import Row, say, shown
from benchmarks.servers import api_server, process_settings

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
BATCH = 25
"""Creates in one commit: what a client that has as many requests under way shares with itself."""
CLIENTS = 4
_BORN = "2026-01-01T00:00:00Z"

Tree = dict[str, Any]
Make = Callable[[int], Tree]


@dataclass(frozen=True)
class Workload:
    """threshold: upstream's for the same kind of pods, with its name. before: pods that are bound already."""

    name: str
    aim: float
    threshold: float
    upstream: str
    pod: Make
    nodes: int = 5000
    running: int = 1000
    count: int = 10000
    before: Make | None = None
    zones: tuple[str, ...] = ()
    cores: str = "4"
    objects: Callable[[], Iterable[tuple[str, Tree]]] | None = None
    binder: bool = False
    churn: Make | None = None
    """Pods that come besides, one every 200 ms."""
    taken: Callable[[int], int] = field(default=lambda i: i)
    """The node that pod i of ``before`` runs on."""


def node(i: int, workload: Workload) -> Tree:
    labels = {HOST: f"node-{i}"}
    if workload.zones:
        labels[ZONE] = workload.zones[i % len(workload.zones)]
    amounts = {"cpu": workload.cores, "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": f"node-{i}", "uid": f"node-{i}", "creationTimestamp": _BORN, "labels": labels},
        "spec": {},
        "status": {
            "capacity": amounts,
            "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": _BORN}],
        },
    }


def plain(name: str, namespace: str = "sched-1", cpu: str = "100m", **spec: Any) -> Tree:
    labels = spec.pop("labels", {})
    requests = {"cpu": cpu, "memory": "500Mi"}
    container = {"name": "pause", "image": "registry.k8s.io/pause:3.10", "resources": {"requests": requests}}
    meta: Tree = {"name": name, "namespace": namespace}
    if labels:
        meta["labels"] = labels
    return {"metadata": meta, "spec": {"containers": [container], **spec}}


def _term(color: str, key: str = HOST, **more: Any) -> Tree:
    return {"labelSelector": {"matchLabels": {"color": color}}, "topologyKey": key, **more}


BOTH = ["sched-0", "sched-1"]
REQUIRED, PREFERRED = (f"{how}DuringSchedulingIgnoredDuringExecution" for how in ("required", "preferred"))


def anti(i: int, namespace: str = "sched-1") -> Tree:
    """Each of four colours on hosts of its own."""
    color = f"green{i % 4}"
    affinity = {"podAntiAffinity": {REQUIRED: [_term(color, namespaces=BOTH)]}}
    return plain(f"anti-{i}", namespace, affinity=affinity, labels={"color": color})


def prefers(i: int, namespace: str = "sched-1") -> Tree:
    affinity = {"podAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": _term("red", namespaces=BOTH)}]}}
    return plain(f"near-{i}", namespace, affinity=affinity, labels={"color": "red"})


def spread(i: int, when: str = "DoNotSchedule") -> Tree:
    constraint = {
        "maxSkew": 5,
        "topologyKey": ZONE,
        "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"color": "blue"}},
    }
    return plain(f"spread-{i}", topologySpreadConstraints=[constraint], labels={"color": "blue"})


def by_namespaces(i: int, namespace: str = "sched-1") -> Tree:
    term = _term("green", namespaceSelector={"matchLabels": {"team": "devops"}})
    affinity = {"podAntiAffinity": {REQUIRED: [term]}}
    return plain(f"ns-{i}", namespace, affinity=affinity, labels={"color": "green"})


def prefers_by_namespaces(i: int, namespace: str = "sched-1") -> Tree:
    term = _term("green", namespaceSelector={"matchLabels": {"team": "devops"}})
    affinity = {"podAntiAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": term}]}}
    return plain(f"ns-{i}", namespace, affinity=affinity, labels={"color": "green"})


def daemon(i: int) -> Tree:
    match = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [f"node-{i % 15000}"]}]}
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [match]}}}
    return plain(f"daemon-{i}", affinity=affinity)


def low(i: int) -> Tree:
    return plain(f"low-{i}", "sched-0", "900m", terminationGracePeriodSeconds=0)


def high(i: int) -> Tree:
    return plain(f"high-{i}", cpu="3", priorityClassName="high", terminationGracePeriodSeconds=0)


def with_claim(i: int) -> Tree:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": f"claim-{i}"}}
    return plain(f"volume-{i}", volumes=[volume])


def volumes(count: int, bound: bool, nodes: int = 5000) -> Callable[[], Iterator[tuple[str, Tree]]]:
    """Each claim with its volume; not bound: local volumes that wait for the first consumer."""

    def objects() -> Iterator[tuple[str, Tree]]:
        storage = {
            "kind": "StorageClass",
            "apiVersion": "storage.k8s.io/v1",
            "metadata": {"name": "local", "uid": "class", "creationTimestamp": _BORN},
            "provisioner": "kubernetes.io/no-provisioner",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
        yield "/registry/storageclasses/local", storage
        for i in range(nodes if bound else 0):
            driver = {"name": "csi", "nodeID": f"node-{i}", "allocatable": {"count": 39}}
            meta = {"name": f"node-{i}", "uid": f"csinode-{i}", "creationTimestamp": _BORN}
            tree = {"kind": "CSINode", "apiVersion": "storage.k8s.io/v1", "metadata": meta}
            yield f"/registry/csinodes/node-{i}", {**tree, "spec": {"drivers": [driver]}}
        for i in range(count):
            meta = {"name": f"volume-{i}", "uid": f"volume-{i}", "creationTimestamp": _BORN}
            spec: Tree = {
                "capacity": {"storage": "1Gi"},
                "csi": {"driver": "csi", "volumeHandle": f"volume-{i}"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "local",
                "volumeMode": "Filesystem",
            }
            if bound:
                ref = {"kind": "PersistentVolumeClaim", "namespace": "sched-1", "name": f"claim-{i}"}
                spec["claimRef"] = {**ref, "uid": f"claim-{i}", "apiVersion": "v1"}
            else:
                terms = [{"matchExpressions": [{"key": HOST, "operator": "In", "values": [f"node-{i % nodes}"]}]}]
                spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
            phase = {"phase": "Bound" if bound else "Available"}
            tree = {"kind": "PersistentVolume", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": phase}
            yield f"/registry/persistentvolumes/volume-{i}", tree
            meta = {"name": f"claim-{i}", "namespace": "sched-1", "uid": f"claim-{i}", "creationTimestamp": _BORN}
            own: Tree = {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "local",
                "volumeMode": "Filesystem",
            }
            if bound:
                meta["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
                own["volumeName"] = f"volume-{i}"
            tree = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": meta, "spec": own}
            phase = {"phase": "Bound" if bound else "Pending"}
            yield f"/registry/persistentvolumeclaims/sched-1/claim-{i}", {**tree, "status": phase}

    return objects


def team(count: int) -> Callable[[], Iterator[tuple[str, Tree]]]:
    def objects() -> Iterator[tuple[str, Tree]]:
        for i in range(count):
            yield f"/registry/namespaces/team-{i}", namespace(f"team-{i}", {"team": "devops"})

    return objects


def namespace(name: str, labels: dict[str, str]) -> Tree:
    meta = {"name": name, "uid": name, "creationTimestamp": _BORN, "labels": labels}
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": meta, "status": {"phase": "Active"}}


ZONES = ("moon-1", "moon-2", "moon-3")
WORKLOADS = (
    Workload("plain", 1000, 680, "SchedulingBasic", lambda i: plain(f"plain-{i}")),
    Workload("required anti-affinity", 300, 60, "SchedulingPodAntiAffinity", anti, before=lambda i: anti(i, "sched-0")),
    Workload(
        "preferred affinity", 300, 90, "SchedulingPreferredPodAffinity", prefers, before=lambda i: prefers(i, "sched-0")
    ),
    Workload("topology spread", 300, 460, "TopologySpreading", spread, zones=ZONES),
    Workload(
        "soft topology spread",
        300,
        340,
        "PreferredTopologySpreading",
        lambda i: spread(i, "ScheduleAnyway"),
        zones=ZONES,
    ),
    Workload(
        "namespace selector, required",
        300,
        24,
        "SchedulingRequiredPodAntiAffinityWithNSSelector",
        by_namespaces,
        before=lambda i: by_namespaces(i, f"team-{i % 100}"),
        count=3000,
        objects=team(100),
    ),
    Workload(
        "namespace selector, preferred",
        300,
        55,
        "SchedulingPreferredAntiAffinityWithNSSelector",
        prefers_by_namespaces,
        before=lambda i: prefers_by_namespaces(i, f"team-{i % 100}"),
        objects=team(100),
    ),
    Workload("bound volumes", 300, 100, "SchedulingCSIPVs", with_claim, objects=volumes(10000, True)),
    Workload(
        "volumes that wait for a node",
        300,
        290,
        "SchedulingInTreePVs",
        with_claim,
        objects=volumes(5000, False),
        count=5000,
        binder=True,
    ),
    Workload(
        "preemption: each pod evicts three",
        300,
        0,
        "PreemptionBasic",
        high,
        running=20000,
        count=3000,
        before=low,
        taken=lambda i: i // 4,
    ),
    Workload(
        "while five preempt per second",
        300,
        570,
        "PreemptionAsync",
        lambda i: plain(f"plain-{i}"),
        running=20000,
        count=5000,
        before=low,
        taken=lambda i: i // 4,
        churn=high,
    ),
    Workload("daemons", 1500, 1100, "SchedulingDaemonset", daemon, nodes=15000, running=0, count=30000),
)


def stored(workload: Workload) -> Iterator[tuple[str, Tree]]:
    """What is there before the measurement."""
    for name in ("sched-0", "sched-1"):
        yield f"/registry/namespaces/{name}", namespace(name, {"team": "devops"})
    if workload.objects is not None:
        yield from workload.objects()
    for i in range(workload.nodes):
        yield f"/registry/minions/node-{i}", node(i, workload)
    make = workload.before or (lambda i: plain(f"running-{i}", "sched-0"))
    for i in range(workload.running):
        tree = make(i)
        meta, spec = tree["metadata"], tree["spec"]
        meta |= {"uid": f"running-{i}", "creationTimestamp": _BORN}
        spec |= {"nodeName": f"node-{workload.taken(i)}", "schedulerName": "default-scheduler", "priority": 0}
        if "priorityClassName" in spec:
            del spec["priorityClassName"]
        conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": _BORN}]
        status = {"phase": "Running", "conditions": conditions, "startTime": _BORN}
        yield (
            f"/registry/pods/{meta['namespace']}/{meta['name']}",
            {"kind": "Pod", "apiVersion": "v1", **tree, "status": status},
        )


async def _fill(store: Any, workload: Workload) -> None:
    from pelamis.store.types import Put

    batch = []
    for key, tree in stored(workload):
        batch.append(Put(key, msgspec.json.encode(tree)))
        if len(batch) == 250:
            await store.commit(batch)
            batch = []
    await store.commit(batch)


def _binder(client: Any) -> Callable[[], None]:
    """What the volume controller does: a volume that is promised to a claim is bound to it."""
    from pelamis.api.core.persistentvolume import KIND as VOLUME
    from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
    from pelamis.client.types import Patch

    waiting: list[Any] = []
    wake = asyncio.Event()

    def promised(key: Any, old: Any, new: Any) -> None:
        if old is not None and old.spec.claimRef is None and new.spec.claimRef is not None:
            waiting.append(new)
            wake.set()

    async def bind() -> None:
        while True:
            await wake.wait()
            wake.clear()
            found = waiting[:100]
            del waiting[:100]
            if waiting:
                wake.set()
            actions = []
            for volume in found:
                ref = volume.spec.claimRef
                annotations = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}
                body = {"metadata": {"annotations": annotations}, "spec": {"volumeName": volume.metadata.name}}
                actions.append(Patch(CLAIM, ref.namespace, ref.name, body))
            for outcome in await client.commit(actions):
                if outcome.error is not None:
                    raise outcome.error

    cancel = client.view(VOLUME).subscribe(promised, replay=False)
    task = asyncio.create_task(bind())

    def stop() -> None:
        cancel()
        task.cancel()

    return stop


@dataclass
class Measured:
    """cpu: of the whole process, with its threads. own: of the scheduler's turns. creating: of the creates alone."""

    elapsed: float = 0.0
    cpu: float = 0.0
    own: float = 0.0


async def measure(workload: Workload, count: int, durable: bool = True) -> Measured:
    from pelamis.api.core.pod.kind import KIND as POD
    from pelamis.api.core.serviceaccount import KIND as ACCOUNT
    from pelamis.api.scheduling.priorityclass import KIND as PRIORITY
    from pelamis.client.types import Create
    from pelamis.scheduler.run import Scheduler
    from pelamis.store.memory import MemoryStore
    from pelamis.store.sqlite import SqliteStore

    with tempfile.TemporaryDirectory(prefix="pelamis-bench-") as place:
        store: Any = SqliteStore(place) if durable else MemoryStore()
        await store.open()
        await _fill(store, workload)
        out = Measured()
        async with api_server(store, max_writing=1000) as (server, _, _):
            client = server.client("system:admin", "system:masters")

            async def do(*actions: Any) -> None:
                for outcome in await client.commit(actions):
                    if outcome.error is not None:
                        raise outcome.error

            await do(
                *(Create(ACCOUNT, {"metadata": {"name": "default", "namespace": n}}) for n in ("sched-0", "sched-1")),
                Create(PRIORITY, {"metadata": {"name": "high"}, "value": 1000}),
            )
            stop = _binder(client) if workload.binder else None
            scheduler = Scheduler(
                server.client("system:kube-scheduler"), clock=time.time, entropy=random.Random(1).random
            )
            turn = scheduler._turn

            async def timed(*args: Any) -> None:
                began = time.thread_time()
                await turn(*args)  # without extenders it never waits
                out.own += time.thread_time() - began

            scheduler._turn = timed  # type: ignore[method-assign]
            task = asyncio.create_task(scheduler.run())
            while not scheduler.idle or scheduler.snapshot.size < workload.nodes:
                await asyncio.sleep(0.05)
                if task.done():
                    task.result()
            out.own = 0.0
            left = count
            done = asyncio.Event()

            def seen(key: Any, old: Any, new: Any) -> None:
                nonlocal left
                if new is not None and new.spec.nodeName and old is not None and not old.spec.nodeName:
                    if workload.churn is not None and new.spec.priority:
                        return
                    left -= 1
                    if not left:
                        done.set()

            cancel = client.view(POD).subscribe(seen, replay=False)
            numbers = iter(range(count))

            async def create() -> None:
                while batch := [i for _, i in zip(range(BATCH), numbers, strict=False)]:
                    await do(*(Create(POD, workload.pod(i)) for i in batch))

            async def churn(make: Make) -> None:
                for i in itertools.count():
                    await do(Create(POD, make(i)))
                    await asyncio.sleep(0.2)

            beside = asyncio.create_task(churn(workload.churn)) if workload.churn is not None else None
            profile = None
            if os.environ.get("PROFILE"):
                import cProfile

                profile = cProfile.Profile()
                profile.enable()
            began, cpu = time.perf_counter(), time.process_time()
            try:
                async with asyncio.timeout(300):
                    await asyncio.gather(*(create() for _ in range(CLIENTS)))
                    await done.wait()
            except TimeoutError:
                raise SystemExit(f"{workload.name}: {left} of {count} pods are not bound") from None
            out.elapsed = time.perf_counter() - began
            out.cpu = time.process_time() - cpu
            if profile is not None:
                import pstats

                profile.disable()
                pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(60)
            cancel()
            if beside is not None:
                beside.cancel()
            if stop is not None:
                stop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await store.close()
        return out


def row(workload: Workload, count: int = 0, durable: bool = True) -> Row:
    count = min(count or workload.count, workload.count)
    say(f"{workload.name}: {workload.nodes:,} nodes, {workload.running:,} pods running, {count:,} to schedule")
    process_settings()
    found = uvloop.run(measure(workload, count, durable))
    rate = count / found.elapsed
    whole, own = found.cpu / count * 1e6, found.own / count * 1e6
    beside = f"; {rate / workload.threshold:.1f} × upstream's threshold" if workload.threshold else ""
    return Row(
        f"pods/s, {workload.nodes:,} nodes, {workload.name}",
        shown(rate, "/s"),
        f"{workload.upstream} {workload.threshold:,.0f}/s" if workload.threshold else f"{workload.upstream}: none",
        rate / workload.aim,
        f"≥ {workload.aim:,.0f}/s",
        rate >= workload.aim,
        f"{whole:,.0f} µs of CPU per pod in all, {own:,.0f} µs of them the scheduler's{beside}",
    )


def _in_process(workload: Workload) -> Row:
    """One after the other in processes of their own: none pays for the garbage of the one before."""
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_numbered, (WORKLOADS.index(workload),))


def _numbered(number: int) -> Row:
    return row(WORKLOADS[number])


def basic() -> list[Row]:
    return [_in_process(w) for w in WORKLOADS if w.name in ("plain", "daemons")]


def constrained() -> list[Row]:
    return [_in_process(w) for w in WORKLOADS if w.name not in ("plain", "daemons")]


if __name__ == "__main__":
    from benchmarks.frame import table

    chosen = [w for w in WORKLOADS if not sys.argv[1:] or w.name.startswith(sys.argv[1])]
    limit = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    print(table([row(w, limit, durable=not os.environ.get("MEMORY")) for w in chosen]))
