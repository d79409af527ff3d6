"""The controllers, one module each. ``controllers(options)`` gives those that a cluster runs, in order of start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pelamis.controllers import (
    attachdetach,
    bootstrapsigner,
    clusterroleaggregation,
    clustertrustbundle,
    cronjob,
    csrapproving,
    csrcleaner,
    csrsigning,
    daemonset,
    deployment,
    devicetainteviction,
    disruption,
    endpoints,
    endpointslice,
    endpointslicemirroring,
    ephemeralvolume,
    expand,
    garbagecollector,
    horizontalpodautoscaler,
    job,
    legacytokencleaner,
    namespace,
    nodeipam,
    nodelifecycle,
    pcrcleaner,
    persistentvolumebinder,
    podgc,
    pvcprotection,
    pvprotection,
    replicaset,
    replicationcontroller,
    resourceclaim,
    resourcequota,
    rootca,
    serviceaccount,
    serviceaccounttoken,
    servicecidr,
    servicelb,
    statefulset,
    storageversionmigrator,
    tainteviction,
    tokencleaner,
    ttl,
    ttlafterfinished,
    vacprotection,
    validatingadmissionpolicystatus,
)
from pelamis.reconcile.spec import Controller

if TYPE_CHECKING:
    from pelamis.controllers.csrsigning import Sign


@dataclass(frozen=True, slots=True)
class Options:
    """ca_bundle: PEM of the API server's CA, published to all namespaces. node_ranges: (cluster CIDR, prefix length of
    a node's part) for each address family; empty = nodes get their pod ranges elsewhere. load_balancer_pool: ranges
    that Services of type LoadBalancer get their addresses from; empty = somebody else gives them. issue_token: signs
    the tokens that Secrets hold. sign_request: signs certificate
    requests of the built-in signers. None of either = somebody else does."""

    ca_bundle: str = ""
    node_ranges: Sequence[tuple[str, int]] = ()
    load_balancer_pool: Sequence[str] = ()
    issue_token: serviceaccounttoken.Issue | None = None
    sign_request: Sign | None = None
    node_monitor_grace_s: float = nodelifecycle.GRACE_S
    node_startup_grace_s: float = nodelifecycle.STARTUP_GRACE_S
    node_promised: Callable[[str], float] = lambda name: 0.0
    terminated_pod_threshold: int = podgc.THRESHOLD
    shared: bool = False
    """Several servers admit writes to one store."""


def _unsigned(namespace: str, secret: str, account: str, uid: str) -> str:
    return ""


def _refuse(request: object, usages: Sequence[str], wanted: int | None, now: float) -> bytes:
    raise ValueError("nobody signs here")


def controllers(options: Options) -> list[Controller]:
    """Each line is one file of this folder."""
    out = [
        serviceaccount.CONTROLLER,
        serviceaccounttoken.controller(options.ca_bundle, options.issue_token or _unsigned),
        legacytokencleaner.CONTROLLER,
        bootstrapsigner.CONTROLLER,
        tokencleaner.CONTROLLER,
        rootca.controller(options.ca_bundle),
        clustertrustbundle.controller(options.ca_bundle),
        csrapproving.CONTROLLER,
        csrsigning.controller(options.sign_request or _refuse),
        csrcleaner.CONTROLLER,
        pcrcleaner.CONTROLLER,
        nodeipam.controller(options.node_ranges),
        nodelifecycle.controller(options.node_monitor_grace_s, options.node_startup_grace_s, options.node_promised),
        tainteviction.CONTROLLER,
        devicetainteviction.CONTROLLER,
        ttl.CONTROLLER,
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
        servicecidr.CONTROLLER,
        servicelb.controller(options.load_balancer_pool),
        namespace.controller(),
        garbagecollector.controller(),
        disruption.CONTROLLER,
        horizontalpodautoscaler.CONTROLLER,
        resourcequota.controller(options.shared),
        persistentvolumebinder.CONTROLLER,
        attachdetach.CONTROLLER,
        expand.CONTROLLER,
        pvcprotection.CONTROLLER,
        pvprotection.CONTROLLER,
        vacprotection.CONTROLLER,
        validatingadmissionpolicystatus.CONTROLLER,
        ephemeralvolume.CONTROLLER,
        resourceclaim.CONTROLLER,
        clusterroleaggregation.CONTROLLER,
        storageversionmigrator.CONTROLLER,
        podgc.controller(options.terminated_pod_threshold),
    ]
    absent = set()
    if not options.ca_bundle:
        absent |= {"rootca", "clustertrustbundle"}
    if not options.node_ranges:
        absent.add("nodeipam")
    if not options.load_balancer_pool:
        absent.add("servicelb")
    if options.issue_token is None:
        absent.add("serviceaccounttoken")
    if options.sign_request is None:
        absent.add("csrsigning")
    return [c for c in out if c.name not in absent]
