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
from pelamis.sim.loop import now, run

from .cluster import Cluster


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


CONTROLLERS = (deployment.CONTROLLER, replicaset.CONTROLLER)


def conditions(obj: Any) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in obj.status.conditions}


def test_rollout_reaches_the_declared_state_in_few_commits() -> None:
    async def main() -> None:
        cluster = Cluster(CONTROLLERS)
        cluster.start()
        cluster.server.do(Create(DEPLOYMENT, manifest()))
        await cluster.settle(30)
        d = cluster.server.get(DEPLOYMENT, "default", "web")
        assert (d.status.replicas, d.status.readyReplicas, d.status.updatedReplicas) == (3, 3, 3)
        assert conditions(d) == {
            "Available": ("True", "MinimumReplicasAvailable"),
            "Progressing": ("True", "NewReplicaSetAvailable"),
        }
        assert d.metadata.annotations["deployment.kubernetes.io/revision"] == "1"
        reasons = sorted(e.reason for e in cluster.server.objects(EVENT))
        assert reasons == ["ScalingReplicaSet", "SuccessfulCreate", "SuccessfulCreate", "SuccessfulCreate"]
        before = len(cluster.server.commits)
        await cluster.settle(3600)
        assert len(cluster.server.commits) == before, "an idle cluster writes nothing"

    run(main())


def test_new_image_never_drops_below_the_allowed_number() -> None:
    async def main() -> None:
        cluster = Cluster(CONTROLLERS)
        cluster.start()
        cluster.server.do(Create(DEPLOYMENT, manifest(4)))
        await cluster.settle(30)
        least, most = 99, 0

        def watch(key: Any, old: Any, new: Any) -> None:
            nonlocal least, most
            pods = [p for p in cluster.server.objects(POD) if p.metadata.deletionTimestamp is None]
            least = min(
                least, sum(any(c.type == "Ready" and c.status == "True" for c in p.status.conditions) for p in pods)
            )
            most = max(most, len(pods))

        cluster.server.view(POD).subscribe(watch, replay=False)
        cluster.server.do(set_image("nginx:2"))
        await cluster.settle(60)
        assert {p.spec.containers[0].image for p in cluster.pods()} == {"nginx:2"}
        assert (least, most) == (3, 5)
        old, new = sorted(cluster.server.objects(REPLICASET), key=lambda r: r.spec.replicas)
        assert (old.spec.replicas, new.spec.replicas) == (0, 4)
        assert new.metadata.annotations["deployment.kubernetes.io/revision"] == "2"
        cluster.server.do(set_image("nginx:1"))
        await cluster.settle(60)
        back = cluster.server.get(REPLICASET, "default", old.metadata.name)
        assert back.spec.replicas == 4
        assert back.metadata.annotations["deployment.kubernetes.io/revision"] == "3"
        assert back.metadata.annotations["deployment.kubernetes.io/revision-history"] == "1"

    run(main())


def test_broken_image_stops_and_exceeds_the_deadline() -> None:
    async def main() -> None:
        cluster = Cluster(CONTROLLERS, broken=("bad",))
        cluster.start()
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
        cluster.server.do(Create(DEPLOYMENT, manifest(3, strategy=rolling, progressDeadlineSeconds=20)))
        await cluster.settle(30)
        cluster.server.do(set_image("bad"))
        await cluster.settle(60)
        assert sorted(p.spec.containers[0].image for p in cluster.pods()) == ["bad", "nginx:1", "nginx:1"]
        d = cluster.server.get(DEPLOYMENT, "default", "web")
        assert conditions(d)["Progressing"] == ("False", "ProgressDeadlineExceeded")
        assert conditions(d)["Available"] == ("True", "MinimumReplicasAvailable")
        cluster.server.do(set_image("nginx:1"))
        await cluster.settle(60)
        d = cluster.server.get(DEPLOYMENT, "default", "web")
        assert conditions(d)["Progressing"] == ("True", "NewReplicaSetAvailable")
        assert [p.spec.containers[0].image for p in cluster.pods()] == ["nginx:1"] * 3

    run(main())


def test_recreate_waits_for_old_pods_to_be_gone() -> None:
    async def main() -> None:
        cluster = Cluster(CONTROLLERS)
        cluster.start()
        cluster.server.do(Create(DEPLOYMENT, manifest(2, strategy={"type": "Recreate"})))
        await cluster.settle(30)
        seen: list[set[str]] = []
        cluster.server.view(POD).subscribe(
            lambda key, old, new: seen.append({p.spec.containers[0].image for p in cluster.pods()}), replay=False
        )
        cluster.server.do(set_image("nginx:2"))
        await cluster.settle(60)
        assert {"nginx:1", "nginx:2"} not in seen
        assert [p.spec.containers[0].image for p in cluster.pods()] == ["nginx:2"] * 2

    run(main())


def test_pause_scale_and_resume() -> None:
    async def main() -> None:
        cluster = Cluster(CONTROLLERS)
        cluster.start()
        cluster.server.do(Create(DEPLOYMENT, manifest(3, paused=True)))
        await cluster.settle(10)
        assert not cluster.pods()
        cluster.server.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"paused": False}}))
        await cluster.settle(30)
        assert len(cluster.pods()) == 3
        cluster.server.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"replicas": 6}}))
        await cluster.settle(30)
        assert len(cluster.pods()) == 6
        cluster.server.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"replicas": 0}}))
        await cluster.settle(30)
        assert not cluster.pods()

    run(main())


def test_refused_creates_are_said_and_retried() -> None:
    async def main() -> None:
        cluster = Cluster(CONTROLLERS)
        full = errors.Forbidden("pods", "", "", "exceeded quota")
        cluster.server.refuse = lambda a: full if isinstance(a, Create) and a.kind is POD else None
        cluster.start()
        cluster.server.do(Create(DEPLOYMENT, manifest()))
        await cluster.settle(5)
        d = cluster.server.get(DEPLOYMENT, "default", "web")
        assert conditions(d)["ReplicaFailure"] == ("True", "FailedCreate")
        assert "FailedCreate" in {e.reason for e in cluster.server.objects(EVENT)}
        cluster.server.refuse = lambda a: None
        await cluster.settle(60)
        d = cluster.server.get(DEPLOYMENT, "default", "web")
        assert "ReplicaFailure" not in conditions(d)
        assert d.status.readyReplicas == 3

    run(main())


@pytest.mark.parametrize("seed", range(6))
def test_converges_under_faults(seed: int) -> None:
    """Conflicts, lagging views, killed pods, crashes of the controllers: the seed reproduces a failure."""

    async def main() -> None:
        rng = random.Random(seed)
        cluster = Cluster(CONTROLLERS)
        server = cluster.server

        def refuse(action: Any) -> errors.StatusError | None:
            if rng.random() < 0.15:
                return errors.Conflict(action.kind.plural, action.kind.group, "x")
            return errors.Unavailable("down") if rng.random() < 0.05 else None

        server.delay = lambda: rng.random() * 0.2
        cluster.start()
        server.do(Create(DEPLOYMENT, manifest(5)))
        size, image = 5, "nginx:1"
        for step in range(12):
            server.refuse = refuse
            await cluster.settle(rng.random() * 4)
            server.refuse = lambda a: None
            what = rng.choice(("kill", "crash", "image", "scale"))
            if what == "kill" and cluster.pods():
                pod = rng.choice(cluster.pods())
                server.do(Delete(POD, "default", pod.metadata.name, grace_s=0))
            elif what == "crash":
                await cluster.crash(rng.choice(("deployment", "replicaset")))
            elif what == "image":
                image = f"nginx:{step}"
                server.do(set_image(image))
            else:
                size = rng.randint(0, 9)
                server.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"replicas": size}}))
        await cluster.settle(300)
        pods = cluster.pods()
        assert len(pods) == size
        assert {p.spec.containers[0].image for p in pods} <= {image}
        d = server.get(DEPLOYMENT, "default", "web")
        assert (d.status.readyReplicas, d.status.updatedReplicas, d.status.unavailableReplicas) == (size, size, 0)
        assert conditions(d)["Progressing"] == ("True", "NewReplicaSetAvailable")
        assert now() > 0

    run(main())
