"""Events: names, counting, aggregation, the spam filter."""

from __future__ import annotations

from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.reference import ObjectReference
from pelamis.api.meta import ObjectMeta
from pelamis.base import errors
from pelamis.client.types import Create, Outcome, Patch
from pelamis.reconcile.events import Correlator
from pelamis.reconcile.plan import EventNote

POD = Pod(metadata=ObjectMeta(name="web-0", namespace="default", uid="u", resourceVersion="7"))
NOW = 1_700_000_000.0


def note(message: str = "Pulled", reason: str = "Pulled") -> EventNote:
    return EventNote(POD, "Normal", reason, message)


def test_first_is_created_and_the_same_again_is_counted() -> None:
    c = Correlator("kubelet", "node-1")
    (first,) = c.actions([note()], NOW)
    assert isinstance(first, Create)
    event = first.obj
    assert event.metadata.name == f"web-0.{int(NOW * 1e9):x}"
    assert (event.count, event.firstTimestamp, event.source.component) == (1, "2023-11-14T22:13:20Z", "kubelet")
    assert (event.involvedObject.kind, event.involvedObject.uid, event.involvedObject.resourceVersion) == (
        "Pod",
        "u",
        "7",
    )
    (again,) = c.actions([note()], NOW + 5)
    assert isinstance(again, Patch)
    assert again.body == {"count": 2, "lastTimestamp": "2023-11-14T22:13:25Z", "message": "Pulled"}
    gone = [Outcome(0, None, errors.NotFound("events", "", "x"))]
    (anew,) = c.retries([again], gone)
    assert isinstance(anew, Create)
    assert anew.obj.count == 2


def test_many_similar_become_one() -> None:
    c = Correlator("x")
    actions = [c.actions([note(f"message {i}")], NOW + i)[0] for i in range(15)]
    assert all(isinstance(a, Create) for a in actions[:10])
    assert actions[9].obj.message == "(combined from similar events): message 9"  # type: ignore[union-attr]
    assert all(isinstance(a, Patch) for a in actions[10:])


def test_a_flood_is_dropped_and_refilled_slowly() -> None:
    c = Correlator("x")
    assert len(c.actions([note() for _ in range(40)], NOW)) == 25
    assert len(c.actions([note()], NOW + 299)) == 0
    assert len(c.actions([note()], NOW + 301)) == 1


def test_names_differ_within_one_instant() -> None:
    c = Correlator("x")
    a, b = c.actions([note("a"), note("b")], NOW)
    assert isinstance(a, Create) and isinstance(b, Create)
    assert a.obj.metadata.name != b.obj.metadata.name


def test_a_flood_is_cut_and_warnings_have_room_left() -> None:
    correlator = Correlator("flooded")

    def notes(type: str, count: int, start: int) -> list[EventNote]:
        return [
            EventNote(ObjectReference(kind="Pod", name=f"p{start + i}", namespace="n"), type, "R", "m")
            for i in range(count)
        ]

    assert len(correlator.actions(notes("Normal", 2000, 0), NOW)) == 501
    assert len(correlator.actions(notes("Warning", 2000, 2000), NOW)) == 499
    assert correlator.actions(notes("Warning", 1, 4000), NOW) == []
    assert len(correlator.actions(notes("Warning", 100, 5000), NOW + 1)) == 50
    assert len(correlator.actions(notes("Normal", 2000, 6000), NOW + 3600)) == 501
