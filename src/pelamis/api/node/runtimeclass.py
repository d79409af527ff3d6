"""RuntimeClass: a name for a way to run containers: the handler of the runtime, its overhead and its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, as_go, check_immutable, check_required_text
from pelamis.api.core.pod.affinity import Toleration
from pelamis.api.core.pod.container import ResourceRequirements
from pelamis.api.core.pod.validate_affinity import check_tolerations
from pelamis.api.core.pod.validate_resources import check_requirements
from pelamis.api.core.pod.warnings import deprecated_label
from pelamis.api.field import F, Quantity, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.metavalidate import validate_labels
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import duplicate


class Overhead(Struct, frozen=True):
    podFixed: Annotated[dict[str, Quantity], F(1, "Resources that each pod costs.")] = {}


class Scheduling(Struct, frozen=True):
    nodeSelector: Annotated[dict[str, str], F(1, "Labels of nodes that have the handler.", map="atomic")] = {}
    tolerations: Annotated[tuple[Toleration, ...], F(2, "Added to the pods' own.", list="atomic")] = ()


class RuntimeClass(Struct, frozen=True):
    """A name for a way to run containers: the handler of the runtime, its overhead and its nodes."""

    kind: str = always(lambda: "RuntimeClass")
    apiVersion: str = always(lambda: "node.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    handler: Annotated[str, F(2, "Name of the runtime's configuration on the nodes.", required=True)] = always(str)
    overhead: Annotated[Overhead | None, F(3, "What a pod costs beyond its containers.")] = None
    scheduling: Annotated[Scheduling | None, F(4, "Which nodes can run it.")] = None


def _validate_scheduling(scheduling: Scheduling, path: str) -> Errors:
    errors = list(validate_labels(scheduling.nodeSelector, f"{path}.nodeSelector"))
    check_tolerations(scheduling.tolerations, f"{path}.tolerations", errors)
    for i, toleration in enumerate(scheduling.tolerations):
        if toleration in scheduling.tolerations[:i]:
            errors.append(duplicate(f"{path}.tolerations[{i}]", as_go(toleration)))
    return errors


def validate(obj: RuntimeClass) -> Errors:
    errors = check_required_text(names.is_dns1123_label, obj.handler, "handler")
    if obj.overhead is not None:
        check_requirements(ResourceRequirements(limits=obj.overhead.podFixed), (), "overhead", errors)
    if obj.scheduling is not None:
        errors += _validate_scheduling(obj.scheduling, "scheduling")
    return errors


def validate_update(obj: RuntimeClass, old: RuntimeClass) -> Errors:
    return check_immutable(obj.handler, old.handler, "handler")


def warnings(obj: RuntimeClass) -> list[str]:
    selector = obj.scheduling.nodeSelector if obj.scheduling is not None else {}
    return [f"scheduling.nodeSelector: {old}" for key in selector if (old := deprecated_label(key))]


def cells(obj: RuntimeClass, now: float) -> Sequence[Any]:
    return obj.metadata.name, obj.handler, age(obj.metadata.creationTimestamp, now)


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
    cells=cells,
    validate=validate,
    warnings=warnings,
    validate_update=validate_update,
)
