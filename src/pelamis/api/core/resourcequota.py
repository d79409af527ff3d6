"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Quantity, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class ScopedResourceSelectorRequirement(Struct, frozen=True):
    scopeName: Annotated[
        str,
        F(
            1,
            enum=(
                "Terminating",
                "NotTerminating",
                "BestEffort",
                "NotBestEffort",
                "PriorityClass",
                "CrossNamespacePodAffinity",
                "VolumeAttributesClass",
            ),
            required=True,
        ),
    ] = always(str)
    operator: Annotated[
        str,
        F(
            2,
            enum=(
                "In",
                "NotIn",
                "Exists",
                "DoesNotExist",
            ),
            required=True,
        ),
    ] = always(str)
    values: Annotated[tuple[str, ...], F(3, list="atomic")] = ()


class ScopeSelector(Struct, frozen=True):
    matchExpressions: Annotated[tuple[ScopedResourceSelectorRequirement, ...], F(1, list="atomic")] = ()


class ResourceQuotaSpec(Struct, frozen=True):
    hard: Annotated[dict[str, Quantity], F(1)] = {}
    scopes: Annotated[
        tuple[str, ...],
        F(
            2,
            list="atomic",
            enum=(
                "Terminating",
                "NotTerminating",
                "BestEffort",
                "NotBestEffort",
                "PriorityClass",
                "CrossNamespacePodAffinity",
                "VolumeAttributesClass",
            ),
        ),
    ] = ()
    scopeSelector: Annotated[ScopeSelector | None, F(3)] = None


class ResourceQuotaStatus(Struct, frozen=True):
    hard: Annotated[dict[str, Quantity], F(1)] = {}
    used: Annotated[dict[str, Quantity], F(2)] = {}


class ResourceQuota(Struct, frozen=True):
    kind: str = always(lambda: "ResourceQuota")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ResourceQuotaSpec, F(2)] = always(ResourceQuotaSpec)
    status: Annotated[ResourceQuotaStatus, F(3)] = always(ResourceQuotaStatus)


KIND = Kind(
    group="",
    version="v1",
    type=ResourceQuota,
    plural="resourcequotas",
    singular="resourcequota",
    short_names=("quota",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "", "v1", "ResourceQuota", ("get", "patch", "update"), reset=("spec",)),),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Age", "string"),
        Column("Request", "string"),
        Column("Limit", "string"),
    ),
    storage_hash="8uhSgffRX6w=",
)
