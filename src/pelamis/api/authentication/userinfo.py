"""Who a request comes from: the answer of authentication."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct


class UserInfo(Struct, frozen=True):
    username: Annotated[str, F(1, "Name of the user.")] = ""
    uid: Annotated[str, F(2, "Unique id.")] = ""
    groups: Annotated[tuple[str, ...], F(3, "Groups of the user.", list="atomic")] = ()
    extra: Annotated[dict[str, tuple[str, ...]], F(4, "Further facts from authentication, each a list of texts.")] = {}
