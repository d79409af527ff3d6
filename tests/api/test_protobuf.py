"""The wire form of every kind survives the way there and back; known messages have the bytes that upstream writes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pelamis.api import codec, meta, protobuf
from pelamis.api.enablement import Enablement
from pelamis.api.kind import Kind
from pelamis.api.shape import shape_of
from pelamis.base.errors import StatusError
from pelamis.base.protobuf import WireError, varint
from tests.api import populated

REGISTRY = Enablement("api/all=true").registry()
KINDS = [k for k in REGISTRY.types() if k.kind != "Table"]


def off_wire(cls: type[Any]) -> set[str]:
    """Fields without a number never travel."""
    return {f.name for f in shape_of(cls) if f.tag is None}


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_round_trip_of_a_populated_object(kind: Kind) -> None:
    tree = populated.tree(kind.type)
    codec.clean(kind, tree, defaults=False)
    _strip_off_wire(kind.type, tree)
    obj = codec.from_tree(kind, tree)
    data = protobuf.encode(kind, obj)
    back = protobuf.decode_body(kind, data)
    codec.clean(kind, back, defaults=False)
    assert back == codec.to_tree(obj)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_round_trip_of_an_empty_object(kind: Kind) -> None:
    obj = codec.from_tree(kind, {})
    back = protobuf.decode_body(kind, protobuf.encode(kind, obj))
    codec.clean(kind, back, defaults=False)
    assert back == codec.to_tree(obj)


def _strip_off_wire(cls: type[Any], tree: dict[str, Any]) -> None:
    for f in shape_of(cls):
        if f.name not in tree:
            continue
        if f.tag is None:
            del tree[f.name]
            continue
        shape, values = f.value, [tree[f.name]]
        while shape.of is not None:
            values = [v for c in values for v in (c.values() if isinstance(c, dict) else c)]
            shape = shape.of
        if shape.struct is not None:
            for v in values:
                _strip_off_wire(shape.struct, v)


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (meta.GroupResource(group="apps", resource="x"), "0a04617070731201 78"),
        (meta.ListMeta(resourceVersion="7"), "0a00 1201 37 1a00"),
        (meta.LabelSelector(matchLabels={"b": "2", "a": "1"}), "0a06 0a0161 120131 0a06 0a0162 120132"),
        (meta.Preconditions(), ""),
        (meta.Preconditions(uid=""), "0a00"),
        (meta.StatusDetails(retryAfterSeconds=-1), "0a00 1200 1a00 28ffffffffffffffffff01 3200"),
        (meta.APIResource(name="n", verbs=("get",)), "0a016e 1000 1a00 2205 0a03676574 3200 4200 4a00 5200"),
        (
            meta.Condition(type="T", lastTransitionTime="1970-01-01T00:00:01Z"),
            "0a0154 1200 1800 2204 08011000 2a00 3200",
        ),
    ],
)
def test_bytes(obj: Any, expected: str) -> None:
    assert protobuf.message(obj).hex() == expected.replace(" ", "")


def test_envelope_names_the_type_and_refuses_anything_else() -> None:
    assert protobuf.open_envelope(protobuf.envelope("apps/v1", "Deployment", b"\x01")) == (
        "apps/v1",
        "Deployment",
        b"\x01",
    )
    with pytest.raises(WireError, match="expected prefix"):
        protobuf.open_envelope(b"{}")


def test_unknown_fields_are_skipped_and_damage_is_reported() -> None:
    data = protobuf.message(meta.GroupResource(group="g")) + varint(900 << 3) + b"\x05"
    assert protobuf.decode(meta.GroupResource, data) == {"group": "g"}
    for damaged in (b"\x0a", b"\x0a\x05ab", b"\x0f", b"\x08\x01", b"\x0a\x01\xff"):
        with pytest.raises(WireError):
            protobuf.decode(meta.GroupResource, damaged)


@pytest.mark.parametrize("name", ["Status", "PartialObjectMetadata", "Pod"])
def test_json_of_any_type_becomes_its_message(name: str) -> None:
    kind = next(k for k in KINDS if k.kind == name)
    obj = codec.from_tree(kind, {"metadata": {"resourceVersion": "3"}})
    assert protobuf.encode_any(codec.encode(obj)) == protobuf.encode(kind, obj)
    frame = protobuf.watch_frame("ADDED", protobuf.encode_any(codec.encode(obj)))
    assert frame.endswith(protobuf.encode(kind, obj))


def test_json_lists_become_messages_and_foreign_types_are_refused() -> None:
    tree = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "3"}, "items": [{}, {}]}
    api_version, name, raw = protobuf.open_envelope(protobuf.encode_any(msgspec.json.encode(tree)))
    assert (api_version, name) == ("v1", "PodList")
    assert raw.startswith(b"\x0a" + bytes((len(protobuf.message(meta.ListMeta(resourceVersion="3"))),)))
    for foreign in (
        {"kind": "Widget", "apiVersion": "example.com/v1"},
        {"kind": "Table", "apiVersion": "meta.k8s.io/v1"},
    ):
        with pytest.raises(StatusError) as caught:
            protobuf.encode_any(msgspec.json.encode(foreign))
        assert caught.value.code == 406


def test_list_and_watch_frame_hold_objects() -> None:
    kind = REGISTRY.by_kind("", "v1", "ConfigMap")
    assert kind is not None
    obj = codec.from_tree(kind, {"metadata": {"name": "a"}, "binaryData": {"k": "AAE="}})
    api_version, name, raw = protobuf.open_envelope(
        protobuf.encode_list(kind, [obj, obj], meta.ListMeta(resourceVersion="5"))
    )
    assert (api_version, name) == ("v1", "ConfigMapList")
    assert raw.count(protobuf.message(obj)) == 2
    frame = protobuf.watch_frame("ADDED", protobuf.encode(kind, obj))
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    tree = protobuf.decode(kind.type, protobuf.message(obj))
    assert tree["binaryData"] == {"k": "AAE="}
    assert isinstance(msgspec.json.encode(tree), bytes)
