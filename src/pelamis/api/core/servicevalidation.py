"""What a Service may say, and what it is warned of.

Expected is a Service to which the server has already given its addresses and ports (see ``serviceprepare``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pelamis.api.core.iptext import check_ip, check_not_special, warn_cidr, warn_ip
from pelamis.api.core.pod.validate_container import check_port_ref
from pelamis.api.metavalidate import validate_labels
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required

if TYPE_CHECKING:
    from pelamis.api.core.service import Service, ServicePort, ServiceSpec

_Errors = list[FieldError]
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_MAX_AFFINITY = 86400
TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
DEPRECATED_HINTS = "service.kubernetes.io/topology-aware-hints"
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
    hints, mode = annotations.get(DEPRECATED_HINTS), annotations.get(TOPOLOGY_MODE)
    if hints is not None and mode is not None and hints != mode:
        detail = f"must match annotations[{DEPRECATED_HINTS}] when both are specified"
        errors.append(invalid(f"metadata.annotations[{TOPOLOGY_MODE}]", mode, detail))
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
    if DEPRECATED_HINTS in obj.metadata.annotations:
        out.append(f"annotation {DEPRECATED_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead")
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
