"""Synchronous reads of the whole cache by resource name, for authorization, admission and subresources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.kind import Kind
from pelamis.api.registry import Registry
from pelamis.apiserver.authz.attributes import Attributes, Authorizer, Decision
from pelamis.apiserver.user import User
from pelamis.cache.cache import Cache
from pelamis.cache.collection import Collection
from pelamis.cache.view import View


class Objects:
    """``resource``: ``pods``, ``deployments.apps``."""

    def __init__(self, cache: Cache, registry: Registry, entropy: Callable[[int], bytes]) -> None:
        self.cache = cache
        self.registry = registry
        self.entropy = entropy
        self.authorizer: Authorizer | None = None
        self._views: dict[str, View] = {}

    def kind(self, resource: str) -> Kind:
        plural, _, group = resource.partition(".")
        found = self.registry.preferred(group, plural)
        if found is None:
            raise KeyError(resource)
        return found.hub or found

    def collection(self, kind: Kind) -> Collection:
        return self.cache.collection(kind.hub or kind)

    def view(self, resource: str) -> View:
        view = self._views.get(resource)
        if view is None:
            view = self._views[resource] = View(self.collection(self.kind(resource)))
        return view

    def forget(self, resource: str) -> None:
        """The resource is no longer held."""
        view = self._views.pop(resource, None)
        if view is not None:
            view.close()

    def get(self, resource: str, namespace: str, name: str) -> Any:
        return self.view(resource).get(namespace, name)

    def list(self, resource: str, namespace: str = "") -> Sequence[Any]:
        view = self.view(resource)
        return view.list(namespace) if len(view.collection) else ()

    def authorize(self, user: User, a: Attributes) -> Decision:
        assert self.authorizer is not None
        return self.authorizer.authorize(user, a)
