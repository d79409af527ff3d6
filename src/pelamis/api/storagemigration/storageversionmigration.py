"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, GroupResource, ObjectMeta


class StorageVersionMigrationSpec(Struct, frozen=True):
    resource: Annotated[GroupResource, F(1, required=True)] = always(GroupResource)


class StorageVersionMigrationStatus(Struct, frozen=True):
    conditions: Annotated[tuple[Condition, ...], F(1, merge="merge", key="type", list="map", keys=("type",))] = ()
    resourceVersion: Annotated[str, F(2)] = ""


class StorageVersionMigration(Struct, frozen=True):
    kind: str = always(lambda: "StorageVersionMigration")
    apiVersion: str = always(lambda: "storagemigration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[StorageVersionMigrationSpec, F(2)] = always(StorageVersionMigrationSpec)
    status: Annotated[StorageVersionMigrationStatus, F(3)] = always(StorageVersionMigrationStatus)


KIND = Kind(
    group="storagemigration.k8s.io",
    version="v1",
    type=StorageVersionMigration,
    plural="storageversionmigrations",
    singular="storageversionmigration",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "storagemigration.k8s.io", "v1", "StorageVersionMigration", ("get", "patch", "update")),
    ),
    columns=(
        Column("Name", "string"),
        Column("Resource", "string"),
    ),
    storage_hash="pCjmmKOkLy4=",
)
