"""The checks of the Pod Security levels, each in the versions of its policy. Pure.

A namespace may pin a version, so that an upgrade of the server does not change what its pods may do. A check says from
which version on it looks at what; before its first version it finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LATEST = 0
"""The version of this server."""
NEWEST = 37


def _containers(spec: Any) -> list[Any]:
    return [*spec.initContainers, *spec.containers, *spec.ephemeralContainers]


def _quoted(names: Any) -> str:
    return ", ".join(f'"{n}"' for n in names)


def _who(names: list[str], *, word: str = "container") -> str:
    return f"{word if len(names) == 1 else word + 's'} {_quoted(names)}"


def _where(containers: list[str], pod: bool, text: str) -> str:
    """``pod or containers "a", "b" must not set …``."""
    who = (["pod"] if pod else []) + ([_who(containers)] if containers else [])
    return f"{' and '.join(who)} {text}"


# -- baseline: each yields (reason, detail)

Finding = tuple[str, str]
Find = Callable[[Any, Any], Iterator[Finding]]


def _host_namespaces(meta: Any, spec: Any) -> Iterator[Finding]:
    found = [f"{n}=true" for n in ("hostNetwork", "hostPID", "hostIPC") if getattr(spec, n)]
    if found:
        yield "host namespaces", ", ".join(found)


def _host_path(meta: Any, spec: Any) -> Iterator[Finding]:
    names = [v.name for v in spec.volumes if v.hostPath is not None]
    if names:
        yield "hostPath volumes", f"{'volume' if len(names) == 1 else 'volumes'} {_quoted(names)}"


def _host_ports(meta: Any, spec: Any) -> Iterator[Finding]:
    names: list[str] = []
    ports: set[int] = set()
    for c in _containers(spec):
        own = [p.hostPort for p in c.ports if p.hostPort]
        if own:
            names.append(c.name)
            ports.update(own)
    if names:
        text = "hostPort" if len(ports) == 1 else "hostPorts"
        yield (
            "hostPort",
            f"{_who(names)} {'uses' if len(names) == 1 else 'use'} {text} {', '.join(map(str, sorted(ports)))}",
        )


def _privileged(meta: Any, spec: Any) -> Iterator[Finding]:
    names = [c.name for c in _containers(spec) if c.securityContext is not None and c.securityContext.privileged]
    if names:
        yield "privileged", f"{_who(names)} must not set securityContext.privileged=true"


_BASE_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)


def _added(container: Any) -> tuple[str, ...]:
    context = container.securityContext
    if context is None or context.capabilities is None:
        return ()
    found: tuple[str, ...] = context.capabilities.add
    return found


def _capabilities(meta: Any, spec: Any) -> Iterator[Finding]:
    names: list[str] = []
    bad: set[str] = set()
    for c in _containers(spec):
        extra = [a for a in _added(c) if a not in _BASE_CAPABILITIES]
        if extra:
            names.append(c.name)
            bad.update(extra)
    if names:
        yield (
            "non-default capabilities",
            f"{_who(names)} must not include {_quoted(sorted(bad))} in securityContext.capabilities.add",
        )


def _proc_mount(meta: Any, spec: Any) -> Iterator[Finding]:
    names: list[str] = []
    values: set[str] = set()
    for c in _containers(spec):
        value = c.securityContext.procMount if c.securityContext is not None else None
        if value and value != "Default":
            names.append(c.name)
            values.add(value)
    if names:
        yield "procMount", f"{_who(names)} must not set securityContext.procMount to {_quoted(sorted(values))}"


_SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t"))


def _selinux_before_31(meta: Any, spec: Any) -> Iterator[Finding]:
    return _selinux_types(spec, _SELINUX_TYPES)


def _selinux(meta: Any, spec: Any) -> Iterator[Finding]:
    return _selinux_types(spec, _SELINUX_TYPES | {"container_engine_t"})


def _selinux_types(spec: Any, allowed: frozenset[str]) -> Iterator[Finding]:
    pod = spec.securityContext.seLinuxOptions if spec.securityContext is not None else None
    types: set[str] = set()
    users = roles = False
    in_pod = False
    names: list[str] = []
    for options, name in [
        (pod, ""),
        *(
            (c.securityContext.seLinuxOptions if c.securityContext is not None else None, c.name)
            for c in _containers(spec)
        ),
    ]:
        if options is None:
            continue
        bad = False
        if options.type not in allowed:
            types.add(options.type)
            bad = True
        users, bad = users or bool(options.user), bad or bool(options.user)
        roles, bad = roles or bool(options.role), bad or bool(options.role)
        if bad and name:
            names.append(name)
        elif bad:
            in_pod = True
    if in_pod or names:
        parts = []
        if types:
            parts.append(f"{'type' if len(types) == 1 else 'types'} {_quoted(sorted(types))}")
        if users:
            parts.append("user may not be set")
        if roles:
            parts.append("role may not be set")
        yield (
            "seLinuxOptions",
            _where(names, in_pod, f"set forbidden securityContext.seLinuxOptions: {'; '.join(parts)}"),
        )


def _seccomp_baseline(meta: Any, spec: Any) -> Iterator[Finding]:
    pod = spec.securityContext.seccompProfile if spec.securityContext is not None else None
    in_pod = pod is not None and pod.type == "Unconfined"
    names = [
        c.name
        for c in _containers(spec)
        if c.securityContext is not None
        and c.securityContext.seccompProfile is not None
        and c.securityContext.seccompProfile.type == "Unconfined"
    ]
    if in_pod or names:
        yield (
            "seccompProfile",
            _where(names, in_pod, 'must not set securityContext.seccompProfile.type to "Unconfined"'),
        )


def _apparmor(meta: Any, spec: Any) -> Iterator[Finding]:
    bad = {
        f'{k}="{v}"'
        for k, v in meta.annotations.items()
        if k.startswith("container.apparmor.security.beta.kubernetes.io/")
        and v not in ("", "runtime/default")
        and not v.startswith("localhost/")
    }
    pod = getattr(spec.securityContext, "appArmorProfile", None) if spec.securityContext is not None else None
    in_pod = pod is not None and pod.type == "Unconfined"
    names = [
        c.name
        for c in _containers(spec)
        if c.securityContext is not None
        and getattr(c.securityContext, "appArmorProfile", None) is not None
        and c.securityContext.appArmorProfile.type == "Unconfined"
    ]
    if bad:
        yield (
            "forbidden AppArmor profile" if len(bad) == 1 else "forbidden AppArmor profiles",
            ", ".join(sorted(bad)),
        )
    if in_pod or names:
        yield (
            "forbidden AppArmor profile",
            _where(names, in_pod, 'must not set AppArmor profile type to "Unconfined"'),
        )


_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_syncookies",
    )
)
_SYSCTLS_27 = _SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def _sysctls(allowed: frozenset[str]) -> Find:
    def find(meta: Any, spec: Any) -> Iterator[Finding]:
        if spec.securityContext is None:
            return
        names = [s.name for s in spec.securityContext.sysctls if s.name not in allowed]
        if names:
            yield "forbidden sysctls", ", ".join(names)

    return find


def _hosts(container: Any) -> Iterator[str]:
    handlers = [container.livenessProbe, container.readinessProbe, container.startupProbe]
    if container.lifecycle is not None:
        handlers += [container.lifecycle.postStart, container.lifecycle.preStop]
    for handler in handlers:
        if handler is not None:
            for action in (handler.httpGet, handler.tcpSocket):
                if action is not None and action.host:
                    yield action.host


def _probe_hosts(meta: Any, spec: Any) -> Iterator[Finding]:
    names: set[str] = set()
    hosts: set[str] = set()
    for c in _containers(spec):
        own = list(_hosts(c))
        if own:
            names.add(c.name)
            hosts.update(own)
    if names:
        verb = "uses" if len(names) == 1 else "use"
        what = "probe or lifecycle host" if len(hosts) == 1 else "probe or lifecycle hosts"
        yield "probe or lifecycle host", f"{_who(sorted(names))} {verb} {what} {_quoted(sorted(hosts))}"


_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


def _seccomp_annotations(meta: Any, spec: Any) -> Iterator[Finding]:
    """As pods said it before version 1.19."""
    keys = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + c.name for c in _containers(spec))]
    bad = {
        f'{k}="{v}"'
        for k in keys
        if (v := meta.annotations.get(k)) is not None
        and v not in ("runtime/default", "docker/default")
        and not v.startswith("localhost/")
    }
    if bad:
        yield "seccompProfile", f"forbidden {'annotation' if len(bad) == 1 else 'annotations'} {', '.join(sorted(bad))}"


def _host_process(meta: Any, spec: Any) -> Iterator[Finding]:
    def asks(context: Any) -> bool:
        options = context.windowsOptions if context is not None else None
        return options is not None and bool(options.hostProcess)

    in_pod = asks(spec.securityContext)
    names = [c.name for c in _containers(spec) if asks(c.securityContext)]
    if in_pod or names:
        yield "hostProcess", _where(names, in_pod, "must not set securityContext.windowsOptions.hostProcess=true")


# -- restricted

_VOLUME_TYPES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    )
)


def _volumes(meta: Any, spec: Any) -> Iterator[Finding]:
    names: list[str] = []
    types: set[str] = set()
    for volume in spec.volumes:
        kind = next((f for f in volume.__struct_fields__ if f != "name" and getattr(volume, f) is not None), "emptyDir")
        if kind not in _VOLUME_TYPES:
            names.append(volume.name)
            types.add(kind)
    if names:
        word = "volume" if len(names) == 1 else "volumes"
        verb = "uses" if len(names) == 1 else "use"
        kinds = f"restricted volume {'type' if len(types) == 1 else 'types'} {_quoted(sorted(types))}"
        yield "restricted volume types", f"{word} {_quoted(names)} {verb} {kinds}"


def _not_on_windows(find: Find) -> Find:
    """What has no meaning on Windows is not asked of pods for it."""

    def narrowed(meta: Any, spec: Any) -> Iterator[Finding]:
        return find(meta, spec) if spec.os is None or spec.os.name != "windows" else iter(())

    return narrowed


def _not_in_user_namespace(find: Find) -> Find:
    """In a user namespace of its own, root is nobody outside."""

    def narrowed(meta: Any, spec: Any) -> Iterator[Finding]:
        return find(meta, spec) if spec.hostUsers is not False else iter(())

    return narrowed


def _escalation(meta: Any, spec: Any) -> Iterator[Finding]:
    names = [
        c.name
        for c in _containers(spec)
        if c.securityContext is None or c.securityContext.allowPrivilegeEscalation is not False
    ]
    if names:
        yield (
            "allowPrivilegeEscalation != false",
            f"{_who(names)} must set securityContext.allowPrivilegeEscalation=false",
        )


def _non_root(meta: Any, spec: Any) -> Iterator[Finding]:
    context = spec.securityContext
    pod = context.runAsNonRoot if context is not None else None
    explicit: list[str] = []
    implicit: list[str] = []
    for c in _containers(spec):
        own = c.securityContext.runAsNonRoot if c.securityContext is not None else None
        if own is False:
            explicit.append(c.name)
        elif own is None and pod is not True:
            implicit.append(c.name)
    if explicit or pod is False:
        yield "runAsNonRoot != true", _where(explicit, pod is False, "must not set securityContext.runAsNonRoot=false")
    elif implicit:
        yield "runAsNonRoot != true", f"pod or {_who(implicit)} must set securityContext.runAsNonRoot=true"


def _root_user(meta: Any, spec: Any) -> Iterator[Finding]:
    in_pod = spec.securityContext is not None and spec.securityContext.runAsUser == 0
    names = [c.name for c in _containers(spec) if c.securityContext is not None and c.securityContext.runAsUser == 0]
    if in_pod or names:
        yield "runAsUser=0", _where(names, in_pod, "must not set runAsUser=0")


def _seccomp_restricted(meta: Any, spec: Any) -> Iterator[Finding]:
    profile = spec.securityContext.seccompProfile if spec.securityContext is not None else None
    fine = ("RuntimeDefault", "Localhost")
    pod_good = profile is not None and profile.type in fine
    pod_bad = profile is not None and profile.type not in fine
    explicit: list[str] = []
    implicit: list[str] = []
    for c in _containers(spec):
        own = c.securityContext.seccompProfile if c.securityContext is not None else None
        if own is not None:
            if own.type not in fine:
                explicit.append(c.name)
        elif not pod_good:
            implicit.append(c.name)
    if pod_bad or explicit:
        text = 'must not set securityContext.seccompProfile.type to "Unconfined"'
        yield "seccompProfile", _where(explicit, pod_bad, text)
    elif implicit:
        yield (
            "seccompProfile",
            f'pod or {_who(implicit)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"',
        )


def _drop_all(meta: Any, spec: Any) -> Iterator[Finding]:
    not_dropped: list[str] = []
    adding: list[str] = []
    bad: set[str] = set()
    for c in _containers(spec):
        capabilities = c.securityContext.capabilities if c.securityContext is not None else None
        if capabilities is None or "ALL" not in capabilities.drop:
            not_dropped.append(c.name)
        extra = [a for a in _added(c) if a != "NET_BIND_SERVICE"]
        if extra:
            adding.append(c.name)
            bad.update(extra)
    parts = []
    if not_dropped:
        parts.append(f'{_who(not_dropped)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        parts.append(f"{_who(adding)} must not include {_quoted(sorted(bad))} in securityContext.capabilities.add")
    if parts:
        yield "unrestricted capabilities", "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Check:
    """versions: (minor version from which on, what is looked for), rising. replaces: the laxer check of the same."""

    id: str
    versions: tuple[tuple[int, Find], ...]
    replaces: str = ""

    def at(self, minor: int) -> Find | None:
        return next((find for first, find in reversed(self.versions) if first <= minor), None)


BASELINE: tuple[Check, ...] = (
    Check("appArmorProfile", ((0, _apparmor),)),
    Check("capabilities_baseline", ((0, _capabilities),)),
    Check("hostNamespaces", ((0, _host_namespaces),)),
    Check("hostPathVolumes", ((0, _host_path),)),
    Check("hostPorts", ((0, _host_ports),)),
    Check("hostProbesAndHostLifecycle", ((34, _probe_hosts),)),
    Check("privileged", ((0, _privileged),)),
    Check("procMount", ((0, _proc_mount), (35, _not_in_user_namespace(_proc_mount)))),
    Check("seLinuxOptions", ((0, _selinux_before_31), (31, _selinux))),
    Check("seccompProfile_baseline", ((0, _seccomp_annotations), (19, _seccomp_baseline))),
    Check(
        "sysctls",
        (
            (0, _sysctls(_SYSCTLS)),
            (27, _sysctls(_SYSCTLS_27)),
            (29, _sysctls(_SYSCTLS_29)),
            (32, _sysctls(_SYSCTLS_32)),
        ),
    ),
    Check("windowsHostProcess", ((0, _host_process),)),
)
RESTRICTED: tuple[Check, ...] = (
    Check("allowPrivilegeEscalation", ((8, _escalation), (25, _not_on_windows(_escalation)))),
    Check("capabilities_restricted", ((22, _drop_all), (25, _not_on_windows(_drop_all))), "capabilities_baseline"),
    Check("restrictedVolumes", ((0, _volumes),)),
    Check("runAsNonRoot", ((0, _non_root), (35, _not_in_user_namespace(_non_root)))),
    Check("runAsUser", ((23, _root_user), (35, _not_in_user_namespace(_root_user)))),
    Check(
        "seccompProfile_restricted",
        ((19, _seccomp_restricted), (25, _not_on_windows(_seccomp_restricted))),
        "seccompProfile_baseline",
    ),
)


@lru_cache(maxsize=256)
def finders(level: str, minor: int) -> tuple[Find, ...]:
    """What a level looks for in a version, in the order of messages."""
    if level == "privileged":
        return ()
    minor = NEWEST if minor == LATEST else min(minor, NEWEST)
    checks = list(BASELINE)
    if level == "restricted":
        replaced = {c.replaces for c in RESTRICTED if c.at(minor) is not None}
        checks = [*(c for c in checks if c.id not in replaced), *RESTRICTED]
    return tuple(find for c in checks if (find := c.at(minor)) is not None)


def evaluate(level: str, meta: Any, spec: Any, minor: int = LATEST) -> list[Finding]:
    """Why a pod does not fit a level; empty when it does. minor: of the version of the policy."""
    return [finding for find in finders(level, minor) for finding in find(meta, spec)]


def explain(findings: list[Finding]) -> str:
    return ", ".join(f"{reason} ({detail})" if detail else reason for reason, detail in findings)
