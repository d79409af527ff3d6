"""References from one object to another, as core kinds hold them."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always


class ObjectReference(Struct, frozen=True):
    kind: Annotated[str, F(1)] = ""
    namespace: Annotated[str, F(2)] = ""
    name: Annotated[str, F(3)] = ""
    uid: Annotated[str, F(4)] = ""
    apiVersion: Annotated[str, F(5)] = ""
    resourceVersion: Annotated[str, F(6)] = ""
    fieldPath: Annotated[str, F(7)] = ""


class TypedLocalObjectReference(Struct, frozen=True):
    apiGroup: Annotated[str | None, F(1)] = None
    kind: Annotated[str, F(2, required=True)] = always(str)
    name: Annotated[str, F(3, required=True)] = always(str)


class TypedObjectReference(Struct, frozen=True):
    apiGroup: Annotated[str | None, F(1)] = None
    kind: Annotated[str, F(2, required=True)] = always(str)
    name: Annotated[str, F(3, required=True)] = always(str)
    namespace: Annotated[str | None, F(4)] = None


class SecretReference(Struct, frozen=True):
    name: Annotated[str, F(1)] = ""
    namespace: Annotated[str, F(2)] = ""


class LocalObjectReference(Struct, frozen=True):
    name: Annotated[str, F(1, default="", shown=True)] = ""
