"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta


class PodCertificateRequestSpec(Struct, frozen=True):
    signerName: Annotated[str, F(1, required=True)] = always(str)
    podName: Annotated[str, F(2, required=True)] = always(str)
    podUID: Annotated[str, F(3, required=True)] = always(str)
    serviceAccountName: Annotated[str, F(4, required=True)] = always(str)
    serviceAccountUID: Annotated[str, F(5, required=True)] = always(str)
    nodeName: Annotated[str, F(6, required=True)] = always(str)
    nodeUID: Annotated[str, F(7, required=True)] = always(str)
    maxExpirationSeconds: Annotated[Int32 | None, F(8, default=86400, shown=True)] = None
    stubPKCS10Request: Annotated[bytes, F(12, required=True)] = always(bytes)
    unverifiedUserAnnotations: Annotated[dict[str, str], F(11)] = {}


class PodCertificateRequestStatus(Struct, frozen=True):
    conditions: Annotated[tuple[Condition, ...], F(1, merge="merge", key="type", list="map", keys=("type",))] = ()
    certificateChain: Annotated[str, F(2)] = ""
    notBefore: Annotated[Time | None, F(4)] = None
    beginRefreshAt: Annotated[Time | None, F(5)] = None
    notAfter: Annotated[Time | None, F(6)] = None


class PodCertificateRequest(Struct, frozen=True):
    kind: str = always(lambda: "PodCertificateRequest")
    apiVersion: str = always(lambda: "certificates.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PodCertificateRequestSpec, F(2, required=True)] = always(PodCertificateRequestSpec)
    status: Annotated[PodCertificateRequestStatus, F(3)] = always(PodCertificateRequestStatus)


KIND = Kind(
    group="certificates.k8s.io",
    version="v1",
    type=PodCertificateRequest,
    plural="podcertificaterequests",
    singular="podcertificaterequest",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "certificates.k8s.io", "v1", "PodCertificateRequest", ("get", "patch", "update")),
    ),
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="wYA9yXQH8fg=",
)
