"""The controllers, one module each. ``controllers(options)`` gives those that a cluster runs, in order of start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pelamis.controllers import (
    attachdetach,
    clusterroleaggregation,
    cronjob,
    daemonset,
    deployment,
    disruption,
    endpoints,
    endpointslice,
    endpointslicemirroring,
    ephemeralvolume,
    expand,
    garbagecollector,
    horizontalpodautoscaler,
    job,
    namespace,
    nodeipam,
    nodelifecycle,
    persistentvolumebinder,
    podgc,
    pvcprotection,
    pvprotection,
    replicaset,
    replicationcontroller,
    resourcequota,
    rootca,
    serviceaccount,
    statefulset,
    tainteviction,
    ttlafterfinished,
    vacprotection,
    validatingadmissionpolicystatus,
)
from pelamis.reconcile.spec import Controller


@dataclass(frozen=True, slots=True)
class Options:
    """ca_bundle: PEM of the API server's CA, published to all namespaces. node_ranges: (cluster CIDR, prefix length of
    a node's part) for each address family; empty = nodes get their pod ranges elsewhere."""

    ca_bundle: str = ""
    node_ranges: Sequence[tuple[str, int]] = ()
    node_monitor_grace_s: float = nodelifecycle.GRACE_S
    node_startup_grace_s: float = nodelifecycle.STARTUP_GRACE_S
    terminated_pod_threshold: int = podgc.THRESHOLD


def controllers(options: Options) -> list[Controller]:
    """Each line is one file of this folder."""
    out = [
        serviceaccount.CONTROLLER,
        rootca.controller(options.ca_bundle),
        nodeipam.controller(options.node_ranges),
        nodelifecycle.controller(options.node_monitor_grace_s, options.node_startup_grace_s),
        tainteviction.CONTROLLER,
        deployment.CONTROLLER,
        replicaset.CONTROLLER,
        replicationcontroller.CONTROLLER,
        daemonset.CONTROLLER,
        statefulset.CONTROLLER,
        job.CONTROLLER,
        cronjob.CONTROLLER,
        ttlafterfinished.CONTROLLER,
        endpointslice.CONTROLLER,
        endpoints.CONTROLLER,
        endpointslicemirroring.CONTROLLER,
        namespace.CONTROLLER,
        garbagecollector.controller(),
        disruption.CONTROLLER,
        horizontalpodautoscaler.CONTROLLER,
        resourcequota.CONTROLLER,
        persistentvolumebinder.CONTROLLER,
        attachdetach.CONTROLLER,
        expand.CONTROLLER,
        pvcprotection.CONTROLLER,
        pvprotection.CONTROLLER,
        vacprotection.CONTROLLER,
        validatingadmissionpolicystatus.CONTROLLER,
        ephemeralvolume.CONTROLLER,
        clusterroleaggregation.CONTROLLER,
        podgc.controller(options.terminated_pod_threshold),
    ]
    absent = set()
    if not options.ca_bundle:
        absent.add("rootca")
    if not options.node_ranges:
        absent.add("nodeipam")
    return [c for c in out if c.name not in absent]
