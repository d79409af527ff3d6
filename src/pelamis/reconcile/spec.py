"""What a controller is: a record that the runner carries out. One per file in ``controllers/``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pelamis.api.kind import Kind
from pelamis.cache.sieve import Needs
from pelamis.client.types import Key, View
from pelamis.reconcile.plan import Plan


class Views(Protocol):
    """The views of one controller, by kind."""

    def __call__(self, kind: Kind) -> View[Any]: ...

    def every(self) -> Sequence[Kind]:
        """All kinds that are served at the moment, custom ones too; empty unless the controller has ``every``."""
        ...

    def memo(self, key: Key) -> Any:
        """What the last plan of the key asked to remember; None if nothing."""
        ...

    def touch(self, key: Key) -> None:
        """For ``Watch.keys``: notes the time, for whenever the key is reconciled."""
        ...

    def touched(self, key: Key) -> float:
        """When the key was last touched; 0 = never."""
        ...


class Kinds(Protocol):
    """The kinds that a server stores; changes as CustomResourceDefinitions come and go."""

    def current(self) -> Sequence[Kind]:
        """The same sequence object for as long as the set stays the same."""
        ...

    def subscribe(self, fn: Callable[[Kind, bool], None]) -> Callable[[], None]:
        """fn(kind, served) for each kind now (served True), then on each change. Returns the cancel."""
        ...


def own_key(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """The changed object's own key."""
    meta = (new if new is not None else old).metadata
    return ((meta.namespace, meta.name),)


@dataclass(frozen=True, slots=True)
class Watch:
    """A change of ``kind`` wakes the keys that ``keys(views, old, new)`` names.

    old None = added, new None = deleted. The default wakes the object's own key. needs: of ``changes``; ``keys`` is not
    asked about changes that lack them.
    """

    kind: Kind
    keys: Callable[[Views, Any, Any], Sequence[Key]] = own_key
    needs: Needs = ()


@dataclass(frozen=True, slots=True)
class Controller:
    """gather(views, key) collects what reconcile needs, synchronously, from views; None = nothing to do.

    reconcile(world, now) is pure: ``now`` is seconds since the epoch; randomness and ids come from the server.
    identity: the user that its writes are made as: ``system:serviceaccount:kube-system:<identity>``, or
    ``system:kube-controller-manager`` when empty. component: the source of its events. kinds: further kinds whose
    views gather needs without being woken by them. every(views, kind, old, new): the keys woken by a change of any
    stored kind, custom ones included; every_needs(kind): as ``Watch.needs``. start: keys that exist without an object
    and are reconciled once at the start.
    """

    name: str
    watches: Sequence[Watch]
    gather: Callable[[Views, Key], Any]
    reconcile: Callable[[Any, float], Plan]
    identity: str = ""
    component: str = ""
    kinds: Sequence[Kind] = ()
    every: Callable[[Views, Kind, Any, Any], Sequence[Key]] | None = None
    every_needs: Callable[[Kind], Needs] = lambda kind: ()
    start: Sequence[Key] = ()

    @property
    def user(self) -> str:
        return (
            f"system:serviceaccount:kube-system:{self.identity}" if self.identity else "system:kube-controller-manager"
        )
