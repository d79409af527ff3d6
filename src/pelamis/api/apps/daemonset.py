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
    as_go,
    check_at_most_100_percent,
    check_immutable,
    check_int_or_percent,
    check_nonnegative,
)
from pelamis.api.core.pod.default import default_pod_template
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.validate import validate_pod_template
from pelamis.api.core.pod.warnings import pod_template_warnings
from pelamis.api.field import F, Int32, Int64, IntOrString, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.metavalidate import validate_label_selector
from pelamis.api.table import age
from pelamis.base.errors import invalid, not_supported, required


class RollingUpdateDaemonSet(Struct, frozen=True):
    maxUnavailable: Annotated[
        IntOrString | None,
        F(1, "Most nodes, as a number or a percentage, whose pod may be down during an update; 1 if unset."),
    ] = None
    maxSurge: Annotated[
        IntOrString | None,
        F(2, "Most nodes, as a number or a percentage, that may run the old and the new pod at once; 0 if unset."),
    ] = None


class DaemonSetUpdateStrategy(Struct, frozen=True):
    type: Annotated[
        str,
        F(
            1,
            "RollingUpdate, or OnDelete: a pod is replaced when somebody deletes it.",
            enum=(
                "RollingUpdate",
                "OnDelete",
            ),
            default="RollingUpdate",
        ),
    ] = ""
    rollingUpdate: Annotated[
        RollingUpdateDaemonSet | None, F(2, "Settings of type RollingUpdate; not for other types.")
    ] = None


class DaemonSetSpec(Struct, frozen=True):
    selector: Annotated[
        LabelSelector | None,
        F(1, "Which pods belong to it, by their labels; it must match the template and cannot change.", required=True),
    ] = None
    template: Annotated[PodTemplateSpec, F(2, "The pod that is made.", required=True)] = always(PodTemplateSpec)
    updateStrategy: Annotated[DaemonSetUpdateStrategy, F(3, "How pods of an old template are replaced.")] = always(
        DaemonSetUpdateStrategy
    )
    minReadySeconds: Annotated[
        Int32, F(4, "Seconds that a new pod must be ready before it counts as available; 0 means at once.")
    ] = 0
    revisionHistoryLimit: Annotated[
        Int32 | None, F(6, "How many old revisions are kept for rollback; 10 if unset.", default=10)
    ] = None


class DaemonSetCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Type of the condition.")] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.")] = always(str)
    lastTransitionTime: Annotated[Time, F(3, "When the status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase for the last transition.")] = ""
    message: Annotated[str, F(5, "The last transition, for people.")] = ""


class DaemonSetStatus(Struct, frozen=True):
    currentNumberScheduled: Annotated[Int32, F(1, "Nodes that run the pod and should.", required=True)] = always(int)
    numberMisscheduled: Annotated[Int32, F(2, "Nodes that run the pod and should not.", required=True)] = always(int)
    desiredNumberScheduled: Annotated[Int32, F(3, "Nodes that should run the pod.", required=True)] = always(int)
    numberReady: Annotated[Int32, F(4, "Nodes that should run the pod and have a ready one.", required=True)] = always(
        int
    )
    observedGeneration: Annotated[Int64, F(5, "The generation of the object that the status was computed from.")] = 0
    updatedNumberScheduled: Annotated[Int32, F(6, "Nodes that run the newest pod.")] = 0
    numberAvailable: Annotated[Int32, F(7, "Nodes with a pod that has been ready for minReadySeconds.")] = 0
    numberUnavailable: Annotated[Int32, F(8, "Nodes that should have an available pod and have none.")] = 0
    collisionCount: Annotated[Int32 | None, F(9, "Counts hash collisions of generated names; feeds the next hash.")] = (
        None
    )
    conditions: Annotated[
        tuple[DaemonSetCondition, ...],
        F(10, "Latest observations, one for each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class DaemonSet(Struct, frozen=True):
    """One pod of a template on every node that fits."""

    kind: str = always(lambda: "DaemonSet")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[DaemonSetSpec, F(2, "What is wanted.", required=True)] = always(DaemonSetSpec)
    status: Annotated[DaemonSetStatus, F(3, "What was observed; written by the system.")] = always(DaemonSetStatus)


TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    default_pod_template(spec.setdefault("template", {}))
    metadata = tree.setdefault("metadata", {})
    if TEMPLATE_GENERATION not in (metadata.get("annotations") or {}):
        # a field of the internal object: whoever writes one owns it
        metadata["annotations"] = {**(metadata.get("annotations") or {}), TEMPLATE_GENERATION: "0"}


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
        return [not_supported(path, as_go(strategy), ["RollingUpdate", "OnDelete"])]
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
        errors.append(invalid(f"{path}.metadata.labels", spec.template.metadata.labels or None, MISMATCH))
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


def update_warnings(obj: DaemonSet) -> list[str]:
    return pod_template_warnings(obj.spec.template, "spec.template")


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
    warnings=update_warnings,
    update_warnings=update_warnings,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
