"""Scenario files: a cluster, what runs on it, what happens to it when, and what must hold.

``load`` reads and checks a file and raises ScenarioError, whose text says where the mistake is and what would be right;
``docs/simulator.md`` tells the format. Nothing is run here: see ``play``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pelamis.api.field import Tree
from pelamis.api.registry import Registry, builtin
from pelamis.base.clock import parse_rfc3339
from pelamis.kubelet.hollow.node import HollowNode
from pelamis.sim import condition
from pelamis.sim.condition import Condition, Mistake
from pelamis.sim.loop import EPOCH
from pelamis.sim.steps import VERBS, Step, make, span_of

MODES = ("holds", "eventually", "always", "never")
_NEEDS_NETWORK = frozenset(("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "APIService"))
_TOP = ("name", "description", "seed", "start", "cluster", "workloads", "timeline", "for", "expect")


class ScenarioError(Exception):
    """A mistake in a scenario file, in words for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Expect:
    """mode: holds (at one time), eventually (once in the window), always, never. start, end: seconds."""

    name: str
    mode: str
    condition: Condition
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    description: str
    seed: int
    start: float
    nodes: Sequence[HollowNode]
    workloads: Sequence[Tree]
    steps: Sequence[Step]
    for_s: float
    expects: Sequence[Expect]
    grace_s: float | None
    planes: int = 1
    path: str = ""

    @property
    def mirror(self) -> bool:
        """Some fault needs views that can lag, be cut off, or outlive the server."""
        return any(step.mirror for step in self.steps)


def load(path: Path) -> Scenario:
    try:
        documents = read_documents(path.read_text())
    except OSError as error:
        raise ScenarioError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{path} is not YAML: {error}") from None
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ScenarioError(f"{path}: a scenario is one YAML mapping with {', '.join(_TOP)}")
    try:
        return _Reader(path.parent).scenario(documents[0], str(path))
    except (Mistake, ValueError) as error:
        raise ScenarioError(f"{path}: {error}") from None


def parse(tree: Tree, base: Path) -> Scenario:
    """Of a tree that is already read. base: where files are looked for. Raises ScenarioError."""
    try:
        return _Reader(base).scenario(tree, "")
    except (Mistake, ValueError) as error:
        raise ScenarioError(str(error)) from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Time stamps stay texts."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def read_documents(text: str) -> list[Any]:
    return [d for d in yaml.load_all(text, _Loader) if d is not None]


class _Reader:
    def __init__(self, base: Path) -> None:
        self._base = base
        self._registry: Registry = builtin()

    def scenario(self, tree: Mapping[str, Any], path: str) -> Scenario:
        _only(tree, "the scenario", *_TOP)
        if "for" not in tree:
            raise Mistake("say how long it runs, such as `for: 1h`")
        for_s = span_of(tree["for"], "for")
        cluster = _mapping(tree.get("cluster") or {}, "cluster")
        _only(cluster, "cluster", "nodes", "nodeMonitorGrace", "controlPlanes")
        planes = _whole(cluster.get("controlPlanes", 1), "cluster.controlPlanes")
        steps = self._timeline(tree.get("timeline") or [], for_s)
        if planes < 2 and any(step.plane for step in steps):
            raise Mistake("what happens to one control plane needs several: `cluster: {controlPlanes: 3}`")
        grace = cluster.get("nodeMonitorGrace")
        return Scenario(
            name=str(tree.get("name") or Path(path).stem or "scenario"),
            description=str(tree.get("description") or "").strip(),
            seed=_whole(tree.get("seed", 0), "seed"),
            start=_time(tree["start"]) if "start" in tree else EPOCH,
            nodes=self._nodes(cluster.get("nodes", 3)),
            workloads=self._manifests(tree.get("workloads") or [], "workloads"),
            steps=steps,
            for_s=for_s,
            expects=self._expects(tree.get("expect") or [], for_s),
            grace_s=None if grace is None else span_of(grace, "cluster.nodeMonitorGrace"),
            planes=max(planes, 1),
            path=path,
        )

    # -- nodes

    def _nodes(self, value: Any) -> list[HollowNode]:
        if isinstance(value, int) and not isinstance(value, bool):
            return [HollowNode(f"node-{i + 1}") for i in range(value)]
        out: list[HollowNode] = []
        for i, group in enumerate(_list(value, "cluster.nodes")):
            out.extend(node_group(_mapping(group, f"cluster.nodes[{i}]"), f"cluster.nodes[{i}]", len(out)))
        names = [spec.name for spec in out]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise Mistake(f'cluster.nodes: there are two nodes called "{twice}"')
        return out

    # -- manifests

    def _manifests(self, value: Any, where: str) -> list[Tree]:
        out: list[Tree] = []
        for i, item in enumerate(value if isinstance(value, list) else [value]):
            place = f"{where}[{i}]" if isinstance(value, list) else where
            if isinstance(item, str):
                out.extend(self._file(item, place))
            else:
                out.extend(self._manifest(_mapping(item, place), place))
        return out

    def _file(self, name: str, where: str) -> list[Tree]:
        path = self._base / name
        try:
            documents = read_documents(path.read_text())
        except OSError as error:
            raise Mistake(f"{where}: cannot read {path}: {error.strerror} (paths start at the scenario file)") from None
        except yaml.YAMLError as error:
            raise Mistake(f"{where}: {path} is not YAML: {error}") from None
        return [t for d in documents for t in self._manifest(_mapping(d, f"{where} ({name})"), f"{where} ({name})")]

    def _manifest(self, tree: Mapping[str, Any], where: str) -> list[Tree]:
        if tree.get("kind") == "List":
            return [t for item in tree.get("items") or () for t in self._manifest(item, where)]
        if not tree.get("kind") or not tree.get("apiVersion"):
            raise Mistake(f"{where}: a manifest needs apiVersion and kind; a file is named by its path alone")
        if tree["kind"] in _NEEDS_NETWORK:
            raise Mistake(
                f"{where}: a {tree['kind']} calls a server over the network, which a simulation does not have"
            )
        return [dict(tree)]

    # -- timeline

    def _timeline(self, value: Any, for_s: float) -> list[Step]:
        out: list[Step] = []
        for i, item in enumerate(_list(value, "timeline")):
            where = f"timeline[{i}]"
            step = dict(_mapping(item, where))
            if "at" not in step:
                raise Mistake(f"{where}: say when, such as `at: 10m` (after the start)")
            at = span_of(step.pop("at"), f"{where}.at")
            every = step.pop("every", None)
            until = span_of(step.pop("until"), f"{where}.until") if "until" in step else for_s
            verbs = [v for v in VERBS if v in step]
            if len(verbs) != 1:
                raise Mistake(f"{where}: a step does one thing: {', '.join(VERBS)}; this one has {', '.join(step)}")
            if verbs[0] == "apply":
                step["apply"] = self._manifests(step["apply"], f"{where}.apply")
            try:
                times = [at]
                if every is not None:
                    gap = span_of(every, "every")
                    if gap <= 0:
                        raise Mistake("`every` must be longer than nothing")
                    while times[-1] + gap <= until:
                        times.append(times[-1] + gap)
                for time in times:
                    out.append(make(verbs[0], step, time, self._registry))
            except ValueError as error:
                raise Mistake(f"{where}: {error}") from None
            if at > for_s:
                raise Mistake(f"{where}: it would happen at {at:g} s, but the scenario ends at {for_s:g} s (`for`)")
        return sorted(out, key=lambda s: s.at)

    # -- expectations

    def _expects(self, value: Any, for_s: float) -> list[Expect]:
        out: list[Expect] = []
        for i, item in enumerate(_list(value, "expect")):
            where = f"expect[{i}]"
            if isinstance(item, str):
                item = {"holds": item}
            tree = _mapping(item, where)
            if not any(m in tree for m in MODES) and any(form in tree for form in condition.FORMS):
                # `- settled: true` is short for `- holds: {settled: true}`
                own = {k: v for k, v in tree.items() if k not in ("name", "at")}
                tree = {**{k: v for k, v in tree.items() if k in ("name", "at")}, "holds": own}
            _only(tree, where, "name", "at", "from", "until", "within", *MODES)
            modes = [m for m in MODES if m in tree]
            if len(modes) != 1:
                raise Mistake(f"{where}: one of {', '.join(MODES)} says what must be true")
            mode = modes[0]
            try:
                wanted = condition.parse(tree[mode], self._registry)
                start, end = _window(tree, mode, for_s)
            except ValueError as error:
                raise Mistake(f"{where}: {error}") from None
            shown = tree[mode] if isinstance(tree[mode], str) else _short(tree[mode])
            if tree[mode] == {"settled": True}:
                shown = "all is as declared, and nothing is left over"
            out.append(Expect(str(tree.get("name") or shown), mode, wanted, start, end))
        return out


def _window(tree: Mapping[str, Any], mode: str, for_s: float) -> tuple[float, float]:
    if mode == "holds":
        for word in ("from", "until", "within"):
            if word in tree:
                raise Mistake(f"`holds` is asked once: it takes `at` (default: the end), not `{word}`")
        at = span_of(tree["at"], "at") if "at" in tree else for_s
        start = end = at
    else:
        if "at" in tree:
            raise Mistake(f"`{mode}` is about a window: it takes `from` and `until` (or `within`), not `at`")
        start = span_of(tree.get("from", 0), "from")
        if "within" in tree:
            end = start + span_of(tree["within"], "within")
        else:
            end = span_of(tree["until"], "until") if "until" in tree else for_s
    if start > end or end > for_s:
        raise Mistake(f"its time ({start:g} s to {end:g} s) is not within the scenario's {for_s:g} s (`for`)")
    return start, end


def node_group(group: Mapping[str, Any], where: str, before: int = 0) -> list[HollowNode]:
    """Equal nodes. Names: ``name`` with the number appended, or as they come."""
    _only(group, where, "count", "name", "zone", "region", "capacity", "labels", "taints")
    count = _whole(group.get("count", 1), f"{where}.count")
    labels = {str(k): str(v) for k, v in _mapping(group.get("labels") or {}, f"{where}.labels").items()}
    capacity = {str(k): str(v) for k, v in _mapping(group.get("capacity") or {}, f"{where}.capacity").items()}
    fixed: dict[str, Any] = {
        field: convert(capacity.pop(name))
        for name, field, convert in (
            ("cpu", "cpu", str),
            ("memory", "memory", str),
            ("pods", "pods", int),
            ("ephemeral-storage", "storage", str),
        )
        if name in capacity
    }
    taints = tuple(_taint(t, f"{where}.taints") for t in _list(group.get("taints") or [], f"{where}.taints"))
    out = []
    for i in range(count):
        if "name" in group:
            name = str(group["name"]) if count == 1 else f"{group['name']}-{i + 1}"
        else:
            name = f"node-{before + i + 1}"
        zone, region = str(group.get("zone", "")), str(group.get("region", ""))
        out.append(HollowNode(name, labels=labels, taints=taints, zone=zone, region=region, capacity=capacity, **fixed))
    return out


def _taint(value: Any, where: str) -> tuple[str, str, str]:
    taint = _mapping(value, where)
    _only(taint, where, "key", "value", "effect")
    effect = str(taint.get("effect", ""))
    if not taint.get("key") or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise Mistake(f"{where}: a taint needs a key, and an effect: NoSchedule, PreferNoSchedule or NoExecute")
    return str(taint["key"]), str(taint.get("value", "")), effect


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _only(tree: Mapping[str, Any], where: str, *allowed: str) -> None:
    for key in tree:
        if key not in allowed:
            raise Mistake(f'{where}: "{key}" is not known; there are {", ".join(allowed)}')


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Mistake(f"{where}: a mapping is wanted here, not {value!r}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise Mistake(f"{where}: a list is wanted here, not {value!r}")
    return value


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Mistake(f"{where}: a whole number is wanted here, not {value!r}")
    return value


def _time(value: Any) -> float:
    try:
        return parse_rfc3339(str(value))
    except ValueError:
        raise Mistake(f'start: "{value}" is no time; write 2026-01-01T00:00:00Z') from None
