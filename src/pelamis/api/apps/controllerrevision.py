"""ControllerRevision: one immutable snapshot of a DaemonSet's or StatefulSet's template, for rollback and history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.cell import NONE
from pelamis.api.check import Errors, check_immutable, check_nonnegative
from pelamis.api.field import F, Int64, RawJSON, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base.errors import required


class ControllerRevision(Struct, frozen=True):
    """One immutable snapshot of a DaemonSet's or StatefulSet's template, for rollback and history."""

    kind: str = always(lambda: "ControllerRevision")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    data: Annotated[RawJSON, F(2, "The recorded state, as its owner wrote it.", required=True)] = msgspec.UNSET
    revision: Annotated[Int64, F(3, "Number of the revision; a higher one is newer.")] = always(int)


def validate(obj: ControllerRevision) -> Errors:
    errors: Errors = []
    if obj.data is msgspec.UNSET or bytes(obj.data) == b"null":
        errors.append(required("data", "data is mandatory"))
    elif not bytes(obj.data).startswith(b"{"):
        errors.append(required("data", "data must be a valid JSON object"))
    return errors + check_nonnegative(obj.revision, "revision")


def validate_update(obj: ControllerRevision, old: ControllerRevision) -> Errors:
    return validate(obj) + check_immutable(_plain(obj.data), _plain(old.data), "data")


def _plain(data: Any) -> Any:
    return None if data is msgspec.UNSET else msgspec.json.decode(data)


def cells(obj: ControllerRevision, now: float) -> Sequence[Any]:
    owner = next((o for o in obj.metadata.ownerReferences if o.controller), None)
    controller = NONE
    if owner is not None:
        group = owner.apiVersion.rpartition("/")[0]
        kind = f"{owner.kind}.{group}" if group else owner.kind
        controller = f"{kind.lower()}/{owner.name}"
    return obj.metadata.name, controller, obj.revision, age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="apps",
    version="v1",
    type=ControllerRevision,
    plural="controllerrevisions",
    singular="controllerrevision",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Controller", "string"),
        Column("Revision", "string"),
        Column("Age", "string"),
    ),
    storage_hash="85nkx63pcBU=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
)
