"""Runs the plugins that look at a resource: mutation on the tree, then validation of the finished object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pelamis.apiserver.admission.plugin import Mutate, Plugin, Validate
from pelamis.apiserver.write import Objects, Write

Reserve = Callable[[Write, Any], "Awaitable[None] | None"]


class Chain:
    """``reserve``: admission that has to wait, after all others (quota)."""

    def __init__(self, plugins: Sequence[Plugin], objects: Objects, reserve: Reserve | None = None) -> None:
        self._plugins = plugins
        self._objects = objects
        self._reserve = reserve
        self._mutators: dict[tuple[str, str], tuple[Mutate, ...]] = {}
        self._validators: dict[tuple[str, str], tuple[Validate, ...]] = {}

    def mutate(self, write: Write) -> None:
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

    def reserve(self, write: Write, obj: Any) -> Awaitable[None] | None:
        return self._reserve(write, obj) if self._reserve is not None else None
