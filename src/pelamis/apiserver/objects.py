"""Synchronous reads of the whole cache by resource name, for authorization, admission and subresources."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pelamis.api.kind import Kind
from pelamis.api.registry import Registry
from pelamis.apiserver.authz.attributes import Attributes, Authorizer, Decision
from pelamis.apiserver.user import User
from pelamis.base.errors import Internal
from pelamis.cache.cache import Cache
from pelamis.cache.collection import Collection
from pelamis.cache.view import View

if TYPE_CHECKING:
    from pelamis.apiserver.conversion import Shadow


_SHORT, _LISTS = 64, 1_000
"""Objects of a list that is kept, and how many lists."""


class Objects:
    """``resource``: ``pods``, ``deployments.apps``."""

    def __init__(self, cache: Cache, registry: Registry, entropy: Callable[[int], bytes]) -> None:
        self.cache = cache
        self.registry = registry
        self.entropy = entropy
        self.authorizer: Authorizer | None = None
        self._views: dict[str, View] = {}
        self._lists: dict[tuple[str, str], tuple[View, int, Sequence[Any]]] = {}
        self.shadows: dict[Kind, Shadow] = {}
        """Versions of custom resources that a webhook converts."""

    def kind(self, resource: str) -> Kind:
        plural, _, group = resource.partition(".")
        found = self.registry.held(group, plural)
        if found is None:
            raise KeyError(resource)
        return found

    def collection(self, kind: Kind) -> Collection:
        """What the version is read from. Raises Internal while its conversion fails."""
        if self.shadows and kind in self.shadows:
            shadow = self.shadows[kind]
            if shadow.fault:
                raise Internal(shadow.fault)
            return shadow.collection
        return self.cache.collection(kind.hub or kind)

    def view(self, resource: str) -> View:
        view = self._views.get(resource)
        if view is None:
            view = self._views[resource] = View(self.collection(self.kind(resource)))
        return view

    async def caught_up(self, hub: Kind, rev: int) -> None:
        """Until every version of the kind can be read at the revision, or its conversion fails."""
        for kind, shadow in list(self.shadows.items()):
            if kind.hub is hub and not shadow.fault and shadow.collection.rev < rev:
                reached = asyncio.get_running_loop().create_future()
                shadow.collection.progress.when_reached(rev, partial(_set, reached))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(5.0):
                        await reached

    def forget(self, resource: str) -> None:
        """The resource is no longer held."""
        view = self._views.pop(resource, None)
        if view is not None:
            view.close()

    def get(self, resource: str, namespace: str, name: str) -> Any:
        return self.view(resource).get(namespace, name)

    def list(self, resource: str, namespace: str = "") -> Sequence[Any]:
        """Short lists are kept until one of the kind changes: admission asks for the same with every pod."""
        view = self.view(resource)
        size = len(view.collection)
        if not 0 < size <= _SHORT:
            return view.list(namespace) if size else ()
        changes = view.collection.changes
        known = self._lists.get((resource, namespace))
        if known is not None and known[0] is view and known[1] == changes:
            return known[2]
        if len(self._lists) >= _LISTS:
            self._lists.clear()
        found = tuple(view.list(namespace))
        self._lists[resource, namespace] = view, changes, found
        return found

    def authorize(self, user: User, a: Attributes) -> Decision:
        assert self.authorizer is not None
        return self.authorizer.authorize(user, a)


def _set(reached: asyncio.Future[None]) -> None:
    if not reached.done():
        reached.set_result(None)
