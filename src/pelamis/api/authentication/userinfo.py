"""Who a request comes from: the answer of authentication."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct


class UserInfo(Struct, frozen=True):
    username: Annotated[str, F(1)] = ""
    uid: Annotated[str, F(2)] = ""
    groups: Annotated[tuple[str, ...], F(3, list="atomic")] = ()
    extra: Annotated[dict[str, tuple[str, ...]], F(4)] = {}
