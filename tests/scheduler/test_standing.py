"""Plain pods of a few templates, decided by what is kept of their rows' standing, beside decisions made anew."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.codec import from_tree
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.service import KIND as SERVICE
from pelamis.scheduler import core
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot
from pelamis.scheduler.standing import Standing

from .twin.basics import Tree
from .twin.world import info_of

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def _node(r: Random, i: int, zones: str) -> Tree:
    labels = {HOST: f"n{i}"}
    if zones and r.random() < (0.8 if "?" in zones else 1.0):
        labels[ZONE] = r.choice(zones.strip("?"))
    amounts = {"cpu": r.choice(("1", "2")), "memory": r.choice(("2Gi", "3Gi")), "pods": r.choice(("5", "110"))}
    spec = {"taints": [{"key": "k", "effect": r.choice(("NoSchedule", "NoExecute"))}]} if r.random() < 0.1 else {}
    return {"metadata": {"name": f"n{i}", "labels": labels}, "spec": spec, "status": {"allocatable": amounts}}


def _template(r: Random, app: str, zones: str) -> Tree:
    requests = r.choice(({}, {"cpu": "50m"}, {"cpu": "100m", "memory": "100Mi"}, {"memory": "300Mi"}))
    meta: Tree = {"name": "t", "namespace": "default", "labels": {"app": app}}
    if r.random() < 0.7:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"rs-{app}", "uid": "u", "controller": True}
        meta["ownerReferences"] = [owner]
    container: Tree = {"name": "c", "image": "i", "resources": {"requests": requests}}
    if r.random() < 0.1:
        container["ports"] = [{"containerPort": 80, "hostPort": 80}]
    spec: Tree = {"containers": [container]}
    if r.random() < 0.3:
        keys = r.sample((HOST, ZONE) if zones and "?" not in zones else (HOST,), 1)
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": r.randint(1, 3),
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": app}},
            }
            for key in keys
        ]
    return {"metadata": meta, "spec": spec}


def _set_owner(snapshot: Snapshot, app: str, selector: dict[str, str]) -> None:
    tree = {"metadata": {"name": f"rs-{app}"}, "spec": {"selector": {"matchLabels": selector}, "template": {}}}
    snapshot.workloads.set_owner("ReplicaSet", "default", f"rs-{app}", from_tree(REPLICASET, tree))


def _change(r: Random, snapshot: Snapshot, zones: str) -> None:
    what = r.random()
    if what < 0.5 and snapshot.pods:
        for uid in r.sample(sorted(snapshot.pods), min(r.choice((1, 1, 2, 12)), len(snapshot.pods))):
            snapshot.remove_pod(uid)
    elif what < 0.6:
        snapshot.set_node(from_tree(NODE, _node(r, r.randrange(40), zones)))
    elif what < 0.65 and snapshot.size > 2:
        snapshot.remove_node(r.choice(snapshot.nodes).name)
    elif what < 0.75:
        app = r.choice("ab")
        _set_owner(snapshot, app, r.choice(({"app": app}, {"app": "a"}, {"app": app, "v": "1"})))
    elif what < 0.8:
        tree = {"metadata": {"name": "s"}, "spec": {"selector": {"app": r.choice("abc")}}}
        snapshot.workloads.set_service("default", "s", from_tree(SERVICE, tree) if r.random() < 0.7 else None)
    elif what < 0.85:
        for key in list(snapshot._counters)[:2]:
            snapshot._drop(key)


def _play(seed: int, steps: int, seen: list[Any]) -> None:
    r = Random(seed)
    zones = r.choice(("", "ab", "abc", "ab?"))
    snapshot = Snapshot()
    for i in range(r.choice((3, 12, 40))):
        snapshot.set_node(from_tree(NODE, _node(r, i, zones)))
    for app in "ab":
        _set_owner(snapshot, app, {"app": app})
    templates = [_template(r, app, zones) for app in "aab"]
    for step in range(steps):
        template = r.choice(templates)
        tree = {**template, "metadata": {**template["metadata"], "name": f"p{step}", "uid": f"uid-p{step}"}}
        info, at = info_of(tree), r.random()
        found, _ = core.find(snapshot, PLUGINS, info)
        wanted = core.choose(snapshot, PLUGINS, info, found, draw=lambda: at).node if len(found) else ""  # noqa: B023
        info = info_of(msgspec.json.decode(msgspec.json.encode(tree)))
        assert core.decide(snapshot, PLUGINS, info, draw=lambda: at).node == wanted, (seed, step)  # noqa: B023
        seen.append(wanted)
        if wanted:
            snapshot.add_pod(PodInfo(info.pod) if r.random() < 0.5 else info, wanted)
        if r.random() < 0.2:
            _change(r, snapshot, zones)


def test_same_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """And most of them are made without arrays of scores."""
    short: list[int] = []
    choose = Standing.choose

    def counting(self: Standing, *args: Any) -> int:
        row = choose(self, *args)
        short.append(row)
        return row

    monkeypatch.setattr(Standing, "choose", counting)
    seen: list[Any] = []
    for seed in range(40):
        _play(seed, 60, seen)
    assert len(short) > 0.8 * sum(map(bool, seen)) > 500


def test_an_owners_status_changes_no_selection() -> None:
    snapshot = Snapshot()
    _set_owner(snapshot, "a", {"app": "a"})
    version = snapshot.workloads.version
    _set_owner(snapshot, "a", {"app": "a"})
    assert snapshot.workloads.version == version
    _set_owner(snapshot, "a", {"app": "b"})
    assert snapshot.workloads.version > version
