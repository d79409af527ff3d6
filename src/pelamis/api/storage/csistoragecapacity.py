"""CSIStorageCapacity: how much of a storage class is left where; read by the scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import UNSET
from pelamis.api.check import NONNEGATIVE, Errors, check_immutable, check_text
from pelamis.api.field import F, Quantity, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.metavalidate import validate_label_selector
from pelamis.base import names, quantity
from pelamis.base.errors import invalid


class CSIStorageCapacity(Struct, frozen=True):
    """How much of a storage class is left where; read by the scheduler."""

    kind: str = always(lambda: "CSIStorageCapacity")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    nodeTopology: Annotated[
        LabelSelector | None, F(2, "Nodes from which the storage can be reached; none if unset.")
    ] = None
    storageClassName: Annotated[str, F(3, "The StorageClass it is about; cannot change.", required=True)] = always(str)
    capacity: Annotated[Quantity | None, F(4, "Free bytes; unknown if unset.")] = None
    maximumVolumeSize: Annotated[Quantity | None, F(5, "Bytes of the largest volume that fits.")] = None


def validate(obj: CSIStorageCapacity) -> Errors:
    errors = list(validate_label_selector(obj.nodeTopology, "nodeTopology"))
    errors += check_text(names.is_dns1123_subdomain, obj.storageClassName, "storageClassName")
    if obj.capacity is not None and quantity.sign(obj.capacity) < 0:
        errors.append(invalid("capacity", obj.capacity, NONNEGATIVE))
    return errors


def validate_update(obj: CSIStorageCapacity, old: CSIStorageCapacity) -> Errors:
    errors = check_immutable(obj.nodeTopology, old.nodeTopology, "nodeTopology")
    return errors + check_immutable(obj.storageClassName, old.storageClassName, "storageClassName")


def cells(obj: CSIStorageCapacity, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.storageClassName, obj.capacity or UNSET


KIND = Kind(
    group="storage.k8s.io",
    version="v1",
    type=CSIStorageCapacity,
    plural="csistoragecapacities",
    singular="csistoragecapacity",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("StorageClassName", "string"),
        Column("Capacity", "string"),
    ),
    storage_hash="xeVl+2Ly1kE=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
)
