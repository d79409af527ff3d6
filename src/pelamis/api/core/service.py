"""Service: a stable address and name for a changing set of pods.

Validation expects a service to which the server has already given its addresses and ports (see ``serviceprepare``).
"""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.cell import format_labels
from pelamis.api.core.iptext import check_ip, check_not_special, warn_cidr, warn_ip
from pelamis.api.core.pod.validate_container import check_port_ref
from pelamis.api.core.serviceprepare import default, prepare_create, prepare_update
from pelamis.api.field import F, Int32, IntOrString, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.metavalidate import validate_labels
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required


class ServicePort(Struct, frozen=True):
    """A port of a service."""

    name: Annotated[str, F(1, "DNS label; needed when there are several ports.")] = ""
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
            default="TCP",
        ),
    ] = ""
    appProtocol: Annotated[str | None, F(6, "Protocol on top, for proxies and balancers.")] = None
    port: Annotated[Int32, F(3, "Port of the service.", required=True)] = always(int)
    targetPort: Annotated[IntOrString, F(4, "Port of the pods, by number or name; default port.")] = always(lambda: 0)
    nodePort: Annotated[Int32, F(5, "Port on every node, 30000 to 32767.")] = 0


class ClientIPConfig(Struct, frozen=True):
    """Settings of affinity by client address."""

    timeoutSeconds: Annotated[Int32 | None, F(1, "How long a client stays with a pod, 1 to 86400; default 10800.")] = (
        None
    )


class SessionAffinityConfig(Struct, frozen=True):
    """Settings of session affinity."""

    clientIP: Annotated[ClientIPConfig | None, F(1, "For ClientIP.")] = None


class ServiceSpec(Struct, frozen=True):
    """How a service is reached, and what is behind it."""

    ports: Annotated[
        tuple[ServicePort, ...],
        F(
            1,
            "The ports.",
            merge="merge",
            key="port",
            list="map",
            keys=(
                "port",
                "protocol",
            ),
        ),
    ] = ()
    selector: Annotated[
        dict[str, str], F(2, "Labels of the pods behind it; empty: somebody else keeps its endpoints.", map="atomic")
    ] = {}
    clusterIP: Annotated[str, F(3, "Its address; None: none, DNS gives the pods' addresses.")] = ""
    clusterIPs: Annotated[
        tuple[str, ...], F(18, "Its addresses, at most one of each family; the first is clusterIP.", list="atomic")
    ] = ()
    type: Annotated[
        str,
        F(
            4,
            "ClusterIP, NodePort, LoadBalancer or ExternalName.",
            enum=(
                "ClusterIP",
                "NodePort",
                "LoadBalancer",
                "ExternalName",
            ),
            default="ClusterIP",
        ),
    ] = ""
    externalIPs: Annotated[
        tuple[str, ...], F(5, "Addresses of nodes that take traffic for it as well; deprecated.", list="atomic")
    ] = ()
    sessionAffinity: Annotated[
        str,
        F(
            7,
            "None or ClientIP.",
            enum=(
                "ClientIP",
                "None",
            ),
            default="None",
        ),
    ] = ""
    loadBalancerIP: Annotated[str, F(8, "Wanted address of the balancer; deprecated.")] = ""
    loadBalancerSourceRanges: Annotated[tuple[str, ...], F(9, "Clients that the balancer lets in.", list="atomic")] = ()
    externalName: Annotated[str, F(10, "DNS name that the service stands for; with ExternalName.")] = ""
    externalTrafficPolicy: Annotated[
        str,
        F(
            11,
            "Cluster, or Local: traffic from outside goes to pods of the same node only.",
            enum=(
                "Cluster",
                "Local",
            ),
        ),
    ] = ""
    healthCheckNodePort: Annotated[Int32, F(12, "Port where balancers ask nodes for local pods.")] = 0
    publishNotReadyAddresses: Annotated[bool, F(13, "Whether pods that are not ready count as endpoints.")] = False
    sessionAffinityConfig: Annotated[SessionAffinityConfig | None, F(14, "Settings of session affinity.")] = None
    ipFamilies: Annotated[
        tuple[str, ...],
        F(
            19,
            "IPv4, IPv6; the first is fixed.",
            list="atomic",
            enum=(
                "IPv4",
                "IPv6",
                "",
            ),
        ),
    ] = ()
    ipFamilyPolicy: Annotated[
        str | None,
        F(
            17,
            "SingleStack, PreferDualStack or RequireDualStack.",
            enum=(
                "SingleStack",
                "PreferDualStack",
                "RequireDualStack",
            ),
        ),
    ] = None
    allocateLoadBalancerNodePorts: Annotated[
        bool | None, F(20, "Whether a LoadBalancer gets node ports; default true.")
    ] = None
    loadBalancerClass: Annotated[str | None, F(21, "Which balancer implementation is meant.")] = None
    internalTrafficPolicy: Annotated[
        str | None,
        F(
            22,
            "Cluster, or Local: traffic from pods goes to pods of the same node only.",
            enum=(
                "Cluster",
                "Local",
            ),
        ),
    ] = None
    trafficDistribution: Annotated[
        str | None, F(23, "PreferSameZone, PreferSameNode, or PreferClose (old name of PreferSameZone).")
    ] = None


class PortStatus(Struct, frozen=True):
    """State of a port of the balancer."""

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
    error: Annotated[str | None, F(3, "What is wrong, one CamelCase word.")] = None


class LoadBalancerIngress(Struct, frozen=True):
    """Where the balancer takes traffic."""

    ip: Annotated[str, F(1, "Address.")] = ""
    hostname: Annotated[str, F(2, "Name, where it has no address.")] = ""
    ipMode: Annotated[
        str | None, F(3, "VIP (default), or Proxy: traffic from inside goes through the balancer too.")
    ] = None
    ports: Annotated[tuple[PortStatus, ...], F(4, "State of its ports.", list="atomic")] = ()


class LoadBalancerStatus(Struct, frozen=True):
    """State of the balancer."""

    ingress: Annotated[tuple[LoadBalancerIngress, ...], F(1, "Where it takes traffic.", list="atomic")] = ()


class ServiceStatus(Struct, frozen=True):
    """State of a service."""

    loadBalancer: Annotated[LoadBalancerStatus, F(1, "State of the balancer.")] = always(LoadBalancerStatus)
    conditions: Annotated[
        tuple[Condition, ...], F(2, "Aspects of the state.", merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class Service(Struct, frozen=True):
    """A stable address and name for a changing set of pods."""

    kind: str = always(lambda: "Service")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    spec: Annotated[ServiceSpec, F(2, "What is wanted.")] = always(ServiceSpec)
    status: Annotated[ServiceStatus, F(3, "What is.")] = always(ServiceStatus)


_Errors = list[FieldError]
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_MAX_AFFINITY = 86400
_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
_TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_LB_ONLY = "may only be used when `type` is 'LoadBalancer'"
_ONCE = "may not change once set"


def is_headless(obj: Service) -> bool:
    """No address of its own: DNS answers with the pods' addresses."""
    return obj.spec.clusterIPs == ("None",)


def is_external(obj: Service) -> bool:
    """Reachable from outside the cluster."""
    spec = obj.spec
    return spec.type in ("LoadBalancer", "NodePort") or (spec.type == "ClusterIP" and bool(spec.externalIPs))


def needs_health_check(obj: Service) -> bool:
    return obj.spec.type == "LoadBalancer" and obj.spec.externalTrafficPolicy == "Local"


def validate(obj: Service) -> list[FieldError]:
    errors: _Errors = []
    spec, annotations = obj.spec, obj.metadata.annotations
    hints, mode = annotations.get(_TOPOLOGY_HINTS), annotations.get(_TOPOLOGY_MODE)
    if hints is not None and mode is not None and hints != mode:
        detail = f"must match annotations[{_TOPOLOGY_HINTS}] when both are specified"
        errors.append(invalid(f"metadata.annotations[{_TOPOLOGY_MODE}]", mode, detail))
    headless = is_headless(obj)
    if not spec.ports and not headless and spec.type != "ExternalName":
        errors.append(required("spec.ports"))
    if headless and spec.type in ("LoadBalancer", "NodePort"):
        errors.append(invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {spec.type} services"))
    elif spec.type == "ExternalName":
        _check_external_name(spec, errors)
    seen: set[str] = set()
    for i, port in enumerate(spec.ports):
        _check_port(port, len(spec.ports) > 1, seen, f"spec.ports[{i}]", errors)
    if spec.selector:
        errors.extend(validate_labels(spec.selector, "spec.selector"))
    _check_affinity(spec, errors)
    errors.extend(validate_addresses(obj))
    for i, ip in enumerate(spec.externalIPs):
        at = f"spec.externalIPs[{i}]"
        if check_ip(ip, at, errors):
            check_not_special(ip, at, errors)
    if not spec.type:
        errors.append(required("spec.type"))
    elif spec.type not in _TYPES:
        errors.append(not_supported("spec.type", spec.type, _TYPES))
    _check_port_numbers(spec, errors)
    _check_load_balancer(obj, errors)
    _check_traffic(obj, errors)
    return errors


def _check_external_name(spec: ServiceSpec, errors: _Errors) -> None:
    detail = "may not be set for ExternalName services"
    for name in ("clusterIPs", "ipFamilies"):
        if getattr(spec, name):
            errors.append(forbidden(f"spec.{name}", detail))
    if spec.ipFamilyPolicy is not None:
        errors.append(forbidden("spec.ipFamilyPolicy", detail))
    target = spec.externalName.removesuffix(".")
    if not target:
        errors.append(required("spec.externalName"))
    else:
        errors.extend(invalid("spec.externalName", target, m) for m in names.is_dns1123_subdomain(target))


def _check_port(port: ServicePort, named: bool, seen: set[str], path: str, errors: _Errors) -> None:
    if named and not port.name:
        errors.append(required(f"{path}.name"))
    elif port.name:
        errors.extend(invalid(f"{path}.name", port.name, m) for m in names.is_dns1123_label(port.name))
        if port.name in seen:
            errors.append(duplicate(f"{path}.name", port.name))
        seen.add(port.name)
    errors.extend(invalid(f"{path}.port", port.port, m) for m in names.is_port_num(port.port))
    if not port.protocol:
        errors.append(required(f"{path}.protocol"))
    elif port.protocol not in _PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", port.protocol, _PROTOCOLS))
    check_port_ref(port.targetPort, f"{path}.targetPort", errors)
    protocol = port.appProtocol
    if protocol is not None:
        errors.extend(invalid(f"{path}.appProtocol", protocol, m) for m in names.is_qualified_name(protocol))


def _check_affinity(spec: ServiceSpec, errors: _Errors) -> None:
    kind, config = spec.sessionAffinity, spec.sessionAffinityConfig
    at = "spec.sessionAffinityConfig"
    if not kind:
        errors.append(required("spec.sessionAffinity"))
    elif kind not in ("ClientIP", "None"):
        errors.append(not_supported("spec.sessionAffinity", kind, ("ClientIP", "None")))
    if kind == "None" and config is not None:
        errors.append(forbidden(at, "must not be set when session affinity is None"))
    if kind != "ClientIP":
        return
    detail = "when session affinity type is ClientIP"
    if config is None:
        errors.append(required(at, detail))
    elif config.clientIP is None:
        errors.append(required(f"{at}.clientIP", detail))
    elif config.clientIP.timeoutSeconds is None:
        errors.append(required(f"{at}.clientIP.timeoutSeconds", detail))
    elif not 0 < config.clientIP.timeoutSeconds <= _MAX_AFFINITY:
        shown = f"must be greater than 0 and less than {_MAX_AFFINITY}"
        errors.append(invalid(f"{at}.clientIP.timeoutSeconds", config.clientIP.timeoutSeconds, shown))


def validate_addresses(obj: Service) -> list[FieldError]:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy: each in itself, and together."""
    spec = obj.spec
    errors: _Errors = []
    if spec.type == "ExternalName":
        return errors
    ips, families, at = spec.clusterIPs, spec.ipFamilies, "spec.clusterIPs"
    if spec.clusterIP:
        if not ips:
            errors.append(required(at))
        elif ips[0] != spec.clusterIP:
            errors.append(invalid(at, ips, "first value must match `clusterIP`"))
    elif ips:
        errors.append(invalid(at, ips, "must be empty when `clusterIP` is not specified"))
    for i, family in enumerate(families):
        if family not in ("IPv4", "IPv6"):
            errors.append(not_supported(f"spec.ipFamilies[{i}]", family, ("IPv4", "IPv6")))
        if family in families[:i]:
            errors.append(duplicate(f"spec.ipFamilies[{i}]", family))
    policy = spec.ipFamilyPolicy
    if policy is not None and policy not in _POLICIES:
        errors.append(not_supported("spec.ipFamilyPolicy", policy, _POLICIES))
    wrong = False
    for i, ip in enumerate(ips):
        if i == 0 and ip == "None":
            if len(ips) > 1:
                wrong = True
                errors.append(invalid(at, ips, "'None' must be the first and only value"))
            continue
        wrong = not check_ip(ip, f"{at}[{i}]", errors) or wrong
    if len(ips) > 2:
        errors.append(invalid(at, ips, "may only hold up to 2 values"))
    if wrong:
        return errors
    if len(ips) > 1 and {names.ip_family(ip) for ip in ips} != {4, 6}:
        errors.append(invalid(at, ips, "may specify no more than one IP for each IP family"))
    if not is_headless(obj):
        for i, (ip, family) in enumerate(zip(ips, families, strict=False)):
            if family in ("IPv4", "IPv6") and f"IPv{names.ip_family(ip)}" != family:
                detail = f"expected an {family} value as indicated by `ipFamilies[{i}]`"
                errors.append(invalid(f"{at}[{i}]", ip, detail))
    return errors


_EMPTY_PORT = {"Name": "", "Protocol": "", "AppProtocol": None, "Port": 0, "TargetPort": 0, "NodePort": 0}
"""What a message shows of a port besides."""


def _check_port_numbers(spec: ServiceSpec, errors: _Errors) -> None:
    used: set[tuple[str, int]] = set()
    if spec.type == "ClusterIP":
        for i, port in enumerate(spec.ports):
            if port.nodePort:
                errors.append(forbidden(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'"))
    for i, port in enumerate(spec.ports):
        if not port.nodePort:
            continue
        if (port.protocol, port.nodePort) in used:
            errors.append(duplicate(f"spec.ports[{i}].nodePort", port.nodePort))
        used.add((port.protocol, port.nodePort))
    seen: set[tuple[str, int]] = set()
    for i, port in enumerate(spec.ports):
        if (port.protocol, port.port) in seen:
            errors.append(duplicate(f"spec.ports[{i}]", {**_EMPTY_PORT, "Protocol": port.protocol, "Port": port.port}))
        seen.add((port.protocol, port.port))


def _check_load_balancer(obj: Service, errors: _Errors) -> None:
    spec, balanced = obj.spec, obj.spec.type == "LoadBalancer"
    text = obj.metadata.annotations.get(_SOURCE_RANGES)
    if spec.loadBalancerSourceRanges:
        at = "spec.LoadBalancerSourceRanges"
        if not balanced:
            errors.append(forbidden(at, _LB_ONLY))
        for i, value in enumerate(spec.loadBalancerSourceRanges):
            errors.extend(invalid(f"{at}[{i}]", value.strip(), m) for m in names.is_cidr(value.strip()))
    elif text is not None:
        at = f"metadata.annotations[{_SOURCE_RANGES}]"
        if not balanced:
            errors.append(forbidden(at, _LB_ONLY))
        for value in text.strip().split(",") if text.strip() else ():
            errors.extend(invalid(at, value.strip(), m) for m in names.is_cidr(value.strip()))
    if balanced and spec.allocateLoadBalancerNodePorts is None:
        errors.append(required("allocateLoadBalancerNodePorts"))
    elif not balanced and spec.allocateLoadBalancerNodePorts is not None:
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", _LB_ONLY))
    name = spec.loadBalancerClass
    if name is not None:
        if balanced:
            errors.extend(invalid("spec.loadBalancerClass", name, m) for m in names.is_qualified_name(name))
        else:
            errors.append(forbidden("spec.loadBalancerClass", _LB_ONLY))


def _check_traffic(obj: Service, errors: _Errors) -> None:
    spec = obj.spec
    at, policy = "spec.externalTrafficPolicy", spec.externalTrafficPolicy
    if not is_external(obj):
        if policy:
            errors.append(invalid(at, policy, "may only be set for externally-accessible services"))
    elif not policy:
        errors.append(required(at))
    elif policy not in ("Cluster", "Local"):
        errors.append(not_supported(at, policy, ("Cluster", "Local")))
    at, port = "spec.healthCheckNodePort", spec.healthCheckNodePort
    if not needs_health_check(obj):
        if port:
            detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.append(invalid(at, port, detail))
    elif not port:
        errors.append(required(at))
    else:
        errors.extend(invalid(at, port, m) for m in names.is_port_num(port))
    at, internal = "spec.internalTrafficPolicy", spec.internalTrafficPolicy
    if internal is None:
        if spec.type in ("ClusterIP", "LoadBalancer", "NodePort"):
            errors.append(required(at))
    elif internal not in ("Cluster", "Local"):
        errors.append(not_supported(at, internal, ("Cluster", "Local")))
    distribution = spec.trafficDistribution
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        errors.append(not_supported("spec.trafficDistribution", distribution, _DISTRIBUTIONS))


def validate_update(obj: Service, old: Service) -> list[FieldError]:
    errors: _Errors = []
    new, was = obj.spec, old.spec
    if "ExternalName" not in (new.type, was.type):
        headless, before = is_headless(obj), is_headless(old)
        if not (headless and before):
            _check_address_change(new, was, errors)
        if not headless and not before:
            _check_family_change(new, was, errors)
    if new.type == was.type == "LoadBalancer" and new.loadBalancerClass != was.loadBalancerClass:
        errors.append(invalid("spec.loadBalancerClass", new.loadBalancerClass, _ONCE))
    if needs_health_check(obj) and needs_health_check(old) and new.healthCheckNodePort != was.healthCheckNodePort:
        errors.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return errors + validate(obj)


def _check_release(new: ServiceSpec, what: str, errors: _Errors) -> None:
    if new.ipFamilyPolicy != "SingleStack":
        detail = f"must be set to 'SingleStack' when releasing the secondary {what}"
        errors.append(invalid("spec.ipFamilyPolicy", new.ipFamilyPolicy, detail))


def _check_address_change(new: ServiceSpec, was: ServiceSpec, errors: _Errors) -> None:
    ips, before = new.clusterIPs, was.clusterIPs
    if len(ips) == len(before):
        for i, (ip, old_ip) in enumerate(zip(ips, before, strict=True)):
            if ip != old_ip:
                errors.append(invalid(f"spec.clusterIPs[{i}]", ips, _ONCE))
        return
    if not ips:
        errors.append(invalid("spec.clusterIPs[0]", ips, "primary clusterIP can not be unset"))
    elif before and ips[0] != before[0]:
        errors.append(invalid("spec.clusterIPs[0]", ips, _ONCE))
    if len(before) > len(ips) == 1:
        _check_release(new, "clusterIP", errors)


def _check_family_change(new: ServiceSpec, was: ServiceSpec, errors: _Errors) -> None:
    families, before, at = new.ipFamilies, was.ipFamilies, "spec.ipFamilies[0]"
    if len(families) == len(before):
        errors.extend(invalid(at, families, _ONCE) for a, b in zip(families, before, strict=True) if a != b)
        return
    if len(before) > len(families) and not new.clusterIPs:
        errors.append(invalid(at, families, "primary ipFamily can not be unset"))
    if before and families and families[0] != before[0]:
        errors.append(invalid(at, new.clusterIPs, _ONCE))
    if len(before) > len(families) == 1:
        _check_release(new, "ipFamily", errors)


def validate_status_update(obj: Service, old: Service) -> list[FieldError]:
    errors: _Errors = []
    path, ingress = "status.loadBalancer.ingress", obj.status.loadBalancer.ingress
    if ingress and obj.spec.type != "LoadBalancer":
        return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    for i, entry in enumerate(ingress):
        at, mode = f"{path}[{i}]", entry.ipMode
        if entry.ip:
            check_ip(entry.ip, f"{at}.ip", errors)
        if mode is None:
            if entry.ip:
                errors.append(required(f"{at}.ipMode", "must be specified when `ip` is set"))
        elif not entry.ip:
            errors.append(forbidden(f"{at}.ipMode", "may not be specified when `ip` is not set"))
        elif mode not in ("Proxy", "VIP"):
            errors.append(not_supported(f"{at}.ipMode", mode, ("Proxy", "VIP")))
        host = entry.hostname
        if host:
            errors.extend(invalid(f"{at}.hostname", host, m) for m in names.is_dns1123_subdomain(host))
            if names.ip_family(host):
                errors.append(invalid(f"{at}.hostname", host, "must be a DNS name, not an IP address"))
    return errors


def warnings(obj: Service) -> list[str]:
    spec = obj.spec
    out: list[str] = []
    if _TOPOLOGY_HINTS in obj.metadata.annotations:
        out.append(f"annotation {_TOPOLOGY_HINTS} is deprecated, please use {_TOPOLOGY_MODE} instead")
    headless = spec.type == "ClusterIP" and spec.clusterIP == "None"
    if spec.clusterIP and not headless:
        for i, ip in enumerate(spec.clusterIPs):
            out += warn_ip(f"spec.clusterIPs[{i}]", ip)
    if headless:
        if spec.loadBalancerIP:
            out.append("spec.loadBalancerIP is ignored for headless services")
        if spec.externalIPs:
            out.append("spec.externalIPs is ignored for headless services")
        if spec.sessionAffinity != "None":
            out.append("spec.SessionAffinity is ignored for headless services")
    for i, ip in enumerate(spec.externalIPs):
        out += warn_ip(f"spec.externalIPs[{i}]", ip)
    named = spec.type == "ExternalName"
    if spec.externalIPs and not headless and not named:
        out.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.loadBalancerIP:
        out += warn_ip("spec.loadBalancerIP", spec.loadBalancerIP)
    for i, text in enumerate(spec.loadBalancerSourceRanges):
        out += warn_cidr(f"spec.loadBalancerSourceRanges[{i}]", text)
    if named and spec.externalIPs:
        out.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if not named and spec.externalName:
        out.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.trafficDistribution == "PreferClose":
        out.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return out


def external_ip(obj: Service) -> str:
    """The EXTERNAL-IP column."""
    spec = obj.spec
    if spec.type in ("ClusterIP", "NodePort"):
        return ",".join(spec.externalIPs) or "<none>"
    if spec.type == "LoadBalancer":
        given = dict.fromkeys(i.ip or i.hostname for i in obj.status.loadBalancer.ingress)
        return ",".join([g for g in given if g] + list(spec.externalIPs)) or "<pending>"
    return spec.externalName if spec.type == "ExternalName" else "<unknown>"


def port_text(port: ServicePort) -> str:
    """``80/TCP``, with a node port ``80:30080/TCP``."""
    node = f":{port.nodePort}" if port.nodePort > 0 else ""
    return f"{port.port}{node}/{port.protocol}"


def cells(obj: Service, now: float) -> tuple[Any, ...]:
    spec = obj.spec
    return (
        obj.metadata.name,
        spec.type,
        spec.clusterIPs[0] if spec.clusterIPs else "<none>",
        external_ip(obj),
        ",".join(port_text(p) for p in spec.ports) or "<none>",
        age(obj.metadata.creationTimestamp, now),
        format_labels(spec.selector),
    )


TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
DEPRECATED_HINTS = "service.kubernetes.io/topology-aware-hints"


def topology_mode(obj: Service) -> str:
    """``Auto``: its endpoints are shared out among zones by the CPU of their nodes; else ""."""
    annotations = obj.metadata.annotations
    return "Auto" if annotations.get(DEPRECATED_HINTS, annotations.get(TOPOLOGY_MODE)) in ("Auto", "auto") else ""


def _topology(obj: Service) -> tuple[str, ...]:
    mode = topology_mode(obj)
    return (mode,) if mode else ()


KIND = Kind(
    group="",
    version="v1",
    type=Service,
    plural="services",
    singular="service",
    short_names=("svc",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("proxy", "", "v1", "ServiceProxyOptions", ("create", "delete", "get", "patch", "update")),
        Subresource("status", "", "v1", "Service", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    indexes={"topology": _topology},
    create_on_update=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Type", "string"),
        Column("Cluster-IP", "string"),
        Column("External-IP", "string"),
        Column("Port(s)", "string"),
        Column("Age", "string"),
        Column("Selector", "string", priority=1),
    ),
    storage_hash="0/CO1lhkEBI=",
    storage="services/specs",
    cells=cells,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    validate_name=names.is_dns1123_label,
    warnings=warnings,
    selectable={
        "spec.clusterIP": lambda service: service.spec.clusterIP,
        "spec.type": lambda service: service.spec.type,
    },
)
