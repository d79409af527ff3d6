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


def rewrite(text: str) -> str:
    """The expression with maps in place of those literals. Text that is no expression comes back as it is."""
    tokens = [(m.lastgroup or "", m[0]) for m in _TOKEN.finditer(text)]
    out: list[str] = []
    braces: list[bool] = []
    """For each open bracket, whether it is the brace of a literal."""
    at = 0
    while at < len(tokens):
        group, token = tokens[at]
        if group == "name" and token in _TYPES and not _follows_dot(tokens, at):
            end = _type_end(tokens, at)
            if end is not None:
                out.append("{")
                braces.append(True)
                at = _member(tokens, end + 1, out)
                continue
        if token in ("{", "[", "("):
            braces.append(False)
        elif token in ("}", "]", ")") and braces:
            braces.pop()
        elif token == "," and braces and braces[-1]:
            out.append(token)
            at = _member(tokens, at + 1, out)
            continue
        out.append(token)
        at += 1
    return "".join(out)


def declared(text: str) -> tuple[str, dict[str, set[str]]]:
    """The expression with one name for each such type, and the members that its literals give to each.

    ``Object.spec {`` becomes ``Object_spec {``: the same number of characters.
    """
    tokens = [(m.lastgroup or "", m[0]) for m in _TOKEN.finditer(text)]
    out: list[str] = []
    members: dict[str, set[str]] = {}
    braces: list[str] = []
    """For each open bracket, the type of the literal, or nothing."""
    at = 0
    while at < len(tokens):
        group, token = tokens[at]
        if group == "name" and token in _TYPES and not _follows_dot(tokens, at):
            end = _type_end(tokens, at)
            if end is not None:
                written = "".join(t for _, t in tokens[at:end])
                bare = "".join(written.split())
                name = bare.replace(".", "_")
                out.append(name + " " * (len(written) - len(bare)) + "{")
                braces.append(name)
                _note(tokens, end + 1, members.setdefault(name, set()))
                at = end + 1
                continue
        if token in ("{", "[", "("):
            braces.append("")
        elif token in ("}", "]", ")") and braces:
            braces.pop()
        elif token == "," and braces and braces[-1]:
            _note(tokens, at + 1, members[braces[-1]])
        out.append(token)
        at += 1
    return "".join(out), members


def _note(tokens: list[tuple[str, str]], at: int, into: set[str]) -> None:
    at = _skip(tokens, at)
    if at < len(tokens) and tokens[at][1] == "?":
        at = _skip(tokens, at + 1)
    if at < len(tokens) and tokens[at][0] == "name":
        into.add(tokens[at][1])


def _follows_dot(tokens: list[tuple[str, str]], at: int) -> bool:
    at -= 1
    while at >= 0 and tokens[at][0] == "space":
        at -= 1
    return at >= 0 and tokens[at][1] == "."


def _skip(tokens: list[tuple[str, str]], at: int) -> int:
    while at < len(tokens) and tokens[at][0] == "space":
        at += 1
    return at


def _type_end(tokens: list[tuple[str, str]], at: int) -> int | None:
    """Where the opening brace is, when ``Object.a.b {`` stands here."""
    at = _skip(tokens, at + 1)
    while at < len(tokens) and tokens[at][1] == ".":
        at = _skip(tokens, at + 1)
        if at >= len(tokens) or tokens[at][0] != "name":
            return None
        at = _skip(tokens, at + 1)
    return at if at < len(tokens) and tokens[at][1] == "{" else None


def _member(tokens: list[tuple[str, str]], at: int, out: list[str]) -> int:
    """Copies ``name:`` as ``"name":``; returns where to go on."""
    start = at
    at = _skip(tokens, at)
    optional = at < len(tokens) and tokens[at][1] == "?"
    if optional:
        at = _skip(tokens, at + 1)
    colon = _skip(tokens, at + 1)
    if at < len(tokens) and tokens[at][0] == "name" and colon < len(tokens) and tokens[colon][1] == ":":
        out.append(" " if start != at else "")
        out.append(f'{"?" if optional else ""}"{tokens[at][1]}":')
        return colon + 1
    return start
