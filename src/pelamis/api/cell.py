"""Texts that the columns of several kinds share: labels, selectors, containers, shortened lists.

They read as kubectl users know them: ``<none>`` for an empty set of labels, at most three members of a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pelamis.api.meta import LabelSelector

NONE = "<none>"
UNSET = "<unset>"


def format_labels(labels: Mapping[str, str]) -> str:
    """``a=1,b=2`` in order of the keys."""
    return ",".join(f"{k}={v}" for k, v in sorted(labels.items())) or NONE


def _requirement(key: str, operator: str, values: Sequence[str]) -> str:
    if operator == "Exists":
        return key
    if operator == "DoesNotExist":
        return "!" + key
    return f"{key} {'in' if operator == 'In' else 'notin'} ({','.join(sorted(values))})"


def selector_text(selector: LabelSelector | None) -> str:
    """The selector in the notation of ``kubectl get -l``; "" when it is empty or absent."""
    if selector is None:
        return ""
    parts = [(k, f"{k}={v}") for k, v in selector.matchLabels.items()]
    parts += [(e.key, _requirement(e.key, e.operator, e.values)) for e in selector.matchExpressions]
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))


def format_selector(selector: LabelSelector | None) -> str:
    return selector_text(selector) or NONE


def format_containers(spec: Any) -> tuple[str, str]:
    """Names and images of a PodSpec's containers."""
    return ",".join(c.name for c in spec.containers), ",".join(c.image for c in spec.containers)


def format_list(items: Sequence[str], most: int = 3) -> str:
    """The first members and how many more there are; ``<unset>`` for none."""
    text = ",".join(items[:most])
    if len(items) > most:
        return f"{text} + {len(items) - most} more..."
    return text or UNSET


def format_bool(value: bool | None) -> str:
    return UNSET if value is None else str(value)
