"""CSINode: the CSI drivers that a node has; named after the node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.check import Errors, check_immutable, check_nonnegative, check_text
from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.storage.driver import check_driver_name
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import duplicate, invalid, required


class VolumeNodeResources(Struct, frozen=True):
    count: Annotated[Int32 | None, F(1, "Most volumes of the driver on the node; no limit if unset.")] = None


class CSINodeDriver(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the driver.", required=True)] = always(str)
    nodeID: Annotated[str, F(2, "Name of the node as the driver knows it.", required=True)] = always(str)
    topologyKeys: Annotated[tuple[str, ...], F(3, "Node labels that the driver uses as topology.", list="atomic")] = (
        always(tuple)
    )
    allocatable: Annotated[VolumeNodeResources | None, F(4, "How many volumes fit.")] = None


class CSINodeSpec(Struct, frozen=True):
    drivers: Annotated[
        tuple[CSINodeDriver, ...],
        F(1, "The drivers that the node has.", merge="merge", key="name", list="map", keys=("name",), required=True),
    ] = always(tuple)


class StorageHealthCondition(Struct, frozen=True):
    status: Annotated[
        str,
        F(
            1,
            "StorageUnreachable or StorageDegraded.",
            enum=(
                "StorageUnreachable",
                "StorageDegraded",
            ),
            required=True,
        ),
    ] = always(str)
    reason: Annotated[str, F(2, "One word in CamelCase for the last transition.", required=True)] = always(str)
    message: Annotated[str, F(3, "The last transition, for people.")] = ""
    accessMode: Annotated[
        str | None,
        F(
            4,
            "Access mode that is concerned; all if unset.",
            enum=(
                "ReadWriteOnce",
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOncePod",
            ),
        ),
    ] = None
    volumeMode: Annotated[
        str | None,
        F(
            5,
            "Volume mode that is concerned; all if unset.",
            enum=(
                "Block",
                "Filesystem",
            ),
        ),
    ] = None
    lastTransitionTime: Annotated[Time, F(6, "When the status last changed.")] = ""


class StorageHealth(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the driver.", required=True)] = always(str)
    healthConditions: Annotated[
        tuple[StorageHealthCondition, ...], F(2, "What is wrong, if anything.", list="atomic")
    ] = ()


class CSINodeStatus(Struct, frozen=True):
    storageHealth: Annotated[
        tuple[StorageHealth, ...],
        F(1, "Health of the storage, by driver.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()


class CSINode(Struct, frozen=True):
    """The CSI drivers that a node has; named after the node."""

    kind: str = always(lambda: "CSINode")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[CSINodeSpec, F(2, "What is wanted.", required=True)] = always(CSINodeSpec)
    status: Annotated[CSINodeStatus, F(3, "What was observed; written by the system.")] = always(CSINodeStatus)


_LONGEST_NODE_ID = 256


def _validate_driver(driver: CSINodeDriver, path: str) -> Errors:
    errors = check_driver_name(driver.name, f"{path}.name")
    if not driver.nodeID:
        errors.append(required(f"{path}.nodeID"))
    if len(driver.nodeID) > _LONGEST_NODE_ID:
        detail = f"must be {_LONGEST_NODE_ID} characters or less"
        errors.append(invalid(f"{path}.nodeID", driver.nodeID, detail))
    if driver.allocatable is not None:
        errors += check_nonnegative(driver.allocatable.count, f"{path}.allocatable.count")
    for i, key in enumerate(driver.topologyKeys):
        if not key:
            errors.append(required(path))
        if key in driver.topologyKeys[:i]:
            errors.append(duplicate(path, key))
        errors += check_text(names.is_qualified_name, key, path)
    return errors


def validate(obj: CSINode) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for i, driver in enumerate(obj.spec.drivers):
        path = f"spec.drivers[{i}]"
        errors += _validate_driver(driver, path)
        if driver.name in seen:
            errors.append(duplicate(f"{path}.name", driver.name))
        seen.add(driver.name)
    return errors


def validate_update(obj: CSINode, old: CSINode) -> Errors:
    """A driver's entry is fixed, but for how many volumes it can take."""
    errors = validate(obj)
    was = {d.name: msgspec.structs.replace(d, allocatable=None) for d in old.spec.drivers}
    for driver in obj.spec.drivers:
        new = msgspec.structs.replace(driver, allocatable=None)
        errors += check_immutable(new, was.get(driver.name, new), "spec.drivers")
    return errors


def cells(obj: CSINode, now: float) -> Sequence[Any]:
    return obj.metadata.name, len(obj.spec.drivers), age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="storage.k8s.io",
    version="v1",
    type=CSINode,
    plural="csinodes",
    singular="csinode",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "storage.k8s.io", "v1", "CSINode", ("get", "patch", "update"), reset=("spec",)),
    ),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Drivers", "integer"),
        Column("Age", "string"),
    ),
    storage_hash="Pe62DkZtjuo=",
    reset=("status",),
    cells=cells,
    validate=validate,
    validate_update=validate_update,
)
