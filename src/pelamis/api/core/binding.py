"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta


class Binding(Struct, frozen=True):
    kind: str = always(lambda: "Binding")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    target: Annotated[ObjectReference, F(2, required=True)] = always(ObjectReference)


KIND = Kind(
    group="",
    version="v1",
    type=Binding,
    plural="bindings",
    singular="binding",
    namespaced=True,
    verbs=("create",),
)
