"""Headers as they are sent. Pure: what prepares headers needs no socket."""

from __future__ import annotations

from collections.abc import Sequence


def header_lines(headers: Sequence[tuple[str, str]]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1", "replace")
