"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int64, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class TokenRequest(Struct, frozen=True):
    audience: Annotated[str, F(1, required=True)] = always(str)
    expirationSeconds: Annotated[Int64 | None, F(2)] = None


class CSIDriverSpec(Struct, frozen=True):
    attachRequired: Annotated[bool | None, F(1, default=True)] = None
    podInfoOnMount: Annotated[bool | None, F(2, default=False)] = None
    volumeLifecycleModes: Annotated[tuple[str, ...], F(3, list="set", default=["Persistent"])] = ()
    storageCapacity: Annotated[bool | None, F(4, default=False)] = None
    fsGroupPolicy: Annotated[str | None, F(5, default="ReadWriteOnceWithFSType")] = None
    tokenRequests: Annotated[tuple[TokenRequest, ...], F(6, list="atomic")] = ()
    requiresRepublish: Annotated[bool | None, F(7, default=False)] = None
    seLinuxMount: Annotated[bool | None, F(8)] = None
    nodeAllocatableUpdatePeriodSeconds: Annotated[Int64 | None, F(9)] = None
    serviceAccountTokenInSecrets: Annotated[bool | None, F(10)] = None
    preventPodSchedulingIfMissing: Annotated[bool | None, F(11)] = None


class CSIDriver(Struct, frozen=True):
    kind: str = always(lambda: "CSIDriver")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[CSIDriverSpec, F(2, required=True)] = always(CSIDriverSpec)


KIND = Kind(
    group="storage.k8s.io",
    version="v1",
    type=CSIDriver,
    plural="csidrivers",
    singular="csidriver",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("AttachRequired", "boolean"),
        Column("PodInfoOnMount", "boolean"),
        Column("StorageCapacity", "boolean"),
        Column("TokenRequests", "string"),
        Column("RequiresRepublish", "boolean"),
        Column("Modes", "string"),
        Column("Age", "string"),
    ),
    storage_hash="hL6j/rwBV5w=",
)
