"""The environment of a container, and the values that env and downward API volumes take from the pod. Pure.

ConfigMaps, Secrets and Services come in as look-ups. A missing reference that is not optional raises ConfigError,
which the kubelet shows as CreateContainerConfigError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pelamis.base import quantity


class ConfigError(Exception):
    """The container's declaration cannot be turned into a configuration; the message is shown to the user."""


Lookup = Callable[[str, str], Any]
"""(namespace, name) -> the object or None."""

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace ``$(NAME)``; ``$$`` gives one dollar; what is not known stays as it is."""
    if "$" not in text:
        return text
    out, at = [], 0
    for match in _REFERENCE.finditer(text):
        out.append(text[at : match.start()])
        at = match.end()
        name = match.group(1)
        if name is None:
            out.append("$")
        else:
            out.append(values.get(name, match.group(0)))
    out.append(text[at:])
    return "".join(out)


def field_value(pod: Any, path: str, ips: tuple[str, ...] = (), host_ips: tuple[str, ...] = ()) -> str:
    """The value of a downward API field path."""
    meta = pod.metadata
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript:
        values = meta.labels if subscript.group(1) == "labels" else meta.annotations
        return str(values.get(subscript.group(2), ""))
    simple = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": pod.spec.nodeName,
        "spec.serviceAccountName": pod.spec.serviceAccountName,
        "status.hostIP": host_ips[0] if host_ips else "",
        "status.hostIPs": ",".join(host_ips),
        "status.podIP": ips[0] if ips else "",
        "status.podIPs": ",".join(ips),
    }
    if path in simple:
        return str(simple[path])
    if path in ("metadata.labels", "metadata.annotations"):
        values = meta.labels if path.endswith("labels") else meta.annotations
        return "".join(f"{key}={_quoted(values[key])}\n" for key in sorted(values)).rstrip("\n")
    raise ConfigError(f"unsupported fieldPath: {path}")


def _quoted(text: str) -> str:
    """A Go string literal."""
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif char == "\t":
            out.append("\\t")
        elif char == "\r":
            out.append("\\r")
        elif ord(char) < 32 or ord(char) == 127:
            out.append(f"\\x{ord(char):02x}")
        else:
            out.append(char)
    return "".join(out) + '"'


def resource_value(container: Any, resource: str, divisor: str, allocatable: Mapping[str, str]) -> str:
    """``limits.cpu`` and the like, in units of the divisor, rounded up; allocatable: for limits that are not set."""
    group, _, name = resource.partition(".")
    if group not in ("limits", "requests") or not name:
        raise ConfigError(f"unsupported container resource : {resource}")
    resources = container.resources
    amount = (resources.limits if group == "limits" else resources.requests).get(name)
    if amount is None and group == "limits":
        amount = allocatable.get(name)
    total = quantity.parse(amount).nano if amount else 0
    step = quantity.parse(divisor).nano if divisor else 0
    return str(-(-total // (step or quantity.NANO)))


def resource_field(pod: Any, ref: Any, allocatable: Mapping[str, str], own: Any = None) -> str:
    """What a resourceFieldRef means; own: the container that it stands in, and means unless it names another one."""
    if own is None or ref.containerName not in ("", own.name):
        everyone = (*pod.spec.initContainers, *pod.spec.containers)
        own = next((c for c in everyone if c.name == ref.containerName), None)
    if own is None:
        raise ConfigError(f"container {ref.containerName} not found")
    return resource_value(own, ref.resource, ref.divisor, fallback(pod, allocatable))


def fallback(pod: Any, allocatable: Mapping[str, str]) -> Mapping[str, str]:
    """What stands for a limit that a container has not: the pod's, else what the node has."""
    whole = pod.spec.resources.limits if pod.spec.resources is not None else {}
    return {**allocatable, **{name: whole[name] for name in ("cpu", "memory") if name in whole}}


def service_variables(services: Iterable[Any], namespace: str, links: bool) -> dict[str, str]:
    """Variables for the services of the namespace (if links), and always for default/kubernetes."""
    out: dict[str, str] = {}
    chosen: dict[str, Any] = {}
    for service in services:
        meta, spec = service.metadata, service.spec
        if not spec.clusterIP or spec.clusterIP == "None":
            continue
        if meta.namespace == "default" and meta.name == "kubernetes":
            chosen.setdefault(meta.name, service)
        elif meta.namespace == namespace and links:
            chosen[meta.name] = service
    for name in sorted(chosen):
        spec = chosen[name].spec
        if not spec.ports:
            continue
        prefix = name.upper().replace("-", "_")
        ip = f"[{spec.clusterIP}]" if ":" in spec.clusterIP else spec.clusterIP
        out[f"{prefix}_SERVICE_HOST"] = spec.clusterIP
        out[f"{prefix}_SERVICE_PORT"] = str(spec.ports[0].port)
        for port in spec.ports:
            if port.name:
                out[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
        for index, port in enumerate(spec.ports):
            protocol = port.protocol or "TCP"
            url = f"{protocol.lower()}://{ip}:{port.port}"
            if index == 0:
                out[f"{prefix}_PORT"] = url
            one = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
            out[one] = url
            out[f"{one}_PROTO"] = protocol.lower()
            out[f"{one}_PORT"] = str(port.port)
            out[f"{one}_ADDR"] = spec.clusterIP
    return out


class Sources:
    """Everything that environment values come from besides the pod itself. file(volume, path): a file's text."""

    __slots__ = ("allocatable", "configmap", "file", "host_ips", "ips", "secret", "services")

    def __init__(
        self,
        configmap: Lookup,
        secret: Lookup,
        services: Iterable[Any] = (),
        ips: tuple[str, ...] = (),
        host_ips: tuple[str, ...] = (),
        allocatable: Mapping[str, str] | None = None,
        file: Callable[[str, str], str | None] | None = None,
    ) -> None:
        self.configmap = configmap
        self.secret = secret
        self.services = services
        self.ips = ips
        self.host_ips = host_ips
        self.allocatable = allocatable or {}
        self.file = file


def _data(lookup: Lookup, what: str, namespace: str, ref: Any) -> Mapping[str, Any] | None:
    """Of a ConfigMap or Secret; None where it is missing and may be."""
    found = lookup(namespace, ref.name)
    if found is None and not ref.optional:
        raise ConfigError(f'{what} "{ref.name}" not found')
    return None if found is None else found.data


def _from(pod: Any, source: Any, sources: Sources) -> dict[str, str]:
    namespace = pod.metadata.namespace
    data = None
    if source.configMapRef is not None:
        data = _data(sources.configmap, "configmap", namespace, source.configMapRef)
    elif source.secretRef is not None:
        data = _data(sources.secret, "secret", namespace, source.secretRef)
    return {source.prefix + key: _text(value) for key, value in (data or {}).items()}


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _of_key(data: Mapping[str, Any] | None, what: str, namespace: str, ref: Any) -> str | None:
    if data is not None and ref.key in data:
        return _text(data[ref.key])
    if ref.optional:
        return None
    raise ConfigError(f"couldn't find key {ref.key} in {what} {namespace}/{ref.name}")


def _value_from(pod: Any, container: Any, variable: Any, sources: Sources) -> str | None:
    source, namespace = variable.valueFrom, pod.metadata.namespace
    if source.fieldRef is not None:
        return field_value(pod, source.fieldRef.fieldPath, sources.ips, sources.host_ips)
    if source.resourceFieldRef is not None:
        return resource_field(pod, source.resourceFieldRef, sources.allocatable, container)
    if source.configMapKeyRef is not None:
        ref = source.configMapKeyRef
        return _of_key(_data(sources.configmap, "configmap", namespace, ref), "ConfigMap", namespace, ref)
    if source.secretKeyRef is not None:
        ref = source.secretKeyRef
        return _of_key(_data(sources.secret, "secret", namespace, ref), "Secret", namespace, ref)
    if source.fileKeyRef is not None:
        ref = source.fileKeyRef
        text = sources.file(ref.volumeName, ref.path) if sources.file is not None else None
        values = parse_env_file(text or "")
        if ref.key in values:
            return values[ref.key]
        if ref.optional:
            return None
        raise ConfigError(f"environment variable key {ref.key!r} not found in file {ref.path!r}")
    return ""


def missing(pod: Any, container: Any, sources: Sources) -> str:
    """Why the ConfigMaps and Secrets that the environment comes from do not do; "" when they do."""
    try:
        for source in container.envFrom:
            _from(pod, source, sources)
        for variable in container.env:
            value = variable.valueFrom
            if value is not None and (value.configMapKeyRef is not None or value.secretKeyRef is not None):
                _value_from(pod, container, variable, sources)
    except ConfigError as error:
        return str(error)
    return ""


def parse_env_file(text: str) -> dict[str, str]:
    """``NAME=value`` lines; blank lines and comments are skipped; quotes around a value are taken off."""
    out: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        name, sign, value = line.partition("=")
        if not line or line.startswith("#") or not sign:
            continue
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        out[name.strip()] = value
    return out


def build(pod: Any, container: Any, sources: Sources) -> dict[str, str]:
    """All variables, in order: services, envFrom, env; later ones win. Raises ConfigError."""
    links = pod.spec.enableServiceLinks
    services = service_variables(sources.services, pod.metadata.namespace, links is None or links)
    result: dict[str, str] = {}
    for source in container.envFrom:
        for name, value in _from(pod, source, sources).items():
            if name and "=" not in name:
                result[name] = value
    known = dict(result)
    for variable in container.env:
        if variable.valueFrom is not None:
            value_or_none = _value_from(pod, container, variable, sources)
            if value_or_none is None:
                continue
            value = value_or_none
        else:
            value = expand(variable.value, {**services, **known})
        known[variable.name] = value
        result[variable.name] = value
    for name, value in services.items():
        result.setdefault(name, value)
    return result
