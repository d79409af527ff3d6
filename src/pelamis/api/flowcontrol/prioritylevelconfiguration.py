"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class QueuingConfiguration(Struct, frozen=True):
    queues: Annotated[Int32, F(1)] = always(int)
    handSize: Annotated[Int32, F(2)] = always(int)
    queueLengthLimit: Annotated[Int32, F(3)] = always(int)


class LimitResponse(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    queuing: Annotated[QueuingConfiguration | None, F(2)] = None


class LimitedPriorityLevelConfiguration(Struct, frozen=True):
    nominalConcurrencyShares: Annotated[Int32 | None, F(1)] = None
    limitResponse: Annotated[LimitResponse, F(2, required=True)] = always(LimitResponse)
    lendablePercent: Annotated[Int32 | None, F(3, default=0)] = None
    borrowingLimitPercent: Annotated[Int32 | None, F(4)] = None


class ExemptPriorityLevelConfiguration(Struct, frozen=True):
    nominalConcurrencyShares: Annotated[Int32 | None, F(1, default=0)] = None
    lendablePercent: Annotated[Int32 | None, F(2, default=0)] = None


class PriorityLevelConfigurationSpec(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    limited: Annotated[LimitedPriorityLevelConfiguration | None, F(2)] = None
    exempt: Annotated[ExemptPriorityLevelConfiguration | None, F(3)] = None


class PriorityLevelConfigurationCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = ""
    status: Annotated[str, F(2)] = ""
    lastTransitionTime: Annotated[Time, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""


class PriorityLevelConfigurationStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[PriorityLevelConfigurationCondition, ...], F(1, merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class PriorityLevelConfiguration(Struct, frozen=True):
    kind: str = always(lambda: "PriorityLevelConfiguration")
    apiVersion: str = always(lambda: "flowcontrol.apiserver.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PriorityLevelConfigurationSpec, F(2, required=True)] = always(PriorityLevelConfigurationSpec)
    status: Annotated[PriorityLevelConfigurationStatus, F(3)] = always(PriorityLevelConfigurationStatus)


KIND = Kind(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    type=PriorityLevelConfiguration,
    plural="prioritylevelconfigurations",
    singular="prioritylevelconfiguration",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "PriorityLevelConfiguration",
            ("get", "patch", "update"),
            reset=("spec", "metadata"),
        ),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Type", "string"),
        Column("NominalConcurrencyShares", "string"),
        Column("Queues", "string"),
        Column("HandSize", "string"),
        Column("QueueLengthLimit", "string"),
        Column("Age", "string"),
    ),
    storage_hash="Kir5PVfvNeI=",
)
