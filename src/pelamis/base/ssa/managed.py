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
_encode = msgspec.json.Encoder(order="deterministic").encode


class Entry:
    """One manager's fields. (manager, operation, subresource), and for updates api_version, identify it.

    record: the struct that the entry was read from, in the form that it is stored in. As long as nothing of the entry
    changes it is written as it was, and its fields are read when somebody asks for them.
    """

    __slots__ = ("_fields", "_text", "_time", "api_version", "manager", "operation", "record", "subresource")

    def __init__(
        self, manager: str, operation: str, api_version: str, subresource: str, fields: Set | None, time: str
    ) -> None:
        self.manager = manager
        self.operation = operation
        self.api_version = api_version
        self.subresource = subresource
        self._fields = fields
        self._time = time
        self._text = b""
        self.record: Any = None

    @property
    def fields(self) -> Set:
        fields = self._fields
        if fields is None:
            fields = self._fields = msgspec.json.decode(self._text) if self._text else {}
        return fields

    @fields.setter
    def fields(self, fields: Set) -> None:
        if fields is not self._fields:
            self._fields = fields
            self._text = b""
            self.record = None

    @property
    def time(self) -> str:
        return self._time

    @time.setter
    def time(self, time: str) -> None:
        if time != self._time:
            self._time = time
            self.record = None

    def misses(self, fields: Set) -> bool:
        """Whether it surely has nothing to do with any of these, as the text of its own says without being read."""
        if self._fields is not None or not self._text:
            return False
        text = self._text
        return all(_encode(member) not in text for member in fields)

    @property
    def empty(self) -> bool:
        return not self._fields if self._fields is not None else len(self._text) <= 2

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

    def made(self, make: Callable[..., Any]) -> Any:
        """As a struct, the one that it was read from if it is as it was."""
        record = self.record
        if record is None:
            text = self._text or _encode(self.fields)
            record = self.record = make(
                manager=self.manager,
                operation=self.operation,
                apiVersion=self.api_version,
                time=self._time or None,
                fieldsType="FieldsV1",
                fieldsV1=msgspec.Raw(text),
                subresource=self.subresource,
            )
        return record

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
    """Of trees, as clients give them, or of structs, as they are stored. Raises ValueError where upstream cannot read
    the entries."""
    out: list[Entry] = []
    for i, entry in enumerate(entries or ()):
        if isinstance(entry, msgspec.Struct):
            out.append(_stored(entry, i))
            continue
        get = entry.get
        operation, api_version = get("operation", ""), get("apiVersion", "")
        _check(i, operation, api_version, get("fieldsType", ""))
        fields = get("fieldsV1")
        known = _fields(msgspec.json.encode(fields)) if fields else {}
        out.append(Entry(get("manager", ""), operation, api_version, get("subresource", ""), known, get("time") or ""))
    return out


def _stored(record: Any, i: int) -> Entry:
    """What is stored has been read and written once already: its fields are in canonical form."""
    _check(i, record.operation, record.apiVersion, record.fieldsType)
    time = record.time
    entry = Entry(record.manager, record.operation, record.apiVersion, record.subresource, None, time or "")
    if record.fieldsV1 is not msgspec.UNSET:
        entry._text = bytes(record.fieldsV1)
        entry.record = record
    return entry


def _check(i: int, operation: str, api_version: str, kind: str) -> None:
    if operation not in ("Apply", "Update"):
        raise ValueError("operation must be `Apply` or `Update`")
    if not api_version:
        raise ValueError("apiVersion must not be empty")
    if not kind:
        raise ValueError(f"missing fieldsType in managed fields entry {i}")
    if kind != "FieldsV1":
        raise ValueError(f'invalid fieldsType "{kind}" in managed fields entry {i}')


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


def store(tree: Tree, entries: Sequence[Entry], make: Callable[..., Any] | None = None) -> None:
    """Writes the entries into the tree's metadata, which becomes a new dict: the old one may be shared.

    make: what they become structs with; trees if None.
    """
    metadata = dict(tree.get("metadata") or {})
    if entries:
        metadata["managedFields"] = [e.tree() if make is None else e.made(make) for e in in_order(entries)]
    else:
        metadata.pop("managedFields", None)
    tree["metadata"] = metadata


def in_order(entries: Sequence[Entry]) -> Sequence[Entry]:
    return sorted(entries, key=_order) if len(entries) > 1 else entries


def _order(e: Entry) -> tuple[str, str, str, str, str]:
    return e.operation, e._time, e.manager, e.api_version, e.subresource


def cap(entries: list[Entry]) -> list[Entry]:
    """At most MAX_UPDATERS entries of updaters: the oldest of one apiVersion are merged into one."""
    if len(entries) <= MAX_UPDATERS:
        return entries
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
