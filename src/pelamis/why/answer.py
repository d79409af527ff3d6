"""Which analysis answers for which kind; and one for every other kind, from conditions, finalizers and events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.batch.cronjob import KIND as CRONJOB
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.custom import Custom
from pelamis.api.kind import Kind
from pelamis.why.cause import Advice, Cause
from pelamis.why.claim import why_claim
from pelamis.why.job import why_cronjob, why_job
from pelamis.why.node import why_node
from pelamis.why.pod import why_pod
from pelamis.why.service import why_service
from pelamis.why.workload import why_daemonset, why_deployment, why_replicaset, why_statefulset
from pelamis.why.world import World

ANALYSES: dict[Kind, Callable[[World, Any], Cause]] = {
    POD: lambda world, pod: why_pod(world, pod, placement=True),
    DEPLOYMENT: why_deployment,
    REPLICASET: why_replicaset,
    STATEFULSET: why_statefulset,
    DAEMONSET: why_daemonset,
    JOB: why_job,
    CRONJOB: why_cronjob,
    CLAIM: why_claim,
    SERVICE: why_service,
    NODE: why_node,
}
_GOOD_WHEN_FALSE = ("Pressure", "Failure", "Failed", "Stalled", "Dangling", "Unavailable", "Degraded", "ScalingLimited")


def answer(world: World, kind: Kind, obj: Any) -> Cause:
    """Raises NotLoaded; to be called again when that is loaded."""
    analysis = ANALYSES.get(kind)
    return analysis(world, obj) if analysis is not None else anything(world, kind, obj)


def anything(world: World, kind: Kind, obj: Any) -> Cause:
    """What an object says of itself."""
    meta = obj.metadata
    about = f"{kind.singular}/{meta.name}"
    facts = []
    wrong = False
    if isinstance(obj, Custom):
        conditions = obj.get("status", "conditions")
    else:
        conditions = getattr(getattr(obj, "status", None), "conditions", None)
    for each in conditions if isinstance(conditions, list | tuple) else ():
        known = (
            each
            if isinstance(each, dict)
            else {n: getattr(each, n, "") for n in ("type", "status", "reason", "message")}
        )
        name, state = str(known.get("type", "")), str(known.get("status", ""))
        good = "False" if any(word in name for word in _GOOD_WHEN_FALSE) else "True"
        if state != good:
            wrong = True
            said = known.get("message") or known.get("reason") or ""
            facts.append(f"{name} is {state}" + (f": {said}" if said else ""))
    advice: tuple[Advice, ...] = ()
    text = "says that something is not as it should be" if wrong else "says nothing of trouble"
    if getattr(meta, "deletionTimestamp", None):
        finalizers = list(getattr(meta, "finalizers", ()) or ())
        spec = getattr(obj, "spec", None)
        finalizers += list(getattr(spec, "finalizers", ()) or ())
        text = "is being deleted" + (f", and waits for its finalizers {', '.join(finalizers)}" if finalizers else "")
        if finalizers:
            wrong = True
            advice = (Advice("the controllers that these belong to have to take them away; look whether they run"),)
    for event in world.events(kind, obj, warnings=True)[:3]:
        wrong = True
        facts.append(f"event {event.reason}: {event.message}")
    return Cause(about, text, not wrong, tuple(facts), advice)
