"""The string formats that a custom resource's schema may ask for. A format that is not known here is not checked."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlsplit

from pelamis.base import duration, names, regexp

_UUID = r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?%s-?%s-?[0-9a-fA-F]{12}"
_ANY = "[0-9a-fA-F]{4}"
_HOST_LABEL = "[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?"
_HOST = re.compile(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*\.?")
_SPANS = r"^(\d+\s*(ns|nano|us|micro|ms|milli|s|sec|m|min|h|hr|hour|d|day|w|wk|week)s?\s*)+$"
_MAC = re.compile(
    r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}|([0-9a-fA-F]{2}[:-]){7}[0-9a-fA-F]{2}"
    r"|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"
)
_SHADE = r"(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])"
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?")


def _regex(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return len(value) == 10


def _is_datetime(value: str) -> bool:
    if not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value[:19].replace(" ", "T").upper())
    except ValueError:
        return False
    return True


def _is_duration(value: str) -> bool:
    try:
        duration.parse_nanos(value)
    except ValueError:
        # the older notation, "3 days" or "1w"
        return regexp.compile_pattern(_SPANS).found_in(value)
    return True


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_uri(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme) or value.startswith("/")


def _is_luhn(value: str) -> bool:
    digits = [int(c) for c in re.sub(r"[ -]", "", value) if c.isdigit()]
    total = sum(d if i % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for i, d in enumerate(reversed(digits)))
    return 13 <= len(digits) <= 19 and total % 10 == 0


def _is_isbn10(value: str) -> bool:
    text = re.sub(r"[ -]", "", value)
    if not re.fullmatch(r"\d{9}[\dX]", text):
        return False
    return sum((10 - i) * (10 if c == "X" else int(c)) for i, c in enumerate(text)) % 11 == 0


def _is_isbn13(value: str) -> bool:
    text = re.sub(r"[ -]", "", value)
    return (
        re.fullmatch(r"\d{13}", text) is not None
        and sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(text)) % 10 == 0
    )


FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _regex("[0-9a-fA-F]{24}"),
    "uri": _is_uri,
    "email": _regex(r"[^@\s<>]+@[^@\s<>]+"),
    "hostname": lambda value: len(value) <= 255 and _HOST.fullmatch(value) is not None,
    "ipv4": lambda value: "." in value and names.ip_family(value) == 4,
    "ipv6": lambda value: ":" in value and names.ip_family(value) != 0,
    "cidr": lambda value: names.cidr_family(value) != 0,
    "mac": lambda value: _MAC.fullmatch(value) is not None,
    "uuid": _regex(_UUID % (_ANY, _ANY)),
    "uuid3": _regex(_UUID % ("3[0-9a-fA-F]{3}", _ANY)),
    "uuid4": _regex(_UUID % ("4[0-9a-fA-F]{3}", "[89abAB][0-9a-fA-F]{3}")),
    "uuid5": _regex(_UUID % ("5[0-9a-fA-F]{3}", "[89abAB][0-9a-fA-F]{3}")),
    "isbn": lambda value: _is_isbn10(value) or _is_isbn13(value),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_luhn,
    "ssn": _regex(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _regex("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _regex(rf"rgb\(\s*{_SHADE}(\s*,\s*{_SHADE}){{2}}\s*\)"),
    "byte": _is_base64,
    "password": lambda value: True,
    "date": _is_date,
    "duration": _is_duration,
    "datetime": _is_datetime,
    "date-time": _is_datetime,
    "k8s-short-name": lambda value: not names.is_dns1123_label(value),
    "k8s-long-name": lambda value: not names.is_dns1123_subdomain(value),
}
