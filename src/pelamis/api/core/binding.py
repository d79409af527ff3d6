"""Binding: a request that assigns a pod to a node. It is never stored; see ``pods/binding``."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta
from pelamis.base.errors import FieldError, not_supported, required


class Binding(Struct, frozen=True):
    """Assigns a pod to a node."""

    kind: str = always(lambda: "Binding")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name and namespace of the pod.")] = always(ObjectMeta)
    target: Annotated[ObjectReference, F(2, "The node.", required=True)] = always(ObjectReference)


def validate(obj: Binding) -> list[FieldError]:
    errors: list[FieldError] = []
    if obj.target.kind not in ("", "Node"):
        errors.append(not_supported("target.kind", obj.target.kind, ("Node", "<empty>")))
    if not obj.target.name:
        errors.append(required("target.name"))
    return errors


KIND = Kind(
    group="",
    version="v1",
    type=Binding,
    plural="bindings",
    singular="binding",
    namespaced=True,
    verbs=("create",),
    validate=validate,
)
