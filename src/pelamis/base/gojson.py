"""What Go's JSON decoder says of a text that is no JSON: clients and their tests know these words."""

from __future__ import annotations

END = "unexpected end of JSON input"
_SPACE = b" \t\r\n"
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"


class _Wrong(Exception):
    pass


def complaint(text: bytes) -> str:
    """Why Go refuses the text; "" if it does not."""
    try:
        at = _value(text, _skip(text, 0))
        at = _skip(text, at)
        if at < len(text):
            raise _bad(text, at, "after top-level value")
    except _Wrong as error:
        return str(error)
    except RecursionError:
        return "exceeded max depth"
    return ""


def _bad(text: bytes, at: int, where: str) -> _Wrong:
    if at >= len(text):
        return _Wrong(END)
    char = chr(text[at])
    shown = {"'": "\\'", '"': '"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char, char)
    if not shown.isprintable():
        shown = f"\\x{text[at]:02x}" if text[at] < 0x80 else f"\\u{text[at]:04x}"
    return _Wrong(f"invalid character '{shown}' {where}")


def _skip(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _value(text: bytes, at: int) -> int:
    """The place after the value that begins at ``at``."""
    first = text[at : at + 1]
    if first == b"{":
        return _object(text, at + 1)
    if first == b"[":
        return _array(text, at + 1)
    if first == b'"':
        return _string(text, at + 1)
    if first in (b"t", b"f", b"n"):
        word = {b"t": b"true", b"f": b"false", b"n": b"null"}[first]
        for i, char in enumerate(word):
            if text[at + i : at + i + 1] != bytes((char,)):
                raise _bad(text, at + i, f"in literal {word.decode()} (expecting '{chr(char)}')")
        return at + len(word)
    if first and first in b"-0123456789":
        return _number(text, at)
    raise _bad(text, at, "looking for beginning of value")


def _object(text: bytes, at: int) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == b"}":
        return at + 1
    while True:
        if text[at : at + 1] != b'"':
            raise _bad(text, at, "looking for beginning of object key string")
        at = _skip(text, _string(text, at + 1))
        if text[at : at + 1] != b":":
            raise _bad(text, at, "after object key")
        at = _skip(text, _value(text, _skip(text, at + 1)))
        mark = text[at : at + 1]
        if mark == b"}":
            return at + 1
        if mark != b",":
            raise _bad(text, at, "after object key:value pair")
        at = _skip(text, at + 1)


def _array(text: bytes, at: int) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == b"]":
        return at + 1
    while True:
        at = _skip(text, _value(text, at))
        mark = text[at : at + 1]
        if mark == b"]":
            return at + 1
        if mark != b",":
            raise _bad(text, at, "after array element")
        at = _skip(text, at + 1)


def _string(text: bytes, at: int) -> int:
    while at < len(text):
        char = text[at]
        if char == 0x22:
            return at + 1
        if char < 0x20:
            raise _bad(text, at, "in string literal")
        if char == 0x5C:
            at += 1
            if text[at : at + 1] == b"u":
                for digit in range(at + 1, at + 5):
                    if digit >= len(text) or text[digit] not in _HEX:
                        raise _bad(text, digit, "in \\u hexadecimal character escape")
                at += 4
            elif at >= len(text) or text[at] not in b'bfnrt\\/"':
                raise _bad(text, at, "in string escape code")
        at += 1
    raise _Wrong(END)


def _digits(text: bytes, at: int, where: str) -> int:
    if at >= len(text) or text[at] not in _DIGITS:
        raise _bad(text, at, where)
    while at < len(text) and text[at] in _DIGITS:
        at += 1
    return at


def _number(text: bytes, at: int) -> int:
    if text[at : at + 1] == b"-":
        at += 1
    at = at + 1 if text[at : at + 1] == b"0" else _digits(text, at, "in numeric literal")
    if text[at : at + 1] == b".":
        at = _digits(text, at + 1, "after decimal point in numeric literal")
    if text[at : at + 1] in (b"e", b"E"):
        at += 1
        if text[at : at + 1] in (b"+", b"-"):
            at += 1
        at = _digits(text, at, "in exponent of numeric literal")
    return at
