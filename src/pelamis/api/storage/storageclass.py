"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class TopologySelectorLabelRequirement(Struct, frozen=True):
    key: Annotated[str, F(1, required=True)] = always(str)
    values: Annotated[tuple[str, ...], F(2, list="atomic", required=True)] = always(tuple)


class TopologySelectorTerm(Struct, frozen=True):
    matchLabelExpressions: Annotated[tuple[TopologySelectorLabelRequirement, ...], F(1, list="atomic")] = ()


class StorageClass(Struct, frozen=True):
    kind: str = always(lambda: "StorageClass")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    provisioner: Annotated[str, F(2, required=True)] = always(str)
    parameters: Annotated[dict[str, str], F(3)] = {}
    reclaimPolicy: Annotated[
        str | None,
        F(
            4,
            enum=(
                "Recycle",
                "Delete",
                "Retain",
            ),
            default="Delete",
        ),
    ] = None
    mountOptions: Annotated[tuple[str, ...], F(5, list="atomic")] = ()
    allowVolumeExpansion: Annotated[bool | None, F(6)] = None
    volumeBindingMode: Annotated[
        str | None,
        F(
            7,
            enum=(
                "Immediate",
                "WaitForFirstConsumer",
            ),
            default="Immediate",
        ),
    ] = None
    allowedTopologies: Annotated[tuple[TopologySelectorTerm, ...], F(8, list="atomic")] = ()


KIND = Kind(
    group="storage.k8s.io",
    version="v1",
    type=StorageClass,
    plural="storageclasses",
    singular="storageclass",
    short_names=("sc",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Provisioner", "string"),
        Column("ReclaimPolicy", "string"),
        Column("VolumeBindingMode", "string"),
        Column("AllowVolumeExpansion", "string"),
        Column("Age", "string"),
    ),
    storage_hash="K+m6uJwbjGY=",
)
