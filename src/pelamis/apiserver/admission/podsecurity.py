"""PodSecurity: the levels privileged, baseline and restricted, chosen by labels of the namespace.

``enforce`` refuses pods; ``warn`` tells the client, also about workloads whose template would be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write

_LABEL = "pod-security.kubernetes.io/"
_LEVELS = ("privileged", "baseline", "restricted")
_TEMPLATES = {
    "deployments.apps": "spec.template",
    "daemonsets.apps": "spec.template",
    "statefulsets.apps": "spec.template",
    "replicasets.apps": "spec.template",
    "replicationcontrollers": "spec.template",
    "jobs.batch": "spec.template",
    "cronjobs.batch": "spec.jobTemplate.spec.template",
    "podtemplates": "template",
}


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
Check = Callable[[Any, Any], Iterator[Finding]]


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
    if spec.hostUsers is False:
        return
    names: list[str] = []
    values: set[str] = set()
    for c in _containers(spec):
        value = c.securityContext.procMount if c.securityContext is not None else None
        if value and value != "Default":
            names.append(c.name)
            values.add(value)
    if names:
        yield "procMount", f"{_who(names)} must not set securityContext.procMount to {_quoted(sorted(values))}"


_SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))


def _selinux(meta: Any, spec: Any) -> Iterator[Finding]:
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
        if options.type not in _SELINUX_TYPES:
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
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    )
)


def _sysctls(meta: Any, spec: Any) -> Iterator[Finding]:
    if spec.securityContext is None:
        return
    names = [s.name for s in spec.securityContext.sysctls if s.name not in _SYSCTLS]
    if names:
        yield "forbidden sysctls", ", ".join(names)


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


def _windows(spec: Any) -> bool:
    return spec.os is not None and spec.os.name == "windows"


def _escalation(meta: Any, spec: Any) -> Iterator[Finding]:
    if _windows(spec):
        return
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
    if spec.hostUsers is False:
        return
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
    if spec.hostUsers is False:
        return
    in_pod = spec.securityContext is not None and spec.securityContext.runAsUser == 0
    names = [c.name for c in _containers(spec) if c.securityContext is not None and c.securityContext.runAsUser == 0]
    if in_pod or names:
        yield "runAsUser=0", _where(names, in_pod, "must not set runAsUser=0")


def _seccomp_restricted(meta: Any, spec: Any) -> Iterator[Finding]:
    if _windows(spec):
        return
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
    if _windows(spec):
        return
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


_BASELINE: tuple[Check, ...] = (
    _apparmor,
    _capabilities,
    _host_namespaces,
    _host_path,
    _host_ports,
    _privileged,
    _proc_mount,
    _seccomp_baseline,
    _selinux,
    _sysctls,
    _host_process,
)
_RESTRICTED: tuple[Check, ...] = (
    _escalation,
    _drop_all,
    _volumes,
    _non_root,
    _root_user,
    _seccomp_restricted,
)


def evaluate(level: str, meta: Any, spec: Any) -> str:
    """Why a pod does not fit a level, empty when it does."""
    if level == "privileged":
        return ""
    checks: list[Check] = list(_BASELINE)
    if level == "restricted":
        # A stricter check of the same thing takes the place of the laxer one.
        checks = [c for c in checks if c not in (_capabilities, _seccomp_baseline)] + list(_RESTRICTED)
    found = [finding for check in checks for finding in check(meta, spec)]
    return ", ".join(f"{reason} ({detail})" if detail else reason for reason, detail in found)


def _level(namespace: Any, mode: str) -> tuple[str, str]:
    """(level, version); an unknown level counts as restricted, as upstream treats a label that it cannot read."""
    labels = namespace.metadata.labels
    level = labels.get(_LABEL + mode, "privileged")
    version = labels.get(f"{_LABEL}{mode}-version", "latest")
    return (level if level in _LEVELS else "restricted"), version


def _validate(write: Write, obj: Any, objects: Objects) -> None:
    if write.operation == "DELETE":
        return
    namespace = objects.get("namespaces", "", write.namespace)
    if namespace is None or not any(k.startswith(_LABEL) for k in namespace.metadata.labels):
        return
    resource = write.hub.resource
    if resource == "pods":
        if (
            write.operation == "UPDATE"
            and write.old is not None
            and not write.subresource
            and _same(write.old.obj, obj)
        ):
            return
        level, version = _level(namespace, "enforce")
        why = evaluate(level, obj.metadata, obj.spec)
        if why:
            raise write.forbid(f'violates PodSecurity "{level}:{version}": {why}')
        template = obj
    else:
        template = obj
        for name in _TEMPLATES[resource].split("."):
            template = getattr(template, name)
    level, version = _level(namespace, "warn")
    if template is None or level == "privileged":
        return
    why = evaluate(level, template.metadata, template.spec)
    if why:
        write.warnings.append(f'would violate PodSecurity "{level}:{version}": {why}')


def _same(old: Any, new: Any) -> bool:
    """An update that changes nothing that the levels look at (images and tolerations may change)."""
    return bool(
        old.metadata.annotations == new.metadata.annotations and len(old.spec.containers) == len(new.spec.containers)
    )


PLUGIN = Plugin(
    "PodSecurity",
    frozenset(("pods", *_TEMPLATES)),
    validate=_validate,
    subresources=("ephemeralcontainers",),
)
