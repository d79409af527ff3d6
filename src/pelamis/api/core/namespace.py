"""Namespace: a scope for names.

A namespace ends in two steps: deletion sets the phase Terminating, a controller empties it and then removes the
finalizer ``kubernetes`` through the ``finalize`` subresource.
"""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.field import F, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.metavalidate import validate_finalizer_name
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, invalid
from pelamis.base.tree import copy


class NamespaceSpec(Struct, frozen=True):
    """What holds a namespace back from going."""

    finalizers: Annotated[
        tuple[str, ...], F(1, "Who has to clean up first; kubernetes removes all objects.", list="atomic")
    ] = ()


class NamespaceCondition(Struct, frozen=True):
    """How far deletion has come."""

    type: Annotated[str, F(1, "NamespaceDeletionContentFailure, NamespaceContentRemaining, ...", required=True)] = (
        always(str)
    )
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    lastTransitionTime: Annotated[Time, F(4, "When status last changed.")] = ""
    reason: Annotated[str, F(5, "One word in CamelCase.")] = ""
    message: Annotated[str, F(6, "Text for people.")] = ""


class NamespaceStatus(Struct, frozen=True):
    """State of a namespace."""

    phase: Annotated[
        str,
        F(
            1,
            "Active or Terminating.",
            enum=(
                "Active",
                "Terminating",
            ),
            default="Active",
        ),
    ] = ""
    conditions: Annotated[
        tuple[NamespaceCondition, ...],
        F(2, "How far deletion has come.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class Namespace(Struct, frozen=True):
    """A scope for names."""

    kind: str = always(lambda: "Namespace")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    spec: Annotated[NamespaceSpec, F(2, "What holds it back from going.")] = always(NamespaceSpec)
    status: Annotated[NamespaceStatus, F(3, "Its state.")] = always(NamespaceStatus)


NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"
_STANDARD_FINALIZERS = (FINALIZER, "orphan", "foregroundDeletion")


def default(tree: Tree) -> None:
    """The label with the namespace's name, by which selectors find it."""
    metadata = tree.setdefault("metadata", {})
    if metadata.get("name"):
        labels = metadata.get("labels")
        if labels is None:
            labels = metadata["labels"] = {}
        labels[NAME_LABEL] = metadata["name"]


def prepare_create(tree: Tree) -> None:
    tree["status"] = {"phase": "Active"}
    spec = tree.setdefault("spec", {})
    finalizers = spec.get("finalizers") or []
    if FINALIZER not in finalizers:
        spec["finalizers"] = [*finalizers, FINALIZER]
    default(tree)


def prepare_update(tree: Tree, old: Tree) -> None:
    """Finalizers change through the ``finalize`` subresource only."""
    spec = tree.setdefault("spec", {})
    was = (old.get("spec") or {}).get("finalizers")
    if was:
        spec["finalizers"] = copy(was)
    else:
        spec.pop("finalizers", None)


def check_finalizer(name: str, path: str) -> list[FieldError]:
    errors = validate_finalizer_name(name, path)
    if "/" not in name and name not in _STANDARD_FINALIZERS:
        detail = "name is neither a standard finalizer name nor is it fully qualified"
        errors.append(invalid(path, name, detail))
    return errors


def validate(obj: Namespace) -> list[FieldError]:
    return [e for name in obj.spec.finalizers for e in check_finalizer(name, "spec.finalizers")]


def validate_status_update(obj: Namespace, old: Namespace) -> list[FieldError]:
    phase, deleted = obj.status.phase, bool(obj.metadata.deletionTimestamp)
    if not deleted and phase != "Active":
        return [invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    if deleted and phase != "Terminating":
        return [invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")]
    return []


def validate_update(obj: Namespace, old: Namespace) -> list[FieldError]:
    """Only ``namespaces/finalize`` can change the finalizers."""
    return [e for i, name in enumerate(obj.spec.finalizers) for e in check_finalizer(name, f"spec.finalizers[{i}]")]


def cells(obj: Namespace, now: float) -> tuple[Any, ...]:
    return obj.metadata.name, obj.status.phase, age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="",
    version="v1",
    type=Namespace,
    plural="namespaces",
    singular="namespace",
    short_names=("ns",),
    namespaced=False,
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("finalize", "", "v1", "Namespace", ("update",), reset=("status",)),
        Subresource("status", "", "v1", "Namespace", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Status", "string"),
        Column("Age", "string"),
    ),
    storage_hash="Q3oi5N2YM8M=",
    cells=cells,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    validate_name=names.is_dns1123_label,
    selectable={
        "status.phase": lambda namespace: namespace.status.phase,
        "name": lambda namespace: namespace.metadata.name,
    },
)
