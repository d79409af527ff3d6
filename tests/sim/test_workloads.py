"""Deployments on a simulated cluster: rollouts converge, whatever fails on the way."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.base import errors
from pelamis.client.types import Create, Delete, Patch
from pelamis.controllers import deployment, replicaset
from pelamis.sim.faults import Rates
from pelamis.sim.loop import run
from tests.sim.flow import Flow


def manifest(replicas: int = 3, image: str = "nginx:1", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}], "terminationGracePeriodSeconds": 30},
            },
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            **spec,
        },
    }


def set_image(image: str) -> Patch:
    body = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    return Patch(DEPLOYMENT, "default", "web", body)


BROKEN = "app:does-not-exist"
CONTROLLERS = (deployment.CONTROLLER, replicaset.CONTROLLER)


def conditions(obj: Any) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in obj.status.conditions}


def test_rollout_reaches_the_declared_state_in_few_commits() -> None:
    async def main() -> None:
        async with Flow(CONTROLLERS) as cluster:
            await cluster.do(Create(DEPLOYMENT, manifest()))
            await cluster.run(30)
            d = cluster.get(DEPLOYMENT, "default", "web")
            assert (d.status.replicas, d.status.readyReplicas, d.status.updatedReplicas) == (3, 3, 3)
            assert conditions(d) == {
                "Available": ("True", "MinimumReplicasAvailable"),
                "Progressing": ("True", "NewReplicaSetAvailable"),
            }
            assert d.metadata.annotations["deployment.kubernetes.io/revision"] == "1"
            reasons = sorted(cluster.told("controller"))
            assert reasons == ["ScalingReplicaSet", "SuccessfulCreate", "SuccessfulCreate", "SuccessfulCreate"]
            before = len(cluster.commits)
            await cluster.run(3600)
            assert len(cluster.commits) == before, "an idle cluster writes nothing"

    run(main())


def test_new_image_never_drops_below_the_allowed_number() -> None:
    async def main() -> None:
        async with Flow(CONTROLLERS) as cluster:
            await cluster.do(Create(DEPLOYMENT, manifest(4)))
            await cluster.run(30)
            least, most = 99, 0

            def watch(key: Any, old: Any, new: Any) -> None:
                nonlocal least, most
                pods = [p for p in cluster.objects(POD) if p.metadata.deletionTimestamp is None]
                least = min(
                    least, sum(any(c.type == "Ready" and c.status == "True" for c in p.status.conditions) for p in pods)
                )
                most = max(most, len(pods))

            cluster.subscribe(POD, watch)
            await cluster.do(set_image("nginx:2"))
            await cluster.run(60)
            assert {p.spec.containers[0].image for p in cluster.mine()} == {"nginx:2"}
            assert (least, most) == (3, 5)
            old, new = sorted(cluster.objects(REPLICASET), key=lambda r: r.spec.replicas)
            assert (old.spec.replicas, new.spec.replicas) == (0, 4)
            assert new.metadata.annotations["deployment.kubernetes.io/revision"] == "2"
            await cluster.do(set_image("nginx:1"))
            await cluster.run(60)
            back = cluster.get(REPLICASET, "default", old.metadata.name)
            assert back.spec.replicas == 4
            assert back.metadata.annotations["deployment.kubernetes.io/revision"] == "3"
            assert back.metadata.annotations["deployment.kubernetes.io/revision-history"] == "1"

    run(main())


def test_broken_image_stops_and_exceeds_the_deadline() -> None:
    async def main() -> None:
        async with Flow(CONTROLLERS) as cluster:
            rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
            await cluster.do(Create(DEPLOYMENT, manifest(3, strategy=rolling, progressDeadlineSeconds=20)))
            await cluster.run(30)
            await cluster.do(set_image(BROKEN))
            await cluster.run(60)
            assert sorted(p.spec.containers[0].image for p in cluster.mine()) == [
                BROKEN,
                "nginx:1",
                "nginx:1",
            ]
            d = cluster.get(DEPLOYMENT, "default", "web")
            assert conditions(d)["Progressing"] == ("False", "ProgressDeadlineExceeded")
            assert conditions(d)["Available"] == ("True", "MinimumReplicasAvailable")
            await cluster.do(set_image("nginx:1"))
            await cluster.run(60)
            d = cluster.get(DEPLOYMENT, "default", "web")
            assert conditions(d)["Progressing"] == ("True", "NewReplicaSetAvailable")
            assert [p.spec.containers[0].image for p in cluster.mine()] == ["nginx:1"] * 3

    run(main())


def test_recreate_waits_for_old_pods_to_be_gone() -> None:
    async def main() -> None:
        async with Flow(CONTROLLERS) as cluster:
            await cluster.do(Create(DEPLOYMENT, manifest(2, strategy={"type": "Recreate"})))
            await cluster.run(30)
            seen: list[set[str]] = []

            def watch(key: Any, old: Any, new: Any) -> None:
                seen.append({p.spec.containers[0].image for p in cluster.mine()})

            cluster.subscribe(POD, watch)
            await cluster.do(set_image("nginx:2"))
            await cluster.run(60)
            assert {"nginx:1", "nginx:2"} not in seen
            assert [p.spec.containers[0].image for p in cluster.mine()] == ["nginx:2"] * 2

    run(main())


def test_pause_scale_and_resume() -> None:
    async def main() -> None:
        async with Flow(CONTROLLERS) as cluster:
            await cluster.do(Create(DEPLOYMENT, manifest(3, paused=True)))
            await cluster.run(10)
            assert not cluster.mine()
            await cluster.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"paused": False}}))
            await cluster.run(30)
            assert len(cluster.mine()) == 3
            await cluster.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"replicas": 6}}))
            await cluster.run(30)
            assert len(cluster.mine()) == 6
            await cluster.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"replicas": 0}}))
            await cluster.run(30)
            assert not cluster.mine()

    run(main())


def test_refused_creates_are_said_and_retried() -> None:
    async def main() -> None:
        async with Flow(CONTROLLERS) as cluster:
            full = errors.Forbidden("pods", "", "", "exceeded quota")
            cluster.faults.script = lambda who, a: full if isinstance(a, Create) and a.kind is POD else None
            await cluster.do(Create(DEPLOYMENT, manifest()))
            await cluster.run(5)
            d = cluster.get(DEPLOYMENT, "default", "web")
            assert conditions(d)["ReplicaFailure"] == ("True", "FailedCreate")
            assert "FailedCreate" in {e.reason for e in cluster.objects(EVENT)}
            cluster.faults.script = None
            await cluster.run(60)
            d = cluster.get(DEPLOYMENT, "default", "web")
            assert "ReplicaFailure" not in conditions(d)
            assert d.status.readyReplicas == 3

    run(main())


@pytest.mark.parametrize("seed", range(3))
def test_converges_under_faults(seed: int) -> None:
    """Conflicts, lagging views, killed pods, crashes of the controllers: the seed reproduces a failure."""

    async def main() -> None:
        rng = random.Random(seed)
        rates = Rates(conflict=0.15, refuse=0.05, lag_s=0.2)
        async with Flow(CONTROLLERS, seed=seed, mirror=True) as cluster:
            await cluster.do(Create(DEPLOYMENT, manifest(5)))
            size, image = 5, "nginx:1"
            for step in range(12):
                cluster.faults.set(rates)
                await cluster.run(rng.random() * 4)
                what = rng.choice(("kill", "crash", "image", "scale"))
                if what == "kill" and cluster.mine():
                    pod = rng.choice(cluster.mine())
                    await cluster.do(Delete(POD, "default", pod.metadata.name, grace_s=0))
                elif what == "crash":
                    await cluster.crash("controllers")
                elif what == "image":
                    image = f"nginx:{step}"
                    await cluster.do(set_image(image))
                else:
                    size = rng.randint(0, 9)
                    await cluster.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"replicas": size}}))
            cluster.faults.clear()
            await cluster.run(300)
            pods = cluster.mine()
            assert len(pods) == size
            assert {p.spec.containers[0].image for p in pods} <= {image}
            d = cluster.get(DEPLOYMENT, "default", "web")
            assert (d.status.readyReplicas, d.status.updatedReplicas, d.status.unavailableReplicas) == (size, size, 0)
            assert conditions(d)["Progressing"] == ("True", "NewReplicaSetAvailable")

    run(main())
