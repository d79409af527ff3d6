"""What a reconcile function returns: a plain record of what should happen, carried out by the runner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.client.types import Action, Create, Delete, Key, Outcome, Patch, Update

__all__ = ["Action", "Create", "Delete", "EventNote", "Key", "Outcome", "Patch", "Plan", "Update"]


@dataclass(frozen=True, slots=True)
class EventNote:
    """An Event to record about ``regarding`` (any API object). type: Normal or Warning."""

    regarding: Any
    type: str
    reason: str
    message: str
    action: str = ""
    related: Any = None


@dataclass(frozen=True, slots=True)
class Plan:
    """actions are committed together, in order; ``then`` is committed after them, only if all of them succeeded.

    events are recorded when the commit has been answered: an EventNote, or a function from the outcomes of
    ``actions`` to the notes (for messages that depend on what became of them). requeue_at: seconds since the epoch
    at which to reconcile the key again even if nothing changes; None = not by time. error: this attempt failed for
    the reason given; the key is retried with back-off after the actions were committed.
    """

    actions: Sequence[Action] = ()
    then: Sequence[Action] = ()
    events: Sequence[EventNote] = ()
    on_outcomes: Any = None
    requeue_at: float | None = None
    error: str = ""


NOTHING = Plan()
