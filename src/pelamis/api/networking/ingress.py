"""Ingress: which Service answers for a host and a path, for HTTP from outside; stored under ``/registry/ingress/``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import NONE
from pelamis.api.check import Errors, as_go, check_required_text, check_text
from pelamis.api.core.reference import TypedLocalObjectReference
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import invalid, not_supported, required


class ServiceBackendPort(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the port; not together with number.")] = ""
    number: Annotated[Int32, F(2, "Number of the port; not together with name.")] = 0


class IngressServiceBackend(Struct, frozen=True):
    name: Annotated[str, F(1, "The Service, in the namespace of the Ingress.", required=True)] = always(str)
    port: Annotated[ServiceBackendPort, F(2, "Port of the Service.")] = always(ServiceBackendPort)


class IngressBackend(Struct, frozen=True):
    service: Annotated[IngressServiceBackend | None, F(4, "A Service; not together with resource.")] = None
    resource: Annotated[
        TypedLocalObjectReference | None,
        F(3, "Another object in the namespace of the Ingress; not together with service."),
    ] = None


class IngressTLS(Struct, frozen=True):
    hosts: Annotated[
        tuple[str, ...], F(1, "Hosts that the certificate is for; *.example.com is allowed.", list="atomic")
    ] = ()
    secretName: Annotated[str, F(2, "Secret with tls.crt and tls.key.")] = ""


class HTTPIngressPath(Struct, frozen=True):
    path: Annotated[str, F(1, "Path that is matched; starts with a slash.")] = ""
    pathType: Annotated[
        str | None,
        F(
            3,
            "Exact, Prefix (by whole path elements) or ImplementationSpecific.",
            enum=(
                "Exact",
                "Prefix",
                "ImplementationSpecific",
            ),
            required=True,
        ),
    ] = None
    backend: Annotated[IngressBackend, F(2, "Where matching requests go.", required=True)] = always(IngressBackend)


class HTTPIngressRuleValue(Struct, frozen=True):
    paths: Annotated[
        tuple[HTTPIngressPath, ...], F(1, "Paths; the longest match wins.", list="atomic", required=True)
    ] = always(tuple)


class IngressRule(Struct, frozen=True):
    host: Annotated[str, F(1, "Host of the request, or *.example.com; any host if empty.")] = ""
    http: Annotated[HTTPIngressRuleValue | None, F(1, "Paths of the host.", within=(2,))] = None


class IngressSpec(Struct, frozen=True):
    ingressClassName: Annotated[str | None, F(4, "The IngressClass whose controller serves it.")] = None
    defaultBackend: Annotated[IngressBackend | None, F(1, "Where requests go that no rule matches.")] = None
    tls: Annotated[tuple[IngressTLS, ...], F(2, "Certificates for port 443.", list="atomic")] = ()
    rules: Annotated[tuple[IngressRule, ...], F(3, "Hosts and paths.", list="atomic")] = ()


class IngressPortStatus(Struct, frozen=True):
    port: Annotated[Int32, F(1, "Port number.", required=True)] = always(int)
    protocol: Annotated[
        str,
        F(
            2,
            "TCP, UDP or SCTP.",
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            required=True,
        ),
    ] = always(str)
    error: Annotated[str | None, F(3, "What is wrong with the port.")] = None


class IngressLoadBalancerIngress(Struct, frozen=True):
    ip: Annotated[str, F(1, "Address that traffic can be sent to.")] = ""
    hostname: Annotated[str, F(2, "Name that traffic can be sent to.")] = ""
    ports: Annotated[tuple[IngressPortStatus, ...], F(4, "State of the ports.", list="atomic")] = ()


class IngressLoadBalancerStatus(Struct, frozen=True):
    ingress: Annotated[
        tuple[IngressLoadBalancerIngress, ...], F(1, "Where traffic can be sent to.", list="atomic")
    ] = ()


class IngressStatus(Struct, frozen=True):
    loadBalancer: Annotated[IngressLoadBalancerStatus, F(1, "State of the load balancer.")] = always(
        IngressLoadBalancerStatus
    )


class Ingress(Struct, frozen=True):
    """Which Service answers for a host and a path, for HTTP from outside; stored under ``/registry/ingress/``."""

    kind: str = always(lambda: "Ingress")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[IngressSpec, F(2, "What is wanted.")] = always(IngressSpec)
    status: Annotated[IngressStatus, F(3, "What was observed; written by the system.")] = always(IngressStatus)


CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_BAD_SEQUENCES, _BAD_ENDINGS = ("//", "/./", "/../", "%2f", "%2F"), ("/..", "/.")
_MOST_HOSTS = 3


def _is_host(value: str) -> list[str]:
    if "*" in value:
        return names.is_wildcard_dns1123_subdomain(value)
    return names.is_dns1123_subdomain(value)


def _validate_resource(ref: TypedLocalObjectReference, path: str) -> Errors:
    errors: Errors = []
    if ref.apiGroup is not None:
        errors += check_text(names.is_dns1123_subdomain, ref.apiGroup, f"{path}.apiGroup")
    errors += check_required_text(names.is_path_segment, ref.kind, f"{path}.kind")
    errors += check_required_text(names.is_path_segment, ref.name, f"{path}.name")
    return errors


def _validate_service(service: IngressServiceBackend, path: str) -> Errors:
    where, port = f"{path}.service", service.port
    errors = check_required_text(names.is_dns1123_label, service.name, f"{where}.name")
    if port.name and port.number:
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif port.name:
        errors += check_text(names.is_port_name, port.name, f"{where}.port.name")
    elif port.number:
        errors += [invalid(f"{where}.port.number", port.number, m) for m in names.is_port_num(port.number)]
    else:
        errors.append(required(path, "port name or number is required"))
    return errors


def _validate_backend(backend: IngressBackend, path: str) -> Errors:
    if backend.resource is not None and backend.service is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if backend.resource is not None:
        return _validate_resource(backend.resource, f"{path}.resource")
    if backend.service is not None:
        return _validate_service(backend.service, path)
    return [invalid(path, "", "resource or service backend is required")]


def _validate_path(item: HTTPIngressPath, path: str) -> Errors:
    errors: Errors = []
    where, value = f"{path}.path", item.path
    if item.pathType is None:
        return [required(f"{path}.pathType", "pathType must be specified")]
    if item.pathType in ("Exact", "Prefix"):
        if not value.startswith("/"):
            errors.append(invalid(where, value, "must be an absolute path"))
        errors += [invalid(where, value, f"must not contain '{s}'") for s in _BAD_SEQUENCES if s in value]
        errors += [invalid(where, value, f"cannot end with '{s}'") for s in _BAD_ENDINGS if value.endswith(s)]
    elif item.pathType == "ImplementationSpecific":
        if value and not value.startswith("/"):
            errors.append(invalid(where, value, "must be an absolute path"))
    else:
        choices = ("Exact", "ImplementationSpecific", "Prefix")
        errors.append(not_supported(f"{path}.pathType", item.pathType, choices))
    return errors + _validate_backend(item.backend, f"{path}.backend")


def _validate_rule_value(rule: IngressRule, path: str) -> Errors:
    if rule.http is None:
        return []
    if not rule.http.paths:
        return [required(f"{path}.http.paths")]
    return [e for i, p in enumerate(rule.http.paths) for e in _validate_path(p, f"{path}.http.paths[{i}]")]


def _validate_rules(rules: tuple[IngressRule, ...], path: str, allow_wildcard_paths: bool) -> Errors:
    errors: Errors = []
    for i, rule in enumerate(rules):
        where = f"{path}[{i}]"
        if rule.host:
            if names.ip_family(rule.host):
                errors.append(invalid(f"{where}.host", rule.host, "must be a DNS name, not an IP address"))
            errors += check_text(_is_host, rule.host, f"{where}.host")
        if "*" not in rule.host or not allow_wildcard_paths:
            errors += _validate_rule_value(rule, where)
    return errors


def _validate_spec(spec: IngressSpec, old: IngressSpec | None) -> Errors:
    errors: Errors = []
    if not spec.rules and spec.defaultBackend is None:
        errors.append(invalid("spec", as_go(spec.rules), "either `defaultBackend` or `rules` must be specified"))
    if spec.defaultBackend is not None:
        errors += _validate_backend(spec.defaultBackend, "spec.defaultBackend")
    # what an older server let pass stays writable
    was = old or IngressSpec()
    wildcard = any("*" in r.host and _validate_rule_value(r, "") for r in was.rules)
    secret = any(t.secretName and names.is_dns1123_subdomain(t.secretName) for t in was.tls)
    errors += _validate_rules(spec.rules, "spec.rules", wildcard)
    for i, tls in enumerate(spec.tls):
        for k, host in enumerate(tls.hosts):
            errors += check_text(_is_host, host, f"spec.tls[{i}].hosts[{k}]")
        if tls.secretName and not secret:
            errors += check_text(names.is_dns1123_subdomain, tls.secretName, f"spec.tls[{i}].secretName")
    if spec.ingressClassName is not None:
        errors += check_text(names.is_dns1123_subdomain, spec.ingressClassName, "spec.ingressClassName")
    return errors


def validate(obj: Ingress) -> Errors:
    errors = _validate_spec(obj.spec, None)
    named, annotated = obj.spec.ingressClassName, obj.metadata.annotations.get(CLASS_ANNOTATION)
    if named is not None and annotated is not None and annotated != named:
        detail = "must match `ingressClassName` when both are specified"
        errors.append(invalid(f"annotations.{CLASS_ANNOTATION}", annotated, detail))
    return errors


def validate_update(obj: Ingress, old: Ingress) -> Errors:
    return _validate_spec(obj.spec, old.spec)


def validate_status_update(obj: Ingress, old: Ingress) -> Errors:
    errors: Errors = []
    before = {entry.ip for entry in old.status.loadBalancer.ingress}
    for i, entry in enumerate(obj.status.loadBalancer.ingress):
        path = f"status.loadBalancer.ingress[{i}]"
        if entry.ip and entry.ip not in before:
            errors += check_text(names.is_ip, entry.ip, f"{path}.ip")
        if entry.hostname:
            errors += check_text(names.is_dns1123_subdomain, entry.hostname, f"{path}.hostname")
            if names.ip_family(entry.hostname):
                detail = "must be a DNS name, not an IP address"
                errors.append(invalid(f"{path}.hostname", entry.hostname, detail))
    return errors


def _hosts(rules: tuple[IngressRule, ...]) -> str:
    text = ",".join(rule.host for rule in rules if rule.host and len(rule.host) > 0) or "*"
    shown = [rule.host for rule in rules if rule.host][:_MOST_HOSTS]
    more = len(rules) - _MOST_HOSTS
    return f"{','.join(shown)} + {more} more..." if more > 0 and len(shown) == _MOST_HOSTS else text


def warnings(obj: Ingress) -> list[str]:
    if CLASS_ANNOTATION not in obj.metadata.annotations or obj.spec.ingressClassName is not None:
        return []
    return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]


def cells(obj: Ingress, now: float) -> Sequence[Any]:
    addresses = dict.fromkeys(e.ip or e.hostname for e in obj.status.loadBalancer.ingress if e.ip or e.hostname)
    return (
        obj.metadata.name,
        obj.spec.ingressClassName or NONE,
        _hosts(obj.spec.rules),
        ",".join(addresses),
        "80, 443" if obj.spec.tls else "80",
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="networking.k8s.io",
    version="v1",
    type=Ingress,
    plural="ingresses",
    singular="ingress",
    short_names=("ing",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "networking.k8s.io", "v1", "Ingress", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Class", "string"),
        Column("Hosts", "string"),
        Column("Address", "string"),
        Column("Ports", "string"),
        Column("Age", "string"),
    ),
    storage_hash="39NQlfNR+bo=",
    cells=cells,
    validate=validate,
    warnings=warnings,
    warns_on_update=False,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    storage="ingress",
)
