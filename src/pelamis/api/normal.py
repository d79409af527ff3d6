"""Normal form below the top of an object: the form in which the server stores a value, whatever a client wrote.

The *adjuster* of a type brings a tree to it; *normality* tells that a struct has it already. Both are functions,
compiled once from the field declarations, that visit only what can need work: quantities, times, constant defaults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from pelamis.api.field import Struct, Tree
from pelamis.api.shape import Value, shape_of
from pelamis.base import clock, duration, quantity
from pelamis.base.tree import copy

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode_tree = msgspec.json.Decoder().decode
_BLANKS: dict[type[Any], Any] = {}


def blank(cls: type[Any]) -> Any:
    found = _BLANKS.get(cls)
    if found is None:
        found = _BLANKS[cls] = cls()
    return found


_RAW: dict[type[Any], bool] = {}


def has_raw(cls: type[Any]) -> bool:
    """Whether some of it is kept as bytes: that needs JSON to be read from."""
    found = _RAW.get(cls)
    if found is None:
        found = _RAW[cls] = _holds_raw(Value("struct", struct=cls), set())
    return found


def _holds_raw(value: Value, seen: set[type[Any]]) -> bool:
    if value.what in ("raw", "fieldsV1", "any", "union"):
        return True
    if value.of is not None:
        return _holds_raw(value.of, seen)
    if value.struct is None or value.struct in seen:
        return False
    seen.add(value.struct)
    return any(_holds_raw(f.value, seen) for f in shape_of(value.struct))


# -- adjusters --------------------------------------------------------------------------------------------------------

Adjust = Callable[[Any], None]
_ADJUSTERS: dict[tuple[type[Any], bool], Adjust | None] = {}


@lru_cache(maxsize=8192)
def _time(text: str) -> str:
    return clock.rfc3339(clock.parse_rfc3339(text))


_MICRO = re.compile(r"(?:19[7-9]|2\d\d)\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def _micro_time(text: str) -> str:
    if _MICRO.fullmatch(text):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return text
    return clock.rfc3339_micro(clock.parse_rfc3339(text))


def _duration(text: str) -> str:
    return duration.format_nanos(duration.parse_nanos(text))


CANONICAL: dict[str, Callable[[str], str]] = {
    "quantity": quantity.canonical,
    "time": _time,
    "microTime": _micro_time,
    "duration": _duration,
}


def _needs(value: Value, defaults: bool, seen: frozenset[type[Any]] = frozenset()) -> bool:
    """Whether anything below can need an adjustment; a type seen on the way up adds nothing."""
    if value.what in CANONICAL:
        return True
    if value.of is not None:
        return _needs(value.of, defaults, seen)
    if value.struct is None or value.struct in seen:
        return False
    below = seen | {value.struct}
    return any((defaults and "default" in f.facts) or _needs(f.value, defaults, below) for f in shape_of(value.struct))


def _holds_default(cls: type[Any], seen: frozenset[type[Any]] = frozenset()) -> bool:
    """Whether an absent non-pointer struct of this type must be made, because defaults apply inside."""
    if cls in seen:
        return False
    return any(
        "default" in f.facts
        or (f.value.struct is not None and not f.pointer and _holds_default(f.value.struct, seen | {cls}))
        for f in shape_of(cls)
    )


def adjuster(cls: type[Any], defaults: bool) -> Adjust | None:
    key = (cls, defaults)
    if key not in _ADJUSTERS:
        if not _needs(Value("struct", struct=cls), defaults):
            _ADJUSTERS[key] = None
        else:
            _ADJUSTERS[key] = lambda tree: _compiled(cls, defaults)(tree)  # while a recursive type is being compiled
            _ADJUSTERS[key] = _compile(cls, defaults)
    return _ADJUSTERS[key]


def _compiled(cls: type[Any], defaults: bool) -> Adjust:
    found = _ADJUSTERS[cls, defaults]
    assert found is not None
    return found


def _compile(cls: type[Struct], defaults: bool) -> Adjust:
    constants: list[tuple[str, Any, bool, bool]] = []
    made: list[str] = []
    work: dict[str, tuple[bool, Callable[[Any], Any]]] = {}
    for f in shape_of(cls):
        if defaults and "default" in f.facts:
            constant = f.facts["default"]
            constants.append((f.name, constant, isinstance(constant, dict | list), f.pointer))
        elif (
            defaults
            and f.value.struct is not None
            and not f.pointer
            and not f.always
            and _holds_default(f.value.struct)
        ):
            made.append(f.name)
        if f.value.what in CANONICAL:
            work[f.name] = True, CANONICAL[f.value.what]
        else:
            fn = _value_adjuster(f.value, defaults)
            if fn is not None:
                work[f.name] = False, fn

    few = len(work) < 5

    def adjust(tree: Tree) -> None:
        get = tree.get
        for name, constant, mutable, pointer in constants:
            if name not in tree if pointer else not get(name):
                tree[name] = copy(constant) if mutable else constant
        for name in made:
            if name not in tree:
                tree[name] = {}
        if few:
            for name, (is_text, fn) in work.items():
                value = get(name)
                if value is not None:
                    if is_text:
                        tree[name] = fn(value)
                    else:
                        fn(value)
            return
        for name, value in tree.items():  # most objects have few of the fields that their type has
            if name in work and value is not None:
                is_text, fn = work[name]
                if is_text:
                    tree[name] = fn(value)
                else:
                    fn(value)

    return adjust


def _value_adjuster(value: Value, defaults: bool) -> Adjust | None:
    if not _needs(value, defaults):
        return None
    if value.struct is not None:
        return adjuster(value.struct, defaults)
    assert value.of is not None
    if value.of.what in CANONICAL:
        return _each_text(CANONICAL[value.of.what])
    inner = _value_adjuster(value.of, defaults)
    assert inner is not None
    return _each_member(inner) if value.what == "map" else _each(inner)


def _each(fn: Adjust) -> Adjust:
    def adjust(items: list[Any]) -> None:
        for item in items:
            fn(item)

    return adjust


def _each_member(fn: Adjust) -> Adjust:
    def adjust(members: dict[str, Any]) -> None:
        for member in members.values():
            fn(member)

    return adjust


def _each_text(canonical: Callable[[str], str]) -> Adjust:
    def adjust(container: Any) -> None:
        for key, text in container.items() if type(container) is dict else enumerate(container):
            proper = canonical(text)
            if proper != text:
                container[key] = proper

    return adjust


# -- normality --------------------------------------------------------------------------------------------------------

Check = Callable[[Any], bool]
_NORMALITIES: dict[type[Any], Check | None] = {}


def normality(cls: type[Any]) -> Check | None:
    """What tells that a struct of the type is in normal form: its adjuster has nothing to do, and its maps are in order
    of key, as they come out of the store. None: any is."""
    if cls not in _NORMALITIES:
        _NORMALITIES[cls] = lambda obj: _normal_by(cls)(obj)  # while a recursive type is being compiled
        _NORMALITIES[cls] = _compile_normality(cls)
    return _NORMALITIES[cls]


def _normal_by(cls: type[Any]) -> Check:
    return _NORMALITIES[cls] or (lambda obj: True)


def _compile_normality(cls: type[Any]) -> Check | None:
    wanted: list[tuple[str, bool]] = []
    checks: list[tuple[str, bool, Check]] = []
    for f in shape_of(cls):
        struct = f.value.struct
        if "default" in f.facts:
            wanted.append((f.attr, f.pointer))
        elif struct is not None and not f.pointer and not f.always and _holds_default(struct):
            checks.append((f.attr, False, lambda value, struct=struct: value != blank(struct)))  # type: ignore[misc]
        check = _value_normality(f.value)
        if check is not None:
            checks.append((f.attr, f.pointer, check))

    def normal(obj: Any) -> bool:
        for name, pointer in wanted:
            value = getattr(obj, name)
            if value is None if pointer else not value:
                return False
        for name, pointer, check in checks:
            value = getattr(obj, name)
            if (value or (pointer and value is not None)) and not check(value):
                return False
        return True

    return normal if wanted or checks else None


def _value_normality(value: Value) -> Check | None:
    canonical = CANONICAL.get(value.what)
    if canonical is not None:
        return lambda text: canonical(text) == text
    if value.struct is not None:
        return normality(value.struct)
    if value.of is None:
        return None
    inner = _value_normality(value.of)
    if value.what == "map":
        return lambda members: (
            (len(members) < 2 or list(members) == sorted(members))
            and (inner is None or all(map(inner, members.values())))
        )
    return None if inner is None else lambda items: all(map(inner, items))


# -- lists ------------------------------------------------------------------------------------------------------------


class Many:
    """Makes lists of one type of struct out of what came from outside."""

    __slots__ = ("_adjust", "_decode", "_normal", "_type")

    def __init__(self, cls: type[Any]) -> None:
        self._type = tuple[cls, ...]  # type: ignore[valid-type]
        self._decode = msgspec.json.Decoder(self._type).decode
        self._adjust = adjuster(cls, True)
        self._normal = normality(cls)

    def made(self, items: Sequence[Any], *, shown: bool) -> tuple[Any, list[Tree]]:
        """The structs, in normal form, and, if they are to be ``shown``, their trees.

        Raises ValueError, which msgspec's errors are too.
        """
        made = msgspec.convert(items, self._type)
        check = self._normal
        normal = check is None or all(map(check, made))
        if normal and not shown:
            return made, []
        trees: list[Tree] = _decode_tree(_encode(made))
        if normal:
            return made, trees
        if self._adjust is not None:
            for tree in trees:
                self._adjust(tree)
        return self._decode(_encode(trees)), trees


_MANY: dict[type[Any], Many] = {}


def many(cls: type[Any]) -> Many:
    found = _MANY.get(cls)
    if found is None:
        found = _MANY[cls] = Many(cls)
    return found
