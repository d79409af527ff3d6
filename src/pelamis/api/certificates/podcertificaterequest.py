"""PodCertificateRequest: a node's request for a certificate that one of its pods will use; fixed once written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.certificates.signer import check_signer
from pelamis.api.check import Errors, check_immutable, check_required_text
from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.base import names
from pelamis.base.errors import forbidden, invalid, required, too_long


class PodCertificateRequestSpec(Struct, frozen=True):
    signerName: Annotated[str, F(1, "Who signs: domain/name.", required=True)] = always(str)
    podName: Annotated[str, F(2, "The pod.", required=True)] = always(str)
    podUID: Annotated[str, F(3, "Its uid.", required=True)] = always(str)
    serviceAccountName: Annotated[str, F(4, "The pod's service account.", required=True)] = always(str)
    serviceAccountUID: Annotated[str, F(5, "Its uid.", required=True)] = always(str)
    nodeName: Annotated[str, F(6, "The node that the pod is on.", required=True)] = always(str)
    nodeUID: Annotated[str, F(7, "Its uid.", required=True)] = always(str)
    maxExpirationSeconds: Annotated[
        Int32 | None, F(8, "Longest lifetime in seconds, at least 3600.", default=86400, shown=True)
    ] = None
    stubPKCS10Request: Annotated[
        bytes, F(12, "A PKCS #10 request, DER, which proves possession of the key.", required=True)
    ] = always(bytes)
    unverifiedUserAnnotations: Annotated[
        dict[str, str], F(11, "What the pod asks the signer for; nobody has checked it.")
    ] = {}


class PodCertificateRequestStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[Condition, ...], F(1, "Issued, Denied or Failed.", merge="merge", key="type", list="map", keys=("type",))
    ] = ()
    certificateChain: Annotated[str, F(2, "The certificate and its chain, PEM.")] = ""
    notBefore: Annotated[Time | None, F(4, "When it begins to be valid.")] = None
    beginRefreshAt: Annotated[Time | None, F(5, "When to ask for the next one.")] = None
    notAfter: Annotated[Time | None, F(6, "When it ends to be valid.")] = None


class PodCertificateRequest(Struct, frozen=True):
    """A node's request for a certificate that one of its pods will use; fixed once written."""

    kind: str = always(lambda: "PodCertificateRequest")
    apiVersion: str = always(lambda: "certificates.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PodCertificateRequestSpec, F(2, required=True)] = always(PodCertificateRequestSpec)
    status: Annotated[PodCertificateRequestStatus, F(3)] = always(PodCertificateRequestStatus)


_SHORTEST_S, _LONGEST_S, _LONGEST_KUBERNETES_S = 3600, 91 * 86400, 86400
_LONGEST_UID = 128


def validate(obj: PodCertificateRequest) -> Errors:
    spec = obj.spec
    errors = check_signer(spec.signerName, "spec.signerName")
    for name in ("podName", "serviceAccountName", "nodeName"):
        errors += check_required_text(names.is_dns1123_subdomain, getattr(spec, name), f"spec.{name}")
    for name in ("podUID", "serviceAccountUID", "nodeUID"):
        value = getattr(spec, name)
        if not value:
            errors.append(required(f"spec.{name}", "must not be empty"))
        elif len(value) > _LONGEST_UID:
            errors.append(too_long(f"spec.{name}", _LONGEST_UID))
    lifetime, path = spec.maxExpirationSeconds, "spec.maxExpirationSeconds"
    own = spec.signerName.startswith("kubernetes.io/") or ".kubernetes.io/" in spec.signerName
    longest = _LONGEST_KUBERNETES_S if own else _LONGEST_S
    if lifetime is None:
        errors.append(required(path, "must be set"))
    elif not _SHORTEST_S <= lifetime <= longest:
        errors.append(invalid(path, lifetime, f"must be in the range [{_SHORTEST_S}, {longest}]"))
    if not spec.stubPKCS10Request:
        errors.append(required("spec.stubPKCS10Request", "must not be empty"))
    return errors


def validate_update(obj: PodCertificateRequest, old: PodCertificateRequest) -> Errors:
    return check_immutable(obj.spec, old.spec, "spec")


def _final(obj: PodCertificateRequest) -> list[str]:
    return [c.type for c in obj.status.conditions if c.type in ("Issued", "Denied", "Failed")]


def validate_status_update(obj: PodCertificateRequest, old: PodCertificateRequest) -> Errors:
    errors = check_immutable(obj.spec, old.spec, "spec")
    errors += validate_conditions(obj.status.conditions, "status.conditions")
    if _final(old) and obj.status != old.status:
        detail = "immutable after PodCertificateRequest is issued, denied, or failed"
        return [*errors, forbidden("status", detail)]
    final = _final(obj)
    if len(final) > 1:
        detail = "There may be at most one condition with type Issued, Denied or Failed"
        errors.append(invalid("status.conditions", final, detail))
    if "Issued" in final:
        for name in ("certificateChain", "notBefore", "beginRefreshAt", "notAfter"):
            if not getattr(obj.status, name):
                errors.append(required(f"status.{name}", "must be present and consistent when issued"))
    return errors


def cells(obj: PodCertificateRequest, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


KIND = Kind(
    group="certificates.k8s.io",
    version="v1",
    type=PodCertificateRequest,
    plural="podcertificaterequests",
    singular="podcertificaterequest",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "certificates.k8s.io",
            "v1",
            "PodCertificateRequest",
            ("get", "patch", "update"),
            reset=("spec", "metadata"),
        ),
    ),
    columns=(
        Column("Name", "string", format="name"),
        Column("Created At", "date"),
    ),
    storage_hash="wYA9yXQH8fg=",
    reset=("status",),
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
