"""Sets of field paths, as managedFields record them (``fieldsV1``).

A set is its own JSON: a dict from path element to the set below it. Elements are ``f:<field>``, ``k:<key object>``,
``v:<value>`` and ``i:<index>``. A path is a member when the dict at its end is empty or has the member ``"."``; a dict
with children and without ``"."`` only leads to members. No dict inside a set is ever changed once built, so results
share the parts of their arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

Set = dict[str, Any]
Path = tuple[str, ...]

SELF: Set = {}


def union(a: Set, b: Set) -> Set:
    """Members of either; ``a`` itself when it has all of them."""
    if not b:
        return a
    if not a:
        return b
    out = a
    for key, vb in b.items():
        va = a.get(key)
        if va is None:
            both = vb
        elif va is vb or not va:
            if not vb or va is vb:
                continue
            both = vb if "." in vb else {".": {}, **vb}
        elif not vb:
            if "." in va:
                continue
            both = {".": {}, **va}
        else:
            both = union(va, vb)
            if both is va:
                continue
        if out is a:
            out = dict(a)
        out[key] = both
    return out


def _left(rest: Set) -> Set | None:
    """What is left of a member, as it is kept: None when nothing is."""
    if len(rest) == 1 and "." in rest:
        return SELF
    return rest or None


def difference(a: Set, b: Set) -> Set:
    """Members of ``a`` that are not members of ``b``; what lies below one of ``b`` stays. ``a`` itself if all do."""
    if not a or not b:
        return a
    out = a
    for key, vb in b.items():
        va = a.get(key)
        if va is None:
            continue
        if not va:
            if vb and "." not in vb:
                continue
            rest = None
        elif not vb:
            if "." not in va:
                continue
            rest = {k: v for k, v in va.items() if k != "."}
        else:
            rest = difference(va, vb)
            if rest is va:
                continue
            rest = _left(rest)
        if out is a:
            out = dict(a)
        if rest is None:
            del out[key]
        else:
            out[key] = rest
    return out


def recursive_difference(a: Set, b: Set) -> Set:
    """``a`` without the members of ``b`` and all that lies below them; ``a`` itself if it has none of them."""
    if not a or not b:
        return a
    out = a
    for key, vb in b.items():
        va = a.get(key)
        if va is None:
            continue
        rest = None
        if vb and "." not in vb:
            if not va:
                continue
            rest = recursive_difference(va, vb)
            if rest is va:
                continue
            rest = _left(rest)
        if out is a:
            out = dict(a)
        if rest is None:
            del out[key]
        else:
            out[key] = rest
    return out


def intersection(a: Set, b: Set) -> Set:
    """Members of both."""
    out: Set = {}
    for key, va in a.items():
        vb = b.get(key)
        if vb is None:
            continue
        if not va:
            if not vb or "." in vb:
                out[key] = SELF
        elif not vb:
            if "." in va:
                out[key] = SELF
        else:
            both = intersection(va, vb)
            if both:
                out[key] = SELF if len(both) == 1 and "." in both else both
    return out


def has(a: Set, path: Sequence[str]) -> bool:
    for element in path:
        found = a.get(element)
        if found is None:
            return False
        a = found
    return not a or "." in a


def paths(a: Set, prefix: Path = ()) -> Iterator[Path]:
    """All members; those of one level first, sorted, then the levels below."""
    below: list[str] = []
    for key in sorted(k for k in a if k != "."):
        child = a[key]
        if not child or "." in child:
            yield (*prefix, key)
        if child:
            below.append(key)
    for key in below:
        yield from paths(a[key], (*prefix, key))


def insert(a: Set, path: Sequence[str]) -> None:
    """Adds a member to a set under construction, in place."""
    for element in path[:-1]:
        child = a.get(element)
        if child is None:
            child = a[element] = {}
        elif not child:
            child = a[element] = {".": {}}
        a = child
    last = path[-1]
    if last in a:
        if a[last] and "." not in a[last]:
            a[last]["."] = {}
    else:
        a[last] = {}


def of_dotted(names: Sequence[str]) -> Set:
    """``("status", "metadata.labels")`` as a set."""
    out: Set = {}
    for name in names:
        insert(out, ["f:" + part for part in name.split(".")])
    return out


def key_element(item: dict[str, Any], keys: Sequence[str]) -> str:
    """The element of an item of an associative list; keys sorted, as in ``k:{"name":"nginx"}``."""
    return "k:" + msgspec.json.encode({k: item[k] for k in sorted(keys) if k in item}).decode()


def value_element(value: Any) -> str:
    return "v:" + msgspec.json.encode(value).decode()


def show(path: Sequence[str]) -> str:
    """``.spec.containers[name="nginx"].image``, as messages print a path."""
    out: list[str] = []
    for element in path:
        kind, rest = element[:2], element[2:]
        if kind == "f:":
            out.append("." + rest)
        elif kind == "k:":
            fields = msgspec.json.decode(rest.encode())
            inner = ",".join(f"{k}={msgspec.json.encode(v).decode()}" for k, v in sorted(fields.items()))
            out.append(f"[{inner}]")
        elif kind == "v:":
            out.append(f"[={rest}]")
        else:
            out.append(f"[{rest}]")
    return "".join(out)


@lru_cache(maxsize=16384)
def _canonical_element(text: str) -> str:
    value = msgspec.json.decode(text[2:].encode())
    if text[:2] == "v:":
        return value_element(value)
    if not isinstance(value, dict):
        raise ValueError("associative list key is not an object")
    return key_element(value, tuple(value))


def canonical(a: Any) -> Set:
    """A set that came from outside: elements of unknown kind dropped, keys in canonical JSON. Raises ValueError."""
    if not isinstance(a, dict):
        raise ValueError("fieldsV1 is not an object")
    out: Set = {}
    for key, child in a.items():
        kind = key[:2]
        if kind in ("k:", "v:"):
            key = _canonical_element(key)
        elif key != "." and kind not in ("f:", "i:"):
            continue
        below = canonical(child) if child else SELF
        out[key] = SELF if len(below) == 1 and "." in below else below
    return out
