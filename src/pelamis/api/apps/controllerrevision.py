"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pelamis.api.field import F, Int64, RawJSON, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class ControllerRevision(Struct, frozen=True):
    kind: str = always(lambda: "ControllerRevision")
    apiVersion: str = always(lambda: "apps/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    data: Annotated[RawJSON, F(2, required=True)] = msgspec.UNSET
    revision: Annotated[Int64, F(3)] = always(int)


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
)
