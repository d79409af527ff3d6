"""Many pods of one model: each is what it would be if it were created alone."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api import codec
from pelamis.api.core.pod.container import Container
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.resourcequota import KIND as QUOTA
from pelamis.api.meta import ObjectMeta
from pelamis.client.types import Create
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
            meta = {"name": "few", "namespace": "default"}
            await cluster.do(Create(QUOTA, {"metadata": meta, "spec": {"hard": {"pods": "10"}}}))
            await cluster.run(1)
            client = cluster.server.client("system:serviceaccount:kube-system:replicaset-controller")
            outcomes = await client.commit([Create(POD, MODEL)] * 30)
            assert [o.error is None for o in outcomes].count(True) == 10
            assert all(o.error is None or "exceeded quota: few" in o.error.message for o in outcomes)

    run(main())
