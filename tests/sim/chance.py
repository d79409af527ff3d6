"""Random clusters: what is declared, what is changed, and what goes wrong, all from one seed.

``live(seed)`` builds a small cluster with workloads of every sort, changes them and breaks things for a while, lets
everything heal, and returns what the audit finds then: nothing, if the control plane is right.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.batch.cronjob import KIND as CRONJOB
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.base.errors import StatusError
from pelamis.client.types import Create, Delete, Patch
from pelamis.sim import audit
from pelamis.sim.cluster import Cluster, Failed
from pelamis.sim.faults import Rates

APPS = "apps/v1"
KINDS = {
    "Deployment": DEPLOYMENT,
    "StatefulSet": STATEFULSET,
    "DaemonSet": DAEMONSET,
    "Job": JOB,
    "CronJob": CRONJOB,
    "Service": SERVICE,
}
BUSY_S = 900.0
HEAL_S = 2400.0


@dataclass
class Life:
    """One seed's cluster. log: what was done to it, for whoever reads a failure."""

    seed: int
    rng: Random
    log: list[str] = field(default_factory=list)
    serial: int = 0
    lost: set[str] = field(default_factory=set)

    def name(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}-{self.serial}"


def template(rng: Random, app: str, command: str = "", restart: str = "Always") -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": f"app:{rng.randrange(3)}"}
    container["resources"] = {"requests": {"cpu": rng.choice(("50m", "100m")), "memory": "32Mi"}}
    if command:
        container["command"] = ["sh", "-c", command]
    spec: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": rng.choice((0, 5, 30))}
    if restart != "Always":
        spec["restartPolicy"] = restart
    elif rng.random() < 0.3:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": app}},
            }
        ]
    if rng.random() < 0.25:
        spec["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "one"}]
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def devices(nodes: int) -> list[dict[str, Any]]:
    """A class, devices on each node, and a template for one of them in each namespace."""
    api = {"apiVersion": "resource.k8s.io/v1"}
    out: list[dict[str, Any]] = [{**api, "kind": "DeviceClass", "metadata": {"name": "gpu"}, "spec": {}}]
    for i in range(1, nodes + 1):
        name = f"node-{i}"
        spec = {"driver": "gpu.example.com", "nodeName": name, "devices": [{"name": f"gpu-{j}"} for j in range(96)]}
        spec["pool"] = {"name": name, "generation": 1, "resourceSliceCount": 1}
        out.append({**api, "kind": "ResourceSlice", "metadata": {"name": name}, "spec": spec})
    request = {"name": "r", "exactly": {"deviceClassName": "gpu"}}
    for namespace in ("team-a", "team-b"):
        meta = {"name": "one", "namespace": namespace}
        spec = {"spec": {"devices": {"requests": [request]}}}
        out.append({**api, "kind": "ResourceClaimTemplate", "metadata": meta, "spec": spec})
    return out


def _meta(namespace: str, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": {"made": "by-chance"}}


def deployment(rng: Random, namespace: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"replicas": rng.randrange(6), "selector": {"matchLabels": {"app": name}}}
    spec["template"] = template(rng, name)
    spec["minReadySeconds"] = rng.choice((0, 0, 5))
    if rng.random() < 0.25:
        spec["strategy"] = {"type": "Recreate"}
    else:
        surge, unavailable = rng.choice(((1, 0), (0, 1), ("25%", "25%"), (2, 1)))
        spec["strategy"] = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return {"apiVersion": APPS, "kind": "Deployment", "metadata": _meta(namespace, name), "spec": spec}


def statefulset(rng: Random, namespace: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"replicas": rng.randrange(5), "serviceName": name}
    spec |= {"selector": {"matchLabels": {"app": name}}, "template": template(rng, name)}
    spec["podManagementPolicy"] = rng.choice(("OrderedReady", "Parallel"))
    return {"apiVersion": APPS, "kind": "StatefulSet", "metadata": _meta(namespace, name), "spec": spec}


def daemonset(rng: Random, namespace: str, name: str) -> dict[str, Any]:
    update = rng.choice(({"maxUnavailable": 1}, {"maxSurge": 1, "maxUnavailable": 0}, {"maxUnavailable": "50%"}))
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template(rng, name)}
    spec["updateStrategy"] = {"rollingUpdate": update}
    return {"apiVersion": APPS, "kind": "DaemonSet", "metadata": _meta(namespace, name), "spec": spec}


def job_spec(rng: Random, name: str) -> dict[str, Any]:
    code = rng.choice((0, 0, 0, 1))
    spec: dict[str, Any] = {
        "template": template(rng, name, f"sleep {rng.randrange(1, 60)}; exit {code}", "Never"),
        "backoffLimit": rng.randrange(3),
    }
    if rng.random() < 0.6:
        spec |= {"completions": rng.randrange(1, 5), "parallelism": rng.randrange(1, 4)}
        if rng.random() < 0.5:
            spec["completionMode"] = "Indexed"
    if rng.random() < 0.3:
        spec["ttlSecondsAfterFinished"] = rng.randrange(120)
    if rng.random() < 0.2:
        spec["podReplacementPolicy"] = "Failed"
    return spec


def job(rng: Random, namespace: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": _meta(namespace, name), "spec": job_spec(rng, name)}


def cronjob(rng: Random, namespace: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"schedule": f"*/{rng.choice((2, 5, 10))} * * * *"}
    spec["concurrencyPolicy"] = rng.choice(("Allow", "Forbid", "Replace"))
    spec["jobTemplate"] = {"spec": job_spec(rng, name)}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": _meta(namespace, name), "spec": spec}


def service(rng: Random, namespace: str, app: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": 8080}]}
    if rng.random() < 0.3:
        spec["type"] = "NodePort"
    elif rng.random() < 0.2:
        spec["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(namespace, app), "spec": spec}


def budget(rng: Random, namespace: str, app: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app": app}}}
    spec |= rng.choice(({"minAvailable": 1}, {"maxUnavailable": 1}, {"minAvailable": "50%"}))
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _meta(namespace, app), "spec": spec}


def quota(rng: Random, namespace: str) -> dict[str, Any]:
    hard = {"pods": "200", "requests.cpu": "40", "services": "20", "count/jobs.batch": "100"}
    meta = {"name": "team", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}}


MAKERS = (deployment, deployment, statefulset, daemonset, job, cronjob)


async def declare(life: Life, cluster: Cluster, namespace: str) -> None:
    rng = life.rng
    make = rng.choice(MAKERS)
    name = life.name(make.__name__)
    trees = [make(rng, namespace, name)]
    if make in (deployment, statefulset) and (make is statefulset or rng.random() < 0.7):
        trees.append(service(rng, namespace, name))
    if make in (deployment, statefulset) and rng.random() < 0.4:
        trees.append(budget(rng, namespace, name))
    life.log.append(f"{cluster.now:.1f} declare {namespace}/{name}")
    await cluster.apply(*trees)


def _declared(cluster: Cluster) -> list[tuple[str, Any]]:
    return [(word, o) for word, kind in KINDS.items() for o in cluster.objects(kind) if "made" in o.metadata.labels]


async def change(life: Life, cluster: Cluster) -> None:
    """One change by a user."""
    rng = life.rng
    found = _declared(cluster)
    if not found or rng.random() < 0.2:
        await declare(life, cluster, rng.choice(("team-a", "team-b")))
        return
    word, obj = rng.choice(found)
    kind, meta = KINDS[word], obj.metadata
    if meta.deletionTimestamp is not None:
        return
    what = rng.choice(("scale", "update", "update", "restart", "delete", "pod", "label"))
    life.log.append(f"{cluster.now:.1f} {what} {word} {meta.namespace}/{meta.name}")
    if what == "scale" and word in ("Deployment", "StatefulSet"):
        await cluster.do(
            Patch(kind, meta.namespace, meta.name, {"spec": {"replicas": rng.randrange(6)}}, subresource="scale")
        )
    elif what in ("update", "restart") and word in ("Deployment", "StatefulSet", "DaemonSet"):
        image = {"spec": {"containers": [{"name": "main", "image": f"app:{rng.randrange(4)}"}]}}
        stamp = {"metadata": {"annotations": {"restarted": f"{cluster.now:.0f}"}}}
        body = {"spec": {"template": image if what == "update" else stamp}}
        await cluster.do(Patch(kind, meta.namespace, meta.name, body, "strategic"))
    elif what == "delete" and rng.random() < 0.6:
        how = rng.choice(("Background", "Foreground", "Background"))
        await cluster.do(Delete(kind, meta.namespace, meta.name, propagation=how))  # type: ignore[arg-type]
    elif what == "pod":
        pods = [p for p in cluster.pods() if p.metadata.deletionTimestamp is None]
        if pods:
            victim = rng.choice(pods).metadata
            life.log.append(f"{cluster.now:.1f} kill pod {victim.namespace}/{victim.name}")
            if rng.random() < 0.5:
                await cluster.do(Delete(POD, victim.namespace, victim.name))
            else:
                body = {
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"name": victim.name, "namespace": victim.namespace},
                }
                await cluster.admin.commit([Create(POD, body, "eviction", victim.name)])
    elif what == "label":
        pods = [p for p in cluster.pods() if p.metadata.deletionTimestamp is None and "app" in p.metadata.labels]
        pods = [p for p in pods if not any(r.kind in ("Job", "StatefulSet") for r in p.metadata.ownerReferences)]
        if pods:
            orphan = rng.choice(pods).metadata
            life.log.append(f"{cluster.now:.1f} label pod {orphan.namespace}/{orphan.name}")
            await cluster.do(
                Patch(POD, orphan.namespace, orphan.name, {"metadata": {"labels": {"app": None, "was": "x"}}})
            )


async def damage(life: Life, cluster: Cluster) -> None:
    """One thing that goes wrong."""
    rng = life.rng
    what = rng.choice(("crash", "crash", "watches", "node", "node", "clock", "rates", "cordon"))
    alive = [n for n in cluster.nodes.kubelets if n not in life.lost]
    if what == "crash":
        name, down = rng.choice(("controllers", "scheduler", "server")), rng.choice((0.0, 5.0, 60.0))
        life.log.append(f"{cluster.now:.1f} crash {name} {down}")
        if "server" not in cluster.down and name not in cluster.down:
            await cluster.crash(name, down)
    elif what == "watches":
        component, for_s = rng.choice(("controllers", "scheduler", "nodes")), rng.uniform(0.1, 30.0)
        life.log.append(f"{cluster.now:.1f} lose watches of {component} {for_s:.1f}")
        cluster.lose_watches(component, for_s)
    elif what == "node" and len(alive) > 1 and rng.random() < 0.6:
        name = rng.choice(alive)
        life.log.append(f"{cluster.now:.1f} lose {name}")
        life.lost.add(name)
        cluster.nodes.stop_node(name)
    elif what == "node" and life.lost:
        name = rng.choice(sorted(life.lost))
        life.log.append(f"{cluster.now:.1f} back {name}")
        life.lost.discard(name)
        cluster.nodes.start_node(name)
    elif what == "clock":
        step = rng.choice((-120.0, -1.0, 1.0, 30.0, 300.0))
        life.log.append(f"{cluster.now:.1f} clock {step}")
        cluster.clock.step(step)
    elif what == "rates":
        rates = Rates(
            rng.choice((0, 0.2)),
            rng.choice((0, 0.1)),
            rng.choice((0, 0.05)),
            rng.choice((0, 0.05)),
            rng.choice((0, 2.0)),
        )
        life.log.append(f"{cluster.now:.1f} {rates}")
        cluster.faults.set(rates)
    elif what == "cordon":
        node = rng.choice(cluster.objects(NODE)).metadata.name
        value = True if rng.random() < 0.3 else None
        life.log.append(f"{cluster.now:.1f} cordon {node} {value}")
        await cluster.do(Patch(NODE, "", node, {"spec": {"unschedulable": value}}))


async def live(seed: int, *, busy_s: float = BUSY_S, heal_s: float = HEAL_S) -> tuple[list[str], Life, Cluster]:
    rng = Random(f"life {seed}")
    life = Life(seed, rng)
    nodes = rng.randrange(2, 6)
    cluster = Cluster(seed=seed, nodes=nodes, mirror=True)
    problems: list[str] = []
    async with cluster:
        try:
            await cluster.run(5)
            for namespace in ("team-a", "team-b"):
                await cluster.do(Create(NAMESPACE, {"metadata": {"name": namespace}}))
                if rng.random() < 0.6:
                    await cluster.apply(quota(rng, namespace))
            await cluster.apply(*devices(nodes))
            for _ in range(rng.randrange(2, 6)):
                await declare(life, cluster, rng.choice(("team-a", "team-b")))
            await _busy(life, cluster, busy_s)
            await _heal(life, cluster)
            await cluster.run(heal_s)
            problems = await _judge(life, cluster)
        except Failed as error:
            problems = [str(error)]
    return problems, life, cluster


async def _busy(life: Life, cluster: Cluster, busy_s: float) -> None:
    rng, end = life.rng, cluster.now + busy_s
    while cluster.now < end:
        cluster.horizon = cluster.now
        await asyncio.sleep(rng.expovariate(1 / 40.0))
        try:
            if rng.random() < 0.6:
                await change(life, cluster)
            else:
                await damage(life, cluster)
        except (StatusError, OSError) as error:
            life.log.append(f"{cluster.now:.1f} refused: {error}")
        cluster.check()


async def _heal(life: Life, cluster: Cluster) -> None:
    life.log.append(f"{cluster.now:.1f} heal")
    cluster.faults.clear()
    await cluster.run(61)  # what crashed is up again
    for name in sorted(life.lost):
        cluster.nodes.start_node(name)
    for node in cluster.objects(NODE):
        if node.spec.unschedulable:
            await cluster.do(Patch(NODE, "", node.metadata.name, {"spec": {"unschedulable": None}}))
    for cron in cluster.objects(CRONJOB):
        await cluster.do(Patch(CRONJOB, cron.metadata.namespace, cron.metadata.name, {"spec": {"suspend": True}}))


async def _judge(life: Life, cluster: Cluster) -> list[str]:
    problems = audit.problems(cluster)
    for obj in cluster.objects(JOB):
        if not any(c.type in ("Complete", "Failed") and c.status == "True" for c in obj.status.conditions):
            problems.append(f"job {obj.metadata.namespace}/{obj.metadata.name} never ends: {obj.status}")
    # all goes when its namespace goes
    life.log.append(f"{cluster.now:.1f} delete team-b")
    await cluster.do(Delete(NAMESPACE, "", "team-b"))
    await cluster.run(600)
    if cluster.get(NAMESPACE, "", "team-b") is not None:
        problems.append(f"namespace team-b does not go: {cluster.get(NAMESPACE, '', 'team-b').status}")
    left = [o for kind in KINDS.values() for o in cluster.objects(kind, "team-b")]
    problems.extend(f"{o.kind} {o.metadata.name} outlives its namespace" for o in left)
    problems.extend(audit.problems(cluster))
    return problems
