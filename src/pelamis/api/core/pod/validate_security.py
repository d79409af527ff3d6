"""Validation of security contexts, of pods and of containers."""

from __future__ import annotations

import re

from pelamis.api.core.pod.container import (
    AppArmorProfile,
    SeccompProfile,
    SecurityContext,
    WindowsSecurityContextOptions,
)
from pelamis.api.core.pod.spec import PodSecurityContext, PodSpec
from pelamis.api.core.pod.validate_volume import check_descending_path
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_long

Errors = list[FieldError]
_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}"
_sysctl = re.compile(_SYSCTL)
_PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_ISOLATED_IPC = ("kernel.shm", "kernel.msg", "fs.mqueue.")
_control = re.compile(r"[\x00-\x1f\x7f]")
_netbios = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_domain_label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_domain = re.compile(rf"{_domain_label}(?:\.{_domain_label})*")
_bad_user = re.compile(r'["/\\:;|=,+*?<>@\[\]]')


def _id(value: int | None, path: str, errors: Errors) -> None:
    if value is not None and not 0 <= value <= 2147483647:
        errors.append(invalid(path, value, names.within(0, 2147483647)))


def check_seccomp(profile: SeccompProfile | None, path: str, errors: Errors) -> None:
    if profile is None:
        return
    if not profile.type:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif profile.type not in _PROFILE_TYPES:
        errors.append(not_supported(f"{path}.type", profile.type, _PROFILE_TYPES))
    at = f"{path}.localhostProfile"
    if profile.type == "Localhost":
        if profile.localhostProfile is None:
            errors.append(required(at, "must be set when seccomp type is Localhost"))
        else:
            check_descending_path(profile.localhostProfile, at, errors)
    elif profile.localhostProfile is not None:
        errors.append(invalid(at, profile, "can only be set when seccomp type is Localhost"))


def check_app_armor(profile: AppArmorProfile | None, path: str, errors: Errors) -> None:
    if profile is None:
        return
    at, local = f"{path}.localhostProfile", profile.localhostProfile
    if profile.type == "Localhost":
        stripped = local.strip() if local is not None else ""
        if local is not None and stripped != local:
            errors.append(invalid(at, local, "must not be padded with whitespace"))
        elif not stripped:
            errors.append(required(at, "must be set when AppArmor type is Localhost"))
        if local is not None and len(local) > 4095:
            errors.append(too_long(at, 4095))
    elif profile.type in ("RuntimeDefault", "Unconfined"):
        if local is not None:
            errors.append(invalid(at, local, "can only be set when AppArmor type is Localhost"))
    elif not profile.type:
        errors.append(required(f"{path}.type", "type is required when appArmorProfile is set"))
    else:
        errors.append(not_supported(f"{path}.type", profile.type, _PROFILE_TYPES))


def check_container_security(context: SecurityContext, host_users: bool, path: str, errors: Errors) -> None:
    _id(context.runAsUser, f"{path}.runAsUser", errors)
    _id(context.runAsGroup, f"{path}.runAsGroup", errors)
    mount = context.procMount
    if mount is not None:
        at = f"{path}.procMount"
        if mount not in ("Default", "Unmasked"):
            errors.append(not_supported(at, mount, ("Default", "Unmasked")))
        if host_users and mount == "Unmasked":
            errors.append(invalid(at, mount, "`hostUsers` must be false to use `Unmasked`"))
    check_seccomp(context.seccompProfile, f"{path}.seccompProfile", errors)
    if context.allowPrivilegeEscalation is False:
        if context.privileged:
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(invalid(path, context, detail))
        if context.capabilities is not None and "CAP_SYS_ADMIN" in context.capabilities.add:
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(invalid(path, context, detail))
    if context.windowsOptions is not None:
        _check_windows_options(context.windowsOptions, f"{path}.windowsOptions", errors)
    check_app_armor(context.appArmorProfile, f"{path}.appArmorProfile", errors)


def check_pod_security(spec: PodSpec, path: str, errors: Errors) -> None:
    """``path`` is that of ``securityContext``."""
    context = spec.securityContext
    if spec.shareProcessNamespace and spec.hostPID:
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{path}.shareProcessNamespace", True, detail))
    if context is None or context == _EMPTY:
        return
    _id(context.fsGroup, f"{path}.fsGroup", errors)
    _id(context.runAsUser, f"{path}.runAsUser", errors)
    _id(context.runAsGroup, f"{path}.runAsGroup", errors)
    for i, gid in enumerate(context.supplementalGroups):
        _id(gid, f"{path}.supplementalGroups[{i}]", errors)
    if context.sysctls:
        _check_sysctls(spec, context, f"{path}.sysctls", errors)
    _choice(context.fsGroupChangePolicy, ("Always", "OnRootMismatch"), f"{path}.fsGroupChangePolicy", errors)
    check_seccomp(context.seccompProfile, f"{path}.seccompProfile", errors)
    if context.windowsOptions is not None:
        _check_windows_options(context.windowsOptions, f"{path}.windowsOptions", errors)
    check_app_armor(context.appArmorProfile, f"{path}.appArmorProfile", errors)
    _choice(context.supplementalGroupsPolicy, ("Merge", "Strict"), f"{path}.supplementalGroupsPolicy", errors)
    _choice(context.seLinuxChangePolicy, ("MountOption", "Recursive"), f"{path}.seLinuxChangePolicy", errors)


_EMPTY = PodSecurityContext()


def _choice(value: str | None, choices: tuple[str, ...], path: str, errors: Errors) -> None:
    if value is not None and value not in choices:
        errors.append(not_supported(path, value, choices))


def _check_sysctls(spec: PodSpec, context: PodSecurityContext, path: str, errors: Errors) -> None:
    seen: set[str] = set()
    for i, sysctl in enumerate(context.sysctls):
        at, name = f"{path}[{i}].name", sysctl.name
        if not name:
            errors.append(required(at))
        elif len(name) > 253 or not _sysctl.fullmatch(name):
            errors.append(invalid(at, name, f"must have at most 253 characters and match regex ^{_SYSCTL}$"))
        elif name in seen:
            errors.append(duplicate(at, name))
        seen.add(name)
        dotted = normal_sysctl(name)
        if spec.hostNetwork and dotted.startswith("net."):
            errors.append(invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.hostIPC and (dotted == "kernel.sem" or dotted.startswith(_ISOLATED_IPC)):
            errors.append(invalid(at, name, "may not be specified when 'hostIPC' is true"))


def normal_sysctl(name: str) -> str:
    """The name with dots between its segments, as ``sysctl`` prints it (slashes are allowed as separators too)."""
    first = re.search(r"[./]", name)
    if first is None or first[0] == ".":
        return name
    return name.translate(str.maketrans("./", "/."))


def _check_windows_options(options: WindowsSecurityContextOptions, path: str, errors: Errors) -> None:
    if options.gmsaCredentialSpecName is not None:
        value = options.gmsaCredentialSpecName
        at = f"{path}.gmsaCredentialSpecName"
        errors.extend(invalid(at, value, m) for m in names.is_dns1123_subdomain(value))
    if options.gmsaCredentialSpec is not None:
        value, at = options.gmsaCredentialSpec, f"{path}.gmsaCredentialSpec"
        if not value:
            errors.append(invalid(at, value, "gmsaCredentialSpec cannot be an empty string"))
        elif len(value.encode()) > 65536:
            errors.append(invalid(at, value, "gmsaCredentialSpec size must be under 64 KiB"))
    if options.runAsUserName is not None:
        value, at = options.runAsUserName, f"{path}.runAsUserName"
        errors.extend(invalid(at, value, detail) for detail in _user_name_problems(value))


def _user_name_problems(value: str) -> list[str]:
    if not value:
        return ["runAsUserName cannot be an empty string"]
    if _control.search(value):
        return ["runAsUserName cannot contain control characters"]
    if value.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, slash, user = value.rpartition("\\")
    out: list[str] = []
    if len(domain) >= 256:
        out.append("runAsUserName's Domain length must be under 256 characters")
    if slash and not _netbios.fullmatch(domain) and not _domain.fullmatch(domain):
        out.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        out.append("runAsUserName's User cannot be empty")
    elif len(user) > 104:
        out.append("runAsUserName's User length must not be longer than 104 characters")
    if user and not user.strip(". "):
        out.append("runAsUserName's User cannot contain only periods or spaces")
    if _bad_user.search(user):
        out.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return out


def check_host_process(spec: PodSpec, path: str, errors: Errors) -> None:
    """Windows host process containers: all or none of a pod's containers, and on the host's network."""
    options = spec.securityContext.windowsOptions if spec.securityContext is not None else None
    pod_wide = options.hostProcess if options is not None else None
    total = count = 0
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(getattr(spec, field)):
            total += 1
            context = container.securityContext
            own = context.windowsOptions.hostProcess if context is not None and context.windowsOptions else None
            if pod_wide is not None and own is not None and own != pod_wide:
                shown = "true" if pod_wide else "false"
                detail = f"pod hostProcess value must be identical if both are specified, was {shown}"
                at = f"{path}.{field}[{i}].securityContext.windowsOptions.hostProcess"
                errors.append(invalid(at, own, detail))
            count += bool(own if own is not None else pod_wide)
    if not count:
        return
    if count != total:
        detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.append(invalid(path, "", detail))
    if not spec.hostNetwork:
        detail = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(invalid(f"{path}.hostNetwork", False, detail))


_NOT_ON_WINDOWS = "cannot be set for a windows pod"
_POD_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "runAsUser",
    "runAsGroup",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
)
_CONTAINER_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def check_windows_pod(spec: PodSpec, path: str, errors: Errors) -> None:
    """What only Linux has may not be set when ``spec.os.name`` is windows."""
    context = spec.securityContext
    if context is not None:
        at = f"{path}.securityContext"
        for name in _POD_FIELDS:
            if getattr(context, name) is not None:
                errors.append(forbidden(f"{at}.{name}", _NOT_ON_WINDOWS))
        for name in ("sysctls", "supplementalGroups"):
            if getattr(context, name):
                errors.append(forbidden(f"{at}.{name}", _NOT_ON_WINDOWS))
    if spec.hostUsers is not None:
        errors.append(forbidden(f"{path}.hostUsers", _NOT_ON_WINDOWS))
    for name in ("hostPID", "hostIPC"):
        if getattr(spec, name):
            errors.append(forbidden(f"{path}.{name}", _NOT_ON_WINDOWS))
    if spec.shareProcessNamespace is not None:
        errors.append(forbidden(f"{path}.shareProcessNamespace", _NOT_ON_WINDOWS))
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(getattr(spec, field)):
            own = container.securityContext
            if own is not None:
                at = f"{path}.{field}[{i}].securityContext"
                for name in _CONTAINER_FIELDS:
                    if getattr(own, name) is not None:
                        errors.append(forbidden(f"{at}.{name}", _NOT_ON_WINDOWS))


def check_linux_pod(spec: PodSpec, path: str, errors: Errors) -> None:
    """What only Windows has may not be set when ``spec.os.name`` is linux."""
    detail = "windows options cannot be set for a linux pod"
    if spec.securityContext is not None and spec.securityContext.windowsOptions is not None:
        errors.append(forbidden(f"{path}.securityContext.windowsOptions", detail))
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(getattr(spec, field)):
            own = container.securityContext
            if own is not None and own.windowsOptions is not None:
                errors.append(forbidden(f"{path}.{field}[{i}].securityContext.windowsOptions", detail))
