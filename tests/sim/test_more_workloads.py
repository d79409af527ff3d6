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
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.base import errors
from pelamis.client.types import Create, Delete, Patch
from pelamis.controllers import cronjob, daemonset, garbagecollector, job, statefulset, ttlafterfinished
from pelamis.reconcile.podstate import is_ready
from pelamis.sim.loop import run

from .cluster import Cluster
from .test_workloads import conditions

CONTAINER = {"name": "c", "image": "busybox:1"}


def cluster(**options: Any) -> Cluster:
    controllers = (
        job.CONTROLLER,
        cronjob.CONTROLLER,
        ttlafterfinished.CONTROLLER,
        statefulset.CONTROLLER,
        daemonset.CONTROLLER,
        garbagecollector.controller(),
    )
    kinds = (POD, JOB, CRONJOB, STATEFULSET, DAEMONSET, REVISION, CLAIM, NODE)
    return Cluster(controllers, kinds=kinds, **options)


def job_manifest(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "work", "namespace": "default"},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "selector": {"matchLabels": {"job-name": "work"}},
            "template": {
                "metadata": {"labels": {"job-name": "work"}},
                "spec": {"containers": [CONTAINER], "restartPolicy": "Never"},
            },
            **spec,
        },
    }


def the_job(sim: Cluster) -> Any:
    return sim.server.get(JOB, "default", "work")


def test_job_completes_and_is_deleted_after_its_time() -> None:
    async def main() -> None:
        sim = cluster(finish=lambda pod: 0)
        sim.start()
        sim.server.do(Create(JOB, job_manifest(completions=5, parallelism=2, ttlSecondsAfterFinished=100)))
        most = 0

        def watch(key: Any, old: Any, new: Any) -> None:
            nonlocal most
            most = max(most, sum(p.status.phase in ("", "Pending", "Running") for p in sim.pods()))

        sim.server.view(POD).subscribe(watch)
        await sim.settle(60)
        done = the_job(sim)
        assert (done.status.succeeded, done.status.active, most) == (5, 0, 2)
        assert conditions(done)["Complete"] == ("True", "CompletionsReached")
        assert conditions(done)["SuccessCriteriaMet"] == ("True", "CompletionsReached")
        assert done.status.completionTime
        assert not any(p.metadata.finalizers for p in sim.pods())
        reasons = [e.reason for e in sim.server.objects(EVENT)]
        assert (reasons.count("SuccessfulCreate"), reasons.count("Completed")) == (5, 1)
        await sim.settle(120)
        assert the_job(sim) is None
        assert not sim.pods()

    run(main())


def test_job_fails_after_its_limit_with_growing_pauses() -> None:
    async def main() -> None:
        sim = cluster(finish=lambda pod: 1)
        sim.start()
        sim.server.do(Create(JOB, job_manifest(backoffLimit=2)))
        await sim.settle(8)
        assert len(sim.pods()) == 1, "10 s after the first failure"
        await sim.settle(15)
        assert len(sim.pods()) == 2, "20 s after the second one"
        await sim.settle(100)
        failed = the_job(sim)
        assert failed.status.failed == 3
        assert conditions(failed)["Failed"] == ("True", "BackoffLimitExceeded")

    run(main())


def test_indexed_job_with_success_policy_and_failure_policy() -> None:
    async def main() -> None:
        sim = cluster(finish=lambda pod: 0 if pod.metadata.annotations[INDEX] in ("0", "2") else None)
        sim.start()
        policy = {"rules": [{"succeededIndexes": "0,2"}]}
        sim.server.do(
            Create(JOB, job_manifest(completions=4, parallelism=4, completionMode="Indexed", successPolicy=policy))
        )
        await sim.settle(60)
        done = the_job(sim)
        assert conditions(done)["Complete"] == ("True", "SuccessPolicy")
        assert done.status.completedIndexes == "0,2"
        assert {p.spec.hostname for p in sim.pods()} <= {f"work-{i}" for i in range(4)}
        sim.server.do(Delete(JOB, "default", "work", propagation="Background"))
        await sim.settle(60)
        assert not sim.pods()
        sim.finish = lambda pod: 42
        rules = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
        sim.server.do(Create(JOB, job_manifest(podFailurePolicy=rules, podReplacementPolicy="Failed")))
        await sim.settle(60)
        failed = the_job(sim)
        condition = next(c for c in failed.status.conditions if c.type == "Failed")
        assert condition.reason == "PodFailurePolicy"
        assert condition.message.endswith("failed with exit code 42 matching FailJob rule at index 0")

    run(main())


INDEX = "batch.kubernetes.io/job-completion-index"


def test_index_limits_and_suspension() -> None:
    async def main() -> None:
        sim = cluster(finish=lambda pod: 1 if pod.metadata.annotations[INDEX] == "1" else 0)
        sim.start()
        spec = {"completions": 3, "parallelism": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 1}
        sim.server.do(Create(JOB, job_manifest(**spec, suspend=True, backoffLimit=2**31 - 1)))
        await sim.settle(10)
        assert not sim.pods()
        assert conditions(the_job(sim))["Suspended"] == ("True", "JobSuspended")
        sim.server.do(Patch(JOB, "default", "work", {"spec": {"suspend": False}}))
        await sim.settle(120)
        failed = the_job(sim)
        assert (failed.status.completedIndexes, failed.status.failedIndexes) == ("0,2", "1")
        assert conditions(failed)["Failed"] == ("True", "FailedIndexes")
        assert conditions(failed)["Suspended"] == ("False", "JobResumed")
        counts = sorted(p.metadata.annotations.get("batch.kubernetes.io/job-index-failure-count") for p in sim.pods())
        assert counts == ["0", "0", "0", "1"]

    run(main())


@pytest.mark.parametrize("seed", range(5))
def test_job_counts_each_pod_once_under_faults(seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        ended: dict[str, int] = {}

        def finish(pod: Any) -> int:
            ended[pod.metadata.uid] = code = int(rng.random() < 0.2)
            return code

        sim = cluster(finish=finish)
        sim.server.delay = lambda: rng.random() * 0.3
        conflict = errors.Conflict("jobs", "batch", "work")
        sim.server.refuse = lambda a: conflict if rng.random() < 0.2 else None
        sim.start()
        cut: set[str] = set()

        def watch(key: Any, old: Any, new: Any) -> None:
            if new is not None and new.metadata.deletionTimestamp and new.metadata.uid not in ended:
                cut.add(new.metadata.uid)

        sim.server.view(POD).subscribe(watch)
        sim.server.do(Create(JOB, job_manifest(completions=12, parallelism=4, backoffLimit=100)))
        for _ in range(6):
            await sim.settle(rng.random() * 3)
            await sim.crash("job")
            alive = [p for p in sim.pods() if p.status.phase in ("Succeeded", "Failed")]
            if alive:
                pod = rng.choice(alive)
                sim.server.do(Delete(POD, "default", pod.metadata.name))
        await sim.settle(3000)
        sim.server.refuse = lambda a: None
        await sim.settle(3000)
        done = the_job(sim)
        assert conditions(done)["Complete"] == ("True", "CompletionsReached")
        assert 12 <= done.status.succeeded <= sum(c == 0 for c in ended.values()), "no pod counts twice"
        bad = sum(c == 1 for c in ended.values())
        assert bad <= done.status.failed <= bad + len(cut)

    run(main())


def test_cronjob_runs_on_time_and_keeps_few() -> None:
    async def main() -> None:
        sim = cluster(finish=lambda pod: 0)
        sim.start()
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
        tree["spec"]["jobTemplate"]["spec"]["selector"] = {"matchLabels": {"job-name": "work"}}  # type: ignore[index]
        sim.server.do(Create(CRONJOB, tree))
        await sim.settle(3610)
        jobs = sim.server.objects(JOB)
        assert len(jobs) == 3
        times = [int(j.metadata.name.rpartition("-")[2]) for j in jobs]
        assert all(t % 10 == 0 for t in times)
        cron = sim.server.get(CRONJOB, "default", "cron")
        assert cron.status.active == ()
        assert cron.status.lastSuccessfulTime
        created = [
            e
            for e in sim.server.objects(EVENT)
            if e.reason == "SuccessfulCreate" and e.source.component == "cronjob-controller"
        ]
        assert sum(e.count for e in created) == 6
        sim.finish = lambda pod: None
        await sim.settle(3600)
        assert "JobAlreadyActive" in {e.reason for e in sim.server.objects(EVENT)}
        sim.server.do(Patch(CRONJOB, "default", "cron", {"spec": {"concurrencyPolicy": "Replace"}}))
        await sim.settle(1300)
        assert len(sim.server.get(CRONJOB, "default", "cron").status.active) == 1

    run(main())


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
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
            **spec,
        },
    }


def test_statefulset_goes_in_order() -> None:
    async def main() -> None:
        sim = cluster()
        sim.start()
        order: list[str] = []

        def watch(key: Any, old: Any, new: Any) -> None:
            if new is not None and is_ready(new) and not (old is not None and is_ready(old)):
                order.append(f"+{key[1]}")
            if new is None:
                order.append(f"-{key[1]}")

        sim.server.view(POD).subscribe(watch)
        sim.server.do(Create(STATEFULSET, stateful()))
        await sim.settle(60)
        assert order == ["+db-0", "+db-1", "+db-2"]
        assert [c.metadata.name for c in sim.server.objects(CLAIM)] == ["data-db-0", "data-db-1", "data-db-2"]
        one = sim.server.get(STATEFULSET, "default", "db")
        assert (one.status.currentReplicas, one.status.updatedReplicas, one.status.availableReplicas) == (3, 3, 3)
        first = one.status.updateRevision
        order.clear()
        template = {"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}}
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
        sim.server.do(Patch(STATEFULSET, "default", "db", {"spec": {"template": template, "updateStrategy": rolling}}))
        await sim.settle(60)
        assert order == ["-db-2", "+db-2", "-db-1", "+db-1"]
        sim.server.do(Delete(POD, "default", "db-0", grace_s=0))
        await sim.settle(30)
        images = {p.metadata.name: p.spec.containers[0].image for p in sim.pods()}
        assert images == {"db-0": "busybox:1", "db-1": "busybox:2", "db-2": "busybox:2"}
        one = sim.server.get(STATEFULSET, "default", "db")
        assert one.status.currentRevision == first != one.status.updateRevision
        order.clear()
        sim.server.do(
            Patch(STATEFULSET, "default", "db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
        )
        await sim.settle(60)
        one = sim.server.get(STATEFULSET, "default", "db")
        assert one.status.currentRevision == one.status.updateRevision
        policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
        scale = {"replicas": 1, "persistentVolumeClaimRetentionPolicy": policy}
        order.clear()
        sim.server.do(Patch(STATEFULSET, "default", "db", {"spec": scale}))
        await sim.settle(60)
        assert order == ["-db-2", "-db-1"]
        assert [c.metadata.name for c in sim.server.objects(CLAIM)] == ["data-db-0"]
        assert len(sim.server.objects(REVISION)) == 2

    run(main())


def test_statefulset_parallel_and_failed_pod() -> None:
    async def main() -> None:
        sim = cluster()
        sim.start()
        sim.server.do(Create(STATEFULSET, stateful(podManagementPolicy="Parallel", volumeClaimTemplates=[])))
        await sim.settle(0.5)
        assert len(sim.pods()) == 3
        await sim.settle(30)
        sim.terminate(("default", "db-1"), 1)
        await sim.settle(30)
        assert sum(is_ready(p) for p in sim.pods()) == 3
        assert "RecreatingFailedPod" in {e.reason for e in sim.server.objects(EVENT)}

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
        sim = cluster(nodes=names)
        sim.start()
        strategy = {"maxSurge": 1, "maxUnavailable": 0} if surge else {"maxSurge": 0, "maxUnavailable": 1}
        sim.server.do(Create(DAEMONSET, daemon(**strategy)))
        await sim.settle(20)
        assert sorted(p.spec.nodeName for p in sim.pods()) == sorted(names)
        one = sim.server.get(DAEMONSET, "default", "agent")
        assert (one.status.desiredNumberScheduled, one.status.numberAvailable) == (4, 4)
        least = 4

        def watch(key: Any, old: Any, new: Any) -> None:
            nonlocal least
            ready = {p.spec.nodeName for p in sim.pods() if is_ready(p) and p.metadata.deletionTimestamp is None}
            least = min(least, len(ready))

        sim.server.view(POD).subscribe(watch, replay=False)
        template = {"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}}
        sim.server.do(Patch(DAEMONSET, "default", "agent", {"spec": {"template": template}}))
        await sim.settle(120)
        assert {p.spec.containers[0].image for p in sim.pods()} == {"busybox:2"}
        assert (len(sim.pods()), least) == (4, 4 if surge else 3)
        taint = {"key": "dedicated", "value": "x", "effect": "NoExecute"}
        sim.server.do(Patch(NODE, "", "node-0", {"spec": {"taints": [taint]}}))
        sim.server.do(Create(NODE, {"metadata": {"name": "node-9"}}))
        sim.nodes.append("node-9")
        await sim.settle(60)
        assert sorted(p.spec.nodeName for p in sim.pods()) == ["node-1", "node-2", "node-3", "node-9"]
        one = sim.server.get(DAEMONSET, "default", "agent")
        assert (one.status.desiredNumberScheduled, one.status.updatedNumberScheduled) == (4, 4)
        pod = sim.pods()[0]
        sim.terminate((pod.metadata.namespace, pod.metadata.name), 1)
        await sim.settle(30)
        assert "FailedDaemonPod" in {e.reason for e in sim.server.objects(EVENT)}
        assert sum(is_ready(p) for p in sim.pods()) == 4

    run(main())
