"""References from one object to another, as core kinds hold them."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always


class ObjectReference(Struct, frozen=True):
    """Any object, or a part of one."""

    kind: Annotated[str, F(1, "Kind of the object.")] = ""
    namespace: Annotated[str, F(2, "Namespace of the object.")] = ""
    name: Annotated[str, F(3, "Name of the object.")] = ""
    uid: Annotated[str, F(4, "Id of the object.")] = ""
    apiVersion: Annotated[str, F(5, "Group and version of the object.")] = ""
    resourceVersion: Annotated[str, F(6, "Version of the object that is meant.")] = ""
    fieldPath: Annotated[str, F(7, "The part, such as spec.containers{name}.")] = ""


class TypedLocalObjectReference(Struct, frozen=True):
    """An object of any kind in the same namespace."""

    apiGroup: Annotated[str | None, F(1, "Group of the kind; null: core.")] = None
    kind: Annotated[str, F(2, "Kind of the object.", required=True)] = always(str)
    name: Annotated[str, F(3, "Name of the object.", required=True)] = always(str)


class TypedObjectReference(Struct, frozen=True):
    """An object of any kind."""

    apiGroup: Annotated[str | None, F(1, "Group of the kind; null: core.")] = None
    kind: Annotated[str, F(2, "Kind of the object.", required=True)] = always(str)
    name: Annotated[str, F(3, "Name of the object.", required=True)] = always(str)
    namespace: Annotated[str | None, F(4, "Namespace; null: the same.")] = None


class SecretReference(Struct, frozen=True):
    """A Secret in any namespace."""

    name: Annotated[str, F(1, "Name of the Secret.")] = ""
    namespace: Annotated[str, F(2, "Namespace of the Secret.")] = ""


class LocalObjectReference(Struct, frozen=True):
    """An object in the same namespace, of a kind that is clear."""

    name: Annotated[str, F(1, "Name of the object.", default="", shown=True)] = ""
