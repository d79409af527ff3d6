"""KubeSchedulerConfiguration (``kubescheduler.config.k8s.io/v1``): a YAML or JSON text becomes checked structs.

``read(text)`` is pure: strict decoding (a field that is unknown or there twice is a mistake), upstream's defaults, and
all of upstream's checks, told together in one ``ConfigError``. ``profile`` makes of it what the scheduler runs with.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from pelamis.api import loosen
from pelamis.api.core.pod.affinity import NodeAffinity, TopologySpreadConstraint
from pelamis.api.core.pod.validate_affinity import check_node_selector, check_node_term
from pelamis.api.core.resourcename import is_native
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from pelamis.base.names import is_qualified_name
from pelamis.scheduler import args as a

API_VERSION = "kubescheduler.config.k8s.io/v1"
KIND = "KubeSchedulerConfiguration"
DEFAULT_NAME = "default-scheduler"
EVERY = "*"
POINTS = (
    "preEnqueue",
    "queueSort",
    "preFilter",
    "filter",
    "postFilter",
    "preScore",
    "score",
    "reserve",
    "permit",
    "preBind",
    "bind",
    "postBind",
)
_REMOVED = ("AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits")
_DURATION = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
ARGS: dict[str, type[a.Args]] = {
    "DefaultPreemption": a.DefaultPreemptionArgs,
    "DynamicResources": a.DynamicResourcesArgs,
    "InterPodAffinity": a.InterPodAffinityArgs,
    "NodeAffinity": a.NodeAffinityArgs,
    "NodeResourcesBalancedAllocation": a.NodeResourcesBalancedAllocationArgs,
    "NodeResourcesFit": a.NodeResourcesFitArgs,
    "PodTopologySpread": a.PodTopologySpreadArgs,
    "VolumeBinding": a.VolumeBindingArgs,
}


class ConfigError(Exception):
    """problems: one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class PluginName(_Part, frozen=True):
    """weight 0 = not given."""

    name: str = ""
    weight: int = 0


class PluginSet(_Part, frozen=True):
    enabled: tuple[PluginName, ...] = ()
    disabled: tuple[PluginName, ...] = ()


class Plugins(_Part, frozen=True):
    preEnqueue: PluginSet = PluginSet()
    queueSort: PluginSet = PluginSet()
    preFilter: PluginSet = PluginSet()
    filter: PluginSet = PluginSet()
    postFilter: PluginSet = PluginSet()
    preScore: PluginSet = PluginSet()
    score: PluginSet = PluginSet()
    reserve: PluginSet = PluginSet()
    permit: PluginSet = PluginSet()
    preBind: PluginSet = PluginSet()
    bind: PluginSet = PluginSet()
    postBind: PluginSet = PluginSet()
    multiPoint: PluginSet = PluginSet()


class PluginConfig(_Part, frozen=True):
    """args: after ``read`` a struct of ``args`` for a plugin that is known, else the tree as it stands in the file."""

    name: str = ""
    args: Any = None


class ProfileConfig(_Part, frozen=True):
    schedulerName: str | None = None
    percentageOfNodesToScore: int | None = None
    plugins: Plugins = Plugins()
    pluginConfig: tuple[PluginConfig, ...] = ()


class ManagedResource(_Part, frozen=True):
    name: str = ""
    ignoredByScheduler: bool = False


class ExtenderTLS(_Part, frozen=True):
    """…Data: PEM in base64, goes before the file."""

    insecure: bool = False
    serverName: str = ""
    certFile: str = ""
    keyFile: str = ""
    caFile: str = ""
    certData: bytes = b""
    keyData: bytes = b""
    caData: bytes = b""


class ExtenderConfig(_Part, frozen=True):
    """A web server that is asked too. A verb is the last part of the URL; one that is empty is not asked for."""

    urlPrefix: str = ""
    filterVerb: str = ""
    preemptVerb: str = ""
    prioritizeVerb: str = ""
    bindVerb: str = ""
    weight: int = 0
    enableHTTPS: bool = False
    tlsConfig: ExtenderTLS | None = None
    httpTimeout: str = "5s"
    nodeCacheCapable: bool = False
    managedResources: tuple[ManagedResource, ...] = ()
    ignorable: bool = False


class LeaderElection(_Part, frozen=True):
    leaderElect: bool = True
    leaseDuration: str = "15s"
    renewDeadline: str = "10s"
    retryPeriod: str = "2s"
    resourceLock: str = "leases"
    resourceName: str = "kube-scheduler"
    resourceNamespace: str = "kube-system"


class ClientConnection(_Part, frozen=True):
    kubeconfig: str = ""
    acceptContentTypes: str = ""
    contentType: str = "application/vnd.kubernetes.protobuf"
    qps: float = 50.0
    burst: int = 100


class Configuration(_Part, frozen=True):
    """parallelism, percentageOfNodesToScore, clientConnection, profiling: accepted, and of no effect here."""

    kind: str = KIND
    apiVersion: str = API_VERSION
    parallelism: int = 16
    leaderElection: LeaderElection = LeaderElection()
    clientConnection: ClientConnection = ClientConnection()
    enableProfiling: bool | None = None
    enableContentionProfiling: bool | None = None
    percentageOfNodesToScore: int = 0
    podInitialBackoffSeconds: int = 1
    podMaxBackoffSeconds: int = 10
    profiles: tuple[ProfileConfig, ...] = ()
    extenders: tuple[ExtenderConfig, ...] = ()
    delayCacheUntilActive: bool = False


def read(text: str | bytes) -> Configuration:
    """Raises ConfigError."""
    problems: list[str] = []
    try:
        tree = loosen.read_yaml(text.encode() if isinstance(text, str) else text, problems)
    except ValueError as error:
        raise ConfigError([str(error)]) from None
    if not isinstance(tree, dict):
        raise ConfigError([f"the file must hold one object of kind {KIND}, apiVersion {API_VERSION}"])
    kind, version = tree.get("kind", ""), tree.get("apiVersion", "")
    if kind != KIND or version != API_VERSION:
        said = (
            f'no kind "{kind}" is registered for version "{version}"' if kind and version else "no kind or apiVersion"
        )
        raise ConfigError([f"{said}: write `apiVersion: {API_VERSION}` and `kind: {KIND}`"])
    _drop_nulls(tree)
    _unknown(Configuration, tree, "", problems)
    read_args: dict[tuple[int, int], a.Args] = {}
    for i, profile in enumerate(_listed(tree.get("profiles"))):
        for j, entry in enumerate(_listed(profile.get("pluginConfig"))):
            cls = ARGS.get(str(entry.get("name", "")))
            if cls is not None:
                made = _read_args(cls, entry, f"profiles[{i}].pluginConfig[{j}].args", problems)
                if made is not None:
                    read_args[i, j] = made
    if problems:
        raise ConfigError(problems)
    try:
        config = msgspec.convert(tree, Configuration, str_keys=True)
    except msgspec.ValidationError as error:
        raise ConfigError([_type_error(error)]) from None
    config = _with_defaults(config, read_args)
    errors = [str(e) for e in validate(config)]
    if errors:
        raise ConfigError(errors)
    return config


def seconds(text: str) -> float | None:
    """Of a Go duration such as ``1m30s``; None = it is none."""
    if text in ("0", ""):
        return 0.0
    body = text.lstrip("+-")
    total, at = 0.0, 0
    while at < len(body):
        found = _DURATION.match(body, at)
        if found is None or found.group(0)[0] in "+-":
            return None
        total += float(found.group(1)) * _UNITS[found.group(3)]
        at = found.end()
    return -total if text.startswith("-") else total


# -- decoding


def _listed(value: Any) -> list[dict[str, Any]]:
    return [v if isinstance(v, dict) else {} for v in value] if isinstance(value, list) else []


def _drop_nulls(value: Any) -> None:
    """A member without a value is as good as none."""
    if isinstance(value, dict):
        for key in [k for k, v in value.items() if v is None]:
            del value[key]
        for each in value.values():
            _drop_nulls(each)
    elif isinstance(value, list):
        for each in value:
            _drop_nulls(each)


def _structs(hint: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The struct in a field's type, and whether it is in a list."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint, False
    args = typing.get_args(hint)
    listed = typing.get_origin(hint) is tuple
    for arg in args:
        found, deeper = _structs(arg)
        if found is not None:
            return found, listed or deeper
    return None, False


def _unknown(cls: type[msgspec.Struct], tree: Any, path: str, problems: list[str]) -> None:
    """Fields that the struct does not have, with the one that was perhaps meant."""
    if not isinstance(tree, dict):
        return
    fields = {f.encode_name: f for f in msgspec.structs.fields(cls)}
    for key, value in tree.items():
        at = f"{path}.{key}" if path else str(key)
        field = fields.get(key)
        if field is None:
            near = get_close_matches(str(key), list(fields), 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            problems.append(f'strict decoding error: unknown field "{at}"{meant}')
            continue
        inner, listed = _structs(field.type)
        if inner is None:
            continue
        if listed and isinstance(value, list):
            for i, item in enumerate(value):
                _unknown(inner, item, f"{at}[{i}]", problems)
        elif not listed:
            _unknown(inner, value, at, problems)


def _type_error(error: Exception, prefix: str = "") -> str:
    """``profiles[0].x: expected `int`, got `str```."""
    what, _, where = str(error).partition(" - at ")
    path = where.strip("`").removeprefix("$").lstrip(".")
    path = f"{prefix}.{path}".strip(".") if path or prefix else ""
    what = what[:1].lower() + what[1:]
    return f"{path}: {what}" if path else what


def _read_args(cls: type[a.Args], entry: dict[str, Any], path: str, problems: list[str]) -> a.Args | None:
    tree = entry.get("args", {})
    name = entry["name"]
    if isinstance(tree, dict):
        kind, version = tree.get("kind", ""), tree.get("apiVersion", "")
        if kind and kind != cls.__name__:
            problems.append(f"{path}: args for plugin {name} were not of type {cls.__name__}, got {kind}")
            return None
        if version and version != API_VERSION:
            problems.append(f"{path}: apiVersion must be {API_VERSION}, got {version}")
            return None
    before = len(problems)
    _unknown(cls, tree, path, problems)
    if len(problems) > before:
        return None
    try:
        return msgspec.convert(tree, cls, str_keys=True)
    except msgspec.ValidationError as error:
        problems.append(_type_error(error, path))
        return None


def _weighted(resources: tuple[a.ResourceSpec, ...]) -> tuple[a.ResourceSpec, ...]:
    return tuple(r if r.weight else a.ResourceSpec(r.name, 1) for r in resources) or a.CPU_AND_MEMORY


def _default_args(given: a.Args) -> a.Args:
    if isinstance(given, a.NodeResourcesFitArgs):
        strategy = given.scoringStrategy
        strategy = msgspec.structs.replace(strategy, resources=_weighted(strategy.resources))
        return msgspec.structs.replace(given, scoringStrategy=strategy)
    if isinstance(given, a.NodeResourcesBalancedAllocationArgs):
        return msgspec.structs.replace(given, resources=_weighted(given.resources))
    if isinstance(given, a.PodTopologySpreadArgs) and not given.defaultingType:
        return msgspec.structs.replace(given, defaultingType="System")
    return given


def _with_defaults(config: Configuration, read_args: dict[tuple[int, int], a.Args]) -> Configuration:
    profiles = list(config.profiles) or [ProfileConfig()]
    if len(profiles) == 1 and profiles[0].schedulerName is None:
        profiles[0] = msgspec.structs.replace(profiles[0], schedulerName=DEFAULT_NAME)
    for i, profile in enumerate(profiles):
        entries = tuple(
            msgspec.structs.replace(entry, args=_default_args(read_args[i, j])) if (i, j) in read_args else entry
            for j, entry in enumerate(profile.pluginConfig)
        )
        profiles[i] = msgspec.structs.replace(profile, pluginConfig=entries)
    return msgspec.structs.replace(config, profiles=tuple(profiles))


# -- checks


def validate(config: Configuration) -> list[FieldError]:
    errors: list[FieldError] = []
    _check_leader(config.leaderElection, errors)
    if config.clientConnection.burst < 0:
        errors.append(invalid("clientConnection.burst", config.clientConnection.burst, "must be non-negative"))
    if config.parallelism <= 0:
        errors.append(invalid("parallelism", config.parallelism, "should be an integer value greater than zero"))
    seen: dict[str, int] = {}
    for i, profile in enumerate(config.profiles):
        path = f"profiles[{i}]"
        name = profile.schedulerName or ""
        if not name:
            errors.append(required(f"{path}.schedulerName"))
        elif name in seen:
            errors.append(duplicate(f"{path}.schedulerName", f"profiles[{seen[name]}].schedulerName"))
        seen.setdefault(name, i)
        _check_percentage(f"{path}.percentageOfNodesToScore", profile.percentageOfNodesToScore, errors)
        _check_profile(path, profile, errors)
    canon = config.profiles[0].plugins.queueSort
    if len(canon.enabled) > 1:
        at = "profiles[0].plugins.queueSort.Enabled"
        errors.append(invalid(at, len(canon.enabled), "only one queue sort plugin can be enabled"))
    for i, profile in enumerate(config.profiles[1:], 1):
        if profile.plugins.queueSort != canon:
            at = f"profiles[{i}].plugins.queueSort"
            errors.append(invalid(at, profile.plugins.queueSort, "must be the same for all profiles"))
    _check_percentage("percentageOfNodesToScore", config.percentageOfNodesToScore, errors)
    if config.podInitialBackoffSeconds <= 0:
        errors.append(invalid("podInitialBackoffSeconds", config.podInitialBackoffSeconds, "must be greater than 0"))
    if config.podMaxBackoffSeconds < config.podInitialBackoffSeconds:
        detail = "must be greater than or equal to PodInitialBackoffSeconds"
        errors.append(invalid("podMaxBackoffSeconds", config.podMaxBackoffSeconds, detail))
    _check_extenders(config.extenders, errors)
    return errors


def _check_leader(of: LeaderElection, errors: list[FieldError]) -> None:
    if not of.leaderElect:
        return
    path = "leaderElection"
    lease, renew, retry = seconds(of.leaseDuration), seconds(of.renewDeadline), seconds(of.retryPeriod)
    for name, value, text in (
        ("leaseDuration", lease, of.leaseDuration),
        ("renewDeadline", renew, of.renewDeadline),
        ("retryPeriod", retry, of.retryPeriod),
    ):
        if value is None:
            errors.append(invalid(f"{path}.{name}", text, 'must be a duration such as "15s"'))
        elif value <= 0:
            errors.append(invalid(f"{path}.{name}", text, "must be greater than zero"))
    if lease is not None and renew is not None and lease < renew:
        errors.append(
            invalid(f"{path}.leaseDuration", of.renewDeadline, "LeaseDuration must be greater than RenewDeadline")
        )
    if of.resourceLock != "leases":
        errors.append(invalid(f"{path}.resourceLock", of.resourceLock, 'resourceLock value must be "leases"'))
    if not of.resourceNamespace:
        errors.append(required(f"{path}.resourceNamespace", "resourceNamespace is required"))
    if not of.resourceName:
        errors.append(required(f"{path}.resourceName", "resourceName is required"))


def _check_percentage(path: str, value: int | None, errors: list[FieldError]) -> None:
    if value is not None and not 0 <= value <= 100:
        errors.append(invalid(path, value, "not in valid range [0-100]"))


def _check_profile(path: str, profile: ProfileConfig, errors: list[FieldError]) -> None:
    why = f'was invalid in version "v1" (KubeSchedulerConfiguration is version "{API_VERSION}")'
    for point in POINTS:
        for i, plugin in enumerate(getattr(profile.plugins, point).enabled):
            if plugin.name in _REMOVED:
                errors.append(invalid(f"{path}.plugins.{point}.enabled[{i}]", plugin.name, why))
    names: set[str] = set()
    for i, entry in enumerate(profile.pluginConfig):
        at = f"{path}.pluginConfig[{i}]"
        if entry.name in names:
            errors.append(duplicate(at, entry.name))
        names.add(entry.name)
        if entry.name in _REMOVED:
            errors.append(invalid(at, entry.name, why))
        elif isinstance(entry.args, a.Args):
            _check_args(f"{at}.args", entry.args, errors)


def _check_extenders(extenders: Sequence[ExtenderConfig], errors: list[FieldError]) -> None:
    managed: set[str] = set()
    for i, extender in enumerate(extenders):
        path = f"extenders[{i}]"
        if not extender.urlPrefix.startswith(("http://", "https://")):
            detail = "must be a URL, for example http://127.0.0.1:8888/scheduler"
            errors.append(invalid(f"{path}.urlPrefix", extender.urlPrefix, detail))
        if extender.prioritizeVerb and extender.weight <= 0:
            errors.append(invalid(f"{path}.weight", extender.weight, "must have a positive weight applied to it"))
        if seconds(extender.httpTimeout) is None:
            errors.append(invalid(f"{path}.httpTimeout", extender.httpTimeout, 'must be a duration such as "5s"'))
        for j, resource in enumerate(extender.managedResources):
            at = f"{path}.managedResources[{j}].name"
            wrong = is_qualified_name(resource.name)
            errors += [invalid(at, resource.name, message) for message in wrong]
            if not wrong and (is_native(resource.name) or resource.name.startswith("requests.")):
                errors.append(invalid(at, resource.name, "is an invalid extended resource name"))
            if resource.name in managed:
                errors.append(invalid(at, resource.name, "duplicate extender managed resource name"))
            managed.add(resource.name)
    binders = sum(1 for e in extenders if e.bindVerb)
    if binders > 1:
        errors.append(
            invalid("extenders", f"found {binders} extenders implementing bind", "only one extender can implement bind")
        )


def _check_args(path: str, given: a.Args, errors: list[FieldError]) -> None:
    if isinstance(given, a.DefaultPreemptionArgs):
        percent, least = given.minCandidateNodesPercentage, given.minCandidateNodesAbsolute
        if not 0 <= percent <= 100:
            errors.append(invalid(f"{path}.minCandidateNodesPercentage", percent, "not in valid range [0, 100]"))
        if least < 0:
            errors.append(invalid(f"{path}.minCandidateNodesAbsolute", least, "not in valid range [0, inf)"))
        if not percent and not least:
            both = ("minCandidateNodesPercentage", "minCandidateNodesAbsolute")
            for one, other in (both, both[::-1]):
                errors.append(invalid(f"{path}.{one}", 0, f"cannot be zero at the same time as {other}"))
    elif isinstance(given, a.DynamicResourcesArgs):
        for name, shortest, detail in (
            ("filterTimeout", 0.0, "must be zero or positive"),
            ("bindingTimeout", 1.0, "must be at least 1 second"),
        ):
            text = getattr(given, name)
            length = seconds(text)
            if length is None:
                errors.append(invalid(f"{path}.{name}", text, 'must be a duration such as "15s"'))
            elif length < shortest:
                errors.append(invalid(f"{path}.{name}", text, detail))
    elif isinstance(given, a.InterPodAffinityArgs):
        weight = given.hardPodAffinityWeight
        if not 0 <= weight <= 100:
            errors.append(invalid(f"{path}.hardPodAffinityWeight", weight, "not in valid range [0, 100]"))
    elif isinstance(given, a.NodeAffinityArgs):
        if given.addedAffinity is not None:
            _check_added(f"{path}.addedAffinity", given.addedAffinity, errors)
    elif isinstance(given, a.NodeResourcesBalancedAllocationArgs):
        seen: set[str] = set()
        for i, resource in enumerate(given.resources):
            if resource.name in seen:
                errors.append(duplicate(f"{path}.resources[{i}].name", resource.name))
            seen.add(resource.name)
            if resource.weight != 1:
                errors.append(invalid(f"{path}.resources[{i}].weight", resource.weight, "must be 1"))
    elif isinstance(given, a.NodeResourcesFitArgs):
        _check_fit(path, given, errors)
    elif isinstance(given, a.PodTopologySpreadArgs):
        _check_spread(path, given, errors)
    elif isinstance(given, a.VolumeBindingArgs):
        if given.bindTimeoutSeconds < 0:
            detail = "invalid BindTimeoutSeconds, should not be a negative value"
            errors.append(invalid(f"{path}.bindTimeoutSeconds", given.bindTimeoutSeconds, detail))
        if given.shape:
            detail = "unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring"
            errors.append(invalid(f"{path}.shape", given.shape, detail))


def _check_added(path: str, added: NodeAffinity, errors: list[FieldError]) -> None:
    needed = added.requiredDuringSchedulingIgnoredDuringExecution
    if needed is not None:
        check_node_selector(needed, f"{path}.requiredDuringSchedulingIgnoredDuringExecution", errors)
    for i, wish in enumerate(added.preferredDuringSchedulingIgnoredDuringExecution):
        at = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{i}].preference"
        check_node_term(wish.preference, True, at, errors)


def _check_fit(path: str, given: a.NodeResourcesFitArgs, errors: list[FieldError]) -> None:
    for i, name in enumerate(given.ignoredResources):
        errors += [invalid(f"{path}.ignoredResources[{i}]", name, m) for m in is_qualified_name(name)]
    for i, group in enumerate(given.ignoredResourceGroups):
        at = f"{path}.ignoredResourceGroups[{i}]"
        if "/" in group:
            errors.append(invalid(at, group, "resource group name can't contain '/'"))
        errors += [invalid(at, group, m) for m in is_qualified_name(group)]
    strategy, at = given.scoringStrategy, f"{path}.scoringStrategy"
    types = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")
    if strategy.type not in types:
        errors.append(not_supported(f"{at}.type", strategy.type, types))
    for i, resource in enumerate(strategy.resources):
        if not 0 < resource.weight <= 100:
            detail = f"resource weight of {resource.name} not in valid range (0, 100]"
            errors.append(invalid(f"{at}.resources[{i}].weight", resource.weight, detail))
    ratio = strategy.requestedToCapacityRatio
    if strategy.type == "RequestedToCapacityRatio":
        if ratio is None:
            detail = "must be specified when type is RequestedToCapacityRatio"
            errors.append(required(f"{at}.requestedToCapacityRatio", detail))
        else:
            _check_shape(f"{at}.requestedToCapacityRatio.shape", ratio.shape, errors)
    elif ratio is not None:
        detail = "must be nil when type is not RequestedToCapacityRatio"
        errors.append(forbidden(f"{at}.requestedToCapacityRatio", detail))


def _check_shape(path: str, shape: Sequence[a.ShapePoint], errors: list[FieldError]) -> None:
    if not shape:
        errors.append(required(path, "at least one point must be specified"))
    for i in range(1, len(shape)):
        if shape[i - 1].utilization >= shape[i].utilization:
            at = f"{path}[{i}].utilization"
            errors.append(invalid(at, shape[i].utilization, "values must be sorted in increasing order"))
            break
    for i, point in enumerate(shape):
        if not 0 <= point.utilization <= 100:
            errors.append(invalid(f"{path}[{i}].utilization", point.utilization, "not in valid range [0, 100]"))
        if not 0 <= point.score <= 10:
            errors.append(invalid(f"{path}[{i}].score", point.score, "not in valid range [0, 10]"))


def _check_spread(path: str, given: a.PodTopologySpreadArgs, errors: list[FieldError]) -> None:
    if given.defaultingType not in ("System", "List"):
        errors.append(not_supported(f"{path}.defaultingType", given.defaultingType, ("System", "List")))
    elif given.defaultingType == "System" and given.defaultConstraints:
        detail = "when .defaultConstraints are not empty"
        errors.append(invalid(f"{path}.defaultingType", given.defaultingType, detail))
    seen: set[tuple[str, str]] = set()
    for i, c in enumerate(given.defaultConstraints):
        at = f"{path}.defaultConstraints[{i}]"
        _check_constraint(at, c, errors)
        if (c.topologyKey, c.whenUnsatisfiable) in seen:
            errors.append(duplicate(at, f"{{{c.topologyKey}, {c.whenUnsatisfiable}}}"))
        seen.add((c.topologyKey, c.whenUnsatisfiable))


def _check_constraint(path: str, c: TopologySpreadConstraint, errors: list[FieldError]) -> None:
    if c.maxSkew <= 0:
        errors.append(invalid(f"{path}.maxSkew", c.maxSkew, "not in valid range (0, inf)"))
    if not c.topologyKey:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    else:
        errors += [invalid(f"{path}.topologyKey", c.topologyKey, m) for m in is_qualified_name(c.topologyKey)]
    actions = ("DoNotSchedule", "ScheduleAnyway")
    if not c.whenUnsatisfiable:
        errors.append(required(f"{path}.whenUnsatisfiable", "can not be empty"))
    elif c.whenUnsatisfiable not in actions:
        errors.append(not_supported(f"{path}.whenUnsatisfiable", c.whenUnsatisfiable, actions))
    if c.labelSelector is not None:
        detail = "constraint must not define a selector, as they deduced for each pod"
        errors.append(forbidden(f"{path}.labelSelector", detail))
