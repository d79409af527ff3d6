"""Label selectors: ``app=web,tier in (a,b),!legacy``.

A selector is an immutable list of requirements, all of which must hold. Parsing accepts both notations of upstream
(equality and set based) with its error texts, because they reach users. ``Selector.matches`` is the hot path: a
selector of plain equalities is one dict comparison per requirement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pelamis.base import names

IN, NOT_IN, EXISTS, ABSENT = "in", "notin", "exists", "!"
EQUAL, DOUBLE_EQUAL, NOT_EQUAL, GREATER, LESS = "=", "==", "!=", "gt", "lt"
_BINARY = (IN, NOT_IN, EQUAL, DOUBLE_EQUAL, NOT_EQUAL, GREATER, LESS)
_OPERATOR_TOKENS = {"in": IN, "notin": NOT_IN, "=": EQUAL, "==": DOUBLE_EQUAL, "!=": NOT_EQUAL, ">": GREATER, "<": LESS}
_SYMBOLS = {")", ",", "!", "==", "=", ">", "<", "!=", "("}
_TOKEN = re.compile(r"[ \t\r\n]*(?:([=!(),<>]+)|([^ \t\r\n=!(),<>]+)|$)")
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


class SelectorError(ValueError):
    """Not a selector; the text is upstream's."""


class Requirement(NamedTuple):
    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        operator = self.operator
        if operator in (EQUAL, DOUBLE_EQUAL, IN):
            return value is not None and value in self.values
        if operator in (NOT_EQUAL, NOT_IN):
            return value is None or value not in self.values
        if operator == EXISTS:
            return value is not None
        if operator == ABSENT:
            return value is None
        if value is None or not _INTEGER.fullmatch(value):
            return False
        return int(value) > int(self.values[0]) if operator == GREATER else int(value) < int(self.values[0])

    def __str__(self) -> str:
        operator = self.operator
        if operator == EXISTS:
            return self.key
        if operator == ABSENT:
            return "!" + self.key
        if operator in (IN, NOT_IN):
            return f"{self.key} {operator} ({','.join(sorted(self.values))})"
        return self.key + {GREATER: ">", LESS: "<"}.get(operator, operator) + self.values[0]


class Selector:
    """``requirements`` in order of key. ``nothing`` matches no object at all (an absent LabelSelector)."""

    __slots__ = ("_equal", "_rest", "nothing", "requirements")

    def __init__(self, requirements: Iterable[Requirement] = (), *, nothing: bool = False) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda r: r.key))
        self.nothing = nothing
        self._equal = tuple(
            (r.key, r.values[0])
            for r in self.requirements
            if r.operator in (EQUAL, DOUBLE_EQUAL, IN) and len(r.values) == 1
        )
        self._rest = tuple(
            r for r in self.requirements if not (r.operator in (EQUAL, DOUBLE_EQUAL, IN) and len(r.values) == 1)
        )

    @property
    def empty(self) -> bool:
        """True when every object matches."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        if labels is None:
            labels = {}
        for key, value in self._equal:
            if labels.get(key) != value:
                return False
        return not self._rest or all(requirement.matches(labels) for requirement in self._rest)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def __repr__(self) -> str:
        return "<Selector nothing>" if self.nothing else f"<Selector {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and self.requirements == other.requirements and self.nothing == other.nothing

    def __hash__(self) -> int:
        return hash((self.requirements, self.nothing))


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def requirement(key: str, operator: str, values: Iterable[str] = ()) -> Requirement:
    """A checked requirement. Raises SelectorError."""
    values = tuple(sorted(set(values)))
    problems: list[str] = []

    def bad(field: str, value: Any, why: str) -> None:
        shown = f'"{value}"' if isinstance(value, str) else "[" + ",".join(f'"{v}"' for v in value) + "]"
        problems.append(f"{field}: Invalid value: {shown}: {why}")

    wrong_key = names.is_qualified_name(key)
    if wrong_key:
        bad("<nil>", key, "; ".join(wrong_key))
    if operator in (IN, NOT_IN):
        if not values:
            bad("values", values, "for 'in', 'notin' operators, values set can't be empty")
    elif operator in (EQUAL, DOUBLE_EQUAL, NOT_EQUAL):
        if len(values) != 1:
            bad("values", values, "exact-match compatibility requires one single value")
    elif operator in (EXISTS, ABSENT):
        if values:
            bad("values", values, "values set must be empty for exists and does not exist")
    else:
        if len(values) != 1:
            bad("values", values, "for 'Gt', 'Lt' operators, exactly one value is required")
        for i, value in enumerate(values):
            if not _INTEGER.fullmatch(value):
                bad(f"values[{i}]", value, "for 'Gt', 'Lt' operators, the value must be an integer")
    for i, value in enumerate(values):
        wrong = names.is_valid_label_value(value)
        if wrong:
            bad(f"values[{i}][{key}]", value, "; ".join(wrong))
    if problems:
        raise SelectorError(problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]")
    return Requirement(key, operator, values)


@lru_cache(maxsize=1024)
def parse(text: str) -> Selector:
    """Raises SelectorError. The empty text selects everything."""
    if not text:
        return EVERYTHING
    return Selector(_Parser(text).parse())


def _scan(text: str) -> list[str]:
    """Tokens; the end is the empty string."""
    tokens: list[str] = []
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        assert match is not None
        at = match.end()
        if match[2]:
            tokens.append(match[2])
        elif match[1]:
            run = match[1]
            while run:
                # longest symbol first, as a run such as ")," is several symbols
                size = 2 if run[:2] in ("==", "!=") else 1
                tokens.append(run[:size])
                run = run[size:]
        else:
            tokens.append("")
            return tokens


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _scan(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at]

    def take(self) -> str:
        token = self.tokens[self.at]
        if token:
            self.at += 1
        return token

    def parse(self) -> list[Requirement]:
        out: list[Requirement] = []
        while True:
            token = self.peek()
            if not token:
                return out
            if token in _SYMBOLS and token != "!":
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                out.append(self.one())
            except SelectorError as e:
                raise SelectorError(f"unable to parse requirement: {e}") from None
            token = self.take()
            if not token:
                return out
            if token != ",":
                raise SelectorError(f"found '{token}', expected: ',' or 'end of string'")
            token = self.peek()
            if not token or (token in _SYMBOLS and token != "!"):
                raise SelectorError(f"found '{token}', expected: identifier after ','")

    def one(self) -> Requirement:
        key = self.take()
        absent = key == "!"
        if absent:
            key = self.take()
        if not key or key in _SYMBOLS:
            raise SelectorError(f"found '{key}', expected: identifier")
        wrong = names.is_qualified_name(key)
        if wrong:
            raise SelectorError(f'<nil>: Invalid value: "{key}": {"; ".join(wrong)}')
        if self.peek() in ("", ","):
            return requirement(key, ABSENT if absent else EXISTS)
        if absent:
            return requirement(key, ABSENT)  # what follows is then the caller's error
        token = self.take()
        operator = _OPERATOR_TOKENS.get(token)
        if operator is None:
            raise SelectorError(f"found '{token}', expected: {', '.join(_BINARY)}")
        return requirement(key, operator, self.several() if operator in (IN, NOT_IN) else self.single())

    def single(self) -> set[str]:
        if self.peek() in ("", ","):
            return {""}
        token = self.take()
        if token in _SYMBOLS:
            raise SelectorError(f"found '{token}', expected: identifier")
        return {token}

    def several(self) -> set[str]:
        token = self.take()
        if token != "(":
            raise SelectorError(f"found '{token}' expected: '('")
        token = self.peek()
        if token == ")":
            self.take()
            return set()
        if not token or (token in _SYMBOLS and token != ","):
            raise SelectorError(f"found '{token}', expected: ',', ')' or identifier")
        values: set[str] = set()
        while True:
            token = self.take()
            if token == ",":
                if not values:
                    values.add("")
                following = self.peek()
                if following == ")":
                    values.add("")
                    break
                if following == ",":
                    self.take()
                    values.add("")
            elif not token or token in _SYMBOLS:
                raise SelectorError(f"found '{token}', expected: ',', or identifier")
            else:
                values.add(token)
                following = self.peek()
                if following == ")":
                    break
                if following != ",":
                    raise SelectorError(f"found '{following}', expected: ',' or ')'")
        self.take()
        return values


def from_labels(labels: Mapping[str, str] | None) -> Selector:
    """Exactly these labels; none selects everything. Unchecked, as for a Service's selector."""
    return Selector(Requirement(k, EQUAL, (v,)) for k, v in labels.items()) if labels else EVERYTHING


_OPERATORS = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": ABSENT}
_NODE_OPERATORS = {**_OPERATORS, "Gt": GREATER, "Lt": LESS}


def from_label_selector(selector: Any) -> Selector:
    """Of a LabelSelector struct or tree. None selects nothing, an empty one everything. Raises SelectorError."""
    if selector is None:
        return NOTHING
    if isinstance(selector, dict):
        match_labels = selector.get("matchLabels") or {}
        expressions = [
            (e.get("key", ""), e.get("operator", ""), tuple(e.get("values") or ()))
            for e in selector.get("matchExpressions") or ()
        ]
    else:
        match_labels = selector.matchLabels
        expressions = [(e.key, e.operator, tuple(e.values)) for e in selector.matchExpressions]
    if not match_labels and not expressions:
        return EVERYTHING
    return _compiled(tuple(sorted(match_labels.items())), tuple(expressions))


@lru_cache(maxsize=4096)
def _compiled(
    match_labels: tuple[tuple[str, str], ...], expressions: tuple[tuple[str, str, tuple[str, ...]], ...]
) -> Selector:
    out = [requirement(key, EQUAL, (value,)) for key, value in match_labels]
    for key, operator, values in expressions:
        if operator not in _OPERATORS:
            raise SelectorError(f'"{operator}" is not a valid label selector operator')
        out.append(requirement(key, _OPERATORS[operator], values))
    return Selector(out)


def from_node_requirements(expressions: Iterable[Any]) -> Selector:
    """Of NodeSelectorRequirement structs (adds Gt and Lt); no expression selects nothing. Raises SelectorError."""
    out = []
    for e in expressions:
        if e.operator not in _NODE_OPERATORS:
            raise SelectorError(f'"{e.operator}" is not a valid node selector operator')
        out.append(requirement(e.key, _NODE_OPERATORS[e.operator], e.values))
    return Selector(out) if out else NOTHING
