"""ResourceClaimTemplate: the claim that each pod naming it gets one of its own of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.metavalidate import validate_annotations, validate_labels
from pelamis.api.resource.device import ResourceClaimSpec, default_claim
from pelamis.api.resource.devicevalidation import validate_claim_spec
from pelamis.api.table import age


class ResourceClaimTemplateSpec(Struct, frozen=True):
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ResourceClaimSpec, F(2)] = always(ResourceClaimSpec)


class ResourceClaimTemplate(Struct, frozen=True):
    """The claim that each pod naming it gets one of its own of."""

    kind: str = always(lambda: "ResourceClaimTemplate")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ResourceClaimTemplateSpec, F(2)] = always(ResourceClaimTemplateSpec)


def default(tree: Tree) -> None:
    default_claim(tree.setdefault("spec", {}).setdefault("spec", {}))


def validate(obj: ResourceClaimTemplate) -> Errors:
    metadata = obj.spec.metadata
    errors = list(validate_labels(metadata.labels, "spec.metadata.labels"))
    errors += validate_annotations(metadata.annotations, "spec.metadata.annotations")
    return errors + validate_claim_spec(obj.spec.spec, "spec.spec")


def validate_update(obj: ResourceClaimTemplate, old: ResourceClaimTemplate) -> Errors:
    return check_immutable(obj.spec, old.spec, "spec")


def cells(obj: ResourceClaimTemplate, now: float) -> Sequence[Any]:
    return obj.metadata.name, age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="resource.k8s.io",
    version="v1",
    type=ResourceClaimTemplate,
    plural="resourceclaimtemplates",
    singular="resourceclaimtemplate",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    columns=(
        Column("Name", "string", format="name"),
        Column("Age", "string"),
    ),
    storage_hash="F6aZtQPvFlU=",
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
)
