"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class NamespaceSpec(Struct, frozen=True):
    finalizers: Annotated[tuple[str, ...], F(1, list="atomic")] = ()


class NamespaceCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(2, required=True)] = always(str)
    lastTransitionTime: Annotated[Time, F(4)] = ""
    reason: Annotated[str, F(5)] = ""
    message: Annotated[str, F(6)] = ""


class NamespaceStatus(Struct, frozen=True):
    phase: Annotated[
        str,
        F(
            1,
            enum=(
                "Active",
                "Terminating",
            ),
            default="Active",
        ),
    ] = ""
    conditions: Annotated[
        tuple[NamespaceCondition, ...], F(2, merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class Namespace(Struct, frozen=True):
    kind: str = always(lambda: "Namespace")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[NamespaceSpec, F(2)] = always(NamespaceSpec)
    status: Annotated[NamespaceStatus, F(3)] = always(NamespaceStatus)


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
    # selectable: status.phase
    storage_hash="Q3oi5N2YM8M=",
)
