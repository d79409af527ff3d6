"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class ParentReference(Struct, frozen=True):
    group: Annotated[str, F(1)] = ""
    resource: Annotated[str, F(2, required=True)] = ""
    namespace: Annotated[str, F(3)] = ""
    name: Annotated[str, F(4, required=True)] = ""


class IPAddressSpec(Struct, frozen=True):
    parentRef: Annotated[ParentReference | None, F(1, required=True)] = None


class IPAddress(Struct, frozen=True):
    kind: str = always(lambda: "IPAddress")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[IPAddressSpec, F(2, required=True)] = always(IPAddressSpec)


KIND = Kind(
    group="networking.k8s.io",
    version="v1",
    type=IPAddress,
    plural="ipaddresses",
    singular="ipaddress",
    short_names=("ip",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("ParentRef", "string"),
    ),
    storage_hash="3f/plJFChNE=",
)
