"""Checks the expressions of mutations, which may make objects: ``Object{spec: Object.spec{replicas: 3}}``.

The types of those objects are declared for the expression at hand, as it uses them: a member of an ``Object`` may be
anything, a ``JSONPatch`` has its four. A name with dots becomes one with underscores of the same length, so that
errors point to where they should.
"""

from __future__ import annotations

from collections.abc import Mapping

from pelamis.base.cel.checked import Type
from pelamis.base.cel.cost import Shape
from pelamis.base.cel.engine import CompileError
from pelamis.base.cel.literal import declared
from pelamis.base.cel.typed import Checker

_TEXT = Shape("string")
_PATCH = {"op": _TEXT, "path": _TEXT, "from": _TEXT, "value": Shape("dyn")}


def check(text: str, variables: Mapping[str, Shape]) -> str:
    """The type of the result as errors show it. Raises CompileError."""
    plain, members = declared(text)
    messages = {name: Shape("object", members={m: Shape("dyn") for m in sorted(of)}) for name, of in members.items()}
    if "JSONPatch" in members:
        messages["JSONPatch"] = Shape("object", members=_PATCH)
    try:
        found = Checker(variables, "", messages=messages).check(plain)
    except CompileError as error:
        raise CompileError(_back(str(error), plain, text, members)) from None
    return _shown(found, members)


def _shown(found: Type, members: Mapping[str, object]) -> str:
    out = str(found)
    for name in sorted(members, key=len, reverse=True):
        out = out.replace(name, name.replace("_", ".") if name.startswith("Object_") else name)
    return out


def _back(message: str, plain: str, text: str, members: Mapping[str, object]) -> str:
    for mine, theirs in zip(plain.split("\n"), text.split("\n"), strict=True):
        message = message.replace(f" | {mine}\n", f" | {theirs}\n")
    for name in sorted(members, key=len, reverse=True):
        if name.startswith("Object_"):
            message = message.replace(f"'{name}'", f"'{name.replace('_', '.')}'")
    return message
