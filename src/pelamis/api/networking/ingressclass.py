"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class IngressClassParametersReference(Struct, frozen=True):
    apiGroup: Annotated[str | None, F(1)] = None
    kind: Annotated[str, F(2, required=True)] = always(str)
    name: Annotated[str, F(3, required=True)] = always(str)
    scope: Annotated[str | None, F(4)] = None
    namespace: Annotated[str | None, F(5)] = None


class IngressClassSpec(Struct, frozen=True):
    controller: Annotated[str, F(1)] = ""
    parameters: Annotated[IngressClassParametersReference | None, F(2)] = None


class IngressClass(Struct, frozen=True):
    kind: str = always(lambda: "IngressClass")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[IngressClassSpec, F(2)] = always(IngressClassSpec)


KIND = Kind(
    group="networking.k8s.io",
    version="v1",
    type=IngressClass,
    plural="ingressclasses",
    singular="ingressclass",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Controller", "string"),
        Column("Parameters", "string"),
        Column("Age", "string"),
    ),
    storage_hash="l/iqIbDgFyQ=",
)
