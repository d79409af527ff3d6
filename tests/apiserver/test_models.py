"""Many pods of one model: each is what it would be if it were created alone."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from pelamis.api import codec
from pelamis.api.core.pod.container import Container
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.resourcequota import KIND as QUOTA
from pelamis.api.meta import ObjectMeta
from pelamis.apiserver.request import WriteOptions
from pelamis.apiserver.write import Write
from pelamis.client.types import Create, Patch
from pelamis.sim.cluster import Cluster
from pelamis.sim.loop import run

MODEL = Pod(
    metadata=ObjectMeta(generateName="web-", namespace="default", labels={"app": "web"}),
    spec=PodSpec(containers=(Container(name="main", image="nginx:1"),)),
)


def essence(obj: Any) -> Any:
    """Without what is made at random."""
    tree = codec.to_tree(obj)
    for name in ("name", "uid", "resourceVersion"):
        assert tree["metadata"].pop(name)
    volume = tree["spec"]["volumes"][0]
    random = volume["name"]
    return msgspec.json.decode(msgspec.json.encode(tree).replace(random.encode(), b"kube-api-access-x"))


async def limited(cluster: Cluster, pods: int) -> None:
    """A quota of so many pods."""
    meta = {"name": "few", "namespace": "default"}
    await cluster.do(Create(QUOTA, {"metadata": meta, "spec": {"hard": {"pods": str(pods)}}}))
    await cluster.run(1)


def test_pods_of_a_model_are_what_single_ones_are() -> None:
    async def main() -> None:
        async with Cluster(nodes=0, run_scheduler=False) as cluster:
            await cluster.run(1)
            client = cluster.server.client("system:serviceaccount:kube-system:replicaset-controller")
            many = [o.obj for o in await client.commit([Create(POD, MODEL)] * 60)]
            (alone,) = await client.commit([Create(POD, codec.to_tree(MODEL))])
            assert len({o.metadata.name for o in many}) == len({o.metadata.uid for o in many}) == 60
            assert all(essence(o) == essence(alone.obj) for o in many)
            stored = {p.metadata.name for p in cluster.server.objects.view("pods").list("default")}
            assert stored == {o.metadata.name for o in (*many, alone.obj)}

    run(main())


def test_a_quota_counts_each_of_them() -> None:
    async def main() -> None:
        async with Cluster(nodes=0, run_scheduler=False) as cluster:
            await cluster.run(1)
            await limited(cluster, 10)
            client = cluster.server.client("system:serviceaccount:kube-system:replicaset-controller")
            outcomes = await client.commit([Create(POD, MODEL)] * 30)
            assert [o.error is None for o in outcomes].count(True) == 10
            assert all(o.error is None or "exceeded quota: few" in o.error.message for o in outcomes)

    run(main())


def pods_of(cluster: Cluster) -> list[str]:
    return sorted(p.metadata.name for p in cluster.server.objects.view("pods").list("default"))


def admit(cluster: Cluster, expression: str) -> list[Create]:
    """A policy about pods, and its binding."""
    kinds = [
        cluster.server.objects.kind(f"validatingadmissionpolic{s}.admissionregistration.k8s.io")
        for s in ("ies", "ybindings")
    ]
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": expression}]}
    binding = {"policyName": "named", "validationActions": ["Deny"]}
    return [
        Create(kinds[0], {"metadata": {"name": "named"}, "spec": spec}),
        Create(kinds[1], {"metadata": {"name": "named"}, "spec": binding}),
    ]


def test_a_policy_about_names_decides_on_each() -> None:
    async def main() -> None:
        async with Cluster(nodes=0, run_scheduler=False) as cluster:
            await cluster.run(1)
            await cluster.do(*admit(cluster, "object.metadata.name.matches('[b-k]$')"))
            await cluster.run(1)
            client = cluster.server.client("system:serviceaccount:kube-system:replicaset-controller")
            outcomes = await client.commit([Create(POD, MODEL)] * 200)
            made = sorted(o.obj.metadata.name for o in outcomes if o.error is None)
            assert made == pods_of(cluster) and 0 < len(made) < 200
            assert all(name[-1] in "bcdefghijk" for name in made)
            assert all(o.error is None or o.error.code == 422 for o in outcomes)

    run(main())


def test_names_that_collide_are_made_again() -> None:
    """Within one call, and with what is there; who has no luck at all is told so."""

    async def main() -> None:
        async with Cluster(nodes=0, run_scheduler=False) as cluster:
            await cluster.run(1)
            rest, real = cluster.server.rest, cluster.server.rest._entropy
            at = 0

            def repeating(size: int) -> bytes:
                """Each name twice."""
                nonlocal at
                if size != 8:
                    return real(size)
                at += 1
                return (at // 2).to_bytes(8, "big")

            rest._entropy = repeating
            client = cluster.server.client("system:serviceaccount:kube-system:replicaset-controller")
            outcomes = await client.commit([Create(POD, MODEL)] * 60)
            assert all(o.error is None for o in outcomes)
            names = sorted(o.obj.metadata.name for o in outcomes)
            assert names == pods_of(cluster) and len(set(names)) == 60
            assert len({o.obj.metadata.uid for o in outcomes}) == 60
            rest._entropy = lambda size: (1).to_bytes(8, "big") if size == 8 else real(size)
            outcomes = await client.commit([Create(POD, MODEL)] * 20)
            assert {o.error.reason if o.error else "" for o in outcomes} == {"AlreadyExists"}
            assert pods_of(cluster) == names

    run(main())


def test_a_dry_run_of_many_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with Cluster(nodes=0, run_scheduler=False) as cluster:
            await cluster.run(1)
            await limited(cluster, 30)
            server = cluster.server
            client = server.client("system:serviceaccount:kube-system:replicaset-controller")
            options = WriteOptions(dry_run=True)

            def write() -> Write:
                return Write("create", POD, client.user, "default", "", model=MODEL, options=options)

            answers = await server.rest.execute([write() for _ in range(40)])
            assert all(a.error is None and a.rev == 0 and a.code == 201 for a in answers)
            assert len({codec.parse(a.data or b"")["metadata"]["name"] for a in answers}) == 40
            assert pods_of(cluster) == []
            assert server.quotas.used("default", "few") == {"pods": "0"}
            outcomes = await client.commit([Create(POD, MODEL)] * 40)
            assert [o.error is None for o in outcomes].count(True) == 30

    run(main())


def test_each_is_warned_once() -> None:
    async def main() -> None:
        async with Cluster(nodes=0, run_scheduler=False) as cluster:
            await cluster.run(1)
            namespaces = cluster.server.objects.kind("namespaces")
            labels = {"metadata": {"labels": {"pod-security.kubernetes.io/warn": "restricted"}}}
            await cluster.do(Patch(namespaces, "", "default", labels, "merge"))
            user = cluster.server.client("system:serviceaccount:kube-system:replicaset-controller").user
            writes = [Write("create", POD, user, "default", "", model=MODEL) for _ in range(20)]
            assert all(a.error is None for a in await cluster.server.rest.execute(writes))
            assert all(len(w.warnings) == 1 and w.warnings == writes[0].warnings for w in writes)

    run(main())


def test_a_call_that_is_cancelled_gives_back_what_it_reserved() -> None:
    async def main() -> None:
        async with Cluster(nodes=0, run_scheduler=False) as cluster:
            await cluster.run(1)
            await limited(cluster, 10)
            server = cluster.server
            client = server.client("system:serviceaccount:kube-system:replicaset-controller")
            reserve, planned = server.admission.reserve, 0

            def stuck(write: Write, obj: Any, *, changed: bool = True) -> Any:
                nonlocal planned
                planned += 1
                waiting = reserve(write, obj, changed=changed)
                return asyncio.get_running_loop().create_future() if planned == 6 else waiting

            server.rest._admission.reserve = stuck
            task = asyncio.ensure_future(client.commit([Create(POD, MODEL)] * 20))
            await asyncio.sleep(1)
            assert planned == 6
            task.cancel()
            await asyncio.wait((task,))
            server.rest._admission.reserve = reserve
            outcomes = await client.commit([Create(POD, MODEL)] * 20)
            assert [o.error is None for o in outcomes].count(True) == 10

    run(main())
