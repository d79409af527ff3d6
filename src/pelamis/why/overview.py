"""What of a namespace, or of everything, is not as it should be."""

from __future__ import annotations

from dataclasses import replace
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
from pelamis.api.kind import Kind
from pelamis.why.answer import ANALYSES
from pelamis.why.cause import Cause
from pelamis.why.pod import why_pod
from pelamis.why.world import World

_KINDS: tuple[Kind, ...] = (NODE, DEPLOYMENT, STATEFULSET, DAEMONSET, REPLICASET, CRONJOB, JOB, CLAIM, SERVICE, POD)


def _is_owned(obj: Any) -> bool:
    """Then its owner speaks for it."""
    return any(r.controller for r in obj.metadata.ownerReferences)


def overview(world: World, namespace: str) -> Cause:
    """namespace "": of all."""
    about = f"namespace/{namespace}" if namespace else "cluster"
    wrong: list[Cause] = []
    looked = 0
    for kind in _KINDS:
        for obj in world.all(kind, namespace if kind.namespaced else ""):
            if _is_owned(obj):
                continue
            looked += 1
            found = ANALYSES[kind](world, obj) if kind is not POD else why_pod(world, obj)
            if not found.ok:
                where = obj.metadata.namespace
                prefix = f"{where}/" if where and not namespace else ""
                wrong.append(_named(found, prefix))
    if not wrong:
        return Cause(about, f"all is well: {looked} objects were looked at", True)
    things = "1 thing is" if len(wrong) == 1 else f"{len(wrong)} things are"
    return Cause(about, f"{things} not as they should be ({looked} were looked at)", deeper=tuple(wrong))


def _named(cause: Cause, prefix: str) -> Cause:
    return replace(cause, about=prefix + cause.about) if prefix else cause
