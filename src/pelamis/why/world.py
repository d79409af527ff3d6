"""What an analysis looks at: objects by kind, as they were listed. Pure.

An analysis just asks; what has not been listed yet is told by ``NotLoaded``, whoever drives it lists that and starts it
anew. So no analysis says beforehand what it needs, and only what is looked at is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.kind import Kind
from pelamis.base.clock import human_duration, parse_rfc3339
from pelamis.client.types import Key

EVERYWHERE = ""


class NotLoaded(Exception):
    """namespace "": of all namespaces, or the kind has none."""

    def __init__(self, kind: Kind, namespace: str) -> None:
        super().__init__(f"{kind.plural} of {namespace or 'all namespaces'}")
        self.kind = kind
        self.namespace = namespace


class World:
    """now: seconds since the epoch. settings: of the scheduler, ``scheduler.profile.Settings``; None = the defaults.

    unreadable: kinds that may not be listed, with the reason; they look empty.
    """

    def __init__(self, now: float, settings: Any = None) -> None:
        self.now = now
        self.settings = settings
        self.unreadable: dict[str, str] = {}
        self._tables: dict[tuple[Kind, str], Mapping[Key, Any]] = {}

    def load(self, kind: Kind, namespace: str, objects: Sequence[Any]) -> None:
        found = {(o.metadata.namespace, o.metadata.name): o for o in objects}
        self._tables[kind, namespace if kind.namespaced else EVERYWHERE] = found

    def _table(self, kind: Kind, namespace: str) -> Mapping[Key, Any]:
        if not kind.namespaced:
            namespace = EVERYWHERE
        found = self._tables.get((kind, namespace))
        if found is None:
            found = self._tables.get((kind, EVERYWHERE))
        if found is None:
            raise NotLoaded(kind, namespace)
        return found

    def get(self, kind: Kind, namespace: str, name: str) -> Any:
        """None = there is none."""
        return self._table(kind, namespace).get((namespace if kind.namespaced else "", name))

    def all(self, kind: Kind, namespace: str = EVERYWHERE) -> list[Any]:
        table = self._table(kind, namespace)
        if not kind.namespaced or not namespace:
            return [table[key] for key in sorted(table)]
        return [table[key] for key in sorted(table) if key[0] == namespace]

    def owned(self, kind: Kind, owner: Any) -> list[Any]:
        """Objects that the owner controls."""
        uid = owner.metadata.uid
        return [
            o
            for o in self.all(kind, owner.metadata.namespace)
            if any(r.controller and r.uid == uid for r in o.metadata.ownerReferences)
        ]

    def events(self, kind: Kind, obj: Any, *reasons: str, warnings: bool = False) -> list[Any]:
        """About the object, the last one first."""
        meta = obj.metadata
        found = []
        for event in self.all(EVENT, meta.namespace or "default"):
            about = event.involvedObject
            if about.kind != kind.kind or about.name != meta.name or (about.uid and meta.uid and about.uid != meta.uid):
                continue
            if (reasons and event.reason not in reasons) or (warnings and event.type != "Warning"):
                continue
            found.append(event)
        return sorted(found, key=when, reverse=True)

    def ago(self, text: str | None) -> str:
        """How long since a time of an object: ``5m``; "" where there is none."""
        return human_duration(self.now - parse_rfc3339(text)) if text else ""


def when(event: Any) -> str:
    """The last time, as a text that sorts."""
    series = event.series.lastObservedTime if event.series is not None else ""
    return str(series or event.lastTimestamp or event.eventTime or event.metadata.creationTimestamp)
