"""The health of devices as their drivers report it. Pure.

A report counts for as long as its driver says, or for half a minute; then, and where nothing was reported, the health
of a device is Unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pelamis.kubelet.dra.messages import DeviceHealth

UNKNOWN = "Unknown"
LASTS_S = 30.0
MESSAGE_LIMIT = 1024
MOST_DEVICES = 16384
"""Of one driver: who invents names must not fill the memory."""
_STATES = {1: "Healthy", 2: "Unhealthy"}
Key = tuple[str, str]
"""Pool and device."""


@dataclass(frozen=True, slots=True)
class _Report:
    health: str
    message: str
    lasts_s: float
    at: float

    @property
    def until(self) -> float:
        return self.at + self.lasts_s


class Health:
    def __init__(self) -> None:
        self._known: dict[str, dict[Key, _Report]] = {}

    def update(self, driver: str, devices: Sequence[DeviceHealth], now: float) -> bool:
        """A report of all devices of a driver; whether it says anything new."""
        known = self._known.setdefault(driver, {})
        news = False
        reported: set[Key] = set()
        for device in devices:
            key = (device.device.pool_name, device.device.device_name) if device.device is not None else ("", "")
            reported.add(key)
            old = known.get(key)
            if old is None and len(known) >= MOST_DEVICES:
                continue
            text = device.message
            if len(text) > MESSAGE_LIMIT:
                text = text[: MESSAGE_LIMIT - 3] + "..."
            seconds = device.health_check_timeout_seconds
            lasts_s = float(seconds) if seconds > 0 else LASTS_S
            new = _Report(_STATES.get(device.health, UNKNOWN), text, lasts_s, now)
            news |= old is None or (old.health, old.message) != (new.health, new.message)
            known[key] = new
        for key, report in list(known.items()):
            if key not in reported and now > report.until:
                news |= report.health != UNKNOWN
                del known[key]
        return news

    def clear(self, driver: str) -> None:
        """Its driver tells nothing any more."""
        self._known.pop(driver, None)

    def of(self, driver: str, pool: str, device: str, now: float) -> tuple[str, str]:
        """(health, message)."""
        report = self._known.get(driver, {}).get((pool, device))
        return (report.health, report.message) if report is not None and now <= report.until else (UNKNOWN, "")

    def next_until(self, driver: str, now: float) -> float | None:
        """When the next report stops counting."""
        times = [r.until for r in self._known.get(driver, {}).values() if r.health != UNKNOWN and r.until >= now]
        return min(times, default=None)
