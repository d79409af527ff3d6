"""Validation of environment variables and of references to fields and resources (the downward API)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pelamis.api.core.pod.container import EnvFromSource, EnvVar, EnvVarSource, FileKeySelector
from pelamis.api.core.pod.volume import ObjectFieldSelector, ResourceFieldSelector, Volume
from pelamis.base import names
from pelamis.base.errors import FieldError, invalid, not_found, not_supported, required
from pelamis.base.quantity import canonical, is_zero

Errors = list[FieldError]
ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
# labels that have a meaning for the downward API, with or without a subscript
_KNOWN_FIELDS = frozenset(ENV_FIELDS) | {
    "metadata.annotations",
    "metadata.labels",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
    "status.nominatedNodeName",
}
_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGEPAGES = ("limits.hugepages-", "requests.hugepages-")
_CPU_DIVISORS = frozenset({"1m", "1"})
_BYTE_DIVISORS = frozenset({"1", *(f"1{u}" for u in "kMGTPE"), *(f"1{u}i" for u in "KMGTPE")})
_BYTE_DETAIL = (
    "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the {} resource"
)
_NONE_GIVEN = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"


def _texts(messages: Sequence[str], path: str, value: str, errors: Errors) -> None:
    errors.extend(invalid(path, value, m) for m in messages)


def check_field_ref(ref: ObjectFieldSelector, allowed: Sequence[str], path: str, errors: Errors) -> None:
    if not ref.apiVersion:
        errors.append(required(f"{path}.apiVersion"))
        return
    field = ref.fieldPath
    if not field:
        errors.append(required(f"{path}.fieldPath"))
        return
    base, subscript = split_subscript(field)
    problem = ""
    if ref.apiVersion != "v1":
        problem = f"unsupported pod version: {ref.apiVersion}"
    elif subscript is not None:
        if base not in ("metadata.annotations", "metadata.labels"):
            problem = f'field label does not support subscript: "{field}"'
    elif field not in _KNOWN_FIELDS:
        problem = f"field label not supported: {field}"
    if problem:
        errors.append(invalid(f"{path}.fieldPath", field, f"error converting fieldPath: {problem}"))
    elif subscript is not None:
        key = subscript.lower() if base == "metadata.annotations" else subscript
        _texts(names.is_qualified_name(key), path, key, errors)
    elif field not in allowed:
        errors.append(not_supported(f"{path}.fieldPath", field, tuple(sorted(allowed))))


def split_subscript(field: str) -> tuple[str, str | None]:
    """``metadata.labels['app']`` as the path and the key; a key of None: there is no subscript."""
    if not field.endswith("']"):
        return field, None
    base, found, key = field[:-2].partition("['")
    return (base, key) if found and base else (field, None)


def check_resource_ref(ref: ResourceFieldSelector, path: str, in_volume: bool, errors: Errors) -> None:
    if in_volume and not ref.containerName:
        errors.append(required(f"{path}.containerName"))
    elif not ref.resource:
        errors.append(required(f"{path}.resource"))
    elif ref.resource not in _RESOURCES and not ref.resource.startswith(_HUGEPAGES):
        errors.append(not_supported(f"{path}.resource", ref.resource, _RESOURCES))
    if not ref.divisor or is_zero(ref.divisor):
        return
    divisor, name = canonical(ref.divisor), ref.resource.partition(".")[2]
    detail = ""
    if name == "cpu":
        if divisor not in _CPU_DIVISORS:
            detail = "only divisor's values 1m and 1 are supported with the cpu resource"
    elif divisor not in _BYTE_DIVISORS:
        if name == "memory":
            detail = _BYTE_DETAIL.format("memory")
        elif name == "ephemeral-storage":
            detail = _BYTE_DETAIL.format("local ephemeral storage")
        elif name.startswith("hugepages-"):
            detail = _BYTE_DETAIL.format("hugepages")
    if detail:
        errors.append(invalid(f"{path}.divisor", ref.resource, detail))


def check_env(env: Sequence[EnvVar], volumes: Mapping[str, Volume], path: str, errors: Errors) -> None:
    for i, variable in enumerate(env):
        if not variable.name:
            errors.append(required(f"{path}[{i}].name"))
        elif messages := names.is_env_var(variable.name):
            _texts(messages, f"{path}[{i}].name", variable.name, errors)
        if variable.valueFrom is not None:
            _check_value_from(variable, variable.valueFrom, volumes, f"{path}[{i}].valueFrom", errors)


def _check_value_from(
    variable: EnvVar, source: EnvVarSource, volumes: Mapping[str, Volume], path: str, errors: Errors
) -> None:
    count = 0
    if source.fieldRef is not None:
        count += 1
        check_field_ref(source.fieldRef, ENV_FIELDS, f"{path}.fieldRef", errors)
    if source.resourceFieldRef is not None:
        count += 1
        check_resource_ref(source.resourceFieldRef, f"{path}.resourceFieldRef", False, errors)
    for name, ref in (("configMapKeyRef", source.configMapKeyRef), ("secretKeyRef", source.secretKeyRef)):
        if ref is None:
            continue
        count += 1
        _texts(names.is_dns1123_subdomain(ref.name), f"{path}.{name}.name", ref.name, errors)
        if not ref.key:
            errors.append(required(f"{path}.{name}.key"))
        else:
            _texts(names.is_config_map_key(ref.key), f"{path}.{name}.key", ref.key, errors)
    if source.fileKeyRef is not None:
        count += 1
        _check_file_ref(source.fileKeyRef, volumes, f"{path}.fileKeyRef", errors)
    if count == 0:
        errors.append(invalid(path, "", _NONE_GIVEN))
    elif variable.value:
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))


def _check_file_ref(ref: FileKeySelector, volumes: Mapping[str, Volume], path: str, errors: Errors) -> None:
    if not ref.key:
        errors.append(required(f"{path}.key"))
    else:
        _texts(names.is_env_var(ref.key), f"{path}.key", ref.key, errors)
    if not ref.volumeName:
        errors.append(required(f"{path}.volumeName"))
    else:
        _texts(names.is_dns1123_label(ref.volumeName), f"{path}.volumeName", ref.volumeName, errors)
        volume = volumes.get(ref.volumeName)
        if volume is None:
            errors.append(not_found(f"{path}.volumeName", ref.volumeName))
        elif volume.emptyDir is None:
            errors.append(invalid(f"{path}.volumeName", ref.volumeName, "referenced volume must be of type emptyDir"))
    if not ref.path:
        errors.append(required(f"{path}.path"))
    else:
        if ref.path.startswith("/"):
            errors.append(invalid(f"{path}.path", ref.path, "must be a relative path"))
        if ".." in ref.path.split("/"):
            errors.append(invalid(f"{path}.path", ref.path, "must not contain '..'"))


def check_env_from(sources: Sequence[EnvFromSource], path: str, errors: Errors) -> None:
    for i, source in enumerate(sources):
        at = f"{path}[{i}]"
        if source.prefix:
            _texts(names.is_env_var(source.prefix), f"{at}.prefix", source.prefix, errors)
        count = 0
        for name, ref in (("configMapRef", source.configMapRef), ("secretRef", source.secretRef)):
            if ref is None:
                continue
            count += 1
            if not ref.name:
                errors.append(required(f"{at}.{name}.name"))
            else:
                messages = names.name_is_dns_subdomain(ref.name, prefix=True)
                _texts(messages, f"{at}.{name}.name", ref.name, errors)
        if count == 0:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif count > 1:
            errors.append(invalid(path, "", "may not have more than one field specified at a time"))
