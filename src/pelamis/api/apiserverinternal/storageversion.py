"""StorageVersion: in which version each server of a cluster stores a resource; named ``group.resource``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_text
from pelamis.api.field import F, Int64, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, invalid, required


class StorageVersionSpec(Struct, frozen=True):
    """Nothing can be wanted of it."""


class ServerStorageVersion(Struct, frozen=True):
    apiServerID: Annotated[str, F(1, "The server.", required=True)] = ""
    encodingVersion: Annotated[str, F(2, "The version in which it writes objects.", required=True)] = ""
    decodableVersions: Annotated[
        tuple[str, ...], F(3, "The versions that it can read.", list="set", required=True)
    ] = ()
    servedVersions: Annotated[tuple[str, ...], F(4, "The versions that it serves.", list="set")] = ()


class StorageVersionCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "AllEncodingVersionsEqual.", required=True)] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    observedGeneration: Annotated[Int64, F(3, "metadata.generation that it is about.")] = 0
    lastTransitionTime: Annotated[Time, F(4, "When the status last changed.")] = ""
    reason: Annotated[str, F(5, "Why, for programs.", required=True)] = always(str)
    message: Annotated[str, F(6, "Why, for people.", required=True)] = ""


class StorageVersionStatus(Struct, frozen=True):
    storageVersions: Annotated[
        tuple[ServerStorageVersion, ...], F(1, "What each server reports.", list="map", keys=("apiServerID",))
    ] = ()
    commonEncodingVersion: Annotated[str | None, F(2, "The version in which all of them write, if it is one.")] = None
    conditions: Annotated[
        tuple[StorageVersionCondition, ...], F(3, "Observations, one of each type.", list="map", keys=("type",))
    ] = ()


class StorageVersion(Struct, frozen=True):
    """In which version each server of the cluster stores a resource; named group.resource."""

    kind: str = always(lambda: "StorageVersion")
    apiVersion: str = always(lambda: "internal.apiserver.k8s.io/v1alpha1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.", required=True)] = always(ObjectMeta)
    spec: Annotated[StorageVersionSpec, F(2, "Empty.")] = always(StorageVersionSpec)
    status: Annotated[StorageVersionStatus, F(3, "What was observed; written by the servers.")] = always(
        StorageVersionStatus
    )


def validate_name(name: str) -> list[str]:
    group, dot, resource = name.rpartition(".")
    if not dot:
        return ["name must be in the form of <group>.<resource>"]
    return [f"the group segment {m}" for m in names.is_dns1123_subdomain(group)] + [
        f"the resource segment {m}" for m in names.is_dns1035_label(resource)
    ]


def _api_version(text: str) -> list[str]:
    group, slash, version = text.rpartition("/")
    out = []
    if slash:
        out = [f"group part: {m}" for m in (names.is_dns1123_subdomain(group) if group else [names.empty()])]
    return out + [f"version part: {m}" for m in (names.is_dns1035_label(version) if version else [names.empty()])]


def _validate_server(one: ServerStorageVersion, path: str) -> Errors:
    errors = check_text(names.is_dns1123_subdomain, one.apiServerID, f"{path}.apiServerID")
    for value, where in (
        (one.encodingVersion, f"{path}.encodingVersion"),
        *((v, f"{path}.decodableVersions[{i}]") for i, v in enumerate(one.decodableVersions)),
    ):
        wrong = _api_version(value)
        if wrong:
            errors.append(invalid(where, value, ",".join(wrong)))
    if one.encodingVersion not in one.decodableVersions:
        detail = f"decodableVersions must include encodingVersion {one.encodingVersion}"
        errors.append(invalid(f"{path}.decodableVersions", one.decodableVersions, detail))
    return errors


def _validate_common(status: StorageVersionStatus) -> FieldError | None:
    path, said = "status.commonEncodingVersion", status.commonEncodingVersion
    versions = {s.encodingVersion for s in status.storageVersions}
    if len(versions) != 1:
        detail = (
            "should be nil if servers do not agree on the same encoding version, "
            "or if there is no server reporting the supported versions yet"
        )
        return invalid(path, said, detail) if said is not None else None
    (common,) = versions
    if said is None:
        return invalid(path, None, f"the common encoding version is {common}")
    return invalid(path, said, f"the actual common encoding version is {common}") if said != common else None


def _validate_status(obj: StorageVersion) -> Errors:
    status = obj.status
    errors: Errors = []
    for i, one in enumerate(status.storageVersions):
        errors += _validate_server(one, f"status.storageVersions[{i}]")
    common = _validate_common(status)
    if common is not None:
        errors.append(common)
    seen: dict[str, int] = {}
    for i, condition in enumerate(status.conditions):
        path = f"status[{i}]"
        if condition.type in seen:
            detail = f"the type of the condition is not unique, it also appears in conditions[{seen[condition.type]}]"
            errors.append(invalid(f"{path}.type", condition.type, detail))
        seen[condition.type] = i
        errors += check_text(names.is_qualified_name, condition.type, f"{path}.type")
        errors += [invalid(f"{path}.status", condition.type, m) for m in names.is_qualified_name(condition.status)]
        if not condition.reason:
            errors.append(required(f"{path}.reason", "reason cannot be empty"))
        if not condition.message:
            errors.append(required(f"{path}.message", "message cannot be empty"))
    return errors


def validate_status_update(obj: StorageVersion, old: StorageVersion) -> Errors:
    return _validate_status(obj)


def prepare_update(tree: Tree, old: Tree) -> None:
    """The spec is empty for ever."""
    tree["spec"] = old.get("spec", {})


def cells(obj: StorageVersion, now: float) -> Sequence[Any]:
    shown = ""
    for i, one in enumerate(obj.status.storageVersions):
        if i == 3:
            shown += f" + {len(obj.status.storageVersions) - 3} more..."
            break
        shown += f"{', ' if i else ''}{one.apiServerID}={one.encodingVersion}"
    common = obj.status.commonEncodingVersion
    return obj.metadata.name, common or "<unset>", shown or "<unset>", age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="internal.apiserver.k8s.io",
    version="v1alpha1",
    type=StorageVersion,
    plural="storageversions",
    singular="storageversion",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "internal.apiserver.k8s.io",
            "v1alpha1",
            "StorageVersion",
            ("get", "patch", "update"),
            reset=("metadata", "spec"),
        ),
    ),
    reset=("status",),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("CommonEncodingVersion", "string"),
        Column("StorageVersions", "string"),
        Column("Age", "string"),
    ),
    storage_hash="c8YZt5U0nPk=",
    cells=cells,
    prepare_update=prepare_update,
    validate=_validate_status,
    validate_status_update=validate_status_update,
    validate_name=validate_name,
)
