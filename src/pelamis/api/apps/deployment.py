"""Deployment: declares which pods should run; its ReplicaSets, one per template, make them.

A new template makes a new ReplicaSet, and pods move over by the strategy. ``metadata.generation`` also grows when only
the annotations change, because they are copied to the ReplicaSets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.apps.template import validate_replicated_template, validate_selector
from pelamis.api.cell import format_containers, selector_text
from pelamis.api.check import (
    Errors,
    amount,
    as_go,
    check_at_most_100_percent,
    check_immutable,
    check_int_or_percent,
    check_nonnegative,
)
from pelamis.api.core.pod.default import default_pod_template
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.warnings import pod_template_warnings, workload_name_warnings
from pelamis.api.field import F, Int32, Int64, IntOrString, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.table import age
from pelamis.base.errors import forbidden, invalid, not_supported, required


class RollingUpdateDeployment(Struct, frozen=True):
    maxUnavailable: Annotated[
        IntOrString | None,
        F(
            1,
            "Most pods (number, or percentage rounded down) missing during an update; 25% if unset.",
        ),
    ] = None
    maxSurge: Annotated[
        IntOrString | None,
        F(
            2,
            "Most pods (number, or percentage rounded up) beyond those wanted during an update; 25% if unset.",
        ),
    ] = None


class DeploymentStrategy(Struct, frozen=True):
    type: Annotated[
        str,
        F(
            1,
            "RollingUpdate, or Recreate: all old pods end before new ones start.",
            enum=(
                "Recreate",
                "RollingUpdate",
            ),
            default="RollingUpdate",
        ),
    ] = ""
    rollingUpdate: Annotated[
        RollingUpdateDeployment | None, F(2, "Settings of type RollingUpdate; not for other types.")
    ] = None


class DeploymentSpec(Struct, frozen=True):
    replicas: Annotated[Int32 | None, F(1, "Number of pods wanted; 1 if unset.", default=1)] = None
    selector: Annotated[
        LabelSelector | None,
        F(2, "Which pods belong to it, by their labels; it must match the template and cannot change.", required=True),
    ] = None
    template: Annotated[PodTemplateSpec, F(3, "The pod that is made.", required=True)] = always(PodTemplateSpec)
    strategy: Annotated[DeploymentStrategy, F(4, "How pods of an old template are replaced.", merge="retainKeys")] = (
        always(DeploymentStrategy)
    )
    minReadySeconds: Annotated[
        Int32, F(5, "Seconds that a new pod must be ready before it counts as available; 0 means at once.")
    ] = 0
    revisionHistoryLimit: Annotated[
        Int32 | None, F(6, "How many old revisions are kept for rollback; 10 if unset.", default=10)
    ] = None
    paused: Annotated[bool, F(7, "While true changes of the template are not rolled out.")] = False
    progressDeadlineSeconds: Annotated[
        Int32 | None,
        F(9, "Seconds without progress after which a rollout counts as failed; 600 if unset.", default=600),
    ] = None


class DeploymentCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Type of the condition.")] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.")] = always(str)
    lastUpdateTime: Annotated[Time, F(6, "When the condition was last written.")] = ""
    lastTransitionTime: Annotated[Time, F(7, "When the status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase for the last transition.")] = ""
    message: Annotated[str, F(5, "The last transition, for people.")] = ""


class DeploymentStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64, F(1, "The generation of the object that the status was computed from.")] = 0
    replicas: Annotated[Int32, F(2, "Pods that exist and have not ended.")] = 0
    updatedReplicas: Annotated[Int32, F(3, "Pods of the newest template.")] = 0
    readyReplicas: Annotated[Int32, F(7, "Pods that are ready.")] = 0
    availableReplicas: Annotated[Int32, F(4, "Pods that have been ready for minReadySeconds.")] = 0
    unavailableReplicas: Annotated[Int32, F(5, "Pods still missing until all wanted ones are available.")] = 0
    terminatingReplicas: Annotated[Int32 | None, F(9, "Pods that are being deleted and have not ended yet.")] = None
    conditions: Annotated[
        tuple[DeploymentCondition, ...],
        F(6, "Latest observations, one for each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()
    collisionCount: Annotated[
        Int32 | None, F(8, "Counts hash collisions of ReplicaSet names; feeds the next hash.")
    ] = None


class Deployment(Struct, frozen=True):
    """Declares which pods should run; its ReplicaSets, one per template, make them."""

    kind: str = always(lambda: "Deployment")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[DeploymentSpec, F(2, "What is wanted.", required=True)] = always(DeploymentSpec)
    status: Annotated[DeploymentStatus, F(3, "What was observed; written by the system.")] = always(DeploymentStatus)


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    default_pod_template(spec.setdefault("template", {}))


def prepare_update(tree: Tree, old: Tree) -> None:
    if tree["metadata"].get("annotations", {}) != old["metadata"].get("annotations", {}):
        tree["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _validate_rolling_update(rolling: RollingUpdateDeployment, path: str) -> Errors:
    errors = check_int_or_percent(rolling.maxUnavailable, f"{path}.maxUnavailable")
    errors += check_int_or_percent(rolling.maxSurge, f"{path}.maxSurge")
    if amount(rolling.maxUnavailable) == 0 and amount(rolling.maxSurge) == 0:
        errors.append(invalid(f"{path}.maxUnavailable", rolling.maxUnavailable, "may not be 0 when `maxSurge` is 0"))
    errors += check_at_most_100_percent(rolling.maxUnavailable, f"{path}.maxUnavailable")
    return errors


def _validate_strategy(strategy: DeploymentStrategy, path: str) -> Errors:
    if strategy.type == "Recreate":
        if strategy.rollingUpdate is not None:
            return [forbidden(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
        return []
    if strategy.type == "RollingUpdate":
        if strategy.rollingUpdate is None:
            return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
        return _validate_rolling_update(strategy.rollingUpdate, f"{path}.rollingUpdate")
    return [not_supported(path, as_go(strategy), ["Recreate", "RollingUpdate"])]


def validate(obj: Deployment) -> Errors:
    spec = obj.spec
    errors = check_nonnegative(spec.replicas, "spec.replicas")
    errors += validate_selector(spec.selector, "spec.selector", "empty selector is invalid for deployment")
    errors += validate_replicated_template(spec.selector, spec.template, spec.replicas or 0, "spec")
    errors += _validate_strategy(spec.strategy, "spec.strategy")
    errors += check_nonnegative(spec.minReadySeconds, "spec.minReadySeconds")
    errors += check_nonnegative(spec.revisionHistoryLimit, "spec.revisionHistoryLimit")
    deadline = spec.progressDeadlineSeconds
    if deadline is not None:
        path = "spec.progressDeadlineSeconds"
        errors += check_nonnegative(deadline, path)
        if deadline <= spec.minReadySeconds:
            errors.append(invalid(path, deadline, "must be greater than minReadySeconds"))
    return errors


def validate_update(obj: Deployment, old: Deployment) -> Errors:
    return validate(obj) + check_immutable(obj.spec.selector, old.spec.selector, "spec.selector")


def validate_status_update(obj: Deployment, old: Deployment) -> Errors:
    status = obj.status
    errors: Errors = []
    for name in (
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ):
        errors += check_nonnegative(getattr(status, name), f"status.{name}")
    for name in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        if getattr(status, name) > status.replicas:
            errors.append(invalid(f"status.{name}", getattr(status, name), "cannot be greater than status.replicas"))
    if status.availableReplicas > status.readyReplicas:
        errors.append(
            invalid("status.availableReplicas", status.availableReplicas, "cannot be greater than readyReplicas")
        )
    if (status.collisionCount or 0) < (old.status.collisionCount or 0):
        errors.append(invalid("status.collisionCount", status.collisionCount or 0, "cannot be decremented"))
    return errors


def update_warnings(obj: Deployment) -> list[str]:
    return pod_template_warnings(obj.spec.template, "spec.template")


def warnings(obj: Deployment) -> list[str]:
    return workload_name_warnings(obj.metadata.name) + update_warnings(obj)


def cells(obj: Deployment, now: float) -> Sequence[Any]:
    status = obj.status
    names, images = format_containers(obj.spec.template.spec)
    return (
        obj.metadata.name,
        f"{status.readyReplicas}/{obj.spec.replicas or 0}",
        status.updatedReplicas,
        status.availableReplicas,
        age(obj.metadata.creationTimestamp, now),
        names,
        images,
        selector_text(obj.spec.selector),
    )


KIND = Kind(
    group="apps",
    version="v1",
    type=Deployment,
    plural="deployments",
    singular="deployment",
    short_names=("deploy",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("scale", "autoscaling", "v1", "Scale", ("get", "patch", "update")),
        Subresource(
            "status", "apps", "v1", "Deployment", ("get", "patch", "update"), reset=("spec", "metadata.labels")
        ),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Ready", "string"),
        Column("Up-to-date", "string"),
        Column("Available", "string"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
        Column("Selector", "string", priority=1),
    ),
    storage_hash="8aSe+NMegvE=",
    cells=cells,
    default=default,
    prepare_update=prepare_update,
    validate=validate,
    warnings=warnings,
    update_warnings=update_warnings,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
