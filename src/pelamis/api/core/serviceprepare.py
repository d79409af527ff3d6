"""Defaults of services, and what a write keeps or drops of the values that the server gave earlier.

Addresses and ports are given by the server's allocators between ``prepare_create`` or ``prepare_update`` and
validation. A client that updates a service without repeating them keeps them; a client that changes the type to one
that has no use for them loses them, unless it set new ones itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pelamis.api.field import Tree
from pelamis.base.tree import copy


def is_external(spec: Tree) -> bool:
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_cluster_ip(spec: Tree) -> bool:
    """Also true for a headless service, whose address is the word None."""
    return spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer")


def needs_node_ports(spec: Tree) -> bool:
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def needs_health_check_port(spec: Tree) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    affinity = spec.get("sessionAffinity")
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP":
        config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if config.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    for port in spec.get("ports") or ():
        if port.get("targetPort") in (None, 0, "", "0") and port.get("port"):
            port["targetPort"] = port["port"]
    kind = spec.get("type")
    if is_external(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec.get("internalTrafficPolicy") is None and kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        spec["internalTrafficPolicy"] = "Cluster"
    if kind == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is None:
            spec["allocateLoadBalancerNodePorts"] = True
        balancer = (tree.get("status") or {}).get("loadBalancer") or {}
        for entry in balancer.get("ingress") or ():
            if entry.get("ip") and entry.get("ipMode") is None:
                entry["ipMode"] = "VIP"


def prepare_create(tree: Tree) -> None:
    tree["status"] = {"loadBalancer": {}}
    spec = tree["spec"]
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def prepare_update(tree: Tree, old: Tree) -> None:
    new, was = tree.setdefault("spec", {}), old.get("spec") or {}
    _follow_cluster_ip(new, was)
    _keep_given(new, was)
    _drop_unused(new, was)


def _follow_cluster_ip(new: Tree, was: Tree) -> None:
    """A client that knows only clusterIP means clusterIPs too."""
    now, before = new.get("clusterIP") or "", was.get("clusterIP") or ""
    if now == before or (new.get("clusterIPs") or []) != (was.get("clusterIPs") or []):
        return
    if now:
        new["clusterIPs"] = [now]
    else:
        new.pop("clusterIPs", None)


def _keep_given(new: Tree, was: Tree) -> None:
    if needs_cluster_ip(was) and needs_cluster_ip(new):
        if not new.get("clusterIP") and was.get("clusterIP"):
            new["clusterIP"] = was["clusterIP"]
        if not new.get("clusterIPs") and new.get("clusterIP") == was.get("clusterIP") and was.get("clusterIPs"):
            new["clusterIPs"] = list(was["clusterIPs"])
    if needs_node_ports(was) and needs_node_ports(new):
        used = _node_ports(was) & _node_ports(new)
        by_name = {p.get("name", ""): p.get("nodePort", 0) for p in was.get("ports") or ()}
        for port in new.get("ports") or ():
            if not port.get("nodePort"):
                number = by_name.get(port.get("name", ""), 0)
                if number and number not in used:
                    port["nodePort"] = number
    checked = needs_health_check_port(was) and needs_health_check_port(new)
    if checked and not new.get("healthCheckNodePort") and was.get("healthCheckNodePort"):
        new["healthCheckNodePort"] = was["healthCheckNodePort"]
    for name in ("ipFamilies", "ipFamilyPolicy"):
        if not new.get(name) and was.get(name) and needs_cluster_ip(was) and needs_cluster_ip(new):
            new[name] = copy(was[name]) if isinstance(was[name], list) else was[name]


def _node_ports(spec: Tree) -> set[int]:
    return {p["nodePort"] for p in spec.get("ports") or () if p.get("nodePort")}


def _port_list(spec: Tree) -> list[int]:
    return [p.get("nodePort", 0) for p in spec.get("ports") or ()]


def _drop_unused(new: Tree, was: Tree) -> None:
    """What the old type needed and the new one does not goes, where the client has left it as it was."""
    if needs_cluster_ip(was) and not needs_cluster_ip(new):
        if _same(new, was, "clusterIPs") and _same(new, was, "clusterIP"):
            new.pop("clusterIP", None)
            new.pop("clusterIPs", None)
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if _same(new, was, name):
                new.pop(name, None)
    if needs_node_ports(was) and not needs_node_ports(new) and _port_list(new) == _port_list(was):
        for port in new.get("ports") or ():
            port.pop("nodePort", None)

    def balanced(spec: Tree) -> bool:
        return spec.get("type") == "LoadBalancer"

    rules: tuple[tuple[Callable[[Tree], bool], str], ...] = (
        (needs_health_check_port, "healthCheckNodePort"),
        (balanced, "allocateLoadBalancerNodePorts"),
        (balanced, "loadBalancerClass"),
        (is_external, "externalTrafficPolicy"),
    )
    for needed, name in rules:
        if needed(was) and not needed(new) and _same(new, was, name):
            new.pop(name, None)


def _same(new: Tree, was: Tree, name: str) -> bool:
    value: Any = new.get(name)
    return bool(value == was.get(name))
