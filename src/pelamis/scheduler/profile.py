"""What the scheduler runs with: profiles made of a configuration, with upstream's order of merging plugins.

For each extension point, first come the plugins that the point enables again (which replaces what multiPoint says of
them), then those of multiPoint (the defaults, then the configured ones), then what the point alone enables. ``*`` in a
point's ``disabled`` leaves only what the point enables.

A plugin whose name ends in ``.py`` is a file, relative to the configuration: its ``plugin(args)`` returns a
``scheduler.extension.Plugin``. It registers for the points whose functions it has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from pelamis.scheduler import args as a
from pelamis.scheduler.config import (
    DEFAULT_NAME,
    EVERY,
    POINTS,
    ConfigError,
    Configuration,
    ExtenderConfig,
    LeaderElection,
    PluginName,
    Plugins,
    PluginSet,
    ProfileConfig,
    read,
    seconds,
)
from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.plugins import FACTORIES, PLUGINS
from pelamis.scheduler.userplugin import SUFFIX, load_plugin, made_by

_WEIGHTS = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "DynamicResources": 2,
}
_ELECTION = LeaderElection()
_PREEMPTION = a.DefaultPreemptionArgs()
_FULL = ("preFilter", "filter", "preScore", "score")
IN_TREE: dict[str, tuple[str, ...]] = {
    "SchedulingGates": ("preEnqueue",),
    "PrioritySort": ("queueSort",),
    "NodeUnschedulable": ("filter",),
    "NodeName": ("filter",),
    "TaintToleration": ("filter", "preScore", "score"),
    "NodeAffinity": _FULL,
    "NodePorts": ("preFilter", "filter"),
    "NodeResourcesFit": _FULL,
    "VolumeRestrictions": ("preFilter", "filter"),
    "NodeVolumeLimits": ("preFilter", "filter"),
    "VolumeBinding": ("preFilter", "filter", "preScore", "score", "reserve", "preBind"),
    "VolumeZone": ("preFilter", "filter"),
    "PodTopologySpread": _FULL,
    "InterPodAffinity": _FULL,
    "DynamicResources": ("preEnqueue", "preFilter", "filter", "postFilter", "score", "reserve", "preBind"),
    "DefaultPreemption": ("postFilter",),
    "NodeResourcesBalancedAllocation": ("preScore", "score"),
    "ImageLocality": ("score",),
    "DefaultBinder": ("bind",),
}
"""The plugins that there are, in the order of the defaults, with the extension points that each has."""
_INTERFACES = {point: point[0].upper() + point[1:] + "Plugin" for point in POINTS}


@dataclass(frozen=True, slots=True)
class Profile:
    """plugins: only with the functions of the points they are enabled at, filters in their order, weights set.

    preemption None: no pod is evicted for another one. volumes_s: how long a pod waits for its volumes. devices_s: how
    long it waits until its devices are ready; None = its claims are left alone.
    """

    name: str = DEFAULT_NAME
    plugins: tuple[Plugin, ...] = PLUGINS
    preemption: a.DefaultPreemptionArgs | None = _PREEMPTION
    volumes_s: float = 600.0
    devices_s: float | None = 600.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a configuration decides."""

    profiles: tuple[Profile, ...] = (Profile(),)
    extenders: tuple[ExtenderConfig, ...] = ()
    initial_backoff_s: float = 1.0
    max_backoff_s: float = 10.0
    election: LeaderElection = _ELECTION
    home: str = ""
    """The folder of the configuration, to which files in it are relative."""


def load(path: Path) -> Settings:
    """Of a configuration file, with the plugins in files that it names. Raises ConfigError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"cannot be read: {error.strerror}"]) from None
    return settings(read(text), lambda name: load_plugin(path.parent, name), str(path.parent))


def settings(config: Configuration, load_user: Callable[[str], Any], home: str = "") -> Settings:
    """load_user: the function ``plugin`` of a file. Raises ConfigError."""
    problems: list[str] = []
    ignored = tuple(
        r.name for e in config.extenders for r in e.managedResources if r.ignoredByScheduler
    )  # extenders look at these instead
    makers: dict[str, Any] = {}
    profiles = [
        _profile(f"profiles[{i}]", p, ignored, load_user, makers, problems) for i, p in enumerate(config.profiles)
    ]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Settings(
        tuple(profiles),
        config.extenders,
        float(config.podInitialBackoffSeconds),
        float(config.podMaxBackoffSeconds),
        config.leaderElection,
        home,
    )


# -- merging


def merged(default: PluginSet, custom: PluginSet) -> PluginSet:
    """Defaults stay in their places, reconfigured or not, unless they are disabled; what is new follows."""
    off = {p.name for p in (*custom.disabled, *default.disabled)}
    own = {p.name: p for p in custom.enabled}
    out: list[PluginName] = []
    replaced: set[str] = set()
    if EVERY not in off:
        for plugin in default.enabled:
            if plugin.name in off:
                continue
            if plugin.name in own:
                plugin = own[plugin.name]
                replaced.add(plugin.name)
            out.append(plugin)
    out += [p for p in custom.enabled if p.name not in replaced]
    return PluginSet(enabled=tuple(out), disabled=(*custom.disabled, *default.disabled))


DEFAULTS = PluginSet(enabled=tuple(PluginName(name=n, weight=_WEIGHTS.get(n, 0)) for n in IN_TREE))


def order(point: str, plugins: Plugins, points_of: Mapping[str, Sequence[str]]) -> list[str]:
    """The names of the plugins at an extension point, as they run. ``plugins.multiPoint`` is merged already."""
    own: PluginSet = getattr(plugins, point)
    multi = [p.name for p in plugins.multiPoint.enabled if point in points_of.get(p.name, ())]
    explicit = [p.name for p in own.enabled]
    off = {p.name for p in own.disabled}
    if EVERY in off:
        return explicit
    first = [n for n in explicit if n in multi]
    return first + [n for n in multi if n not in explicit and n not in off] + [n for n in explicit if n not in multi]


def _profile(
    path: str,
    config: ProfileConfig,
    ignored: tuple[str, ...],
    load_user: Callable[[str], Any],
    makers: dict[str, Any],
    problems: list[str],
) -> Profile:
    plugins = msgspec.structs.replace(config.plugins, multiPoint=merged(DEFAULTS, config.plugins.multiPoint))
    own_args = {entry.name: entry.args for entry in config.pluginConfig}
    made: dict[str, Plugin | None] = {}
    points_of: dict[str, Sequence[str]] = dict(IN_TREE)
    for point in ("multiPoint", *POINTS):
        enabled: Sequence[PluginName] = getattr(config.plugins, point).enabled
        for i, named in enumerate(enabled):
            at = f"{path}.plugins.{point}.enabled[{i}]"
            if any(p.name == named.name for p in enabled[:i]):
                problems.append(f'{at}: plugin "{named.name}" already registered as "{named.name}"')
            if named.name.endswith(SUFFIX):
                if named.name not in made:
                    made[named.name] = _from_file(at, named.name, own_args, load_user, makers, problems)
                plugin = made[named.name]
                points_of[named.name] = _points(plugin) if plugin is not None else POINTS
            if named.name not in points_of:
                problems.append(f"{at}: {_unknown(point, named.name, points_of)}")
            elif point != "multiPoint" and point not in points_of[named.name]:
                has = ", ".join(points_of[named.name])
                problems.append(f"{at}: plugin {named.name} does not extend {_INTERFACES[point]}; it has {has}")
    for i, entry in enumerate(config.pluginConfig):
        if entry.name not in points_of:
            at = f"{path}.pluginConfig[{i}].name"
            problems.append(f"{at}: {_unknown('', entry.name, points_of)}")
    if problems:
        return Profile()
    at_point = {point: order(point, plugins, points_of) for point in POINTS}
    name = config.schedulerName or DEFAULT_NAME
    if len(at_point["queueSort"]) != 1:
        number = len(at_point["queueSort"])
        problems.append(
            f'{path}: only one queue sort plugin required for profile with scheduler name "{name}", but got {number}'
        )
    if not at_point["bind"]:
        problems.append(f'{path}: at least one bind plugin is needed for profile with scheduler name "{name}"')
    weights = {p.name: p.weight for p in reversed((*plugins.score.enabled, *plugins.multiPoint.enabled))}
    running: list[Plugin] = []
    for each in dict.fromkeys((*at_point["filter"], *at_point["preFilter"], *at_point["score"])):
        whole = made.get(each) or _in_tree(each, own_args.get(each), ignored)
        if whole is None:
            continue
        running.append(
            replace(
                whole,
                before=whole.before if each in at_point["preFilter"] else None,
                filter=whole.filter if each in at_point["filter"] else None,
                gate=whole.gate if each in at_point["preEnqueue"] else None,
                score=whole.score if each in at_point["score"] else None,
                weight=weights.get(each) or (whole.weight if each in made else 0) or 1,
            )
        )
    preemption = own_args.get("DefaultPreemption") or a.DefaultPreemptionArgs()
    volumes = own_args.get("VolumeBinding") or a.VolumeBindingArgs()
    devices = own_args.get("DynamicResources") or a.DynamicResourcesArgs()
    binds = "DynamicResources" in at_point["reserve"] and "DynamicResources" in at_point["preBind"]
    return Profile(
        name,
        tuple(running),
        preemption if "DefaultPreemption" in at_point["postFilter"] else None,
        float(volumes.bindTimeoutSeconds),
        seconds(devices.bindingTimeout) or 0.0 if binds else None,
    )


def _in_tree(name: str, args: Any, ignored: tuple[str, ...]) -> Plugin | None:
    factory = FACTORIES.get(name)
    if factory is None:
        return None
    given = args if isinstance(args, factory.args) else factory.args()
    if ignored and isinstance(given, a.NodeResourcesFitArgs):
        given = msgspec.structs.replace(given, ignoredResources=(*given.ignoredResources, *ignored))
    return factory.make(given)


def _from_file(
    path: str,
    name: str,
    args: Mapping[str, Any],
    load_user: Callable[[str], Any],
    makers: dict[str, Any],
    problems: list[str],
) -> Plugin | None:
    if name not in makers:
        try:
            makers[name] = load_user(name)
        except ConfigError as error:
            makers[name] = None
            problems.extend(f"{path}: {problem}" for problem in error.problems)
    make = makers[name]
    if make is None:
        return None
    plugin = made_by(path, name, make, args.get(name), problems)
    if plugin is not None and plugin.name in IN_TREE:
        problems.append(f'{path}: {name}: its Plugin is called "{plugin.name}", as one of the scheduler\'s own is')
        return None
    return plugin


def _points(plugin: Plugin) -> list[str]:
    has = (
        ("preEnqueue", plugin.gate),
        ("preFilter", plugin.before),
        ("filter", plugin.filter),
        ("score", plugin.score),
    )
    return [point for point, function in has if function is not None]


def _unknown(point: str, name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, list(known), 1)
    meant = f"did you mean {near[0]}?" if near else f"one of your own is named by its file: {name}{SUFFIX}"
    interface = _INTERFACES.get(point, "plugin")
    return f'{interface} "{name}" does not exist; {meant}'
