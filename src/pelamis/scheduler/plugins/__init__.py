"""The plugins in their order. Order matters for filters: a node counts under the first plugin that rejects it."""

from __future__ import annotations

from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.plugins import (
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

PLUGINS: tuple[Plugin, ...] = (
    nodeunschedulable.PLUGIN,  # one column, and what is cordoned should read as cordoned and not as tainted
    nodename.PLUGIN,
    tainttoleration.PLUGIN,
    nodeaffinity.PLUGIN,
    nodeports.PLUGIN,
    noderesourcesfit.PLUGIN,  # what the pod brings with it is settled before what it shares with other pods
    volumerestrictions.PLUGIN,
    nodevolumelimits.PLUGIN,
    volumebinding.PLUGIN,
    volumezone.PLUGIN,  # volumes before other pods: nothing that is evicted moves a volume
    podtopologyspread.PLUGIN,
    interpodaffinity.PLUGIN,  # the dearest of the filters comes last
    noderesourcesbalancedallocation.PLUGIN,  # scores only
    imagelocality.PLUGIN,
)
