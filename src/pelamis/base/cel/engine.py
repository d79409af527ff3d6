"""Compiles and evaluates expressions; the one place that knows the runtime.

Variables are dynamically typed, functions and operators are checked. A variable ``oldSelf`` of an optional kind cannot
be handed to the runtime as such: it is passed as a list of at most one element, and the expression is wrapped so that
it sees an optional. Errors are reworded as the Go runtime words them, since users and tests know those texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pelamis.base.cel.checked import Checked, read

if TYPE_CHECKING:
    from pelamis.base.cel.cost import Shape

Authorize = Callable[[dict[str, Any], str], tuple[bool, str, str]]
"""(check, verb) to (allowed, reason, error)."""

_LIBRARIES = ("optional", "strings", "math", "bindings", "encoders", "sets", "lists", "regex", "two-var-comprehensions")
_STATUS = re.compile(r"^[A-Z_]+: ")
_CODE = re.compile(r" \[[A-Z_]+\]$")
_REWORDED = (
    (re.compile(r'^Key not found in map : "(.*)"$', re.S), r"no such key: \1"),
    (re.compile(r"^Key not found in map : (.*)$", re.S), r"no such key: \1"),
    (re.compile(r"^Index error: index=(-?\d+) size=\d+$"), r"index out of bounds: \1"),
    (re.compile(r"^No matching overloads found.*$", re.S), "no such overload"),
    (re.compile(r"^Applying SELECT to non-message type$"), "no such overload"),
    (re.compile(r"^divide by zero$"), "division by zero"),
    (re.compile(r"^modulus by zero$"), "modulus by zero"),
)
_ISSUE = re.compile(r"ERROR: <input>:(-?\d+):(\d+): (.*)", re.S)
_UNKNOWN = "undeclared reference to '"
_UNKNOWN_MEMBER = re.compile(rf"{_UNKNOWN}(\w+)((?:\.\w+)*)\.(\w+)(?=')")
_COMPILATION = (
    (re.compile(r"(undefined field '[^']*') not found in struct '[^']*'"), r"\1"),
    (
        re.compile(r"expression of type ('[^\n]*') cannot be the operand of a select operation"),
        r"type \1 does not support field selection",
    ),
    (re.compile(r"has\(\) argument must be a field selection"), "invalid argument to has() macro"),
)
_NAMES = {"BOOL": "bool", "INT": "int", "UINT": "uint", "DOUBLE": "double", "STRING": "string", "DYN": "dyn"}


class CompileError(ValueError):
    """The text is no valid expression; worded as upstream, without a prefix."""


class EvaluationError(ValueError):
    """The expression failed on these values."""


class Context:
    """What functions may ask during an evaluation. Evaluations do not wait, so one at a time is enough."""

    authorize: Authorize | None = None


CONTEXT = Context()


class Program:
    """type: the static type of the result, ``bool``, ``string``, ``dyn``, ``list(dyn)``, …; used: variables named."""

    __slots__ = ("_checked", "_expression", "before", "bound", "slow", "text", "type", "variables")

    def __init__(self, text: str, expression: Any, variables: tuple[str, ...] = (), before: int = 0) -> None:
        self.text = text
        self.variables = variables
        self.bound: int | None = None
        """The most that it can cost, once ``budget`` has found that."""
        self.slow: frozenset[int] = frozenset()
        """The nodes that run as functions of ours, in place of operators."""
        self.before = before
        """How many characters stand before the text in what was compiled."""
        self._expression = expression
        self._checked: Checked | None = None
        self.type = type_name(expression.return_type().name())

    def for_shapes(self, shapes: Mapping[str, Shape]) -> Program:
        """The program as it runs where lists are sets or maps by their schema."""
        from pelamis.base.cel.listtypes import exchange, wanted

        nodes = wanted(self.checked, shapes)
        if not nodes:
            return self
        environment = _environment(self.variables, running=True)
        out = Program(self.text, environment.deserialize(exchange(self._expression.serialize(), nodes)), self.variables)
        out.before, out._checked, out.slow = self.before, self._checked, frozenset(nodes)
        return out

    def evaluate(self, values: Mapping[str, Any], authorize: Authorize | None = None) -> Any:
        """Plain Python values in and out. Raises EvaluationError."""
        CONTEXT.authorize = authorize
        try:
            value = self._expression.eval(data=values)
            if value.type().name() == "ERROR":
                raise EvaluationError(_reworded(str(value.value())))
            return _plain(value.plain_value())
        except EvaluationError:
            raise
        except Exception as error:
            raise EvaluationError(_reworded(str(error))) from None
        finally:
            CONTEXT.authorize = None

    @property
    def checked(self) -> Checked:
        """The checked syntax tree."""
        if self._checked is None:
            self._checked = read(self._expression.serialize())
        return self._checked


def type_name(runtime: str) -> str:
    if runtime.startswith("LIST"):
        return "list(" + type_name(runtime[5:-1]) + ")" if runtime != "LIST" else "list(dyn)"
    if runtime.startswith("MAP"):
        return "map"
    return _NAMES.get(runtime, runtime.lower())


def _plain(value: Any) -> Any:
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


def _reworded(text: str) -> str:
    text = _CODE.sub("", _STATUS.sub("", text))
    for pattern, replacement in _REWORDED:
        if pattern.match(text):
            return pattern.sub(replacement, text)
    return text


@lru_cache(maxsize=64)
def _environment(variables: tuple[str, ...], *, running: bool = False) -> Any:
    """running: of expressions that were checked in the other and put into maps, for which the runtime has no function:
    it declares one, and lets nobody give it in the environment that declares it."""
    from cel_expr_python import cel

    from pelamis.base.cel.library import extension

    names = _LIBRARIES[:-1] if running else _LIBRARIES
    config = cel.NewEnvConfigFromYaml("name: kubernetes\nextensions:\n" + "".join(f"- name: {n}\n" for n in names))
    types = dict.fromkeys(variables, cel.Type.DYN)
    return cel.NewEnv(config=config, variables=types, extensions=[extension(cel, inserting=running)])


def wrapped(text: str, optional: str) -> tuple[str, int]:
    """What is compiled for ``text`` where a variable is an optional, and how many characters that puts before it."""
    if not optional:
        return text, 0
    # On one line, so that only the column of an error shifts.
    made = f"({optional}.size() == 0 ? optional.none() : optional.of({optional}[0]))"
    opening = f"cel.bind({optional}, {made}, "
    return f"{opening}{text}\n)", len(opening)


def reworded_compilation(message: str, text: str, before: int) -> str:
    """The runtime's errors as Go words them, without those that follow from others, at their places in ``text``."""
    message = _CODE.sub("", _STATUS.sub("", message))
    shown = text.split("\n")
    out: list[str] = []
    for issue in re.split(r"\n(?=ERROR: <input>)", message):
        match = _ISSUE.match(issue)
        if match is None:
            out.append(issue)
            continue
        if "'*error*'" in match[3] and len(out):
            continue
        line, column, what = int(match[1]), int(match[2]), match[3]
        column -= before if line == 1 else 0
        for pattern, replacement in _COMPILATION:
            what = pattern.sub(replacement, what)
        what = what.partition("\n |")[0]
        unknown = _UNKNOWN_MEMBER.match(what)
        if unknown is not None:  # Go names the variable that it does not know, not the member
            column -= len(unknown[0]) - len(_UNKNOWN) - len(unknown[3]) - 1
            what = f"{_UNKNOWN}{unknown[1]}{what[unknown.end() :]}"
        if not 0 < line <= len(shown) or column < 1:
            line, column = len(shown), len(shown[-1]) + 1
        out.append(f"ERROR: <input>:{line}:{column}: {what}\n | {shown[line - 1]}\n | {'.' * (column - 1)}^")
    return "\n".join(out)


@lru_cache(maxsize=4096)
def compile_text(text: str, variables: tuple[str, ...], optional: str = "") -> Program:
    """optional: the variable among them that is an optional; its value is passed as a list. Raises CompileError."""
    source, before = wrapped(text, optional)
    environment = _environment(variables)
    try:
        expression = environment.compile(source)
        if "transformMap" in source:
            expression = _environment(variables, running=True).deserialize(expression.serialize())
        return Program(text, expression, variables, before)
    except RuntimeError as error:
        raise CompileError(reworded_compilation(str(error), text, before)) from None
