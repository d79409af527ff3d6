"""Checks that the expressions of webhooks and policies compile, and to what they evaluate."""

from __future__ import annotations

from pelamis.api.check import Errors
from pelamis.base.cel import CompileError, compile_text
from pelamis.base.cel.literal import rewrite
from pelamis.base.errors import invalid

WEBHOOK = ("object", "oldObject", "request", "authorizer")
POLICY = ("object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables")


def check_expression(text: str, path: str, variables: tuple[str, ...], types: tuple[str, ...] = ()) -> Errors:
    """types: those that the result may have, () = any. An expression whose type shows only at run time may have all."""
    text = text.strip()
    if not text:
        return []
    try:
        program = compile_text(rewrite(text), variables)
    except CompileError as error:
        return [invalid(path, text, f"compilation failed: {error}")]
    if types and program.type not in (*types, "dyn"):
        wanted = types[0] if len(types) == 1 else f"one of {', '.join(types)}"
        return [invalid(path, text, f"must evaluate to {wanted}")]
    return []


def check_condition(text: str, path: str, variables: tuple[str, ...]) -> Errors:
    return check_expression(text, path, variables, ("bool",))
