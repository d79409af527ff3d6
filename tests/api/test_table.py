"""Tables as kubectl reads them."""

from __future__ import annotations

import pytest

from pelamis.api import codec, table
from pelamis.api.custom import Custom
from pelamis.api.kind import Column, Kind

NOW = 1_000_000_000.0  # 2001-09-09T01:46:40Z
BORN = "2001-09-09T01:41:40Z"


@pytest.mark.parametrize(
    ("text", "shown"), [(BORN, "5m"), ("", "<unknown>"), (None, "<unknown>"), ("soon", "<unknown>")]
)
def test_age(text: str | None, shown: str) -> None:
    assert table.age(text, NOW) == shown


def test_columns_of_custom_resources() -> None:
    kind = Kind(
        group="g",
        version="v1",
        type=Custom,
        kind="W",
        plural="ws",
        singular="w",
        namespaced=True,
        verbs=("get",),
        columns=(Column("Name", "string", "name"),),
    )
    tree = {
        "metadata": {"name": "w", "creationTimestamp": BORN},
        "spec": {"n": 3, "f": 1.5, "b": True, "s": "x", "list": [{"a": 1}, {"a": 2}]},
    }
    obj = codec.from_tree(kind, tree)
    cells = table.custom_cells(
        [
            ("integer", ".spec.n"),
            ("number", ".spec.f"),
            ("boolean", ".spec.b"),
            ("string", ".spec.s"),
            ("string", ".spec.list[*].a"),
            ("date", ".metadata.creationTimestamp"),
            ("date", ".spec.s"),
            ("integer", ".spec.s"),
            ("string", ".spec.none"),
        ]
    )
    assert cells(obj, NOW) == ["w", 3, 1.5, True, "x", "1 2", "5m", "<invalid>", None, None]
