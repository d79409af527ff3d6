"""What Go says of texts that are no JSON; each was said by a kube-apiserver or by Go itself."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.base.gojson import END, complaint


@pytest.mark.parametrize(
    "text, said",
    [
        (b"", END),
        (b"{", END),
        (b'{"a"', END),
        (b"not json", "invalid character 'o' in literal null (expecting 'u')"),
        (b"json", "invalid character 'j' looking for beginning of value"),
        (b"\xcf", "invalid character 'Ï' looking for beginning of value"),
        (b"{a", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a" 1', "invalid character '1' after object key"),
        (b'{"a":1 "b"', "invalid character '\"' after object key:value pair"),
        (b"[1 2", "invalid character '2' after array element"),
        (b"{} trailing", "invalid character 't' after top-level value"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
        (b'"\n"', "invalid character '\\n' in string literal"),
        (b'{"a":[1,{"b":null}],"c":-1.5e+3,"d":"\\u00e4\\n"}', ""),
    ],
)
def test_words(text: bytes, said: str) -> None:
    assert complaint(text) == said


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_json_is_not_complained_of(value: object) -> None:
    assert complaint(msgspec.json.encode(value)) == ""


@given(st.binary(max_size=12))
def test_what_is_no_json_is(text: bytes) -> None:
    try:
        msgspec.json.decode(text)
    except ValueError:
        return
    assert complaint(text) == ""
