"""Scale: the number of replicas of a workload, as its ``scale`` subresource shows and changes it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from pelamis.api.cell import selector_text
from pelamis.api.check import Errors, check_nonnegative
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.meta import LabelSelector, ObjectMeta


class ScaleSpec(Struct, frozen=True):
    replicas: Annotated[Int32, F(1, "Number of pods wanted.", default=0, shown=True)] = 0


class ScaleStatus(Struct, frozen=True):
    replicas: Annotated[Int32, F(1, "Number of pods that exist.", required=True)] = always(int)
    selector: Annotated[str, F(2, "Which pods belong to it, in the notation of kubectl get -l.")] = ""


class Scale(Struct, frozen=True):
    """The number of replicas of a workload, as its ``scale`` subresource shows and changes it."""

    kind: str = always(lambda: "Scale")
    apiVersion: str = always(lambda: "autoscaling/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[ScaleSpec, F(2, "What is wanted.")] = always(ScaleSpec)
    status: Annotated[ScaleStatus, F(3, "What was observed; written by the system.")] = always(ScaleStatus)


def scale_of(obj: Any) -> Scale:
    """The Scale of a workload object (Deployment, ReplicaSet, StatefulSet, ReplicationController)."""
    meta, selector = obj.metadata, obj.spec.selector
    if selector is None or isinstance(selector, LabelSelector):
        text = selector_text(selector)
    else:
        text = ",".join(f"{k}={v}" for k, v in sorted(selector.items()))
    return Scale(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=ScaleSpec(replicas=obj.spec.replicas or 0),
        status=ScaleStatus(replicas=obj.status.replicas, selector=text),
    )


def scaled(obj: Any, scale: Scale) -> Any:
    """The workload object with the replicas of the Scale."""
    return msgspec.structs.replace(obj, spec=msgspec.structs.replace(obj.spec, replicas=scale.spec.replicas))


def validate(obj: Scale) -> Errors:
    return check_nonnegative(obj.spec.replicas, "spec.replicas")
