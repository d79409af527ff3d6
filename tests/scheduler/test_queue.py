"""The queue: order, back-off, events that help, events missed while out, gates, time."""

from __future__ import annotations

from typing import Any

from pelamis.scheduler import extension as x
from pelamis.scheduler.extension import Event, Plugin
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.queue import BACKOFF, GATED, OUT, UNSCHEDULABLE, Queue

from .make import node, pod

FIT = ("NodeResourcesFit",)


def names(queue: Queue, now: float) -> list[str]:
    out = []
    while (waiting := queue.pop(now)) is not None:
        out.append(waiting.info.key[1])
        queue.done(waiting)
    return out


def places(queue: Queue) -> dict[str, int]:
    return {place: n for place, n in queue.counts().items() if n}


def queue_of(*infos: PodInfo, now: float = 0.0) -> Queue:
    queue = Queue({"default-scheduler": PLUGINS})
    for info in infos:
        queue.add(info, now)
    return queue


def reject(queue: Queue, now: float, by: Any = FIT, **more: Any) -> None:
    waiting = queue.pop(now)
    assert waiting is not None
    queue.failed(waiting, by, now, **more)


def test_priority_then_time() -> None:
    queue = queue_of(pod("a"), pod("b", priority=5), pod("c"), pod("d", priority=5))
    assert names(queue, 1.0) == ["b", "d", "a", "c"]


def test_a_rejected_pod_waits_for_what_helps() -> None:
    queue = queue_of(pod("p", "2"))
    reject(queue, 0.0)
    assert places(queue) == {UNSCHEDULABLE: 1} and not queue.ready(100.0)
    queue.event(Event(x.NODE_ADD, None, node("small", cpu="1")), 100.0)
    queue.event(Event(x.NODE_TAINT, node("n"), node("n")), 100.0)
    assert not queue.ready(100.0)
    queue.event(Event(x.NODE_ADD, None, node("n", cpu="4")), 100.0)
    assert names(queue, 100.0) == ["p"]


def test_back_off_doubles_to_ten_seconds_and_is_cut_short_when_nothing_else_is_to_do() -> None:
    queue = queue_of(pod("p"))
    now = 0.0
    for expected in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
        reject(queue, now, ("NodeName",))
        queue.event(Event(x.NODE_ADD, None, node("n")), now)
        assert queue.next_at() == now + expected
        assert places(queue) == {BACKOFF: 1} and queue.ready(now)
    queue.add(pod("q"), now)
    assert names(queue, now) == ["q", "p"]


def test_errors_back_off_for_their_whole_time() -> None:
    queue = queue_of(pod("p"))
    reject(queue, 0.0, (), error=True)
    assert places(queue) == {BACKOFF: 1} and not queue.ready(0.9) and queue.pop(0.9) is None
    assert queue.next_at() == 1.0
    reject(queue, 1.0, (), error=True)
    assert queue.next_at() == 3.0 and names(queue, 3.0) == ["p"]


def test_an_event_while_the_pod_is_out_is_not_missed() -> None:
    queue = queue_of(pod("p"), pod("q"))
    first, second = queue.pop(0.0), queue.pop(0.0)
    assert first is not None and second is not None and places(queue) == {OUT: 2}
    queue.event(Event(x.POD_DELETE, pod("gone")), 0.0)
    queue.failed(first, FIT, 0.0)
    assert places(queue) == {OUT: 1, BACKOFF: 1}
    queue.failed(second, ("NodeAffinity",), 0.0)
    assert places(queue) == {UNSCHEDULABLE: 1, BACKOFF: 1}
    third = queue.pop(5.0)
    assert third is first
    queue.failed(third, FIT, 5.0)
    assert places(queue) == {UNSCHEDULABLE: 2}, "events before it was popped are known to the decision"


def test_after_five_minutes_it_is_tried_all_the_same() -> None:
    queue = queue_of(pod("p"))
    reject(queue, 10.0)
    assert queue.next_at() == 310.0 and not queue.ready(309.0)
    assert names(queue, 310.0) == ["p"]


def test_gates_hold_a_pod() -> None:
    gated = pod("p", schedulingGates=[{"name": "g"}])
    queue = queue_of(gated)
    queue.wake_all(0.0)
    assert places(queue) == {GATED: 1} and queue.pop(1e6) is None
    queue.update(pod("p"), (), 2.0)
    assert names(queue, 2.0) == ["p"]


def test_a_change_of_the_pod_itself_helps() -> None:
    queue = queue_of(pod("p"))
    reject(queue, 0.0, ("TaintToleration",))
    newer = pod("p", tolerations=[{"operator": "Exists"}])
    queue.update(newer, [Event(x.OWN_LABEL, None, newer)], 5.0)
    assert places(queue) == {UNSCHEDULABLE: 1}
    queue.update(newer, [Event(x.OWN_TOLERATION, None, newer)], 5.0)
    assert names(queue, 5.0) == ["p"]


def test_gone_while_out_stays_gone() -> None:
    queue = queue_of(pod("p"))
    waiting = queue.pop(0.0)
    assert waiting is not None
    queue.remove(waiting.info.key)
    queue.failed(waiting, (), 0.0, error=True)
    assert places(queue) == {} and queue.next_at() is None


def test_a_namesake_is_another_pod() -> None:
    queue = queue_of(pod("p"))
    reject(queue, 0.0)
    other = pod("p")
    other.uid = "another"
    queue.add(other, 1.0)
    waiting = queue.pop(1.0)
    assert waiting is not None and waiting.info.uid == "another" and queue.pop(1e3) is None


def test_a_plugin_without_hints_never_wakes() -> None:
    queue = Queue({"default-scheduler": (Plugin("mute", helps={}),)})
    queue.add(pod("p"), 0.0)
    reject(queue, 0.0, ("mute",))
    queue.event(Event(x.NODE_ADD, None, node("n")), 1.0)
    assert places(queue) == {UNSCHEDULABLE: 1}
