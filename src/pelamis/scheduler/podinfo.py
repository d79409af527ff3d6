"""A pod as the scheduler sees it: what its decisions need, worked out once when the pod is first seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from pelamis.api.core.pod.affinity import PodAffinityTerm, WeightedPodAffinityTerm
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.resources import pod_requests
from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.pod.volume import claim_names
from pelamis.api.core.resourcename import is_hugepages, is_native
from pelamis.api.meta import ObjectMeta
from pelamis.base import labels
from pelamis.base.clock import parse_rfc3339
from pelamis.base.labels import Requirement, Selector, SelectorError
from pelamis.base.quantity import NANO, parse

MILLI = 1_000_000
DEFAULT_MEMORY = 200 * 1024 * 1024
"""What a container that requests nothing counts as when nodes are compared, not when they are checked."""
_DEFAULT_REQUESTS = {"cpu": "100m", "memory": "200Mi"}


class PortUse(NamedTuple):
    """A port of the node that a pod takes; ip ``0.0.0.0`` takes it on all addresses."""

    ip: str
    protocol: str
    port: int


class Term(NamedTuple):
    """A compiled PodAffinityTerm. namespaces None: those that ``namespace_selector`` selects, besides ``extra``."""

    topology_key: str
    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector | None
    weight: int = 0

    def covers(self, namespace: str, namespace_labels: Mapping[str, str]) -> bool:
        if namespace in self.namespaces:
            return True
        return self.namespace_selector is not None and self.namespace_selector.matches(namespace_labels)


def is_scalar(name: str) -> bool:
    """Whether a resource other than cpu, memory, storage and pods is counted on nodes."""
    return not is_native(name) or is_hugepages(name) or "kubernetes.io/" in name


def amounts_of(amounts: Mapping[str, Any]) -> dict[str, int]:
    """cpu in thousandths, everything else in whole units, rounded up; what is not counted is left out."""
    out: dict[str, int] = {}
    for name, quantity in amounts.items():
        nano = (parse(quantity) if isinstance(quantity, str) else quantity).nano
        if name == "cpu":
            out[name] = -(-nano // MILLI)
        elif name in ("memory", "ephemeral-storage", "pods") or is_scalar(name):
            out[name] = -(-nano // NANO)
    return out


def _nonzero(pod: Pod, requests: dict[str, int]) -> tuple[int, int]:
    spec = pod.spec
    if not spec.initContainers:
        for container in spec.containers:
            wanted = container.resources.requests
            if "cpu" not in wanted or "memory" not in wanted:
                break
        else:
            return requests.get("cpu", 0), requests.get("memory", 0)
    amounts = amounts_of(pod_requests(pod, use_status=True, least=_DEFAULT_REQUESTS))
    return amounts.get("cpu", 0), amounts.get("memory", 0)


def compile_selector(selector: Any, keys: tuple[str, ...], mismatch: tuple[str, ...], pod: Pod) -> Selector:
    """Of a LabelSelector, narrowed to pods that share (or do not share) the pod's values of some labels."""
    try:
        base = labels.from_label_selector(selector)
    except SelectorError:
        return labels.NOTHING
    own = pod.metadata.labels
    more = [Requirement(k, labels.IN, (own[k],)) for k in keys if k in own]
    more += [Requirement(k, labels.NOT_IN, (own[k],)) for k in mismatch if k in own]
    if not more or base.nothing:
        return base
    return Selector((*base.requirements, *(r for r in more if r not in base.requirements)))


def _term(term: PodAffinityTerm, pod: Pod, weight: int = 0) -> Term:
    namespaces = frozenset(term.namespaces)
    selector: Selector | None = None
    if term.namespaceSelector is not None:
        try:
            selector = labels.from_label_selector(term.namespaceSelector)
        except SelectorError:
            selector = labels.NOTHING
    elif not namespaces:
        namespaces = frozenset((pod.metadata.namespace,))
    compiled = compile_selector(term.labelSelector, term.matchLabelKeys, term.mismatchLabelKeys, pod)
    return Term(term.topologyKey, compiled, namespaces, selector, weight)


def _weighted(terms: tuple[WeightedPodAffinityTerm, ...], pod: Pod) -> tuple[Term, ...]:
    return tuple(_term(t.podAffinityTerm, pod, t.weight) for t in terms)


class Model:
    """What pods that the server made of one template in one go have in common: they share their spec and status.

    info: of one of them; it stays as it is.
    """

    __slots__ = ("info", "signed")

    def __init__(self, pod: Pod) -> None:
        self.info = PodInfo(pod)
        self.signed: tuple[bytes, bytes] | None = None

    def covers(self, pod: Pod) -> bool:
        """Whether the pod differs in name, uid and revision at most."""
        own = self.info.pod
        if pod.spec is not own.spec or pod.status is not own.status:
            return False
        meta, of = pod.metadata, own.metadata
        return (
            meta.ownerReferences == of.ownerReferences
            and meta.labels == of.labels
            and meta.namespace == of.namespace
            and meta.deletionTimestamp is None
            and of.deletionTimestamp is None
        )


class PodInfo:
    """Identity is by object: one PodInfo per version of a pod that the scheduler has taken in.

    bound: the pod itself says where it runs (else it waits, or is assumed to run where it was decided).
    """

    __slots__ = (
        "_as_asked",
        "_model",
        "_pod",
        "_recall",
        "_signed",
        "affinity",
        "anti_affinity",
        "bound",
        "claims",
        "devices",
        "group",
        "has_affinity",
        "key",
        "labels",
        "memo",
        "namespace",
        "node",
        "nonzero",
        "ports",
        "preferred_affinity",
        "preferred_anti_affinity",
        "priority",
        "requests",
        "start",
        "terminating",
        "uid",
        "vector",
    )

    def __init__(self, pod: Pod, model: Model | None = None) -> None:
        """model: one that covers the pod."""
        spec, meta = pod.spec, pod.metadata
        self._pod: Pod | None = pod
        self._recall: Callable[[str, str], Pod | None] | None = None
        self.bound = bool(spec.nodeName)
        self.labels: Mapping[str, str] = meta.labels
        self.uid = meta.uid
        self.namespace = meta.namespace
        self.key = (meta.namespace, meta.name)
        self.node: Any = None  # snapshot.NodeInfo while counted on a node
        self.group: Any = None  # snapshot.Group while counted
        self.memo: dict[Any, Any] = {}  # what plugins have prepared; shared by pods of one signature, see ``sheet``
        self._signed: tuple[bytes, bytes] | None = None
        self._model = model
        if model is not None:
            self._take(model.info)
            return
        self.priority = spec.priority or 0
        self.terminating = meta.deletionTimestamp is not None
        self.requests = amounts_of(pod_requests(pod, use_status=True))
        self._as_asked = _gets_what_it_asks(pod)
        self.nonzero = _nonzero(pod, self.requests)
        self.ports = host_ports(pod)
        self.claims = tuple(claim_names(pod))
        self.devices = bool(spec.resourceClaims)
        affinity = spec.affinity
        self.affinity: tuple[Term, ...] = ()
        self.anti_affinity: tuple[Term, ...] = ()
        self.preferred_affinity: tuple[Term, ...] = ()
        self.preferred_anti_affinity: tuple[Term, ...] = ()
        if affinity is not None:
            if (near := affinity.podAffinity) is not None:
                self.affinity = tuple(_term(t, pod) for t in near.requiredDuringSchedulingIgnoredDuringExecution)
                self.preferred_affinity = _weighted(near.preferredDuringSchedulingIgnoredDuringExecution, pod)
            if (far := affinity.podAntiAffinity) is not None:
                self.anti_affinity = tuple(_term(t, pod) for t in far.requiredDuringSchedulingIgnoredDuringExecution)
                self.preferred_anti_affinity = _weighted(far.preferredDuringSchedulingIgnoredDuringExecution, pod)
        self.has_affinity = bool(
            self.affinity or self.anti_affinity or self.preferred_affinity or self.preferred_anti_affinity
        )
        self.start: float | None = parse_rfc3339(pod.status.startTime) if pod.status.startTime else None
        self.vector: Any = None  # requests as (column, amount) pairs, by the snapshot

    def _take(self, of: PodInfo) -> None:
        """All but what names the pod; the names of its claims may be made of its own."""
        self.priority = of.priority
        self.terminating = False
        self.requests = of.requests
        self._as_asked = of._as_asked
        self.nonzero = of.nonzero
        self.ports = of.ports
        self.claims = tuple(claim_names(self.pod)) if of.claims else ()
        self.devices = of.devices
        self.affinity, self.preferred_affinity = of.affinity, of.preferred_affinity
        self.anti_affinity, self.preferred_anti_affinity = of.anti_affinity, of.preferred_anti_affinity
        self.has_affinity = of.has_affinity
        self.start = of.start
        self.vector = of.vector

    @property
    def pod(self) -> Pod:
        """Its newest version, once it was let go."""
        pod = self._pod
        if pod is not None:
            return pod
        found = self._recall(*self.key) if self._recall is not None else None
        if found is not None and found.metadata.uid == self.uid:
            return found
        # Deleted, and the scheduler is about to hear of it.
        meta = ObjectMeta(name=self.key[1], namespace=self.namespace, uid=self.uid, labels=dict(self.labels))
        where = self.node.name if self.bound and self.node is not None else ""
        return Pod(metadata=meta, spec=PodSpec(nodeName=where, priority=self.priority))

    def keep(self, pod: Pod) -> None:
        """This version of it, from now on: what is told of it is about this one, and it may be gone elsewhere."""
        self._pod = pod

    def let_go(self, recall: Callable[[str, str], Pod | None] | None, key: tuple[str, str]) -> None:
        """A pod that runs is seldom looked at again: from now on ``recall(namespace, name)`` gives it when need be.

        key: the pod's, as others keep it: of equal strings one is enough.
        """
        if recall is not None:
            self._recall, self._pod = recall, None
            self.key, self.namespace = key, key[0]

    @property
    def signature(self) -> bytes:
        """All that plugins read of the pod, but for its name and its volumes: the same for pods of one template."""
        return (self._signed or self._sign())[1]

    @property
    def demands(self) -> bytes:
        """What of the signature the pod asks of a node by itself: no labels, and nothing about other pods."""
        return (self._signed or self._sign())[0]

    def forget(self) -> None:
        """The pod is decided: what helped with that may be given up, however long the pod stays."""
        self.memo = {}
        self._signed = self._model = None

    def _sign(self) -> tuple[bytes, bytes]:
        model = self._model
        if model is not None and model.signed is not None:
            self._signed = model.signed
            return model.signed
        pod = self.pod
        spec, meta, affinity = pod.spec, pod.metadata, pod.spec.affinity
        owner = next(((r.kind, r.apiVersion, r.name) for r in meta.ownerReferences if r.controller), None)
        demands = msgspec.json.encode(
            (
                self.requests,
                self.nonzero,
                self.ports,
                spec.nodeName,
                spec.nodeSelector,
                None if affinity is None else affinity.nodeAffinity,
                spec.tolerations,
                [c.image for c in spec.initContainers],
                [c.image for c in spec.containers],
                [v.image.reference for v in spec.volumes if v.image is not None],
            )
        )
        others = None if affinity is None else (affinity.podAffinity, affinity.podAntiAffinity)
        signature = msgspec.json.encode(
            (meta.namespace, meta.labels, self.terminating, owner, others, spec.topologySpreadConstraints)
        )
        self._signed = demands, demands + signature
        if model is not None:
            model.signed = self._signed
        return self._signed

    def refreshed(self, pod: Pod, old: Pod | None = None) -> bool:
        """Takes in a newer version of the pod if it counts as the present one does; else changes nothing.

        old: the version before it, which is asked when the present one was let go.
        """
        now, was = pod.metadata, self._pod or old
        if was is None or now.labels != self.labels or (now.deletionTimestamp is not None) is not self.terminating:
            return False
        if pod.spec is not was.spec and not self._is_bound_as_assumed(pod, was) and pod.spec != was.spec:
            return False
        as_asked = _gets_what_it_asks(pod)
        if not (as_asked and self._as_asked) and amounts_of(pod_requests(pod, use_status=True)) != self.requests:
            return False
        self._as_asked = as_asked
        self._pod = pod
        self.bound = bool(pod.spec.nodeName)
        if pod.status.startTime != was.status.startTime:
            self.start = parse_rfc3339(pod.status.startTime) if pod.status.startTime else None
        return True

    def _is_bound_as_assumed(self, pod: Pod, was: Pod) -> bool:
        """The binding that a decision asked for, and nothing else."""
        name = pod.spec.nodeName
        if self.node is None or was.spec.nodeName or self.node.name != name:
            return False
        return msgspec.structs.replace(was.spec, nodeName=name) == pod.spec

    def __repr__(self) -> str:
        return f"<PodInfo {self.namespace}/{self.key[1]}>"


def _gets_what_it_asks(pod: Pod) -> bool:
    """Whether its status says of resources what its spec asks for, so that the spec alone tells its requests."""
    status = pod.status
    if not status.containerStatuses and not status.initContainerStatuses:
        return True
    asked = {c.name: c.resources.requests for c in (*pod.spec.containers, *pod.spec.initContainers)}
    for each in (*status.containerStatuses, *status.initContainerStatuses):
        wanted, given = asked.get(each.name), each.resources
        if given is not None and given.requests != wanted:
            return False
        if each.allocatedResources and each.allocatedResources != wanted:
            return False
    return True


def host_ports(pod: Pod) -> tuple[PortUse, ...]:
    """Of regular containers and of sidecars."""
    spec = pod.spec
    containers = (*spec.containers, *(c for c in spec.initContainers if c.restartPolicy == "Always"))
    out = []
    for container in containers:
        for port in container.ports:
            number = port.hostPort or (port.containerPort if spec.hostNetwork else 0)
            if number > 0:
                out.append(PortUse(port.hostIP or "0.0.0.0", port.protocol or "TCP", number))
    return tuple(out)
