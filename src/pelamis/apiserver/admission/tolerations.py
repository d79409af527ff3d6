"""Sets of tolerations: which is wider than another, and what two of them are together. Pure, on trees."""

from __future__ import annotations

from collections.abc import Iterable

from pelamis.api.field import Tree


def covers(wide: Tree, narrow: Tree) -> bool:
    """Does ``wide`` tolerate whatever ``narrow`` does?"""
    if wide.get("key", "") not in ("", narrow.get("key", "")):
        return False
    if wide.get("effect", "") not in ("", narrow.get("effect", "")):
        return False
    if wide.get("effect", "") == "NoExecute" and wide.get("tolerationSeconds") is not None:
        own = narrow.get("tolerationSeconds")
        if own is None or own > wide["tolerationSeconds"]:
            return False
    operator = wide.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == (narrow.get("operator") or "Equal") and wide.get("value", "") == narrow.get("value", "")


def merged(*groups: Iterable[Tree]) -> list[Tree]:
    """All of them, without those that another one covers; in order."""
    every = [t for group in groups for t in group]
    out: list[Tree] = []
    for i, toleration in enumerate(every):
        later = every[i + 1 :]
        if any(covers(o, toleration) and not (covers(toleration, o)) for o in [*out, *later]):
            continue
        if any(covers(o, toleration) for o in out):
            continue
        out.append(toleration)
    return out


def all_within(given: Iterable[Tree], allowed: Iterable[Tree]) -> bool:
    """Is each of them covered by one that is allowed? Nothing allowed means everything is."""
    allowed = list(allowed)
    return not allowed or all(any(covers(a, g) for a in allowed) for g in given)
