"""Decisions with what is kept of like pods, beside those that work everything out anew, while the cluster changes."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest

from pelamis.api.codec import from_tree
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.storage.volumeattachment import KIND as ATTACHMENT
from pelamis.scheduler import core
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Snapshot

from .twin import draws
from .twin.basics import Tree
from .twin.world import World, info_of


def _reference(snapshot: Snapshot, info: PodInfo, at: float) -> tuple[str, dict[str, int]]:
    found, why = core.find(snapshot, PLUGINS, info)
    if not len(found):
        return "", why.reasons
    return core.choose(snapshot, PLUGINS, info, found, draw=lambda: at).node, {}


def _named(template: Tree, name: str) -> PodInfo:
    meta = {**template["metadata"], "name": name, "uid": f"uid-{name}"}
    return info_of({**template, "metadata": meta})


def _change(r: Random, snapshot: Snapshot, world: World, number: int) -> None:
    """Something else happens: pods go, nodes come, change and go, namespaces get other labels."""
    what = r.random()
    if what < 0.35 and snapshot.pods:
        for uid in r.sample(sorted(snapshot.pods), min(3, len(snapshot.pods))):
            snapshot.remove_pod(uid)
    elif what < 0.5:
        snapshot.set_node(from_tree(NODE, draws.node(r, r.randrange(20))))
    elif what < 0.56 and snapshot.size > 2:
        snapshot.remove_node(r.choice(snapshot.nodes).name)
    elif what < 0.62:
        snapshot.set_namespace(r.choice(draws.NAMESPACES), {"team": r.choice("xy")})
    elif what < 0.7:
        waiting: Any = info_of(draws.pod(r, f"w{number}", World(nodes=[{}] * 9), volumes=0))
        snapshot.nominate(waiting, r.choice(snapshot.nodes).name)
    elif what < 0.8 and world.volumes:
        _change_storage(r, snapshot, world, number)
    elif what < 0.85:
        for pods in list(snapshot.nominated.values()):
            for uid in list(pods):
                snapshot.denominate(uid)


def _change_storage(r: Random, snapshot: Snapshot, world: World, number: int) -> None:
    """Volumes come, go, are promised and bound; claims and attachments follow."""
    storage = snapshot.storage
    name = r.choice(sorted(world.volumes))
    tree = {**world.volumes[name], "metadata": {**world.volumes[name]["metadata"], "labels": {"tier": r.choice("xy")}}}
    what = r.random()
    if what < 0.2:
        storage.volumes.pop(name, None)
    elif what < 0.5:
        storage.volumes[name] = from_tree(VOLUME, tree)
    elif what < 0.6 and name in storage.volumes and world.claims:
        storage.assumed[name] = r.choice(sorted(world.claims))
    elif what < 0.7 and storage.assumed:
        del storage.assumed[r.choice(sorted(storage.assumed))]
    elif what < 0.8 and storage.assumed:
        storage.settle(storage.assumed[r.choice(sorted(storage.assumed))])
    elif what < 0.9 and world.claims:
        key = r.choice(sorted(world.claims))
        claim = world.claims[key]
        spec = {**claim["spec"], "volumeName": name}
        storage.claims[key] = from_tree(CLAIM, {**claim, "spec": spec} if r.random() < 0.5 else claim)
    else:
        spec = {"attacher": "a", "nodeName": f"n{r.randrange(9)}", "source": {"persistentVolumeName": name}}
        tree = {"metadata": {"name": f"a{number % 3}"}, "spec": spec}
        storage.attachments[f"a{number % 3}"] = from_tree(ATTACHMENT, tree)


def _play(seed: int, steps: int) -> None:
    r = Random(seed)
    world = draws.world(r)
    snapshot = world.snapshot()
    templates = [draws.pod(r, f"t{i}", world, volumes=0.6) for i in range(4)]
    for step in range(steps):
        info = _named(r.choice(templates), f"p{step}")
        at = r.random()
        anew = Snapshot() if step % 5 else _copy(snapshot)  # now and then nothing at all is known beforehand
        wanted, reasons = _reference(anew if anew.size else snapshot, _named(info_tree(info), info.key[1]), at)
        found = core.decide(snapshot, PLUGINS, info, draw=lambda at=at: at)  # type: ignore[misc]
        assert found.node == wanted, (seed, step)
        if not wanted:
            assert found.diagnosis is not None
            assert found.diagnosis.reasons == reasons
        else:
            snapshot.add_pod(info, wanted)
        if r.random() < 0.4:
            _change(r, snapshot, world, step)


def _copy(snapshot: Snapshot) -> Snapshot:
    """The same cluster, with its rows in the same order."""
    out = Snapshot()
    out.workloads = snapshot.workloads
    for name, labels in snapshot.namespace_labels.items():
        out.set_namespace(name, labels)
    for table in ("classes", "csi_nodes", "volumes", "claims", "attachments", "assumed", "drivers", "capacities"):
        getattr(out.storage, table).update(getattr(snapshot.storage, table))
    for node in snapshot.nodes:
        out.set_node(node.node)
    for info in snapshot.pods.values():
        if info.node is not None:
            out.add_pod(PodInfo(info.pod), info.node.name)
    for name, pods in snapshot.nominated.items():
        for waiting in pods.values():
            out.nominate(PodInfo(waiting.pod), name)
    return out


def info_tree(info: PodInfo) -> Tree:
    """The pod as a tree again, so that the reference shares nothing with it."""
    tree: Tree = msgspec.json.decode(msgspec.json.encode(info.pod))
    return tree


@pytest.mark.parametrize("seed", range(40))
def test_same_decisions(seed: int) -> None:
    _play(seed, 40)


def test_a_pod_of_a_template_costs_only_changed_rows() -> None:
    """The filters that are kept see all rows once, then those that have changed; also where only labels differ."""
    seen: list[int] = []
    fit = next(p for p in PLUGINS if p.name == "NodeResourcesFit")

    def counting(snapshot: Snapshot, info: PodInfo, rows: Any) -> Any:
        seen.append(snapshot.size if isinstance(rows, slice) else len(rows))
        assert fit.filter is not None
        return fit.filter(snapshot, info, rows)

    plugins = tuple(replace(p.by_arrays, filter=counting) if p is fit else p for p in PLUGINS)
    r = Random(1)
    snapshot = Snapshot()
    for i in range(100):
        snapshot.set_node(from_tree(NODE, draws.node(r, i)))
    template = {
        "metadata": {"name": "t", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    for i in range(5):
        info = _named({**template, "metadata": {**template["metadata"], "labels": {"app": "ab"[i % 2]}}}, f"p{i}")
        snapshot.add_pod(info, core.decide(snapshot, plugins, info, draw=lambda: 0.0).node)
    assert seen == [100, 1, 1, 1, 1]
