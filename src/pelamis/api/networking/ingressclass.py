"""IngressClass: which controller serves the Ingresses that name it.

The annotation ``ingressclass.kubernetes.io/is-default-class: "true"`` makes it the class of Ingresses that name none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import NONE
from pelamis.api.check import Errors, check_choice, check_immutable, check_required_text, check_text
from pelamis.api.field import F, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import forbidden, required, too_long


class IngressClassParametersReference(Struct, frozen=True):
    apiGroup: Annotated[str | None, F(1, "Group of the object; the core group if unset.")] = None
    kind: Annotated[str, F(2, "Kind of the object referred to.", required=True)] = always(str)
    name: Annotated[str, F(3, "Name of the object referred to.", required=True)] = always(str)
    scope: Annotated[str | None, F(4, "Cluster or Namespace; Cluster if unset.")] = None
    namespace: Annotated[str | None, F(5, "Namespace of the object, when scope is Namespace.")] = None


class IngressClassSpec(Struct, frozen=True):
    controller: Annotated[str, F(1, "The controller, such as example.com/ingress; cannot change.")] = ""
    parameters: Annotated[IngressClassParametersReference | None, F(2, "Further configuration for the controller.")] = (
        None
    )


class IngressClass(Struct, frozen=True):
    """Which controller serves the Ingresses that name it."""

    kind: str = always(lambda: "IngressClass")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[IngressClassSpec, F(2, "What is wanted.")] = always(IngressClassSpec)


_LONGEST_CONTROLLER = 250


def default(tree: Tree) -> None:
    parameters = tree.setdefault("spec", {}).get("parameters")
    if parameters is not None and parameters.get("scope") is None:
        parameters["scope"] = "Cluster"


def _validate_parameters(ref: IngressClassParametersReference, path: str) -> Errors:
    errors: Errors = []
    if ref.apiGroup is not None:
        errors += check_text(names.is_dns1123_subdomain, ref.apiGroup, f"{path}.apiGroup")
    errors += check_required_text(names.is_path_segment, ref.kind, f"{path}.kind")
    errors += check_required_text(names.is_path_segment, ref.name, f"{path}.name")
    if ref.scope is None:
        return [*errors, required(f"{path}.scope")]
    errors += check_choice(ref.scope, f"{path}.scope", ("Cluster", "Namespace"))
    if ref.scope == "Namespace":
        if ref.namespace is None:
            errors.append(required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
        else:
            errors += check_text(names.is_dns1123_label, ref.namespace, f"{path}.namespace")
    elif ref.scope == "Cluster" and ref.namespace is not None:
        errors.append(forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return errors


def validate(obj: IngressClass) -> Errors:
    path, controller = "spec.controller", obj.spec.controller
    errors: Errors = []
    if len(controller.encode()) > _LONGEST_CONTROLLER:
        errors.append(too_long(path, _LONGEST_CONTROLLER))
    errors += check_required_text(names.is_domain_prefixed_path, controller, path)
    if obj.spec.parameters is not None:
        errors += _validate_parameters(obj.spec.parameters, "spec.parameters")
    return errors


def validate_update(obj: IngressClass, old: IngressClass) -> Errors:
    return check_immutable(obj.spec.controller, old.spec.controller, "spec.controller") + validate(obj)


def cells(obj: IngressClass, now: float) -> Sequence[Any]:
    ref = obj.spec.parameters
    parameters = NONE
    if ref is not None:
        kind = ref.kind if ref.apiGroup is None else f"{ref.kind}.{ref.apiGroup}"
        parameters = f"{kind}/{ref.name}"
    return obj.metadata.name, obj.spec.controller, parameters, age(obj.metadata.creationTimestamp, now)


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
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
)
