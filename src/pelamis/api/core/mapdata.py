"""The data of ConfigMaps and Secrets: maps of small files."""

from __future__ import annotations

from collections.abc import Iterable

from pelamis.base.errors import FieldError, too_long

LIMIT = 1024 * 1024
"""Bytes of all values of one object together."""


def check_size(values: Iterable[str | bytes], path: str, errors: list[FieldError]) -> None:
    size = 0
    for v in values:
        size += len(v) if isinstance(v, bytes) or v.isascii() else len(v.encode())
    if size > LIMIT:
        errors.append(too_long(path, LIMIT))
