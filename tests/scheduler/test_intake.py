"""Pods that run are not kept: an intake that asks for them anew counts as one that keeps them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from pelamis.api.codec import from_tree
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.scheduler.intake import Intake
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.profile import Settings
from pelamis.scheduler.queue import Queue

from .make import cluster, node, pod_tree

PLUGINS = {p.name: p.plugins for p in Settings().profiles}
NODES = ("n0", "n1")
KEYS = [("default", f"p{i}") for i in range(6)]


def _intake(recall: Any = None) -> Intake:
    return Intake(cluster(*(node(n) for n in NODES)), Queue(PLUGINS), PLUGINS, recall)


def _shown(intake: Intake) -> Any:
    snapshot = intake.snapshot
    infos = {
        uid: (p.key, p.labels, p.bound, p.terminating, p.requests, p.start, p.node.name, p.pod.metadata.name)
        for uid, p in snapshot.pods.items()
    }
    waiting = [intake.queue.get(key) is not None for key in KEYS]
    return infos, {n: sorted(snapshot.by_name[n].pods) for n in NODES}, waiting


@pytest.mark.parametrize("seed", range(30))
def test_with_and_without_recall(seed: int) -> None:
    r = Random(seed)
    live: dict[tuple[str, str], Any] = {}
    trees: dict[str, dict[str, Any]] = {}
    both = _intake(lambda namespace, name: live.get((namespace, name))), _intake()
    for step in range(120):
        name = f"p{r.randrange(6)}"
        key = ("default", name)
        tree = trees.get(name)
        old = live.get(key)
        if tree is None:
            tree = trees[name] = pod_tree(name, r.choice(("100m", "200m")), labels={"a": r.choice("xy")})
            tree["metadata"]["uid"] = f"{name}-{step}"
        else:
            choice = r.randrange(6)
            if choice == 0:
                del trees[name]
                live.pop(key)
                for intake in both:
                    intake.pod(key, old, None, float(step))
                continue
            if choice == 1:
                tree["metadata"]["labels"] = {"a": r.choice("xy")}
            elif choice == 2 and "nodeName" not in tree["spec"]:
                tree["spec"]["nodeName"] = r.choice(NODES)
                if r.random() < 0.7:  # as after a decision
                    where = tree["spec"]["nodeName"] if r.random() < 0.8 else NODES[0]
                    for intake in both:
                        intake.snapshot.add_pod(PodInfo(old), where)
            elif choice == 3:
                tree["spec"]["tolerations"] = [{"operator": "Exists"}] if r.random() < 0.5 else []
            elif choice == 4:
                tree["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            else:
                tree["status"] = {"phase": r.choice(("Running", "Succeeded")), "startTime": "2026-01-01T00:00:00Z"}
        new = live[key] = from_tree(POD, tree)
        for intake in both:
            intake.pod(key, old, new, float(step))
        assert _shown(both[0]) == _shown(both[1])
    for info in both[0].snapshot.pods.values():
        assert info._pod is None or not info.bound
        assert not info.bound or info.pod is live[info.key]


def test_a_pod_that_has_gone_meanwhile() -> None:
    info = PodInfo(from_tree(POD, pod_tree("p", labels={"a": "b"}, node="n0", priority=7)))
    cluster(node("n0"), pods=(info,))
    info.let_go(lambda namespace, name: None, info.key)
    shown = info.pod
    assert (shown.metadata.namespace, shown.metadata.name, shown.metadata.uid) == ("default", "p", "uid-p")
    assert (shown.metadata.labels, shown.spec.nodeName, shown.spec.priority) == ({"a": "b"}, "n0", 7)


def test_events_tell_of_the_version_that_was_there() -> None:
    live: dict[tuple[str, str], Any] = {}
    intake = _intake(lambda namespace, name: live.get((namespace, name)))
    told: list[Any] = []
    intake.queue.event = lambda event, now: told.append(event.old)  # type: ignore[method-assign]
    key, old = ("default", "p"), None
    for labels in ({"a": "b"}, {"a": "c"}, None):
        new = from_tree(POD, pod_tree("p", labels=labels, node="n0")) if labels else None
        live.pop(key, None)
        if new is not None:
            live[key] = new
        intake.pod(key, old, new, 0.0)
        if old is not None:
            assert told.pop().pod is old
        else:
            assert told.pop() is None
        old = new
