"""Runs the plugins that look at a resource: mutation on the tree, then validation of the finished object.

What waits comes last, as upstream has it: after the mutating plugins the mutating policies and webhooks, after the
validating ones the validating policies, then the webhooks, then the quota. A webhook suspends the plan of a write; a
write that no webhook wants never waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

from pelamis.apiserver.admission.plugin import Mutate, Plugin, Validate
from pelamis.apiserver.histogram import Histogram
from pelamis.apiserver.write import Again, Objects, Suspended, Write
from pelamis.base.errors import StatusError

F = TypeVar("F")
Reserve = Callable[[Write, Any], "Awaitable[None] | None"]
Observe = Callable[[str, str, str, bool], Histogram]
"""Where the times are counted of (plugin, operation, admit or validate, refused)."""


def _unobserved(name: str, operation: str, type: str, refused: bool) -> Histogram:
    return Histogram()


class _Step(Generic[F]):
    """One plugin's function for one resource and operation, and where its times are counted."""

    __slots__ = ("blind", "name", "passed", "run")

    def __init__(self, name: str, run: F, blind: Callable[[], bool] | None = None) -> None:
        self.name = name
        self.run = run
        self.blind = blind
        self.passed: Histogram | None = None


Key = tuple[str, str, str]


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
        self._mutators: dict[Key, tuple[_Step[Mutate], ...]] = {}
        self._validators: dict[Key, tuple[_Step[Validate], ...]] = {}
        self.observe: Observe = _unobserved
        self.webhooks: Webhooks | None = None

    def mutate(self, write: Write) -> None:
        """Raises Suspended when a plugin has to wait, or webhooks are to be asked, before the plan goes on."""
        try:
            self.rerun(write)
        except Again:
            raise
        except Suspended as pause:
            work = pause.work
            raise Suspended(lambda: self._later(work, write)) from None
        webhooks = self.webhooks
        if webhooks is not None and webhooks.mutates(write):
            raise Suspended(lambda: webhooks.mutate(write))

    async def _later(self, work: Callable[[], Awaitable[None]], write: Write) -> None:
        """All of mutation, once what a plugin waited for is done."""
        await work()
        self.rerun(write)
        if self.webhooks is not None and self.webhooks.mutates(write):
            await self.webhooks.mutate(write)

    def blind(self, write: Write) -> bool:
        """Whether mutation, as things are, can do without the tree of the object and will not wait."""
        for step in self._mutating(write):
            if step.blind is None or not step.blind():
                return False
        return self.webhooks is None or not self.webhooks.mutates(write)

    def _mutating(self, write: Write) -> tuple[_Step[Mutate], ...]:
        resource, sub, operation = write.hub.resource, write.subresource, write.operation
        steps = self._mutators.get((resource, sub, operation))
        if steps is None:
            steps = self._mutators[resource, sub, operation] = tuple(
                _Step(p.name, p.mutate, p.blind)
                for p in self._plugins
                if p.mutate is not None and p.looks_at(resource, sub)
            )
        return steps

    def rerun(self, write: Write) -> None:
        """The plugins in this process."""
        operation, objects = write.operation, self._objects
        started = perf_counter()
        for step in self._mutating(write):
            try:
                step.run(write, objects)
            except StatusError:
                self.observe(step.name, operation, "admit", True).observe(perf_counter() - started)
                raise
            ended = perf_counter()
            if step.passed is None:
                step.passed = self.observe(step.name, operation, "admit", False)
            step.passed.observe(ended - started)
            started = ended

    def validate(self, write: Write, obj: Any) -> None:
        operation, objects = write.operation, self._objects
        resource, sub = write.hub.resource, write.subresource
        steps = self._validators.get((resource, sub, operation))
        if steps is None:
            steps = self._validators[resource, sub, operation] = tuple(
                _Step(p.name, p.validate) for p in self._plugins if p.validate is not None and p.looks_at(resource, sub)
            )
        started = perf_counter()
        for step in steps:
            try:
                step.run(write, obj, objects)
            except StatusError:
                self.observe(step.name, operation, "validate", True).observe(perf_counter() - started)
                raise
            ended = perf_counter()
            if step.passed is None:
                step.passed = self.observe(step.name, operation, "validate", False)
            step.passed.observe(ended - started)
            started = ended

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

    def reserve(self, write: Write, obj: Any, *, changed: bool = True) -> Awaitable[None] | None:
        webhooks = self.webhooks
        if webhooks is not None and webhooks.validates(write):
            return self._asked(webhooks, write, obj, changed)
        return self._reserve(write, obj) if self._reserve is not None and changed else None

    async def _asked(self, webhooks: Webhooks, write: Write, obj: Any, changed: bool) -> None:
        await webhooks.validate(write, obj)
        waiting = self._reserve(write, obj) if self._reserve is not None and changed else None
        if waiting is not None:
            await waiting
