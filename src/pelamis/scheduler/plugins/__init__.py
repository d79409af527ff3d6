"""The plugins in their order. Order matters for filters: a node counts under the first plugin that rejects it.

Each file has one function ``plugin(args) -> Plugin``; a profile's pluginConfig gives the arguments.
"""

from __future__ import annotations

from pelamis.scheduler import args
from pelamis.scheduler.extension import Factory, Plugin
from pelamis.scheduler.plugins import (
    dynamicresources,
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

FACTORIES: dict[str, Factory] = {
    # one column, and what is cordoned should read as cordoned and not as tainted
    "NodeUnschedulable": Factory(nodeunschedulable.plugin),
    "NodeName": Factory(nodename.plugin),
    "TaintToleration": Factory(tainttoleration.plugin),
    "NodeAffinity": Factory(nodeaffinity.plugin, args.NodeAffinityArgs),
    "NodePorts": Factory(nodeports.plugin),
    # what the pod brings with it is settled before what it shares with other pods
    "NodeResourcesFit": Factory(noderesourcesfit.plugin, args.NodeResourcesFitArgs),
    "VolumeRestrictions": Factory(volumerestrictions.plugin),
    "NodeVolumeLimits": Factory(nodevolumelimits.plugin),
    "VolumeBinding": Factory(volumebinding.plugin, args.VolumeBindingArgs),
    "VolumeZone": Factory(volumezone.plugin),  # volumes before other pods: nothing that is evicted moves a volume
    "PodTopologySpread": Factory(podtopologyspread.plugin, args.PodTopologySpreadArgs),
    "InterPodAffinity": Factory(interpodaffinity.plugin, args.InterPodAffinityArgs),
    # the dearest of the filters comes last
    "DynamicResources": Factory(dynamicresources.plugin, args.DynamicResourcesArgs),
    "NodeResourcesBalancedAllocation": Factory(  # scores only
        noderesourcesbalancedallocation.plugin, args.NodeResourcesBalancedAllocationArgs
    ),
    "ImageLocality": Factory(imagelocality.plugin),
}

PLUGINS: tuple[Plugin, ...] = tuple(factory.make(factory.args()) for factory in FACTORIES.values())
"""As they are without a configuration file."""
