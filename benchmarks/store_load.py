"""Start with a full store: time to load it into the cache, and the memory that it takes.

The limits: 100,000 objects in 5 s; at most 2.5 times the stored bytes for the whole process, after every object has
been read once in decoded form.
"""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop
from benchmarks.frame import Row, below, table

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.cache.cache import Cache
from pelamis.store.sqlite import SqliteStore
from pelamis.store.types import Put

LIMIT_S_PER_OBJECT = 5.0 / 100_000
LIMIT_MEMORY = 2.5


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def pod(i: int) -> bytes:
    """About 2 KB, as a small pod with one container has when it runs."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"rs{i % 500}", "uid": f"rs-{i % 500}"}
    owned = {
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:containers": {'k:{"name":"c"}': {}}},
        },
    }
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    tolerations = [
        {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for what in ("not-ready", "unreachable")
    ]
    when = "2026-01-01T00:00:00Z"
    return msgspec.json.encode(
        {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {
                "name": f"web-{i:06d}",
                "namespace": f"ns{i % 50}",
                "uid": f"00000000-0000-0000-0000-{i:012d}",
                "creationTimestamp": when,
                "labels": {"app": f"app{i % 500}", "pod-template-hash": f"{i % 500:010d}"},
                "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
                "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "v1", "time": when, **owned}],
            },
            "spec": {
                "volumes": [{"name": "token", "projected": {"sources": [], "defaultMode": 420}}],
                "containers": [
                    {
                        "name": "c",
                        "image": "nginx:1.19",
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                        "volumeMounts": [{"name": "token", "readOnly": True, "mountPath": account}],
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                        "imagePullPolicy": "IfNotPresent",
                    }
                ],
                "restartPolicy": "Always",
                "terminationGracePeriodSeconds": 30,
                "dnsPolicy": "ClusterFirst",
                "serviceAccountName": "default",
                "serviceAccount": "default",
                "nodeName": f"node{i % 500}",
                "securityContext": {},
                "schedulerName": "default-scheduler",
                "tolerations": tolerations,
                "priority": 0,
                "enableServiceLinks": True,
                "preemptionPolicy": "PreemptLowerPriority",
            },
            "status": {
                "phase": "Running",
                "conditions": [
                    {"type": t, "status": "True", "lastTransitionTime": when}
                    for t in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
                ],
                "hostIP": "10.0.0.1",
                "podIP": f"10.244.{i // 250 % 250}.{i % 250}",
                "qosClass": "Burstable",
            },
        }
    )


async def fill(directory: Path, count: int) -> int:
    store = SqliteStore(directory)
    await store.open()
    size = 0
    for first in range(0, count, 500):
        values = [(i, pod(i)) for i in range(first, min(first + 500, count))]
        size += sum(len(value) for _, value in values)
        await store.commit([Put(f"/registry/pods/ns{i % 50}/web-{i:06d}", value) for i, value in values])
    await store.close()
    return size


async def _measure(count: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        size = await fill(directory, count)
        gc.collect()
        start = time.perf_counter()
        store = SqliteStore(directory)
        await store.open()
        cache = Cache([POD])
        cache.begin_load()
        rev, after = 0, ""
        while True:
            page = await store.range("/registry/", after=after, limit=5_000, rev=rev)
            rev = page.rev
            cache.load_page(page.items)
            if not page.more:
                break
            after = page.items[-1].key
        cache.end_load(rev)
        took = time.perf_counter() - start
        loaded = resident()
        pods = cache.collection(POD)
        start = time.perf_counter()
        assert all(entry.obj.metadata.name for entry in pods.snapshot())
        walk = time.perf_counter() - start
        walked = resident()
        await store.close()
    note = f"each pod decoded once: {walk / count * 1e6:.1f} µs"
    out = [below(f"cache load of {count:,} pods", took, LIMIT_S_PER_OBJECT * count, "s", note)]
    for what, used in (("after the load", loaded), ("after decoding each once", walked)):
        ratio = used / size
        shown = (f"{used / 1e6:.0f} MB", f"stored {size / 1e6:.0f} MB")
        out.append(Row(f"  its memory {what}", *shown, ratio, f"≤ {LIMIT_MEMORY:.2f}", ratio <= LIMIT_MEMORY))
    return out


def rows() -> list[Row]:
    return uvloop.run(_measure(100_000))


if __name__ == "__main__":
    print(table(rows()))
