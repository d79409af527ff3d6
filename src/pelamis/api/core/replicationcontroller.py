"""ReplicationController: keeps a number of pods running. ReplicaSets and Deployments have taken its place."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.cell import format_containers, format_labels
from pelamis.api.check import check_nonnegative
from pelamis.api.core.pod.default import default_pod_template
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.validate import validate_pod_template
from pelamis.api.core.pod.warnings import pod_template_warnings, workload_name_warnings
from pelamis.api.field import F, Int32, Int64, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base.errors import FieldError, forbidden, invalid, not_supported, required
from pelamis.base.tree import copy


class ReplicationControllerSpec(Struct, frozen=True):
    """How many pods of what."""

    replicas: Annotated[Int32 | None, F(1, "Number of pods; default 1.", default=1)] = None
    minReadySeconds: Annotated[
        Int32, F(4, "Seconds a pod must be ready to count as available.", default=0, shown=True)
    ] = 0
    selector: Annotated[dict[str, str], F(2, "Labels of its pods; default the template's.", map="atomic")] = {}
    template: Annotated[PodTemplateSpec | None, F(3, "What new pods are like.")] = None


class ReplicationControllerCondition(Struct, frozen=True):
    """One aspect of the state."""

    type: Annotated[str, F(1, "ReplicaFailure.", required=True)] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    lastTransitionTime: Annotated[Time, F(3, "When status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase.")] = ""
    message: Annotated[str, F(5, "Text for people.")] = ""


class ReplicationControllerStatus(Struct, frozen=True):
    """How many pods there are."""

    replicas: Annotated[Int32, F(1, "Pods.", required=True)] = always(int)
    fullyLabeledReplicas: Annotated[Int32, F(2, "Pods with all labels of the template.")] = 0
    readyReplicas: Annotated[Int32, F(4, "Pods that are ready.")] = 0
    availableReplicas: Annotated[Int32, F(5, "Pods that have been ready for long enough.")] = 0
    observedGeneration: Annotated[Int64, F(3, "Generation that this is about.")] = 0
    conditions: Annotated[
        tuple[ReplicationControllerCondition, ...],
        F(6, "Aspects of the state.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class ReplicationController(Struct, frozen=True):
    """Keeps a number of pods running."""

    kind: str = always(lambda: "ReplicationController")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    spec: Annotated[ReplicationControllerSpec, F(2, "What is wanted.")] = always(ReplicationControllerSpec)
    status: Annotated[ReplicationControllerStatus, F(3, "What is.")] = always(ReplicationControllerStatus)


def default(tree: Tree) -> None:
    """Selector and labels follow the template's labels where they are not given."""
    spec = tree.get("spec") or {}
    template = spec.get("template")
    if not template:
        return
    default_pod_template(template)
    labels = (template.get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = copy(labels)
        metadata = tree.setdefault("metadata", {})
        if not metadata.get("labels"):
            metadata["labels"] = copy(labels)


def validate(obj: ReplicationController) -> list[FieldError]:
    spec = obj.spec
    errors = check_nonnegative(spec.minReadySeconds, "spec.minReadySeconds")
    if not spec.selector:
        errors.append(required("spec.selector"))
    errors += check_nonnegative(spec.replicas, "spec.replicas")
    template = spec.template
    if template is None:
        errors.append(required("spec.template"))
        return errors
    labels = template.metadata.labels
    if spec.selector and any(labels.get(k) != v for k, v in spec.selector.items()):
        detail = "`selector` does not match template `labels`"
        errors.append(invalid("spec.template.metadata.labels", labels or None, detail))
    errors += validate_pod_template(template, "spec.template")
    if template.spec.restartPolicy != "Always":
        at = "spec.template.spec.restartPolicy"
        errors.append(not_supported(at, template.spec.restartPolicy, ("Always",)))
    if template.spec.activeDeadlineSeconds is not None:
        detail = "activeDeadlineSeconds in ReplicationController is not Supported"
        errors.append(forbidden("spec.template.spec.activeDeadlineSeconds", detail))
    return errors


def validate_update(obj: ReplicationController, old: ReplicationController) -> list[FieldError]:
    return validate(obj)


def validate_status_update(obj: ReplicationController, old: ReplicationController) -> list[FieldError]:
    status = obj.status
    errors: list[FieldError] = []
    for name in ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"):
        errors += check_nonnegative(getattr(status, name), f"status.{name}")
    for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
        if getattr(status, name) > status.replicas:
            errors.append(invalid(f"status.{name}", getattr(status, name), "cannot be greater than status.replicas"))
    if status.availableReplicas > status.readyReplicas:
        detail = "cannot be greater than readyReplicas"
        errors.append(invalid("status.availableReplicas", status.availableReplicas, detail))
    return errors


def update_warnings(obj: ReplicationController) -> list[str]:
    return pod_template_warnings(obj.spec.template, "spec.template") if obj.spec.template is not None else []


def warnings(obj: ReplicationController) -> list[str]:
    return workload_name_warnings(obj.metadata.name) + update_warnings(obj)


def cells(obj: ReplicationController, now: float) -> tuple[Any, ...]:
    spec, status = obj.spec, obj.status
    template = spec.template
    containers, images = format_containers(template.spec) if template is not None else ("", "")
    return (
        obj.metadata.name,
        spec.replicas or 0,
        status.replicas,
        status.readyReplicas,
        age(obj.metadata.creationTimestamp, now),
        containers,
        images,
        format_labels(spec.selector),
    )


KIND = Kind(
    group="",
    version="v1",
    type=ReplicationController,
    plural="replicationcontrollers",
    singular="replicationcontroller",
    short_names=("rc",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update")),
        Subresource("status", "", "v1", "ReplicationController", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    generation=True,
    gc_policy="OrphanDependents",
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
    storage_hash="Jond2If31h0=",
    storage="controllers",
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    warnings=warnings,
    update_warnings=update_warnings,
    selectable={"status.replicas": lambda rc: str(rc.status.replicas)},
)
