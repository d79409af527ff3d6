"""CertificateSigningRequest: asks a signer for a certificate.

Who asks (``spec.username`` and so on) is set by the server on create; afterwards the spec is fixed. Conditions are
added through the ``approval`` and ``status`` subresources and never taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import NONE
from pelamis.api.certificates.signer import LEGACY_UNKNOWN, check_signer, pem_blocks
from pelamis.api.check import Errors, check_choice
from pelamis.api.field import F, Int32, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import clock, names
from pelamis.base.errors import duplicate, forbidden, invalid, required


class CertificateSigningRequestSpec(Struct, frozen=True):
    request: Annotated[bytes, F(1, "The request: PKCS #10 in PEM.", required=True)] = always(bytes)
    signerName: Annotated[str, F(7, "Who signs: domain/name.", required=True)] = always(str)
    expirationSeconds: Annotated[
        Int32 | None, F(8, "Wanted lifetime in seconds, at least 600; the signer may choose another.")
    ] = None
    usages: Annotated[
        tuple[str, ...],
        F(
            5,
            "What the key is for, such as client auth.",
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
    username: Annotated[str, F(2, "Who made the request; set by the server.")] = ""
    uid: Annotated[str, F(3, "The requestor's uid; set by the server.")] = ""
    groups: Annotated[tuple[str, ...], F(4, "The requestor's groups; set by the server.", list="atomic")] = ()
    extra: Annotated[dict[str, tuple[str, ...]], F(6, "Further facts about the requestor; set by the server.")] = {}


class CertificateSigningRequestCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Approved, Denied, Failed, or a signer's own.", required=True)] = always(str)
    status: Annotated[str, F(6, "True, False or Unknown.", required=True)] = always(str)
    reason: Annotated[str, F(2, "One word in CamelCase: why it is so.")] = ""
    message: Annotated[str, F(3, "The same for people.")] = ""
    lastUpdateTime: Annotated[Time, F(4, "When the condition was last written.")] = ""
    lastTransitionTime: Annotated[Time, F(5, "When the status last changed.")] = ""


class CertificateSigningRequestStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[CertificateSigningRequestCondition, ...], F(1, "Approved, Denied or Failed.", list="map", keys=("type",))
    ] = ()
    certificate: Annotated[bytes, F(2, "The certificate and its chain, PEM; set once.")] = b""


class CertificateSigningRequest(Struct, frozen=True):
    """Asks a signer for a certificate."""

    kind: str = always(lambda: "CertificateSigningRequest")
    apiVersion: str = always(lambda: "certificates.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[CertificateSigningRequestSpec, F(2, required=True)] = always(CertificateSigningRequestSpec)
    status: Annotated[CertificateSigningRequestStatus, F(3)] = always(CertificateSigningRequestStatus)


USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_FINAL = ("Approved", "Denied", "Failed")
_SHORTEST_S = 600


def _complaint(request: bytes) -> str:
    """Why the request cannot be read; "" when it can."""
    blocks = pem_blocks(request)
    if not blocks or blocks[0][0] != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    from cryptography import x509

    try:
        x509.load_der_x509_csr(blocks[0][1])
    except ValueError as error:
        return f"asn1: structure error: {error}"
    return ""


def _validate_usages(usages: tuple[str, ...]) -> Errors:
    if not usages:
        return [required("spec.usages")]
    errors: Errors = []
    for i, usage in enumerate(usages):
        errors += check_choice(usage, f"spec.usages[{i}]", USAGES)
        if usage in usages[:i]:
            errors.append(duplicate(f"spec.usages[{i}]", usage))
    return errors


def _validate_conditions(obj: CertificateSigningRequest) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for i, condition in enumerate(obj.status.conditions):
        path = f"status.conditions[{i}]"
        if not condition.type:
            errors.append(required(f"{path}.type"))
        if condition.type in _FINAL:
            errors += check_choice(condition.status, f"{path}.status", ("True",))
        elif not condition.status:
            errors.append(required(f"{path}.status"))
        else:
            errors += check_choice(condition.status, f"{path}.status", ("False", "True", "Unknown"))
        other = {"Approved": "Denied", "Denied": "Approved"}.get(condition.type)
        if other in seen:
            detail = "Approved and Denied conditions are mutually exclusive"
            errors.append(invalid(f"{path}.type", condition.type, detail))
        if condition.type in seen:
            errors.append(duplicate(f"{path}.type", condition.type))
        seen.add(condition.type)
    return errors


def _validate_certificate(obj: CertificateSigningRequest) -> Errors:
    data = obj.status.certificate
    if not data:
        return []
    blocks = pem_blocks(data)
    if not blocks:
        return [invalid("status.certificate", "<certificate data>", "must contain at least one CERTIFICATE PEM block")]
    wrong = [kind for kind, _ in blocks if kind != "CERTIFICATE"]
    if wrong:
        detail = f"only CERTIFICATE PEM blocks are allowed, found {wrong[0]}"
        return [invalid("status.certificate", "<certificate data>", detail)]
    return []


def prepare_update(tree: Tree, old: Tree) -> None:
    """Not by ``reset``, which would also take the spec of a new object."""
    tree["spec"] = old["spec"]


def validate(obj: CertificateSigningRequest) -> Errors:
    spec = obj.spec
    errors: Errors = []
    why = _complaint(spec.request)
    if why:
        errors.append(invalid("spec.request", spec.request or None, why))
    errors += _validate_usages(spec.usages)
    if spec.signerName == LEGACY_UNKNOWN:
        detail = "the legacy signerName is not allowed via this API version"
        errors.append(invalid("spec.signerName", spec.signerName, detail))
    else:
        errors += check_signer(spec.signerName, "spec.signerName")
    lifetime = spec.expirationSeconds
    if lifetime is not None and lifetime < _SHORTEST_S:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(invalid("spec.expirationSeconds", lifetime, detail))
    return errors + _validate_conditions(obj) + _validate_certificate(obj)


def validate_update(obj: CertificateSigningRequest, old: CertificateSigningRequest) -> Errors:
    return _validate_change(obj, old) + _validate_conditions(obj) + _validate_certificate(obj)


def validate_status_update(obj: CertificateSigningRequest, old: CertificateSigningRequest) -> Errors:
    """Also of the approval subresource; the fields that each may not touch are reset before."""
    return validate_update(obj, old)


def _validate_change(obj: CertificateSigningRequest, old: CertificateSigningRequest) -> Errors:
    errors: Errors = []
    for type in _FINAL:
        new = [c for c in obj.status.conditions if c.type == type]
        was = [c for c in old.status.conditions if c.type == type]
        if len(new) < len(was):
            detail = f'updates may not remove a condition of type "{type}"'
            errors.append(forbidden("status.conditions", detail))
        elif was and new[: len(was)] != was:
            detail = f'updates may not modify a condition of type "{type}"'
            errors.append(forbidden("status.conditions", detail))
    if old.status.certificate and obj.status.certificate != old.status.certificate:
        detail = "updates may not modify existing certificate content"
        errors.append(forbidden("status.certificate", detail))
    return errors


def _state(obj: CertificateSigningRequest) -> str:
    types = {c.type for c in obj.status.conditions}
    parts = ["Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"]
    if "Failed" in types:
        parts.append("Failed")
    if obj.status.certificate:
        parts.append("Issued")
    return ",".join(parts)


def cells(obj: CertificateSigningRequest, now: float) -> Sequence[Any]:
    lifetime = obj.spec.expirationSeconds
    return (
        obj.metadata.name,
        age(obj.metadata.creationTimestamp, now),
        obj.spec.signerName or NONE,
        obj.spec.username,
        NONE if lifetime is None else clock.human_duration(lifetime),
        _state(obj),
    )


KIND = Kind(
    group="certificates.k8s.io",
    version="v1",
    type=CertificateSigningRequest,
    plural="certificatesigningrequests",
    singular="certificatesigningrequest",
    short_names=("csr",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    validate_name=names.is_path_segment,
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
            reset=("spec",),
        ),
    ),
    reset=("status",),
    unowned=("spec",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Age", "string"),
        Column("SignerName", "string"),
        Column("Requestor", "string"),
        Column("RequestedDuration", "string"),
        Column("Condition", "string"),
    ),
    storage_hash="95fRKMXA+00=",
    cells=cells,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    selectable={"spec.signerName": lambda obj: obj.spec.signerName},
)
