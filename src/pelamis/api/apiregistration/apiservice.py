"""APIService: one group and version of the API, served here or by another server through aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_text
from pelamis.api.field import F, Int32, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import invalid, required


class ServiceReference(Struct, frozen=True):
    namespace: Annotated[str, F(1, "Namespace of the service.")] = ""
    name: Annotated[str, F(2, "Name of the service.")] = ""
    port: Annotated[Int32 | None, F(3, "Port of the service.", default=443)] = None


class APIServiceSpec(Struct, frozen=True):
    service: Annotated[ServiceReference | None, F(1, "Who serves it; unset means this server itself.")] = None
    group: Annotated[str, F(2, "API group.")] = ""
    version: Annotated[str, F(3, "API version.")] = ""
    insecureSkipTLSVerify: Annotated[bool, F(4, "Do not check the server's certificate.")] = False
    caBundle: Annotated[
        bytes,
        F(
            5,
            "PEM certificates that its server certificate is checked with; unset means those of the system.",
            list="atomic",
        ),
    ] = b""
    groupPriorityMinimum: Annotated[
        Int32, F(7, "Order among groups: larger comes first; 1 to 20000.", required=True)
    ] = always(int)
    versionPriority: Annotated[Int32, F(8, "Order within the group: larger comes first; 1 to 1000.", required=True)] = (
        always(int)
    )


class APIServiceCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Which condition this is.", required=True)] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    lastTransitionTime: Annotated[Time, F(3, "When the status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase: why it is so.")] = ""
    message: Annotated[str, F(5, "The same for people.")] = ""


class APIServiceStatus(Struct, frozen=True):
    conditions: Annotated[
        tuple[APIServiceCondition, ...],
        F(1, "Observations of its state, one of each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class APIService(Struct, frozen=True):
    """One group and version of the API, served here or by another server through aggregation."""

    kind: str = always(lambda: "APIService")
    apiVersion: str = always(lambda: "apiregistration.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[APIServiceSpec, F(2)] = always(APIServiceSpec)
    status: Annotated[APIServiceStatus, F(3)] = always(APIServiceStatus)


_MOST_GROUP, _MOST_VERSION = 20000, 1000


def _validate_local(spec: APIServiceSpec) -> Errors:
    errors: Errors = []
    if spec.caBundle:
        detail = "local APIServices may not have a caBundle"
        errors.append(invalid("spec.caBundle", f"{len(spec.caBundle)} bytes", detail))
    if spec.insecureSkipTLSVerify:
        detail = "local APIServices may not have insecureSkipTLSVerify"
        errors.append(invalid("spec.insecureSkipTLSVerify", spec.insecureSkipTLSVerify, detail))
    return errors


def _validate_remote(spec: APIServiceSpec, service: ServiceReference) -> Errors:
    errors: Errors = []
    for name in ("namespace", "name"):
        if not getattr(service, name):
            errors.append(required(f"spec.service.{name}"))
    if service.port is not None:
        wrong = names.is_port_num(service.port)
        errors += [invalid("spec.service.port", service.port, "port is not valid: " + m) for m in wrong]
    if spec.insecureSkipTLSVerify and spec.caBundle:
        detail = "may not be true if caBundle is present"
        errors.append(invalid("spec.insecureSkipTLSVerify", spec.insecureSkipTLSVerify, detail))
    return errors


def validate(obj: APIService) -> Errors:
    spec = obj.spec
    expected = f"{spec.version}.{spec.group}"
    errors: Errors = []
    if obj.metadata.name and obj.metadata.name != expected:
        detail = f'must be `spec.version+"."+spec.group`: "{expected}"'
        errors.append(invalid("metadata.name", obj.metadata.name, detail))
    if not spec.group and spec.version != "v1":
        errors.append(required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
    if spec.group:
        errors += check_text(names.is_dns1123_subdomain, spec.group, "spec.group")
    errors += check_text(names.is_dns1035_label, spec.version, "spec.version")
    for name, most in (("groupPriorityMinimum", _MOST_GROUP), ("versionPriority", _MOST_VERSION)):
        value = getattr(spec, name)
        if not 0 < value <= most:
            errors.append(invalid(f"spec.{name}", value, f"must be positive and less than {most}"))
    if spec.service is None:
        return errors + _validate_local(spec)
    return errors + _validate_remote(spec, spec.service)


def validate_update(obj: APIService, old: APIService) -> Errors:
    return validate(obj)


def validate_status_update(obj: APIService, old: APIService) -> Errors:
    return []


def _available(obj: APIService) -> str:
    for condition in obj.status.conditions:
        if condition.type == "Available":
            return "True" if condition.status == "True" else f"{condition.status} ({condition.reason})"
    return "Unknown"


def prepare_create(tree: Tree) -> None:
    """A group that this server itself serves is available from the start."""
    tree["status"] = {}
    if tree["spec"].get("service") is None:
        condition = {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": tree["metadata"].get("creationTimestamp"),
            "reason": "Local",
            "message": "Local APIServices are always available",
        }
        tree["status"] = {"conditions": [{k: v for k, v in condition.items() if v}]}


def cells(obj: APIService, now: float) -> Sequence[Any]:
    service = obj.spec.service
    return (
        obj.metadata.name,
        "Local" if service is None else f"{service.namespace}/{service.name}",
        _available(obj),
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="apiregistration.k8s.io",
    version="v1",
    type=APIService,
    plural="apiservices",
    singular="apiservice",
    categories=("api-extensions",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status",
            "apiregistration.k8s.io",
            "v1",
            "APIService",
            ("get", "patch", "update"),
            reset=("spec", "metadata"),
        ),
    ),
    reset=("status",),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Service", "string"),
        Column("Available", "string"),
        Column("Age", "string"),
    ),
    storage_hash="InPBPD7+PqM=",
    cells=cells,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    validate_name=names.is_path_segment,
    storage="apiregistration.k8s.io/apiservices",
)
