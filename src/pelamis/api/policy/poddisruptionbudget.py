"""PodDisruptionBudget: how many pods of a selection voluntary disruptions must leave running."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_at_most_100_percent, check_choice, check_int_or_percent, check_nonnegative
from pelamis.api.field import F, Int32, Int64, IntOrString, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, LabelSelector, ObjectMeta
from pelamis.api.metavalidate import validate_conditions, validate_label_selector
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import invalid


class PodDisruptionBudgetSpec(Struct, frozen=True):
    minAvailable: Annotated[
        IntOrString | None, F(1, "Pods, as a number or a percentage, that must stay; not together with maxUnavailable.")
    ] = None
    selector: Annotated[
        LabelSelector | None, F(2, "The pods it is about; empty selects all of the namespace.", merge="replace")
    ] = None
    maxUnavailable: Annotated[
        IntOrString | None,
        F(3, "Pods, as a number or a percentage, that may be missing; not together with minAvailable."),
    ] = None
    unhealthyPodEvictionPolicy: Annotated[
        str | None,
        F(
            4,
            "Pods that are not ready: IfHealthyBudget or AlwaysAllow; IfHealthyBudget if unset.",
            enum=(
                "IfHealthyBudget",
                "AlwaysAllow",
            ),
        ),
    ] = None


class PodDisruptionBudgetStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64, F(1, "The generation of the object that the status was computed from.")] = 0
    disruptedPods: Annotated[
        dict[str, Time], F(2, "Pods whose eviction was granted and has not been seen yet, with the time.")
    ] = {}
    disruptionsAllowed: Annotated[Int32, F(3, "Pods that may be evicted now.")] = always(int)
    currentHealthy: Annotated[Int32, F(4, "Pods that are ready.")] = always(int)
    desiredHealthy: Annotated[Int32, F(5, "Pods that must be ready.")] = always(int)
    expectedPods: Annotated[Int32, F(6, "Pods that the budget counts.")] = always(int)
    conditions: Annotated[
        tuple[Condition, ...],
        F(7, "Latest observations, one for each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class PodDisruptionBudget(Struct, frozen=True):
    """How many pods of a selection voluntary disruptions must leave running."""

    kind: str = always(lambda: "PodDisruptionBudget")
    apiVersion: str = always(lambda: "policy/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[PodDisruptionBudgetSpec, F(2, "What is wanted.")] = always(PodDisruptionBudgetSpec)
    status: Annotated[PodDisruptionBudgetStatus, F(3, "What was observed; written by the system.")] = always(
        PodDisruptionBudgetStatus
    )


def validate(obj: PodDisruptionBudget) -> Errors:
    spec = obj.spec
    errors: Errors = []
    if spec.minAvailable is not None and spec.maxUnavailable is not None:
        errors.append(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        errors += check_int_or_percent(getattr(spec, name), f"spec.{name}")
        errors += check_at_most_100_percent(getattr(spec, name), f"spec.{name}")
    errors += validate_label_selector(spec.selector, "spec.selector")
    if spec.unhealthyPodEvictionPolicy is not None:
        choices = ("AlwaysAllow", "IfHealthyBudget")
        errors += check_choice(spec.unhealthyPodEvictionPolicy, "spec.unhealthyPodEvictionPolicy", choices)
    return errors


def validate_update(obj: PodDisruptionBudget, old: PodDisruptionBudget) -> Errors:
    return validate(obj)


def validate_status_update(obj: PodDisruptionBudget, old: PodDisruptionBudget) -> Errors:
    errors = list(validate_conditions(obj.status.conditions, "status.conditions"))
    for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        errors += check_nonnegative(getattr(obj.status, name), f"status.{name}")
    return errors


def cells(obj: PodDisruptionBudget, now: float) -> Sequence[Any]:
    least, most = obj.spec.minAvailable, obj.spec.maxUnavailable
    return (
        obj.metadata.name,
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        obj.status.disruptionsAllowed,
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="policy",
    version="v1",
    type=PodDisruptionBudget,
    plural="poddisruptionbudgets",
    singular="poddisruptionbudget",
    short_names=("pdb",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "policy", "v1", "PodDisruptionBudget", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    generation=True,
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Min Available", "string"),
        Column("Max Unavailable", "string"),
        Column("Allowed Disruptions", "integer"),
        Column("Age", "string"),
    ),
    storage_hash="EVWiDmWqyJw=",
    cells=cells,
    validate=validate,
    validate_name=names.is_path_segment,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
