"""Events of the newer form, as upstream's scheduler records them: an ``eventTime``, and a series for repetitions.

The same thing again (type, action, reason and objects in the same revision; the message does not matter) becomes a
series: the second time is written at once, later ones are counted and written every half hour, or when nothing has
happened for six minutes; after these the next one is a new Event. Pure, with the methods of ``events.Correlator``: what
is due is written together with the next Event. The limit against floods is that of the older form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.event import Event, EventSeries
from pelamis.api.meta import ObjectMeta
from pelamis.base.clock import parse_rfc3339, rfc3339_micro
from pelamis.client.types import Action, Create, Outcome, Patch
from pelamis.reconcile.events import TABLE_SIZE, EventLimit, reference
from pelamis.reconcile.plan import EventNote

FINISH_S = 360.0
REFRESH_S = 1800.0
_LOOK_S = 60.0
"""How often what is due is looked for."""

_Key = tuple[object, ...]


@dataclass(slots=True)
class _Series:
    event: Event
    written_at: float
    unwritten: bool = False


class Series:
    """Turns notes into writes of Events. component: the reporter; instance: which of its processes."""

    def __init__(self, component: str, instance: str) -> None:
        self._component = component
        self._instance = instance
        self._known: dict[_Key, _Series] = {}
        self._limit = EventLimit()
        self._last_ns = 0
        self._looked_at = 0.0

    def actions(self, notes: Sequence[EventNote], now: float) -> list[Action]:
        out = self._due(now)
        for note in notes:
            if self._limit.take(note.type, now) and (action := self._one(note, now)) is not None:
                out.append(action)
        return out

    def retries(self, actions: Sequence[Action], outcomes: Sequence[Outcome]) -> list[Action]:
        """Create anew the events whose patch found nothing: the server drops events after their time to live."""
        missing = {
            (a.namespace, a.name)
            for a, o in zip(actions, outcomes, strict=True)
            if isinstance(a, Patch) and o.error is not None and o.error.reason == "NotFound"
        }
        if not missing:
            return []
        known = (one.event for one in self._known.values())
        return [Create(EVENT, e) for e in known if (e.metadata.namespace, e.metadata.name) in missing]

    def _one(self, note: EventNote, now: float) -> Action | None:
        about = reference(note.regarding)
        related = None if note.related is None else reference(note.related)
        key = (note.type, note.action, note.reason, about, related)
        at = rfc3339_micro(now)
        known = self._known.get(key)
        if known is None:
            ns = max(int(now * 1e9), self._last_ns + 1)
            self._last_ns = ns
            event = Event(
                metadata=ObjectMeta(name=f"{about.name}.{ns:x}", namespace=about.namespace or "default"),
                involvedObject=about,
                reason=note.reason,
                message=note.message,
                type=note.type,
                eventTime=at,
                action=note.action,
                related=related,
                reportingComponent=self._component,
                reportingInstance=self._instance,
            )
            self._known[key] = _Series(event, now)
            if len(self._known) > TABLE_SIZE:
                del self._known[next(iter(self._known))]
            return Create(EVENT, event)
        series = known.event.series
        count = 2 if series is None else series.count + 1
        known.event = msgspec.structs.replace(known.event, series=EventSeries(count=count, lastObservedTime=at))
        if series is None:
            known.written_at = now
            return self._patch(known.event)
        known.unwritten = True
        return None

    def _due(self, now: float) -> list[Action]:
        if now - self._looked_at < _LOOK_S:
            return []
        self._looked_at = now
        out: list[Action] = []
        for key, one in list(self._known.items()):
            series = one.event.series
            last = parse_rfc3339(one.event.eventTime if series is None else series.lastObservedTime)
            over = now - last > FINISH_S
            if one.unwritten and (over or now - one.written_at > REFRESH_S):
                out.append(self._patch(one.event))
                one.unwritten, one.written_at = False, now
            if over:
                del self._known[key]
        return out

    @staticmethod
    def _patch(event: Event) -> Patch:
        assert event.series is not None
        body = {"series": {"count": event.series.count, "lastObservedTime": event.series.lastObservedTime}}
        return Patch(EVENT, event.metadata.namespace, event.metadata.name, body, "strategic")
