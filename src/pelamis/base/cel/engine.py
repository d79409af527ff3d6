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

    __slots__ = ("_expression", "text", "type")

    def __init__(self, text: str, expression: Any) -> None:
        self.text = text
        self._expression = expression
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

    def checked(self) -> bytes:
        """The checked expression as a ``google.protobuf.Any``."""
        data: bytes = self._expression.serialize()
        return data


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
    source = text
    if optional:
        # On one line, so that only the column of an error shifts.
        made = f"({optional}.size() == 0 ? optional.none() : optional.of({optional}[0]))"
        source = f"cel.bind({optional}, {made}, {text})"
    environment = _environment(variables)
    try:
        return Program(text, environment.compile(source))
    except RuntimeError as error:
        raise CompileError(_CODE.sub("", _STATUS.sub("", str(error)))) from None
