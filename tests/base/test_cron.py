"""Schedules: accepted language, error texts, next times (also against a naive minute-by-minute walk)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.base.cron import CronError, Schedule, load_zone, parse


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("spec", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:00", "2026-01-01T00:01:00"),
        ("*/15 * * * *", "2026-01-01T00:46:10", "2026-01-01T01:00:00"),
        ("0 0 1 * *", "2026-01-01T00:00:00", "2026-02-01T00:00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("30 4 * * mon-fri", "2026-01-03T00:00:00", "2026-01-05T04:30:00"),
        ("0 0 13 * fri", "2026-01-10T00:00:00", "2026-01-13T00:00:00"),
        ("@hourly", "2026-01-01T00:30:00", "2026-01-01T01:00:00"),
        ("@weekly", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("@yearly", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        ("@every 1h30m", "2026-01-01T00:00:00", "2026-01-01T01:30:00"),
        ("TZ=Asia/Tokyo 0 9 * * *", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
    ],
)
def test_next(spec: str, after: str, expected: str) -> None:
    assert parse(spec).next(at(after)) == at(expected)


def test_never() -> None:
    assert parse("0 0 31 2 *").next(at("2026-01-01T00:00:00")) is None


def test_daylight_saving() -> None:
    zone = load_zone("America/New_York")
    # 02:30 does not exist on 8 March 2026; 01:30 happens twice on 1 November.
    assert parse("30 2 * * *", zone).next(at("2026-03-08T05:00:00")) == at("2026-03-09T06:30:00")
    first = parse("30 1 * * *", zone).next(at("2026-11-01T04:00:00"))
    assert first == at("2026-11-01T05:30:00")
    assert parse("30 1 * * *", zone).next(first) == at("2026-11-01T06:30:00")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
        ("@never", "unrecognized descriptor: @never"),
        ("TZ=No/Where * * * * *", "provided bad location No/Where: unknown time zone No/Where"),
    ],
)
def test_errors(spec: str, message: str) -> None:
    with pytest.raises(CronError) as caught:
        parse(spec)
    assert str(caught.value) == message


field = st.sampled_from(["*", "*/7", "3", "10-20", "1,5,9"])


@settings(max_examples=60, deadline=None)
@given(field, st.sampled_from(["*", "*/5", "3", "10-20"]), st.sampled_from(["*", "*/9", "15"]), st.integers(0, 10**8))
def test_like_a_naive_walk(minute: str, hour: str, dow_day: str, offset: int) -> None:
    schedule = parse(f"{minute} {hour} {dow_day} * *")
    assert isinstance(schedule, Schedule)
    after = at("2026-01-01T00:00:00") + offset
    step = (int(after) // 60 + 1) * 60
    while True:
        when = datetime.fromtimestamp(step, UTC)
        if schedule.minute >> when.minute & 1 and schedule.hour >> when.hour & 1 and schedule._day(when):
            break
        step += 60
    assert schedule.next(after) == step
