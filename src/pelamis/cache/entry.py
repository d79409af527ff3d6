"""What the cache holds of one object: the bytes that are served, and, when asked for, the decoded struct.

Bytes are kept for every object. Decoded structs are three times larger, so ``Decoder`` keeps them for the
objects that are in use and forgets the others when more than a budget of them has come together: second chance, where
an object counts as used when it is read again after it was decoded. A cluster that fits the budget decodes each version
of an object once; a walk over a huge set goes through without pushing out what the controllers work on.

The budget follows the work. What has to be decoded a second time, though a larger budget within ``most`` would still
have had it, makes the budget grow by as much: controllers that walk over more than the budget, again and again, would
otherwise decode all of it each time. A part of whatever else is decoded makes it shrink again, and so does time: what
nobody has read again since the last round over all that is held is forgotten, down to the least budget. Rounds are made
in small turns, and only while more than the least is held.

Labels, the values for field selectors and the facts that walks need are small, and stay once they have been read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from sys import intern
from typing import Any
from weakref import ref

import msgspec
from msgspec.structs import replace

from pelamis.api import codec
from pelamis.api.custom import Custom
from pelamis.api.kind import Kind

Key = tuple[str, str]
BUDGET = 32 << 20
"""Bytes of JSON whose decoded form is kept at least, over all kinds of one cache."""
_PAST = -1
_GIVE_BACK = 16
"""The budget shrinks by this part of what is decoded for the first time."""
ROUND_S, TURN_S, TURN = 30.0, 0.02, 256
"""Between two rounds over what is held; between two turns of a round; objects looked at in a turn (a millisecond)."""

_MARK = b'"metadata":{'


class _Owner(msgspec.Struct, frozen=True, gc=False):
    uid: str = ""
    controller: bool | None = None


class _Meta(msgspec.Struct, frozen=True, gc=False):
    labels: dict[str, str] | None = None
    ownerReferences: tuple[_Owner, ...] = ()


class _Head(msgspec.Struct, frozen=True, gc=False):
    """The cheap part: decoding it skips the rest of the object at C speed."""

    metadata: _Meta = _Meta()


_head = msgspec.json.Decoder(_Head).decode


class Decoder:
    """Bounds the memory of what was decoded; one for all collections of a cache.

    least, most: bounds of the budget, in bytes of JSON. later(seconds, fn): whoever owns the loop calls fn then; None =
    nothing is forgotten for its age.
    """

    __slots__ = (
        "__weakref__",
        "_asked",
        "_held",
        "_labels",
        "_least",
        "_left",
        "_most",
        "_passed",
        "budget",
        "later",
        "weight",
    )

    def __init__(self, least: int = BUDGET, most: int = 0) -> None:
        self.budget = self._least = least
        self._most = max(most, least)
        self.weight = 0
        self._passed = 0
        """Bytes decoded so far."""
        self.later: Callable[[float, Callable[[], None]], object] | None = None
        self._asked = False
        self._left = 0
        """What the present round has yet to look at."""
        self._held: OrderedDict[Entry, None] = OrderedDict()
        self._labels: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    def hold(self, entry: Entry) -> None:
        """``entry`` has just been decoded."""
        size = len(entry.data)
        self._held[entry] = None
        self.weight += size
        self._passed += size
        if entry._dropped and self._passed - entry._dropped <= self._most - self.budget:
            self.budget += size
        elif self.budget > self._least:
            self.budget = max(self._least, self.budget - size // _GIVE_BACK)
        if self.weight > self.budget:
            self._shrink()
        if self.weight > self._least and not self._asked and self.later is not None:
            self._asked = True
            self.later(ROUND_S, self._turn)

    def _turn(self) -> None:
        """Part of a round: forgets what was not read again since the last one, while more than the least is held."""
        held = self._held
        if not self._left:
            self._left = len(held)
        for _ in range(min(TURN, self._left, len(held) - 1)):
            if self.weight <= self._least:
                break
            oldest, _ = held.popitem(last=False)
            if oldest._used:
                oldest._used = False
                held[oldest] = None
            else:
                self._drop(oldest)
        else:
            self._left = max(self._left - TURN, 0)
        self.budget = max(self._least, min(self.budget, self.weight))
        if self.weight <= self._least:
            self._asked, self._left = False, 0
        elif self.later is not None:
            self.later(TURN_S if self._left else ROUND_S, self._turn)

    def _drop(self, entry: Entry) -> None:
        entry._obj = None
        entry._dropped = self._passed
        self.weight -= len(entry.data)

    def _shrink(self) -> None:
        chances = len(self._held)
        while self.weight > self.budget and len(self._held) > 1:
            oldest, _ = self._held.popitem(last=False)
            if oldest._used and chances > 0:
                chances -= 1
                oldest._used = False
                self._held[oldest] = None
            else:
                self._drop(oldest)

    def forget(self, entry: Entry) -> None:
        """The entry was replaced, and everybody has been told: only its bytes are kept, for the past."""
        entry._facts = entry._maker = None
        entry._dropped = _PAST
        if entry._obj is not None:
            entry._obj = None
            del self._held[entry]
            self.weight -= len(entry.data)

    def labels(self, found: dict[str, str] | None) -> dict[str, str]:
        """Equal label maps share one dict: the pods of a ReplicaSet cost one."""
        if not found:
            return _NO_LABELS
        token = tuple(found.items())
        known = self._labels.get(token)
        if known is None:
            if len(self._labels) >= 20_000:
                self._labels.clear()
            known = self._labels[token] = {intern(k): v for k, v in token}
        return known


_NO_LABELS: dict[str, str] = {}


class Shape:
    """What all entries of one kind share: how to decode, the names of the field labels, the decoder.

    The decoder holds entries and is not held by them: it lives as long as its collections. A cycle through entries,
    which the garbage collector does not look at, would keep the entries of a collection that nobody has any more.
    """

    __slots__ = ("_decoder", "decode", "fields", "kind", "selectable")

    def __init__(self, kind: Kind, decoder: Decoder, decode: Callable[[bytes], Any] | None = None) -> None:
        self.kind = kind
        self._decoder = ref(decoder)
        self.decode = decode or decode_of(kind)
        self.selectable: Mapping[str, Callable[[Any], str]] = kind.selectable or {}
        self.fields: dict[str, int] = {name: i for i, name in enumerate(self.selectable)}

    def hold(self, entry: Entry) -> None:
        decoder = self._decoder()
        if decoder is not None:
            decoder.hold(entry)

    def labels(self, found: dict[str, str] | None) -> dict[str, str]:
        decoder = self._decoder()
        return decoder.labels(found) if decoder is not None else found or _NO_LABELS


def decode_of(kind: Kind) -> Callable[[bytes], Any]:
    """Straight into the kind's type; bytes that another version or another server wrote are cleaned first."""
    if kind.type is Custom:
        return Custom
    fast: Callable[[bytes], Any] | None = None

    def decode(data: bytes) -> Any:
        nonlocal fast
        if fast is None:
            # A decoder takes a millisecond to make, and most kinds of a cluster have no objects.
            fast = msgspec.json.Decoder(kind.type).decode
        try:
            return fast(data)
        except msgspec.ValidationError:
            tree = codec.parse(data)
            codec.clean(kind, tree, defaults=False)
            return codec.from_tree(kind, tree)

    return decode


class Entry(msgspec.Struct, gc=False, eq=False):
    """One version of one object. Immutable, but for what is decoded on demand.

    data: the served bytes, metadata.resourceVersion included. The garbage collector does not look at entries: there are
    hundreds of thousands, and none is part of a cycle that has to be found.
    """

    shape: Shape
    key: Key
    rev: int
    data: bytes
    _obj: Any = None
    _used: bool = False
    _dropped: int = 0
    """How many bytes had been decoded when the object was forgotten; _PAST for a version that was replaced."""
    _facts: Any = None
    _maker: Any = None
    _labels: dict[str, str] | None = None
    _fields: tuple[str, ...] | None = None

    @property
    def namespace(self) -> str:
        return self.key[0]

    @property
    def name(self) -> str:
        return self.key[1]

    @property
    def obj(self) -> Any:
        """The decoded, shared, immutable struct of ``kind.type``."""
        obj = self._obj
        if obj is not None:
            self._used = True
            return obj
        obj = self.shape.decode(self.data)
        if self._dropped != _PAST:
            self._obj = obj
            self.shape.hold(self)
        return obj

    def decoded(self, obj: Any) -> None:
        """Gives the entry its object, which lacks nothing but the revision."""
        meta = obj.metadata
        # A Raw would keep all of the bytes that it was read from.
        managed = tuple([_own(entry) for entry in meta.managedFields])
        metadata = replace(meta, resourceVersion=str(self.rev), managedFields=managed)
        self._obj = replace(obj, metadata=metadata)
        self.shape.hold(self)

    def peek(self) -> Any:
        """The same, but what has to be decoded for it is not kept: for a walk over objects that nobody works on."""
        return self._obj if self._obj is not None else self.shape.decode(self.data)

    @property
    def labels(self) -> dict[str, str]:
        """metadata.labels, without decoding the object. Shared: not to be changed."""
        labels = self._labels
        if labels is None:
            labels = self._labels = self.shape.labels(_head(self.data).metadata.labels)
        return labels

    def field(self, label: str) -> str:
        """The value of a field label: metadata.name, metadata.namespace, or one of kind.selectable (else KeyError)."""
        if label == "metadata.name":
            return self.key[1]
        if label == "metadata.namespace":
            return self.key[0]
        fields = self._fields
        if fields is None:
            obj = self._obj
            if obj is not None:
                return str(self.shape.selectable[label](obj))
            obj = self.obj
            fields = self._fields = tuple(intern(str(get(obj))) for get in self.shape.selectable.values())
        return fields[self.shape.fields[label]]

    def facts(self, make: Callable[[Any, Mapping[str, str]], Any]) -> Any:
        """make(object, labels), which depends on nothing else: made once, and kept when the object is not."""
        if self._maker is not make:
            self._facts = make(self.obj, self.labels)
            self._maker = make
        return self._facts

    def note_meta(self, old: Entry | None = None) -> str:
        """Reads the labels and returns the uid of the controlling owner ("" for none), in one pass over the bytes.

        old: the version before, which most often has the same labels.
        """
        obj = self._obj
        meta = obj.metadata if obj is not None else _head(self.data).metadata
        if self._labels is None:
            same = old is not None and old._labels is not None and old._labels == (meta.labels or _NO_LABELS)
            self._labels = old._labels if same and old is not None else self.shape.labels(meta.labels)
        for owner in meta.ownerReferences:
            if owner.controller:
                uid: str = owner.uid
                return uid
        return ""

    def at(self, rev: int) -> Entry:
        """The same object with another resourceVersion: what a deletion shows."""
        return Entry(self.shape, self.key, rev, respliced(self.data, self.rev, rev))

    def __repr__(self) -> str:
        return f"<Entry {self.shape.kind.plural} {'/'.join(self.key)} @{self.rev}>"


def _own(entry: Any) -> Any:
    fields = entry.fieldsV1
    return entry if fields is msgspec.UNSET else replace(entry, fieldsV1=fields.copy())


def spliced(value: bytes, rev: int) -> bytes:
    """Canonical stored bytes (``{"kind":…,"apiVersion":…,"metadata":{…``) with resourceVersion first in metadata."""
    at = value.find(_MARK) + len(_MARK)
    if at < len(_MARK):
        raise ValueError("a stored value without metadata")
    comma = b"" if value[at : at + 1] == b"}" else b","
    return b'%b"resourceVersion":"%d"%b%b' % (value[:at], rev, comma, value[at:])


_heads: dict[Kind, bytes] = {}
"""How our own bytes of a built-in kind begin. Those of custom ones are brought to their version by the definition."""


def canonical(kind: Kind, value: bytes) -> bytes:
    """Stored bytes in the form that we write: another API server on the same store writes protobuf, or other JSON, or
    another version.

    Raises ValueError (WireError and msgspec's are some) for what cannot be read.
    """
    if value.startswith(b'{"kind":"'):
        if kind.type is Custom:
            return value
        head = _heads.get(kind)
        if head is None:
            head = _heads[kind] = codec.label(kind)
        if value.startswith(head):
            return value
    from pelamis.api import protobuf  # large, and needed on a shared store only

    source = kind
    if value.startswith(protobuf.MAGIC):
        api_version, name, _ = protobuf.open_envelope(value)
        source = _written_as(kind, api_version, name)
        tree = protobuf.decode_body(source, value)
    else:
        tree = codec.parse(value)
        if (upgrade := (kind.retired or {}).get(str(tree.get("apiVersion", "")))) is not None:
            upgrade(tree)
        elif kind.type is not Custom:
            source = _written_as(kind, str(tree.get("apiVersion", "")), str(tree.get("kind", "")))
    if source is not kind:
        codec.clean(source, tree)
        source.default(tree)
        codec.to_hub(source, tree)
    # An older server may not know a field that we have a default for; upstream too completes what it reads.
    tree["kind"], tree["apiVersion"] = kind.kind, kind.api_version
    codec.clean(kind, tree)
    kind.default(tree)
    return codec.stored(kind, tree)


def _written_as(kind: Kind, api_version: str, name: str) -> Kind:
    """The version in which another server stored an object of the kind: not always the one that we store."""
    if (api_version, name) == (kind.api_version, kind.kind):
        return kind
    from pelamis.api import protobuf

    found = protobuf.known(api_version, name)
    if found is None or (found.hub or found) is not kind:
        raise ValueError(f"an object of {kind.resource} is stored as {api_version} {name}, which is not known here")
    return found


def served_of(kind: Kind, value: bytes, rev: int) -> bytes:
    """Stored bytes, whoever wrote them, as they are served."""
    return spliced(canonical(kind, value), rev)


def respliced(data: bytes, old: int, new: int) -> bytes:
    """Served bytes with the resourceVersion ``old`` replaced.

    The first raw occurrence is the member of metadata: kind and apiVersion come before it, and inside a JSON string the
    quotes would be escaped.
    """
    return data.replace(b'"resourceVersion":"%d"' % old, b'"resourceVersion":"%d"' % new, 1)
