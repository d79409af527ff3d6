"""Tables as kubectl reads them."""

from __future__ import annotations

import pytest

from pelamis.api import table

NOW = 1_000_000_000.0  # 2001-09-09T01:46:40Z
BORN = "2001-09-09T01:41:40Z"


@pytest.mark.parametrize(
    ("text", "shown"), [(BORN, "5m"), ("", "<unknown>"), (None, "<unknown>"), ("soon", "<unknown>")]
)
def test_age(text: str | None, shown: str) -> None:
    assert table.age(text, NOW) == shown
