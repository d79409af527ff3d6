"""Label and field selectors over entries: what a list, a watch or a view asks of each object."""

from __future__ import annotations

from collections.abc import Callable

from pelamis.api.kind import Kind
from pelamis.base import fields, labels
from pelamis.base.errors import BadRequest
from pelamis.cache.entry import Entry

Match = Callable[[Entry], bool]


def match_of(kind: Kind, label_selector: str = "", field_selector: str = "") -> Match | None:
    """None when everything matches. Raises BadRequest for a selector that cannot be read, or an unknown field."""
    try:
        return matcher(kind, labels.parse(label_selector), fields.parse(field_selector))
    except (labels.SelectorError, fields.FieldSelectorError) as error:
        raise BadRequest(str(error)) from None


def matcher(kind: Kind, by_label: labels.Selector, by_field: fields.FieldSelector) -> Match | None:
    """The same of parsed selectors. Labels come first: they need no decoding."""
    for term in by_field.terms:
        if term.field not in ("metadata.name", "metadata.namespace") and term.field not in (kind.selectable or {}):
            raise BadRequest(f'field label not supported: "{term.field}"')
    if by_label.empty and by_field.empty:
        return None
    labelled = by_label.matches
    terms = by_field.terms
    if not terms:
        return lambda entry: labelled(entry.labels)
    if by_label.empty:
        if len(terms) == 1 and terms[0].equal:
            field, value = terms[0].field, terms[0].value
            return lambda entry: entry.field(field) == value
        return lambda entry: by_field.matches(entry.field)
    return lambda entry: labelled(entry.labels) and by_field.matches(entry.field)
