"""ObjectMeta, labels and selectors: what is refused, and in which words."""

from __future__ import annotations

import msgspec
import pytest

from pelamis.api import metavalidate as mv
from pelamis.api.meta import Condition, LabelSelector, LabelSelectorRequirement, ManagedFieldsEntry
from pelamis.api.meta import ObjectMeta as Meta
from pelamis.api.meta import OwnerReference as Owner
from pelamis.base.names import is_path_segment

GOOD = Meta(name="a", namespace="n")
OWNER = Owner(apiVersion="apps/v1", kind="ReplicaSet", name="r", uid="u", controller=True)


@pytest.mark.parametrize(
    ("changes", "namespaced", "errors"),
    [
        ({}, True, []),
        ({"namespace": ""}, False, []),
        ({}, False, ["metadata.namespace: Forbidden: not allowed on this type"]),
        ({"namespace": ""}, True, ["metadata.namespace: Required value"]),
        ({"name": ""}, True, ["metadata.name: Required value: name or generateName is required"]),
        ({"name": "A"}, True, ['metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain must']),
        ({"generateName": "a-"}, True, []),
        ({"generateName": "A-"}, True, ['metadata.generateName: Invalid value: "A-": a lowercase']),
        ({"namespace": "a.b"}, True, ['metadata.namespace: Invalid value: "a.b": must not contain dots']),
        ({"labels": {"a": "b c"}}, True, ['metadata.labels: Invalid value: "b c": a valid label must be']),
        ({"labels": {"a b": ""}}, True, ['metadata.labels: Invalid value: "a b": name part must consist']),
        ({"annotations": {"Ex.com/A": "anything \n"}}, True, []),
        ({"annotations": {"a b": ""}}, True, ['metadata.annotations: Invalid value: "a b": name part']),
        ({"annotations": {"a": "x" * 262144}}, True, ["metadata.annotations: Too long: may not be more than 262144 b"]),
        ({"finalizers": ("ex.com/a", "orphan")}, True, []),
        ({"finalizers": ("a b",)}, True, ['metadata.finalizers: Invalid value: "a b": name part']),
        (
            {"finalizers": ("orphan", "foregroundDeletion")},
            True,
            [
                'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
                "finalizer orphan and foregroundDeletion cannot be both set"
            ],
        ),
        ({"ownerReferences": (OWNER,)}, True, []),
        (
            {"ownerReferences": (Owner(controller=None),)},
            True,
            [
                'metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty',
                'metadata.ownerReferences.kind: Invalid value: "": must not be empty',
                'metadata.ownerReferences.name: Invalid value: "": must not be empty',
                'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
            ],
        ),
        ({"ownerReferences": (OWNER, OWNER)}, True, ["metadata.ownerReferences: Invalid value: [{"]),
        (
            {"managedFields": (ManagedFieldsEntry(manager="a\n", operation="X", fieldsType="Y"),)},
            True,
            [
                'metadata.managedFields[0].operation: Invalid value: "X": must be `Apply` or `Update`',
                'metadata.managedFields[0].fieldsType: Invalid value: "Y": must be `FieldsV1`',
                'metadata.managedFields[0].manager: Invalid value: "a\\n": invalid character U+000A (at position 1)',
            ],
        ),
        ({"generation": -1}, True, ["metadata.generation: Invalid value: -1: must be greater than or equal to 0"]),
    ],
)
def test_create(changes: dict[str, object], namespaced: bool, errors: list[str]) -> None:
    found = [str(e) for e in mv.validate_create(msgspec.structs.replace(GOOD, **changes), namespaced)]
    assert len(found) == len(errors)
    assert all(f.startswith(e) for f, e in zip(found, errors, strict=True)), found


def test_create_with_a_name_rule_of_the_kind() -> None:
    assert mv.validate_create(Meta(name="system:node"), False, is_path_segment) == []
    assert mv.validate_create(Meta(name="a/b"), False, is_path_segment)


@pytest.mark.parametrize(
    ("changes", "old", "errors"),
    [
        ({}, {}, []),
        ({"name": "b"}, {}, ['metadata.name: Invalid value: "b": field is immutable']),
        ({"uid": "2"}, {"uid": "1"}, ['metadata.uid: Invalid value: "2": field is immutable']),
        ({}, {"deletionTimestamp": "t"}, ["metadata.deletionTimestamp: Invalid value: null: field is immutable"]),
        ({"generation": 1}, {"generation": 2}, ["metadata.generation: Invalid value: 1: must not be decremented"]),
        ({"finalizers": ("a/b",)}, {}, []),
        (
            {"finalizers": ("a/b",), "deletionTimestamp": "t"},
            {"deletionTimestamp": "t"},
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
                'found new finalizers []string{"a/b"}'
            ],
        ),
        ({"labels": {"a": "-"}}, {"labels": {"a": "-"}}, ['metadata.labels: Invalid value: "-": a valid label']),
    ],
)
def test_update(changes: dict[str, object], old: dict[str, object], errors: list[str]) -> None:
    new, before = msgspec.structs.replace(GOOD, **changes), msgspec.structs.replace(GOOD, **old)
    found = [str(e) for e in mv.validate_update(new, before)]
    assert len(found) == len(errors)
    assert all(f.startswith(e) for f, e in zip(found, errors, strict=True)), found


@pytest.mark.parametrize(
    ("operator", "values", "error"),
    [
        ("In", ("a",), ""),
        (
            "In",
            (),
            "s.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        ("Exists", (), ""),
        (
            "Exists",
            ("a",),
            "s.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or",
        ),
        ("Near", (), 's.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator'),
        ("NotIn", ("-",), 's.matchExpressions[0].values[0]: Invalid value: "-": a valid label must be'),
    ],
)
def test_label_selectors(operator: str, values: tuple[str, ...], error: str) -> None:
    requirement = LabelSelectorRequirement(key="k", operator=operator, values=values)
    found = "".join(map(str, mv.validate_label_selector(LabelSelector(matchExpressions=(requirement,)), "s")))
    assert found.startswith(error) and bool(found) is bool(error)


def test_conditions() -> None:
    good = Condition(type="Ready", status="True", reason="Fine", lastTransitionTime="2026-01-01T00:00:00Z")
    assert mv.validate_conditions((good,), "c") == []
    bad = Condition(type="Ready", status="Maybe", observedGeneration=-1)
    found = [f"{e.field} {e.cause}" for e in mv.validate_conditions((good, bad), "c")]
    assert found == [
        "c[1].type FieldValueDuplicate",
        "c[1].status FieldValueNotSupported",
        "c[1].observedGeneration FieldValueInvalid",
        "c[1].lastTransitionTime FieldValueRequired",
        "c[1].reason FieldValueRequired",
    ]
    wrong = msgspec.structs.replace(good, reason="not a reason")
    assert "a condition reason must start with" in str(mv.validate_conditions((wrong,), "c")[0])
