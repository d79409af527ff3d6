"""StorageVersionMigration: rewrites all objects of a resource, so that they are stored in the current version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable, check_required_text, check_text
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, GroupResource, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.base import names
from pelamis.base.errors import forbidden, invalid


class StorageVersionMigrationSpec(Struct, frozen=True):
    resource: Annotated[GroupResource, F(1, "The resource whose objects are written anew.", required=True)] = always(
        GroupResource
    )


class StorageVersionMigrationStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[Condition, ...],
        F(1, "Observations of its state, one of each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()
    resourceVersion: Annotated[str, F(2, "Objects older than this are written anew.")] = ""


class StorageVersionMigration(Struct, frozen=True):
    """Rewrites all objects of a resource, so that they are stored in the current version."""

    kind: str = always(lambda: "StorageVersionMigration")
    apiVersion: str = always(lambda: "storagemigration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[StorageVersionMigrationSpec, F(2)] = always(StorageVersionMigrationSpec)
    status: Annotated[StorageVersionMigrationStatus, F(3)] = always(StorageVersionMigrationStatus)


def validate(obj: StorageVersionMigration) -> Errors:
    resource, path = obj.spec.resource, "spec.resource"
    errors = check_required_text(names.is_dns1035_label, resource.resource, f"{path}.resource", "resource is required")
    if resource.group:
        errors += check_text(names.is_dns1123_subdomain, resource.group, f"{path}.group")
    return errors


def validate_update(obj: StorageVersionMigration, old: StorageVersionMigration) -> Errors:
    return check_immutable(obj.spec, old.spec, "spec")


def _is(obj: StorageVersionMigration, type: str) -> bool:
    return any(c.type == type and c.status == "True" for c in obj.status.conditions)


def validate_status_update(obj: StorageVersionMigration, old: StorageVersionMigration) -> Errors:
    errors = check_immutable(obj.spec, old.spec, "spec")
    errors += validate_conditions(obj.status.conditions, "status.conditions")
    rev, was = obj.status.resourceVersion, old.status.resourceVersion
    if rev and not (rev.isascii() and rev.isdigit()):
        errors.append(invalid("status.resourceVersion", rev, "must be an integer"))
    if was and rev != was:
        errors.append(invalid("status.resourceVersion", rev, "field is immutable"))
    if _is(obj, "Succeeded") and _is(obj, "Failed"):
        detail = "Both success and failed conditions cannot be true"
        errors.append(invalid("status.conditions", obj.status.conditions, detail))
    for type in ("Succeeded", "Failed"):
        if _is(old, type) and not _is(obj, type):
            detail = f"{type} condition cannot be set to false once it is true"
            errors.append(forbidden("status.conditions", detail))
    return errors


def cells(obj: StorageVersionMigration, now: float) -> Sequence[Any]:
    resource = obj.spec.resource
    return obj.metadata.name, f"{resource.resource}.{resource.group}" if resource.group else resource.resource


KIND = Kind(
    group="storagemigration.k8s.io",
    version="v1",
    type=StorageVersionMigration,
    plural="storageversionmigrations",
    singular="storageversionmigration",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "storagemigration.k8s.io",
            "v1",
            "StorageVersionMigration",
            ("get", "patch", "update"),
            reset=("spec", "metadata"),
        ),
    ),
    columns=(
        Column("Name", "string"),
        Column("Resource", "string"),
    ),
    storage_hash="pCjmmKOkLy4=",
    reset=("status",),
    generation=True,
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
