"""What cells of the Table form of objects, which ``kubectl get`` prints, have in common."""

from __future__ import annotations

from pelamis.base import clock


def age(text: str | None, now: float) -> str:
    """How long ago an RFC 3339 time was, for an AGE column; ``<unknown>`` when unset."""
    if not text:
        return "<unknown>"
    try:
        return clock.human_duration(now - clock.parse_rfc3339(text))
    except ValueError:
        return "<unknown>"
