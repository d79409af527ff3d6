"""Runs the plugins that look at a resource: mutation on the tree, then validation of the finished object.

What waits comes last, as upstream has it: after the mutating plugins the mutating policies and webhooks, after the
validating ones the validating policies, then the webhooks, then the quota. A webhook suspends the plan of a write; a
write that no webhook wants never waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from pelamis.apiserver.admission.plugin import Mutate, Plugin, Validate
from pelamis.apiserver.write import Objects, Suspended, Write

Reserve = Callable[[Write, Any], "Awaitable[None] | None"]


class Webhooks(Protocol):
    def mutates(self, write: Write) -> bool: ...

    async def mutate(self, write: Write) -> None: ...

    def validates(self, write: Write) -> bool: ...

    async def validate(self, write: Write, obj: Any) -> None: ...


class Chain:
    """``reserve``: admission that has to wait, after all others (quota). ``webhooks`` are set when they exist."""

    def __init__(self, plugins: Sequence[Plugin], objects: Objects, reserve: Reserve | None = None) -> None:
        self._plugins = plugins
        self._objects = objects
        self._reserve = reserve
        self._mutators: dict[tuple[str, str], tuple[Mutate, ...]] = {}
        self._validators: dict[tuple[str, str], tuple[Validate, ...]] = {}
        self.webhooks: Webhooks | None = None

    def mutate(self, write: Write) -> None:
        """Raises Suspended when webhooks are to be asked before the plan goes on."""
        self.rerun(write)
        webhooks = self.webhooks
        if webhooks is not None and webhooks.mutates(write):
            raise Suspended(lambda: webhooks.mutate(write))

    def rerun(self, write: Write) -> None:
        """The plugins in this process."""
        key = (write.hub.resource, write.subresource)
        steps = self._mutators.get(key)
        if steps is None:
            steps = self._mutators[key] = tuple(
                p.mutate for p in self._plugins if p.mutate is not None and p.looks_at(*key)
            )
        for step in steps:
            step(write, self._objects)

    def validate(self, write: Write, obj: Any) -> None:
        key = (write.hub.resource, write.subresource)
        steps = self._validators.get(key)
        if steps is None:
            steps = self._validators[key] = tuple(
                p.validate for p in self._plugins if p.validate is not None and p.looks_at(*key)
            )
        for step in steps:
            step(write, obj, self._objects)

    async def review(self, write: Write) -> None:
        """Policies and webhooks for what is no change of an object: an eviction, a connection. Raises StatusError."""
        webhooks = self.webhooks
        if webhooks is not None and webhooks.mutates(write):
            await webhooks.mutate(write)
        for plugin in self._plugins:
            if plugin.resources is None and "*" in plugin.subresources and plugin.validate is not None:
                plugin.validate(write, None, self._objects)
        if webhooks is not None and webhooks.validates(write):
            await webhooks.validate(write, None)

    def reserve(self, write: Write, obj: Any) -> Awaitable[None] | None:
        webhooks = self.webhooks
        if webhooks is not None and webhooks.validates(write):
            return self._asked(webhooks, write, obj)
        return self._reserve(write, obj) if self._reserve is not None else None

    async def _asked(self, webhooks: Webhooks, write: Write, obj: Any) -> None:
        await webhooks.validate(write, obj)
        waiting = self._reserve(write, obj) if self._reserve is not None else None
        if waiting is not None:
            await waiting
