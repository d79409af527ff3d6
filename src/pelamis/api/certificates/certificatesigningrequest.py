"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class CertificateSigningRequestSpec(Struct, frozen=True):
    request: Annotated[bytes, F(1, required=True)] = always(bytes)
    signerName: Annotated[str, F(7, required=True)] = always(str)
    expirationSeconds: Annotated[Int32 | None, F(8)] = None
    usages: Annotated[
        tuple[str, ...],
        F(
            5,
            list="atomic",
            enum=(
                "signing",
                "digital signature",
                "content commitment",
                "key encipherment",
                "key agreement",
                "data encipherment",
                "cert sign",
                "crl sign",
                "encipher only",
                "decipher only",
                "any",
                "server auth",
                "client auth",
                "code signing",
                "email protection",
                "s/mime",
                "ipsec end system",
                "ipsec tunnel",
                "ipsec user",
                "timestamping",
                "ocsp signing",
                "microsoft sgc",
                "netscape sgc",
            ),
        ),
    ] = ()
    username: Annotated[str, F(2)] = ""
    uid: Annotated[str, F(3)] = ""
    groups: Annotated[tuple[str, ...], F(4, list="atomic")] = ()
    extra: Annotated[dict[str, tuple[str, ...]], F(6)] = {}


class CertificateSigningRequestCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(6, required=True)] = always(str)
    reason: Annotated[str, F(2)] = ""
    message: Annotated[str, F(3)] = ""
    lastUpdateTime: Annotated[Time, F(4)] = ""
    lastTransitionTime: Annotated[Time, F(5)] = ""


class CertificateSigningRequestStatus(Struct, frozen=True):
    conditions: Annotated[tuple[CertificateSigningRequestCondition, ...], F(1, list="map", keys=("type",))] = ()
    certificate: Annotated[bytes, F(2)] = b""


class CertificateSigningRequest(Struct, frozen=True):
    kind: str = always(lambda: "CertificateSigningRequest")
    apiVersion: str = always(lambda: "certificates.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[CertificateSigningRequestSpec, F(2, required=True)] = always(CertificateSigningRequestSpec)
    status: Annotated[CertificateSigningRequestStatus, F(3)] = always(CertificateSigningRequestStatus)


KIND = Kind(
    group="certificates.k8s.io",
    version="v1",
    type=CertificateSigningRequest,
    plural="certificatesigningrequests",
    singular="certificatesigningrequest",
    short_names=("csr",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "approval",
            "certificates.k8s.io",
            "v1",
            "CertificateSigningRequest",
            ("get", "patch", "update"),
            reset=("spec", "status.certificate"),
        ),
        Subresource(
            "status",
            "certificates.k8s.io",
            "v1",
            "CertificateSigningRequest",
            ("get", "patch", "update"),
            reset=("spec", "status.conditions"),
        ),
    ),
    reset=("spec", "status"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Age", "string"),
        Column("SignerName", "string"),
        Column("Requestor", "string"),
        Column("RequestedDuration", "string"),
        Column("Condition", "string"),
    ),
    # selectable: spec.signerName
    storage_hash="95fRKMXA+00=",
)
