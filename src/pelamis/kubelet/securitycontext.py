"""The security context of a container: what pod and container declare, joined, as the runtime wants it. Pure."""

from __future__ import annotations

from typing import Any

from pelamis.kubelet.cri import types as cri
from pelamis.kubelet.env import ConfigError

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def _profile(declared: Any, root: str) -> cri.SecurityProfile | None:
    if declared is None:
        return None
    if declared.type == "RuntimeDefault":
        return cri.SecurityProfile(profile_type=cri.RUNTIME_DEFAULT)
    if declared.type == "Localhost":
        return cri.SecurityProfile(profile_type=cri.LOCALHOST, localhost_ref=f"{root}{declared.localhostProfile or ''}")
    return cri.SecurityProfile(profile_type=cri.UNCONFINED)


def _selinux(options: Any) -> cri.SELinuxOption | None:
    if options is None:
        return None
    return cri.SELinuxOption(user=options.user, role=options.role, type=options.type, level=options.level)


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def namespaces(pod: Any, target_id: str = "", ephemeral: bool = False) -> cri.NamespaceOption:
    """target_id: the container whose process namespace an ephemeral container joins."""
    spec = pod.spec
    pid = cri.CONTAINER
    if spec.hostPID:
        pid = cri.NODE
    elif target_id:
        pid = cri.TARGET
    elif spec.shareProcessNamespace:
        pid = cri.POD
    return cri.NamespaceOption(
        network=cri.NODE if spec.hostNetwork else cri.POD,
        pid=pid,
        ipc=cri.NODE if spec.hostIPC else cri.POD,
        target_id=target_id if pid == cri.TARGET else "",
    )


def for_sandbox(pod: Any, seccomp_root: str) -> cri.LinuxSandboxSecurityContext:
    context = pod.spec.securityContext
    privileged = any(
        c.securityContext is not None and c.securityContext.privileged
        for c in (*pod.spec.initContainers, *pod.spec.containers, *pod.spec.ephemeralContainers)
    )
    groups: list[int] = []
    if context is not None:
        groups.extend(context.supplementalGroups)
        if context.fsGroup is not None:
            groups.append(context.fsGroup)
    user = context.runAsUser if context is not None else None
    group = context.runAsGroup if context is not None else None
    return cri.LinuxSandboxSecurityContext(
        namespace_options=namespaces(pod),
        selinux_options=_selinux(context.seLinuxOptions) if context is not None else None,
        run_as_user=None if user is None else cri.Int64Value(value=user),
        run_as_group=None if group is None or user is None else cri.Int64Value(value=group),
        supplemental_groups=tuple(groups),
        privileged=privileged,
        seccomp=cri.SecurityProfile(profile_type=cri.RUNTIME_DEFAULT),
    )


def for_container(
    pod: Any, container: Any, image: Any, *, seccomp_root: str, target_id: str = ""
) -> cri.LinuxContainerSecurityContext:
    """image: the runtime's Image (its user decides where nothing is declared). Raises ConfigError."""
    outer, inner = pod.spec.securityContext, container.securityContext

    def pick(name: str) -> Any:
        return _first(getattr(inner, name, None), getattr(outer, name, None))

    user, group = pick("runAsUser"), pick("runAsGroup")
    image_uid = image.uid.value if image is not None and image.uid is not None else None
    image_user = image.username if image is not None else ""
    if pick("runAsNonRoot"):
        _check_non_root(pod, container, user, image_uid, image_user)
    privileged = bool(inner is not None and inner.privileged)
    unmasked = inner is not None and inner.procMount == "Unmasked"
    groups: list[int] = []
    if outer is not None:
        groups.extend(outer.supplementalGroups)
        if outer.fsGroup is not None:
            groups.append(outer.fsGroup)
    capabilities = None
    if inner is not None and inner.capabilities is not None:
        capabilities = cri.Capability(
            add_capabilities=inner.capabilities.add, drop_capabilities=inner.capabilities.drop
        )
    escalation = inner.allowPrivilegeEscalation if inner is not None else None
    seccomp = _profile(pick("seccompProfile"), seccomp_root) or cri.SecurityProfile(profile_type=cri.UNCONFINED)
    if privileged:
        seccomp = cri.SecurityProfile(profile_type=cri.UNCONFINED)
    if user is None:
        user = image_uid
    policy = outer.supplementalGroupsPolicy if outer is not None else None
    return cri.LinuxContainerSecurityContext(
        capabilities=capabilities,
        privileged=privileged,
        namespace_options=namespaces(pod, target_id),
        selinux_options=_selinux(pick("seLinuxOptions")),
        run_as_user=None if user is None else cri.Int64Value(value=user),
        run_as_group=None if group is None else cri.Int64Value(value=group),
        run_as_username=image_user if user is None else "",
        readonly_rootfs=bool(inner is not None and inner.readOnlyRootFilesystem),
        supplemental_groups=tuple(dict.fromkeys(groups)),
        supplemental_groups_policy=1 if policy == "Strict" else 0,
        no_new_privs=escalation is False,
        masked_paths=() if unmasked or privileged else MASKED_PATHS,
        readonly_paths=() if unmasked or privileged else READONLY_PATHS,
        seccomp=seccomp,
        apparmor=_profile(pick("appArmorProfile"), ""),
    )


def _check_non_root(pod: Any, container: Any, user: int | None, image_uid: int | None, image_user: str) -> None:
    where = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", container: {container.name})'
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    if image_uid is not None:
        if image_uid == 0:
            raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
        return
    if image_user:
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({image_user}), cannot verify user is non-root"
            f" {where}"
        )
    raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
