"""Validation of a pod spec as a whole: containers and volumes are checked in their own modules."""

from __future__ import annotations

from collections.abc import Sequence

from pelamis.api.core.pod.container import ResourceRequirements
from pelamis.api.core.pod.spec import PodDNSConfig, PodResourceClaim, PodSpec
from pelamis.api.core.pod.validate_affinity import (
    check_affinity,
    check_label_key,
    check_scheduling_gates,
    check_spread_constraints,
    check_tolerations,
)
from pelamis.api.core.pod.validate_container import (
    Scope,
    check_containers,
    check_ephemeral_containers,
    check_init_containers,
)
from pelamis.api.core.pod.validate_resources import check_pod_resources, check_requirements
from pelamis.api.core.pod.validate_security import (
    check_host_process,
    check_linux_pod,
    check_pod_security,
    check_windows_pod,
)
from pelamis.api.core.pod.validate_volume import check_volumes
from pelamis.api.metavalidate import validate_labels
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required

Errors = list[FieldError]
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MAX_INT32 = 2147483647


def check_pod_spec(spec: PodSpec, path: str, errors: Errors, *, pod_name: str = "", is_pod: bool = False) -> None:
    """``pod_name``: known for pods only. is_pod: the spec is a Pod's and not a template's."""
    grace = spec.terminationGracePeriodSeconds
    if grace is None:
        errors.append(required(f"{path}.terminationGracePeriodSeconds"))
    volumes = check_volumes(spec.volumes, pod_name, is_pod, f"{path}.volumes", errors) if spec.volumes else {}
    claims: Sequence[str] = ()
    if spec.resourceClaims:
        claims = [c.name for c in spec.resourceClaims if c.name]
        _check_claims(spec.resourceClaims, f"{path}.resourceClaims", errors)
    host_users = spec.hostUsers is not False
    system = spec.os.name if spec.os is not None else ""
    scope = Scope(volumes, claims, spec.restartPolicy, host_users, grace, system)
    check_containers(spec.containers, scope, f"{path}.containers", errors)
    if spec.initContainers:
        check_init_containers(spec.initContainers, spec.containers, scope, f"{path}.initContainers", errors)
    if spec.ephemeralContainers:
        others = (*spec.containers, *spec.initContainers)
        check_ephemeral_containers(spec.ephemeralContainers, others, scope, f"{path}.ephemeralContainers", errors)
    if spec.resources is not None:
        check_pod_resources(spec, claims, f"{path}.resources", errors)
    if spec.hostNetwork:
        _check_host_network(spec, is_pod, path, errors)
    _check_policies(spec, path, errors)
    if spec.nodeSelector:
        errors.extend(validate_labels(spec.nodeSelector, f"{path}.nodeSelector"))
    check_pod_security(spec, f"{path}.securityContext", errors)
    if spec.affinity is not None:
        check_affinity(spec.affinity, f"{path}.affinity", errors)
    if spec.dnsConfig is not None or spec.dnsPolicy == "None":
        _check_dns(spec.dnsConfig, spec.dnsPolicy, f"{path}.dnsConfig", errors)
    for i, gate in enumerate(spec.readinessGates):
        check_label_key(gate.conditionType, f"{path}.readinessGates[{i}].conditionType", errors)
    if spec.schedulingGates:
        check_scheduling_gates(spec.schedulingGates, f"{path}.schedulingGates", errors)
    if spec.topologySpreadConstraints:
        check_spread_constraints(spec.topologySpreadConstraints, f"{path}.topologySpreadConstraints", errors)
    check_host_process(spec, path, errors)
    if not host_users:
        for name, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if getattr(spec, name):
                errors.append(forbidden(f"{path}.{shown}", "when `pod.Spec.HostUsers` is false"))
    _check_names(spec, path, errors)
    if spec.tolerations:
        check_tolerations(spec.tolerations, f"{path}.tolerations", errors)
    for i, alias in enumerate(spec.hostAliases):
        at = f"{path}.hostAliases[{i}]"
        errors.extend(invalid(f"{at}.ip", alias.ip, m) for m in names.is_ip(alias.ip))
        for j, host in enumerate(alias.hostnames):
            errors.extend(invalid(f"{at}.hostnames[{j}]", host, m) for m in names.is_dns1123_subdomain(host))
    if spec.overhead:
        check_requirements(ResourceRequirements(limits=spec.overhead), (), f"{path}.overhead", errors)
    if spec.os is not None:
        _check_os(spec, system, path, errors)


def _check_policies(spec: PodSpec, path: str, errors: Errors) -> None:
    if spec.restartPolicy not in _RESTART_POLICIES:
        _choice(spec.restartPolicy, _RESTART_POLICIES, f"{path}.restartPolicy", errors)
    if spec.dnsPolicy not in _DNS_POLICIES:
        _choice(spec.dnsPolicy, _DNS_POLICIES, f"{path}.dnsPolicy", errors)
    preemption = spec.preemptionPolicy
    if preemption is not None and preemption not in ("PreemptLowerPriority", "Never"):
        _choice(preemption, ("PreemptLowerPriority", "Never"), f"{path}.preemptionPolicy", errors)
    deadline = spec.activeDeadlineSeconds
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, names.within(1, _MAX_INT32)))


def _choice(value: str, choices: Sequence[str], path: str, errors: Errors) -> None:
    if not value:
        errors.append(required(path))
    elif value not in choices:
        errors.append(not_supported(path, value, choices))


def _check_names(spec: PodSpec, path: str, errors: Errors) -> None:
    """Names of other objects, and of the pod in DNS."""
    for name, value in (
        ("serviceAccountName", spec.serviceAccountName),
        ("nodeName", spec.nodeName),
        ("priorityClassName", spec.priorityClassName),
    ):
        if value and (messages := names.is_dns1123_subdomain(value)):
            errors.extend(invalid(f"{path}.{name}", value, m) for m in messages)
    for name, value in (("hostname", spec.hostname), ("subdomain", spec.subdomain)):
        if value and (messages := names.is_dns1123_label(value)):
            errors.extend(invalid(f"{path}.{name}", value, m) for m in messages)
    runtime_class = spec.runtimeClassName
    if runtime_class is not None:
        messages = names.is_dns1123_subdomain(runtime_class)
        errors.extend(invalid(f"{path}.runtimeClassName", runtime_class, m) for m in messages)
    override = spec.hostnameOverride
    if override is not None:
        at = f"{path}.hostnameOverride"
        errors.extend(invalid(at, override, m) for m in names.is_dns1123_subdomain(override))
        if len(override) > 64:
            errors.append(invalid(at, override, names.too_long(64)))
        if spec.hostNetwork:
            errors.append(forbidden(f"{path}.hostNetwork", "may not be true when `hostnameOverride` is set"))
        if spec.setHostnameAsFQDN:
            detail = "may not be true when `hostnameOverride` is set"
            errors.append(forbidden(f"{path}.setHostnameAsFQDN", detail))
    group = spec.schedulingGroup
    if group is not None and group.podGroupName is not None:
        at = f"{path}.schedulingGroup.podGroupName"
        errors.extend(invalid(at, group.podGroupName, m) for m in names.is_dns1123_subdomain(group.podGroupName))
    if spec.evictionResponders:
        _check_responders(spec, f"{path}.evictionResponders", errors)


def _check_responders(spec: PodSpec, path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for i, responder in enumerate(spec.evictionResponders):
        at = f"{path}[{i}]"
        if not responder.name:
            errors.append(required(f"{at}.name"))
        else:
            check_label_key(responder.name, f"{at}.name", errors)
            if responder.name in seen:
                errors.append(duplicate(at, responder.name))
            seen.add(responder.name)
        if responder.priority is None:
            errors.append(required(f"{at}.priority"))


def _check_claims(claims: Sequence[PodResourceClaim], path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        at = f"{path}[{i}]"
        if not claim.name:
            errors.append(required(f"{at}.name"))
        elif claim.name in seen:
            errors.append(duplicate(f"{at}.name", claim.name))
        else:
            errors.extend(invalid(f"{at}.name", claim.name, m) for m in names.is_dns1123_label(claim.name))
            seen.add(claim.name)
        direct, template = claim.resourceClaimName, claim.resourceClaimTemplateName
        if direct is not None and template is not None:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(invalid(at, claim, detail))
        if direct is None and template is None:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid(at, claim, detail))
        for name, value in (("resourceClaimName", direct), ("resourceClaimTemplateName", template)):
            if value is not None:
                errors.extend(invalid(f"{at}.{name}", value, m) for m in names.is_dns1123_subdomain(value))


def _check_host_network(spec: PodSpec, is_pod: bool, path: str, errors: Errors) -> None:
    for i, container in enumerate(spec.containers):
        for j, port in enumerate(container.ports):
            if (is_pod or port.hostPort) and port.hostPort != port.containerPort:
                at = f"{path}.containers[{i}].ports[{j}].hostPort"
                detail = "must match `containerPort` when `hostNetwork` is true"
                errors.append(invalid(at, port.hostPort, detail))


def _check_dns(config: PodDNSConfig | None, policy: str, path: str, errors: Errors) -> None:
    if policy == "None":
        if config is None:
            errors.append(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
            return
        if not config.nameservers:
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.append(required(f"{path}.nameservers", detail))
            return
    if config is None:
        return
    if len(config.nameservers) > 3:
        errors.append(invalid(f"{path}.nameservers", config.nameservers, "must not have more than 3 nameservers"))
    for i, server in enumerate(config.nameservers):
        errors.extend(invalid(f"{path}.nameservers[{i}]", server, m) for m in names.is_ip(server))
    at = f"{path}.searches"
    if len(config.searches) > 32:
        errors.append(invalid(at, config.searches, "must not have more than 32 search paths"))
    if len(" ".join(config.searches)) > 2048:
        detail = "must not have more than 2048 characters (including spaces) in the search list"
        errors.append(invalid(at, config.searches, detail))
    for i, search in enumerate(config.searches):
        if search != ".":
            bare = search.removesuffix(".")
            messages = names.is_dns1123_subdomain_with_underscore(bare)
            errors.extend(invalid(f"{at}[{i}]", bare, m) for m in messages)
    for i, option in enumerate(config.options):
        if not option.name:
            errors.append(required(f"{path}.options[{i}]", "must not be empty"))


def _check_os(spec: PodSpec, system: str, path: str, errors: Errors) -> None:
    if not system:
        errors.append(required(f"{path}.os.name", "cannot be empty"))
    elif system == "linux":
        check_linux_pod(spec, path, errors)
    elif system == "windows":
        check_windows_pod(spec, path, errors)
    else:
        errors.append(not_supported(f"{path}.os", system, ("linux", "windows")))
