"""The entries of metadata.managedFields: reading them leniently, keeping them few, writing them in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from pelamis.base import fieldpath
from pelamis.base.clock import rfc3339
from pelamis.base.fieldpath import Set
from pelamis.base.shape import Node

Tree = dict[str, Any]
Convert = Callable[[Tree, str], "tuple[Tree, Node] | None"]
"""A tree in another apiVersion of its kind, with that version's shape; None: the version is not served any more."""

MAX_UPDATERS = 10
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"
_NAME_LIMIT = 128


class Entry:
    """One manager's fields. (manager, operation, subresource), and for updates api_version, identify it."""

    __slots__ = ("api_version", "fields", "manager", "operation", "subresource", "time")

    def __init__(
        self, manager: str, operation: str, api_version: str, subresource: str, fields: Set, time: str
    ) -> None:
        self.manager = manager
        self.operation = operation
        self.api_version = api_version
        self.subresource = subresource
        self.fields = fields
        self.time = time

    def is_from(self, manager: str, operation: str, api_version: str, subresource: str) -> bool:
        return (
            self.manager == manager
            and self.operation == operation
            and self.subresource == subresource
            and (operation == "Apply" or self.api_version == api_version)
        )

    def tree(self) -> Tree:
        out: Tree = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version}
        if self.time:
            out["time"] = self.time
        out["fieldsType"] = "FieldsV1"
        out["fieldsV1"] = self.fields
        if self.subresource:
            out["subresource"] = self.subresource
        return out

    def shown(self) -> str:
        """As conflict messages name the manager."""
        text = msgspec.json.encode(self.manager).decode()
        if self.subresource:
            text += f" with subresource {msgspec.json.encode(self.subresource).decode()}"
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


@lru_cache(maxsize=4096)
def manager_name(field_manager: str, user_agent: str) -> str:
    """What the request says, else its User-Agent up to the first slash: printable characters, at most 128 bytes."""
    if field_manager:
        return field_manager
    out = ""
    size = 0
    for char in user_agent.split("/", 1)[0]:
        if not char.isprintable():
            continue
        size += len(char.encode())
        if size > _NAME_LIMIT:
            break
        out += char
    return out


@lru_cache(maxsize=256)
def reset_fields(names: tuple[str, ...]) -> Set:
    return fieldpath.of_dotted(names)


@lru_cache(maxsize=512)
def _fields(text: bytes) -> Set:
    """Many objects have equal entries, and a set is never changed once it is built."""
    return fieldpath.canonical(msgspec.json.decode(text))


def decode(entries: Any) -> list[Entry]:
    """Raises ValueError where upstream cannot read the entries."""
    out: list[Entry] = []
    for i, entry in enumerate(entries or ()):
        operation = entry.get("operation", "")
        if operation not in ("Apply", "Update"):
            raise ValueError("operation must be `Apply` or `Update`")
        api_version = entry.get("apiVersion", "")
        if not api_version:
            raise ValueError("apiVersion must not be empty")
        kind = entry.get("fieldsType", "")
        if not kind:
            raise ValueError(f"missing fieldsType in managed fields entry {i}")
        if kind != "FieldsV1":
            raise ValueError(f'invalid fieldsType "{kind}" in managed fields entry {i}')
        fields = entry.get("fieldsV1")
        out.append(
            Entry(
                entry.get("manager", ""),
                operation,
                api_version,
                entry.get("subresource", ""),
                _fields(msgspec.json.encode(fields)) if fields else {},
                entry.get("time") or "",
            )
        )
    return out


def read_lenient(tree: Tree | None) -> list[Entry]:
    if tree is None:
        return []
    try:
        return decode((tree.get("metadata") or {}).get("managedFields"))
    except (ValueError, AttributeError, TypeError):
        return []


def resets(tree: Tree) -> bool:
    """The client asks to forget all entries. An empty list must be seen here before normalisation drops it."""
    metadata = tree.get("metadata")
    given = metadata.get("managedFields") if isinstance(metadata, dict) else None
    return bool(given == [] or given == [{}])


def live_or_new(old: Tree | None, new: Tree, subresource: str) -> list[Entry]:
    """Where the entries of an update come from: the request if it carries any, so that clients can edit them; [] or
    [{}] resets; the stored object otherwise, so that clients that drop them do no harm."""
    if subresource:
        return read_lenient(old)
    if old is None and "managedFields" not in new.get("metadata", ()):
        return []
    if resets(new):
        return []
    return read_lenient(new) or read_lenient(old)


def store(tree: Tree, entries: Sequence[Entry]) -> None:
    """Writes the entries into the tree's metadata, which becomes a new dict: the old one may be shared."""
    metadata = dict(tree.get("metadata") or {})
    if entries:
        ordered = sorted(entries, key=lambda e: (e.operation, e.time, e.manager, e.api_version, e.subresource))
        metadata["managedFields"] = [e.tree() for e in ordered]
    else:
        metadata.pop("managedFields", None)
    tree["metadata"] = metadata


def cap(entries: list[Entry]) -> list[Entry]:
    """At most MAX_UPDATERS entries of updaters: the oldest of one apiVersion are merged into one."""
    updaters = sorted(
        (e for e in entries if e.operation == "Update"), key=lambda e: (e.time, e.manager, e.api_version, e.subresource)
    )
    length = len(updaters)
    if length <= MAX_UPDATERS:
        return entries
    first: dict[str, Entry] = {}
    gone: set[int] = set()
    buckets = {e.api_version: e for e in updaters if e.manager == ANCIENT and not e.subresource}
    for entry in updaters:
        if length <= MAX_UPDATERS:
            break
        version = entry.api_version
        if version not in first:
            first[version] = entry
            continue
        bucket = buckets.get(version)
        if bucket is None or bucket is entry:
            start = first[version]
            gone.add(id(start))
            bucket = Entry(ANCIENT, "Update", version, "", start.fields, start.time)
            buckets[version] = bucket
            entries = [*entries, bucket]
        bucket.fields = fieldpath.union(entry.fields, bucket.fields)
        bucket.time = entry.time
        gone.add(id(entry))
        length -= 1
    return [e for e in entries if id(e) not in gone]


def stamp(now: float) -> str:
    return rfc3339(now)
