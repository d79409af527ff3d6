"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class EndpointAddress(Struct, frozen=True):
    ip: Annotated[str, F(1, required=True)] = always(str)
    hostname: Annotated[str, F(3)] = ""
    nodeName: Annotated[str | None, F(4)] = None
    targetRef: Annotated[ObjectReference | None, F(2)] = None


class EndpointPort(Struct, frozen=True):
    name: Annotated[str, F(1)] = ""
    port: Annotated[Int32, F(2, required=True)] = always(int)
    protocol: Annotated[
        str,
        F(
            3,
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            default="TCP",
        ),
    ] = ""
    appProtocol: Annotated[str | None, F(4)] = None


class EndpointSubset(Struct, frozen=True):
    addresses: Annotated[tuple[EndpointAddress, ...], F(1, list="atomic")] = ()
    notReadyAddresses: Annotated[tuple[EndpointAddress, ...], F(2, list="atomic")] = ()
    ports: Annotated[tuple[EndpointPort, ...], F(3, list="atomic")] = ()


class Endpoints(Struct, frozen=True):
    kind: str = always(lambda: "Endpoints")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    subsets: Annotated[tuple[EndpointSubset, ...], F(2, list="atomic")] = ()


KIND = Kind(
    group="",
    version="v1",
    type=Endpoints,
    plural="endpoints",
    singular="endpoints",
    short_names=("ep",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Endpoints", "string"),
        Column("Age", "string"),
    ),
    storage_hash="fWeeMqaN/OA=",
)
