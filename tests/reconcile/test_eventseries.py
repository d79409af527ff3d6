"""Events of the newer form: the first, the series, when it is written and when it is over."""

from __future__ import annotations

from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.pod.pod import Pod
from pelamis.api.meta import ObjectMeta
from pelamis.base import errors
from pelamis.client.types import Create, Outcome, Patch
from pelamis.reconcile.eventseries import Series
from pelamis.reconcile.plan import EventNote

NOW = 1_700_000_000.0


def note(message: str = "no room", rev: str = "7") -> EventNote:
    pod = Pod(metadata=ObjectMeta(name="web-0", namespace="default", uid="u", resourceVersion=rev))
    return EventNote(pod, "Warning", "FailedScheduling", message, action="Scheduling")


def test_a_series() -> None:
    series = Series("default-scheduler", "default-scheduler-h")
    (first,) = series.actions([note()], NOW)
    assert isinstance(first, Create)
    event = first.obj
    assert EVENT.validate is not None and not EVENT.validate(event)
    assert (event.eventTime, event.series, event.count) == ("2023-11-14T22:13:20.000000Z", None, 0)
    assert (event.reportingComponent, event.reportingInstance) == ("default-scheduler", "default-scheduler-h")
    assert (event.source.component, event.firstTimestamp) == ("", "")
    (again,) = series.actions([note("still no room")], NOW + 5)  # the message does not matter
    assert isinstance(again, Patch)
    assert again.body == {"series": {"count": 2, "lastObservedTime": "2023-11-14T22:13:25.000000Z"}}
    gone = [Outcome(0, None, errors.NotFound("events", "", "x"))]
    (anew,) = series.retries([again], gone)
    assert isinstance(anew, Create) and anew.obj.series.count == 2
    assert series.actions([note(), note()], NOW + 70) == []  # counted, written later
    (other,) = series.actions([note(rev="8")], NOW + 80)  # another revision is another thing
    assert isinstance(other, Create)
    (last,) = series.actions([], NOW + 500)  # nothing for six minutes
    assert isinstance(last, Patch) and last.body["series"]["count"] == 4
    assert isinstance(series.actions([note()], NOW + 501)[0], Create)


def test_a_long_series_is_written_every_half_hour() -> None:
    series = Series("s", "s-h")
    written = [bool(series.actions([note()], NOW + at)) for at in range(0, 4001, 100)]
    assert [i * 100 for i, wrote in enumerate(written) if wrote] == [0, 100, 2000, 3900]
