"""Field selectors: ``status.phase!=Running,spec.nodeName=n1``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple


class FieldSelectorError(ValueError):
    """Not a field selector; the text is upstream's."""


class Term(NamedTuple):
    """``equal`` False means "is not"."""

    field: str
    value: str
    equal: bool = True

    def __str__(self) -> str:
        return f"{self.field}{'=' if self.equal else '!='}{escape(self.value)}"


class FieldSelector(NamedTuple):
    terms: tuple[Term, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.terms

    def matches(self, values: Mapping[str, str] | Callable[[str], str]) -> bool:
        """values: field to value, or a function of the field; an absent field is the empty text."""
        get = values if callable(values) else _getter(values)
        return all((get(field) == value) is equal for field, value, equal in self.terms)

    def exact(self, field: str) -> str | None:
        """The value that the field must have, None when the selector does not fix it."""
        return next((t.value for t in self.terms if t.equal and t.field == field), None)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


def _getter(values: Mapping[str, str]) -> Callable[[str], str]:
    return lambda field: values.get(field, "")


EVERYTHING = FieldSelector()


def escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescape(text: str) -> str:
    if not any(c in text for c in "\\,="):
        return text
    out = []
    at = 0
    while at < len(text):
        c = text[at]
        if c == "\\":
            following = text[at + 1 : at + 2]
            if following not in ("\\", ",", "=") or not following:
                raise FieldSelectorError(f"invalid field selector: invalid escape sequence: {c}{following}")
            out.append(following)
            at += 2
            continue
        if c in ",=":
            raise FieldSelectorError(f"invalid field selector: unescaped character in value: {c}")
        out.append(c)
        at += 1
    return "".join(out)


def _terms(text: str) -> Iterable[str]:
    start = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == ",":
            yield text[start:at]
            start = at + 1
        at += 1
    yield text[start:]


@lru_cache(maxsize=1024)
def parse(text: str) -> FieldSelector:
    """Raises FieldSelectorError. The empty text selects everything."""
    out: list[Term] = []
    for part in _terms(text):
        if not part:
            continue
        for at in range(len(part)):
            rest = part[at:]
            operator = next((o for o in ("!=", "==", "=") if rest.startswith(o)), None)
            if operator:
                out.append(Term(part[:at], _unescape(rest[len(operator) :]), operator != "!="))
                break
        else:
            raise FieldSelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
    return FieldSelector(tuple(out))
