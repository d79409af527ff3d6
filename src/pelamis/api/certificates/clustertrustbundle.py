"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class ClusterTrustBundleSpec(Struct, frozen=True):
    signerName: Annotated[str, F(1)] = ""
    trustBundle: Annotated[str, F(2, required=True)] = always(str)


class ClusterTrustBundle(Struct, frozen=True):
    kind: str = always(lambda: "ClusterTrustBundle")
    apiVersion: str = always(lambda: "certificates.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ClusterTrustBundleSpec, F(2, required=True)] = always(ClusterTrustBundleSpec)


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
    # selectable: spec.signerName
    storage_hash="R/wbJqMRFu8=",
)
