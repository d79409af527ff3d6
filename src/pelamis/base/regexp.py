"""Regular expressions that users give, in Go's notation, on RE2: the time is linear in the text, whatever the pattern.

``compile_pattern`` takes a pattern or raises ``PatternError`` worded as Go's ``regexp``. RE2 is imported at the first
pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

_WORDS = {
    "invalid escape sequence": "invalid escape sequence",
    "invalid character class": "invalid character class",
    "invalid character class range": "invalid character class range",
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "unexpected )": "unexpected )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid UTF-8": "invalid UTF-8",
    "invalid named capture group": "invalid named capture",
}
"""RE2's words for what is wrong, and Go's."""
_NAMED = re.compile(r"\\Q.*?(?:\\E|\Z)|\\C|\\.|\(\?P?<(\w+)>", re.S)
_MEMORY = 64 << 20


class PatternError(ValueError):
    """``error parsing regexp: missing closing ]: `[a` ``"""


class Pattern:
    __slots__ = ("_regexp", "text")

    def __init__(self, text: str, regexp: Any) -> None:
        self.text = text
        self._regexp = regexp

    def found_in(self, text: str) -> bool:
        return self._regexp.search(text) is not None

    def first(self, text: str) -> str | None:
        match = self._regexp.search(text)
        return None if match is None else match[0]

    def all(self, text: str) -> Iterator[str]:
        """As Go: an empty match right after another match does not count."""
        end = -1
        for match in self._regexp.finditer(text):
            start, after = match.span()
            if start == after == end:
                continue
            end = after
            yield match[0]


def _error(what: str, at: str) -> PatternError:
    return PatternError(f"error parsing regexp: {what}: `{at}`")


@lru_cache(maxsize=1)
def _engine() -> tuple[Callable[..., Any], Any, Any]:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    return re2.compile, options, re2.error


@lru_cache(maxsize=4096)
def compile_pattern(text: str) -> Pattern:
    """Raises PatternError."""
    names: set[str] = set()
    for match in _NAMED.finditer(text):
        # What RE2 takes and Go does not.
        if match[0] == "\\C":
            raise _error("invalid escape sequence", "\\C")
        if match[1] is not None and match[1] in names:
            raise _error("invalid named capture", match[0])
        if match[1] is not None:
            names.add(match[1])
    compiler, options, failure = _engine()
    try:
        return Pattern(text, compiler(text, options))
    except failure as error:
        shown = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        what, _, at = shown.partition(": ")
        if what == "trailing \\":
            raise _error("trailing backslash at end of expression", "") from None
        if what in _WORDS:
            raise _error(_WORDS[what], at) from None
        raise PatternError(f"error parsing regexp: expression too large: `{text}`") from None


def check(text: str) -> None:
    """Raises PatternError."""
    compile_pattern(text)
