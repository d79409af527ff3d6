"""Which pod is decided next. Pure; time comes in.

A pod that waits is in one of these places:

- *active*: to be decided now; highest priority first, then who came first;
- *backoff*: failed lately; 1 s, 2 s, 4 s … 10 s after its failures (a configuration may say otherwise). When nothing is
  active, pods here that were unschedulable go ahead of their time; pods whose attempt ended in an error do not;
- *unschedulable*: rejected, and nothing has changed since that may help; after 5 min it is tried all the same;
- *gated*: held by its scheduling gates, or by a plugin that says that what the pod needs is not there yet.

An event of the cluster moves a pod from unschedulable to backoff (or to active, when its time is over) if one of the
plugins that rejected it says that the event may help. A pod that is out (popped, not yet settled) misses events, so
these are kept while pods are out, and looked at when it comes back.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from pelamis.client.types import Key
from pelamis.scheduler.extension import Event, Plugin
from pelamis.scheduler.podinfo import PodInfo

UNSCHEDULABLE_S = 300.0

ACTIVE, BACKOFF, UNSCHEDULABLE, GATED, OUT = "active", "backoff", "unschedulable", "gated", "out"
POD_ADD, POD_UPDATE, FAILURE = "PodAdd", "PodUpdate", "ScheduleAttemptFailure"
BACKOFF_OVER, TIMEOUT, FORCED = "BackoffComplete", "UnschedulableTimeout", "ForceActivate"
"""Why a pod comes to a place, besides the events of the cluster: as upstream's metric names it."""

_serial_of = itemgetter(0)


@dataclass(slots=True, eq=False)
class Waiting:
    """A pod on its way to a node. since: when it took its present place; attempts: decisions so far."""

    info: PodInfo
    place: str
    since: float
    added: float
    serial: int
    attempts: int = 0
    failures: int = 0
    errors: int = 0
    rejected_by: frozenset[str] = frozenset()
    failed: bool = False
    out_since: int = 0
    updates: list[Event] = field(default_factory=list)


class Queue:
    """plugins: by the name of the profile whose pods they judge.

    gate: the plugin that keeps a pod from being decided, "" = none does; asked whenever the pod might become active.
    incoming: how many pods came to a place, by (place, why).
    """

    def __init__(
        self,
        plugins: Mapping[str, Sequence[Plugin]],
        *,
        initial_backoff_s: float = 1.0,
        max_backoff_s: float = 10.0,
        gate: Callable[[PodInfo], str] | None = None,
    ) -> None:
        self._helps: Mapping[str, Mapping[str, Plugin]] = {
            name: {p.name: p for p in of} for name, of in plugins.items()
        }
        every = [p for of in plugins.values() for p in of]
        self._any_kind = any(p.helps is None and (p.filter or p.before) for p in every)
        self._kinds = frozenset(kind for p in every for kind in p.helps or ())
        self._initial_backoff_s = initial_backoff_s
        self._max_backoff_s = max_backoff_s
        self.incoming: dict[tuple[str, str], int] = {}
        self._pods: dict[Key, Waiting] = {}
        self._active: list[tuple[int, float, int, Waiting]] = []
        self._backoff: list[tuple[float, int, Waiting]] = []
        self._early: list[tuple[float, int, Waiting]] = []
        self._unschedulable: OrderedDict[Key, Waiting] = OrderedDict()
        self._rejected: dict[tuple[str, frozenset[str]], int] = {}
        """How many of these there are, by scheduler and by who has rejected them."""
        self._gate = gate
        self._held: dict[Key, Waiting] = {}
        """Gated by a plugin."""
        self._events: list[tuple[int, Event]] = []
        self._out: OrderedDict[Key, Waiting] = OrderedDict()  # finds its first at once, however many have gone
        self._serial = 0

    # -- pods come, change and go

    def add(self, info: PodInfo, now: float) -> None:
        """A pod that needs a node; also a newer version of one that is here."""
        waiting = self._pods.get(info.key)
        if waiting is not None:
            if waiting.info.uid == info.uid:
                self.update(info, (), now)
                return
            self.remove(info.key)
        self._serial += 1
        waiting = Waiting(info, "", now, now, self._serial)
        self._pods[info.key] = waiting
        if info.pod.spec.schedulingGates:
            self._place(waiting, GATED, POD_ADD)
        else:
            self._activate(waiting, now, POD_ADD)

    def update(self, info: PodInfo, changes: Iterable[Event], now: float) -> None:
        """changes: what of the pod itself may make it schedulable."""
        waiting = self._pods.get(info.key)
        if waiting is None or waiting.info.uid != info.uid:
            self.add(info, now)
            return
        before, waiting.info = waiting.info, info
        gated = bool(info.pod.spec.schedulingGates)
        if waiting.place == GATED:
            if info.key in self._held and not any(self._may_help(waiting, event) for event in changes):
                return
            if not gated:
                self._activate(waiting, now, POD_UPDATE)
            return
        if waiting.place == ACTIVE and info.priority != before.priority:
            self._activate(waiting, now, "")
        elif waiting.place == UNSCHEDULABLE:
            helped = next((event for event in changes if self._may_help(waiting, event)), None)
            if helped is not None:
                self._unpark(waiting, now, helped.kind)
        elif waiting.place == OUT:
            waiting.updates.extend(changes)

    def remove(self, key: Key) -> None:
        """The pod is gone, or has its node."""
        waiting = self._pods.pop(key, None)
        if waiting is not None:
            waiting.place = ""
            self._leave(key)
            self._held.pop(key, None)
            self._settle(key)

    def get(self, key: Key) -> PodInfo | None:
        waiting = self._pods.get(key)
        return waiting.info if waiting is not None else None

    # -- decisions

    def pop(self, now: float) -> Waiting | None:
        """The next pod to decide; it is out until ``failed``, ``done`` or ``remove``."""
        self.flush(now)
        waiting = self._pop_active()
        if waiting is None:
            waiting = self._pop_early()
        if waiting is None:
            return None
        waiting.place = OUT
        waiting.attempts += 1
        waiting.updates = []
        waiting.out_since = self._serial
        self._out[waiting.info.key] = waiting
        return waiting

    def done(self, waiting: Waiting) -> None:
        """The pod is bound."""
        if self._pods.get(waiting.info.key) is waiting:
            self.remove(waiting.info.key)

    def failed(self, waiting: Waiting, rejected_by: Iterable[str], now: float, *, error: bool = False) -> None:
        """No node, or (error) the attempt itself went wrong: then nothing in the cluster is waited for."""
        key = waiting.info.key
        if self._pods.get(key) is not waiting or waiting.place != OUT:
            return
        waiting.since = now
        waiting.rejected_by = frozenset(rejected_by)
        waiting.failed = error or not waiting.rejected_by  # nobody to ask what may help: time alone
        if error:
            waiting.errors += 1
        else:
            waiting.failures += 1
            waiting.errors = 0
        first = bisect_right(self._events, waiting.out_since, key=_serial_of)
        missed = [event for _, event in self._events[first:]]
        missed += waiting.updates
        self._settle(key)
        if waiting.info.pod.spec.schedulingGates:
            self._place(waiting, GATED, FAILURE)
        elif waiting.failed or any(self._may_help(waiting, event) for event in missed):
            self._back_off(waiting, now, FAILURE)
        else:
            self._place(waiting, UNSCHEDULABLE, FAILURE)
            self._unschedulable[key] = waiting
            why = self._why(waiting)
            self._rejected[why] = self._rejected.get(why, 0) + 1

    def event(self, event: Event, now: float) -> None:
        """Something changed in the cluster."""
        if event.kind not in self._kinds and not self._any_kind:
            return
        self._serial += 1
        if self._out:
            self._events.append((self._serial, event))
        if any(self._concerns(who, names, event.kind) for who, names in self._rejected):
            for waiting in [w for w in self._unschedulable.values() if self._may_help(w, event)]:
                self._unpark(waiting, now, event.kind)
        for waiting in [w for w in self._held.values() if self._may_help(w, event)]:
            self._back_off(waiting, now, event.kind)

    def wake_all(self, now: float) -> None:
        for waiting in list(self._unschedulable.values()):
            self._unpark(waiting, now, FORCED)

    # -- time

    def flush(self, now: float) -> None:
        """Whose time has come becomes active."""
        for heap in (self._backoff, self._early):
            while heap and heap[0][0] <= now:
                at, _, waiting = heapq.heappop(heap)
                if self._backing_off(waiting, at):
                    self._activate(waiting, now, BACKOFF_OVER)
        while self._unschedulable:
            waiting = next(iter(self._unschedulable.values()))
            if waiting.since + UNSCHEDULABLE_S > now:
                break  # in order of ``since``
            self._unpark(waiting, now, TIMEOUT)

    def next_at(self) -> float | None:
        """When time alone makes ``pop`` give something; None = never."""
        times: list[float] = []
        for heap in (self._backoff, self._early):
            while heap and not self._backing_off(heap[0][2], heap[0][0]):
                heapq.heappop(heap)
            if heap:
                times.append(heap[0][0])
        first = next(iter(self._unschedulable.values()), None)
        if first is not None:
            times.append(first.since + UNSCHEDULABLE_S)
        return min(times) if times else None

    def ready(self, now: float) -> bool:
        self.flush(now)
        while self._active and not self._is_active(self._active[0]):
            heapq.heappop(self._active)
        while self._early and not self._backing_off(self._early[0][2], self._early[0][0]):
            heapq.heappop(self._early)
        return bool(self._active or self._early)

    def unschedulable_by(self) -> dict[tuple[str, str], int]:
        """How many pods each plugin keeps from a node, by (plugin, profile)."""
        out: dict[tuple[str, str], int] = {}
        for waiting in (*self._unschedulable.values(), *self._held.values()):
            for name in waiting.rejected_by:
                key = (name, waiting.info.pod.spec.schedulerName)
                out[key] = out.get(key, 0) + 1
        return out

    def counts(self) -> dict[str, int]:
        """Pods by place."""
        out = {ACTIVE: 0, BACKOFF: 0, UNSCHEDULABLE: 0, GATED: 0, OUT: 0}
        for waiting in self._pods.values():
            out[waiting.place] += 1
        return out

    # -- inside

    def _may_help(self, waiting: Waiting, event: Event) -> bool:
        helps = self._helps.get(waiting.info.pod.spec.schedulerName, {})
        for name in waiting.rejected_by:
            plugin = helps.get(name)
            if plugin is None or plugin.helps is None:
                return True
            if event.kind in plugin.helps:
                hint = plugin.helps[event.kind]
                if hint is None or hint(waiting.info, event):
                    return True
        return False

    def _backoff_until(self, waiting: Waiting) -> float:
        tries = (waiting.errors or waiting.failures) if waiting.failed else waiting.failures
        if tries <= 0:
            return waiting.since
        return waiting.since + min(self._initial_backoff_s * 2.0 ** min(tries - 1, 30), self._max_backoff_s)

    def _place(self, waiting: Waiting, place: str, why: str) -> None:
        waiting.place = place
        if why:
            self.incoming[place, why] = self.incoming.get((place, why), 0) + 1

    def _concerns(self, who: str, names: Iterable[str], kind: str) -> bool:
        """Whether ``_may_help`` may say so of an event of the kind."""
        helps = self._helps.get(who, {})
        for name in names:
            plugin = helps.get(name)
            if plugin is None or plugin.helps is None or kind in plugin.helps:
                return True
        return False

    @staticmethod
    def _why(waiting: Waiting) -> tuple[str, frozenset[str]]:
        return waiting.info.pod.spec.schedulerName, waiting.rejected_by

    def _leave(self, key: Key) -> None:
        """Of those that are unschedulable."""
        waiting = self._unschedulable.pop(key, None)
        if waiting is not None:
            why = self._why(waiting)
            self._rejected[why] -= 1
            if not self._rejected[why]:
                del self._rejected[why]

    def _unpark(self, waiting: Waiting, now: float, why: str) -> None:
        self._leave(waiting.info.key)
        self._back_off(waiting, now, why)

    def _back_off(self, waiting: Waiting, now: float, why: str) -> None:
        until = self._backoff_until(waiting)
        if until <= now:
            self._activate(waiting, now, why)
            return
        self._held.pop(waiting.info.key, None)
        self._serial += 1
        self._place(waiting, BACKOFF, why)
        waiting.serial = self._serial
        heapq.heappush(self._backoff if waiting.failed else self._early, (until, waiting.serial, waiting))

    def _backing_off(self, waiting: Waiting, at: float) -> bool:
        return waiting.place == BACKOFF and self._backoff_until(waiting) == at

    def _activate(self, waiting: Waiting, now: float, why: str) -> None:
        key = waiting.info.key
        holder = self._gate(waiting.info) if self._gate is not None else ""
        if holder:
            self._place(waiting, GATED, "" if key in self._held else why)
            waiting.rejected_by = waiting.rejected_by | {holder}
            self._held[key] = waiting
            return
        self._held.pop(key, None)
        self._place(waiting, ACTIVE, why)
        waiting.since = now
        self._serial += 1
        waiting.serial = self._serial
        heapq.heappush(self._active, (-waiting.info.priority, waiting.since, waiting.serial, waiting))

    @staticmethod
    def _is_active(item: tuple[int, float, int, Waiting]) -> bool:
        waiting = item[3]
        return waiting.place == ACTIVE and waiting.serial == item[2]

    def _pop_active(self) -> Waiting | None:
        while self._active:
            item = heapq.heappop(self._active)
            if self._is_active(item):
                return item[3]
        return None

    def _pop_early(self) -> Waiting | None:
        while self._early:
            at, _, waiting = heapq.heappop(self._early)
            if self._backing_off(waiting, at):
                return waiting
        return None

    def _settle(self, key: Key) -> None:
        """Events that nobody who is out can have missed are forgotten."""
        if self._out.pop(key, None) is None:
            return
        if not self._out:
            self._events.clear()
            return
        oldest = next(iter(self._out.values())).out_since
        keep = 0
        while keep < len(self._events) and self._events[keep][0] <= oldest:
            keep += 1
        if keep:
            del self._events[:keep]
