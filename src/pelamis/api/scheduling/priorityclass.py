"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class PriorityClass(Struct, frozen=True):
    kind: str = always(lambda: "PriorityClass")
    apiVersion: str = always(lambda: "scheduling.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    value: Annotated[Int32, F(2)] = always(int)
    globalDefault: Annotated[bool, F(3)] = False
    description: Annotated[str, F(4)] = ""
    preemptionPolicy: Annotated[
        str | None,
        F(
            5,
            enum=(
                "PreemptLowerPriority",
                "Never",
            ),
            default="PreemptLowerPriority",
        ),
    ] = None


KIND = Kind(
    group="scheduling.k8s.io",
    version="v1",
    type=PriorityClass,
    plural="priorityclasses",
    singular="priorityclass",
    short_names=("pc",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Value", "integer"),
        Column("Global-Default", "boolean"),
        Column("Age", "string"),
    ),
    storage_hash="1QwjyaZjj3Y=",
)
