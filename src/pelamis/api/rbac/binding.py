"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always


class Subject(Struct, frozen=True):
    kind: Annotated[str, F(1, required=True)] = always(str)
    apiGroup: Annotated[str, F(2)] = ""
    name: Annotated[str, F(3, required=True)] = always(str)
    namespace: Annotated[str, F(4)] = ""


class RoleRef(Struct, frozen=True):
    apiGroup: Annotated[str, F(1)] = always(str)
    kind: Annotated[str, F(2, required=True)] = always(str)
    name: Annotated[str, F(3, required=True)] = always(str)
