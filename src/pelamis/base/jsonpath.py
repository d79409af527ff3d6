"""kubectl's JSONPath: ``{range .items[*]}{.metadata.name}{"\\n"}{end}``.

A template is text with actions in braces. ``compile`` parses it to a tree of nodes; ``Template.find`` gives the values
of each action, ``Template.text`` what ``kubectl -o jsonpath`` prints. A bare path such as ``.spec.replicas`` (a column
of a CustomResourceDefinition) is accepted too. Steps: ``.name``, ``['name']``, ``[0]``, ``[-1]``, ``[1:3:2]``, ``[*]``,
``.*``, ``..name``, ``['a','b']``, ``[0,2]``, ``[?(@.type=="Ready")]``; a backslash escapes a dot inside a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

_NAME = re.compile(r"(?:\\.|[^\s.\[\]{}()'\"$@<>=!,|\\])+")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_SLICE = re.compile(r"(-?\d*)(?::(-?\d*))?(?::(-?\d*))?")
_OPERATOR = re.compile(r"(==|!=|<=|>=|<|>)")
_STRING = re.compile(r"\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'", re.DOTALL)


class JSONPathError(ValueError):
    """A template that cannot be parsed, or a value that it does not find."""


@dataclass(frozen=True, slots=True)
class _Literal:
    text: str


@dataclass(frozen=True, slots=True)
class _Path:
    """root: starts at the whole document (``$``) and not at the current value."""

    steps: tuple[_Step, ...]
    root: bool = False


@dataclass(frozen=True, slots=True)
class _Range:
    over: _Path
    body: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Constant:
    value: Any


_Node = _Literal | _Path | _Range | _Constant


@dataclass(frozen=True, slots=True)
class _Field:
    name: str


@dataclass(frozen=True, slots=True)
class _Slice:
    start: int | None
    stop: int | None
    step: int | None
    single: bool


@dataclass(frozen=True, slots=True)
class _Wildcard:
    pass


@dataclass(frozen=True, slots=True)
class _Recursive:
    pass


@dataclass(frozen=True, slots=True)
class _Union:
    options: tuple[_Step, ...]


@dataclass(frozen=True, slots=True)
class _Filter:
    left: _Path | _Constant
    operator: str
    right: _Path | _Constant | None


_Step = _Field | _Slice | _Wildcard | _Recursive | _Union | _Filter


class Template:
    def __init__(self, nodes: Sequence[_Node]) -> None:
        self.nodes = tuple(nodes)

    def find(self, document: Any, *, missing_ok: bool = True) -> list[list[Any]]:
        """One list of values for each action that ran, literals included."""
        out: list[list[Any]] = []
        _run(self.nodes, document, document, missing_ok, out)
        return out

    def first(self, document: Any, default: Any = None) -> Any:
        """The first value found, for a column."""
        return next((values[0] for values in self.find(document) if values), default)

    def text(self, document: Any, *, missing_ok: bool = True) -> str:
        return "".join(" ".join(map(show, values)) for values in self.find(document, missing_ok=missing_ok))


@lru_cache(maxsize=512)
def compile(template: str) -> Template:
    """Raises JSONPathError."""
    return Template(_Parser(template).template())


@lru_cache(maxsize=512)
def compile_path(path: str) -> Template:
    """A path with or without braces and leading dot, as columns and ``--sort-by`` take it. Raises JSONPathError."""
    path = path.strip()
    if path.startswith("{") and path.endswith("}"):
        return compile(path)
    if not path.startswith((".", "[", "$", "@")):
        path = "." + path
    return compile("{" + path + "}")


def show(value: Any) -> str:
    """Texts as they are, the rest as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode()


# -- evaluation -------------------------------------------------------------------------------------------------------


def _run(nodes: Sequence[_Node], current: Any, root: Any, missing_ok: bool, out: list[list[Any]]) -> None:
    for node in nodes:
        if isinstance(node, _Literal):
            out.append([node.text])
        elif isinstance(node, _Constant):
            out.append([node.value])
        elif isinstance(node, _Range):
            for item in _values(node.over, current, root, missing_ok):
                _run(node.body, item, root, missing_ok, out)
        else:
            out.append(_values(node, current, root, missing_ok))


def _values(path: _Path, current: Any, root: Any, missing_ok: bool) -> list[Any]:
    values = [root if path.root else current]
    for step in path.steps:
        values = [found for value in values for found in _step(step, value, root, missing_ok)]
    return values


def _step(step: _Step, value: Any, root: Any, missing_ok: bool) -> list[Any]:
    if isinstance(step, _Field):
        if isinstance(value, dict) and step.name in value:
            return [value[step.name]]
        if missing_ok:
            return []
        raise JSONPathError(f"{step.name} is not found")
    if isinstance(step, _Slice):
        return _slice(step, value, missing_ok)
    if isinstance(step, _Wildcard):
        if isinstance(value, list):
            return value
        return list(value.values()) if isinstance(value, dict) else []
    if isinstance(step, _Recursive):
        return _descend(value)
    if isinstance(step, _Union):
        return [found for option in step.options for found in _step(option, value, root, missing_ok)]
    if not isinstance(value, list):
        if isinstance(value, dict):
            return [v for v in value.values() if _keep(step, v, root)]
        raise JSONPathError(f"{show(value)} is not array or slice and cannot be filtered")
    return [item for item in value if _keep(step, item, root)]


def _slice(step: _Slice, value: Any, missing_ok: bool) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise JSONPathError(f"{show(value)} is not array or slice")
    if step.single:
        index = step.start or 0
        if -len(value) <= index < len(value):
            return [value[index]]
        if missing_ok:
            return []
        raise JSONPathError(f"array index out of bounds: index {index}, length {len(value)}")
    if step.step is not None and step.step <= 0:
        raise JSONPathError("step must be > 0")
    return value[step.start : step.stop : step.step]


def _descend(value: Any) -> list[Any]:
    """The value and everything below it, outer before inner."""
    out = [value]
    members: Any = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for below in members:
        if isinstance(below, dict | list):
            out.extend(_descend(below))
    return out


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _keep(step: _Filter, item: Any, root: Any) -> bool:
    left = _operand(step.left, item, root)
    if step.right is None:
        return bool(left)
    right = _operand(step.right, item, root)
    if not left or not right:
        return False
    a, b = left[0], right[0]
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b))
    if not numbers and type(a) is not type(b):
        return step.operator == "!="
    try:
        return _COMPARE[step.operator](a, b)
    except TypeError:
        return False


def _operand(node: _Path | _Constant, item: Any, root: Any) -> list[Any]:
    return [node.value] if isinstance(node, _Constant) else _values(node, item, root, True)


# -- parsing ----------------------------------------------------------------------------------------------------------


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def template(self) -> list[_Node]:
        nodes, ended = self.block()
        if ended:
            raise JSONPathError("not in range, nothing to end")
        return nodes

    def block(self) -> tuple[list[_Node], bool]:
        """Nodes up to ``{end}`` (True) or the end of the text."""
        nodes: list[_Node] = []
        while self.at < len(self.text):
            opening = self.text.find("{", self.at)
            if opening < 0:
                nodes.append(_Literal(self.text[self.at :]))
                self.at = len(self.text)
                break
            if opening > self.at:
                nodes.append(_Literal(self.text[self.at : opening]))
            self.at = opening + 1
            if self.action(nodes):
                return nodes, True
        return nodes, False

    def action(self, nodes: list[_Node]) -> bool:
        while True:
            self.space()
            if self.at >= len(self.text):
                raise JSONPathError("unclosed action")
            c = self.text[self.at]
            if c == "}":
                self.at += 1
                return False
            word = re.compile(r"(range|end)\b").match(self.text, self.at)
            if word and word[1] == "end":
                self.at = word.end()
                self.close()
                return True
            if word:
                self.at = word.end()
                self.space()
                over = self.path()
                self.close()
                body, ended = self.block()
                if not ended:
                    raise JSONPathError("unterminated range")
                nodes.append(_Range(over, tuple(body)))
                return False
            if c in "\"'":
                nodes.append(_Literal(self.string()))
            elif number := _NUMBER.match(self.text, self.at):
                self.at = number.end()
                nodes.append(_Constant(_number(number[0])))
            else:
                nodes.append(self.path())

    def close(self) -> None:
        self.space()
        if self.text[self.at : self.at + 1] != "}":
            raise JSONPathError("unclosed action")
        self.at += 1

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            raise JSONPathError("unterminated quoted string")
        self.at = match.end()
        return _unquote(match[1] if match[1] is not None else match[2])

    def path(self) -> _Path:
        steps: list[_Step] = []
        start = self.at
        root = self.text[self.at : self.at + 1] == "$"
        if root or self.text[self.at : self.at + 1] == "@":
            self.at += 1
        elif self.text[self.at : self.at + 1] not in (".", "["):
            steps.append(self.name())
        while self.at < len(self.text):
            c = self.text[self.at]
            if self.text.startswith("..", self.at):
                self.at += 2
                steps.append(_Recursive())
                if self.text[self.at : self.at + 1] == "[":
                    continue
                steps.append(self.name())
            elif c == ".":
                self.at += 1
                following = self.text[self.at : self.at + 1]
                if following == "[" or ((not following or following in " })]=<>!,") and self.at - 1 == start):
                    continue  # "." alone is the current value
                steps.append(self.name())
            elif c == "[":
                self.at += 1
                steps.append(self.bracket())
            else:
                break
        return _Path(tuple(steps), root)

    def name(self) -> _Step:
        if self.text[self.at : self.at + 1] == "*":
            self.at += 1
            return _Wildcard()
        match = _NAME.match(self.text, self.at)
        if match is None:
            found = f"U+{ord(self.text[self.at]):04X}" if self.at < len(self.text) else "the end"
            raise JSONPathError(f"unrecognized character in action: {found}")
        self.at = match.end()
        return _Field(re.sub(r"\\(.)", r"\1", match[0]))

    def bracket(self) -> _Step:
        self.space()
        if self.text.startswith("?(", self.at):
            self.at += 2
            return self.filter()
        options: list[_Step] = []
        while True:
            self.space()
            c = self.text[self.at : self.at + 1]
            if c in ("'", '"') and c:
                options.append(_Field(self.string()))
            elif c == "*":
                self.at += 1
                options.append(_Wildcard())
            else:
                options.append(self.index())
            self.space()
            c = self.text[self.at : self.at + 1]
            self.at += 1
            if c == "]":
                return options[0] if len(options) == 1 else _Union(tuple(options))
            if c != ",":
                raise JSONPathError("unterminated array")

    def index(self) -> _Slice:
        match = _SLICE.match(self.text, self.at)
        if match is None or not match[0] or match[0] == "-":
            raise JSONPathError(f"invalid array index {self.text[self.at :].partition(']')[0]}")
        self.at = match.end()
        start, stop, step = (int(g) if g else None for g in match.groups())
        return _Slice(start, stop, step, single=":" not in match[0])

    def filter(self) -> _Step:
        left = self.operand()
        self.space()
        operator = _OPERATOR.match(self.text, self.at)
        right: _Path | _Constant | None = None
        if operator:
            self.at = operator.end()
            right = self.operand()
            self.space()
        if not self.text.startswith(")", self.at):
            raise JSONPathError("unterminated filter")
        self.at += 1
        self.space()
        if not self.text.startswith("]", self.at):
            raise JSONPathError("unterminated filter")
        self.at += 1
        return _Filter(left, operator[0] if operator else "exists", right)

    def operand(self) -> _Path | _Constant:
        self.space()
        if self.text[self.at : self.at + 1] in ("'", '"'):
            return _Constant(self.string())
        if number := _NUMBER.match(self.text, self.at):
            self.at = number.end()
            return _Constant(_number(number[0]))
        if word := re.compile(r"(true|false)\b").match(self.text, self.at):
            self.at = word.end()
            return _Constant(word[1] == "true")
        return self.path()


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text, flags=re.DOTALL)
