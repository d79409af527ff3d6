"""Which pods serve a Service, and at which ports: what Endpoints and EndpointSlices are made of. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.reference import ObjectReference
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.service import Service, ServicePort, selector_pair
from pelamis.client.types import Key
from pelamis.reconcile import changes
from pelamis.reconcile.ownership import subset
from pelamis.reconcile.podstate import condition, is_finished, is_ready
from pelamis.reconcile.spec import Views

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
LEADER = "control-plane.alpha.kubernetes.io/leader"


def is_headless(service: Service) -> bool:
    return service.spec.clusterIP == "None"


def families(service: Service) -> tuple[str, ...]:
    return service.spec.ipFamilies or ("IPv4",)


def addresses(pod: Pod, family: str) -> tuple[str, ...]:
    """The pod's addresses of an IP family, in order."""
    ips = [p.ip for p in pod.status.podIPs] or ([pod.status.podIP] if pod.status.podIP else [])
    return tuple(ip for ip in ips if (":" in ip) == (family == "IPv6"))


def belongs(pod: Pod, *, terminating: bool) -> bool:
    """Whether a selected pod can be an endpoint: it has an address and has not ended; terminating: also on its way."""
    if is_finished(pod) or not (pod.status.podIP or pod.status.podIPs):
        return False
    return terminating or pod.metadata.deletionTimestamp is None


def target_port(port: ServicePort, pod: Pod) -> int | None:
    """The number that ``targetPort`` means in this pod; None if the pod has no port of that name."""
    target = port.targetPort
    if isinstance(target, int):
        return target or port.port
    sidecars = [c for c in pod.spec.initContainers if c.restartPolicy == "Always"]
    for container in (*pod.spec.containers, *sidecars):
        for p in container.ports:
            if p.name == target and (p.protocol or "TCP") == (port.protocol or "TCP"):
                return p.containerPort
    return None


def hostname(pod: Pod, service: Service) -> str:
    if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
        return pod.spec.hostname
    return ""


def reference(pod: Pod) -> ObjectReference:
    meta = pod.metadata
    return ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)


def selected(views: Views, service: Service) -> Sequence[Pod]:
    """The pods that the Service's selector picks; an absent selector picks none."""
    selector = service.spec.selector
    if not selector:
        return ()
    return [p for p in views(POD).list(service.metadata.namespace) if subset(selector, p.metadata.labels)]


def _facts(pod: Pod) -> tuple[Any, ...]:
    """What of a pod shows in endpoints."""
    return (
        pod.status.podIP,
        pod.status.podIPs,
        is_ready(pod),
        is_finished(pod),
        pod.metadata.deletionTimestamp is None,
        pod.spec.nodeName,
        pod.spec.hostname,
        pod.spec.subdomain,
        pod.metadata.labels,
        pod.metadata.uid,
    )


POD_NEEDS = (
    changes.ALIVE | changes.ADDRESS | changes.READY | changes.NODE | changes.IDENTITY | changes.LABELS,
    changes.ADDRESSED,
)


def pod_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """For Watch: the Services that select the pod or did so, if it has an address or had one."""
    pods = [pod for pod in (old, new) if pod is not None]
    for pod in pods:
        if pod.status.podIP or pod.status.podIPs:
            break
    else:
        return ()
    if len(pods) == 2 and old.metadata.labels == new.metadata.labels:
        del pods[0]
    services = views(SERVICE)
    out: set[Key] = set()
    for pod in pods:
        meta = pod.metadata
        for key, value in meta.labels.items():
            for service in services.by_index("selector", selector_pair(meta.namespace, key, value)):
                if subset(service.spec.selector, meta.labels):
                    out.add((meta.namespace, service.metadata.name))
    if not out or (old is not None and new is not None and _facts(old) == _facts(new)):
        return ()
    return sorted(out)


@dataclass(frozen=True, slots=True)
class Seen:
    """When pods of the Service with this uid last became ready or unready, at the last look. By name, RFC 3339."""

    service: str
    pods: Mapping[str, str]


def trigger(seen: Seen | None, service: Service, pods: Sequence[Pod]) -> tuple[str, Seen]:
    """When what is to be shown now changed, for the annotation by which latency is measured; "" = unknown.

    That is the earliest of the changes since the last look; at the first look, when the Service was made.
    """
    times = {p.metadata.name: c.lastTransitionTime for p in pods if (c := condition(p, "Ready")) is not None}
    now = Seen(service.metadata.uid, times)
    if seen is None or seen.service != now.service:
        return service.metadata.creationTimestamp, now
    # times of one form: they sort as texts
    return min((t for name, t in times.items() if t > seen.pods.get(name, "")), default=""), now


def stamped(annotations: Mapping[str, str], at: str) -> dict[str, str]:
    """With the trigger time, or without one where it is not known."""
    rest = {k: v for k, v in annotations.items() if k != TRIGGER_TIME}
    return {**rest, TRIGGER_TIME: at} if at else rest
