"""Recording Events, with upstream's rules against floods. The correlator is pure; the runner carries out its actions.

Four steps; the last three are those of client-go's correlator, the first what its queue and its client's rate come to:

0. *Limit*: a component records 1,000 at once (half of them warnings), then 50 a second; what is over is dropped. A
   flood of pods must not become a flood of Events.
1. *Spam filter*: a token bucket per (source, object): 25 at once, then one every 300 s; what is over is dropped.
2. *Aggregation*: more than 10 different messages for one (source, object, type, reason) within 600 s become one event
   whose message starts ``(combined from similar events): ``.
3. *Counting*: the same event again raises ``count`` and ``lastTimestamp`` of the stored one by a patch.

Each table forgets what was used longest ago beyond 4,096 entries. An Event's name is the object's name, a dot, and the
time in nanoseconds as hexadecimal digits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.event import Event, EventSource
from pelamis.api.core.reference import ObjectReference
from pelamis.api.meta import ObjectMeta
from pelamis.base.bucket import Bucket
from pelamis.base.clock import rfc3339
from pelamis.client.types import Action, Client, Create, Outcome, Patch
from pelamis.reconcile.plan import EventNote

BURST = 1000.0
PER_SECOND = 50.0
SPAM_BURST = 25
SPAM_REFILL_S = 300.0
AGGREGATE_AFTER = 10
AGGREGATE_WITHIN_S = 600.0
TABLE_SIZE = 4096
COMBINED = "(combined from similar events): "

V = TypeVar("V")
_Identity = tuple[str, ...]


class _Recent(Generic[V]):
    """A table that forgets the entry used longest ago."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[_Identity, V] = OrderedDict()

    def get(self, key: _Identity) -> V | None:
        value = self._items.get(key)
        if value is not None:
            self._items.move_to_end(key)
        return value

    def put(self, key: _Identity, value: V) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._size:
            self._items.popitem(last=False)

    def drop(self, key: _Identity) -> None:
        self._items.pop(key, None)


class EventLimit:
    """How many Events a component records: ``burst`` at once, half of them warnings, then 50 a second."""

    def __init__(self, burst: float = BURST) -> None:
        self._bucket = Bucket(burst, PER_SECOND, 0.0)
        self._kept = burst / 2

    def take(self, type: str, now: float) -> bool:
        """Whether one more may be recorded; then it counts."""
        return self._bucket.take(now, 0.0 if type == "Warning" else self._kept)


@dataclass(slots=True)
class _Similar:
    messages: set[str]
    at: float


@dataclass(slots=True)
class _Written:
    event: Event
    count: int


def reference(obj: Any) -> ObjectReference:
    """The reference by which an Event names an object; a reference is passed through."""
    if isinstance(obj, ObjectReference):
        return obj
    meta = obj.metadata
    return ObjectReference(
        kind=obj.kind,
        apiVersion=obj.apiVersion,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
    )


class Correlator:
    """Turns notes into writes of Events. ``component`` and ``host`` are the source of the events."""

    def __init__(self, component: str, host: str = "") -> None:
        self._source = EventSource(component=component, host=host)
        self._spam: _Recent[Bucket] = _Recent(TABLE_SIZE)
        self._similar: _Recent[_Similar] = _Recent(TABLE_SIZE)
        self._written: _Recent[_Written] = _Recent(TABLE_SIZE)
        self._last_ns = 0
        self._limit = EventLimit()

    def actions(self, notes: Sequence[EventNote], now: float) -> list[Action]:
        out: list[Action] = []
        for note in notes:
            action = self._one(note, now)
            if action is not None:
                out.append(action)
        return out

    def retries(self, actions: Sequence[Action], outcomes: Sequence[Outcome]) -> list[Action]:
        """Create anew the events whose patch found nothing: the server drops events after their time to live."""
        out: list[Action] = []
        for action, outcome in zip(actions, outcomes, strict=True):
            if isinstance(action, Patch) and outcome.error is not None and outcome.error.reason == "NotFound":
                written = self._by_name(action.namespace, action.name)
                if written is not None:
                    out.append(Create(EVENT, written))
        return out

    def _by_name(self, namespace: str, name: str) -> Event | None:
        for item in reversed(self._written._items.values()):
            if item.event.metadata.name == name and item.event.metadata.namespace == namespace:
                return item.event
        return None

    def _one(self, note: EventNote, now: float) -> Action | None:
        if not self._limit.take(note.type, now):
            return None
        ref = reference(note.regarding)
        who = (ref.kind, ref.namespace, ref.name, ref.uid, ref.apiVersion)
        if not self._allowed(who, now):
            return None
        group = (*who, ref.fieldPath, note.type, note.reason, note.action)
        message = note.message
        key: _Identity = (*group, message)
        similar = self._similar.get(group)
        if similar is None or now - similar.at > AGGREGATE_WITHIN_S:
            similar = _Similar(set(), now)
        similar.messages.add(message)
        similar.at = now
        self._similar.put(group, similar)
        if len(similar.messages) >= AGGREGATE_AFTER:
            similar.messages.pop()
            message = COMBINED + message
            key = group
        return self._write(key, ref, note, message, now)

    def _write(self, key: _Identity, ref: ObjectReference, note: EventNote, message: str, now: float) -> Action:
        at = rfc3339(now)
        written = self._written.get(key)
        combined = message.startswith(COMBINED)  # upstream makes these anew, and leaves the reporter out
        if written is None:
            ns = max(int(now * 1e9), self._last_ns + 1)
            self._last_ns = ns
            event = Event(
                metadata=ObjectMeta(name=f"{ref.name}.{ns:x}", namespace=ref.namespace or "default"),
                involvedObject=ref,
                reason=note.reason,
                message=message,
                source=self._source,
                firstTimestamp=at,
                lastTimestamp=at,
                count=1,
                type=note.type,
                action=note.action,
                related=None if note.related is None else reference(note.related),
                reportingComponent="" if combined else self._source.component,
                reportingInstance="" if combined else self._source.host,
            )
            self._written.put(key, _Written(event, 1))
            return Create(EVENT, event)
        written.count += 1
        meta = written.event.metadata
        written.event = msgspec.structs.replace(written.event, message=message, lastTimestamp=at, count=written.count)
        body = {"count": written.count, "lastTimestamp": at, "message": message}
        return Patch(EVENT, meta.namespace, meta.name, body, "strategic")

    def _allowed(self, who: _Identity, now: float) -> bool:
        bucket = self._spam.get(who)
        if bucket is None:
            bucket = Bucket(SPAM_BURST, 1 / SPAM_REFILL_S, now)
            self._spam.put(who, bucket)
        return bucket.take(now)


class Correlating(Protocol):
    """``Correlator``, or ``eventseries.Series`` for the newer form."""

    def actions(self, notes: Sequence[EventNote], now: float) -> list[Action]: ...

    def retries(self, actions: Sequence[Action], outcomes: Sequence[Outcome]) -> list[Action]: ...


async def record(client: Client, correlator: Correlating, notes: Sequence[EventNote], now: float) -> None:
    """Write the events of ``notes``; an event that the server refuses is lost, as upstream loses it."""
    actions = correlator.actions(notes, now)
    if not actions:
        return
    again = correlator.retries(actions, await client.commit(actions))
    if again:
        await client.commit(again)
