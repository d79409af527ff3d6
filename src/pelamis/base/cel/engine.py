"""Compiles and evaluates expressions; the one place that knows the runtime.

Variables are dynamically typed, functions and operators are checked. A variable ``oldSelf`` of an optional kind cannot
be handed to the runtime as such: it is passed as a list of at most one element, and the expression is wrapped so that
it sees an optional. Errors are reworded as the Go runtime words them, since users and tests know those texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pelamis.base.cel.checked import Checked, read

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

    __slots__ = ("_checked", "_expression", "before", "bound", "text", "type", "variables")

    def __init__(self, text: str, expression: Any, variables: tuple[str, ...] = (), before: int = 0) -> None:
        self.text = text
        self.variables = variables
        self.bound: int | None = None
        """The most that it can cost, once ``budget`` has found that."""
        self.before = before
        """How many characters stand before the text in what was compiled."""
        self._expression = expression
        self._checked: Checked | None = None
        self.type = type_name(expression.return_type().name())

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

    def undefined(self, node: int, member: str) -> str:
        """The text of the error that the checker would give, had it known what members there are."""
        line, column = self.checked.place(node)
        column -= self.before if line == 1 else 0
        shown = self.text.split("\n")[line - 1]
        return f"ERROR: <input>:{line}:{column + 1}: undefined field '{member}'\n | {shown}\n | {'.' * column}^"


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
def _environment(variables: tuple[str, ...]) -> Any:
    from cel_expr_python import cel

    from pelamis.base.cel.library import extension

    config = cel.NewEnvConfigFromYaml("name: kubernetes\nextensions:\n" + "".join(f"- name: {n}\n" for n in _LIBRARIES))
    types = dict.fromkeys(variables, cel.Type.DYN)
    return cel.NewEnv(config=config, variables=types, extensions=[extension(cel)])


@lru_cache(maxsize=4096)
def compile_text(text: str, variables: tuple[str, ...], optional: str = "") -> Program:
    """optional: the variable among them that is an optional; its value is passed as a list. Raises CompileError."""
    source, before = text, 0
    if optional:
        # On one line, so that only the column of an error shifts.
        made = f"({optional}.size() == 0 ? optional.none() : optional.of({optional}[0]))"
        opening = f"cel.bind({optional}, {made}, "
        source, before = f"{opening}{text})", len(opening)
    environment = _environment(variables)
    try:
        return Program(text, environment.compile(source), variables, before)
    except RuntimeError as error:
        raise CompileError(_CODE.sub("", _STATUS.sub("", str(error)))) from None
