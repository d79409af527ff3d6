"""What a reconcile function returns: a plain record of what should happen, carried out by the runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Create, Delete, Key, Outcome, Patch, Update

__all__ = [
    "KEEP",
    "NOTHING",
    "Action",
    "Create",
    "Delete",
    "EventNote",
    "Found",
    "Key",
    "Outcome",
    "Patch",
    "Plan",
    "Read",
    "Update",
    "failure",
]

KEEP: Any = object()
"""Plan.memo: leave what was remembered as it is."""


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
class Read:
    """A GET of something that no view shows, such as metrics. query: names and values.

    body: the question of a review, such as a SubjectAccessReview, which is a POST that changes nothing.
    """

    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Tree | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a Read: a tree, or why there is none."""

    tree: Tree | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """actions are committed together, in order.

    then: committed after ``actions``, only if all of those succeeded. on_outcomes: a pure function from the outcomes
    of ``actions`` to the plan that continues this one; where it is given, it alone judges the outcomes: its ``error``
    says whether the key is retried. reads: made after the actions, all at once, if all of these succeeded; on_reads, a
    pure function from what they found, in the same order, to the plan that continues this one, comes with them. events
    are recorded when the commit has been answered. requeue_at: seconds since the epoch at which to reconcile the key
    again even if nothing changes; None = not by time; it replaces the time that an earlier plan of the key asked for.
    error: this attempt failed for the reason given; the key is retried with back-off after the actions were committed.
    memo: kept by the runner for the key and handed back through ``views.memo(key)``: an observation that is in no
    object, such as when a heartbeat was last seen to move; None forgets. wait: reconcile the key again when each of
    these kinds' views has reached the revision. echo_s: CPU seconds that what is written costs others beside the
    writing, for the runner, which lets dear keys rest.
    """

    actions: Sequence[Action] = ()
    then: Sequence[Action] = ()
    events: Sequence[EventNote] = ()
    on_outcomes: Callable[[Sequence[Outcome]], Plan] | None = None
    reads: Sequence[Read] = ()
    on_reads: Callable[[Sequence[Found]], Plan] | None = None
    requeue_at: float | None = None
    error: str = ""
    memo: Any = KEEP
    wait: Sequence[tuple[Kind, int]] = ()
    echo_s: float = 0.0


NOTHING = Plan()


def failure(actions: Sequence[Action], outcomes: Sequence[Outcome]) -> StatusError | None:
    """The first refusal that matters: deleting what is gone, or what was replaced by its namesake, is done."""
    for action, outcome in zip(actions, outcomes, strict=True):
        error = outcome.error
        if error is None:
            continue
        if isinstance(action, Delete) and (
            error.reason == "NotFound" or (error.reason == "Conflict" and action.uid and not action.rev)
        ):
            continue  # with a revision, a conflict may also mean that the object has changed and is still to go
        return error
    return None
