"""Names and addresses under which the processes of a cluster are reached, for their certificates and their peers."""

from __future__ import annotations

from ipaddress import IPv4Network

from pelamis.main.config import Cluster


def gateway(cluster: Cluster) -> str:
    """The node's address on its pod bridge: the first of the node's pod range."""
    return str(IPv4Network(node_range(cluster))[1])


def node_range(cluster: Cluster) -> str:
    """The pod range of the cluster's own first node: the first /24 of the pod range."""
    return cluster.pod_cidr.rsplit("/", 1)[0] + "/24"


def server_hosts(cluster: Cluster) -> tuple[str, ...]:
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    names += ["kubernetes.default.svc.cluster.local", cluster.node_name]
    return tuple(dict.fromkeys((*names, "127.0.0.1", cluster.advertise, cluster.api_ip)))


def node_hosts(cluster: Cluster) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("localhost", "127.0.0.1", cluster.advertise)))
