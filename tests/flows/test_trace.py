"""Golden traces of ordinary lives: which writes the controllers make, commit by commit.

An added round trip shows up here as a difference. Scheduler and nodes are the simulator's, and their writes are not
shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.batch.cronjob import KIND as CRONJOB
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.serviceaccount import KIND as ACCOUNT
from pelamis.client.types import Create, Delete, Patch, Update
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
from pelamis.kubelet.hollow.lookup import ROOT_CA
from pelamis.reconcile.spec import Controller
from pelamis.sim.loop import run
from tests.sim.flow import Flow
from tests.sim.test_more_workloads import daemon, disk, job_manifest, stateful
from tests.sim.test_workloads import manifest


def _shown(action: Any) -> str:
    what = type(action).__name__.lower()
    name = action.kind.plural
    sub = getattr(action, "subresource", "")
    return f"{what} {name}/{sub}" if sub else f"{what} {name}"


GOLDEN = """
create endpointslices
create endpoints
create replicasets, update deployments/status
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


def traced(commits: Sequence[Sequence[Any]]) -> str:
    lines = []
    for commit in commits:
        counts: dict[str, int] = {}
        for action in commit:
            counts[_shown(action)] = counts.get(_shown(action), 0) + 1
        lines.append(", ".join(f"{k} x{n}" if n > 1 else k for k, n in counts.items()))
    return "\n".join(lines)


def trace(
    modules: Sequence[Controller],
    first: Sequence[Any],
    then: Sequence[Any] = (),
    *,
    seconds: float = 60,
    before: Sequence[Any] = (),
    hidden: Callable[[Any], bool] = lambda action: False,
    **options: Any,
) -> str:
    """What the controllers write after ``then`` (after ``first`` if there is no more), in ``seconds``."""
    lines = ""

    async def main() -> None:
        nonlocal lines
        async with Flow(modules, **options) as sim:
            for action in before:
                await sim.do(action)
            await sim.run(1)
            for actions in (first, then):
                if actions:
                    sim.commits.clear()
                    await sim.do(*actions)
                    await sim.run(seconds)
            lines = traced([commit for commit in sim.commits if not all(map(hidden, commit))])

    run(main())
    return lines


def test_three_replicas() -> None:
    service = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 80}], "ipFamilies": ["IPv4"]},
    }
    modules = [m.CONTROLLER for m in (deployment, replicaset, endpointslice, endpoints)]
    assert trace(modules, [Create(SERVICE, service), Create(DEPLOYMENT, manifest())], seconds=30) == GOLDEN


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
update jobs/status
patch pods
update jobs/status
create events
delete jobs, update cronjobs/status
create events x2
"""

NAMESPACE_GONE = """
delete pods, update namespaces/status
delete configmaps, delete events, delete serviceaccounts, update namespaces/status
update namespaces/status
update namespaces/finalize
"""

CLAIM_BOUND = """
update persistentvolumes
update persistentvolumes/status, update persistentvolumeclaims
update persistentvolumeclaims/status
"""

NODE_SILENT = """
update nodes/status, patch pods/status
create events x2
patch nodes x2
patch pods/status
delete pods
create events
"""


def _binds(action: Any) -> bool:
    """What the binder of volumes writes."""
    return isinstance(action, Update) and action.kind.plural.startswith("persistentvolume")


def test_a_statefulset_with_claims() -> None:
    made = [Create(STATEFULSET, stateful(replicas=2))]
    modules = [statefulset.CONTROLLER, persistentvolumebinder.CONTROLLER]
    options: dict[str, Any] = {"before": [disk("d0"), disk("d1")], "hidden": _binds}
    assert trace(modules, made, **options) == STATEFULSET_UP.strip()
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "app:2"}]}}}}
    patch = Patch(STATEFULSET, "default", "db", image, "strategic")
    assert trace(modules, made, [patch], **options) == STATEFULSET_ROLLED.strip()


def test_a_daemonset_on_two_nodes() -> None:
    made = [Create(DAEMONSET, daemon(maxSurge=0, maxUnavailable=1))]
    nodes = ("node-1", "node-2")
    assert trace([daemonset.CONTROLLER], made, nodes=nodes) == DAEMONSET_UP.strip()
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "app:2"}]}}}}
    patch = Patch(DAEMONSET, "default", "agent", image, "strategic")
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
    in_team = {"namespace": "team"}
    one = {"metadata": {"name": "p", **in_team}, "spec": {"containers": [{"name": "c", "image": "app:1"}]}}
    space = [
        Create(NAMESPACE, {"metadata": {"name": "team"}}),
        Create(ACCOUNT, {"metadata": {"name": "default", **in_team}}),
        Create(CONFIGMAP, {"metadata": {"name": ROOT_CA, **in_team}, "data": {"ca.crt": "PEM"}}),
    ]
    modules = [namespace.controller(), garbagecollector.controller()]
    assert trace(modules, [Create(POD, one)], [Delete(NAMESPACE, "", "team")], before=space) == NAMESPACE_GONE.strip()


def test_a_claim_is_bound() -> None:
    size = {"storage": "1Gi"}
    claim = {
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": size}, "storageClassName": "manual"},
    }
    assert trace([persistentvolumebinder.CONTROLLER], [disk("v")], [Create(CLAIM, claim)]) == CLAIM_BOUND.strip()


def test_a_node_goes_silent() -> None:
    """One of three; its pod is replaced by nobody."""
    container = {"name": "c", "image": "app:1"}
    one = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": "n1", "containers": [container]}}
    modules = [nodelifecycle.controller(), tainteviction.CONTROLLER, podgc.controller()]
    lines = ""

    async def main() -> None:
        nonlocal lines
        async with Flow(modules, nodes=("n1", "n2", "n3")) as sim:
            sim.horizon = 0.0
            await sim.do(Create(POD, one))
            await asyncio.sleep(20)
            sim.nodes.stop_node("n1")
            sim.commits.clear()
            await asyncio.sleep(400)
            lines = traced(sim.commits)

    run(main())
    assert lines == NODE_SILENT.strip()
