"""What a hollow node is, and the API objects that speak of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pelamis.base.clock import rfc3339, rfc3339_micro
from pelamis.kubelet.pressure import TEXTS

LEASE_NAMESPACE = "kube-node-lease"
MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"
LABEL = "hollow.pelamis.dev/node"
"""The label that hollow nodes carry (value ``true``)."""
VERSION = "v1.37.0"
_RANGE = IPv4Network("100.64.0.0/10")
_LOOPBACK = IPv4Network("127.0.0.0/8")
_FIRST_ADDRESS = 1 << 16


@dataclass(frozen=True, slots=True)
class HollowNode:
    """The declaration of one node.

    pod_cidr: where its pods' addresses come from; "" = what node IPAM gives it. address and port: where its kubelet
    would be reached. capacity: further resources (``nvidia.com/gpu``). images: names that its status lists. pids: how
    many processes there can be.
    """

    name: str
    cpu: str = "8"
    memory: str = "32Gi"
    pods: int = 110
    storage: str = "100Gi"
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    zone: str = ""
    region: str = ""
    pod_cidr: str = ""
    address: str = "127.0.0.1"
    port: int = 10250
    capacity: Mapping[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    architecture: str = "amd64"
    pids: int = 32768

    @property
    def user(self) -> str:
        return f"system:node:{self.name}"

    def resources(self) -> dict[str, str]:
        return {
            "cpu": self.cpu,
            "memory": self.memory,
            "pods": str(self.pods),
            "ephemeral-storage": self.storage,
            **self.capacity,
        }


def pod_range(index: int, pods: int) -> str:
    """The pod range of the ``index``-th node of a machine, out of 100.64.0.0/10, which no other network uses.

    It holds ``pods`` addresses at least, besides network, gateway and broadcast.
    """
    bits = max((pods + 3 - 1).bit_length(), 8)
    first = int(_RANGE.network_address) + (index << bits)
    if first + (1 << bits) > int(_RANGE.broadcast_address) + 1:
        raise ValueError(f"{_RANGE} has no room for {index + 1} nodes of {pods} pods")
    return f"{IPv4Address(first)}/{32 - bits}"


def loopback(index: int) -> str:
    """A loopback address of its own for the ``index``-th node: 127.1.0.1 and so on (never .0 and .255)."""
    block, host = divmod(index, 254)
    return str(IPv4Address(int(_LOOPBACK.network_address) + _FIRST_ADDRESS + (block << 8) + host + 1))


def labels(node: HollowNode) -> dict[str, str]:
    out = {
        "beta.kubernetes.io/arch": node.architecture,
        "beta.kubernetes.io/os": "linux",
        LABEL: "true",
        "kubernetes.io/arch": node.architecture,
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
    }
    if node.zone:
        out["topology.kubernetes.io/zone"] = node.zone
    if node.region:
        out["topology.kubernetes.io/region"] = node.region
    out.update(node.labels)
    return out


def conditions(now: float, before: Mapping[str, Any], pressure: Collection[str] = ()) -> list[dict[str, Any]]:
    """before: the conditions that the API has, by type: what has not changed keeps its transition time.

    pressure: the pressure conditions that hold.
    """
    at = rfc3339(now)
    out = []
    said = [(type_, str(type_ in pressure), *texts[type_ in pressure][:2]) for type_, texts in TEXTS.items()]
    said.append(("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
    for type_, status, reason, message in said:
        old = before.get(type_)
        since = old.lastTransitionTime if old is not None and old.status == status else at
        out.append(
            {
                "type": type_,
                "status": status,
                "lastHeartbeatTime": at,
                "lastTransitionTime": since or at,
                "reason": reason,
                "message": message,
            }
        )
    return out


def status(node: HollowNode, now: float, before: Mapping[str, Any]) -> dict[str, Any]:
    amounts = node.resources()
    out: dict[str, Any] = {
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": conditions(now, before),
        "addresses": [{"type": "InternalIP", "address": node.address}, {"type": "Hostname", "address": node.name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": node.port}},
        "nodeInfo": {
            "machineID": node.name,
            "systemUUID": node.name,
            "bootID": node.name,
            "kernelVersion": "hollow",
            "osImage": "Pelamis hollow node",
            "containerRuntimeVersion": "hollow://1",
            "kubeletVersion": VERSION,
            "kubeProxyVersion": VERSION,
            "operatingSystem": "linux",
            "architecture": node.architecture,
        },
    }
    if node.images:
        out["images"] = [{"names": [image], "sizeBytes": 64 << 20} for image in node.images]
    return out


def tree(node: HollowNode, now: float) -> dict[str, Any]:
    """The Node as it is registered: Ready from the first moment, for nothing has to be waited for."""
    spec: dict[str, Any] = {}
    if node.pod_cidr:
        spec |= {"podCIDR": node.pod_cidr, "podCIDRs": [node.pod_cidr]}
    if node.taints:
        spec["taints"] = [
            {"key": key, "effect": effect, **({"value": value} if value else {})} for key, value, effect in node.taints
        ]
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": node.name, "labels": labels(node), "annotations": {MANAGED: "true"}},
        "spec": spec,
        "status": status(node, now, {}),
    }


def lease_spec(name: str, now: float, lease_s: int) -> dict[str, Any]:
    return {"holderIdentity": name, "leaseDurationSeconds": lease_s, "renewTime": rfc3339_micro(now)}


def lease(name: str, uid: str, now: float, lease_s: int) -> dict[str, Any]:
    """uid: of the Node, which owns its lease."""
    metadata: dict[str, Any] = {"name": name, "namespace": LEASE_NAMESPACE}
    if uid:
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]
    spec = lease_spec(name, now, lease_s)
    return {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": metadata, "spec": spec}


class Addresses:
    """The pod addresses of one node, handed out in turn, so that one is not used again soon."""

    __slots__ = ("_first", "_next", "_size", "_used")

    def __init__(self, cidr: str) -> None:
        network = IPv4Network(cidr)
        self._first = int(network.network_address) + 2
        self._size = max(network.num_addresses - 3, 1)
        self._next = 0
        self._used: set[int] = set()

    def take(self) -> str:
        """ "" when none is free."""
        for _ in range(self._size):
            offset = self._next
            self._next = (offset + 1) % self._size
            if offset not in self._used:
                self._used.add(offset)
                number = self._first + offset
                return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        return ""

    def mark(self, address: str) -> None:
        """It is in use already."""
        offset = int(IPv4Address(address)) - self._first
        if 0 <= offset < self._size:
            self._used.add(offset)
            self._next = max(self._next, (offset + 1) % self._size)

    def release(self, address: str) -> None:
        self._used.discard(int(IPv4Address(address)) - self._first)


def zones(nodes: int, count: int) -> Sequence[str]:
    """The zone of each of ``nodes`` nodes, spread evenly over ``count`` zones."""
    return [f"zone-{chr(ord('a') + i % count)}" if count <= 26 else f"zone-{i % count}" for i in range(nodes)]
