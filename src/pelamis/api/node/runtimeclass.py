"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.affinity import Toleration
from pelamis.api.field import F, Quantity, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta


class Overhead(Struct, frozen=True):
    podFixed: Annotated[dict[str, Quantity], F(1)] = {}


class Scheduling(Struct, frozen=True):
    nodeSelector: Annotated[dict[str, str], F(1, map="atomic")] = {}
    tolerations: Annotated[tuple[Toleration, ...], F(2, list="atomic")] = ()


class RuntimeClass(Struct, frozen=True):
    kind: str = always(lambda: "RuntimeClass")
    apiVersion: str = always(lambda: "node.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    handler: Annotated[str, F(2, required=True)] = always(str)
    overhead: Annotated[Overhead | None, F(3)] = None
    scheduling: Annotated[Scheduling | None, F(4)] = None


KIND = Kind(
    group="node.k8s.io",
    version="v1",
    type=RuntimeClass,
    plural="runtimeclasses",
    singular="runtimeclass",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Handler", "string"),
        Column("Age", "string"),
    ),
    storage_hash="WQTu1GL3T2Q=",
)
