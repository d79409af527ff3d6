"""DaemonSet: one pod of a template on every node that fits.

The annotation ``deprecated.daemonset.template.generation`` counts changes of the template; upstream keeps serving it
for clients from before ControllerRevisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.apps.template import (
    MISMATCH,
    compile_selector,
    validate_long_running,
    validate_shared_disks,
)
from pelamis.api.cell import format_containers, format_labels, format_selector
from pelamis.api.check import (
    Errors,
    amount,
    check_at_most_100_percent,
    check_immutable,
    check_int_or_percent,
    check_nonnegative,
)
from pelamis.api.core.pod.default import default_pod_template
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.validate import validate_pod_template
from pelamis.api.field import F, Int32, Int64, IntOrString, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.metavalidate import validate_label_selector
from pelamis.api.table import age
from pelamis.base.errors import invalid, not_supported, required


class RollingUpdateDaemonSet(Struct, frozen=True):
    maxUnavailable: Annotated[IntOrString | None, F(1)] = None
    maxSurge: Annotated[IntOrString | None, F(2)] = None


class DaemonSetUpdateStrategy(Struct, frozen=True):
    type: Annotated[
        str,
        F(
            1,
            enum=(
                "RollingUpdate",
                "OnDelete",
            ),
            default="RollingUpdate",
        ),
    ] = ""
    rollingUpdate: Annotated[RollingUpdateDaemonSet | None, F(2)] = None


class DaemonSetSpec(Struct, frozen=True):
    selector: Annotated[LabelSelector | None, F(1, required=True)] = None
    template: Annotated[PodTemplateSpec, F(2, required=True)] = always(PodTemplateSpec)
    updateStrategy: Annotated[DaemonSetUpdateStrategy, F(3)] = always(DaemonSetUpdateStrategy)
    minReadySeconds: Annotated[Int32, F(4)] = 0
    revisionHistoryLimit: Annotated[Int32 | None, F(6, default=10)] = None


class DaemonSetCondition(Struct, frozen=True):
    type: Annotated[str, F(1)] = always(str)
    status: Annotated[str, F(2)] = always(str)
    lastTransitionTime: Annotated[Time, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""


class DaemonSetStatus(Struct, frozen=True):
    currentNumberScheduled: Annotated[Int32, F(1, required=True)] = always(int)
    numberMisscheduled: Annotated[Int32, F(2, required=True)] = always(int)
    desiredNumberScheduled: Annotated[Int32, F(3, required=True)] = always(int)
    numberReady: Annotated[Int32, F(4, required=True)] = always(int)
    observedGeneration: Annotated[Int64, F(5)] = 0
    updatedNumberScheduled: Annotated[Int32, F(6)] = 0
    numberAvailable: Annotated[Int32, F(7)] = 0
    numberUnavailable: Annotated[Int32, F(8)] = 0
    collisionCount: Annotated[Int32 | None, F(9)] = None
    conditions: Annotated[
        tuple[DaemonSetCondition, ...], F(10, merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class DaemonSet(Struct, frozen=True):
    kind: str = always(lambda: "DaemonSet")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[DaemonSetSpec, F(2, required=True)] = always(DaemonSetSpec)
    status: Annotated[DaemonSetStatus, F(3)] = always(DaemonSetStatus)


TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    default_pod_template(spec.setdefault("template", {}))


def _template_generation(tree: Tree) -> int:
    text = tree["metadata"].get("annotations", {}).get(TEMPLATE_GENERATION, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _set_template_generation(tree: Tree, value: int) -> None:
    tree["metadata"]["annotations"] = {**tree["metadata"].get("annotations", {}), TEMPLATE_GENERATION: str(value)}


def prepare_create(tree: Tree) -> None:
    _set_template_generation(tree, max(1, _template_generation(tree)))


def prepare_update(tree: Tree, old: Tree) -> None:
    changed = tree["spec"].get("template") != old["spec"].get("template")
    _set_template_generation(tree, max(1, _template_generation(old)) + changed)


def _validate_strategy(strategy: DaemonSetUpdateStrategy, path: str) -> Errors:
    if strategy.type == "OnDelete":
        return []
    if strategy.type != "RollingUpdate":
        return [not_supported(path, strategy, ["RollingUpdate", "OnDelete"])]
    rolling = strategy.rollingUpdate
    path += ".rollingUpdate"
    if rolling is None:
        return [required(path)]
    errors: Errors = []
    for name in ("maxUnavailable", "maxSurge"):
        errors += check_int_or_percent(getattr(rolling, name), f"{path}.{name}")
    for name in ("maxUnavailable", "maxSurge"):
        errors += check_at_most_100_percent(getattr(rolling, name), f"{path}.{name}")
    if amount(rolling.maxUnavailable) and amount(rolling.maxSurge):
        errors.append(invalid(f"{path}.maxSurge", rolling.maxSurge, "may not be set when maxUnavailable is non-zero"))
    elif not amount(rolling.maxUnavailable) and not amount(rolling.maxSurge):
        errors.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors


def validate(obj: DaemonSet) -> Errors:
    spec, path = obj.spec, "spec.template"
    errors = list(validate_label_selector(spec.selector, "spec.selector")) if spec.selector is not None else []
    selector = compile_selector(spec.selector)
    if selector is not None and not selector.matches(spec.template.metadata.labels):
        errors.append(invalid(f"{path}.metadata.labels", spec.template.metadata.labels, MISMATCH))
    if spec.selector is not None and not spec.selector.matchLabels and not spec.selector.matchExpressions:
        errors.append(invalid("spec.selector", spec.selector, "empty selector is invalid for daemonset"))
    errors += validate_pod_template(spec.template, path)
    errors += validate_shared_disks(spec.template, path)
    errors += validate_long_running(spec.template, path, "DaemonSet")
    errors += check_nonnegative(spec.minReadySeconds, "spec.minReadySeconds")
    errors += _validate_strategy(spec.updateStrategy, "spec.updateStrategy")
    errors += check_nonnegative(spec.revisionHistoryLimit, "spec.revisionHistoryLimit")
    return errors


def validate_update(obj: DaemonSet, old: DaemonSet) -> Errors:
    return validate(obj) + check_immutable(obj.spec.selector, old.spec.selector, "spec.selector")


def validate_status_update(obj: DaemonSet, old: DaemonSet) -> Errors:
    errors: Errors = []
    for name in (
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ):
        errors += check_nonnegative(getattr(obj.status, name), f"status.{name}")
    if (obj.status.collisionCount or 0) < (old.status.collisionCount or 0):
        errors.append(invalid("status.collisionCount", obj.status.collisionCount or 0, "cannot be decremented"))
    return errors


def cells(obj: DaemonSet, now: float) -> Sequence[Any]:
    status = obj.status
    names, images = format_containers(obj.spec.template.spec)
    return (
        obj.metadata.name,
        status.desiredNumberScheduled,
        status.currentNumberScheduled,
        status.numberReady,
        status.updatedNumberScheduled,
        status.numberAvailable,
        format_labels(obj.spec.template.spec.nodeSelector),
        age(obj.metadata.creationTimestamp, now),
        names,
        images,
        format_selector(obj.spec.selector),
    )


KIND = Kind(
    group="apps",
    version="v1",
    type=DaemonSet,
    plural="daemonsets",
    singular="daemonset",
    short_names=("ds",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "apps", "v1", "DaemonSet", ("get", "patch", "update"), reset=("spec",)),),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Desired", "integer"),
        Column("Current", "integer"),
        Column("Ready", "integer"),
        Column("Up-to-date", "integer"),
        Column("Available", "integer"),
        Column("Node Selector", "string"),
        Column("Age", "string"),
        Column("Containers", "string", priority=1),
        Column("Images", "string", priority=1),
        Column("Selector", "string", priority=1),
    ),
    storage_hash="dd7pWHUlMKQ=",
    cells=cells,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
