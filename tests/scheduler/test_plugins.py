"""Filters and scores of each plugin: where a pod goes, or why nowhere, in the words that users read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.codec import from_tree
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.storage.csinode import KIND as CSI_NODE
from pelamis.api.storage.storageclass import KIND as CLASS
from pelamis.scheduler import plugins
from pelamis.scheduler.snapshot import Snapshot

from .make import cluster, node, outcome, place, pod

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


def affinity(key: str, terms: list[Any], preferred: bool = False) -> dict[str, Any]:
    when = "preferred" if preferred else "required"
    return {"affinity": {key: {f"{when}DuringSchedulingIgnoredDuringExecution": terms}}}


def near(app: str, key: str = ZONE, **more: Any) -> dict[str, Any]:
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **more}


def select(*expressions: Any, fields: tuple[Any, ...] = ()) -> dict[str, Any]:
    term: dict[str, Any] = {}
    if expressions:
        term["matchExpressions"] = [dict(zip(("key", "operator", "values"), e, strict=False)) for e in expressions]
    if fields:
        term["matchFields"] = [dict(zip(("key", "operator", "values"), e, strict=False)) for e in fields]
    required = {"nodeSelectorTerms": [term]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def spread(skew: int = 1, key: str = ZONE, when: str = "DoNotSchedule", **more: Any) -> dict[str, Any]:
    constraint = {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when, **more}
    constraint.setdefault("labelSelector", {"matchLabels": {"app": "a"}})
    return {"topologySpreadConstraints": [constraint]}


TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}
SOFT = {"key": "k", "value": "v", "effect": "PreferNoSchedule"}
A, B = {"labels": {ZONE: "a"}}, {"labels": {ZONE: "b"}}
APP = {"labels": {"app": "a"}}

CASES: dict[str, tuple[list[Any], list[Any], Any, str]] = {
    "cordoned": ([node("n", unschedulable=True)], [], pod("p"), "1 node(s) were unschedulable."),
    "cordoned, tolerated": (
        [node("n", unschedulable=True)],
        [],
        pod("p", tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]),
        "n",
    ),
    "taint": (
        [node("n", taints=[TAINT]), node("m", cpu="1")],
        [],
        pod("p", "2"),
        "1 Insufficient cpu, 1 node(s) had untolerated taint(s).",
    ),
    "taint tolerated": ([node("n", taints=[TAINT])], [], pod("p", tolerations=[{"key": "k", "value": "v"}]), "n"),
    "wrong value": (
        [node("n", taints=[TAINT])],
        [],
        pod("p", tolerations=[{"key": "k", "value": "w"}]),
        "1 node(s) had untolerated taint(s).",
    ),
    "soft taint avoided": ([node("n", taints=[SOFT]), node("m")], [], pod("p", "1", "1Gi"), "m"),
    "selector": (
        [node("n", **A), node("m", **B)],
        [],
        pod("p", nodeSelector={ZONE: "c"}),
        "2 node(s) didn't match Pod's node affinity/selector.",
    ),
    "In": ([node("n", **A), node("m", **B)], [], pod("p", **select((ZONE, "In", ["b", "x"]))), "m"),
    "NotIn": ([node("n", **A), node("m")], [], pod("p", **select((ZONE, "NotIn", ["a"]))), "m"),
    "Exists": ([node("n"), node("m", **B)], [], pod("p", **select((ZONE, "Exists"))), "m"),
    "DoesNotExist": ([node("n"), node("m", **B)], [], pod("p", **select((ZONE, "DoesNotExist"))), "n"),
    "Gt": (
        [node("n", labels={"x": "3"}), node("m", labels={"x": "7"})],
        [],
        pod("p", **select(("x", "Gt", ["5"]))),
        "m",
    ),
    "by name": ([node("n"), node("m")], [], pod("p", **select(fields=(("metadata.name", "In", ["m"]),))), "m"),
    "by name, full": (
        [node("n"), node("m", cpu="1"), node("o")],
        [],
        pod("p", "2", **select(fields=(("metadata.name", "In", ["m"]),))),
        "1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity].",
    ),
    "port taken": (
        [node("n")],
        [pod("q", node="n", ports=[{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}])],
        pod("p", ports=[{"containerPort": 1, "hostPort": 80, "hostIP": "127.0.0.1", "protocol": "TCP"}]),
        "1 node(s) didn't have free ports for the requested pod ports.",
    ),
    "port of another protocol": (
        [node("n")],
        [pod("q", node="n", ports=[{"containerPort": 80, "hostPort": 80, "protocol": "UDP"}])],
        pod("p", ports=[{"containerPort": 1, "hostPort": 80, "protocol": "TCP"}]),
        "n",
    ),
    "several shortages": (
        [node("n", cpu="1", memory="1Gi", pods="1"), node("m", cpu="1")],
        [pod("q", node="n")],
        pod("p", "2", "2Gi"),
        "1 Insufficient memory, 1 Too many pods, 2 Insufficient cpu.",
    ),
    "extended resource": (
        [node("n"), node("m", **{"example.com/gpu": "1"})],
        [pod("q", node="m", requests={"example.com/gpu": "1"})],
        pod("p", requests={"example.com/gpu": "1"}),
        "2 Insufficient example.com/gpu.",
    ),
    "init container counts": (
        [node("n", cpu="1")],
        [],
        pod("p", "100m", initContainers=[{"name": "i", "resources": {"requests": {"cpu": "2"}}}]),
        "1 Insufficient cpu.",
    ),
    "overhead counts": ([node("n", cpu="1")], [], pod("p", "900m", overhead={"cpu": "200m"}), "1 Insufficient cpu."),
    "least allocated": ([node("n"), node("m")], [pod("q", "2", "2Gi", node="n")], pod("p", "1", "1Gi"), "m"),
    "image locality": (
        [node("n"), node("m", images=[{"names": ["img:latest"], "sizeBytes": 900 << 20}])],
        [],
        pod("p"),
        "m",
    ),
    "affinity": (
        [node("n", **A), node("m", **B)],
        [pod("q", node="m", **APP)],
        pod("p", **affinity("podAffinity", [near("a")])),
        "m",
    ),
    "affinity to none": (
        [node("n", **A)],
        [],
        pod("p", **affinity("podAffinity", [near("a")])),
        "1 node(s) didn't match pod affinity rules.",
    ),
    "affinity to itself": ([node("n", **A)], [], pod("p", **APP, **affinity("podAffinity", [near("a")])), "n"),
    "affinity in another namespace": (
        [node("n", **A)],
        [pod("q", node="n", namespace="other", **APP)],
        pod("p", **affinity("podAffinity", [near("a", namespaces=["other"])])),
        "n",
    ),
    "anti-affinity": (
        [node("n", **A), node("m", **A)],
        [pod("q", node="m", **APP)],
        pod("p", **affinity("podAntiAffinity", [near("a")])),
        "2 node(s) didn't match pod anti-affinity rules.",
    ),
    "anti-affinity of others": (
        [node("n", **A), node("m")],
        [pod("q", node="n", **affinity("podAntiAffinity", [near("a")]))],
        pod("p", **APP),
        "m",
    ),
    "anti-affinity of others, everywhere": (
        [node("n", **A)],
        [pod("q", node="n", **affinity("podAntiAffinity", [near("a")]))],
        pod("p", **APP),
        "1 node(s) didn't satisfy existing pods anti-affinity rules.",
    ),
    "preferred affinity": (
        [node("n", **A), node("m", **B)],
        [pod("q", node="m", **APP)],
        pod("p", "1", "1Gi", **affinity("podAffinity", [{"weight": 100, "podAffinityTerm": near("a")}], True)),
        "m",
    ),
    "spread": (
        [node("n", **A), node("m", **B)],
        [pod("q", node="n", **APP)],
        pod("p", **APP, **spread()),
        "m",
    ),
    "spread, nowhere": (
        [node("n", **A), node("m", cpu="0", **B), node("o")],
        [pod("q", node="n", **APP)],
        pod("p", "1", **APP, **spread()),
        "1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) didn't match pod topology spread constraints (missing required label).",
    ),
    "spread, terminating pods do not count": (
        [node("n", **A), node("m", cpu="0", **B)],
        [pod("q", node="n", deleted=True, **APP)],
        pod("p", "1", **APP, **spread()),
        "n",
    ),
    "too few domains": (
        [node("n", **A)],
        [pod("q", node="n", **APP)],
        pod("p", **APP, **spread(minDomains=2)),
        "1 node(s) didn't match pod topology spread constraints.",
    ),
    "tainted domain counts": (
        [node("n", **A), node("m", taints=[TAINT], **B)],
        [pod("q", node="n", **APP)],
        pod("p", **APP, **spread()),
        "1 node(s) didn't match pod topology spread constraints, 1 node(s) had untolerated taint(s).",
    ),
    "tainted domain left out": (
        [node("n", **A), node("m", taints=[TAINT], **B)],
        [pod("q", node="n", **APP)],
        pod("p", **APP, **spread(nodeTaintsPolicy="Honor")),
        "n",
    ),
    "spread softly": (
        [node("n", **A), node("m", **B)],
        [pod("q", node="n", **APP)],
        pod("p", "1", "1Gi", **APP, **spread(when="ScheduleAnyway")),
        "m",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_where_a_pod_goes(name: str) -> None:
    nodes, pods, info, expected = CASES[name]
    assert outcome(cluster(*nodes, pods=tuple(pods)), info) == expected


def test_no_nodes() -> None:
    decision = place(Snapshot(), pod("p"))
    assert decision.diagnosis is not None and decision.diagnosis.message == "no nodes available to schedule pods"


def test_replicas_are_spread_over_hosts_without_asking() -> None:
    owner = from_tree(
        REPLICASET, {"metadata": {"name": "r"}, "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": {}}}
    )
    pods = (pod("q", "10m", "10Mi", node="n", **APP), pod("x", "20m", "20Mi", node="m"))
    snapshot = cluster(node("n"), node("m"), pods=pods)
    assert outcome(snapshot, pod("p", "10m", "10Mi", **APP)) == "n"
    snapshot.workloads.set_owner("ReplicaSet", "default", "r", owner)
    assert outcome(snapshot, pod("p", "10m", "10Mi", owner={"name": "r"}, **APP)) == "m"


def claim(name: str, volume: str = "", of: str = "c", **spec: Any) -> Any:
    annotations = {"pv.kubernetes.io/bind-completed": "yes"} if volume else {}
    body = {"storageClassName": of, "resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
    meta = {"name": name, "namespace": "default", "uid": name, "annotations": annotations}
    return from_tree(CLAIM, {"metadata": meta, "spec": {**body, "volumeName": volume, **spec}})


def volume(name: str, on: str = "", size: str = "1Gi", **more: Any) -> Any:
    spec: dict[str, Any] = {"storageClassName": "c", "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"]}
    if on:
        expression = {"key": HOST, "operator": "In", "values": [on]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    spec.update(more.pop("spec", {}))
    meta = {"name": name, **more}
    return from_tree(VOLUME, {"metadata": meta, "spec": spec, "status": {"phase": "Available"}})


def storage_class(provisioner: str = "kubernetes.io/no-provisioner", mode: str = "WaitForFirstConsumer") -> Any:
    return from_tree(CLASS, {"metadata": {"name": "c"}, "provisioner": provisioner, "volumeBindingMode": mode})


VOLUME_CASES: dict[str, tuple[list[Any], list[Any], Any, str]] = {
    "missing": ([], [], None, 'persistentvolumeclaim "d" not found.'),
    "immediate": (
        [claim("d")],
        [],
        storage_class(mode="Immediate"),
        "pod has unbound immediate PersistentVolumeClaims.",
    ),
    "bound elsewhere": ([claim("d", "v")], [volume("v", "m")], None, "m"),
    "volume is gone": (
        [claim("d", "v")],
        [],
        None,
        'persistentvolume "v" not found.',
    ),
    "affinity": (
        [claim("d", "v")],
        [volume("v", "x")],
        None,
        "2 node(s) didn't match PersistentVolume's node affinity.",
    ),
    "waits, found": ([claim("d")], [volume("v", "m")], storage_class(), "m"),
    "waits, too small": (
        [claim("d")],
        [volume("v", "m", "1Mi")],
        storage_class(),
        "2 node(s) didn't find available persistent volumes to bind.",
    ),
    "waits, made": ([claim("d")], [], storage_class("example.com/x"), "n"),
    "zone": (
        [claim("d", "v")],
        [volume("v", labels={ZONE: "q"})],
        None,
        "2 node(s) had no available volume zone.",
    ),
}


@pytest.mark.parametrize("name", VOLUME_CASES)
def test_volumes(name: str) -> None:
    claims, volumes, made, expected = VOLUME_CASES[name]
    snapshot = cluster(node("n", **A), node("m", **B))
    for each in claims:
        snapshot.storage.claims[("default", each.metadata.name)] = each
    for each in volumes:
        snapshot.storage.volumes[each.metadata.name] = each
    if made is not None:
        snapshot.storage.classes["c"] = made
    info = pod("p", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}])
    assert outcome(snapshot, info) == expected


def test_only_one_pod_has_a_claim_that_says_so() -> None:
    uses = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]}
    snapshot = cluster(node("n"), pods=(pod("q", node="n", **uses),))
    snapshot.storage.claims[("default", "d")] = claim("d", "v", accessModes=["ReadWriteOncePod"])
    snapshot.storage.volumes["v"] = volume("v")
    assert "ReadWriteOncePod" in outcome(snapshot, pod("p", **uses))


def test_a_driver_takes_only_so_many_volumes() -> None:
    def uses(name: str) -> dict[str, Any]:
        return {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": name}}]}

    snapshot = cluster(node("n"), pods=(pod("q", node="n", **uses("d1")),))
    driver = {"name": "x", "nodeID": "n", "topologyKeys": [], "allocatable": {"count": 1}}
    snapshot.storage.csi_nodes["n"] = from_tree(CSI_NODE, {"metadata": {"name": "n"}, "spec": {"drivers": [driver]}})
    for i in ("1", "2"):
        snapshot.storage.claims[("default", f"d{i}")] = claim(f"d{i}", f"v{i}")
        snapshot.storage.volumes[f"v{i}"] = volume(f"v{i}", spec={"csi": {"driver": "x", "volumeHandle": i}})
    assert outcome(snapshot, pod("p", **uses("d2"))) == "1 node(s) exceed max volume count."
    assert outcome(snapshot, pod("p", **uses("d1"))) == "n"


def test_every_plugin_is_in_the_list() -> None:
    files = {p.stem for p in Path(plugins.__file__).parent.glob("*.py")} - {"__init__"}
    assert {p.name.lower() for p in plugins.PLUGINS} == files
