"""Sets recorded under an older schema, brought to the present one.

Between two versions of a CustomResourceDefinition a list or map may become atomic: who owned something inside owns the
whole from then on. The other direction needs nothing: who owned the whole keeps that, and nothing inside it.
"""

from __future__ import annotations

from pelamis.base.fieldpath import SELF, Set
from pelamis.base.shape import LEAF, UNTYPED, Node
from pelamis.base.ssa.managed import Entry


def entries_under(entries: list[Entry], schema: Node, api_version: str) -> None:
    """Brings the entries of this version to ``schema``, in place."""
    for entry in entries:
        if entry.api_version == api_version:
            entry.fields = fields_under(entry.fields, schema)


def fields_under(fields: Set, node: Node) -> Set:
    """``fields`` itself where nothing has to change."""
    changed: Set = {}
    for member, below in fields.items():
        if not below:
            continue
        inner = (node.child(member[2:]) if member[:2] == "f:" else node.element) or UNTYPED
        if inner.kind == LEAF:
            changed[member] = SELF
            continue
        deeper = fields_under(below, inner)
        if deeper is not below:
            changed[member] = deeper
    return {**fields, **changed} if changed else fields
