"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Quantity, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import LabelSelector, ObjectMeta


class CSIStorageCapacity(Struct, frozen=True):
    kind: str = always(lambda: "CSIStorageCapacity")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    nodeTopology: Annotated[LabelSelector | None, F(2)] = None
    storageClassName: Annotated[str, F(3, required=True)] = always(str)
    capacity: Annotated[Quantity | None, F(4)] = None
    maximumVolumeSize: Annotated[Quantity | None, F(5)] = None


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
)
