"""Values that are a number or a percentage: ``2``, ``"25%"``."""

from __future__ import annotations

import re

_PERCENT = re.compile(r"[0-9]+%", re.ASCII)


def is_percent(value: int | str) -> bool:
    return isinstance(value, str) and _PERCENT.fullmatch(value) is not None


def percent(value: str) -> int:
    """The number of a percentage. Raises ValueError with upstream's wording."""
    if not value.endswith("%"):
        raise ValueError("invalid value for IntOrString: invalid type: string is not a percentage")
    try:
        return int(value[:-1])
    except ValueError:
        raise ValueError(
            f'invalid value for IntOrString: invalid value "{value}": strconv.Atoi: parsing "{value[:-1]}": '
            "invalid syntax"
        ) from None


def scaled(value: int | str, total: int, round_up: bool) -> int:
    """The number itself, or that share of ``total``."""
    if isinstance(value, int):
        return value
    share = percent(value) * total
    return -(-share // 100) if round_up else share // 100
