"""Objects in the form that was asked for: tables as kubectl reads them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from pelamis.api import codec, registry
from pelamis.api.field import Tree
from pelamis.api.kind import Column, Kind
from pelamis.apiserver.negotiate import Format
from pelamis.apiserver.present import Presenter

NOW = 1_000_000_000.0  # 2001-09-09T01:46:40Z
BORN = "2001-09-09T01:41:40Z"
COLUMNS = (Column("Name", "string", "name"), Column("Age", "date"), Column("Other", "string"))
TABLE = Format(shown="Table")


def plain(name: str) -> Kind:
    """Without columns of its own."""
    kind = registry.builtin().by_kind("", "v1", name)
    assert kind is not None
    return dataclasses.replace(kind, cells=None, columns=COLUMNS)


def row(kind: Kind, tree: Tree, include: str = "") -> Any:
    data = codec.encode(codec.from_tree(kind, tree))
    return json.loads(Presenter(kind, TABLE, lambda: NOW, include).row(data))


@pytest.mark.parametrize(
    ("include", "carried"),
    [
        ("", {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}),
        ("Metadata", {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}),
        ("Object", {"kind": "ConfigMap", "apiVersion": "v1", "data": {"k": "v"}}),
        ("None", None),
    ],
)
def test_rows_carry_what_was_asked_for(include: str, carried: Tree | None) -> None:
    metadata = {"name": "a", "creationTimestamp": BORN}
    found = row(plain("ConfigMap"), {"metadata": metadata, "data": {"k": "v"}}, include)
    expected: Tree = {"cells": ["a", "5m", ""]}
    if carried is not None:
        expected["object"] = {**carried, "metadata": metadata}
    assert found == expected


def test_a_table_tells_its_columns_unless_they_are_known() -> None:
    presenter = Presenter(plain("ConfigMap"), TABLE, lambda: NOW)
    told, known = (json.loads(presenter.table({"resourceVersion": "7"}, [], columns=c)) for c in (True, False))
    assert [c["name"] for c in told["columnDefinitions"]] == ["Name", "Age", "Other"]
    assert set(told["columnDefinitions"][0]) == {"name", "type", "format", "description", "priority"}
    assert known == {**told, "columnDefinitions": None}
    assert (told["kind"], told["apiVersion"], told["metadata"]) == ("Table", "meta.k8s.io/v1", {"resourceVersion": "7"})


@pytest.mark.parametrize(("phase", "reason"), [("Succeeded", "Succeeded"), ("Failed", "Failed"), ("Running", None)])
def test_finished_pods_are_marked(phase: str, reason: str | None) -> None:
    found = row(plain("Pod"), {"metadata": {"name": "p"}, "status": {"phase": phase}})
    assert [c["reason"] for c in found.get("conditions", ())] == ([reason] if reason else [])
