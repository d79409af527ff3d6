"""TTL after finished: deletes a Job ``ttlSecondsAfterFinished`` seconds after it became Complete or Failed."""

from __future__ import annotations

from pelamis.api.batch.job import KIND as JOB
from pelamis.api.batch.job import Job
from pelamis.base.clock import parse_rfc3339
from pelamis.client.types import Delete, Key
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.spec import Controller, Views, Watch


def gather(views: Views, key: Key) -> Job | None:
    job: Job | None = views(JOB).get(*key)
    if job is None or job.spec.ttlSecondsAfterFinished is None or job.metadata.deletionTimestamp is not None:
        return None
    return job


def reconcile(job: Job, now: float) -> Plan:
    ended = next(
        (c for c in job.status.conditions if c.type in ("Complete", "Failed") and c.status == "True"),
        None,
    )
    if ended is None or not ended.lastTransitionTime:
        return NOTHING
    expires = parse_rfc3339(ended.lastTransitionTime) + (job.spec.ttlSecondsAfterFinished or 0)
    if expires > now:
        return Plan(requeue_at=expires)
    meta = job.metadata
    delete = Delete(JOB, meta.namespace, meta.name, uid=meta.uid, rev=meta.resourceVersion, propagation="Foreground")
    return Plan(actions=(delete,))


CONTROLLER = Controller(
    name="ttlafterfinished",
    identity="ttl-after-finished-controller",
    component="ttl-after-finished-controller",
    watches=(Watch(JOB),),
    gather=gather,
    reconcile=reconcile,
)
