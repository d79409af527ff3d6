"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta


class ServiceCIDRSpec(Struct, frozen=True):
    cidrs: Annotated[tuple[str, ...], F(1, list="atomic")] = ()


class ServiceCIDRStatus(Struct, frozen=True):
    conditions: Annotated[tuple[Condition, ...], F(1, merge="merge", key="type", list="map", keys=("type",))] = ()


class ServiceCIDR(Struct, frozen=True):
    kind: str = always(lambda: "ServiceCIDR")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ServiceCIDRSpec, F(2)] = always(ServiceCIDRSpec)
    status: Annotated[ServiceCIDRStatus, F(3)] = always(ServiceCIDRStatus)


KIND = Kind(
    group="networking.k8s.io",
    version="v1",
    type=ServiceCIDR,
    plural="servicecidrs",
    singular="servicecidr",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "networking.k8s.io", "v1", "ServiceCIDR", ("get", "patch", "update")),),
    columns=(
        Column("Name", "string", format="name"),
        Column("CIDRs", "string"),
        Column("Age", "string"),
    ),
    storage_hash="gNLvruQhW2g=",
)
