"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Int64, IntOrString, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, LabelSelector, ObjectMeta


class PodDisruptionBudgetSpec(Struct, frozen=True):
    minAvailable: Annotated[IntOrString | None, F(1)] = None
    selector: Annotated[LabelSelector | None, F(2, merge="replace")] = None
    maxUnavailable: Annotated[IntOrString | None, F(3)] = None
    unhealthyPodEvictionPolicy: Annotated[
        str | None,
        F(
            4,
            enum=(
                "IfHealthyBudget",
                "AlwaysAllow",
            ),
        ),
    ] = None


class PodDisruptionBudgetStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64, F(1)] = 0
    disruptedPods: Annotated[dict[str, Time], F(2)] = {}
    disruptionsAllowed: Annotated[Int32, F(3)] = always(int)
    currentHealthy: Annotated[Int32, F(4)] = always(int)
    desiredHealthy: Annotated[Int32, F(5)] = always(int)
    expectedPods: Annotated[Int32, F(6)] = always(int)
    conditions: Annotated[tuple[Condition, ...], F(7, merge="merge", key="type", list="map", keys=("type",))] = ()


class PodDisruptionBudget(Struct, frozen=True):
    kind: str = always(lambda: "PodDisruptionBudget")
    apiVersion: str = always(lambda: "policy/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PodDisruptionBudgetSpec, F(2)] = always(PodDisruptionBudgetSpec)
    status: Annotated[PodDisruptionBudgetStatus, F(3)] = always(PodDisruptionBudgetStatus)


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
)
