"""KubeSchedulerConfiguration: what is refused and with which words, how plugins merge, plugins in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pelamis.scheduler import args as a
from pelamis.scheduler.config import API_VERSION, KIND, ConfigError, read, seconds
from pelamis.scheduler.core import decide
from pelamis.scheduler.extension import Plugin, Rejection
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.profile import Profile, Settings, load, settings
from pelamis.scheduler.userplugin import PluginError, guarded

from .make import cluster, node, pod

HEAD = f"apiVersion: {API_VERSION}\nkind: {KIND}\n"
EXAMPLES = Path(__file__).parents[2] / "examples" / "scheduler"


def made(body: str = "") -> Settings:
    return settings(read(HEAD + body), lambda name: pytest.fail(f"{name} is loaded"))


def profile(plugins: str, more: str = "") -> Profile:
    (one,) = made(f"profiles: [{{plugins: {{{plugins}}}{more}}}]").profiles
    return one


def problems(body: str, head: str = HEAD) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings(read(head + body), lambda name: pytest.fail(f"{name} is loaded"))
    return list(caught.value.problems)


def args_of(name: str, body: str) -> str:
    return f"profiles: [{{pluginConfig: [{{name: {name}, args: {{{body}}}}}]}}]"


AT = "profiles[0].pluginConfig[0].args"
REFUSED: dict[str, tuple[str, str]] = {
    "backoff": ("podInitialBackoffSeconds: 0", "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
    "max": (
        "podMaxBackoffSeconds: 0",
        "podMaxBackoffSeconds: Invalid value: 0: must be greater than or equal to PodInitialBackoffSeconds",
    ),
    "parallelism": (
        "parallelism: -1",
        "parallelism: Invalid value: -1: should be an integer value greater than zero",
    ),
    "percentage": (
        "percentageOfNodesToScore: 101",
        "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]",
    ),
    "names": ("profiles: [{}, {schedulerName: a}]", "profiles[0].schedulerName: Required value"),
    "twice": (
        "profiles: [{schedulerName: a}, {schedulerName: a}]",
        'profiles[1].schedulerName: Duplicate value: "profiles[0].schedulerName"',
    ),
    "unknown field": (
        "profiles: [{shedulerName: a}]",
        'strict decoding error: unknown field "profiles[0].shedulerName" (did you mean schedulerName?)',
    ),
    "type": ("parallelism: many", "parallelism: expected `int`, got `str`"),
    "lock": (
        "leaderElection: {resourceLock: endpoints}",
        'leaderElection.resourceLock: Invalid value: "endpoints": resourceLock value must be "leases"',
    ),
    "removed": (
        "profiles: [{plugins: {filter: {enabled: [{name: EBSLimits}]}}}]",
        'profiles[0].plugins.filter.enabled[0]: Invalid value: "EBSLimits": was invalid in version "v1" '
        f'(KubeSchedulerConfiguration is version "{API_VERSION}")',
    ),
    "no such plugin": (
        "profiles: [{plugins: {score: {enabled: [{name: NodeResourceFit}]}}}]",
        'profiles[0].plugins.score.enabled[0]: ScorePlugin "NodeResourceFit" does not exist; '
        "did you mean NodeResourcesFit?",
    ),
    "wrong point": (
        "profiles: [{plugins: {score: {enabled: [{name: NodeName}]}}}]",
        "profiles[0].plugins.score.enabled[0]: plugin NodeName does not extend ScorePlugin; it has filter",
    ),
    "registered twice": (
        "profiles: [{plugins: {filter: {enabled: [{name: NodeName}, {name: NodeName}]}}}]",
        'profiles[0].plugins.filter.enabled[1]: plugin "NodeName" already registered as "NodeName"',
    ),
    "no binder": (
        "profiles: [{plugins: {bind: {disabled: [{name: '*'}]}}}]",
        'profiles[0]: at least one bind plugin is needed for profile with scheduler name "default-scheduler"',
    ),
    "no sort": (
        "profiles: [{plugins: {queueSort: {disabled: [{name: PrioritySort}]}}}]",
        "profiles[0]: only one queue sort plugin required for profile with scheduler name "
        '"default-scheduler", but got 0',
    ),
    "strategy": (
        args_of("NodeResourcesFit", "scoringStrategy: {type: Best}"),
        f'{AT}.scoringStrategy.type: Unsupported value: "Best": supported values: "LeastAllocated", '
        '"MostAllocated", "RequestedToCapacityRatio"',
    ),
    "shape": (
        args_of("NodeResourcesFit", "scoringStrategy: {type: RequestedToCapacityRatio}"),
        f"{AT}.scoringStrategy.requestedToCapacityRatio: Required value: "
        "must be specified when type is RequestedToCapacityRatio",
    ),
    "constraints": (
        args_of(
            "PodTopologySpread",
            "defaultConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}]",
        ),
        f'{AT}.defaultingType: Invalid value: "System": when .defaultConstraints are not empty',
    ),
    "hard weight": (
        args_of("InterPodAffinity", "hardPodAffinityWeight: 101"),
        f"{AT}.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]",
    ),
    "kind of args": (
        args_of("InterPodAffinity", "kind: NodeAffinityArgs"),
        f"{AT}: args for plugin InterPodAffinity were not of type InterPodAffinityArgs, got NodeAffinityArgs",
    ),
    "field of args": (
        args_of("InterPodAffinity", "hardWeight: 1"),
        f'strict decoding error: unknown field "{AT}.hardWeight" (did you mean hardPodAffinityWeight?)',
    ),
    "extender": (
        "extenders: [{urlPrefix: 'http://x', prioritizeVerb: p}]",
        "extenders[0].weight: Invalid value: 0: must have a positive weight applied to it",
    ),
    "binders": (
        "extenders: [{urlPrefix: 'http://x', bindVerb: b}, {urlPrefix: 'http://y', bindVerb: b}]",
        'extenders: Invalid value: "found 2 extenders implementing bind": only one extender can implement bind',
    ),
    "managed": (
        "extenders: [{urlPrefix: 'http://x', managedResources: [{name: cpu}]}]",
        'extenders[0].managedResources[0].name: Invalid value: "cpu": is an invalid extended resource name',
    ),
}


@pytest.mark.parametrize("body,expected", REFUSED.values(), ids=list(REFUSED))
def test_refused(body: str, expected: str) -> None:
    assert expected in problems(body)


def test_another_kind_is_told_how_to_begin() -> None:
    (text,) = problems("", "apiVersion: v1\nkind: Pod\n")
    assert f"apiVersion: {API_VERSION}" in text and 'no kind "Pod"' in text
    assert "already set in map" in problems("parallelism: 1\nparallelism: 2\n")[0]


def test_defaults() -> None:
    found = made()
    assert [p.name for p in found.profiles] == ["default-scheduler"]
    assert [p.name for p in found.profiles[0].plugins] == [p.name for p in PLUGINS]
    assert {p.name: p.weight for p in found.profiles[0].plugins if p.score} == {
        p.name: p.weight for p in PLUGINS if p.score
    }
    assert (found.initial_backoff_s, found.max_backoff_s) == (1.0, 10.0)


def order(point: str, one: Profile) -> list[str]:
    return [p.name for p in one.plugins if getattr(p, point)]


def test_plugins_merge_as_upstream() -> None:
    usual = order("filter", Profile())
    assert order("filter", profile("filter: {disabled: [{name: '*'}], enabled: [{name: NodePorts}]}")) == ["NodePorts"]
    first = order("filter", profile("filter: {enabled: [{name: VolumeZone}]}"))
    assert first == ["VolumeZone", *(n for n in usual if n != "VolumeZone")]
    one = profile("multiPoint: {disabled: [{name: NodeAffinity}]}")
    assert "NodeAffinity" not in order("filter", one) + order("score", one)
    few = "[{name: PrioritySort}, {name: DefaultBinder}, {name: NodeName}]"
    none = profile(f"multiPoint: {{disabled: [{{name: '*'}}], enabled: {few}}}")
    assert [p.name for p in none.plugins] == ["NodeName"] and none.preemption is None
    half = profile("score: {disabled: [{name: TaintToleration}]}")
    assert "TaintToleration" in order("filter", half) and "TaintToleration" not in order("score", half)


def test_weights() -> None:
    def weight(text: str) -> int:
        return next(p.weight for p in profile(text).plugins if p.name == "TaintToleration")

    assert weight("") == 3
    assert weight("multiPoint: {enabled: [{name: TaintToleration, weight: 7}]}") == 7
    assert weight("score: {enabled: [{name: TaintToleration, weight: 5}]}") == 5
    assert weight("score: {enabled: [{name: TaintToleration}]}") == 1


def test_args_reach_plugins() -> None:
    snapshot = cluster(node("full", cpu="4"), node("free", cpu="4"), pods=(pod("q", "2", "1Gi", node="full"),))
    text = args_of("NodeResourcesFit", "scoringStrategy: {type: MostAllocated}")
    (most,) = made(text).profiles
    assert decide(snapshot, most.plugins, pod("p", "1", "1Gi"), draw=lambda: 0.0).node == "full"
    assert decide(snapshot, PLUGINS, pod("p", "1", "1Gi"), draw=lambda: 0.0).node == "free"
    text = args_of("DefaultPreemption", "minCandidateNodesAbsolute: 5")
    assert made(text).profiles[0].preemption == a.DefaultPreemptionArgs(minCandidateNodesAbsolute=5)
    text = "extenders: [{urlPrefix: 'http://x', managedResources: [{name: a.b/c, ignoredByScheduler: true}]}]"
    found = decide(cluster(node("n")), made(text).profiles[0].plugins, pod("p", requests={"a.b/c": "1"}), draw=float)
    assert found.node == "n"


@pytest.mark.parametrize(
    "text,expected", [("5s", 5.0), ("1m30s", 90.0), ("100ms", 0.1), ("0", 0.0), ("5", None), ("s", None)]
)
def test_durations(text: str, expected: float | None) -> None:
    assert seconds(text) == (expected if expected is None else pytest.approx(expected))


# -- a user's own plugins


def test_the_example_keeps_racks_even() -> None:
    found = load(EXAMPLES / "config.yaml")
    packing = next(p for p in found.profiles if p.name == "packing")
    rack = next(p for p in packing.plugins if p.name == "Rack")
    assert rack.weight == 5
    nodes = [node(f"n{i}", labels={"example.com/rack": f"r{i % 2}"}) for i in range(4)]
    app = {"labels": {"app": "web"}}
    snapshot = cluster(*nodes, node("alone"), pods=(pod("q", node="n0", **app),))
    chosen = decide(snapshot, packing.plugins, pod("p", **app), draw=lambda: 0.0).node
    assert chosen in ("n1", "n3")
    nowhere = decide(cluster(node("alone")), packing.plugins, pod("p", **app), draw=lambda: 0.0)
    assert nowhere.diagnosis is not None and "1 node(s) were in no rack" in nowhere.diagnosis.text()


FILES: dict[str, tuple[str, str]] = {
    "missing": ("", "No such file"),
    "syntax": ("def plugin(args)\n", "line 1: SyntaxError"),
    "raises": ("import os\nx = 1 / 0\n", "line 2: ZeroDivisionError: division by zero"),
    "no function": ("x = 1\n", "it has no function `plugin(args)`"),
    "args": ("def plugin(args):\n    return args['label']\n", "plugin(args) fails: KeyError: 'label'"),
    "returns": ("def plugin(args):\n    return 5\n", "must return a pelamis.scheduler.extension.Plugin, not int"),
    "empty": (
        "from pelamis.scheduler.extension import Plugin\ndef plugin(args):\n    return Plugin('A')\n",
        "neither before nor filter nor score",
    ),
    "name": (
        "from pelamis.scheduler.extension import Plugin\n"
        "def plugin(args):\n    return Plugin('NodeName', filter=lambda *a: ())\n",
        "as one of the scheduler's own is",
    ),
}


@pytest.mark.parametrize("code,expected", FILES.values(), ids=list(FILES))
def test_files_that_cannot_be_used(tmp_path: Path, code: str, expected: str) -> None:
    (tmp_path / "config.yaml").write_text(HEAD + "profiles: [{plugins: {filter: {enabled: [{name: my.py}]}}}]")
    if code:
        (tmp_path / "my.py").write_text(code)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "config.yaml")
    assert expected in str(caught.value) and "my.py" in str(caught.value)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"filter": lambda *_: [Rejection(np.zeros(3, np.bool_), "r")]}, "each with a mask of 1 booleans"),
    ({"filter": lambda *_: 1 / 0}, 'running "W" filter plugin: ZeroDivisionError'),
    ({"score": lambda *_: [1]}, "it must return 1 integers"),
    ({"score": lambda *_: np.array([101])}, "returns an invalid score 101"),
    ({"before": lambda *_: "no"}, "not a Verdict or None"),
]


@pytest.mark.parametrize("functions,expected", WRONG)
def test_what_a_plugin_does_wrong_names_it(functions: dict[str, Any], expected: str) -> None:
    own = guarded(Plugin("W", weight=1, **functions))
    snapshot = cluster(node("n"))
    with pytest.raises(PluginError, match="W") as caught:
        for function in (own.filter, own.score):
            if function is not None:
                function(snapshot, pod("p"), slice(0, 1))
        if own.before is not None:
            own.before(snapshot, pod("p"))
    assert expected in str(caught.value)
