"""Quantities against a Decimal twin, and the forms that upstream's tables show."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal, getcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.base import quantity as q

SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
CAP = Decimal(2**63 - 1)
getcontext().prec = 100


def twin(number: str, suffix: str) -> Decimal:
    if suffix in SUFFIXES:
        scale = Decimal(10) ** SUFFIXES[suffix]
    elif suffix in BINARY:
        scale = Decimal(1024) ** BINARY[suffix]
    else:
        scale = Decimal(10) ** int(suffix[1:])
    exact = Decimal(number) * scale
    rounded = exact.quantize(Decimal("1e-9"), rounding=ROUND_UP)
    return max(-CAP, min(CAP, rounded))


numbers = st.builds(
    lambda sign, whole, part: f"{sign}{whole}{'.' + part if part else ''}",
    st.sampled_from(["", "+", "-"]),
    st.integers(0, 10**6),
    st.text("0123456789", max_size=12),
)
suffixes = st.sampled_from([*SUFFIXES, *BINARY, "e3", "E-2", "e0", "e10"])


@given(numbers, suffixes)
def test_parse_agrees_with_decimal(number: str, suffix: str) -> None:
    parsed = q.parse(number + suffix)
    assert Decimal(parsed.nano).scaleb(-9) == twin(number, suffix)


@given(numbers, suffixes)
def test_canonical_is_stable_and_keeps_the_amount(number: str, suffix: str) -> None:
    text = q.canonical(number + suffix)
    assert q.canonical(text) == text
    assert q.equal(text, number + suffix)
    assert "." not in text


@given(numbers, suffixes, numbers, suffixes)
def test_arithmetic_agrees_with_decimal(a: str, x: str, b: str, y: str) -> None:
    one, two = twin(a, x), twin(b, y)
    assert q.compare(a + x, b + y) == (one > two) - (one < two)
    if abs(one + two) < CAP and abs(one - two) < CAP:
        assert Decimal(q.parse(q.add(a + x, b + y)).nano).scaleb(-9) == one + two
        assert Decimal(q.parse(q.sub(a + x, b + y)).nano).scaleb(-9) == one - two


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("0Gi", "0"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1023", "1023"),
        ("1000Ki", "1000Ki"),
        ("0.1Ki", "102400m"),
        ("0.5Ki", "512"),
        ("1e3", "1e3"),
        ("1000e0", "1e3"),
        ("12e5", "1200e3"),
        ("1E", "1E"),
        ("10E", "9223372036854775807"),
        ("0.0000000001", "1n"),
        ("-0.0000000001", "-1n"),
        ("+1", "1"),
        ("001", "1"),
        ("1000000", "1M"),
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert q.canonical(text) == canonical


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", q.FORMAT_WRONG),
        ("abc", q.FORMAT_WRONG),
        ("1.2.3", q.FORMAT_WRONG),
        ("1 Gi", q.FORMAT_WRONG),
        ("1Kii", q.SUFFIX_WRONG),
        ("1e", q.SUFFIX_WRONG),
        ("m", q.NUMBER_WRONG),
        (".", q.NUMBER_WRONG),
    ],
)
def test_refused(text: str, error: str) -> None:
    with pytest.raises(q.QuantityError) as caught:
        q.parse(text)
    assert str(caught.value) == error


def test_rounding_and_notation() -> None:
    assert (q.value("1500m"), q.value("-1500m"), q.milli("1u")) == (2, -1, 1)
    assert (q.from_milli(1500), q.from_int(2048, "BinarySI")) == ("1500m", "2Ki")
    assert q.add("0", "1Gi") == "1Gi"
    assert q.sub("1Gi", "1Gi") == "0"
    assert q.maximum("1", "999m") == "1"
    assert (q.sign("-1"), q.sign("0"), q.is_zero("0Gi")) == (-1, 0, True)
