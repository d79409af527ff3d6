"""Validation of containers: regular, init, sidecar and ephemeral ones, with their ports, mounts, probes and hooks.

``Scope`` is what a container needs to know of its pod. All functions append to ``errors``; a path is built only for a
container, not for each of its fields, unless something is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pelamis.api.core.pod.container import (
    Container,
    ContainerPort,
    ContainerResizePolicy,
    EphemeralContainer,
    ExecAction,
    GRPCAction,
    HTTPGetAction,
    Lifecycle,
    LifecycleHandler,
    Probe,
    SleepAction,
    TCPSocketAction,
    VolumeDevice,
    VolumeMount,
)
from pelamis.api.core.pod.signal import STOP_SIGNALS
from pelamis.api.core.pod.validate_env import check_env, check_env_from
from pelamis.api.core.pod.validate_resources import check_requirements
from pelamis.api.core.pod.validate_security import check_container_security
from pelamis.api.core.pod.validate_volume import check_descending_path, check_pull_policy, has_backstep
from pelamis.api.core.pod.volume import Volume
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_found, not_supported, required, too_many

Errors = list[FieldError]
AnyContainer = Container | EphemeralContainer
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_NEGATIVE = "must be greater than or equal to 0"
_ONE_HANDLER = "may not specify more than 1 handler type"
_NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"
_NOT_INIT = "may not be set for init containers without restartPolicy=Always"
_WINDOWS_SIGNALS = ("SIGKILL", "SIGTERM")


class Scope(NamedTuple):
    """volumes: the valid ones by name. claims: names in ``spec.resourceClaims``. grace: seconds, None if invalid."""

    volumes: Mapping[str, Volume]
    claims: Sequence[str]
    restart_policy: str
    host_users: bool
    grace: int | None
    os: str


def _check_ports(ports: Sequence[ContainerPort], path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for i, port in enumerate(ports):
        if port.name:
            messages = names.is_port_name(port.name)
            if messages:
                errors.extend(invalid(f"{path}[{i}].name", port.name, m) for m in messages)
            elif port.name in seen:
                errors.append(duplicate(f"{path}[{i}].name", port.name))
            seen.add(port.name)
        number = port.containerPort
        if not 1 <= number <= 65535:
            if number == 0:
                errors.append(required(f"{path}[{i}].containerPort"))
            else:
                errors.append(invalid(f"{path}[{i}].containerPort", number, names.within(1, 65535)))
        if not 0 <= port.hostPort <= 65535:
            errors.append(invalid(f"{path}[{i}].hostPort", port.hostPort, names.within(1, 65535)))
        if port.protocol not in _PROTOCOLS:
            if not port.protocol:
                errors.append(required(f"{path}[{i}].protocol"))
            else:
                errors.append(not_supported(f"{path}[{i}].protocol", port.protocol, _PROTOCOLS))


def _check_mounts(container: AnyContainer, scope: Scope, path: str, errors: Errors) -> None:
    devices = {d.name: d.devicePath for d in container.volumeDevices}
    seen: set[str] = set()
    for i, mount in enumerate(container.volumeMounts):
        name, target = mount.name, mount.mountPath
        if not name:
            errors.append(required(f"{path}[{i}].name"))
        volume = scope.volumes.get(name)
        if volume is None:
            errors.append(not_found(f"{path}[{i}].name", name))
        if not target:
            errors.append(required(f"{path}[{i}].mountPath"))
        if target in seen:
            errors.append(invalid(f"{path}[{i}].mountPath", target, "must be unique"))
        seen.add(target)
        if devices:
            if name in devices:
                errors.append(invalid(f"{path}[{i}].name", name, "must not already exist in volumeDevices"))
            if target in devices.values():
                detail = "must not already exist as a path in volumeDevices"
                errors.append(invalid(f"{path}[{i}].mountPath", target, detail))
        if mount.subPath or mount.subPathExpr:
            _check_sub_path(mount, volume, path, f"{path}[{i}]", errors)
        if mount.mountPropagation is not None:
            _check_propagation(mount.mountPropagation, container, f"{path}.mountPropagation", errors)
        if mount.recursiveReadOnly is not None:
            _check_recursive(mount, mount.recursiveReadOnly, f"{path}.recursiveReadOnly", errors)


def _check_sub_path(mount: VolumeMount, volume: Volume | None, path: str, at: str, errors: Errors) -> None:
    if volume is not None and volume.image is not None:
        for name, value in (("subPath", mount.subPath), ("subPathExpr", mount.subPathExpr)):
            if value:
                errors.append(invalid(f"{at}.{name}", value, "not allowed in image volume sources"))
    if mount.subPath:
        check_descending_path(mount.subPath, f"{path}.subPath", errors)
    if mount.subPathExpr:
        if mount.subPath:
            detail = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(f"{at}.subPathExpr", mount.subPathExpr, detail))
        check_descending_path(mount.subPathExpr, f"{path}.subPathExpr", errors)


def _check_propagation(value: str, container: AnyContainer, path: str, errors: Errors) -> None:
    if value not in _PROPAGATIONS:
        errors.append(not_supported(path, value, _PROPAGATIONS))
    context = container.securityContext
    if value == "Bidirectional" and not (context is not None and context.privileged):
        detail = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(forbidden(path, detail))


def _check_recursive(mount: VolumeMount, value: str, path: str, errors: Errors) -> None:
    if value in ("Enabled", "IfPossible"):
        if not mount.readOnly:
            errors.append(forbidden(path, "may only be specified when readOnly is true"))
        if mount.mountPropagation not in (None, "None"):
            detail = "may only be specified when mountPropagation is None or not specified"
            errors.append(forbidden(path, detail))
    elif value != "Disabled":
        errors.append(not_supported(path, value, ("Disabled", "Enabled", "IfPossible")))


def _check_devices(
    devices: Sequence[VolumeDevice], container: AnyContainer, scope: Scope, path: str, errors: Errors
) -> None:
    mounts = {m.name: m.mountPath for m in container.volumeMounts}
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for i, device in enumerate(devices):
        name, target = device.name, device.devicePath
        at_name, at_path = f"{path}[{i}].name", f"{path}[{i}].devicePath"
        volume = scope.volumes.get(name)
        if not name:
            errors.append(required(at_name))
        if name in seen_names:
            errors.append(invalid(at_name, name, "must be unique"))
        if volume is None:
            errors.append(not_found(at_name, name))
        elif volume.persistentVolumeClaim is None and volume.ephemeral is None:
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(at_name, name, detail))
        if not target:
            errors.append(required(at_path))
        if target in seen_paths:
            errors.append(invalid(at_path, target, "must be unique"))
        if target and has_backstep(target):
            errors.append(invalid(at_path, target, "can not contain backsteps ('..')"))
        else:
            seen_paths.add(target)
        if name in mounts:
            errors.append(invalid(at_name, name, "must not already exist in volumeMounts"))
        if target in mounts.values():
            errors.append(invalid(at_path, target, "must not already exist as a path in volumeMounts"))
        if name:
            seen_names.add(name)


def check_port_ref(port: int | str, path: str, errors: Errors) -> None:
    """A port by number or by name."""
    messages = names.is_port_num(port) if isinstance(port, int) else names.is_port_name(port)
    errors.extend(invalid(path, port, m) for m in messages)


def _check_exec(action: ExecAction, path: str, errors: Errors) -> None:
    if not action.command:
        errors.append(required(f"{path}.command"))


def _check_http(action: HTTPGetAction, path: str, errors: Errors) -> None:
    if not action.path:
        errors.append(required(f"{path}.path"))
    check_port_ref(action.port, f"{path}.port", errors)
    if action.scheme not in ("HTTP", "HTTPS"):
        errors.append(not_supported(f"{path}.scheme", action.scheme, ("HTTP", "HTTPS")))
    for header in action.httpHeaders:
        errors.extend(invalid(f"{path}.httpHeaders", header.name, m) for m in names.is_http_header_name(header.name))


def _check_handler(
    exec: ExecAction | None,
    http: HTTPGetAction | None,
    tcp: TCPSocketAction | None,
    grpc: GRPCAction | None,
    sleep: SleepAction | None,
    grace: int | None,
    path: str,
    errors: Errors,
) -> None:
    count = 0
    for name, action in (("exec", exec), ("httpGet", http), ("tcpSocket", tcp), ("grpc", grpc), ("sleep", sleep)):
        if action is None:
            continue
        at = f"{path}.{name}"
        if count:
            errors.append(forbidden(at, _ONE_HANDLER))
            continue
        count = 1
        if isinstance(action, ExecAction):
            _check_exec(action, at, errors)
        elif isinstance(action, HTTPGetAction):
            _check_http(action, at, errors)
        elif isinstance(action, SleepAction):
            if grace is not None and not 0 <= action.seconds <= grace:
                detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                errors.append(invalid(at, action.seconds, detail))
        else:
            check_port_ref(action.port, f"{at}.port", errors)
    if not count:
        errors.append(required(path, "must specify a handler type"))


_PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def _check_probe(probe: Probe, kind: str, scope: Scope, path: str, errors: Errors) -> None:
    _check_handler(probe.exec, probe.httpGet, probe.tcpSocket, probe.grpc, None, scope.grace, path, errors)
    if (
        probe.initialDelaySeconds < 0
        or probe.timeoutSeconds < 0
        or probe.periodSeconds < 0
        or probe.successThreshold < 0
        or probe.failureThreshold < 0
    ):
        for name in _PROBE_NUMBERS:
            if (value := getattr(probe, name)) < 0:
                errors.append(invalid(f"{path}.{name}", value, _NEGATIVE))
    grace = probe.terminationGracePeriodSeconds
    if grace is not None:
        at = f"{path}.terminationGracePeriodSeconds"
        if grace <= 0:
            errors.append(invalid(at, grace, "must be greater than 0"))
        if kind == "readinessProbe":
            errors.append(invalid(at, grace, "must not be set for readinessProbes"))
    if probe.successThreshold != 1 and kind != "readinessProbe":
        errors.append(invalid(f"{path}.successThreshold", probe.successThreshold, "must be 1"))


def _check_hook(hook: LifecycleHandler, scope: Scope, path: str, errors: Errors) -> None:
    _check_handler(hook.exec, hook.httpGet, hook.tcpSocket, None, hook.sleep, scope.grace, path, errors)


def _check_lifecycle(lifecycle: Lifecycle, scope: Scope, path: str, errors: Errors) -> None:
    if lifecycle.postStart is not None:
        _check_hook(lifecycle.postStart, scope, f"{path}.postStart", errors)
    if lifecycle.preStop is not None:
        _check_hook(lifecycle.preStop, scope, f"{path}.preStop", errors)
    signal = lifecycle.stopSignal
    if signal is not None:
        at = f"{path}.stopSignal"
        if not scope.os:
            errors.append(forbidden(at, "may not be set for containers with empty `spec.os.name`"))
        elif scope.os == "windows":
            if signal not in _WINDOWS_SIGNALS:
                errors.append(not_supported(at, signal, _WINDOWS_SIGNALS))
        elif signal not in STOP_SIGNALS:
            errors.append(not_supported(at, signal, sorted(STOP_SIGNALS)))


def _check_resize_policy(
    policies: Sequence[ContainerResizePolicy], restart_policy: str, path: str, errors: Errors
) -> None:
    seen: set[str] = set()
    for i, policy in enumerate(policies):
        name, restart = policy.resourceName, policy.restartPolicy
        if name in seen:
            errors.append(duplicate(f"{path}[{i}]", name))
        seen.add(name)
        for value, choices in ((name, ("cpu", "memory")), (restart, ("NotRequired", "RestartContainer"))):
            if not value:
                errors.append(required(path))
            elif value not in choices:
                errors.append(not_supported(path, value, choices))
        if restart_policy == "Never" and restart != "NotRequired":
            detail = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            errors.append(invalid(path, restart, detail))


def _check_restart_rules(container: AnyContainer, path: str, errors: Errors) -> None:
    """A container's own restart policy, and the rules that refine it by exit code."""
    policy, rules = container.restartPolicy, container.restartPolicyRules
    if policy is None:
        if rules:
            detail = "must specify restartPolicy when restart rules are used"
            errors.append(required(f"{path}.restartPolicy", detail))
    elif policy not in ("Always", "Never", "OnFailure"):
        errors.append(not_supported(f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure")))
    if len(rules) > 20:
        errors.append(too_many(f"{path}.restartPolicyRules", len(rules), 20))
    for i, rule in enumerate(rules):
        at = f"{path}.restartPolicyRules[{i}]"
        actions = ("Restart", "RestartAllContainers")
        if not rule.action:
            errors.append(required(f"{at}.action"))
        elif rule.action not in actions:
            errors.append(not_supported(f"{at}.action", rule.action, actions))
        codes = rule.exitCodes
        if codes is None:
            errors.append(required(f"{at}.exitCodes", "must be specified"))
            continue
        if codes.operator not in ("In", "NotIn"):
            errors.append(not_supported(f"{at}.exitCodes.operator", codes.operator, ("In", "NotIn")))
        if len(codes.values) > 255:
            errors.append(too_many(f"{at}.exitCodes.values", len(codes.values), 255))


def _check_common(container: AnyContainer, scope: Scope, path: str, errors: Errors) -> None:
    name = container.name
    if not name:
        errors.append(required(f"{path}.name"))
    elif messages := names.is_dns1123_label(name):
        errors.extend(invalid(f"{path}.name", name, m) for m in messages)
    if not container.image:
        errors.append(required(f"{path}.image"))
    policy = container.terminationMessagePolicy
    if policy not in ("File", "FallbackToLogsOnError"):
        at = f"{path}.terminationMessagePolicy"
        if not policy:
            errors.append(required(at))
        else:
            errors.append(not_supported(at, policy, ("File", "FallbackToLogsOnError")))
    if container.ports:
        _check_ports(container.ports, f"{path}.ports", errors)
    if container.env:
        check_env(container.env, scope.volumes, f"{path}.env", errors)
    if container.envFrom:
        check_env_from(container.envFrom, f"{path}.envFrom", errors)
    if container.volumeMounts:
        _check_mounts(container, scope, f"{path}.volumeMounts", errors)
    if container.volumeDevices:
        _check_devices(container.volumeDevices, container, scope, f"{path}.volumeDevices", errors)
    check_pull_policy(container.imagePullPolicy, f"{path}.imagePullPolicy", errors)
    check_requirements(container.resources, scope.claims, f"{path}.resources", errors)
    if container.resizePolicy:
        _check_resize_policy(container.resizePolicy, scope.restart_policy, f"{path}.resizePolicy", errors)
    if container.securityContext is not None:
        context = container.securityContext
        check_container_security(context, scope.host_users, f"{path}.securityContext", errors)


def _check_life(container: Container, scope: Scope, path: str, errors: Errors) -> None:
    if container.lifecycle is not None:
        _check_lifecycle(container.lifecycle, scope, f"{path}.lifecycle", errors)
    if container.livenessProbe is not None:
        _check_probe(container.livenessProbe, "livenessProbe", scope, f"{path}.livenessProbe", errors)
    if container.readinessProbe is not None:
        _check_probe(container.readinessProbe, "readinessProbe", scope, f"{path}.readinessProbe", errors)
    if container.startupProbe is not None:
        _check_probe(container.startupProbe, "startupProbe", scope, f"{path}.startupProbe", errors)


def _check_host_ports(containers: Sequence[Container], path: str, errors: Errors) -> None:
    seen: set[tuple[str, str, int]] = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.ports):
            if not port.hostPort:
                continue
            key = (port.protocol, port.hostIP, port.hostPort)
            if key in seen:
                at = f"{path}[{i}].ports[{j}].hostPort"
                errors.append(duplicate(at, f"{port.protocol}/{port.hostIP}/{port.hostPort}"))
            seen.add(key)


def check_containers(containers: Sequence[Container], scope: Scope, path: str, errors: Errors) -> None:
    if not containers:
        errors.append(required(path))
        return
    seen: set[str] = set()
    for i, container in enumerate(containers):
        at = f"{path}[{i}]"
        _check_common(container, scope, at, errors)
        if container.name in seen:
            errors.append(duplicate(f"{at}.name", container.name))
        seen.add(container.name)
        _check_life(container, scope, at, errors)
        if container.restartPolicy is not None or container.restartPolicyRules:
            _check_restart_rules(container, at, errors)
    _check_host_ports(containers, path, errors)


def check_init_containers(
    containers: Sequence[Container], regular: Sequence[Container], scope: Scope, path: str, errors: Errors
) -> None:
    if not containers:
        return
    seen = {c.name for c in regular}
    for i, container in enumerate(containers):
        at = f"{path}[{i}]"
        _check_common(container, scope, at, errors)
        if container.restartPolicy is not None or container.restartPolicyRules:
            _check_restart_rules(container, at, errors)
        if container.name in seen:
            errors.append(duplicate(f"{at}.name", container.name))
        elif container.name:
            seen.add(container.name)
        _check_host_ports((container,), path, errors)
        if container.restartPolicy == "Always":
            _check_life(container, scope, at, errors)
        else:
            for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if getattr(container, name) is not None:
                    errors.append(forbidden(f"{at}.{name}", _NOT_INIT))


def check_ephemeral_containers(
    containers: Sequence[EphemeralContainer],
    others: Sequence[Container],
    scope: Scope,
    path: str,
    errors: Errors,
) -> None:
    """``others``: the regular and init containers; a debug container can join the namespaces of one of them."""
    if not containers:
        return
    targets = {c.name for c in others}
    seen = set(targets)
    for i, container in enumerate(containers):
        at = f"{path}[{i}]"
        _check_common(container, scope, at, errors)
        check_image_padding(container, at, errors)
        if container.name in seen:
            errors.append(duplicate(f"{at}.name", container.name))
        seen.add(container.name)
        if container.targetContainerName and container.targetContainerName not in targets:
            errors.append(not_found(f"{at}.targetContainerName", container.targetContainerName))
        for name in ("ports", "resizePolicy", "restartPolicyRules"):
            if getattr(container, name):
                errors.append(forbidden(f"{at}.{name}", _NOT_EPHEMERAL))
        resources = container.resources
        if resources.limits or resources.requests or resources.claims:
            errors.append(forbidden(f"{at}.resources", _NOT_EPHEMERAL))
        for name in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "restartPolicy"):
            if getattr(container, name) is not None:
                errors.append(forbidden(f"{at}.{name}", _NOT_EPHEMERAL))
        for j, mount in enumerate(container.volumeMounts):
            if mount.subPath:
                errors.append(forbidden(f"{at}.volumeMounts[{j}].subPath", _NOT_EPHEMERAL))
            if mount.subPathExpr:
                errors.append(forbidden(f"{at}.volumeMounts[{j}].subPathExpr", _NOT_EPHEMERAL))


def check_image_padding(container: AnyContainer, path: str, errors: Errors) -> None:
    """Only pods are held to it: a template may have an image that something fills in later."""
    image = container.image
    if image and (image[0].isspace() or image[-1].isspace()):
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
