"""Whether a node selector selects one node. ``nodematch`` does it for all rows at once."""

from __future__ import annotations

from collections.abc import Mapping

from pelamis.api.core.node import Node
from pelamis.api.core.nodeselector import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from pelamis.base import labels
from pelamis.base.labels import Requirement

_OPERATORS = {
    "In": labels.IN,
    "NotIn": labels.NOT_IN,
    "Exists": labels.EXISTS,
    "DoesNotExist": labels.ABSENT,
    "Gt": labels.GREATER,
    "Lt": labels.LESS,
}


def requirement(expression: NodeSelectorRequirement) -> Requirement | None:
    """None = it is malformed and selects nothing."""
    operator = _OPERATORS.get(expression.operator)
    values = expression.values
    if operator is None:
        return None
    if operator in (labels.IN, labels.NOT_IN) and not values:
        return None
    if operator in (labels.EXISTS, labels.ABSENT) and values:
        return None
    if operator in (labels.GREATER, labels.LESS) and (len(values) != 1 or not values[0].lstrip("+-").isdigit()):
        return None
    return Requirement(expression.key, operator, values)


def term_matches(term: NodeSelectorTerm, own: Mapping[str, str], name: str) -> bool:
    """A term without any requirement selects nothing."""
    if not term.matchExpressions and not term.matchFields:
        return False
    for expression in term.matchExpressions:
        wanted = requirement(expression)
        if wanted is None or not wanted.matches(own):
            return False
    for expression in term.matchFields:
        wanted = requirement(expression)
        if wanted is None or expression.key != "metadata.name" or not wanted.matches({"metadata.name": name}):
            return False
    return True


def selector_matches(selector: NodeSelector | None, node: Node) -> bool:
    """No selector selects every node, one without terms selects none."""
    if selector is None:
        return True
    meta = node.metadata
    return any(term_matches(term, meta.labels, meta.name) for term in selector.nodeSelectorTerms)
