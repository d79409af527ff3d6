"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always


class PolicyRule(Struct, frozen=True):
    verbs: Annotated[tuple[str, ...], F(1, list="atomic", required=True)] = always(tuple)
    apiGroups: Annotated[tuple[str, ...], F(2, list="atomic")] = ()
    resources: Annotated[tuple[str, ...], F(3, list="atomic")] = ()
    resourceNames: Annotated[tuple[str, ...], F(4, list="atomic")] = ()
    nonResourceURLs: Annotated[tuple[str, ...], F(5, list="atomic")] = ()
