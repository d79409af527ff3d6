"""What a controller is: a record that the runner carries out. One per file in ``controllers/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pelamis.api.kind import Kind
from pelamis.client.types import Key, View
from pelamis.reconcile.plan import Plan


class Views(Protocol):
    """The views of one controller, by kind."""

    def __call__(self, kind: Kind) -> View[Any]: ...


@dataclass(frozen=True, slots=True)
class Watch:
    """A change of ``kind`` wakes the keys that ``keys(views, old, new)`` names.

    old None = added, new None = deleted. The default wakes the object's own key.
    """

    kind: Kind
    keys: Callable[[Views, Any, Any], Sequence[Key]]


@dataclass(frozen=True, slots=True)
class Controller:
    """gather(views, key) collects what reconcile needs, synchronously, from views; None = nothing to do.

    reconcile(world, now) is pure: ``now`` is seconds since the epoch; randomness and ids come from the server.
    identity: the user that its writes are made as: ``system:serviceaccount:kube-system:<identity>``, or
    ``system:kube-controller-manager`` when empty. resync_s: wake every key again after so long (0 = never).
    kinds: further kinds whose views gather needs without being woken by them.
    """

    name: str
    watches: Sequence[Watch]
    gather: Callable[[Views, Key], Any]
    reconcile: Callable[[Any, float], Plan]
    identity: str = ""
    kinds: Sequence[Kind] = ()
    options: Mapping[str, Any] | None = None
