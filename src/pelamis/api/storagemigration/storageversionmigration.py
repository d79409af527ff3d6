"""StorageVersionMigration: rewrites all objects of a resource, so that they are stored in the current version."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, GroupResource, ObjectMeta
from pelamis.api.metavalidate import validate_conditions
from pelamis.base import names
from pelamis.base.errors import invalid, required


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
    if not resource.resource:
        errors: Errors = [required(f"{path}.resource", "resource is required to be set")]
    else:
        errors = _joined(names.is_dns1035_label(resource.resource), resource.resource, f"{path}.resource")
    if resource.group:
        errors += _joined(names.is_dns1123_subdomain(resource.group), resource.group, f"{path}.group")
    return errors


def _joined(messages: Sequence[str], value: str, path: str) -> Errors:
    return [invalid(path, value, ",".join(messages))] if messages else []


def validate_update(obj: StorageVersionMigration, old: StorageVersionMigration) -> Errors:
    return validate(obj) + check_immutable(obj.spec, old.spec, "spec")


def is_true(obj: StorageVersionMigration, type: str) -> bool:
    """Whether it has the condition."""
    return any(c.type == type and c.status == "True" for c in obj.status.conditions)


_WELL_FORMED = re.compile("[1-9][0-9]*")


def validate_status_update(obj: StorageVersionMigration, old: StorageVersionMigration) -> Errors:
    errors: Errors = []
    path, rev, was = "status.resourceVersion", obj.status.resourceVersion, old.status.resourceVersion
    if rev and not _WELL_FORMED.fullmatch(rev):
        errors.append(invalid(path, rev, f"resource version is not well formed: {rev}"))
    errors += validate_conditions(obj.status.conditions, "status.conditions")
    if was and rev != was:
        errors.append(invalid(path, rev, "field is immutable"))
    done, failed = is_true(obj, "Succeeded"), is_true(obj, "Failed")
    for wrong, detail in (
        (done and failed, "Both success and failed conditions cannot be true at the same time"),
        (is_true(old, "Succeeded") and not done, "Success condition cannot be set to false once it is true"),
        (is_true(old, "Failed") and not failed, "Failed condition cannot be set to false once it is true"),
    ):
        if wrong:
            errors.append(invalid("status.conditions", obj.status.conditions, detail))
    return errors


def cells(obj: StorageVersionMigration, now: float) -> Sequence[Any]:
    resource = obj.spec.resource
    status = next(
        (c.type for c in reversed(obj.status.conditions) if c.status == "True" and c.type in _STATES), "Unknown"
    )
    name = f"{resource.resource}.{resource.group}" if resource.group else resource.resource
    return obj.metadata.name, name, status


_STATES = ("Running", "Failed", "Succeeded")


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
        Column("Status", "string"),
    ),
    storage_hash="pCjmmKOkLy4=",
    reset=("status",),
    generation=True,
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
