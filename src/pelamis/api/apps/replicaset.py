"""ReplicaSet: keeps a number of pods of one template running; usually made by a Deployment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.apps.template import validate_replicated_template, validate_selector
from pelamis.api.cell import format_containers, format_selector
from pelamis.api.check import Errors, check_immutable, check_nonnegative
from pelamis.api.core.pod.default import default_pod_template
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.warnings import pod_template_warnings, workload_name_warnings
from pelamis.api.field import F, Int32, Int64, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.table import age
from pelamis.base.errors import invalid


class ReplicaSetSpec(Struct, frozen=True):
    replicas: Annotated[Int32 | None, F(1, "Number of pods wanted; 1 if unset.", default=1)] = None
    minReadySeconds: Annotated[
        Int32, F(4, "Seconds that a new pod must be ready before it counts as available; 0 means at once.")
    ] = 0
    selector: Annotated[
        LabelSelector | None,
        F(2, "Which pods belong to it, by their labels; it must match the template and cannot change.", required=True),
    ] = None
    template: Annotated[PodTemplateSpec, F(3, "The pod that is made.")] = always(PodTemplateSpec)


class ReplicaSetCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Type of the condition.")] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.")] = always(str)
    lastTransitionTime: Annotated[Time, F(3, "When the status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase for the last transition.")] = ""
    message: Annotated[str, F(5, "The last transition, for people.")] = ""


class ReplicaSetStatus(Struct, frozen=True):
    replicas: Annotated[Int32, F(1, "Pods that exist and have not ended.", required=True)] = always(int)
    fullyLabeledReplicas: Annotated[Int32, F(2, "Pods that have all labels of the template.")] = 0
    readyReplicas: Annotated[Int32, F(4, "Pods that are ready.")] = 0
    availableReplicas: Annotated[Int32, F(5, "Pods that have been ready for minReadySeconds.")] = 0
    terminatingReplicas: Annotated[Int32 | None, F(7, "Pods that are being deleted and have not ended yet.")] = None
    observedGeneration: Annotated[Int64, F(3, "The generation of the object that the status was computed from.")] = 0
    conditions: Annotated[
        tuple[ReplicaSetCondition, ...],
        F(6, "Latest observations, one for each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class ReplicaSet(Struct, frozen=True):
    """Keeps a number of pods of one template running; usually made by a Deployment."""

    kind: str = always(lambda: "ReplicaSet")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[ReplicaSetSpec, F(2, "What is wanted.", required=True)] = always(ReplicaSetSpec)
    status: Annotated[ReplicaSetStatus, F(3, "What was observed; written by the system.")] = always(ReplicaSetStatus)


def default(tree: Tree) -> None:
    default_pod_template(tree.setdefault("spec", {}).setdefault("template", {}))


def validate(obj: ReplicaSet) -> Errors:
    spec = obj.spec
    errors = check_nonnegative(spec.replicas, "spec.replicas")
    errors += check_nonnegative(spec.minReadySeconds, "spec.minReadySeconds")
    # the text names the deployment in upstream too
    errors += validate_selector(spec.selector, "spec.selector", "empty selector is invalid for deployment")
    errors += validate_replicated_template(spec.selector, spec.template, spec.replicas or 0, "spec")
    return errors


def validate_update(obj: ReplicaSet, old: ReplicaSet) -> Errors:
    return validate(obj) + check_immutable(obj.spec.selector, old.spec.selector, "spec.selector")


def validate_status_update(obj: ReplicaSet, old: ReplicaSet) -> Errors:
    status = obj.status
    errors: Errors = []
    for name in (
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "terminatingReplicas",
        "observedGeneration",
    ):
        errors += check_nonnegative(getattr(status, name), f"status.{name}")
    for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
        if getattr(status, name) > status.replicas:
            errors.append(invalid(f"status.{name}", getattr(status, name), "cannot be greater than status.replicas"))
    if status.availableReplicas > status.readyReplicas:
        errors.append(
            invalid("status.availableReplicas", status.availableReplicas, "cannot be greater than readyReplicas")
        )
    return errors


def update_warnings(obj: ReplicaSet) -> list[str]:
    return pod_template_warnings(obj.spec.template, "spec.template")


def warnings(obj: ReplicaSet) -> list[str]:
    return workload_name_warnings(obj.metadata.name) + update_warnings(obj)


def cells(obj: ReplicaSet, now: float) -> Sequence[Any]:
    names, images = format_containers(obj.spec.template.spec)
    return (
        obj.metadata.name,
        obj.spec.replicas or 0,
        obj.status.replicas,
        obj.status.readyReplicas,
        age(obj.metadata.creationTimestamp, now),
        names,
        images,
        format_selector(obj.spec.selector),
    )


KIND = Kind(
    group="apps",
    version="v1",
    type=ReplicaSet,
    plural="replicasets",
    singular="replicaset",
    short_names=("rs",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update")),
        Subresource("status", "apps", "v1", "ReplicaSet", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Desired", "integer"),
        Column("Current", "integer"),
        Column("Ready", "integer"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
        Column("Selector", "string", priority=1),
    ),
    storage_hash="P1RzHs8/mWQ=",
    cells=cells,
    default=default,
    validate=validate,
    warnings=warnings,
    update_warnings=update_warnings,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    selectable={"status.replicas": lambda obj: str(obj.status.replicas)},
)
