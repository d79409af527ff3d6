"""Node selectors: terms that are ORed, each of ANDed requirements on a node's labels and fields."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always


class NodeSelectorRequirement(Struct, frozen=True):
    key: Annotated[str, F(1, required=True)] = always(str)
    operator: Annotated[
        str,
        F(
            2,
            enum=(
                "In",
                "NotIn",
                "Exists",
                "DoesNotExist",
                "Gt",
                "Lt",
            ),
            required=True,
        ),
    ] = always(str)
    values: Annotated[tuple[str, ...], F(3, list="atomic")] = ()


class NodeSelectorTerm(Struct, frozen=True):
    matchExpressions: Annotated[tuple[NodeSelectorRequirement, ...], F(1, list="atomic")] = ()
    matchFields: Annotated[tuple[NodeSelectorRequirement, ...], F(2, list="atomic")] = ()


class NodeSelector(Struct, frozen=True):
    nodeSelectorTerms: Annotated[tuple[NodeSelectorTerm, ...], F(1, list="atomic", required=True)] = always(tuple)
