"""Admission: plugins between a request and what is stored, in upstream's order. One file each."""

from pelamis.apiserver.admission import (
    certificates,
    defaultingressclass,
    defaultstorageclass,
    defaulttolerationseconds,
    limitranger,
    namespacelifecycle,
    noderestriction,
    ownerreferences,
    podsecurity,
    priority,
    serviceaccount,
    storageobjectinuse,
    taintnodesbycondition,
)
from pelamis.apiserver.admission.plugin import Plugin

PLUGINS: tuple[Plugin, ...] = (
    namespacelifecycle.PLUGIN,
    limitranger.PLUGIN,
    serviceaccount.PLUGIN,
    noderestriction.PLUGIN,
    taintnodesbycondition.PLUGIN,
    podsecurity.PLUGIN,
    priority.PLUGIN,
    defaulttolerationseconds.PLUGIN,
    defaultstorageclass.PLUGIN,
    storageobjectinuse.PLUGIN,
    ownerreferences.PLUGIN,
    *certificates.PLUGINS,
    defaultingressclass.PLUGIN,
)
"""ResourceQuota follows all of them: ``resourcequota.Quotas`` is the chain's ``reserve``."""
