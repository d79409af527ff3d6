"""Is all that was declared there, and nothing besides? Asked of a cluster that has come to rest.

``unsettled``: workloads whose status does not say what their spec wants. ``leaks``: what is left over or counted
wrongly: pods without their owner or their node, addresses given twice or never given back, endpoints of pods that are
gone, quotas and budgets that do not add up, devices given twice, what the scheduler believes against what is bound.
Each problem is a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pelamis.api.apps.controllerrevision import KIND as REVISION
from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.batch.cronjob import KIND as CRONJOB
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.core.endpoints import KIND as ENDPOINTS
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.replicationcontroller import KIND as REPLICATIONCONTROLLER
from pelamis.api.core.resourcequota import KIND as QUOTA
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.wellknown import SERVICE_NAME
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.api.networking.ipaddress import KIND as IPADDRESS
from pelamis.api.policy.poddisruptionbudget import KIND as BUDGET
from pelamis.api.quota import in_scope, resources, usage_of
from pelamis.api.resource.podclaim import claim_names, is_reserved, owning_pod
from pelamis.api.resource.resourceclaim import KIND as DEVICE_CLAIM
from pelamis.base import labels, quantity
from pelamis.reconcile.podstate import is_active, is_finished, is_ready
from pelamis.sim.cluster import Cluster

_OWNERS = {k.kind: k for k in (DEPLOYMENT, REPLICASET, STATEFULSET, DAEMONSET, JOB, CRONJOB, REPLICATIONCONTROLLER)}


def problems(cluster: Cluster) -> list[str]:
    """Both."""
    return [*unsettled(cluster), *leaks(cluster)]


def unsettled(cluster: Cluster) -> list[str]:
    out: list[str] = []
    for kind in (DEPLOYMENT, STATEFULSET, REPLICASET, REPLICATIONCONTROLLER):
        for obj in cluster.objects(kind):
            out.extend(_replicated(kind, obj))
    for obj in cluster.objects(DAEMONSET):
        s = obj.status
        wanted = s.desiredNumberScheduled
        seen = {
            "currentNumberScheduled": s.currentNumberScheduled,
            "updatedNumberScheduled": s.updatedNumberScheduled,
            "numberAvailable": s.numberAvailable,
        }
        out.extend(_wrong(obj, {k: (v, wanted) for k, v in seen.items()}))
        out.extend(_wrong(obj, {"numberMisscheduled": (s.numberMisscheduled, 0)}))
        out.extend(_generation(obj))
    for obj in cluster.objects(JOB):
        ended = any(c.type in ("Complete", "Failed") and c.status == "True" for c in obj.status.conditions)
        if ended and (obj.status.active or obj.status.uncountedTerminatedPods not in (None, _empty(obj))):
            out.append(f"{_name(obj)} has ended, but counts {obj.status.active} active pods")
    for obj in cluster.objects(NAMESPACE):
        if obj.metadata.deletionTimestamp is not None:
            out.append(f"{_name(obj)} is still terminating")
    for node in cluster.objects(NODE):
        if not is_ready(node):
            out.append(f"{_name(node)} is not ready")
        elif not node.spec.unschedulable:
            out.extend(
                f"{_name(node)} still has the taint {t.key}"
                for t in node.spec.taints
                if t.key.startswith("node.kubernetes.io/")
            )
    return out


def _empty(job: Any) -> Any:
    return type(job.status.uncountedTerminatedPods)()


def _name(obj: Any) -> str:
    meta = obj.metadata
    where = f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
    return f"{obj.kind.lower()} {where}"


def _wrong(obj: Any, numbers: dict[str, tuple[int, int]]) -> Iterator[str]:
    for field, (found, wanted) in numbers.items():
        if found != wanted:
            yield f"{_name(obj)}: {field} is {found}, not {wanted}"


def _generation(obj: Any) -> Iterator[str]:
    if obj.metadata.generation and obj.status.observedGeneration != obj.metadata.generation:
        yield f"{_name(obj)}: generation {obj.status.observedGeneration} was seen, it is {obj.metadata.generation}"


def _replicated(kind: Any, obj: Any) -> Iterator[str]:
    s = obj.status
    wanted = 1 if obj.spec.replicas is None else obj.spec.replicas
    numbers = {"replicas": s.replicas, "readyReplicas": s.readyReplicas, "availableReplicas": s.availableReplicas}
    paused = kind is DEPLOYMENT and obj.spec.paused
    on_delete = kind is STATEFULSET and obj.spec.updateStrategy.type == "OnDelete"
    if kind in (DEPLOYMENT, STATEFULSET) and not paused and not on_delete:
        rolling = getattr(obj.spec.updateStrategy, "rollingUpdate", None) if kind is STATEFULSET else None
        if rolling is None or not rolling.partition:
            numbers["updatedReplicas"] = s.updatedReplicas
    yield from _wrong(obj, {k: (v, wanted) for k, v in numbers.items()})
    yield from _generation(obj)


def leaks(cluster: Cluster) -> list[str]:
    pods = cluster.objects(POD)
    return [
        *_owned(cluster),
        *_pods(cluster, pods),
        *_services(cluster, pods),
        *_addresses(cluster),
        *_quotas(cluster),
        *_budgets(cluster, pods),
        *_devices(cluster, pods),
        *_scheduler(cluster, pods),
    ]


def _owned(cluster: Cluster) -> Iterator[str]:
    """Whatever has an owner that is gone."""
    uids = {kind: {o.metadata.uid for o in cluster.objects(k)} for kind, k in _OWNERS.items()}
    for kind in (POD, REPLICASET, REVISION, JOB):
        for obj in cluster.objects(kind):
            for ref in obj.metadata.ownerReferences:
                if ref.kind in uids and ref.uid not in uids[ref.kind]:
                    yield f"{_name(obj)} is left over: its {ref.kind} {ref.name} is gone"
    for job in cluster.objects(JOB):
        if any(c.type in ("Complete", "Failed") and c.status == "True" for c in job.status.conditions):
            for pod in cluster.objects(POD, job.metadata.namespace):
                if any(r.uid == job.metadata.uid for r in pod.metadata.ownerReferences) and pod.metadata.finalizers:
                    yield f"{_name(pod)} keeps a finalizer though its job has ended"


def _pods(cluster: Cluster, pods: Sequence[Any]) -> Iterator[str]:
    nodes = {n.metadata.name for n in cluster.objects(NODE)}
    ips: dict[str, str] = {}
    names = {n.metadata.name for n in cluster.objects(NAMESPACE)}
    for pod in pods:
        if pod.spec.nodeName and pod.spec.nodeName not in nodes:
            yield f"{_name(pod)} is bound to node {pod.spec.nodeName}, which is gone"
        if pod.metadata.deletionTimestamp is not None:
            yield f"{_name(pod)} is still terminating"
        if pod.metadata.namespace not in names:
            yield f"{_name(pod)} is in a namespace that is gone"
        if is_active(pod) and pod.status.podIP and not pod.spec.hostNetwork:
            other = ips.setdefault(pod.status.podIP, _name(pod))
            if other != _name(pod):
                yield f"{_name(pod)} and {other} both have the address {pod.status.podIP}"


def _services(cluster: Cluster, pods: Sequence[Any]) -> Iterator[str]:
    services = {(s.metadata.namespace, s.metadata.name): s for s in cluster.objects(SERVICE)}
    slices: dict[tuple[str, str], list[Any]] = {}
    for part in cluster.objects(SLICE):
        owner = (part.metadata.namespace, part.metadata.labels.get(SERVICE_NAME, ""))
        slices.setdefault(owner, []).append(part)
        if owner not in services:
            yield f"{_name(part)} is left over: its service is gone"
    for obj in cluster.objects(ENDPOINTS):
        if (obj.metadata.namespace, obj.metadata.name) not in services:
            yield f"{_name(obj)} is left over: its service is gone"
    for key, service in services.items():
        if not service.spec.selector or key == ("default", "kubernetes"):
            continue
        selector = labels.from_labels(service.spec.selector)
        wanted = Counter(
            p.status.podIP
            for p in pods
            if p.metadata.namespace == key[0]
            and is_active(p)
            and p.status.podIP
            and selector.matches(p.metadata.labels)
        )
        found: Counter[str] = Counter()
        for part in slices.get(key, ()):
            for endpoint in part.endpoints:
                if not endpoint.conditions.terminating:
                    found.update(endpoint.addresses)
        if service.spec.clusterIP != "None" and found != wanted:
            yield f"{_name(service)}: its slices lead to {sorted(found)}, its pods are {sorted(wanted)}"


def _addresses(cluster: Cluster) -> Iterator[str]:
    held: dict[str, str] = {}
    ports: dict[int, str] = {}
    for service in cluster.objects(SERVICE):
        for ip in service.spec.clusterIPs:
            if ip != "None" and held.setdefault(ip, _name(service)) != _name(service):
                yield f"{_name(service)} and {held[ip]} both have the address {ip}"
        for port in service.spec.ports:
            if port.nodePort and ports.setdefault(port.nodePort, _name(service)) != _name(service):
                yield f"{_name(service)} and {ports[port.nodePort]} both have the node port {port.nodePort}"
    claimed = {o.metadata.name for o in cluster.objects(IPADDRESS)}
    for ip in sorted(claimed - set(held)):
        yield f"ipaddress {ip} is left over: no service has it"
    for ip in sorted(set(held) - claimed):
        yield f"{held[ip]} has the address {ip}, which is not recorded as taken"
    ranges: dict[str, str] = {}
    for node in cluster.objects(NODE):
        for cidr in node.spec.podCIDRs:
            if ranges.setdefault(cidr, _name(node)) != _name(node):
                yield f"{_name(node)} and {ranges[cidr]} both have the pod range {cidr}"


def _quotas(cluster: Cluster) -> Iterator[str]:
    for quota in cluster.objects(QUOTA):
        used: Counter[str] = Counter()
        for resource in resources(quota):
            for obj in cluster.server.objects.list(resource, quota.metadata.namespace):
                if in_scope(quota, resource, obj):
                    used.update(usage_of(resource, obj, cluster.server.quotas.devices))
        wanted = {n: str(quantity.Quantity(used[n], quantity.parse(h).format)) for n, h in quota.spec.hard.items()}
        if dict(quota.status.used) != wanted:
            yield f"{_name(quota)}: used is {dict(quota.status.used)}, in truth {wanted}"
        counted = cluster.server.quotas.used(quota.metadata.namespace, quota.metadata.name)
        if counted != wanted:
            yield f"{_name(quota)}: admission counts {counted}, in truth {wanted}"


def _budgets(cluster: Cluster, pods: Sequence[Any]) -> Iterator[str]:
    for budget in cluster.objects(BUDGET):
        selector = labels.from_label_selector(budget.spec.selector)
        mine = [
            p
            for p in pods
            if p.metadata.namespace == budget.metadata.namespace
            and selector.matches(p.metadata.labels)
            and not is_finished(p)
        ]
        healthy = sum(is_ready(p) and p.metadata.deletionTimestamp is None for p in mine)
        if budget.status.currentHealthy != healthy:
            yield f"{_name(budget)}: currentHealthy is {budget.status.currentHealthy}, in truth {healthy}"
        if budget.status.disruptedPods:
            yield f"{_name(budget)}: evictions are still counted: {sorted(budget.status.disruptedPods)}"


def _devices(cluster: Cluster, pods: Sequence[Any]) -> Iterator[str]:
    """Each belongs to one claim, and a claim to pods that are there."""
    there = {p.metadata.uid: p for p in pods}
    having: dict[tuple[str, str, str], Any] = {}
    claims = {(c.metadata.namespace, c.metadata.name): c for c in cluster.objects(DEVICE_CLAIM)}
    for claim in claims.values():
        for user in claim.status.reservedFor:
            if user.uid not in there or is_finished(there[user.uid]):
                yield f"{_name(claim)} is reserved for {user.name}, which is gone or has ended"
        name, uid = owning_pod(claim)
        if name and uid not in there:
            yield f"{_name(claim)} is left over: its pod {name} is gone"
        for result in claim.status.allocation.devices.results if claim.status.allocation is not None else ():
            device = (result.driver, result.pool, result.device)
            if result.adminAccess or result.shareID is not None:
                continue
            if device in having:
                yield f"device {'/'.join(device)} is given to {_name(having[device])} and to {_name(claim)}"
            having[device] = claim
    for pod in pods:
        for name in claim_names(pod) if pod.spec.nodeName and is_active(pod) else ():
            found = claims.get((pod.metadata.namespace, name))
            if found is None or not is_reserved(found, pod.metadata.uid):
                yield f"{_name(pod)} has a node, but not its claim {name}"
    if cluster.scheduler is None or "scheduler" in cluster.down or "server" in cluster.down:
        return
    inventory = cluster.scheduler.snapshot.devices
    if inventory.pending:
        yield f"the scheduler has promised devices to {len(inventory.pending)} claims and never given them"
    if set(inventory.allocated) != set(having):
        yield f"the scheduler takes {len(inventory.allocated)} devices to be given, {len(having)} are"


def _scheduler(cluster: Cluster, pods: Sequence[Any]) -> Iterator[str]:
    """What it has assumed against what is bound."""
    if cluster.scheduler is None or "scheduler" in cluster.down or "server" in cluster.down:
        return
    believed = set(cluster.scheduler.snapshot.pods)
    bound = {p.metadata.uid: p for p in pods if p.spec.nodeName and not is_finished(p)}
    for uid in sorted(believed - set(bound)):
        yield f"the scheduler counts pod {uid}, which is not bound"
    for uid in sorted(set(bound) - believed):
        yield f"the scheduler does not count {_name(bound[uid])}, which is bound"
