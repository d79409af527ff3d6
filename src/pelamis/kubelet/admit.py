"""Whether the node takes a pod that has been bound to it: selector, room, ports, sysctls. Pure.

The scheduler has asked most of it already; this is the last word, for pods bound by hand and for races.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pelamis.base import quantity
from pelamis.kubelet.resources import effective
from pelamis.kubelet.sysctls import forbidden

AFFINITY = "NodeAffinity"
RESOURCES: tuple[tuple[str, Callable[[str], int]], ...] = (
    ("cpu", quantity.milli),
    ("memory", quantity.value),
    ("ephemeral-storage", quantity.value),
)


class Refusal(NamedTuple):
    """Becomes the pod's status reason and message."""

    reason: str
    message: str


def _requests(pod: Any, name: str, unit: Any) -> int:
    return effective(pod, "requests", name, unit)[0]


def _selector_fits(pod: Any, labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in pod.spec.nodeSelector.items()):
        return False
    affinity = pod.spec.affinity
    node = affinity.nodeAffinity if affinity is not None else None
    required = node.requiredDuringSchedulingIgnoredDuringExecution if node is not None else None
    if required is None:
        return True
    return any(_term_fits(term, labels, pod.spec.nodeName) for term in required.nodeSelectorTerms)


def _term_fits(term: Any, labels: Mapping[str, str], name: str) -> bool:
    if not term.matchExpressions and not term.matchFields:
        return False
    if not all(_expression_fits(e, labels.get(e.key)) for e in term.matchExpressions):
        return False
    return all(e.key == "metadata.name" and _expression_fits(e, name) for e in term.matchFields)


def _expression_fits(expression: Any, value: str | None) -> bool:
    match expression.operator:
        case "In":
            return value is not None and value in expression.values
        case "NotIn":
            return value is None or value not in expression.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            try:
                have, want = int(value or ""), int(expression.values[0])
            except (ValueError, IndexError):
                return False
            return have > want if expression.operator == "Gt" else have < want
    return False


def _ports(pod: Any) -> set[tuple[str, str, int]]:
    out = set()
    for container in (*pod.spec.initContainers, *pod.spec.containers):
        for port in container.ports:
            if port.hostPort:
                out.add((port.hostIP or "0.0.0.0", port.protocol or "TCP", port.hostPort))
    return out


def _clash(wanted: Iterable[tuple[str, str, int]], taken: Iterable[tuple[str, str, int]]) -> bool:
    for ip, protocol, port in wanted:
        for other_ip, other_protocol, other_port in taken:
            same_ip = ip == other_ip or "0.0.0.0" in (ip, other_ip)
            if same_ip and protocol == other_protocol and port == other_port:
                return True
    return False


class Claim(NamedTuple):
    """What one pod takes of a node. amounts: in the order of RESOURCES."""

    amounts: tuple[int, ...]
    ports: frozenset[tuple[str, str, int]]


class Claims:
    """What all pods of a node take together, kept as they come and go."""

    __slots__ = ("_held", "used")

    def __init__(self, pods: Iterable[Any] = ()) -> None:
        self.used = [0] * len(RESOURCES)
        self._held: dict[str, Claim] = {}
        for pod in pods:
            self.add(pod)

    def __len__(self) -> int:
        return len(self._held)

    def add(self, pod: Any) -> None:
        """A pod that is held already is counted anew, with what it asks for now."""
        uid = pod.metadata.uid
        self.remove(uid)
        found = self._held[uid] = claim(pod)
        self.used = [a + b for a, b in zip(self.used, found.amounts, strict=True)]

    def remove(self, uid: str) -> None:
        found = self._held.pop(uid, None)
        if found is not None:
            self.used = [a - b for a, b in zip(self.used, found.amounts, strict=True)]

    def ports(self) -> set[tuple[str, str, int]]:
        return {port for held in self._held.values() for port in held.ports}


def claim(pod: Any) -> Claim:
    """One for all pods that ask for the same."""
    asked = _asked(pod)
    found = _claims.get(asked)
    if found is None:
        if len(_claims) >= _CLAIMS:
            _claims.clear()
        amounts = tuple(_requests(pod, name, unit) for name, unit in RESOURCES)
        found = _claims[asked] = Claim(amounts, frozenset(_ports(pod)))
    return found


_CLAIMS = 4096
_claims: dict[Any, Claim] = {}


def _asked(pod: Any) -> Any:
    """All that a claim is made of."""
    spec = pod.spec
    out: list[Any] = []
    for container in (*spec.initContainers, *spec.containers):
        own = container.resources
        out += container.restartPolicy, tuple(own.requests.items()), tuple(own.limits.items()), container.ports
    whole = spec.resources
    return (
        len(spec.initContainers),
        tuple(out),
        tuple(spec.overhead.items()),
        (tuple(whole.requests.items()), tuple(whole.limits.items())) if whole is not None else None,
    )


def check(
    pod: Any,
    others: Claims,
    labels: Mapping[str, str] | None,
    allocatable: Mapping[str, str],
    *,
    strict_groups: bool = True,
) -> Refusal | None:
    """others: the pods that hold resources here. labels: the node's, None when the node is not known yet.

    strict_groups: whether the runtime knows the supplementalGroupsPolicy Strict.
    """
    limit = allocatable.get("pods")
    if limit is not None and len(others) + 1 > quantity.value(limit):
        text = f"Node didn't have enough resource: pods, requested: 1, used: {len(others)}, capacity: {limit}"
        return Refusal("OutOfpods", f"Pod was rejected: {text}")
    own = claim(pod)
    for (name, unit), wanted, used in zip(RESOURCES, own.amounts, others.used, strict=True):
        if name not in allocatable or not wanted:
            continue
        capacity = unit(allocatable[name])
        if wanted + used > capacity:
            text = f"requested: {wanted}, used: {used}, capacity: {capacity}"
            return Refusal(f"OutOf{name}", f"Pod was rejected: Node didn't have enough resource: {name}, {text}")
    if labels is not None and not _selector_fits(pod, labels):
        text = "node(s) didn't match Pod's node affinity/selector"
        return Refusal(AFFINITY, f"Pod was rejected: Predicate NodeAffinity failed: {text}")
    if own.ports and _clash(own.ports, others.ports()):
        text = "node(s) didn't have free ports for the requested pod ports"
        return Refusal("NodePorts", f"Pod was rejected: Predicate NodePorts failed: {text}")
    if pod.spec.os is not None and pod.spec.os.name not in ("", "linux"):
        return Refusal(
            "PodOSNotSupported", "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS"
        )
    security = pod.spec.securityContext
    if not strict_groups and security is not None and security.supplementalGroupsPolicy == "Strict":
        text = "SupplementalGroupsPolicy=Strict is not supported in this node"
        return Refusal("SupplementalGroupsPolicyNotSupported", f"Pod was rejected: {text}")
    problem = forbidden(pod)
    return Refusal("SysctlForbidden", f"Pod was rejected: {problem}") if problem else None
