"""Which objects of a kind a list, watch or deletecollection is about."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pelamis.api import codec
from pelamis.api.kind import Kind
from pelamis.base import fields, labels
from pelamis.base.errors import BadRequest
from pelamis.cache.entry import Entry


class Selection:
    """namespace "" = all. Equal selections of one kind compare equal, so that watchers can share work."""

    __slots__ = ("_plain", "_terms", "fields", "key", "kind", "labels", "name", "namespace")

    def __init__(self, kind: Kind, namespace: str, label_text: str, field_text: str) -> None:
        """Raises BadRequest."""
        self.kind = kind
        self.namespace = namespace
        self.labels = _labels(label_text) if label_text else None
        self.fields = _fields(field_text) if field_text else fields.EVERYTHING
        if self.labels is not None and self.labels.empty and str(self.labels) == "":
            self.labels = None
        known = kind.selectable or {}
        for term in self.fields.terms:
            if term.field not in ("metadata.name", "metadata.namespace") and term.field not in known:
                raise BadRequest(_unknown_field(term.field, kind))
        self.name = self.fields.exact("metadata.name") or ""
        self._terms = self.fields.terms
        self._plain = kind.hub is None
        self.key = (namespace, str(self.labels) if self.labels is not None else "", str(self.fields))

    @property
    def everything(self) -> bool:
        return self.labels is None and not self._terms

    def matches(self, entry: Entry) -> bool:
        """Namespace included."""
        if self.namespace and entry.key[0] != self.namespace:
            return False
        if self.labels is not None and not self.labels.matches(entry.labels):
            return False
        if self._terms:
            if not self._plain:
                return self._converted(entry)
            for field, value, equal in self._terms:
                if (entry.field(field) == value) is not equal:
                    return False
        return True

    def _converted(self, entry: Entry) -> bool:
        obj: Any = None
        known = self.kind.selectable or {}
        for field, value, equal in self._terms:
            if field in ("metadata.name", "metadata.namespace"):
                found = entry.field(field)
            else:
                if obj is None:
                    obj = codec.decode(self.kind, codec.to_version(self.kind, entry.data))
                found = known[field](obj)
            if (found == value) is not equal:
                return False
        return True

    def exact_field(self) -> tuple[str, str] | None:
        """A field of the kind that the selector pins to one value, for the watch index."""
        if not self._plain:
            return None
        for field, value, equal in self._terms:
            if equal and not field.startswith("metadata."):
                return field, value
        return None


def _unknown_field(name: str, kind: Kind) -> str:
    """Kinds without selectable fields of their own are asked about in general."""
    if kind.selectable or kind.prune is not None:
        return f"field label not supported: {name}"
    return f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'


@lru_cache(maxsize=2048)
def _labels(text: str) -> labels.Selector:
    try:
        return labels.parse(text)
    except ValueError as error:
        raise BadRequest(str(error)) from None


@lru_cache(maxsize=8192)
def _fields(text: str) -> fields.FieldSelector:
    try:
        return fields.parse(text)
    except ValueError as error:
        raise BadRequest(str(error)) from None
