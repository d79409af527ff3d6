"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, MicroTime, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class LeaseSpec(Struct, frozen=True):
    holderIdentity: Annotated[str | None, F(1)] = None
    leaseDurationSeconds: Annotated[Int32 | None, F(2)] = None
    acquireTime: Annotated[MicroTime | None, F(3)] = None
    renewTime: Annotated[MicroTime | None, F(4)] = None
    leaseTransitions: Annotated[Int32 | None, F(5)] = None
    strategy: Annotated[str | None, F(6)] = None
    preferredHolder: Annotated[str | None, F(7)] = None


class Lease(Struct, frozen=True):
    kind: str = always(lambda: "Lease")
    apiVersion: str = always(lambda: "coordination.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[LeaseSpec, F(2)] = always(LeaseSpec)


KIND = Kind(
    group="coordination.k8s.io",
    version="v1",
    type=Lease,
    plural="leases",
    singular="lease",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Holder", "string"),
        Column("Age", "string"),
    ),
    storage_hash="gqkMMb/YqFM=",
)
