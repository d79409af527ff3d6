"""Whatever happens to the queue, no pod is lost, none is given out twice, and each has its turn in the end."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.scheduler import extension as x
from pelamis.scheduler.extension import Event
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.queue import GATED, UNSCHEDULABLE, UNSCHEDULABLE_S, Queue, Waiting

from .make import node, pod

NAMES = ("a", "b", "c", "d")
GATE = {"schedulingGates": [{"name": "g"}]}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("add", "gated", "update", "remove", "pop", "reject", "error", "bind", "event", "later")),
        st.sampled_from(NAMES),
        st.integers(0, 12),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_every_pod_has_its_turn(steps: list[tuple[str, str, int]]) -> None:
    queue = Queue({"default-scheduler": PLUGINS})
    known: dict[str, Any] = {}
    out: dict[str, Waiting] = {}
    now = 0.0
    for what, name, number in steps:
        if what in ("add", "gated"):
            info = pod(name, "2", priority=number % 3, **(GATE if what == "gated" else {}))
            if name not in known:
                known[name] = info
            if known[name] is info or what == "add":
                queue.add(info, now)
                known[name] = info
        elif what == "update" and name in known:
            known[name] = pod(name, "1", priority=number % 3)
            queue.update(known[name], [Event(x.OWN_SCALE_DOWN, None, known[name])], now)
        elif what == "remove":
            queue.remove(("default", name))
            known.pop(name, None)
            out.pop(name, None)
        elif what == "pop":
            waiting = queue.pop(now)
            if waiting is not None:
                given_out = waiting.info.key[1]
                assert given_out in known and given_out not in out
                assert not waiting.info.pod.spec.schedulingGates
                out[given_out] = waiting
        elif what in ("reject", "error", "bind") and name in out:
            waiting = out.pop(name)
            if what == "bind":
                queue.done(waiting)
                known.pop(name)
            else:
                queue.failed(waiting, ("NodeResourcesFit",), now, error=what == "error")
        elif what == "event":
            queue.event(Event(x.NODE_ADD, None, node("n", cpu=str(number % 4 + 1))), now)
        elif what == "later":
            now += number
        counts = queue.counts()
        assert sum(counts.values()) == len(known)
        assert counts["out"] == len(out)
        assert sum(queue._rejected.values()) == counts[UNSCHEDULABLE]
        assert queue.next_at() is None or queue.next_at() > now or queue.ready(now)
    for waiting in out.values():
        queue.failed(waiting, ("NodeResourcesFit",), now)
    now += UNSCHEDULABLE_S + 60.0
    queue.flush(now)
    now += 60.0  # those that had to rest still
    turns = []
    while (found := queue.pop(now)) is not None:
        turns.append((found.info.priority, found.info.key[1]))
        queue.done(found)
    held = {name for name, info in known.items() if info.pod.spec.schedulingGates}
    assert sorted(n for _, n in turns) == sorted(set(known) - held)
    assert [p for p, _ in turns] == sorted((p for p, _ in turns), reverse=True)
    assert queue.counts()[GATED] == len(held) and queue.next_at() is None
