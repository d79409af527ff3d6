"""The pods of a Job: how each is made, and what it tells of those of its index before it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pelamis.api.batch.job import KIND as JOB
from pelamis.api.batch.job import Job
from pelamis.api.core.pod.container import EnvVar, EnvVarSource
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.volume import ObjectFieldSelector
from pelamis.reconcile.jobpolicy import INDEX
from pelamis.reconcile.podcontrol import pod_of

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX_ENV = "JOB_COMPLETION_INDEX"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


def of(job: Job, index: int | None = None, failures: int = 0, ignored: int = 0) -> Pod:
    """index: of an indexed Job; failures, ignored: of the index before, which count and which do not."""
    pod = pod_of(job.spec.template, job, JOB)
    meta, spec = pod.metadata, pod.spec
    finalizers = (*(f for f in meta.finalizers if f != FINALIZER), FINALIZER)
    if index is None:
        return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(meta, finalizers=finalizers))
    annotations = {**meta.annotations, INDEX: str(index)}
    if job.spec.backoffLimitPerIndex is not None:
        annotations[INDEX_FAILURES] = str(failures)
        if ignored:
            annotations[INDEX_IGNORED] = str(ignored)
    name = f"{job.metadata.name}-{index}"
    env = EnvVar(
        name=INDEX_ENV,
        valueFrom=EnvVarSource(fieldRef=ObjectFieldSelector(fieldPath=f"metadata.labels['{INDEX}']")),
    )

    def with_env(containers: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(
            c if any(e.name == INDEX_ENV for e in c.env) else msgspec.structs.replace(c, env=(*c.env, env))
            for c in containers
        )

    return msgspec.structs.replace(
        pod,
        metadata=msgspec.structs.replace(
            meta,
            generateName=f"{name}-",
            annotations=annotations,
            labels={**meta.labels, INDEX: str(index)},
            finalizers=finalizers,
        ),
        spec=msgspec.structs.replace(
            spec,
            hostname=name,
            containers=with_env(spec.containers),
            initContainers=with_env(spec.initContainers),
        ),
    )


def failures(pod: Pod, annotation: str = INDEX_FAILURES) -> int:
    """Of its index before it, that count."""
    text = pod.metadata.annotations.get(annotation, "")
    return int(text) if text.isdigit() else 0


def all_failures(pod: Pod) -> int:
    """Of its index before it, those that the pod failure policy ignores included."""
    return failures(pod) + failures(pod, INDEX_IGNORED)
