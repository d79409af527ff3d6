"""What runs inside the server beside the API: the controllers and the scheduler, each with its own identity."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pelamis.api.core.configmap import KIND as CONFIG_MAP
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.wellknown import OTHER_PROXY
from pelamis.api.gates import CONTROLLERS as GATED
from pelamis.api.gates import Gates
from pelamis.api.rbac.clusterrolebinding import KIND as ROLE_BINDING
from pelamis.api.storage.storageclass import KIND as STORAGE_CLASS
from pelamis.apiserver.server import ApiServer
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.client.split import SplitClient
from pelamis.client.types import Action, Create, Patch
from pelamis.localstorage import provision
from pelamis.main.config import Cluster
from pelamis.main.leadership import CONTROLLERS, identity, leading
from pelamis.main.pki import LOCAL_STORAGE_USER, Pki
from pelamis.main.selection import enabled
from pelamis.reconcile.leader import Timing

if TYPE_CHECKING:
    from pelamis.scheduler.profile import Settings

log = logging.getLogger(__name__)
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


async def mark_control_plane(server: ApiServer, node_name: str) -> None:
    """Gives the cluster's own node its role, which a node may not give itself."""
    client = server.client(LOOPBACK_USER)
    changed = asyncio.Event()
    view = client.view(NODE, field_selector=f"metadata.name={node_name}")
    view.subscribe(lambda key, old, new: changed.set())
    body = {"metadata": {"labels": {CONTROL_PLANE: ""}}}
    while True:
        node = view.get("", node_name)
        if node is not None and CONTROL_PLANE not in node.metadata.labels:
            await client.commit([Patch(NODE, "", node_name, body)])
        await changed.wait()
        changed.clear()


def dns_service(cluster: Cluster) -> dict[str, Any]:
    """The Service that holds the DNS address, under the name and labels that clients look for.

    Its label tells service proxies to leave it alone: each node's agent answers on the address itself.
    """
    labels = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
        OTHER_PROXY: "pelamis-dns",
    }
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
        "spec": {"clusterIP": cluster.dns_ip, "ports": ports},
    }


async def publish_dns(server: ApiServer, cluster: Cluster) -> None:
    """Takes the DNS address before anybody else can be given it."""
    if server.objects.get("services", "kube-system", "kube-dns") is not None:
        return
    outcome = (await server.client(LOOPBACK_USER).commit([Create(SERVICE, dns_service(cluster))]))[0]
    if outcome.error is not None and outcome.error.reason != "AlreadyExists":
        log.error("the Service of the cluster DNS could not be made: %s", outcome.error)


async def publish_cluster_info(server: ApiServer, cluster: Cluster, keys: Pki) -> None:
    """The ConfigMap from which whoever holds a bootstrap token learns the cluster's address and CA."""
    if server.objects.get("configmaps", "kube-public", "cluster-info") is not None:
        return
    authority = base64.b64encode(keys.ca.cert).decode()
    text = (
        "apiVersion: v1\nclusters:\n- cluster:\n"
        f"    certificate-authority-data: {authority}\n    server: https://{cluster.advertise}:{cluster.port}\n"
        '  name: ""\ncontexts: null\ncurrent-context: ""\nkind: Config\npreferences: {}\nusers: null\n'
    )
    info = {"metadata": {"name": "cluster-info", "namespace": "kube-public"}, "data": {"kubeconfig": text}}
    outcome = (await server.client(LOOPBACK_USER).commit([Create(CONFIG_MAP, info)]))[0]
    if outcome.error is not None and outcome.error.reason != "AlreadyExists":
        log.error("cluster-info could not be made: %s", outcome.error)


async def publish_local_storage(server: ApiServer) -> None:
    """The default StorageClass, and the right of the nodes' provisioners to make its volumes.

    A class that a user has changed is left as it is; one that was deleted comes back with the next start.
    """
    name = "pelamis:local-storage"
    binding = {
        "metadata": {"name": name},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "system:persistent-volume-provisioner",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": LOCAL_STORAGE_USER}],
    }
    actions: list[Action] = []
    if server.objects.get("clusterrolebindings.rbac.authorization.k8s.io", "", name) is None:
        actions.append(Create(ROLE_BINDING, binding))
    if server.objects.get("storageclasses.storage.k8s.io", "", provision.CLASS_NAME) is None:
        actions.append(Create(STORAGE_CLASS, provision.default_class()))
    for outcome in await server.client(LOOPBACK_USER).commit(actions) if actions else ():
        if outcome.error is not None and outcome.error.reason != "AlreadyExists":
            log.error("local storage could not be set up: %s", outcome.error)


def scheduler_settings(cluster: Cluster) -> Settings | None:
    """None: the configuration cannot be used (`pelamis up` checks it, but it was changed since); the API goes on."""
    from pelamis.scheduler.config import ConfigError
    from pelamis.scheduler.profile import Settings, load

    if not cluster.scheduler_config:
        return Settings()
    try:
        return load(Path(cluster.scheduler_config))
    except ConfigError as error:
        log.error("no pod will be scheduled: %s: %s", cluster.scheduler_config, "; ".join(error.problems))
        return None


def _is_hollow(node: str) -> bool:
    return node.startswith("hollow-") and node[7:].isdigit()


def _gated(controller: str, gates: Gates) -> bool:
    gate = GATED.get(controller)
    return gate is None or gates.enabled(gate)


async def run_components(server: ApiServer, cluster: Cluster, keys: Pki) -> None:
    """Until cancelled; raises what ended one of them."""
    from pelamis.controllers import Options, controllers
    from pelamis.reconcile.kinds import RegistryKinds
    from pelamis.reconcile.runner import run_all
    from pelamis.reconcile.signing import Signer
    from pelamis.scheduler.config import seconds
    from pelamis.scheduler.run import Scheduler

    options = Options(
        ca_bundle=keys.ca.cert.decode(),
        node_ranges=((cluster.pod_cidr, 24),),
        shared=bool(cluster.datastore),
        load_balancer_pool=cluster.balancer_ranges,
        issue_token=server.issuer.issue_legacy,
        sign_request=Signer(lambda: keys.ca, os.urandom),
    )
    reader = server.client("system:kube-controller-manager")

    def client_for(user: str) -> SplitClient:
        return SplitClient(reader, server.client(user))

    async def control() -> None:
        words = cluster.controllers.split(",")
        gates = Gates(cluster.feature_gates)
        every = [c for c in controllers(options) if enabled(c.name, words) and _gated(c.name, gates)]
        if cluster.hollow_nodes:
            # no agent runs there: the volumes of hollow nodes are made here, and are as hollow
            every += [provision.controller("/hollow", _is_hollow), provision.reclaimer(_is_hollow)]
        await run_all(every, client_for, clock=time.time, kinds=RegistryKinds(server.registry))

    settings = scheduler_settings(cluster) if cluster.scheduler else None

    async def schedule() -> None:
        if settings is None:
            return
        entropy = random.Random(os.urandom(16)).random
        client = server.client("system:kube-scheduler")
        scheduler = Scheduler(client, clock=time.time, entropy=entropy, settings=settings, host=cluster.node_name)
        server.metrics.register(scheduler.measures)
        try:
            await scheduler.run()
        finally:
            server.metrics.unregister(scheduler.measures)

    await publish_dns(server, cluster)
    await publish_cluster_info(server, cluster, keys)
    if cluster.node or cluster.hollow_nodes:
        await publish_local_storage(server)
    async with asyncio.TaskGroup() as group:
        if cluster.datastore:
            # Other servers may share the store: one of them does this work.
            who = identity(cluster.node_name)
            # Without controllers of ours, whoever runs them holds their lease.
            name = CONTROLLERS if cluster.controllers else "pelamis-hollow-volumes"
            if cluster.controllers or cluster.hollow_nodes:
                group.create_task(leading(server, name, who, control), name="controllers")
            if settings is not None and not settings.election.leaderElect:
                group.create_task(schedule(), name="scheduler")
            elif settings is not None:
                of = settings.election
                lease = leading(
                    server,
                    of.resourceName,
                    who,
                    schedule,
                    namespace=of.resourceNamespace,
                    timing=Timing(*(seconds(t) or 0.0 for t in (of.leaseDuration, of.renewDeadline, of.retryPeriod))),
                )
                group.create_task(lease, name="scheduler")
        else:
            group.create_task(control(), name="controllers")
            group.create_task(schedule(), name="scheduler")
            # One that ends takes the process along. Where it was switched off, the lease of another's tells.
            checks = server.component_statuses.checks
            if cluster.controllers:
                checks["controller-manager"] = lambda: ""
            if cluster.scheduler:
                checks["scheduler"] = lambda: "" if settings is not None else "its configuration cannot be used"
        if cluster.node:
            group.create_task(mark_control_plane(server, cluster.node_name), name="role of the own node")
