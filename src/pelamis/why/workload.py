"""Why a Deployment, ReplicaSet, StatefulSet or DaemonSet does not come to what it should be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.resourcequota import KIND as QUOTA
from pelamis.api.kind import Kind
from pelamis.why.cause import Advice, Cause, grouped
from pelamis.why.pod import is_ready_pod, why_pod
from pelamis.why.world import World

REVISION = "deployment.kubernetes.io/revision"
EXAMINED = 20
"""How many pods of one workload are looked at closely."""
_CREATION = ("FailedCreate",)


def condition(obj: Any, kind: str) -> Any:
    return next((c for c in obj.status.conditions if c.type == kind), None)


def why_pods(world: World, pods: Iterable[Any]) -> tuple[Cause, ...]:
    """Of the pods that are not ready, those in the same state as one."""
    wrong = [p for p in pods if not is_ready_pod(p) and p.status.phase != "Succeeded"]
    causes = [why_pod(world, pod) for pod in wrong[:EXAMINED]]
    return grouped(c for c in causes if not c.ok)


def why_not_created(world: World, kind: Kind, owner: Any) -> tuple[Cause, ...]:
    """Why pods that should be there are not: quota, admission, a bad template."""
    failure = condition(owner, "ReplicaFailure") if hasattr(owner.status, "conditions") else None
    events = world.events(kind, owner, *_CREATION)
    message = failure.message if failure is not None and failure.status == "True" else ""
    message = message or (events[0].message if events else "")
    if not message:
        return ()
    return (refused(world, owner.metadata.namespace, message),)


def refused(world: World, namespace: str, message: str) -> Cause:
    """The server does not let a pod be made."""
    if "exceeded quota" in message:
        facts = []
        for quota in world.all(QUOTA, namespace):
            if f"exceeded quota: {quota.metadata.name}" in message:
                for name, hard in sorted(quota.status.hard.items()):
                    facts.append(f"{name}: {quota.status.used.get(name, '0')} of {hard} used")
        advice = Advice(
            "raise the quota, request less, or delete what is not needed", f"kubectl describe quota -n {namespace}"
        )
        return Cause("quota", message, facts=tuple(facts), advice=(advice,))
    if "failed quota" in message and "must specify" in message:
        advice = Advice("a quota counts these: every container must request them (or a LimitRange sets defaults)")
        return Cause("quota", message, advice=(advice,))
    if "violates PodSecurity" in message:
        return Cause("admission", message, advice=(Advice("meet the namespace's pod security level, or lower it"),))
    if "serviceaccount" in message.lower() and "not found" in message:
        return Cause("serviceaccount", message, advice=(Advice("create the ServiceAccount, or correct its name"),))
    return Cause("admission", message, advice=(Advice("the API server refuses to make the pod; correct what it says"),))


def _overview(name: str, ready: int, wanted: int) -> str:
    return f"{ready} of {wanted} {name}"


def why_deployment(world: World, deployment: Any) -> Cause:
    meta, spec, status = deployment.metadata, deployment.spec, deployment.status
    about = f"deployment/{meta.name}"
    wanted = 1 if spec.replicas is None else spec.replicas
    if status.observedGeneration < meta.generation:
        advice = Advice("look whether the controllers run", "pelamis status")
        return Cause(about, "its last change has not been looked at by its controller yet", advice=(advice,))
    sets = world.owned(REPLICASET, deployment)
    sets.sort(key=lambda s: int(s.metadata.annotations.get(REVISION, "0") or 0))
    newest = sets[-1] if sets else None
    new = newest.spec.replicas if newest is not None else 0
    done = status.updatedReplicas == wanted and status.availableReplicas >= wanted and status.replicas == wanted
    facts = []
    advice_of: list[Advice] = []
    if spec.paused:
        facts.append("it is paused: changes of its template are not rolled out")
        advice_of.append(Advice("go on", f"kubectl rollout resume deployment {meta.name} -n {meta.namespace}"))
    if done:
        text = f"all {wanted} replicas are available" if wanted else "it is scaled to 0"
        if not wanted:
            advice_of.append(
                Advice("give it pods", f"kubectl scale deployment {meta.name} -n {meta.namespace} --replicas=1")
            )
        return Cause(about, text, not spec.paused, tuple(facts), tuple(advice_of))
    text = _overview("replicas are available", status.availableReplicas, wanted)
    progressing = condition(deployment, "Progressing")
    if progressing is not None and progressing.reason == "ProgressDeadlineExceeded":
        facts.append(f"it has made no progress within {spec.progressDeadlineSeconds} s")
        if len(sets) > 1:
            undo = f"kubectl rollout undo deployment {meta.name} -n {meta.namespace}"
            advice_of.append(Advice("go back to the revision before", undo))
    if newest is not None and len(sets) > 1 and status.updatedReplicas < status.replicas:
        facts.append(f"a rollout is under way: {status.updatedReplicas} of {wanted} pods have the new template")
    deeper: list[Cause] = []
    if newest is not None:
        own = why_replicaset(world, newest)
        if not own.ok:
            deeper.append(own)
        elif new < wanted:
            blocking = [s for s in sets[:-1] if s.spec.replicas]
            if blocking and not spec.paused:
                facts.append("the new pods are well so far; old ones go as new ones become available")
    for old in sets[:-1]:
        if old.spec.replicas and old.status.readyReplicas < old.spec.replicas:
            deeper.append(why_replicaset(world, old))
    failure = condition(deployment, "ReplicaFailure")
    if not deeper and failure is not None and failure.status == "True":
        deeper.append(refused(world, meta.namespace, failure.message))
    if not deeper and newest is None and not spec.paused:
        events = world.events(DEPLOYMENT, deployment, warnings=True)
        facts.extend(f"event {e.reason}: {e.message}" for e in events[:1])
    return Cause(about, text, False, tuple(facts), tuple(advice_of), tuple(deeper))


def why_replicaset(world: World, replicaset: Any) -> Cause:
    meta, status = replicaset.metadata, replicaset.status
    about = f"replicaset/{meta.name}"
    wanted = 1 if replicaset.spec.replicas is None else replicaset.spec.replicas
    pods = world.owned(POD, replicaset)
    deeper = why_pods(world, pods)
    if len(pods) < wanted:
        deeper = (*why_not_created(world, REPLICASET, replicaset), *deeper)
    if status.availableReplicas >= wanted and not deeper:
        return Cause(about, f"all {wanted} pods are available", True)
    text = _overview("pods are ready", status.readyReplicas, wanted)
    facts = []
    if len(pods) < wanted:
        facts.append(f"{len(pods)} of {wanted} pods exist")
    minimum = replicaset.spec.minReadySeconds
    if status.readyReplicas > status.availableReplicas and minimum:
        facts.append(f"a pod counts when it has been ready for {minimum} s")
    return Cause(about, text, status.availableReplicas >= wanted, tuple(facts), deeper=deeper)


def why_statefulset(world: World, statefulset: Any) -> Cause:
    meta, spec, status = statefulset.metadata, statefulset.spec, statefulset.status
    about = f"statefulset/{meta.name}"
    wanted = 1 if spec.replicas is None else spec.replicas
    if status.observedGeneration < meta.generation:
        return Cause(about, "its last change has not been looked at by its controller yet")
    pods = world.owned(POD, statefulset)
    pods.sort(key=_ordinal)
    facts: list[str] = []
    advice: tuple[Advice, ...] = ()
    partition = 0
    if spec.updateStrategy.rollingUpdate is not None:
        partition = spec.updateStrategy.rollingUpdate.partition or 0
    updating = (
        status.updateRevision and status.updatedReplicas < wanted and status.currentRevision != status.updateRevision
    )
    if updating and spec.updateStrategy.type == "OnDelete":
        facts.append("its pods get the new template when they are deleted (updateStrategy OnDelete)")
    elif updating:
        held = f"; pods below ordinal {partition} keep the old one" if partition else ""
        facts.append(f"{status.updatedReplicas} of {wanted} pods have the new template{held}")
    if status.readyReplicas >= wanted and len(pods) == wanted:
        return Cause(about, f"all {wanted} pods are ready", True, tuple(facts))
    in_order = spec.podManagementPolicy != "Parallel"
    wrong = [p for p in pods if not is_ready_pod(p)]
    deeper = why_pods(world, wrong[:1] if in_order else wrong)
    if in_order and wrong:
        facts.append(f"pods are started one after the other: those after {wrong[0].metadata.name} wait for it")
        if updating:
            name = wrong[0].metadata.name
            text = "a broken pod of a rollout is not replaced by itself: correct the template, then delete it"
            advice = (Advice(text, f"kubectl delete pod {name} -n {meta.namespace}"),)
    if len(pods) < wanted:
        deeper = (*why_not_created(world, STATEFULSET, statefulset), *deeper)
    return Cause(about, _overview("pods are ready", status.readyReplicas, wanted), False, tuple(facts), advice, deeper)


def _ordinal(pod: Any) -> int:
    last = pod.metadata.name.rpartition("-")[2]
    return int(last) if last.isdigit() else 0


def why_daemonset(world: World, daemonset: Any) -> Cause:
    meta, status = daemonset.metadata, daemonset.status
    about = f"daemonset/{meta.name}"
    if status.observedGeneration < meta.generation:
        return Cause(about, "its last change has not been looked at by its controller yet")
    wanted = status.desiredNumberScheduled
    nodes = world.all(NODE)
    if not wanted:
        text = f"none of the {len(nodes)} nodes should have a pod of it" if nodes else "the cluster has no nodes"
        selector = daemonset.spec.template.spec.nodeSelector
        facts = []
        if selector:
            shown = ",".join(f"{k}={v}" for k, v in sorted(selector.items()))
            fits = [n for n in nodes if all(n.metadata.labels.get(k) == v for k, v in selector.items())]
            facts.append(f"its nodeSelector {shown} selects {len(fits)} nodes")
        tainted = [n for n in nodes if any(t.effect != "PreferNoSchedule" for t in n.spec.taints)]
        if tainted:
            facts.append(f"{len(tainted)} nodes have taints: its template may lack tolerations")
        advice = Advice(
            "correct nodeSelector, affinity or tolerations of its template",
            f"kubectl edit daemonset {meta.name} -n {meta.namespace}",
        )
        return Cause(about, text, facts=tuple(facts), advice=(advice,))
    pods = world.owned(POD, daemonset)
    if status.numberAvailable >= wanted and status.updatedNumberScheduled >= wanted:
        return Cause(about, f"all {wanted} nodes have a pod that is available", True)
    deeper = why_pods(world, pods)
    if len(pods) < wanted:
        deeper = (*why_not_created(world, DAEMONSET, daemonset), *deeper)
    facts = []
    if status.updatedNumberScheduled < wanted:
        how = daemonset.spec.updateStrategy.type
        note = " (updateStrategy OnDelete: delete the old ones)" if how == "OnDelete" else ""
        facts.append(f"{status.updatedNumberScheduled} of {wanted} pods have the new template{note}")
    return Cause(
        about, _overview("nodes have a pod that is ready", status.numberReady, wanted), False, tuple(facts), (), deeper
    )
