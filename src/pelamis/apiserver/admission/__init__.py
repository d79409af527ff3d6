"""Admission: plugins between a request and what is stored, in upstream's order. One file each."""

from collections.abc import Collection

from pelamis.apiserver.admission import (
    certificates,
    defaultingressclass,
    defaultstorageclass,
    defaulttolerationseconds,
    deviceclaims,
    eventratelimit,
    limitranger,
    namespacelifecycle,
    noderestriction,
    optional,
    ownerreferences,
    persistentvolumeclaimresize,
    podsecurity,
    podtopologylabels,
    priority,
    runtimeclass,
    serviceaccount,
    storageobjectinuse,
    taintnodesbycondition,
)
from pelamis.apiserver.admission.plugin import Plugin

ALL: tuple[Plugin, ...] = (
    namespacelifecycle.PLUGIN,
    optional.NAMESPACE_EXISTS,
    limitranger.PLUGIN,
    serviceaccount.PLUGIN,
    noderestriction.PLUGIN,
    taintnodesbycondition.PLUGIN,
    optional.ALWAYS_PULL_IMAGES,
    podsecurity.PLUGIN,
    priority.PLUGIN,
    defaulttolerationseconds.PLUGIN,
    optional.POD_TOLERATION_RESTRICTION,
    eventratelimit.plugin(),
    optional.EXTENDED_RESOURCE_TOLERATION,
    defaultstorageclass.PLUGIN,
    storageobjectinuse.PLUGIN,
    ownerreferences.PLUGIN,
    persistentvolumeclaimresize.PLUGIN,
    runtimeclass.PLUGIN,
    *certificates.PLUGINS,
    defaultingressclass.PLUGIN,
    optional.DENY_SERVICE_EXTERNAL_IPS,
    podtopologylabels.PLUGIN,
    deviceclaims.PLUGIN,
)
"""ResourceQuota follows all of them: ``resourcequota.Quotas`` is the chain's ``reserve``."""

OFF = frozenset(
    (
        "NamespaceExists",
        "AlwaysPullImages",
        "PodTolerationRestriction",
        "EventRateLimit",
        "ExtendedResourceToleration",
        "DenyServiceExternalIPs",
    )
)


def chosen(enable: Collection[str] = (), disable: Collection[str] = ()) -> tuple[Plugin, ...]:
    """Those that run: the ones on by default and ``enable``, without ``disable``. ValueError for an unknown name."""
    unknown = {*enable, *disable} - {p.name for p in ALL}
    if unknown:
        raise ValueError(f"unknown admission plugin: {', '.join(sorted(unknown))}")
    out = (p for p in ALL if p.name not in disable and (p.name in enable or p.name not in OFF))
    # Servers of one process do not share what a plugin has counted.
    return tuple(eventratelimit.plugin() if p.name == "EventRateLimit" else p for p in out)


PLUGINS = chosen()
