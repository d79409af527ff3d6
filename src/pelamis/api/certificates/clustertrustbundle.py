"""ClusterTrustBundle: certificates that pods can be given to trust, of one signer or of nobody in particular.

A bundle of a signer is named with the signer as prefix: ``example.com:signer:name``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import NONE
from pelamis.api.certificates.signer import check_signer, pem_blocks
from pelamis.api.check import Errors, check_immutable, check_text
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.base import names
from pelamis.base.errors import invalid


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


def _validate_bundle(text: str, path: str) -> Errors:
    blocks = pem_blocks(text.encode())
    if not blocks:
        return [invalid(path, _OMITTED, "at least one trust anchor must be provided")]
    errors: Errors = []
    if len(text) > _LARGEST:
        errors.append(invalid(path, _OMITTED, f"must be no more than {_LARGEST} bytes"))
    seen: dict[bytes, int] = {}
    for i, (kind, data) in enumerate(blocks):
        if kind != "CERTIFICATE":
            errors.append(invalid(path, _OMITTED, f"entry {i} has bad block type: {kind}"))
        elif data in seen:
            errors.append(invalid(path, _OMITTED, f"duplicate trust anchor (indices [{seen[data]} {i}])"))
        seen.setdefault(data, i)
    return errors


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
