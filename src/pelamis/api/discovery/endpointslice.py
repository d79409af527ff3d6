"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class EndpointConditions(Struct, frozen=True):
    ready: Annotated[bool | None, F(1)] = None
    serving: Annotated[bool | None, F(2)] = None
    terminating: Annotated[bool | None, F(3)] = None


class ForZone(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)


class ForNode(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)


class EndpointHints(Struct, frozen=True):
    forZones: Annotated[tuple[ForZone, ...], F(1, list="atomic")] = ()
    forNodes: Annotated[tuple[ForNode, ...], F(2, list="atomic")] = ()


class Endpoint(Struct, frozen=True):
    addresses: Annotated[tuple[str, ...], F(1, list="set", required=True)] = always(tuple)
    conditions: Annotated[EndpointConditions, F(2)] = always(EndpointConditions)
    hostname: Annotated[str | None, F(3)] = None
    targetRef: Annotated[ObjectReference | None, F(4)] = None
    deprecatedTopology: Annotated[dict[str, str], F(5)] = {}
    nodeName: Annotated[str | None, F(6)] = None
    zone: Annotated[str | None, F(7)] = None
    hints: Annotated[EndpointHints | None, F(8)] = None


class EndpointPort(Struct, frozen=True):
    name: Annotated[str | None, F(1, default="")] = None
    protocol: Annotated[
        str | None,
        F(
            2,
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            default="TCP",
        ),
    ] = None
    port: Annotated[Int32 | None, F(3)] = None
    appProtocol: Annotated[str | None, F(4)] = None


class EndpointSlice(Struct, frozen=True):
    kind: str = always(lambda: "EndpointSlice")
    apiVersion: str = always(lambda: "discovery.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    addressType: Annotated[
        str,
        F(
            4,
            enum=(
                "IPv4",
                "IPv6",
                "FQDN",
            ),
            required=True,
        ),
    ] = always(str)
    endpoints: Annotated[tuple[Endpoint, ...], F(2, list="atomic")] = always(tuple)
    ports: Annotated[tuple[EndpointPort, ...], F(3, list="atomic")] = always(tuple)


KIND = Kind(
    group="discovery.k8s.io",
    version="v1",
    type=EndpointSlice,
    plural="endpointslices",
    singular="endpointslice",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("AddressType", "string"),
        Column("Ports", "string"),
        Column("Endpoints", "string"),
        Column("Age", "string"),
    ),
    storage_hash="qgS0xkrxYAI=",
)
