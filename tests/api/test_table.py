"""Tables as kubectl reads them."""

from __future__ import annotations

import dataclasses
import json

import msgspec
import pytest

from pelamis.api import codec, registry, table
from pelamis.api.custom import Custom
from pelamis.api.kind import Column, Kind

NOW = 1_000_000_000.0  # 2001-09-09T01:46:40Z
BORN = "2001-09-09T01:41:40Z"
CONFIG_MAP = registry.builtin().by_kind("", "v1", "ConfigMap")
POD = registry.builtin().by_kind("", "v1", "Pod")
assert CONFIG_MAP is not None and POD is not None
PLAIN = dataclasses.replace(CONFIG_MAP, cells=None, columns=(Column("Name", "string", "name"), Column("Age", "date")))


@pytest.mark.parametrize(
    ("text", "shown"), [(BORN, "5m"), ("", "<unknown>"), (None, "<unknown>"), ("soon", "<unknown>")]
)
def test_age(text: str | None, shown: str) -> None:
    assert table.age(text, NOW) == shown


@pytest.mark.parametrize("include", ["Metadata", "Object", "None"])
def test_rows_carry_what_was_asked_for(include: table.Include) -> None:
    obj = codec.from_tree(PLAIN, {"metadata": {"name": "a", "creationTimestamp": BORN}, "data": {"k": "v"}})
    out = json.loads(
        msgspec.json.encode(table.table(PLAIN, [obj], NOW, include=include, rev="7", continue_="c", remaining=3))
    )
    assert out["kind"], out["apiVersion"] == ("Table", "meta.k8s.io/v1")
    assert out["metadata"] == {"resourceVersion": "7", "continue": "c", "remainingItemCount": 3}
    assert [c["name"] for c in out["columnDefinitions"]] == ["Name", "Age"]
    assert set(out["columnDefinitions"][0]) == {"name", "type", "format", "description", "priority"}
    row = out["rows"][0]
    assert row["cells"] == ["a", "5m"]
    if include == "Object":
        assert row["object"]["data"] == {"k": "v"}
    elif include == "Metadata":
        assert row["object"]["kind"] == "PartialObjectMetadata"
        assert row["object"]["metadata"] == {"name": "a", "creationTimestamp": BORN}
    else:
        assert row["object"] is None


def test_watches_send_the_headers_once() -> None:
    assert table.table(PLAIN, [], NOW, headers=False)["columnDefinitions"] is None


@pytest.mark.parametrize(("phase", "reason"), [("Succeeded", "Succeeded"), ("Failed", "Failed"), ("Running", None)])
def test_finished_pods_are_marked(phase: str, reason: str | None) -> None:
    pod = codec.from_tree(POD, {"metadata": {"name": "p"}, "status": {"phase": phase}})
    row = table.row(dataclasses.replace(POD, cells=None), pod, NOW)
    assert [c["reason"] for c in row.get("conditions", ())] == ([reason] if reason else [])


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
