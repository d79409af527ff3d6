"""Scenario files: mistakes are told with what would be right; verdicts, faults and links do what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.client.types import Create, Patch, Update
from pelamis.sim.cluster import Cluster
from pelamis.sim.duration import clock, seconds, span
from pelamis.sim.faults import Rates
from pelamis.sim.loop import run
from pelamis.sim.play import simulate
from pelamis.sim.scenario import ScenarioError, parse

BASE = Path(".")
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        },
    },
}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("cluster: {nodes: 3}", "such as `for: 1h`"),
        ("{for: 1 hour}", "write 90s, 10m"),
        ("{for: 1h, nodes: 3}", '"nodes" is not known; there are name'),
        ("{for: 1h, cluster: {nodes: [{count: 2, cpus: 4}]}}", 'cluster.nodes[0]: "cpus" is not known'),
        ("{for: 1h, cluster: {nodes: [{name: a}, {name: a}]}}", 'two nodes called "a"'),
        ("{for: 1h, workloads: [nowhere.yaml]}", "paths start at the scenario file"),
        ("{for: 1h, workloads: [{kind: Pod}]}", "a manifest needs apiVersion and kind"),
        ("{for: 1h, timeline: [{nodeDown: a}]}", "timeline[0]: say when"),
        ("{for: 1h, timeline: [{at: 1m}]}", "a step does one thing: apply, delete"),
        ("{for: 1h, timeline: [{at: 2h, note: x}]}", "the scenario ends at 3600 s"),
        ("{for: 1h, timeline: [{at: 1m, scale: web, replicas: 3}]}", "such as deployment/web"),
        ("{for: 1h, timeline: [{at: 1m, scale: pod/web, replicas: 3}]}", "cannot be scaled"),
        ("{for: 1h, timeline: [{at: 1m, fault: {conflict: 1}}]}", "there are conflicts, refusals"),
        ("{for: 1h, timeline: [{at: 1m, crash: kubelet}]}", "for nodes there is nodeDown"),
        ("{for: 1h, expect: [{eventually: {count: pods}}]}", "say what it is compared with"),
        ("{for: 1h, expect: [{eventually: {count: frogs, is: 1}}]}", 'no kind or resource "frogs"'),
        ("{for: 1h, expect: [{always: 'pods.size() >'}]}", "does not compile"),
        ("{for: 1h, expect: [{always: 'pods.size()'}]}", "it must be true or false"),
        ("{for: 1h, expect: [{holds: 'true', until: 5m}]}", "it takes `at`"),
        ("{for: 1h, expect: [{always: 'true', at: 5m}]}", "it takes `from` and `until`"),
        ("{for: 1h, expect: [{eventually: 'true', from: 50m, within: 20m}]}", "is not within the scenario"),
        ("[]", "a mapping is wanted"),
    ],
)
def test_mistakes_are_told_with_what_would_be_right(text: str, hint: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        tree = yaml.safe_load(text)
        if not isinstance(tree, dict):
            raise ScenarioError("a mapping is wanted")
        parse(tree, BASE)
    assert hint in str(caught.value)


def outcome(expect: list[Any], *timeline: Any, **more: Any) -> list[bool | None]:
    tree = {"for": "10m", "cluster": {"nodes": 2}, "workloads": [WEB], "timeline": list(timeline), "expect": expect}
    result = simulate(parse({**tree, **more}, BASE))
    return [v.held for v in result.verdicts] + [not result.problems]


def test_verdicts() -> None:
    ready = {"count": "pods", "where": "ready", "is": 2}
    expect = [
        {"eventually": ready, "within": "10s"},
        {"eventually": {"count": "pods", "is": 9}},
        {"always": {"count": "pods", "atMost": 2}},
        {"always": ready},
        {"never": "pods.exists(p, p.status.phase == 'Failed')"},
        {"never": ready},
        {"at": "5m", "holds": {"all": [ready, {"not": {"count": "pods", "is": 0}}]}},
        {"at": "5m", "holds": {"object": "deployment/web", "field": ".status.readyReplicas", "in": [1, 2]}},
        {"at": "9m", "holds": {"object": "deployment/web", "field": "{.spec.replicas}", "is": 1}},
        {"object": "deployment/gone", "exists": False},
        {"settled": True},
    ]
    step = {"at": "8m", "scale": "deployment/web", "replicas": 1}
    held = outcome(expect, step)
    assert held == [True, False, True, False, True, False, True, True, True, True, True, True]


def test_steps_that_are_refused() -> None:
    wrong = {"at": "1m", "patch": "deployment/web", "with": {"spec": {"replicas": -1}}}
    assert outcome([], wrong) == [False]
    assert outcome([], {**wrong, "refused": True}) == [True]
    right = {"at": "1m", "scale": "deployment/web", "replicas": 3, "refused": True}
    assert outcome([], right) == [False]


def test_faults_heal() -> None:
    steps = [
        {"at": "1m", "fault": {"conflicts": 0.3, "refusals": 0.2, "lostAnswers": 0.1, "lag": "2s"}, "for": "3m"},
        {"at": "2m", "loseWatches": "all", "for": "20s"},
        {"at": "2m30s", "image": "deployment/web", "to": "web:2"},
        {"at": "3m", "crash": "server", "for": "30s"},
        {"at": "4m", "crash": "scheduler"},
        {"at": "5m", "clockStep": "-1m"},
    ]
    new = {"count": "pods", "where": "object.spec.containers[0].image == 'web:2'", "is": 2}
    assert outcome([{"holds": new}, {"settled": True}], *steps) == [True, True, True]


def test_drain_asks_until_the_budget_allows() -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    steps = [{"at": "1m", "cordon": "node-2"}, {"at": "2m", "uncordon": "node-2"}, {"at": "3m", "drain": "node-1"}]
    expect = [
        {"always": {"count": "pods", "where": "ready", "atLeast": 1}, "from": "1m"},
        {"spread": "pods", "where": "ready", "is": [2]},
    ]
    assert outcome(expect, *steps, workloads=[WEB, budget]) == [True, True, True]


def test_a_link_with_faults() -> None:
    async def main() -> None:
        async with Cluster(nodes=0, mirror=True, run_controllers=(), run_scheduler=False) as cluster:
            link = cluster._link(cluster.admin._user, "controllers")
            view = link.view(CONFIGMAP, namespace="default")
            made = Create(CONFIGMAP, {"metadata": {"name": "a", "namespace": "default"}, "data": {"x": "1"}})
            (done,) = await link.commit([made])
            assert view.get("default", "a") is None, "a mirror is never ahead of its stream"
            reached: list[bool] = []
            view.when_reached(done.rev, lambda: reached.append(True))
            await cluster.run(0.1)
            assert reached and view.get("default", "a").data == {"x": "1"}

            cluster.faults.set(Rates(conflict=1.0), ("controllers",))
            (refused,) = await link.commit([Update(CONFIGMAP, done.obj)])
            assert refused.error is not None and refused.error.reason == "Conflict"
            (fine,) = await link.commit([Patch(CONFIGMAP, "default", "a", {"data": {"x": "2"}})])
            assert fine.error is None, "without a revision there is no conflict"
            cluster.faults.set(Rates(lose_answer=1.0), ("controllers",))
            with pytest.raises(OSError):
                await link.commit([Patch(CONFIGMAP, "default", "a", {"data": {"x": "3"}})])
            assert cluster.get(CONFIGMAP, "default", "a").data["x"] == "3"
            cluster.faults.clear()
            await cluster.run(0.1)

            seen: list[str] = []
            view.subscribe(lambda key, old, new: seen.append(new.data["x"]), replay=False)
            cluster.lose_watches("controllers", 10.0)
            for value in ("4", "5", "6"):
                await cluster.do(Patch(CONFIGMAP, "default", "a", {"data": {"x": value}}))
            await cluster.run(5)
            assert seen == [] and view.get("default", "a").data["x"] == "3"
            await cluster.run(6)
            assert seen == ["6"], "a new list shows where things are, not what happened"

            cluster.faults.set(Rates(lag_s=5.0), ("controllers",))
            await cluster.do(Patch(CONFIGMAP, "default", "a", {"data": {"x": "7"}}))
            await cluster.run(0.0)
            assert seen == ["6"]
            await cluster.run(5)
            assert seen == ["6", "7"]

    run(main())


def test_the_server_goes_and_comes_back_with_what_it_stored() -> None:
    async def main() -> None:
        async with Cluster(seed=3, nodes=2, mirror=True) as cluster:
            await cluster.run(30)
            await cluster.apply(WEB)
            assert await cluster.until(lambda: len(cluster.pods()) == 2, 30)
            await cluster.crash("server", 60)
            with pytest.raises(OSError):
                await cluster.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"replicas": 3}}))
            await cluster.run(61)
            assert cluster.get(DEPLOYMENT, "default", "web").spec.replicas == 2
            await cluster.do(Patch(DEPLOYMENT, "default", "web", {"spec": {"replicas": 3}}))
            await cluster.run(30)
            phases = [p.status.phase for p in cluster.objects(POD)]
            assert phases == ["Running"] * 3
            assert len(cluster.ready_nodes()) == 2

    run(main())


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("1h30m", 5400), ("2d", 172800), ("-5m", -300), (7, 7), ("1y", 31536000)]
)
def test_durations(text: Any, value: float) -> None:
    assert seconds(text) == value


def test_durations_shown() -> None:
    assert [clock(0), clock(3661), clock(90061)] == ["0:00:00", "1:01:01", "1d 01:01:01"]
    assert [span(0.5), span(90), span(86400 * 400)] == ["0.5 s", "1m 30s", "1y 35d"]
    with pytest.raises(ValueError, match="no span"):
        seconds("soon")
