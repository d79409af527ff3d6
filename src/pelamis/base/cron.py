"""Cron schedules: the five-field notation, the ``@`` descriptors, ``@every``, and the next time of a schedule.

The accepted language and the texts of the errors are those of the parser that Kubernetes uses for a CronJob
(minute, hour, day of month, month, day of week). Each field becomes a bit set; a field given as ``*`` or ``?`` also
carries a mark, because the two day fields are joined with *and* when either is a star and with *or* otherwise.

Times are whole seconds since the epoch. A schedule walks the wall clock of its time zone, so a run whose local time a
daylight-saving change skips does not happen, and one whose hour is repeated happens in both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from pelamis.base import duration

_STAR = 1 << 63
_MONTHS = {
    m: i for i, m in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_DAYS = {d: i for i, d in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_NO_NAMES: dict[str, int] = {}
_YEARS = 5
"""A schedule that matches nothing for so many years never runs."""


class CronError(ValueError):
    """The text is not a schedule; the message is fit for a field error."""


@dataclass(frozen=True, slots=True)
class Bounds:
    low: int
    high: int
    names: dict[str, int]


_MINUTE = Bounds(0, 59, _NO_NAMES)
_HOUR = Bounds(0, 23, _NO_NAMES)
_DOM = Bounds(1, 31, _NO_NAMES)
_MONTH = Bounds(1, 12, _MONTHS)
_DOW = Bounds(0, 6, _DAYS)


def _star(bounds: Bounds) -> int:
    return _bits(bounds.low, bounds.high, 1) | _STAR


def _bits(low: int, high: int, step: int) -> int:
    out = 0
    for i in range(low, high + 1, step):
        out |= 1 << i
    return out


@dataclass(frozen=True, slots=True)
class Every:
    """A constant delay in whole seconds, at least one."""

    delay_s: int

    def next(self, after: float) -> float | None:
        return int(after) + self.delay_s


@dataclass(frozen=True, slots=True)
class Schedule:
    """Bit sets of the matching values; ``zone`` is the wall clock they are read on."""

    minute: int
    hour: int
    dom: int
    month: int
    dow: int
    zone: tzinfo = UTC

    def next(self, after: float) -> float | None:
        """The first matching second strictly after ``after``; None when there is none within five years."""
        at = _local(int(after) + 1, self.zone)
        if at.second:
            at = _plus(at, 60 - at.second, self.zone)
        limit = at.year + _YEARS
        while at.year <= limit:
            if not self.month >> at.month & 1:
                year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
                at = _wall(year, month, 1, 0, self.zone)
            elif not self._day(at):
                day = datetime(at.year, at.month, at.day) + timedelta(days=1)
                at = _wall(day.year, day.month, day.day, 0, self.zone)
            elif not self.hour >> at.hour & 1:
                at = _plus(at, 3600 - at.minute * 60, self.zone)
            elif not self.minute >> at.minute & 1:
                at = _plus(at, 60, self.zone)
            else:
                return at.timestamp()
        return None

    def _day(self, at: datetime) -> bool:
        by_month = bool(self.dom >> at.day & 1)
        by_week = bool(self.dow >> (at.isoweekday() % 7) & 1)
        if self.dom & _STAR or self.dow & _STAR:
            return by_month and by_week
        return by_month or by_week


def _local(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(zone)


def _plus(at: datetime, seconds: int, zone: tzinfo) -> datetime:
    """Elapsed time, not wall-clock time: an hour that the clock repeats is walked through twice."""
    return _local(int(at.timestamp()) + seconds, zone)


def _wall(year: int, month: int, day: int, hour: int, zone: tzinfo) -> datetime:
    """The first instant of that wall-clock hour; where it is skipped, the first instant after the gap."""
    return _local(int(datetime(year, month, day, hour, tzinfo=zone).timestamp()), zone)


def _atoi(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    value = int(text)
    if value < 0:
        raise CronError(f"negative number ({value}) not allowed: {text}")
    return value


def _number(text: str, names: dict[str, int]) -> int:
    named = names.get(text.lower())
    return _atoi(text) if named is None else named


def _range(text: str, bounds: Bounds) -> int:
    parts = text.split("/")
    ends = parts[0].split("-")
    extra = 0
    if ends[0] in ("*", "?"):
        low, high, extra = bounds.low, bounds.high, _STAR
    else:
        low = _number(ends[0], bounds.names)
        if len(ends) > 2:
            raise CronError(f"too many hyphens: {text}")
        high = _number(ends[1], bounds.names) if len(ends) == 2 else low
    step = 1
    if len(parts) == 2:
        step = _atoi(parts[1])
        if len(ends) == 1:
            high = bounds.high
        if step > 1:
            extra = 0
    elif len(parts) > 2:
        raise CronError(f"too many slashes: {text}")
    if low < bounds.low:
        raise CronError(f"beginning of range ({low}) below minimum ({bounds.low}): {text}")
    if high > bounds.high:
        raise CronError(f"end of range ({high}) above maximum ({bounds.high}): {text}")
    if low > high:
        raise CronError(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {text}")
    return _bits(low, high, step) | extra


def _field(text: str, bounds: Bounds) -> int:
    out = 0
    for part in text.split(","):
        if part:
            out |= _range(part, bounds)
    return out


def _descriptor(text: str, zone: tzinfo) -> Schedule | Every:
    hours, doms, months, dows = _star(_HOUR), _star(_DOM), _star(_MONTH), _star(_DOW)
    if text in ("@yearly", "@annually"):
        return Schedule(1, 1, 2, 2, dows, zone)
    if text == "@monthly":
        return Schedule(1, 1, 2, months, dows, zone)
    if text == "@weekly":
        return Schedule(1, 1, doms, months, 1, zone)
    if text in ("@daily", "@midnight"):
        return Schedule(1, 1, doms, months, dows, zone)
    if text == "@hourly":
        return Schedule(1, hours, doms, months, dows, zone)
    if text.startswith("@every "):
        try:
            delay_s = duration.parse(text[len("@every ") :])
        except ValueError as error:
            raise CronError(f"failed to parse duration {text}: {error}") from None
        return Every(max(1, int(delay_s)))
    raise CronError(f"unrecognized descriptor: {text}")


def load_zone(name: str) -> tzinfo:
    """The time zone of that IANA name; "" and ``UTC`` are UTC. Raises CronError with Go's text."""
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except Exception:
        # Not only ZoneInfoNotFoundError: a directory, a bad key or a broken file raise what the OS or zoneinfo likes.
        raise CronError(f"unknown time zone {name}") from None


def parse(text: str, zone: tzinfo = UTC) -> Schedule | Every:
    """Five fields, or a descriptor; a leading ``TZ=`` or ``CRON_TZ=`` overrides ``zone``. Raises CronError."""
    if not text:
        raise CronError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, space, rest = text.partition(" ")
        name = head.partition("=")[2]
        try:
            zone = load_zone(name)
        except CronError as error:
            raise CronError(f"provided bad location {name}: {error}") from None
        text = rest.strip() if space else ""
    if text.startswith("@"):
        return _descriptor(text, zone)
    fields = text.split()
    if len(fields) != 5:
        raise CronError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minute, hour, dom, month, dow = (
        _field(f, b) for f, b in zip(fields, (_MINUTE, _HOUR, _DOM, _MONTH, _DOW), strict=True)
    )
    return Schedule(minute, hour, dom, month, dow, zone)
