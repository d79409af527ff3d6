"""Object literals of mutations: ``Object{spec: Object.spec{replicas: 3}}`` and ``JSONPatch{op: "add", …}``.

The runtime makes messages of declared types only; these types come from the schema of whatever is being changed. What
such a literal says is a map, so it is rewritten as one before the expression is compiled: the type's name goes, and
the names of its members become strings.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<string>[rR]?[bB]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
            |[bB][rR](?:"[^"]*"|'[^']*'))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9][0-9A-Za-z.]*)
      | (?P<mark>.)""",
    re.X | re.S,
)
_TYPES = ("Object", "JSONPatch")


_Tokens = list[tuple[str, str]]
"""Group and text of each."""


def rewrite(text: str) -> str:
    """The expression with maps in place of those literals. Text that is no expression comes back as it is."""
    tokens = _tokens(text)
    types, members = _literals(tokens)
    out: list[str] = []
    at = 0
    while at < len(tokens):
        if at in types:
            out.append("{")
            at = types[at]
        else:
            out.append(tokens[at][1])
        at += 1
        if at in members:
            at = _member(tokens, at, out)
    return "".join(out)


def declared(text: str) -> tuple[str, dict[str, set[str]]]:
    """The expression with one name for each such type, and the members that its literals give to each.

    ``Object.spec {`` becomes ``Object_spec {``: the same number of characters.
    """
    tokens = _tokens(text)
    types, members = _literals(tokens)
    out: list[str] = []
    at = 0
    while at < len(tokens):
        if at in types:
            name, width = _name(tokens, at, types[at])
            out.append(name.ljust(width) + "{")
            at = types[at]
        else:
            out.append(tokens[at][1])
        at += 1
    given: dict[str, set[str]] = {name: set() for name in members.values()}
    for at, name in members.items():
        found = _member_name(tokens, at)
        if found is not None:
            given[name].add(tokens[found][1])
    return "".join(out), given


def _tokens(text: str) -> _Tokens:
    return [(m.lastgroup or "", m[0]) for m in _TOKEN.finditer(text)]


def _literals(tokens: _Tokens) -> tuple[dict[int, int], dict[int, str]]:
    """Where the type of each literal begins, with its brace's place; and where each member may begin, with its type."""
    types: dict[int, int] = {}
    members: dict[int, str] = {}
    brackets: list[str] = []
    """For each open bracket, the type of the literal, or nothing."""
    at = 0
    while at < len(tokens):
        group, token = tokens[at]
        end = None
        if group == "name" and token in _TYPES and not _follows_dot(tokens, at):
            end = _type_end(tokens, at)
        if end is not None:
            brackets.append(_name(tokens, at, end)[0])
            types[at] = at = end
            members[at + 1] = brackets[-1]
        elif token in ("{", "[", "("):
            brackets.append("")
        elif token in ("}", "]", ")") and brackets:
            brackets.pop()
        elif token == "," and brackets and brackets[-1]:
            members[at + 1] = brackets[-1]
        at += 1
    return types, members


def _name(tokens: _Tokens, at: int, end: int) -> tuple[str, int]:
    """``Object_a_b`` for ``Object.a.b``, and how many characters were there."""
    written = "".join(t for _, t in tokens[at:end])
    return "".join(written.split()).replace(".", "_"), len(written)


def _member_name(tokens: _Tokens, at: int) -> int | None:
    at = _skip(tokens, at)
    if at < len(tokens) and tokens[at][1] == "?":
        at = _skip(tokens, at + 1)
    return at if at < len(tokens) and tokens[at][0] == "name" else None


def _follows_dot(tokens: _Tokens, at: int) -> bool:
    at -= 1
    while at >= 0 and tokens[at][0] == "space":
        at -= 1
    return at >= 0 and tokens[at][1] == "."


def _skip(tokens: _Tokens, at: int) -> int:
    while at < len(tokens) and tokens[at][0] == "space":
        at += 1
    return at


def _type_end(tokens: _Tokens, at: int) -> int | None:
    """Where the opening brace is, when ``Object.a.b {`` stands here."""
    at = _skip(tokens, at + 1)
    while at < len(tokens) and tokens[at][1] == ".":
        at = _skip(tokens, at + 1)
        if at >= len(tokens) or tokens[at][0] != "name":
            return None
        at = _skip(tokens, at + 1)
    return at if at < len(tokens) and tokens[at][1] == "{" else None


def _member(tokens: _Tokens, start: int, out: list[str]) -> int:
    """Copies ``name:`` as ``"name":``; returns where to go on."""
    at = _member_name(tokens, start)
    if at is None:
        return start
    colon = _skip(tokens, at + 1)
    if colon >= len(tokens) or tokens[colon][1] != ":":
        return start
    first = _skip(tokens, start)
    out.append(f'{" " if first != start else ""}{"?" if tokens[first][1] == "?" else ""}"{tokens[at][1]}":')
    return colon + 1
