"""Golden traces of ordinary lives: which writes the controllers make, commit by commit.

An added round trip shows up here as a difference. The scheduler and the node are the simulator's, so that the trace is
that of the controllers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.batch.cronjob import KIND as CRONJOB
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.client.types import Create, Delete, Patch
from pelamis.controllers import (
    cronjob,
    daemonset,
    deployment,
    endpoints,
    endpointslice,
    garbagecollector,
    job,
    namespace,
    nodelifecycle,
    persistentvolumebinder,
    podgc,
    replicaset,
    statefulset,
    tainteviction,
)
from pelamis.reconcile.spec import Controller
from pelamis.sim.loop import run
from tests.sim.cluster import Cluster
from tests.sim.test_more_workloads import daemon, job_manifest, stateful
from tests.sim.test_workloads import manifest


def _shown(action: Any) -> str:
    what = type(action).__name__.lower()
    name = action.kind.plural
    sub = getattr(action, "subresource", "")
    return f"{what} {name}/{sub}" if sub else f"{what} {name}"


GOLDEN = """
create replicasets, update deployments/status
create endpointslices
create endpoints
create events
create pods x3, update replicasets/status
create events x3
update replicasets/status
update deployments/status
update endpointslices
update endpoints
update replicasets/status
update endpointslices
update endpoints
update deployments/status
""".strip()
"""The second half twice: the pods run and have addresses, then they are ready."""


def traced(sim: Cluster, since: int = 0) -> str:
    lines = []
    for commit in sim.server.commits[since:]:
        counts: dict[str, int] = {}
        for action in commit:
            counts[_shown(action)] = counts.get(_shown(action), 0) + 1
        lines.append(", ".join(f"{k} x{n}" if n > 1 else k for k, n in counts.items()))
    return "\n".join(lines)


def test_three_replicas() -> None:
    async def main() -> None:
        modules = (deployment, replicaset, endpointslice, endpoints)
        sim = Cluster([m.CONTROLLER for m in modules])
        sim.start()
        service = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 80}], "ipFamilies": ["IPv4"]},
        }
        sim.server.do(Create(SERVICE, service), Create(DEPLOYMENT, manifest()))
        await sim.settle(30)
        assert traced(sim) == GOLDEN

    run(main())


def trace(
    modules: Sequence[Controller],
    first: Sequence[Any],
    then: Sequence[Any] = (),
    *,
    kinds: Sequence[Any] = (),
    seconds: float = 60,
    **options: Any,
) -> str:
    """What the controllers write after ``then`` (after ``first`` if there is no more), in ``seconds``."""
    lines = ""

    async def main() -> None:
        nonlocal lines
        sim = Cluster(modules, kinds=kinds, **options)
        sim.start()
        sim.server.do(*first)
        await sim.settle(seconds)
        since = 0
        if then:
            since = len(sim.server.commits)
            sim.server.do(*then)
            await sim.settle(seconds)
        lines = traced(sim, since)

    run(main())
    return lines


STATEFULSET_UP = """
create persistentvolumeclaims
create pods, create controllerrevisions, update statefulsets/status
create events x2
update statefulsets/status
create persistentvolumeclaims
create pods, update statefulsets/status
create events x2
update statefulsets/status
update statefulsets/status
"""

STATEFULSET_ROLLED = """
delete pods, create controllerrevisions, update statefulsets/status
create events
update statefulsets/status
create pods, update statefulsets/status
patch events
update statefulsets/status
delete pods, update statefulsets/status
create events
update statefulsets/status
create pods, update statefulsets/status
patch events
update statefulsets/status
update statefulsets/status
"""

DAEMONSET_UP = """
create pods x2, create controllerrevisions, update daemonsets/status
create events x2
update daemonsets/status
update daemonsets/status
"""

DAEMONSET_ROLLED = """
delete pods, create controllerrevisions, update daemonsets/status
create events
create pods, update daemonsets/status
create events
update daemonsets/status
delete pods, update daemonsets/status
create events
create pods, update daemonsets/status
create events
update daemonsets/status
update daemonsets/status
"""

JOB_DONE = """
create pods x2, update jobs/status
create events x2
update jobs/status
update jobs/status
patch pods x2
update jobs/status
create events
"""

CRONJOB_HOUR = """
create jobs
update cronjobs/status
create events
create pods, update jobs/status
create events
update jobs/status
update jobs/status
patch pods
update jobs/status
create events
update cronjobs/status
create events
create jobs
update cronjobs/status
create events
create pods, update jobs/status
create events
update jobs/status
update jobs/status
patch pods
update jobs/status
create events
delete jobs, update cronjobs/status
create events x2
"""

NAMESPACE_GONE = """
delete pods, update namespaces/status
delete configmaps, update namespaces/status
update namespaces/status
update namespaces/finalize
"""

CLAIM_BOUND = """
update persistentvolumes
update persistentvolumes/status, update persistentvolumeclaims
update persistentvolumeclaims/status
"""

NODE_SILENT = """
create events x2
update nodes/status, patch pods/status
create events x2
patch nodes x2
patch nodes
patch pods/status
delete pods
create events
"""


def test_a_statefulset_with_claims() -> None:
    made = [Create(STATEFULSET, stateful(replicas=2))]
    assert trace([statefulset.CONTROLLER], made) == STATEFULSET_UP.strip()
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}}}}
    patch = Patch(STATEFULSET, "default", "db", image)
    assert trace([statefulset.CONTROLLER], made, [patch]) == STATEFULSET_ROLLED.strip()


def test_a_daemonset_on_two_nodes() -> None:
    made = [Create(DAEMONSET, daemon(maxSurge=0, maxUnavailable=1))]
    nodes = ("node-1", "node-2")
    assert trace([daemonset.CONTROLLER], made, nodes=nodes) == DAEMONSET_UP.strip()
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}}}}
    patch = Patch(DAEMONSET, "default", "agent", image)
    assert trace([daemonset.CONTROLLER], made, [patch], nodes=nodes) == DAEMONSET_ROLLED.strip()


def test_a_job_of_two() -> None:
    made = [Create(JOB, job_manifest(completions=2, parallelism=2))]
    assert trace([job.CONTROLLER], made, finish=lambda pod: 0) == JOB_DONE.strip()


def test_a_cronjob_for_an_hour() -> None:
    spec = {
        "schedule": "*/30 * * * *",
        "concurrencyPolicy": "Forbid",
        "successfulJobsHistoryLimit": 1,
        "jobTemplate": {"spec": job_manifest()["spec"]},
    }
    made = [Create(CRONJOB, {"metadata": {"name": "cron", "namespace": "default"}, "spec": spec})]
    modules = [cronjob.CONTROLLER, job.CONTROLLER]
    assert trace(modules, made, finish=lambda pod: 0, seconds=3700) == CRONJOB_HOUR.strip()


def test_a_namespace_is_deleted() -> None:
    space = {"metadata": {"name": "team"}, "spec": {"finalizers": ["kubernetes"]}}
    one = {"metadata": {"name": "p", "namespace": "team"}, "spec": {"containers": []}}
    settings = {"metadata": {"name": "c", "namespace": "team"}}
    modules = [namespace.CONTROLLER, garbagecollector.controller()]
    made = [Create(NAMESPACE, space), Create(POD, one), Create(CONFIGMAP, settings)]
    kinds = (NAMESPACE, POD, CONFIGMAP)
    assert trace(modules, made, [Delete(NAMESPACE, "", "team")], kinds=kinds) == NAMESPACE_GONE.strip()


def test_a_claim_is_bound() -> None:
    size = {"storage": "1Gi"}
    volume = {
        "metadata": {"name": "v", "annotations": {"pv.kubernetes.io/provisioned-by": "local"}},
        "spec": {"capacity": size, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain"},
    }
    claim = {
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": size}, "storageClassName": ""},
    }
    made = [Create(VOLUME, volume)]
    assert trace([persistentvolumebinder.CONTROLLER], made, [Create(CLAIM, claim)]) == CLAIM_BOUND.strip()


def test_a_node_goes_silent() -> None:
    ready = [{"type": "Ready", "status": "True"}]
    one = {"metadata": {"name": "quiet", "creationTimestamp": "2020-01-01T00:00:00Z"}, "status": {"conditions": ready}}
    other = {"metadata": {"name": "other"}, "status": {"conditions": ready}}
    tree = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [], "nodeName": "quiet"}}
    tree["status"] = {"phase": "Running", "conditions": ready}
    made = [Create(NODE, one), Create(NODE, other), Create(POD, tree)]
    modules = [
        nodelifecycle.controller(promised=lambda name: 1e12 if name == "other" else 0.0),
        tainteviction.CONTROLLER,
        podgc.controller(),
    ]
    assert trace(modules, made, nodes=(), seconds=90) == NODE_SILENT.strip()
