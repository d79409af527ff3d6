"""StorageClass: how volumes of a class are made; almost everything in it is fixed once written.

The annotation ``storageclass.kubernetes.io/is-default-class: "true"`` makes it the class of claims that name none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_choice, check_immutable, check_text
from pelamis.api.core.pod.warnings import deprecated_label
from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.storage.driver import check_parameters, check_provisioner
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import duplicate, forbidden, required


class TopologySelectorLabelRequirement(Struct, frozen=True):
    key: Annotated[str, F(1, "Node label.", required=True)] = always(str)
    values: Annotated[tuple[str, ...], F(2, "Values, one of which must match.", list="atomic", required=True)] = always(
        tuple
    )


class TopologySelectorTerm(Struct, frozen=True):
    matchLabelExpressions: Annotated[
        tuple[TopologySelectorLabelRequirement, ...], F(1, "All must match.", list="atomic")
    ] = ()


class StorageClass(Struct, frozen=True):
    """How volumes of a class are made; almost everything in it is fixed once written."""

    kind: str = always(lambda: "StorageClass")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    provisioner: Annotated[str, F(2, "Who makes the volumes.", required=True)] = always(str)
    parameters: Annotated[dict[str, str], F(3, "Parameters for the provisioner.")] = {}
    reclaimPolicy: Annotated[
        str | None,
        F(
            4,
            "Delete or Retain the volume after its claim; Delete if unset.",
            enum=(
                "Recycle",
                "Delete",
                "Retain",
            ),
            default="Delete",
        ),
    ] = None
    mountOptions: Annotated[tuple[str, ...], F(5, "Mount options of the volumes; not checked.", list="atomic")] = ()
    allowVolumeExpansion: Annotated[bool | None, F(6, "Whether claims may grow.")] = None
    volumeBindingMode: Annotated[
        str | None,
        F(
            7,
            "Immediate, or WaitForFirstConsumer: when a pod that uses it is scheduled.",
            enum=(
                "Immediate",
                "WaitForFirstConsumer",
            ),
            default="Immediate",
        ),
    ] = None
    allowedTopologies: Annotated[
        tuple[TopologySelectorTerm, ...], F(8, "Where volumes may be made.", list="atomic")
    ] = ()


DEFAULT_ANNOTATION = "storageclass.kubernetes.io/is-default-class"
BETA_DEFAULT_ANNOTATION = "storageclass.beta.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def is_default(obj: StorageClass) -> bool:
    annotations = obj.metadata.annotations
    return "true" in (annotations.get(DEFAULT_ANNOTATION), annotations.get(BETA_DEFAULT_ANNOTATION))


def default_class(classes: Iterable[StorageClass]) -> str:
    """Name of the newest of those that are marked as default, the first by name among equals; "" for none."""
    marked = [c for c in classes if is_default(c)]
    if not marked:
        return ""
    newest = max(c.metadata.creationTimestamp for c in marked)
    return min(c.metadata.name for c in marked if c.metadata.creationTimestamp == newest)


def waits_for_consumer(obj: StorageClass | None) -> bool:
    """Whether its claims are bound once a pod that uses them has a node."""
    return obj is not None and obj.volumeBindingMode == "WaitForFirstConsumer"


def _validate_topology(term: TopologySelectorTerm, path: str) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for i, expression in enumerate(term.matchLabelExpressions):
        where = f"{path}.matchLabelExpressions[{i}]"
        if not expression.values:
            errors.append(required(f"{where}.values"))
        for k, value in enumerate(expression.values):
            if value in expression.values[:k]:
                errors.append(duplicate(f"{where}.values[{k}]", value))
        errors += check_text(names.is_qualified_name, expression.key, f"{where}.key")
        if expression.key in seen:
            errors.append(duplicate(f"{where}.key", expression.key))
        seen.add(expression.key)
    return errors


def validate(obj: StorageClass) -> Errors:
    errors = check_provisioner(obj.provisioner, "provisioner")
    errors += check_parameters(obj.parameters, "parameters", may_be_empty=True)
    if obj.reclaimPolicy:
        errors += check_choice(obj.reclaimPolicy, "reclaimPolicy", ("Delete", "Retain"))
    if obj.volumeBindingMode is None:
        errors.append(required("volumeBindingMode"))
    else:
        errors += check_choice(obj.volumeBindingMode, "volumeBindingMode", ("Immediate", "WaitForFirstConsumer"))
    seen: list[dict[str, frozenset[str]]] = []
    for i, term in enumerate(obj.allowedTopologies):
        path = f"allowedTopologies[{i}]"
        errors += _validate_topology(term, path)
        meaning = {e.key: frozenset(e.values) for e in term.matchLabelExpressions}
        if meaning in seen or not meaning:
            errors.append(duplicate(f"{path}.matchLabelExpressions", ""))
        seen.append(meaning)
    return errors


def validate_update(obj: StorageClass, old: StorageClass) -> Errors:
    errors: Errors = []
    for name in ("parameters", "provisioner", "reclaimPolicy"):
        if getattr(obj, name) != getattr(old, name):
            errors.append(forbidden(name, f"updates to {name} are forbidden."))
    return errors + check_immutable(obj.volumeBindingMode, old.volumeBindingMode, "volumeBindingMode")


def warnings(obj: StorageClass) -> list[str]:
    return [
        f"allowedTopologies[{i}].matchLabelExpressions[{k}].key: {old}"
        for i, term in enumerate(obj.allowedTopologies)
        for k, expression in enumerate(term.matchLabelExpressions)
        if (old := deprecated_label(expression.key))
    ]


def cells(obj: StorageClass, now: float) -> Sequence[Any]:
    return (
        f"{obj.metadata.name} (default)" if is_default(obj) else obj.metadata.name,
        obj.provisioner,
        obj.reclaimPolicy or "Delete",
        obj.volumeBindingMode or "Immediate",
        bool(obj.allowVolumeExpansion),
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="storage.k8s.io",
    version="v1",
    type=StorageClass,
    plural="storageclasses",
    singular="storageclass",
    short_names=("sc",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Provisioner", "string"),
        Column("ReclaimPolicy", "string"),
        Column("VolumeBindingMode", "string"),
        Column("AllowVolumeExpansion", "string"),
        Column("Age", "string"),
    ),
    storage_hash="K+m6uJwbjGY=",
    cells=cells,
    validate=validate,
    warnings=warnings,
    validate_update=validate_update,
)
