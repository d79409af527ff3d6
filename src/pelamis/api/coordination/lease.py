"""Lease: who holds a role and until when; node heartbeats and leader election renew one every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_choice, check_nonnegative, check_text
from pelamis.api.field import F, Int32, MicroTime, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import forbidden, invalid


class LeaseSpec(Struct, frozen=True):
    holderIdentity: Annotated[str | None, F(1, "Who holds it; empty means nobody.")] = None
    leaseDurationSeconds: Annotated[Int32 | None, F(2, "Seconds after renewTime from which others may take it.")] = None
    acquireTime: Annotated[MicroTime | None, F(3, "When the holder got it.")] = None
    renewTime: Annotated[MicroTime | None, F(4, "When the holder last renewed it.")] = None
    leaseTransitions: Annotated[Int32 | None, F(5, "How often it changed hands.")] = None
    strategy: Annotated[str | None, F(6, "How the holder is chosen in coordinated election.")] = None
    preferredHolder: Annotated[str | None, F(7, "Who should have it, if the holder ought to give it up.")] = None


class Lease(Struct, frozen=True):
    """Who holds a role and until when; node heartbeats and leader election renew one every few seconds."""

    kind: str = always(lambda: "Lease")
    apiVersion: str = always(lambda: "coordination.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[LeaseSpec, F(2)] = always(LeaseSpec)


STRATEGY = "OldestEmulationVersion"


def check_strategy(strategy: str, path: str) -> Errors:
    """The doubled name in the path is upstream's."""
    path += ".strategy"
    if "/" in strategy:
        return check_text(names.is_qualified_name, strategy, path)
    return check_choice(strategy, path, (STRATEGY,))


def validate(obj: Lease) -> Errors:
    spec = obj.spec
    errors: Errors = []
    duration = spec.leaseDurationSeconds
    if duration is not None and duration <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    errors += check_nonnegative(spec.leaseTransitions, "spec.leaseTransitions")
    if spec.strategy is not None:
        errors += check_strategy(spec.strategy, "spec.strategy")
    if spec.preferredHolder and not spec.strategy:
        errors.append(forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"))
    return errors


def validate_update(obj: Lease, old: Lease) -> Errors:
    return validate(obj)


def cells(obj: Lease, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.spec.holderIdentity or "", age(obj.metadata.creationTimestamp, now)


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
    cells=cells,
    overlays={"": ("spec", lambda new, old: True)},
    validate=validate,
    validate_update=validate_update,
)
