"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.resource.device import ResourceClaimSpec


class ResourceClaimTemplateSpec(Struct, frozen=True):
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ResourceClaimSpec, F(2)] = always(ResourceClaimSpec)


class ResourceClaimTemplate(Struct, frozen=True):
    kind: str = always(lambda: "ResourceClaimTemplate")
    apiVersion: str = always(lambda: "resource.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ResourceClaimTemplateSpec, F(2)] = always(ResourceClaimTemplateSpec)


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
)
