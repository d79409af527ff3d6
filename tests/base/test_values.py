"""Small value modules: times, durations, ids, trees, numbers or percentages, the protobuf wire."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.base import clock, duration, ids, intstr, protobuf, tree


@given(st.integers(0, 4_000_000_000_000_000))
def test_times_round_trip(micros: int) -> None:
    now = micros / 1e6
    twin = datetime.fromtimestamp(now, UTC)
    assert abs((datetime.fromisoformat(clock.rfc3339_micro(now)) - twin).total_seconds()) < 2e-6
    assert abs(clock.parse_rfc3339(clock.rfc3339_micro(now)) - now) < 1e-6
    assert clock.parse_rfc3339(clock.rfc3339(now)) == math.floor(now)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2001-09-09T03:46:40+02:00", 1e9),
        ("2001-09-09T01:46:40.25Z", 1e9 + 0.25),
        ("2001-09-09T01:46:40.123456789Z", 1e9 + 0.123456),
    ],
)
def test_parse_times(text: str, seconds: float) -> None:
    assert clock.parse_rfc3339(text) == pytest.approx(seconds, abs=1e-7)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x", 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
        ("2001-09-09 01:46:40Z", 'cannot parse " 01:46:40Z" as "T"'),
        ("2001-09-09T01:46:40", 'cannot parse "" as "Z07:00"'),
        ("2001-09-09T01:46:40Zx", 'extra text: "x"'),
        ("2001-13-09T01:46:40Z", "month"),
    ],
)
def test_times_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError) as caught:
        clock.parse_rfc3339(text)
    assert error in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (599, "9m59s"),
        (600, "10m"),
        (179 * 60, "179m"),
        (180 * 60, "3h"),
        (5 * 3600 + 60, "5h1m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (50 * 3600, "2d2h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert clock.human_duration(seconds) == text


@given(st.integers(-(10**18), 10**18))
def test_durations_round_trip(nanos: int) -> None:
    assert duration.parse_nanos(duration.format_nanos(nanos)) == nanos


@pytest.mark.parametrize(
    ("text", "seconds", "canonical"),
    [
        ("0", 0, "0s"),
        ("1h30m", 5400, "1h30m0s"),
        ("1.5s", 1.5, "1.5s"),
        ("-100ms", -0.1, "-100ms"),
        (".5h", 1800, "30m0s"),
        ("1us", 1e-6, "1µs"),
    ],
)
def test_durations(text: str, seconds: float, canonical: str) -> None:
    assert duration.parse(text) == seconds
    assert duration.format(seconds) == canonical


@pytest.mark.parametrize(
    ("text", "error"),
    [("", "invalid duration"), ("1", "missing unit"), ("1x", 'unknown unit "x"'), ("s", "invalid duration")],
)
def test_durations_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        duration.parse(text)


def test_ids() -> None:
    assert ids.uid(bytes(16)) == "00000000-0000-4000-8000-000000000000"
    assert ids.uid(b"\xff" * 16) == "ffffffff-ffff-4fff-bfff-ffffffffffff"
    assert len(ids.suffix(b"12345678")) == 5 and set(ids.suffix(b"12345678")) <= set(ids.SAFE)
    assert len(ids.generate_name("x" * 100, b"12345678")) == 63
    assert ids.hash_of({"a": 1, "b": 2}) == ids.hash_of({"b": 2, "a": 1}) != ids.hash_of({"a": 1, "b": 2}, 0)
    assert set(ids.safe_encode("1234567890")) <= set(ids.SAFE) and len(ids.safe_encode("123")) == 3


def test_trees() -> None:
    t: dict[str, Any] = {"a": {"b": [1], "c.d": 2}}
    other = tree.copy(t)
    tree.set(other, "a.x.y", 3)
    tree.set(other, ("a", "c.d"), 4)
    assert t == {"a": {"b": [1], "c.d": 2}}
    assert other == {"a": {"b": [1], "c.d": 4, "x": {"y": 3}}}
    assert tree.get(other, "a.x.y") == 3 and tree.get(other, "a.q.y", 0) == 0
    assert tree.delete(other, "a.x.y") and not tree.delete(other, "a.x.y")
    tree.keep(other, t, ("a", "c.d"))
    tree.keep(other, t, "a.x")
    assert other == t


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("0%", 10, True, 0), ("100%", 3, False, 3)],
)
def test_numbers_or_percentages(value: int | str, total: int, up: bool, expected: int) -> None:
    assert intstr.scaled(value, total, up) == expected


def test_percentages_refused() -> None:
    for text, error in (("a", "string is not a percentage"), ("a%", "invalid syntax")):
        with pytest.raises(ValueError, match=error):
            intstr.scaled(text, 1, True)


@given(st.integers(-(2**63), 2**63 - 1))
def test_varints_round_trip(number: int) -> None:
    data = protobuf.varint(number)
    value, end = protobuf.read_varint(data, 0)
    assert (protobuf.signed(value), end) == (number, len(data))


@given(st.binary(max_size=40))
def test_any_bytes_are_fields_or_a_wire_error(data: bytes) -> None:
    try:
        list(protobuf.fields(data))
    except protobuf.WireError:
        pass
