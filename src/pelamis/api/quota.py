"""What an object counts for in a ResourceQuota, and which objects a quota's scopes select. Pure.

Shared by admission, which keeps writes within the limits, and by the controller, which shows what is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.resourcename import is_native
from pelamis.api.resource.podclaim import CLASS_RESOURCE, EXTENDED
from pelamis.base import quantity
from pelamis.base.quantity import NANO

Usage = Counter[str]
"""Quota resource name to billionths."""
COUNTED = ("configmaps", "secrets", "replicationcontrollers", "resourcequotas", "services", "persistentvolumeclaims")
COMPUTE = ("cpu", "memory", "ephemeral-storage")
POD_LEVEL = ("cpu", "memory")
CLAIMS = "resourceclaims.resource.k8s.io"
_DEVICES = ".deviceclass.resource.k8s.io/devices"
_MOST_DEVICES = 32
"""What a request for all devices can come to."""


@dataclass(frozen=True, slots=True)
class Devices:
    """What the usage of a ResourceClaim depends on besides the claim, which is its usage at the moment.

    device_class(name); pod(namespace, name); owned(uid): the claims that a pod controls.
    """

    device_class: Callable[[str], Any]
    pod: Callable[[str, str], Any]
    owned: Callable[[str], Sequence[Any]]


def amount(text: str) -> int:
    return quantity.parse(text).nano


def pod_totals(spec: Any, field: str) -> Usage:
    """Requests or limits of a pod as a whole: containers and sidecars together, or the largest init step."""
    running: Usage = Counter()
    for container in spec.containers:
        for name, text in getattr(container.resources, field).items():
            running[name] += amount(text)
    sidecars: Usage = Counter()
    peak: Usage = Counter()
    for container in spec.initContainers:
        own = {name: amount(text) for name, text in getattr(container.resources, field).items()}
        if container.restartPolicy == "Always":
            for name, value in own.items():
                sidecars[name] += value
                running[name] += value
            own = dict(sidecars)
        else:
            own = {name: own.get(name, 0) + sidecars[name] for name in {*own, *sidecars}}
        for name, value in own.items():
            peak[name] = max(peak[name], value)
    out: Usage = Counter({name: max(running[name], peak[name]) for name in {*running, *peak}})
    if spec.resources is not None:
        # what the pod says of itself as a whole counts in place of the sum
        for name, text in getattr(spec.resources, field).items():
            if name in POD_LEVEL or name.startswith("hugepages-"):
                out[name] = amount(text)
    if spec.overhead and (field == "requests" or out):
        for name, text in spec.overhead.items():
            if field == "requests" or name in out:
                out[name] += amount(text)
    return out


_ENDED: Usage = Counter({"count/pods": NANO})
_BY_SHAPE: dict[Any, Usage] = {}
"""Most pods have the resources of some pod before them."""


def _shape(resources: Any) -> Any:
    return None if resources is None else (tuple(resources.requests.items()), tuple(resources.limits.items()))


def _pod_usage(pod: Any) -> Usage:
    if pod.status.phase in ("Succeeded", "Failed"):
        return _ENDED
    spec = pod.spec
    shape = (
        tuple([_shape(c.resources) for c in spec.containers]),
        tuple([(c.restartPolicy, _shape(c.resources)) for c in spec.initContainers]),
        _shape(spec.resources),
        tuple(spec.overhead.items()) if spec.overhead else (),
    )
    found = _BY_SHAPE.get(shape)
    if found is None:
        if len(_BY_SHAPE) >= 4096:
            _BY_SHAPE.clear()
        found = _BY_SHAPE[shape] = _running_usage(pod)
    return found


def _running_usage(pod: Any) -> Usage:
    out: Usage = Counter({"pods": NANO, "count/pods": NANO})
    for name, value in pod_totals(pod.spec, "requests").items():
        if name in COMPUTE or name.startswith("hugepages-"):
            out[name] += value
        out[f"requests.{name}"] += value
    for name, value in pod_totals(pod.spec, "limits").items():
        out[f"limits.{name}"] += value
    return out


def _service_usage(service: Any) -> Usage:
    out: Usage = Counter({"services": NANO, "count/services": NANO})
    spec = service.spec
    if spec.type == "LoadBalancer":
        out["services.loadbalancers"] = NANO
    if spec.type == "NodePort" or (spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is not False):
        out["services.nodeports"] = len(spec.ports) * NANO
    return out


def _claim_usage(claim: Any) -> Usage:
    out: Usage = Counter({"persistentvolumeclaims": NANO, "count/persistentvolumeclaims": NANO})
    storage = claim.spec.resources.requests.get("storage")
    size = amount(storage) if storage else 0
    if storage and (allocated := claim.status.allocatedResources.get("storage")):
        size = max(size, amount(allocated))  # an expansion that is taken back may have happened all the same
    out["requests.storage"] = size
    if claim.spec.storageClassName:
        prefix = f"{claim.spec.storageClassName}.storageclass.storage.k8s.io"
        out[f"{prefix}/requests.storage"] = size
        out[f"{prefix}/persistentvolumeclaims"] = NANO
    return out


def _resource_claim_usage(claim: Any) -> Usage:
    """Of alternatives the most that any of them takes of a class."""
    out: Usage = Counter({"count/resourceclaims.resource.k8s.io": NANO})
    for request in claim.spec.devices.requests:
        most: dict[str, int] = {}
        for wanted in request.firstAvailable or (request.exactly,):
            if wanted is not None:
                count = {"ExactCount": wanted.count, "All": _MOST_DEVICES}.get(wanted.allocationMode, 0)
                most[wanted.deviceClassName] = max(most.get(wanted.deviceClassName, 0), count)
        for name, count in most.items():
            out[f"{name}{_DEVICES}"] += count * NANO
    return out


def _extended_usage(claim: Any, usage: Usage, devices: Devices) -> Usage:
    """What a claim takes of extended resources: devices of a class are had by the resource that the class names too,
    and by the one that each class has without being told. What its pod counts for already is not counted twice."""
    extended: Usage = Counter()
    for name, count in usage.items():
        if not name.endswith(_DEVICES):
            continue
        device_class = devices.device_class(name.removesuffix(_DEVICES))
        if device_class is None:
            continue
        extended[f"requests.{CLASS_RESOURCE}{device_class.metadata.name}"] += count
        if device_class.spec.extendedResourceName:
            extended[f"requests.{device_class.spec.extendedResourceName}"] += count
    if not extended:
        return usage
    pod = _pod_of(claim, devices)
    if pod is not None:
        counted = _pod_usage(pod)
        extended = Counter({n: value - counted[n] for n, value in extended.items()})
    return usage + extended


def _pod_of(claim: Any, devices: Devices) -> Any:
    """The pod for whose extended resources the claim was made, if it is still that pod's one such claim."""
    meta = claim.metadata
    owner = next((r for r in meta.ownerReferences if r.controller), None)
    if meta.annotations.get(EXTENDED) != "true" or owner is None or (owner.kind, owner.apiVersion) != ("Pod", "v1"):
        return None
    pod = devices.pod(meta.namespace, owner.name)
    if pod is None or pod.metadata.uid != owner.uid:
        return None
    status = pod.status.extendedResourceClaimStatus
    if status is not None:
        return pod if status.resourceClaimName == meta.name else None
    mine = (meta.creationTimestamp or "", meta.name)
    for other in devices.owned(owner.uid):
        its = other.metadata
        first = its.namespace == meta.namespace and its.annotations.get(EXTENDED) == "true"
        if first and (its.creationTimestamp or "", its.name) < mine:
            return None
    return pod


def attributes_classes(claim: Any) -> set[str]:
    """The VolumeAttributesClasses that a claim has, wants, or is about to get."""
    status = claim.status
    names = {claim.spec.volumeAttributesClassName, status.currentVolumeAttributesClassName}
    if status.modifyVolumeStatus is not None:
        names.add(status.modifyVolumeStatus.targetVolumeAttributesClassName)
    return {name for name in names if name}


_EVALUATORS: dict[str, Callable[[Any], Usage]] = {
    "pods": _pod_usage,
    "services": _service_usage,
    "persistentvolumeclaims": _claim_usage,
    CLAIMS: _resource_claim_usage,
}
VARYING = frozenset(_EVALUATORS)
"""Resources of which an object's usage may change; of the others each counts as one, and for every quota alike."""


def usage_of(resource: str, obj: Any, devices: Devices | None = None) -> Usage:
    """resource: ``pods``, ``deployments.apps``. The result is shared: it is not to be changed.

    devices: without it, ResourceClaims take nothing of extended resources.
    """
    evaluate = _EVALUATORS.get(resource)
    if evaluate is not None:
        usage = evaluate(obj)
        return _extended_usage(obj, usage, devices) if devices is not None and resource == CLAIMS else usage
    out: Usage = Counter({f"count/{resource}": NANO})
    if resource in COUNTED:
        out[resource] = NANO
    return out


def _best_effort(pod: Any) -> bool:
    return not any(
        c.resources.requests.get(n) or c.resources.limits.get(n)
        for c in (*pod.spec.initContainers, *pod.spec.containers)
        for n in ("cpu", "memory")
    )


def _cross_namespace(pod: Any) -> bool:
    affinity = pod.spec.affinity
    if affinity is None:
        return False
    for part in (affinity.podAffinity, affinity.podAntiAffinity):
        if part is None:
            continue
        terms = [*part.requiredDuringSchedulingIgnoredDuringExecution]
        terms += [w.podAffinityTerm for w in part.preferredDuringSchedulingIgnoredDuringExecution]
        if any(t.namespaces or t.namespaceSelector is not None for t in terms):
            return True
    return False


def _in_scope(scope: str, operator: str, values: tuple[str, ...], pod: Any) -> bool:
    match scope:
        case "Terminating":
            return pod.spec.activeDeadlineSeconds is not None
        case "NotTerminating":
            return pod.spec.activeDeadlineSeconds is None
        case "BestEffort":
            return _best_effort(pod)
        case "NotBestEffort":
            return not _best_effort(pod)
        case "CrossNamespacePodAffinity":
            return _cross_namespace(pod)
        case "PriorityClass":
            name = pod.spec.priorityClassName
            match operator:
                case "In":
                    return name in values
                case "NotIn":
                    return name not in values
                case "DoesNotExist":
                    return not name
                case _:
                    return bool(name)
    return False


def _has_class(names: set[str], operator: str, values: tuple[str, ...]) -> bool:
    match operator:
        case "In":
            return any(name in values for name in names)
        case "NotIn":
            return not names or any(name not in values for name in names)
        case "DoesNotExist":
            return not names
        case _:
            return bool(names)


def in_scope(quota: Any, resource: str, obj: Any) -> bool:
    """Does the quota count this object? Quotas with scopes count pods only (claims by their attributes class)."""
    spec = quota.spec
    terms = [(s, "Exists", ()) for s in spec.scopes]
    if spec.scopeSelector is not None:
        terms += [(e.scopeName, e.operator, e.values) for e in spec.scopeSelector.matchExpressions]
    if not terms:
        return True
    if resource == "persistentvolumeclaims":
        names = attributes_classes(obj)
        return all(scope == "VolumeAttributesClass" and _has_class(names, op, values) for scope, op, values in terms)
    return resource == "pods" and all(_in_scope(s, o, v, obj) for s, o, v in terms)


def resources(quota: Any) -> set[str]:
    """The resources (``pods``, ``deployments.apps``) whose objects the quota has to look at."""
    out: set[str] = set()
    for name in quota.spec.hard:
        if name.startswith("count/"):
            out.add(name[len("count/") :])
        elif name.startswith("services"):
            out.add("services")
        elif name == "requests.storage" or "storageclass.storage.k8s.io/" in name:
            out.add("persistentvolumeclaims")
        elif name.endswith(_DEVICES):
            out.add(CLAIMS)
        elif name in COUNTED:
            out.add(name)
        else:
            out.add("pods")
            if name.startswith("requests.") and (not is_native(name) or name.startswith(f"requests.{CLASS_RESOURCE}")):
                out.add(CLAIMS)
    return out
