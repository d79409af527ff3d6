"""What the timeline of a scenario can do, one verb each. ``make`` checks a step; nothing happens before ``act``.

A step whose request the server refuses fails the run, unless it says ``refused: true``: then it must be refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.core.node import KIND as NODE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.kind import Kind
from pelamis.api.registry import Registry
from pelamis.base import labels, quantity
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Create, Delete, Patch
from pelamis.kubelet.hollow.behaviour import PREFIX
from pelamis.kubelet.hollow.node import HollowNode
from pelamis.sim.cluster import Cluster
from pelamis.sim.condition import Mistake, find_kind, reference, selected
from pelamis.sim.duration import seconds, span
from pelamis.sim.faults import COMPONENTS, Rates

Act = Callable[[Cluster], Awaitable[None]]
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
LOAD = PREFIX + "cpu-total"


@dataclass(frozen=True, slots=True)
class Step:
    """what: step or fault. mirror: needs views that can break. interferes: nodes or components are disturbed.

    nodes: those that are, when nothing else is. plane: it is about one of several control planes.
    """

    at: float
    text: str
    act: Act
    what: str = "step"
    mirror: bool = False
    interferes: bool = False
    refused: bool = False
    nodes: tuple[str, ...] = ()
    plane: bool = False


Parameters = Mapping[str, Any]
Maker = Callable[[Parameters, Registry], tuple[str, Act]]


def make(verb: str, step: Parameters, at: float, registry: Registry) -> Step:
    """Raises Mistake."""
    maker, parameters, what, mirror, interferes = VERBS[verb]
    for key in step:
        if key not in (verb, "refused", "name", *parameters):
            raise Mistake(f'"{key}" is not known for {verb}; it takes {", ".join(parameters) or "nothing else"}')
    text, act = maker(step, registry)
    shown = str(step["name"]) if "name" in step else text
    crashes_server = verb == "crash" and step["crash"] == "server"
    lags = verb == "fault" and isinstance(step["fault"], Mapping) and "lag" in step["fault"]
    nodes = _names(step[verb]) if verb in _OF_NODES else ()
    refused = bool(step.get("refused", False))
    return Step(at, shown, act, what, mirror or crashes_server or lags, interferes, refused, nodes, verb in _OF_PLANES)


def _names(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def _namespace(step: Parameters, kind: Kind) -> str:
    return str(step.get("namespace", "default")) if kind.namespaced else ""


def _titled(step: Parameters, kind: Kind, name: str) -> str:
    namespace = step.get("namespace", "default")
    return f"{kind.singular}/{name}" + (f" in {namespace}" if kind.namespaced and namespace != "default" else "")


# -- objects


def _apply(step: Parameters, registry: Registry) -> tuple[str, Act]:
    trees = step["apply"]
    names = [f"{t['kind'].lower()}/{t.get('metadata', {}).get('name', '')}" for t in trees]

    async def act(cluster: Cluster) -> None:
        await cluster.apply(*trees)

    return "apply " + ", ".join(names), act


def _delete(step: Parameters, registry: Registry) -> tuple[str, Act]:
    propagation = str(step.get("propagation", "Background"))
    if propagation not in ("Background", "Foreground", "Orphan"):
        raise Mistake(f"`propagation: {propagation}` is not one of Background, Foreground, Orphan")
    if "/" not in str(step["delete"]):
        kind = find_kind(registry, str(step["delete"]))
        find = selected({**step, "namespace": _namespace(step, kind)}, kind)

        async def act_all(cluster: Cluster) -> None:
            found = [o.metadata for o in find(cluster)]
            await cluster.do(*(Delete(kind, m.namespace, m.name, propagation=propagation) for m in found))  # type: ignore[arg-type]

        return f"delete {kind.plural} {step.get('selector', '')}".rstrip(), act_all
    kind, name = reference(step["delete"], registry)

    async def act(cluster: Cluster) -> None:
        await cluster.do(Delete(kind, _namespace(step, kind), name, propagation=propagation))  # type: ignore[arg-type]

    return f"delete {_titled(step, kind, name)}", act


def _scale(step: Parameters, registry: Registry) -> tuple[str, Act]:
    kind, name = reference(step["scale"], registry)
    replicas = step.get("replicas")
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        raise Mistake("scale needs `replicas`, a whole number")
    if kind.subresource("scale") is None:
        raise Mistake(f"a {kind.kind} cannot be scaled")

    async def act(cluster: Cluster) -> None:
        body = {"spec": {"replicas": replicas}}
        await cluster.do(Patch(kind, _namespace(step, kind), name, body, "merge", "scale"))

    return f"scale {_titled(step, kind, name)} to {replicas}", act


def _patch(step: Parameters, registry: Registry) -> tuple[str, Act]:
    kind, name = reference(step["patch"], registry)
    body, sort = step.get("with"), str(step.get("type", "strategic"))
    if sort not in ("strategic", "merge", "json"):
        raise Mistake(f"`type: {sort}` is not one of strategic, merge, json")
    if not isinstance(body, list if sort == "json" else Mapping):
        raise Mistake("patch needs `with`: what the object becomes (for `type: json` a list of operations)")
    sub = str(step.get("subresource", ""))

    async def act(cluster: Cluster) -> None:
        await cluster.do(Patch(kind, _namespace(step, kind), name, body, sort, sub))  # type: ignore[arg-type]

    return f"patch {_titled(step, kind, name)}", act


def _image(step: Parameters, registry: Registry) -> tuple[str, Act]:
    kind, name = reference(step["image"], registry)
    to = step.get("to")
    if not isinstance(to, str):
        raise Mistake("image needs `to`, the image of the container")

    async def act(cluster: Cluster) -> None:
        tree = cluster.tree(kind, _namespace(step, kind), name)
        if tree is None:
            raise StatusError(404, "NotFound", f"{kind.plural} {name!r} not found")
        wanted = step.get("container") or tree["spec"]["template"]["spec"]["containers"][0]["name"]
        body = {"spec": {"template": {"spec": {"containers": [{"name": wanted, "image": to}]}}}}
        await cluster.do(Patch(kind, _namespace(step, kind), name, body, "strategic"))

    return f"{_titled(step, kind, name)} gets image {to}", act


def _undo(step: Parameters, registry: Registry) -> tuple[str, Act]:
    kind, name = reference(step["undo"], registry)
    if kind.plural not in ("deployments", "statefulsets", "daemonsets"):
        raise Mistake("undo is for deployments, statefulsets and daemonsets")

    async def act(cluster: Cluster) -> None:
        namespace = _namespace(step, kind)
        owner = cluster.get(kind, namespace, name)
        if owner is None:
            raise StatusError(404, "NotFound", f"{kind.plural} {name!r} not found")
        await cluster.do(_rollback(cluster, kind, owner))

    return f"roll back {_titled(step, kind, name)}", act


def _rollback(cluster: Cluster, kind: Kind, owner: Any) -> Action:
    """As ``kubectl rollout undo``: the revision before the newest one."""
    meta = owner.metadata
    source = REPLICASET if kind is DEPLOYMENT else find_kind(cluster.server.registry, "controllerrevisions")
    owned = [
        o for o in cluster.objects(source, meta.namespace) if any(r.uid == meta.uid for r in o.metadata.ownerReferences)
    ]
    if kind is DEPLOYMENT:
        owned.sort(key=lambda o: int(o.metadata.annotations.get(REVISION, "0")))
    else:
        owned.sort(key=lambda o: o.revision)
    if len(owned) < 2:
        raise StatusError(409, "Conflict", f"no rollout history found for {kind.singular} {meta.name!r}")
    found = cluster.tree(source, owned[-2].metadata.namespace, owned[-2].metadata.name)
    assert found is not None
    if kind is not DEPLOYMENT:
        return Patch(kind, meta.namespace, meta.name, found["data"], "strategic")
    template = found["spec"]["template"]
    template["metadata"].get("labels", {}).pop(HASH, None)
    return Patch(
        kind, meta.namespace, meta.name, [{"op": "replace", "path": "/spec/template", "value": template}], "json"
    )


def _load(step: Parameters, registry: Registry) -> tuple[str, Act]:
    kind, name = reference(step["load"], registry)
    cpu = step.get("cpu")
    try:
        quantity.parse(str(cpu))
    except ValueError:
        raise Mistake(f"load needs `cpu`: what all its pods use together, such as 1500m, not {cpu!r}") from None

    async def act(cluster: Cluster) -> None:
        namespace = _namespace(step, kind)
        key = f"load of {kind.plural} {namespace}/{name}"
        cluster.loads[key] = str(cpu)
        cluster.background(_use(cluster, key, str(cpu), kind, namespace, name), f"{key}: {cpu} at {cluster.now}")

    return f"{_titled(step, kind, name)} uses {cpu} of CPU", act


async def _use(cluster: Cluster, key: str, cpu: str, kind: Kind, namespace: str, name: str) -> None:
    """Tell each pod, those to come too, until another load is set."""
    while cluster.loads.get(key) == cpu:
        owner = cluster.get(kind, namespace, name)
        if owner is not None:
            selector = labels.from_label_selector(owner.spec.selector)
            pods = [p for p in cluster.pods(namespace) if selector.matches(p.metadata.labels)]
            body = {"metadata": {"annotations": {LOAD: cpu}}}
            told = [
                Patch(POD, namespace, p.metadata.name, body) for p in pods if p.metadata.annotations.get(LOAD) != cpu
            ]
            if told and cluster.door.is_open:
                await cluster.admin.commit(told)
        await cluster.changed()


# -- nodes


def _node(verb: str, text: str, do: Callable[[Cluster, str], None]) -> Maker:
    def maker(step: Parameters, registry: Registry) -> tuple[str, Act]:
        names = _names(step[verb])

        async def act(cluster: Cluster) -> None:
            for name in names:
                if name not in cluster.nodes.kubelets:
                    raise Mistake(f'{verb}: there is no node "{name}"; there are {", ".join(cluster.nodes.kubelets)}')
                do(cluster, name)

        return text % ", ".join(names), act

    return maker


def _node_add(step: Parameters, registry: Registry) -> tuple[str, Act]:
    from pelamis.sim.scenario import node_group

    value = step["nodeAdd"]
    specs = [HollowNode(value)] if isinstance(value, str) else node_group(value, "nodeAdd")

    async def act(cluster: Cluster) -> None:
        for spec in specs:
            if spec.name in cluster.nodes.kubelets:
                raise Mistake(f'nodeAdd: there is a node "{spec.name}" already: give the new one a `name`')
            cluster.nodes.add_node(spec)

    return "node " + ", ".join(s.name for s in specs) + " joins", act


def _node_remove(step: Parameters, registry: Registry) -> tuple[str, Act]:
    names = _names(step["nodeRemove"])

    async def act(cluster: Cluster) -> None:
        for name in names:
            cluster.nodes.remove_node(name)
            await cluster.do(Delete(NODE, "", name))

    return "node " + ", ".join(names) + " is removed", act


def _cordon(verb: str, value: bool) -> Maker:
    def maker(step: Parameters, registry: Registry) -> tuple[str, Act]:
        name = str(step[verb])

        async def act(cluster: Cluster) -> None:
            await cluster.do(Patch(NODE, "", name, {"spec": {"unschedulable": value or None}}))

        return f"{verb} {name}", act

    return maker


def _drain(step: Parameters, registry: Registry) -> tuple[str, Act]:
    """Cordon, then evict what no DaemonSet owns; a budget's refusal is asked again every 5 s."""
    name = str(step["drain"])

    async def act(cluster: Cluster) -> None:
        await cluster.do(Patch(NODE, "", name, {"spec": {"unschedulable": True}}))
        cluster.background(_evict(cluster, name), f"drain of {name}")

    return f"drain {name}", act


async def _evict(cluster: Cluster, node: str) -> None:
    import asyncio

    while True:
        pods = [p for p in cluster.pods() if p.spec.nodeName == node and p.metadata.deletionTimestamp is None]
        pods = [p for p in pods if not any(r.kind == "DaemonSet" for r in p.metadata.ownerReferences)]
        if not pods:
            return
        for pod in pods:
            meta = pod.metadata
            body = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": meta.name, "namespace": meta.namespace},
            }
            try:
                await cluster.admin.commit([Create(POD, body, "eviction", meta.name)])
            except OSError:
                break
        await asyncio.sleep(5.0)


# -- faults


def _crash(step: Parameters, registry: Registry) -> tuple[str, Act]:
    name, down = str(step["crash"]), span_of(step.get("for", 0), "for")
    if name not in ("controllers", "scheduler", "server"):
        raise Mistake(f'"{name}" cannot crash: controllers, scheduler or server can; for nodes there is nodeDown')

    async def act(cluster: Cluster) -> None:
        await cluster.crash(name, down)

    return f"{name} {'crashes' if name == 'server' or name == 'scheduler' else 'crash'}" + (
        f", for {span(down)}" if down else ""
    ), act


def _plane(verb: str, text: str, do: Callable[[Cluster, str, float], Awaitable[None] | None]) -> Maker:
    """Of a control plane by its name, or of the one whose controllers lead."""

    def maker(step: Parameters, registry: Registry) -> tuple[str, Act]:
        name, duration = str(step[verb]), span_of(step.get("for", 0), "for")

        async def act(cluster: Cluster) -> None:
            plane = cluster.leader() if name == "leader" else name
            if plane not in cluster.planes:
                raise Mistake(f'{verb}: there is no control plane "{name}"; there are {", ".join(cluster.planes)}')
            waits = do(cluster, plane, duration)
            if waits is not None:
                await waits

        who = "the leading control plane" if name == "leader" else f"control plane {name}"
        return f"{who} {text}" + (f", for {span(duration)}" if duration else ""), act

    return maker


def _fault(step: Parameters, registry: Registry) -> tuple[str, Act]:
    value = step["fault"]
    if not isinstance(value, Mapping):
        raise Mistake("fault takes a mapping: conflicts, refusals, lostRequests, lostAnswers (0 to 1), lag, latency")
    names = {
        "conflicts": "conflict",
        "refusals": "refuse",
        "lostRequests": "lose_request",
        "lostAnswers": "lose_answer",
    }
    rates: dict[str, float] = {}
    for key, number in value.items():
        if key in ("lag", "latency"):
            rates[f"{key}_s"] = span_of(number, key)
        elif key not in names:
            raise Mistake(f'fault: "{key}" is not known; there are {", ".join((*names, "lag", "latency"))}')
        elif isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
            raise Mistake(f"fault: {key} is a probability, 0 to 1, not {number!r}")
        else:
            rates[names[key]] = float(number)
    wanted, duration = _components(step), span_of(step.get("for", 0), "for")

    async def act(cluster: Cluster) -> None:
        before = {name: cluster.faults.of(name) for name in wanted}
        cluster.faults.set(Rates(**rates), wanted)

        def end() -> None:
            cluster.faults.rates.update(before)

        if duration:
            cluster.loop.call_later(duration, end)

    shown = ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
    return f"faults: {shown}" + (f", for {span(duration)}" if duration else ""), act


def _lose(step: Parameters, registry: Registry) -> tuple[str, Act]:
    value = str(step["loseWatches"])
    wanted = COMPONENTS if value == "all" else (value,)
    if value != "all" and value not in COMPONENTS:
        raise Mistake(f'"{value}" has no watches: {", ".join(COMPONENTS)} or all')
    kinds = [find_kind(registry, str(k)) for k in step.get("kinds") or ()]
    duration = span_of(step.get("for", "1s"), "for")

    async def act(cluster: Cluster) -> None:
        for name in wanted:
            cluster.lose_watches(name, duration, kinds)

    return f"{value} lose their watches for {span(duration)}", act


def _components(step: Parameters) -> tuple[str, ...]:
    value = step.get("component", "all")
    if value == "all":
        return COMPONENTS
    if value not in COMPONENTS:
        raise Mistake(f'there is no component "{value}": {", ".join(COMPONENTS)} or all')
    return (str(value),)


def _clock(step: Parameters, registry: Registry) -> tuple[str, Act]:
    try:
        by = seconds(step["clockStep"])
    except ValueError as error:
        raise Mistake(str(error)) from None

    async def act(cluster: Cluster) -> None:
        cluster.clock.step(by)

    return f"the clock jumps {span(abs(by))} {'ahead' if by >= 0 else 'back'}", act


def _note(step: Parameters, registry: Registry) -> tuple[str, Act]:
    async def act(cluster: Cluster) -> None:
        return None

    return str(step["note"]), act


def span_of(value: Any, where: str) -> float:
    try:
        found = seconds(value)
    except ValueError as error:
        raise Mistake(f"{where}: {error}") from None
    if found < 0:
        raise Mistake(f"{where}: it cannot be negative")
    return found


_IN = ("namespace",)
_OF_PLANES = frozenset(("planeDown", "planePause", "planeCut"))
_OF_NODES = frozenset(("nodeRemove", "nodeDown", "nodeCut", "nodeUp"))
VERBS: dict[str, tuple[Maker, tuple[str, ...], str, bool, bool]] = {
    # verb: (maker, parameters, what, mirror, interferes)
    "apply": (_apply, (), "step", False, False),
    "delete": (_delete, ("namespace", "propagation", "selector", "where"), "step", False, False),
    "scale": (_scale, ("namespace", "replicas"), "step", False, False),
    "patch": (_patch, ("namespace", "with", "type", "subresource"), "step", False, False),
    "image": (_image, ("namespace", "to", "container"), "step", False, False),
    "load": (_load, ("namespace", "cpu"), "step", False, False),
    "undo": (_undo, _IN, "step", False, False),
    "nodeAdd": (_node_add, (), "step", False, False),
    "nodeRemove": (_node_remove, (), "step", False, True),
    "nodeDown": (_node("nodeDown", "node %s is lost", lambda c, n: c.nodes.stop_node(n)), (), "fault", False, True),
    "nodeCut": (_node("nodeCut", "node %s is cut off", lambda c, n: c.nodes.cut_node(n)), (), "fault", False, True),
    "nodeUp": (_node("nodeUp", "node %s comes back", lambda c, n: c.nodes.start_node(n)), (), "step", False, True),
    "cordon": (_cordon("cordon", True), (), "step", False, False),
    "uncordon": (_cordon("uncordon", False), (), "step", False, False),
    "drain": (_drain, (), "step", False, False),
    "crash": (_crash, ("for",), "fault", False, True),
    "planeDown": (_plane("planeDown", "dies", lambda c, n, s: c.crash(n, s)), ("for",), "fault", True, True),
    "planePause": (_plane("planePause", "stands still", lambda c, n, s: c.pause(n, s)), ("for",), "fault", True, True),
    "planeCut": (_plane("planeCut", "is cut off", lambda c, n, s: c.cut(n, s)), ("for",), "fault", True, True),
    "fault": (_fault, ("for", "component"), "fault", False, True),
    "loseWatches": (_lose, ("for", "kinds"), "fault", True, True),
    "clockStep": (_clock, (), "fault", False, True),
    "note": (_note, (), "step", False, False),
}
