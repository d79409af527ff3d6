"""Warnings that a client gets back for a pod or a template: deprecated, ignored or surprising settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pelamis.api.core.iptext import warn_ip
from pelamis.api.core.nodeselector import NodeSelectorTerm
from pelamis.api.core.persistentvolumeclaim import claim_spec_warnings
from pelamis.api.core.pod.affinity import Affinity
from pelamis.api.core.pod.container import ContainerPort, EnvVar
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.core.pod.validate import APP_ARMOR, containers_with_path
from pelamis.api.core.pod.validate_container import AnyContainer
from pelamis.api.meta import ObjectMeta
from pelamis.base.names import is_dns1123_label, is_valid_label_value
from pelamis.base.quantity import NANO, canonical, parse

_ANNOTATIONS = (
    ("scheduler.alpha.kubernetes.io/critical-pod", "v1.16+", "priorityClassName"),
    ("security.alpha.kubernetes.io/sysctls", "v1.11+", "sysctls"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "v1.11+", "sysctls"),
)
_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}
# attribute, name shown, what to say
_VOLUMES = (
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_NO_SELECTOR = "a null labelSelector results in matching no pod"
_BYTES = ("memory", "ephemeral-storage")


def pod_warnings(pod: Pod) -> list[str]:
    out: list[str] = []
    messages = is_dns1123_label(pod.metadata.name)
    if messages:
        out.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
            f"a DNS label is recommended: [{' '.join(messages)}]"
        )
    return out + _warnings(pod.metadata, pod.spec, "")


def pod_template_warnings(template: PodTemplateSpec, path: str) -> list[str]:
    """``path``: that of the template, for example ``spec.template``."""
    return _warnings(template.metadata, template.spec, f"{path}.")


def workload_name_warnings(name: str) -> list[str]:
    """Of a workload whose name begins those of its pods."""
    messages = is_dns1123_label(name)
    if not messages:
        return []
    return [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
        f"a DNS label is recommended: [{' '.join(messages)}]"
    ]


def deprecated_label(key: str) -> str:
    """What to say of an old node label; "" if it is not one."""
    found = _LABELS.get(key)
    return f'deprecated since {found[0]}; use "{found[1]}" instead' if found else ""


def node_term_warnings(term: NodeSelectorTerm, path: str, check_values: bool = False) -> list[str]:
    out: list[str] = []
    for i, rule in enumerate(term.matchExpressions):
        message = deprecated_label(rule.key)
        if message:
            out.append(f"{path}.matchExpressions[{i}].key: {rule.key} is {message}")
        if check_values:
            for j, value in enumerate(rule.values):
                at = f"{path}.matchExpressions[{i}].values[{j}]"
                out.extend(f"{at}: {value} is invalid, {m}" for m in is_valid_label_value(value))
    return out


def _warnings(metadata: ObjectMeta, spec: PodSpec, prefix: str) -> list[str]:
    out: list[str] = []
    for key in spec.nodeSelector:
        if message := deprecated_label(key):
            out.append(f"{prefix}spec.nodeSelector[{key}]: {message}")
    if spec.affinity is not None:
        _node_affinity(spec.affinity, f"{prefix}spec.affinity.nodeAffinity", out)
    for i, rule in enumerate(spec.topologySpreadConstraints):
        at = f"{prefix}spec.topologySpreadConstraints[{i}]"
        if message := deprecated_label(rule.topologyKey):
            out.append(f"{at}.topologyKey: {rule.topologyKey} is {message}")
        if rule.labelSelector is None:
            out.append(f"{at}.labelSelector: {_NO_SELECTOR}")
    annotations = metadata.annotations
    if annotations:
        for key, since, field in _ANNOTATIONS:
            if key in annotations:
                out.append(
                    f'{prefix}metadata.annotations[{key}]: non-functional in {since}; use the "{field}" field instead'
                )
    if spec.volumes:
        _volumes(spec, prefix, out)
    _duplicates([a.ip for a in spec.hostAliases], f"{prefix}spec.hostAliases", "ip", out)
    secrets = [s.name for s in spec.imagePullSecrets]
    _duplicates(secrets, f"{prefix}spec.imagePullSecrets", "name", out)
    for i, name in enumerate(secrets):
        if not name:
            out.append(f'{prefix}spec.imagePullSecrets[{i}].name: invalid empty name ""')
    _fractions(spec.overhead, f"{prefix}spec.overhead", out)
    context = spec.securityContext
    if _SECCOMP_POD in annotations and (context is None or context.seccompProfile is None):
        at = f"{prefix}metadata.annotations[{_SECCOMP_POD}]"
        out.append(f'{at}: non-functional in v1.27+; use the "seccompProfile" field instead')
    pod_armor = context is not None and context.appArmorProfile is not None
    ports: dict[tuple[int, str], list[tuple[str, ContainerPort]]] = {}
    for container, at in containers_with_path(spec, f"{prefix}spec"):
        if annotations:
            _old_annotations(container, annotations, prefix, pod_armor, out)
        resources = container.resources
        for name in _BYTES:
            for kind, amounts in (("limits", resources.limits), ("requests", resources.requests)):
                if name in amounts:
                    _fraction(amounts[name], f"{at}.resources.{kind}[{name}]", out)
        if len(container.env) > 1:
            _hidden(container.env, f"{at}.env", out)
    for container, at in containers_with_path(spec, f"{prefix}spec"):
        _ports(container.ports, f"{at}.ports", ports, out)
    grace = spec.terminationGracePeriodSeconds
    if grace is not None and grace < 0:
        at = f"{prefix}spec.terminationGracePeriodSeconds"
        out.append(f"{at}: must be >= 0; negative values are invalid and will be treated as 1")
    if spec.affinity is not None:
        _pod_affinity(spec.affinity, f"{prefix}spec.affinity", out)
    if spec.dnsConfig is not None:
        for i, server in enumerate(spec.dnsConfig.nameservers):
            out.extend(warn_ip(f"{prefix}spec.dnsConfig.nameservers[{i}]", server))
    for i, alias in enumerate(spec.hostAliases):
        out.extend(warn_ip(f"{prefix}spec.hostAliases[{i}].ip", alias.ip))
    return out


def _node_affinity(affinity: Affinity, path: str, out: list[str]) -> None:
    rules = affinity.nodeAffinity
    if rules is None:
        return
    needed = rules.requiredDuringSchedulingIgnoredDuringExecution
    at = f"{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    for i, term in enumerate(needed.nodeSelectorTerms if needed is not None else ()):
        out.extend(node_term_warnings(term, f"{at}[{i}]"))
    at = f"{path}.preferredDuringSchedulingIgnoredDuringExecution"
    for i, wish in enumerate(rules.preferredDuringSchedulingIgnoredDuringExecution):
        out.extend(node_term_warnings(wish.preference, f"{at}[{i}].preference", True))


def _pod_affinity(affinity: Affinity, path: str, out: list[str]) -> None:
    for name, side in (("podAffinity", affinity.podAffinity), ("podAntiAffinity", affinity.podAntiAffinity)):
        if side is None:
            continue
        at = f"{path}.{name}.requiredDuringSchedulingIgnoredDuringExecution"
        for i, term in enumerate(side.requiredDuringSchedulingIgnoredDuringExecution):
            if term.labelSelector is None:
                out.append(f"{at}[{i}].labelSelector: {_NO_SELECTOR}")
        at = f"{path}.{name}.preferredDuringSchedulingIgnoredDuringExecution"
        for i, wish in enumerate(side.preferredDuringSchedulingIgnoredDuringExecution):
            if wish.podAffinityTerm.labelSelector is None:
                out.append(f"{at}[{i}].podAffinityTerm.labelSelector: {_NO_SELECTOR}")


def _volumes(spec: PodSpec, prefix: str, out: list[str]) -> None:
    for i, volume in enumerate(spec.volumes):
        at = f"{prefix}spec.volumes[{i}]"
        for attribute, shown, message in _VOLUMES:
            if getattr(volume, attribute) is not None:
                out.append(f"{at}.{shown}: {message}")
        if volume.ephemeral is not None and volume.ephemeral.volumeClaimTemplate is not None:
            template = volume.ephemeral.volumeClaimTemplate
            out.extend(claim_spec_warnings(template.spec, f"{at}.ephemeral.volumeClaimTemplate.spec"))
    tokens = {
        source.serviceAccountToken.path
        for volume in spec.volumes
        if volume.projected is not None
        for source in volume.projected.sources
        if source.serviceAccountToken is not None
    }
    if tokens:
        _token_paths(spec, tokens, prefix, out)


def _token_paths(spec: PodSpec, tokens: set[str], prefix: str, out: list[str]) -> None:
    """Files that a projected volume writes over its own token."""
    for i, volume in enumerate(spec.volumes):
        for source in volume.projected.sources if volume.projected is not None else ():
            at = f"{prefix}spec.volumes[{i}].projected.sources"
            groups: list[tuple[str, list[str]]] = [
                ("configMap", [x.path for x in source.configMap.items] if source.configMap is not None else []),
                ("secrets", [x.path for x in source.secret.items] if source.secret is not None else []),
                ("downwardAPI", [x.path for x in source.downwardAPI.items] if source.downwardAPI is not None else []),
            ]
            for name, paths in groups:
                for j, path in enumerate(paths):
                    if path in tokens:
                        out.append(f'{at}.{name}[{j}]: has duplicated path with ServiceAccountToken "{path}"')
            bundle = source.clusterTrustBundle
            if bundle is not None and bundle.path in tokens:
                out.append(f'{at}.ClusterTrustBundle: has duplicated path with ServiceAccountToken "{bundle.path}"')


def _duplicates(values: Sequence[str], path: str, name: str, out: list[str]) -> None:
    seen: set[str] = set()
    for i, value in enumerate(values):
        if value in seen:
            out.append(f'{path}[{i}].{name}: duplicate {name} "{value}"')
        seen.add(value)


def _fraction(text: str, path: str, out: list[str]) -> None:
    if -(-parse(text).nano // 1_000_000) * 1_000_000 % NANO:
        out.append(f'{path}: fractional byte value "{canonical(text)}" is invalid, must be an integer')


def _fractions(amounts: Mapping[str, str], path: str, out: list[str]) -> None:
    for name in _BYTES:
        if name in amounts:
            _fraction(amounts[name], f"{path}[{name}]", out)


def _old_annotations(
    container: AnyContainer, annotations: Mapping[str, str], prefix: str, pod_armor: bool, out: list[str]
) -> None:
    own = container.securityContext
    key = _SECCOMP_CONTAINER + container.name
    if key in annotations and (own is None or own.seccompProfile is None):
        at = f"{prefix}metadata.annotations[{key}]"
        out.append(f'{at}: non-functional in v1.27+; use the "seccompProfile" field instead')
    key = APP_ARMOR + container.name
    armored = pod_armor or (own is not None and own.appArmorProfile is not None)
    if key in annotations and prefix and not armored:
        at = f"{prefix}metadata.annotations[{key}]"
        out.append(f'{at}: deprecated since v1.30; use the "appArmorProfile" field instead')


def _hidden(env: Sequence[EnvVar], path: str, out: list[str]) -> None:
    """A second definition of a variable is fine only if it builds on the first."""
    seen: set[str] = set()
    for i, variable in enumerate(env):
        name = variable.name
        if name in seen:
            ref = f"$({name})"
            if variable.valueFrom is not None or variable.value == ref or ref not in variable.value:
                out.append(f'{path}[{i}]: hides previous definition of "{name}", which may be dropped when using apply')
        seen.add(name)


def _ports(
    ports: Sequence[ContainerPort],
    path: str,
    known: dict[tuple[int, str], list[tuple[str, ContainerPort]]],
    out: list[str],
) -> None:
    for i, port in enumerate(ports):
        at = f"{path}[{i}]"
        if port.hostIP and not port.hostPort:
            shown = (
                f"{{Name:{port.name} HostPort:{port.hostPort} ContainerPort:{port.containerPort} "
                f"Protocol:{port.protocol} HostIP:{port.hostIP}}}"
            )
            out.append(f"{at}: hostIP set without hostPort: {shown}")
        others = known.setdefault((port.containerPort, port.protocol), [])
        for other_at, other in others:
            if (port.hostIP, port.hostPort) == (other.hostIP, other.hostPort):
                out.append(f"{at}: duplicate port definition with {other_at}")
            elif not port.hostPort or not other.hostPort:
                out.append(f"{at}: overlapping port definition with {other_at}")
            elif port.hostPort == other.hostPort and bool(port.hostIP) != bool(other.hostIP):
                out.append(f"{at}: dangerously ambiguous port definition with {other_at}")
        others.append((at, port))
