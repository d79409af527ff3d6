"""What an admission plugin is: a record with functions, one file each, called in the order of ``admission.PLUGINS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pelamis.apiserver.write import Objects, Write

Mutate = Callable[[Write, Objects], None]
Validate = Callable[[Write, Any, Objects], None]


@dataclass(frozen=True, slots=True)
class Plugin:
    """resources: those it looks at (``pods``, ``ingresses.networking.k8s.io``), None = all.

    mutate(write, objects) changes ``write.tree``; validate(write, obj, objects) sees the finished object (the last
    state for a deletion). Both raise StatusError to refuse. subresources: those besides "" that it looks at.
    """

    name: str
    resources: frozenset[str] | None = None
    mutate: Mutate | None = None
    validate: Validate | None = None
    subresources: tuple[str, ...] = ()
    blind: Callable[[], bool] | None = None
    """Tells that ``mutate``, as things are, neither looks at ``write.tree`` nor waits."""

    def looks_at(self, resource: str, subresource: str) -> bool:
        if self.resources is not None and resource not in self.resources:
            return False
        return not subresource or subresource in self.subresources or "*" in self.subresources
