"""The Kinds seam over a Registry: one kind for each stored resource, and what changes as custom ones come and go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pelamis.api.kind import Kind
from pelamis.api.registry import Registry


class RegistryKinds:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._revision = -1
        self._stored: Sequence[Kind] = ()

    def current(self) -> Sequence[Kind]:
        """The same tuple until the set changes."""
        if self._revision != self._registry.revision:
            self._revision = self._registry.revision
            self._stored = self._registry.stored()
        return self._stored

    def subscribe(self, fn: Callable[[Kind, bool], None]) -> Callable[[], None]:
        known: dict[Kind, None] = {}

        def changed(kind: Kind, added: bool) -> None:
            stored = dict.fromkeys(self._registry.stored())
            for gone in [k for k in known if k not in stored]:
                del known[gone]
                fn(gone, False)
            for new in [k for k in stored if k not in known]:
                known[new] = None
                fn(new, True)

        for kind in self._registry.stored():
            known[kind] = None
            fn(kind, True)
        return self._registry.subscribe(changed)
