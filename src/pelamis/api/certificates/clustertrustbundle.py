"""ClusterTrustBundle: certificates that pods can be given to trust, of one signer or of nobody in particular.

A bundle of a signer is named with the signer as prefix: ``example.com:signer:name``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import NONE
from pelamis.api.certificates.signer import check_signer, pem_entries
from pelamis.api.check import Errors, check_immutable, check_text
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.base import names
from pelamis.base.errors import invalid, too_long


class ClusterTrustBundleSpec(Struct, frozen=True):
    signerName: Annotated[str, F(1, "The signer it belongs to; empty for none.")] = ""
    trustBundle: Annotated[str, F(2, "PEM root certificates; at most 1 MiB.", required=True)] = always(str)


class ClusterTrustBundle(Struct, frozen=True):
    """Certificates that pods can be given to trust, of one signer or of nobody in particular."""

    kind: str = always(lambda: "ClusterTrustBundle")
    apiVersion: str = always(lambda: "certificates.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ClusterTrustBundleSpec, F(2, required=True)] = always(ClusterTrustBundleSpec)


_LARGEST = 1 << 20
_OMITTED = "<value omitted>"


def _validate_name(name: str, signer: str) -> Errors:
    path = "metadata.name"
    if not signer:
        if ":" in name:
            detail = 'ClusterTrustBundle without signer name must not have ":" in its name'
            return [invalid(path, name, detail)]
        return check_text(names.is_dns1123_subdomain, name, path)
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        detail = f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"
        return [invalid(path, name, detail)]
    return [invalid(path, name, m) for m in names.is_dns1123_subdomain(name.removeprefix(prefix))]


def _complaint(kind: str, data: bytes, headers: bool) -> str:
    """Why a PEM block is no trust anchor; "" when it is one."""
    from cryptography import x509

    if kind != "CERTIFICATE":
        return f"has bad block type: {kind}"
    if headers:
        return "has PEM block headers"
    try:
        certificate = x509.load_der_x509_certificate(data)
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "does not have the CA bit set"
    except ValueError:
        return "does not parse as X.509"
    return "" if basic.ca else "does not have the CA bit set"


def _validate_bundle(text: str, path: str) -> Errors:
    if len(text.encode()) > _LARGEST:
        return [too_long(path, _LARGEST)]
    errors: Errors = []
    places: dict[bytes, list[int]] = {}
    for i, (kind, data, headers) in enumerate(pem_entries(text.encode())):
        why = _complaint(kind, data, headers)
        if why:
            errors.append(invalid(path, _OMITTED, f"entry {i} {why}"))
        else:
            places.setdefault(data, []).append(i)
    if errors:
        return errors
    if not places:
        return [invalid(path, _OMITTED, "at least one trust anchor must be provided")]
    return [
        invalid(path, _OMITTED, f"duplicate trust anchor (indices [{' '.join(map(str, where))}])")
        for where in places.values()
        if len(where) > 1
    ]


def validate(obj: ClusterTrustBundle) -> Errors:
    signer = obj.spec.signerName
    errors = _validate_name(obj.metadata.name, signer)
    if signer:
        errors += check_signer(signer, "spec.signerName")
    return errors + _validate_bundle(obj.spec.trustBundle, "spec.trustBundle")


def validate_update(obj: ClusterTrustBundle, old: ClusterTrustBundle) -> Errors:
    errors: Errors = []
    if obj.spec.trustBundle != old.spec.trustBundle:
        errors += _validate_bundle(obj.spec.trustBundle, "spec.trustBundle")
    return errors + check_immutable(obj.spec.signerName, old.spec.signerName, "spec.signerName")


def cells(obj: ClusterTrustBundle, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.spec.signerName or NONE


KIND = Kind(
    group="certificates.k8s.io",
    version="v1",
    type=ClusterTrustBundle,
    plural="clustertrustbundles",
    singular="clustertrustbundle",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("SignerName", "string"),
    ),
    storage_hash="R/wbJqMRFu8=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_name=names.is_path_segment,
    selectable={"spec.signerName": lambda obj: obj.spec.signerName},
)
