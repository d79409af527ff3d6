"""The work queue against its rules, and against a naive twin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pelamis.reconcile.queue import Queue


def test_a_key_waits_once_and_comes_back_after_it_ran() -> None:
    q: Queue[str] = Queue()
    q.add("a")
    q.add("b")
    q.add("a")
    assert len(q) == 2
    assert (q.pop(0), q.pop(0), q.pop(0)) == ("a", "b", None)
    q.add("a")
    assert q.pop(0) is None, "in flight"
    q.done("a")
    assert q.pop(0) == "a"


def test_back_off_doubles_up_to_the_limit_and_is_forgotten() -> None:
    q: Queue[str] = Queue()
    waits = [q.retry("a", 0.0) for _ in range(30)]
    assert waits[:4] == [0.005, 0.01, 0.02, 0.04]
    assert waits[-1] == 1000.0
    q.succeeded("a")
    assert q.retry("a", 5.0) == 5.005
    assert q.pop(5.004) is None
    assert q.pop(5.005) == "a"


def test_a_change_overtakes_the_back_off() -> None:
    q: Queue[str] = Queue()
    q.retry("a", 0.0)
    q.add("a")
    assert q.pop(0.0) == "a"
    q.done("a")
    assert q.next_at() is None, "the attempt that was due has been made"


def test_requeue_replaces_the_time() -> None:
    q: Queue[str] = Queue()
    q.requeue("a", 10.0)
    q.requeue("a", 20.0)
    assert q.next_at() == 20.0
    assert q.pop(15.0) is None
    q.requeue("a", None)
    assert q.next_at() is None


def test_a_held_key_waits_for_all_its_views() -> None:
    q: Queue[str] = Queue()
    q.hold("a")
    q.hold("a")
    q.add("a")
    assert q.pop(0) is None
    q.release("a")
    assert q.pop(0) is None
    q.release("a")
    assert q.pop(0) == "a"


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "pop", "done", "hold", "release", "requeue", "tick"]), st.integers(0, 3)),
    max_size=60,
)


@given(STEPS)
def test_nothing_is_lost_and_nothing_runs_twice_at_a_time(steps: list[tuple[str, int]]) -> None:
    q: Queue[int] = Queue()
    now = 0.0
    wanted: set[int] = set()
    timed: dict[int, float] = {}
    running: set[int] = set()
    held: dict[int, int] = {}
    for what, key in steps:
        if what == "add":
            q.add(key)
            wanted.add(key)
        elif what == "requeue":
            q.requeue(key, now + key + 1)
            timed[key] = now + key + 1
        elif what == "tick":
            now += key
        elif what == "hold":
            q.hold(key)
            held[key] = held.get(key, 0) + 1
            if key in wanted and key not in running:
                wanted.discard(key)  # already handed over to run: a hold comes only from a running key
                q._dirty.pop(key, None)
        elif what == "release" and held.get(key):
            q.release(key)
            held[key] -= 1
        elif what == "done" and key in running:
            q.done(key)
            running.discard(key)
        elif what == "pop":
            wanted |= {k for k, at in timed.items() if at <= now}
            timed = {k: at for k, at in timed.items() if at > now}
            got = q.pop(now)
            may = {k for k in wanted if k not in running and not held.get(k)}
            if got is None:
                assert not may
            else:
                assert got in may
                wanted.discard(got)
                timed.pop(got, None)
                running.add(got)
