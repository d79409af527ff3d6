"""PodCertificateRequest: a node's request for a certificate that one of its pods will use; fixed once written.

The beta version is the one that is stored: it has the fields of a proof of possession that v1 no longer knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.certificates.signer import check_signer, pem_blocks
from pelamis.api.check import Errors, check_choice, check_immutable, check_text
from pelamis.api.field import F, Int32, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.api.version import deprecation, reversion
from pelamis.base import clock, names
from pelamis.base.errors import OMITTED, invalid, required, too_long


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
    pkixPublicKey: Annotated[bytes, F(9, "The public key, DER; with proofOfPossession.")] = always(bytes)
    proofOfPossession: Annotated[bytes, F(10, "The pod's uid, signed with the key.")] = always(bytes)
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
    apiVersion: str = always(lambda: "certificates.k8s.io/v1beta1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PodCertificateRequestSpec, F(2, required=True)] = always(PodCertificateRequestSpec)
    status: Annotated[PodCertificateRequestStatus, F(3)] = always(PodCertificateRequestStatus)


_SHORTEST_S, _LONGEST_S, _LONGEST_KUBERNETES_S = 3600, 91 * 86400, 86400
_LONGEST_UID = 128
_LARGEST_KEY = _LARGEST_PROOF = 10 * 1024
_LARGEST_CHAIN = 100 * 1024
_FINAL = ("Issued", "Denied", "Failed")
_NEAR_S, _MARGIN_S = 300, 600


def _public_key(spec: Any) -> tuple[Any, Errors]:
    """The key that the certificate is for, once its possession is proven; None with what is wrong."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    key: Any
    if spec.stubPKCS10Request:
        path = "spec.stubPKCS10Request"
        try:
            request = x509.load_der_x509_csr(spec.stubPKCS10Request)
            key = request.public_key()
            proven = request.is_signature_valid
        except (ValueError, TypeError):
            return None, [invalid(path, OMITTED, "must be a valid PKCS#10 certificate signing request")]
        unproven = invalid(path, OMITTED, "could not verify the signature of the certificate signing request")
    else:
        path = "spec.pkixPublicKey"
        proven = False
        unproven = invalid("spec.proofOfPossession", OMITTED, "could not verify proof-of-possession signature")
        try:
            key = serialization.load_der_public_key(spec.pkixPublicKey)
        except (ValueError, TypeError):
            return None, [invalid(path, spec.pkixPublicKey, "must be a valid PKIX-serialized public key")]
    uid, proof = spec.podUID.encode(), spec.proofOfPossession
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            proven or key.verify(proof, uid)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if key.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
                detail = "elliptic public keys must use curve P256 or P384"
                return None, [invalid(path, f"curve {key.curve.name}", detail)]
            proven or key.verify(proof, uid, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            if key.key_size not in (3072, 4096):
                detail = "RSA keys must have modulus size 3072 or 4096"
                return None, [invalid(path, f"{key.key_size}-bit modulus", detail)]
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
            proven or key.verify(proof, uid, pss, hashes.SHA256())
        else:
            detail = "unknown public key type; supported types are Ed25519, ECDSA, and RSA"
            return None, [invalid(path, OMITTED, detail)]
    except InvalidSignature:
        return None, [unproven]
    return (key, []) if proven or not spec.stubPKCS10Request else (None, [unproven])


def validate(obj: PodCertificateRequest) -> Errors:
    spec = obj.spec
    errors = check_signer(spec.signerName, "spec.signerName")
    for key in sorted(spec.unverifiedUserAnnotations):
        errors += check_text(names.is_domain_prefixed_path, key, "spec.unverifiedUserAnnotations")
    for name in ("podName", "serviceAccountName", "nodeName"):
        errors += check_text(names.is_dns1123_subdomain, getattr(spec, name), f"spec.{name}")
        uid, path = getattr(spec, name[:-4] + "UID"), f"spec.{name[:-4]}UID"
        if not uid:
            errors.append(invalid(path, uid, "must not be empty"))
        if len(uid) > _LONGEST_UID:
            errors.append(too_long(path, _LONGEST_UID))
    lifetime, path = spec.maxExpirationSeconds, "spec.maxExpirationSeconds"
    if lifetime is None:
        return [*errors, required(path, "must be set")]
    domain = spec.signerName.partition("/")[0]
    own = domain == "kubernetes.io" or domain.endswith(".kubernetes.io")
    longest = _LONGEST_KUBERNETES_S if own else _LONGEST_S
    if not _SHORTEST_S <= lifetime <= longest:
        errors.append(invalid(path, lifetime, f"must be in the range [{_SHORTEST_S}, {longest}]"))
    if not spec.stubPKCS10Request and not spec.pkixPublicKey:
        return [*errors, required("spec.stubPKCS10Request", "must not be empty")]
    if spec.stubPKCS10Request and (spec.pkixPublicKey or spec.proofOfPossession):
        detail = "may not be set together with pkixPublicKey and proofOfPossession"
        return [*errors, invalid("spec.stubPKCS10Request", OMITTED, detail)]
    for name, most in (("pkixPublicKey", _LARGEST_KEY), ("proofOfPossession", _LARGEST_PROOF)):
        if len(getattr(spec, name)) > most:
            return [*errors, too_long(f"spec.{name}", most)]
    return errors + _public_key(spec)[1]


def validate_update(obj: PodCertificateRequest, old: PodCertificateRequest) -> Errors:
    return check_immutable(obj.spec, old.spec, "spec")


def _is(obj: PodCertificateRequest, type: str) -> bool:
    return any(c.type == type and c.status == "True" for c in obj.status.conditions)


def _validate_conditions(obj: PodCertificateRequest) -> Errors:
    errors: Errors = []
    known = 0
    for i, condition in enumerate(obj.status.conditions):
        path = f"status.conditions.[{i}]"
        if condition.type not in _FINAL:
            errors += check_choice(condition.type, f"{path}.type", sorted(_FINAL))
            continue
        known += 1
        if known > 1:
            detail = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            errors.append(invalid(f"{path}.type", condition.type, detail))
        errors += check_choice(condition.status, f"{path}.status", ("True",))
    return errors + list(validate_conditions(obj.status.conditions, "status.conditions"))


def _certificates(chain: str) -> tuple[list[Any], str]:
    """The chain, leaf first; or why it is none."""
    from cryptography import x509

    blocks = pem_blocks(chain.encode())
    if not blocks:
        return [], "issued certificate chain must contain at least one certificate"
    if any(kind != "CERTIFICATE" for kind, _ in blocks):
        return [], "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
    out: list[Any] = []
    for _, data in blocks:
        try:
            out.append(x509.load_der_x509_certificate(data))
        except ValueError:
            which = "intermediate" if out else "leaf"
            return [], f"{which} certificate does not parse as valid X.509"
    return out, ""


def _validate_issued(obj: PodCertificateRequest, old: PodCertificateRequest) -> Errors:
    """That the certificate is the one that was asked for, and that the times are its times."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    status, chain = obj.status, "status.certificateChain"
    if len(status.certificateChain) > _LARGEST_CHAIN:
        return [too_long(chain, _LARGEST_CHAIN)]
    certificates, why = _certificates(status.certificateChain)
    if why:
        return [invalid(chain, status.certificateChain, why)]
    leaf = certificates[0]
    wanted, wrong = _public_key(old.spec)
    if wanted is None:
        return wrong
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if wanted.public_bytes(*form) != leaf.public_key().public_bytes(*form):
        detail = "leaf certificate was not issued to the requested public key"
        return [invalid(chain, status.certificateChain, detail)]
    errors = [
        required(f"status.{name}", "must be present and consistent with the issued certificate")
        for name in ("notBefore", "notAfter")
        if not getattr(status, name)
    ]
    if not status.beginRefreshAt:
        detail = "must be present and in the range [notbefore+10min, notafter-10min]"
        errors.append(required("status.beginRefreshAt", detail))
    if errors:
        return errors
    begins, ends = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    for name, time, shown in (("notBefore", begins, "NotBefore"), ("notAfter", ends, "NotAfter")):
        if clock.parse_rfc3339(getattr(status, name)) != time:
            detail = f"must be set to the {shown} time encoded in the leaf certificate"
            return [invalid(f"status.{name}", getattr(status, name), detail)]
    if ends - begins < _SHORTEST_S:
        return [invalid(chain, int(ends - begins), "leaf certificate lifetime must be >= 1 hour")]
    longest = obj.spec.maxExpirationSeconds or 0
    if ends - begins > longest:
        detail = f"leaf certificate lifetime must be <= spec.maxExpirationSeconds ({longest})"
        return [invalid(chain, int(ends - begins), detail)]
    refresh = clock.parse_rfc3339(status.beginRefreshAt or "")
    if refresh < begins + _MARGIN_S:
        detail = "must be at least 10 minutes after status.notBefore"
        return [invalid("status.beginRefreshAt", status.beginRefreshAt, detail)]
    if refresh > ends - _MARGIN_S:
        detail = "must be at least 10 minutes before status.notAfter"
        return [invalid("status.beginRefreshAt", status.beginRefreshAt, detail)]
    return []


def validate_status_update(obj: PodCertificateRequest, old: PodCertificateRequest) -> Errors:
    errors = _validate_conditions(obj)
    if errors:
        return errors
    if any(_is(old, type) for type in _FINAL):
        detail = "immutable after PodCertificateRequest is issued, denied, or failed"
        return [invalid("status", OMITTED, detail)] if obj.status != old.status else []
    if _is(obj, "Denied") or _is(obj, "Failed"):
        detail = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
        bare = PodCertificateRequestStatus(conditions=obj.status.conditions)
        return [invalid("status", OMITTED, detail)] if obj.status != bare else []
    if _is(obj, "Issued"):
        return _validate_issued(obj, old)
    detail = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
    return [invalid("status", OMITTED, detail)] if obj.status != old.status else []


def cells(obj: PodCertificateRequest, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.metadata.creationTimestamp


STORED = Kind(
    group="certificates.k8s.io",
    version="v1beta1",
    type=PodCertificateRequest,
    plural="podcertificaterequests",
    singular="podcertificaterequest",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "certificates.k8s.io",
            "v1beta1",
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
    deprecated=deprecation(
        "certificates.k8s.io/v1beta1",
        "PodCertificateRequest",
        35,
        37,
        "certificates.k8s.io/v1 PodCertificateRequest",
    ),
)


_BETA_ONLY = ("pkixPublicKey", "proofOfPossession")


def from_stored(tree: Tree) -> None:
    for name in _BETA_ONLY:
        (tree.get("spec") or {}).pop(name, None)


KIND = reversion(STORED, "v1", drop={PodCertificateRequestSpec: _BETA_ONLY}, from_hub=from_stored)
