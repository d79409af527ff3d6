"""Jobs, CronJobs, StatefulSets and DaemonSets on a simulated cluster."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pelamis.api.apps.controllerrevision import KIND as REVISION
from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.batch.cronjob import KIND as CRONJOB
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Create, Delete, Patch
from pelamis.controllers import (
    cronjob,
    daemonset,
    garbagecollector,
    job,
    persistentvolumebinder,
    pvcprotection,
    statefulset,
    ttlafterfinished,
)
from pelamis.reconcile.podstate import is_ready
from pelamis.sim.faults import Rates
from pelamis.sim.loop import run
from tests.sim.flow import Flow

from .test_workloads import conditions

CONTAINER = {"name": "c", "image": "app:1"}


def flow(**options: Any) -> Flow:
    controllers = (
        job.CONTROLLER,
        cronjob.CONTROLLER,
        ttlafterfinished.CONTROLLER,
        statefulset.CONTROLLER,
        daemonset.CONTROLLER,
        persistentvolumebinder.CONTROLLER,
        pvcprotection.CONTROLLER,
        garbagecollector.controller(),
    )
    return Flow(controllers, **options)


def job_manifest(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "work", "namespace": "default"},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "template": {
                "spec": {"containers": [CONTAINER], "restartPolicy": "Never"},
            },
            **spec,
        },
    }


def the_job(sim: Flow) -> Any:
    return sim.get(JOB, "default", "work")


def test_job_completes_and_is_deleted_after_its_time() -> None:
    async def main() -> None:
        async with flow(finish=lambda pod: 0) as sim:
            await sim.do(Create(JOB, job_manifest(completions=5, parallelism=2, ttlSecondsAfterFinished=100)))
            most = 0

            def watch(key: Any, old: Any, new: Any) -> None:
                nonlocal most
                most = max(most, sum(p.status.phase in ("", "Pending", "Running") for p in sim.mine()))

            sim.subscribe(POD, watch)
            await sim.run(60)
            done = the_job(sim)
            assert (done.status.succeeded, done.status.active, most) == (5, 0, 2)
            assert conditions(done)["Complete"] == ("True", "CompletionsReached")
            assert conditions(done)["SuccessCriteriaMet"] == ("True", "CompletionsReached")
            assert done.status.completionTime
            assert not any(p.metadata.finalizers for p in sim.mine())
            reasons = [e.reason for e in sim.objects(EVENT)]
            assert (reasons.count("SuccessfulCreate"), reasons.count("Completed")) == (5, 1)
            await sim.run(120)
            assert the_job(sim) is None
            assert not sim.mine()

    run(main())


def test_job_fails_after_its_limit_with_growing_pauses() -> None:
    async def main() -> None:
        async with flow(finish=lambda pod: 1) as sim:
            await sim.do(Create(JOB, job_manifest(backoffLimit=2)))
            await sim.run(8)
            assert len(sim.mine()) == 1, "10 s after the first failure"
            await sim.run(15)
            assert len(sim.mine()) == 2, "20 s after the second one"
            await sim.run(100)
            failed = the_job(sim)
            assert failed.status.failed == 3
            assert conditions(failed)["Failed"] == ("True", "BackoffLimitExceeded")

    run(main())


def test_indexed_job_with_success_policy_and_failure_policy() -> None:
    async def main() -> None:
        async with flow(finish=lambda pod: 0 if pod.metadata.annotations[INDEX] in ("0", "2") else None) as sim:
            policy = {"rules": [{"succeededIndexes": "0,2"}]}
            await sim.do(
                Create(JOB, job_manifest(completions=4, parallelism=4, completionMode="Indexed", successPolicy=policy))
            )
            await sim.run(60)
            done = the_job(sim)
            assert conditions(done)["Complete"] == ("True", "SuccessPolicy")
            assert done.status.completedIndexes == "0,2"
            assert {p.spec.hostname for p in sim.mine()} <= {f"work-{i}" for i in range(4)}
            await sim.do(Delete(JOB, "default", "work", propagation="Background"))
            await sim.run(60)
            assert not sim.mine()
            sim.finish = lambda pod: 42
            rules = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
            await sim.do(Create(JOB, job_manifest(podFailurePolicy=rules, podReplacementPolicy="Failed")))
            await sim.run(60)
            failed = the_job(sim)
            condition = next(c for c in failed.status.conditions if c.type == "Failed")
            assert condition.reason == "PodFailurePolicy"
            assert condition.message.endswith("failed with exit code 42 matching FailJob rule at index 0")

    run(main())


INDEX = "batch.kubernetes.io/job-completion-index"


def test_index_limits_and_suspension() -> None:
    async def main() -> None:
        async with flow(finish=lambda pod: 1 if pod.metadata.annotations[INDEX] == "1" else 0) as sim:
            spec = {"completions": 3, "parallelism": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 1}
            await sim.do(Create(JOB, job_manifest(**spec, suspend=True, backoffLimit=2**31 - 1)))
            await sim.run(10)
            assert not sim.mine()
            assert conditions(the_job(sim))["Suspended"] == ("True", "JobSuspended")
            await sim.do(Patch(JOB, "default", "work", {"spec": {"suspend": False}}))
            await sim.run(120)
            failed = the_job(sim)
            assert (failed.status.completedIndexes, failed.status.failedIndexes) == ("0,2", "1")
            assert conditions(failed)["Failed"] == ("True", "FailedIndexes")
            assert conditions(failed)["Suspended"] == ("False", "JobResumed")
            counts = sorted(
                p.metadata.annotations.get("batch.kubernetes.io/job-index-failure-count") for p in sim.mine()
            )
            assert counts == ["0", "0", "0", "1"]

    run(main())


@pytest.mark.parametrize("seed", range(3))
def test_job_counts_each_pod_once_under_faults(seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        ended: dict[str, int] = {}

        def finish(pod: Any) -> int:
            ended[pod.metadata.uid] = code = int(rng.random() < 0.2)
            return code

        async with flow(finish=finish, seed=seed, mirror=True) as sim:
            sim.faults.set(Rates(conflict=0.2, refuse=0.1, lag_s=0.3))
            cut: set[str] = set()

            def watch(key: Any, old: Any, new: Any) -> None:
                if new is not None and new.metadata.deletionTimestamp and new.metadata.uid not in ended:
                    cut.add(new.metadata.uid)

            sim.subscribe(POD, watch)
            await sim.do(Create(JOB, job_manifest(completions=12, parallelism=4, backoffLimit=100)))
            for _ in range(6):
                await sim.run(rng.random() * 3)
                await sim.crash("controllers")
                done = [p for p in sim.mine() if p.status.phase in ("Succeeded", "Failed")]
                if done:
                    await sim.do(Delete(POD, "default", rng.choice(done).metadata.name))
            await sim.run(3000)
            sim.faults.clear()
            await sim.run(3000)
            found = the_job(sim)
            assert conditions(found)["Complete"] == ("True", "CompletionsReached")
            assert 12 <= found.status.succeeded <= sum(c == 0 for c in ended.values()), "no pod counts twice"
            bad = sum(c == 1 for c in ended.values())
            assert bad <= found.status.failed <= bad + len(cut)

    run(main())


def test_cronjob_runs_on_time_and_keeps_few() -> None:
    async def main() -> None:
        async with flow(finish=lambda pod: 0) as sim:
            tree = {
                "metadata": {"name": "cron", "namespace": "default"},
                "spec": {
                    "schedule": "*/10 * * * *",
                    "concurrencyPolicy": "Forbid",
                    "successfulJobsHistoryLimit": 3,
                    "failedJobsHistoryLimit": 1,
                    "jobTemplate": {"spec": job_manifest()["spec"]},
                },
            }
            await sim.do(Create(CRONJOB, tree))
            await sim.run(3610)
            jobs = sim.objects(JOB)
            assert len(jobs) == 3
            times = [int(j.metadata.name.rpartition("-")[2]) for j in jobs]
            assert all(t % 10 == 0 for t in times)
            cron = sim.get(CRONJOB, "default", "cron")
            assert cron.status.active == ()
            assert cron.status.lastSuccessfulTime
            created = [
                e
                for e in sim.objects(EVENT)
                if e.reason == "SuccessfulCreate" and e.source.component == "cronjob-controller"
            ]
            assert sum(e.count for e in created) == 6
            sim.finish = lambda pod: None
            await sim.run(3600)
            assert "JobAlreadyActive" in {e.reason for e in sim.objects(EVENT)}
            await sim.do(Patch(CRONJOB, "default", "cron", {"spec": {"concurrencyPolicy": "Replace"}}))
            await sim.run(1300)
            assert len(sim.get(CRONJOB, "default", "cron").status.active) == 1

    run(main())


SIZE = {"storage": "1Gi"}
CLAIMED = {"storageClassName": "manual", "accessModes": ["ReadWriteOnce"], "resources": {"requests": SIZE}}


def disk(name: str) -> Create:
    spec = {
        "storageClassName": "manual",
        "capacity": SIZE,
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/d"},
    }
    return Create(VOLUME, {"metadata": {"name": name}, "spec": spec})


def stateful(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "replicas": 3,
            "serviceName": "db",
            "podManagementPolicy": "OrderedReady",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": 10},
            },
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": CLAIMED}],
            **spec,
        },
    }


def test_statefulset_goes_in_order() -> None:
    async def main() -> None:
        async with flow() as sim:
            order: list[str] = []

            def watch(key: Any, old: Any, new: Any) -> None:
                if new is not None and is_ready(new) and not (old is not None and is_ready(old)):
                    order.append(f"+{key[1]}")
                if new is None:
                    order.append(f"-{key[1]}")

            sim.subscribe(POD, watch)
            await sim.do(*(disk(f"d{i}") for i in range(4)), Create(STATEFULSET, stateful()))
            await sim.run(60)
            assert order == ["+db-0", "+db-1", "+db-2"]
            assert [c.metadata.name for c in sim.objects(CLAIM)] == ["data-db-0", "data-db-1", "data-db-2"]
            one = sim.get(STATEFULSET, "default", "db")
            assert (one.status.currentReplicas, one.status.updatedReplicas, one.status.availableReplicas) == (3, 3, 3)
            first = one.status.updateRevision
            order.clear()
            template = {"spec": {"containers": [{"name": "c", "image": "app:2"}]}}
            rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
            await sim.do(
                Patch(STATEFULSET, "default", "db", {"spec": {"template": template, "updateStrategy": rolling}})
            )
            await sim.run(60)
            assert order == ["-db-2", "+db-2", "-db-1", "+db-1"]
            await sim.do(Delete(POD, "default", "db-0", grace_s=0))
            await sim.run(30)
            images = {p.metadata.name: p.spec.containers[0].image for p in sim.mine()}
            assert images == {"db-0": "app:1", "db-1": "app:2", "db-2": "app:2"}
            one = sim.get(STATEFULSET, "default", "db")
            assert one.status.currentRevision == first != one.status.updateRevision
            order.clear()
            await sim.do(
                Patch(STATEFULSET, "default", "db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
            )
            await sim.run(60)
            one = sim.get(STATEFULSET, "default", "db")
            assert one.status.currentRevision == one.status.updateRevision
            policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
            scale = {"replicas": 1, "persistentVolumeClaimRetentionPolicy": policy}
            order.clear()
            await sim.do(Patch(STATEFULSET, "default", "db", {"spec": scale}))
            await sim.run(60)
            assert order == ["-db-2", "-db-1"]
            assert [c.metadata.name for c in sim.objects(CLAIM)] == ["data-db-0"]
            assert len(sim.objects(REVISION)) == 2

    run(main())


def test_statefulset_parallel_and_failed_pod() -> None:
    async def main() -> None:
        async with flow() as sim:
            await sim.do(Create(STATEFULSET, stateful(podManagementPolicy="Parallel", volumeClaimTemplates=[])))
            await sim.run(0.5)
            assert len(sim.mine()) == 3
            await sim.run(30)
            sim.fail(("default", "db-1"))
            await sim.run(30)
            assert sum(is_ready(p) for p in sim.mine()) == 3
            assert "RecreatingFailedPod" in {e.reason for e in sim.objects(EVENT)}

    run(main())


def daemon(**strategy: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "agent", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [CONTAINER]}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": strategy},
        },
    }


@pytest.mark.parametrize("surge", [False, True])
def test_daemonset_covers_nodes_and_rolls(surge: bool) -> None:
    async def main() -> None:
        names = tuple(f"node-{i}" for i in range(4))
        async with flow(nodes=names) as sim:
            strategy = {"maxSurge": 1, "maxUnavailable": 0} if surge else {"maxSurge": 0, "maxUnavailable": 1}
            await sim.do(Create(DAEMONSET, daemon(**strategy)))
            await sim.run(20)
            assert sorted(p.spec.nodeName for p in sim.mine()) == sorted(names)
            one = sim.get(DAEMONSET, "default", "agent")
            assert (one.status.desiredNumberScheduled, one.status.numberAvailable) == (4, 4)
            least = 4

            def watch(key: Any, old: Any, new: Any) -> None:
                nonlocal least
                ready = {p.spec.nodeName for p in sim.mine() if is_ready(p) and p.metadata.deletionTimestamp is None}
                least = min(least, len(ready))

            sim.subscribe(POD, watch)
            template = {"spec": {"containers": [{"name": "c", "image": "app:2"}]}}
            await sim.do(Patch(DAEMONSET, "default", "agent", {"spec": {"template": template}}))
            await sim.run(120)
            assert {p.spec.containers[0].image for p in sim.mine()} == {"app:2"}
            assert (len(sim.mine()), least) == (4, 4 if surge else 3)
            taint = {"key": "dedicated", "value": "x", "effect": "NoExecute"}
            await sim.do(Patch(NODE, "", "node-0", {"spec": {"taints": [taint]}}))
            await sim.join("node-9", 9)
            await sim.run(60)
            assert sorted(p.spec.nodeName for p in sim.mine()) == ["node-1", "node-2", "node-3", "node-9"]
            one = sim.get(DAEMONSET, "default", "agent")
            assert (one.status.desiredNumberScheduled, one.status.updatedNumberScheduled) == (4, 4)
            pod = sim.mine()[0]
            sim.fail((pod.metadata.namespace, pod.metadata.name))
            await sim.run(30)
            assert "FailedDaemonPod" in {e.reason for e in sim.objects(EVENT)}
            assert sum(is_ready(p) for p in sim.mine()) == 4

    run(main())
