"""The object of a custom resource: metadata as a struct, the rest as a JSON tree that is decoded when asked for."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api.field import Tree
from pelamis.api.meta import ObjectMeta


class _Head(msgspec.Struct, frozen=True, gc=False):
    kind: str = ""
    apiVersion: str = ""
    metadata: ObjectMeta = ObjectMeta()


_HEAD = msgspec.json.Decoder(_Head)


class Custom:
    """Immutable and shared, like the structs of built-in kinds: never change what ``tree`` returns."""

    __slots__ = ("_tree", "apiVersion", "data", "kind", "metadata")

    def __init__(self, data: bytes) -> None:
        head = _HEAD.decode(data)
        self.kind = head.kind
        self.apiVersion = head.apiVersion
        self.metadata = head.metadata
        self.data = data
        self._tree: Tree | None = None

    @property
    def tree(self) -> Tree:
        """The whole object."""
        if self._tree is None:
            self._tree = msgspec.json.decode(self.data)
        return self._tree

    def get(self, *path: str, default: Any = None) -> Any:
        """The value at a path of member names: ``obj.get("spec", "replicas")``."""
        value: Any = self.tree
        for name in path:
            if not isinstance(value, dict) or name not in value:
                return default
            value = value[name]
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Custom) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.metadata.namespace}/{self.metadata.name}>"
