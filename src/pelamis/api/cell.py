"""Texts that the columns of several kinds share: labels, selectors, containers, shortened lists.

They read as kubectl users know them: ``<none>`` for an empty set of labels, at most three members of a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pelamis.api.meta import LabelSelector
from pelamis.base import labels

NONE = "<none>"
UNSET = "<unset>"


def format_labels(values: Mapping[str, str]) -> str:
    """``a=1,b=2`` in order of the keys."""
    return ",".join(f"{k}={v}" for k, v in sorted(values.items())) or NONE


def selector_text(selector: LabelSelector | None) -> str:
    """The selector in the notation of ``kubectl get -l``; "" when it is empty or absent."""
    try:
        return str(labels.from_label_selector(selector))
    except labels.SelectorError:
        return "<error>"


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
