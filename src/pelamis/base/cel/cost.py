"""What an expression costs at most, in upstream's units (one is about 50 ns), before it is evaluated.

``estimate`` walks the checked syntax tree once, bottom up. Each part has a cost, bounds of the size of its value
(characters, bytes, elements, entries) and a ``Shape``: what is known of the value. Shapes of variables come from a
schema (``Shape``: sizes are limits that the schema or the size of a request sets) or from values at hand (``Values``:
sizes are those of the values, so the same walk bounds an evaluation that is about to run). Both branches of a condition
and all turns of a loop count, so a real evaluation never costs more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pelamis.base.cel.checked import CALL, CONST, IDENT, LIST, MAP, SELECT, Checked, Node

MOST = (1 << 64) - 1
"""Costs and sizes that are not known, and the sums of those."""

TRAVERSE, PATTERN = 0.1, 0.25
_LIST_COST, _MAP_COST = 10, 30
_CHECK_COST = 350_000
_HANDLED = 30
"""Of each element that a function of ours looks at."""
_COPIED = 6
"""Of each entry of a map that is made entry by entry, at each turn."""
_FORMAT_PATTERN = 128 * PATTERN
_SCALARS = frozenset(("bool", "int", "uint", "double", "timestamp", "duration", "null"))
_COMPARED = frozenset(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"))
_SAME = frozenset(("dyn", "value", "orValue", "or", "optional.of", "optional.ofNonZeroValue"))


class Shape:
    """What is known of a value. elem, key: of lists and maps; members: of declared objects, None elsewhere; merge: of
    lists, ``set`` or the keys of a map where it is one by its schema."""

    __slots__ = ("elem", "key", "kind", "least", "members", "merge", "most")

    kind: str
    least: int
    most: int
    elem: Shape | None
    key: Shape | None
    members: Mapping[str, Shape] | None

    def __init__(
        self,
        kind: str = "dyn",
        most: int = MOST,
        least: int = 0,
        elem: Shape | None = None,
        key: Shape | None = None,
        members: Mapping[str, Shape] | None = None,
        merge: Any = None,
    ) -> None:
        self.kind, self.most, self.least = kind, most, least
        self.elem, self.key, self.members, self.merge = elem, key, members, merge

    def items(self) -> Shape | None:
        """What the elements of a list or the values of a map are like."""
        return self.elem

    def keys(self) -> Shape | None:
        return self.key

    def member(self, name: str) -> Shape | None:
        if self.members is not None:
            return self.members.get(name)
        below = self.items() if self.kind == "map" else None
        if below is None:
            return None
        # As upstream: a limit is found for ``m["k"]`` but not for ``m.k``.
        if below.kind in _SCALARS:
            return _ONE[below.kind]
        return Shape(below.kind, MOST, 0, below.items(), below.keys(), below.members, below.merge)

    def top(self) -> int | None:
        """The largest value, of integers at hand."""
        return None


_KINDS: dict[type, str] = {
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    tuple: "list",
    dict: "map",
    type(None): "null",
}


class Values(Shape):
    """Values that may stand at one place. Only those are looked at which an expression reaches."""

    __slots__ = ("_below", "_values")

    def __init__(self, values: Sequence[Any]) -> None:
        kinds = {_KINDS.get(type(v), "dyn") for v in values}
        sizes = [len(v) if isinstance(v, (str, bytes, list, tuple, dict)) else 1 for v in values]
        super().__init__(kinds.pop() if len(kinds) == 1 else "dyn", max(sizes, default=0), min(sizes, default=0))
        self._values = values
        self._below: Shape | None = None

    def _holds(self, *types: type) -> bool:
        return any(isinstance(v, types) for v in self._values)

    def items(self) -> Shape | None:
        if self._below is None and self._holds(dict, list, tuple):
            found: list[Any] = []
            for value in self._values:
                if isinstance(value, dict):
                    found += value.values()
                elif isinstance(value, (list, tuple)):
                    found += value
            self._below = Values(found)
        return self._below

    def keys(self) -> Shape | None:
        return Values([k for v in self._values if isinstance(v, dict) for k in v]) if self._holds(dict) else None

    def member(self, name: str) -> Shape:
        return Values([v[name] for v in self._values if isinstance(v, dict) and name in v])

    def top(self) -> int | None:
        if self.kind != "int":
            return None
        return max(self._values, default=0)


class _Part(NamedTuple):
    cost: int
    least: int
    most: int
    shape: Shape

    @property
    def kind(self) -> str:
        return self.shape.kind


class Anything(Shape):
    """Nothing is known but that no part is larger than this."""

    __slots__ = ()

    def items(self) -> Shape:
        return self

    def keys(self) -> Shape:
        return self

    def member(self, name: str) -> Shape:
        return self


_UNKNOWN = Shape()
_NOTHING = Shape("nothing", 0)
_ONE = {kind: Shape(kind, 1, 1) for kind in (*_SCALARS, "type")}
_INDEX = _ONE["int"]


def estimate(
    checked: Checked,
    variables: Mapping[str, Shape],
    *,
    actual: bool = False,
    unknown: Shape = _UNKNOWN,
    slow: frozenset[int] = frozenset(),
) -> int:
    """actual: the shapes are of values at hand, so that results are bounded by what functions are given.

    unknown: what is assumed where no shape can be told. slow: nodes of operators that run as functions of ours.
    """
    return _Walk(checked, variables, actual, unknown, slow).of(checked.root).cost


def operands(checked: Checked, variables: Mapping[str, Shape]) -> dict[int, tuple[str, Shape]]:
    """By node, the operators ``==``, ``!=`` and ``+``, and what is known of what stands left of them."""
    walk = _Walk(checked, variables, False, _UNKNOWN, frozenset())
    walk.of(checked.root)
    return walk.operands


def times(size: int, cost: int) -> int:
    return min(size * cost, MOST)


def _traversal(size: int, factor: float = TRAVERSE) -> int:
    return MOST if size >= MOST else min(math.ceil(size * factor), MOST)


def _part(cost: int, shape: Shape) -> _Part:
    return _Part(min(cost, MOST), shape.least, shape.most, shape)


def _sized(part: _Part) -> Shape:
    """The shape with the sizes that were found for this value."""
    shape = part.shape
    if (shape.least, shape.most) == (part.least, part.most):
        return shape
    return Shape(shape.kind, part.most, part.least, shape.items(), shape.keys(), shape.members, shape.merge)


def _union(a: Shape, b: Shape) -> Shape:
    if a is b or b.kind == "nothing":
        return a
    if a.kind == "nothing":
        return b
    least, most = min(a.least, b.least), max(a.most, b.most)
    below = [(x, y) for x, y in ((a.items(), b.items()), (a.keys(), b.keys()))]
    elem, key = (_union(x, y) if x is not None and y is not None else None for x, y in below)
    kind = a.kind if a.kind == b.kind else "dyn"
    merge = a.merge if a.merge == b.merge else None
    return Shape(kind, most, least, elem, key, a.members if a.members is b.members else None, merge)


class _Walk:
    def __init__(
        self,
        checked: Checked,
        variables: Mapping[str, Shape],
        actual: bool,
        unknown: Shape,
        slow: frozenset[int],
    ) -> None:
        self._slow = slow
        self._types = checked.types
        self._variables = variables
        self._actual = actual
        self._unknown = unknown
        self._local: dict[str, list[Shape]] = {}
        self.operands: dict[int, tuple[str, Shape]] = {}

    def of(self, node: Node) -> _Part:
        kind = node.kind
        if kind == CONST:
            return _part(0, _ONE.get(node.name) or Shape(node.name, node.size, node.size))
        if kind == IDENT:
            return _part(1, self._named(node.name))
        if kind == SELECT:
            return self._selected(node)
        if kind == CALL:
            return self._call(node)
        if kind == LIST:
            return self._list(node)
        return self._map(node) if kind == MAP else self._loop(node)

    def _named(self, name: str) -> Shape:
        local = self._local.get(name)
        if local:
            return local[-1]
        return self._variables.get(name) or _ONE["type"]

    def _member(self, shape: Shape, name: str) -> Shape:
        return shape.member(name) or self._unknown

    def _selected(self, node: Node) -> _Part:
        assert node.target is not None
        operand = self.of(node.target)
        found = self._member(operand.shape, node.name)
        if node.test:
            return _part(operand.cost, _ONE["bool"])
        return _part(operand.cost + 1, found)

    def _list(self, node: Node) -> _Part:
        parts = [self.of(n) for n in node.args]
        elem = _NOTHING
        for part in parts:
            elem = _union(elem, _sized(part))
        return _part(sum(p.cost for p in parts) + _LIST_COST, Shape("list", len(parts), len(parts), elem))

    def _map(self, node: Node) -> _Part:
        parts = [self.of(n) for n in node.args]
        key = elem = _NOTHING
        for k, v in zip(parts[::2], parts[1::2], strict=True):
            key, elem = _union(key, _sized(k)), _union(elem, _sized(v))
        size = len(parts) // 2
        return _part(sum(p.cost for p in parts) + _MAP_COST, Shape("map", size, size, elem, key))

    def _loop(self, node: Node) -> _Part:
        assert node.target is not None
        start, condition, step, result = node.args
        over, began = self.of(node.target), self.of(start)
        scope = {node.gathered: _sized(began)}
        if _is_bind(node):
            with_it = self._within(scope, (result,))[0]
            return with_it._replace(cost=min(over.cost + began.cost + with_it.cost, MOST))
        elem, key = over.shape.items() or self._unknown, over.shape.keys() or self._unknown
        of_list = over.kind == "list"
        if node.second:
            scope |= {node.name: _INDEX if of_list else key, node.second: elem}
        else:
            scope[node.name] = (
                elem
                if of_list
                else key
                if over.kind == "map"
                else self._unknown
                if self._unknown in (elem, key)
                else _union(elem, key)
            )
        asked, made, given = self._within(scope, (condition, step, result))
        cost = over.cost + began.cost + given.cost + times(over.most, asked.cost + made.cost)
        if self._actual and start.kind == MAP:
            cost += times(over.most, over.most * _COPIED)  # each turn copies what there is
        if start.kind in (LIST, MAP):
            shape = Shape(began.kind, over.most, 0, made.shape.items(), made.shape.keys())
        else:
            shape = given.shape if given.kind in _SCALARS else began.shape
        return _part(cost, shape)

    def _within(self, scope: Mapping[str, Shape], nodes: Sequence[Node]) -> list[_Part]:
        for name, shape in scope.items():
            self._local.setdefault(name, []).append(shape)
        try:
            return [self.of(node) for node in nodes]
        finally:
            for name in scope:
                self._local[name].pop()

    # -- functions

    def _call(self, node: Node) -> _Part:
        target = self.of(node.target) if node.target is not None else None
        args = [self.of(n) for n in node.args]
        parts = [target, *args] if target is not None else args
        below = sum(p.cost for p in parts)
        name = node.name
        if name == "_?_:_":
            _, yes, no = args
            return _part(args[0].cost + max(yes.cost, no.cost), _union(_sized(yes), _sized(no)))
        if name in ("_==_", "_!=_", "_+_") and args:
            self.operands[node.id] = name, args[0].shape
            if node.id in self._slow:
                below += times(min(sum(p.most * max(1, _inner(p.shape)) for p in parts), MOST), _HANDLED)
        if name in ("_&&_", "_||_"):
            return _part(below, _ONE["bool"])
        if name in _COMPARED:
            return _part(below + _compared(name, args[0], args[1]), _ONE["bool"])
        if name == "_+_":
            return _added(below, args[0], args[1], self._unknown)
        if name in ("_[_]", "_[?_]"):
            return _part(below + 1, args[0].shape.items() or self._unknown)
        if name == "_?._":
            return _part(below + 1, self._member(args[0].shape, node.args[1].value))
        if name in _SAME and parts:
            shape = _sized(parts[0])
            if name == "dyn":
                shape = Shape("dyn", shape.most, shape.least, shape.items(), shape.keys())
            for other in parts[1:]:
                shape = _union(shape, _sized(other))
            return _part(below + 1, shape)
        if name == "optional.none":
            return _part(1, _NOTHING)
        if name == "cel.@mapInsert" and len(args) == 3:
            made = Shape("map", MOST, 0, _union(args[0].shape.items() or _NOTHING, _sized(args[2])), _sized(args[1]))
            return _part(below + 1, made)
        cost, made_of = self._function(name, target, args, parts, node)
        return _part(below + cost, made_of or self._result(node, parts))

    def _result(self, node: Node, parts: Sequence[_Part]) -> Shape:
        kind = self._types.get(node.id, "dyn")
        if kind in _SCALARS:
            return _ONE[kind]
        if not self._actual:
            return Shape(kind)
        # No function returns more than twice what it is given, but for a few that say so themselves.
        given = sum(p.most * max(1, _inner(p.shape)) for p in parts)
        most = min(2 * given + 64, MOST)
        return Shape(kind, most, 0, Shape("dyn", most) if kind in ("list", "dyn", "map") else None)

    def _function(
        self, name: str, target: _Part | None, args: Sequence[_Part], parts: Sequence[_Part], node: Node
    ) -> tuple[int, Shape | None]:
        """(cost beyond the arguments, the result when more than its type is known)."""
        first = parts[0] if parts else None
        if first is None:
            return 1, None
        size = first.most
        match name:
            case "check":
                return _CHECK_COST, None
            case "@in":
                return (1 if args[1].kind == "map" else args[1].most), None
            case "matches":
                return times(_traversal(size + 1), _traversal(parts[1].most, PATTERN)), None
            case "find" | "findAll":
                cost = times(_traversal(size + 1), _traversal(parts[1].most, PATTERN))
                text = Shape("string", size)
                return cost, text if name == "find" else Shape("list", size, 0, text)
            case "contains" if target is not None:
                return times(_traversal(size), _traversal(args[0].most)), None
            case "startsWith" | "endsWith":
                return _traversal(parts[1].most), None
            case "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" if target is not None:
                return _searched(name, target, self._unknown)
            case "lowerAscii" | "upperAscii" | "substring" | "trim" | "reverse" if first.kind != "list":
                return _traversal(size), Shape("string", size)
            case "replace" if target is not None and len(args) >= 2:
                return _traversal(size, 2 * TRAVERSE), _replaced(target, args[0], args[1])
            case "split":
                return _traversal(size, 2 * TRAVERSE), Shape("list", size, 0, Shape("string", size))
            case "join":
                inner = first.shape.items()
                made = times(size, inner.most if inner is not None else MOST)
                if args and target is not None:
                    made = min(made + times(max(size - 1, 0), args[0].most), MOST)
                return _traversal(made), Shape("string", made)
            case "format" | "strings.quote" | "url" | "semver" | "isSemver":
                return _traversal(size), None
            case "validate":
                return _traversal(parts[-1].most, TRAVERSE * _FORMAT_PATTERN), None
            case "string" | "bytes":
                if first.kind in _SCALARS:
                    return 1, Shape(name, 64)
                return _traversal(size), Shape(name, min(4 * size, MOST) if name == "bytes" else size)
            case "containsIP" | "containsCIDR":
                cost = math.ceil(32 * TRAVERSE) if name == "containsIP" else math.ceil(48 * TRAVERSE) + 1
                return cost + (_traversal(args[0].most) if args[0].kind == "string" else 0), None
            case "sets.contains" | "sets.intersects":
                return times(size, parts[1].most) + 1, None
            case "sets.equivalent":
                return 2 * times(size, parts[1].most) + 1, None
            case "distinct" | "sort" | "@sortByAssociatedKeys":
                return times(size, size), Shape("list", size, 0, first.shape.items())
            case "slice" | "reverse":
                return size, Shape("list", size, 0, first.shape.items())
            case "flatten":
                return _flattened(first, self._unknown)
            case "lists.range":
                count = node.args[0].value if node.args[0].kind == CONST else first.shape.top()
                most = max(count, 0) if isinstance(count, int) else MOST
                return most + _LIST_COST, Shape("list", most, 0, _INDEX)
            case "regex.replace" | "regex.extract" | "regex.extractAll":
                return times(_traversal(size + 1), _traversal(parts[1].most, PATTERN)), None
        return 1, None


def _is_bind(node: Node) -> bool:
    condition = node.args[1]
    return (
        node.target is not None
        and node.target.kind == LIST
        and not node.target.args
        and condition.kind == CONST
        and not condition.value
        and node.gathered != "@result"
    )


def _inner(shape: Shape) -> int:
    if shape.kind not in ("list", "map", "dyn"):
        return 1
    below = shape.items()
    return below.most if below is not None else 1


def _compared(name: str, a: _Part, b: _Part) -> int:
    if name not in ("_==_", "_!=_") and (a.kind in _SCALARS or b.kind in _SCALARS):
        return 1
    return _traversal(min(a.most, b.most))


def _added(below: int, a: _Part, b: _Part, unknown: Shape) -> _Part:
    kinds = {a.kind, b.kind}
    if kinds & _SCALARS:
        return _part(below + 1, a.shape if a.kind in _SCALARS else b.shape)
    least, most = a.least + b.least, min(a.most + b.most, MOST)
    if "list" in kinds:
        inner = _union(a.shape.items() or unknown, b.shape.items() or unknown)
        return _part(below + 1, Shape("list", most, least, inner, merge=a.shape.merge))
    kind = a.kind if a.kind == b.kind else "dyn"
    return _part(below + _traversal(most), Shape(kind, most, least))


def _searched(name: str, target: _Part, unknown: Shape) -> tuple[int, Shape | None]:
    if target.kind in ("string", "bytes"):
        return _traversal(target.most), None
    inner = target.shape.items() or unknown
    each = 1 + (_traversal(inner.most) if inner.kind in ("string", "bytes", "dyn") else 0)
    return times(target.most, each), inner if name in ("sum", "max", "min") else None


def _replaced(text: _Part, old: _Part, new: _Part) -> Shape:
    if old.least == 0:
        most = text.most + times(text.most + 1, new.most)
    elif new.most <= old.least:
        most = text.most
    else:
        most = times(-(-text.most // old.least), new.most)
    return Shape("string", min(most, MOST))


def _flattened(part: _Part, unknown: Shape) -> tuple[int, Shape]:
    inner = part.shape.items() or unknown
    if inner.kind not in ("list", "dyn"):
        return part.most, Shape("list", part.most, 0, inner)
    most = times(part.most, max(inner.most, 1))
    return most, Shape("list", most, 0, inner.items())
