"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class ServiceReference(Struct, frozen=True):
    namespace: Annotated[str, F(1)] = ""
    name: Annotated[str, F(2)] = ""
    port: Annotated[Int32 | None, F(3, default=443)] = None


class APIServiceSpec(Struct, frozen=True):
    service: Annotated[ServiceReference | None, F(1)] = None
    group: Annotated[str, F(2)] = ""
    version: Annotated[str, F(3)] = ""
    insecureSkipTLSVerify: Annotated[bool, F(4)] = False
    caBundle: Annotated[bytes, F(5, list="atomic")] = b""
    groupPriorityMinimum: Annotated[Int32, F(7, required=True)] = always(int)
    versionPriority: Annotated[Int32, F(8, required=True)] = always(int)


class APIServiceCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(2, required=True)] = always(str)
    lastTransitionTime: Annotated[Time, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    message: Annotated[str, F(5)] = ""


class APIServiceStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[APIServiceCondition, ...], F(1, merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class APIService(Struct, frozen=True):
    kind: str = always(lambda: "APIService")
    apiVersion: str = always(lambda: "apiregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[APIServiceSpec, F(2)] = always(APIServiceSpec)
    status: Annotated[APIServiceStatus, F(3)] = always(APIServiceStatus)


KIND = Kind(
    group="apiregistration.k8s.io",
    version="v1",
    type=APIService,
    plural="apiservices",
    singular="apiservice",
    categories=("api-extensions",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "apiregistration.k8s.io",
            "v1",
            "APIService",
            ("get", "patch", "update"),
            reset=("spec", "metadata"),
        ),
    ),
    reset=("status",),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Service", "string"),
        Column("Available", "string"),
        Column("Age", "string"),
    ),
    storage_hash="InPBPD7+PqM=",
)
