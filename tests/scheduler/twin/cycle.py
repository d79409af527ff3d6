"""One decision of the twin: what ``before`` leaves, what the filters let pass, what the scores are."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType

from . import (
    imagelocality,
    interpodaffinity,
    nodeaffinity,
    nodename,
    nodeports,
    noderesourcesbalancedallocation,
    noderesourcesfit,
    nodeunschedulable,
    nodevolumelimits,
    podtopologyspread,
    tainttoleration,
    volumebinding,
    volumerestrictions,
    volumezone,
)
from .basics import Tree, name
from .world import World

PLUGINS: dict[str, tuple[ModuleType, int]] = {
    "NodeUnschedulable": (nodeunschedulable, 0),
    "NodeName": (nodename, 0),
    "TaintToleration": (tainttoleration, 3),
    "NodeAffinity": (nodeaffinity, 2),
    "NodePorts": (nodeports, 0),
    "NodeResourcesFit": (noderesourcesfit, 1),
    "VolumeRestrictions": (volumerestrictions, 0),
    "NodeVolumeLimits": (nodevolumelimits, 0),
    "VolumeBinding": (volumebinding, 0),
    "VolumeZone": (volumezone, 0),
    "PodTopologySpread": (podtopologyspread, 2),
    "InterPodAffinity": (interpodaffinity, 2),
    "NodeResourcesBalancedAllocation": (noderesourcesbalancedallocation, 1),
    "ImageLocality": (imagelocality, 1),
}


@dataclass
class Verdict:
    """rejected: node to (plugin, reasons, whether an eviction may help)."""

    message: str = ""
    names: set[str] | None = None
    rejected: dict[str, tuple[str, list[str], bool]] = field(default_factory=dict)
    feasible: list[Tree] = field(default_factory=list)


def judge(world: World, pod: Tree, node: Tree) -> tuple[str, list[str], bool] | None:
    for plugin, (module, _) in PLUGINS.items():
        if hasattr(module, "filter") and (found := module.filter(world, pod, node)) is not None:
            return plugin, sorted(found[0]), found[1]
    return None


def find(world: World, pod: Tree) -> Verdict:
    out = Verdict()
    for module, _ in PLUGINS.values():
        found = module.before(world, pod) if hasattr(module, "before") else None
        if isinstance(found, str):
            out.message = found
            return out
        if isinstance(found, set):
            out.names = found if out.names is None else out.names & found
    for node in world.nodes:
        if out.names is not None and name(node) not in out.names:
            continue
        rejection = judge(world, pod, node)
        if rejection is None:
            out.feasible.append(node)
        else:
            out.rejected[name(node)] = rejection
    return out


def scores(world: World, pod: Tree, feasible: list[Tree]) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    """By plugin: raw and final scores of each feasible node; plugins that leave the pod out are not in it."""
    out = {}
    for plugin, (module, weight) in PLUGINS.items():
        if not weight:
            continue
        raw = {name(n): module.score(world, pod, n, feasible) for n in feasible}
        if not any(v is None for v in raw.values()):
            out[plugin] = raw, module.normalize(raw) if hasattr(module, "normalize") else raw
    return out


def totals(world: World, pod: Tree, feasible: list[Tree]) -> dict[str, int]:
    found = scores(world, pod, feasible)
    return {name(n): sum(final[name(n)] * PLUGINS[p][1] for p, (_, final) in found.items()) for n in feasible}
