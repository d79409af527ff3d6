"""Node selectors: terms that are ORed, each of ANDed requirements on a node's labels and fields."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always


class NodeSelectorRequirement(Struct, frozen=True):
    """A condition on a label or a field."""

    key: Annotated[str, F(1, "Label key or field path.", required=True)] = always(str)
    operator: Annotated[
        str,
        F(
            2,
            "In, NotIn, Exists, DoesNotExist, Gt or Lt.",
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
    values: Annotated[
        tuple[str, ...], F(3, "Values for the operator; exactly one number for Gt and Lt.", list="atomic")
    ] = ()


class NodeSelectorTerm(Struct, frozen=True):
    """Conditions that must all hold; empty: matches nothing."""

    matchExpressions: Annotated[tuple[NodeSelectorRequirement, ...], F(1, "On labels.", list="atomic")] = ()
    matchFields: Annotated[
        tuple[NodeSelectorRequirement, ...], F(2, "On fields; metadata.name only.", list="atomic")
    ] = ()


class NodeSelector(Struct, frozen=True):
    """Terms of which one must hold."""

    nodeSelectorTerms: Annotated[tuple[NodeSelectorTerm, ...], F(1, "The terms.", list="atomic", required=True)] = (
        always(tuple)
    )
