"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class Secret(Struct, frozen=True):
    kind: str = always(lambda: "Secret")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    immutable: Annotated[bool | None, F(5)] = None
    data: Annotated[dict[str, bytes], F(2)] = {}
    stringData: Annotated[dict[str, str], F(4)] = {}
    type: Annotated[str, F(3, default="Opaque")] = ""


KIND = Kind(
    group="",
    version="v1",
    type=Secret,
    plural="secrets",
    singular="secret",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Type", "string"),
        Column("Data", "string"),
        Column("Age", "string"),
    ),
    # selectable: type
    storage_hash="S6u1pOWzb84=",
)
