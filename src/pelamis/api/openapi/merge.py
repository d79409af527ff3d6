"""What aggregated servers add to the v2 document: their paths, and the definitions and parameters that those refer to.

A definition of a name that is here already is taken to be the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pelamis.api.openapi.v2 import Part

Tree = dict[str, Any]
_SECTIONS = ("definitions", "parameters", "paths")


def _references(value: Any) -> Iterator[tuple[str, str]]:
    """(section, name) of all that a value refers to."""
    if isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str) and target.startswith("#/"):
            section, _, name = target[2:].partition("/")
            yield section, name
        for below in value.values():
            yield from _references(below)
    elif isinstance(value, list):
        for below in value:
            yield from _references(below)


def cut(document: Any, prefix: str) -> Tree:
    """The part of another server's document that is about the paths below ``prefix``."""
    if not isinstance(document, dict):
        return {}
    held: dict[str, Tree] = {s: found if isinstance(found := document.get(s), dict) else {} for s in _SECTIONS}
    out: Tree = {s: {} for s in _SECTIONS}
    out["paths"] = {p: i for p, i in held["paths"].items() if p == prefix or p.startswith(prefix.rstrip("/") + "/")}
    pending = list(_references(out["paths"]))
    while pending:
        section, name = pending.pop()
        if section in ("definitions", "parameters") and name not in out[section] and name in held[section]:
            out[section][name] = held[section][name]
            pending += _references(held[section][name])
    return out


def merged(own: Iterable[Part], others: Iterable[Tree]) -> Iterator[Part]:
    """Section by section: our parts, then theirs that are new."""
    others = list(others)
    left = dict.fromkeys(_SECTIONS)
    section, known = "", set[str]()
    for here, name, value in own:
        if here != section:
            yield from _more(section, known, others)
            section, known = here, set()
            left.pop(here, None)
        known.add(name)
        yield here, name, value
    yield from _more(section, known, others)
    for missing in left:
        yield from _more(missing, set(), others)


def _more(section: str, known: set[str], others: list[Tree]) -> Iterator[Part]:
    for other in others:
        for name, value in other.get(section, {}).items():
            if name not in known:
                known.add(name)
                yield section, name, value
