"""Why a pod has no node, or has this one: the scheduler's own filters and scores on what was listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.scheduler.devices.podclaims import NOT_ENOUGH, claims_for
from pelamis.scheduler.devices.shortage import shortage
from pelamis.scheduler.edit import shown
from pelamis.scheduler.explain import Group, Objection, Report, explain
from pelamis.scheduler.intake import SOURCES, Intake
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.profile import Profile, Settings
from pelamis.scheduler.queue import Queue
from pelamis.scheduler.remedy import Remedy, remedies
from pelamis.scheduler.snapshot import Snapshot
from pelamis.scheduler.toleration import tolerates
from pelamis.scheduler.userplugin import PluginError
from pelamis.why.cause import Advice, Cause
from pelamis.why.world import World

SHOWN_NODES = 10
NAMED = 3


def snapshot_of(world: World) -> Snapshot:
    """Of everything that the scheduler looks at."""
    snapshot = Snapshot()
    snapshot.devices.now = world.now
    intake = Intake(snapshot, Queue({}), ())
    for kind, take in SOURCES:
        for obj in world.all(kind):
            take(intake, (obj.metadata.namespace, obj.metadata.name), None, obj, world.now)
    return snapshot


def _reserve(world: World, snapshot: Snapshot, info: PodInfo) -> None:
    """Pods that others were evicted for count as if they had arrived, for pods that are not more important."""
    for pod in world.all(POD):
        where = pod.status.nominatedNodeName
        if where and not pod.spec.nodeName and pod.metadata.uid != info.uid and where in snapshot.by_name:
            other = PodInfo(pod)
            if other.priority >= info.priority:
                snapshot.add_pod(other, where)


def _profile(world: World, pod: Any) -> Profile | None:
    settings: Settings = world.settings or Settings()
    return next((p for p in settings.profiles if p.name == pod.spec.schedulerName), None)


def why_unscheduled(world: World, pod: Any, where: Advice | None) -> Cause:
    """where: how the pod's spec can be changed."""
    about = f"pod/{pod.metadata.name}"
    name = pod.spec.schedulerName
    if pod.spec.schedulingGates:
        gates = ", ".join(g.name for g in pod.spec.schedulingGates)
        text = f"its scheduling gates hold it: {gates}"
        advice = Advice("whoever set the gates has to remove them; by hand, once you know what they wait for:")
        command = (
            f"kubectl patch pod {pod.metadata.name} -n {pod.metadata.namespace} --type=json "
            """-p '[{"op":"remove","path":"/spec/schedulingGates"}]'"""
        )
        return Cause(about, text, advice=(Advice(advice.text, command),))
    profile = _profile(world, pod)
    if profile is None:
        known = ", ".join(p.name for p in (world.settings or Settings()).profiles)
        return Cause(
            about,
            f'it asks for the scheduler "{name}", which is not one of this cluster\'s ({known})',
            advice=(
                Advice(f'run a scheduler that is called "{name}", or add a profile with that schedulerName', ""),
                Advice("or drop spec.schedulerName", where.command if where is not None else ""),
            ),
        )
    snapshot = snapshot_of(world)
    info = PodInfo(pod)
    _reserve(world, snapshot, info)
    if not snapshot.size:
        return Cause(about, "the cluster has no nodes", advice=(Advice("add a node", "pelamis up"),))
    try:
        report = explain(snapshot, profile.plugins, info)
        found = remedies(snapshot, profile.plugins, info, report)
    except PluginError as error:
        return Cause(about, f"the scheduler cannot decide: {error}")
    return _nowhere(world, about, pod, snapshot, report, found, where)


def _nowhere(
    world: World,
    about: str,
    pod: Any,
    snapshot: Snapshot,
    report: Report,
    found: Sequence[Remedy],
    where: Advice | None,
) -> Cause:
    feasible = report.feasible
    data = as_data(report, found)
    if feasible:
        text = f"{len(feasible):,} of {snapshot.size:,} nodes would take it now; the scheduler has not placed it yet"
        facts: tuple[str, ...] = ()
        if pod.status.nominatedNodeName:
            facts = (f"it waits for pods to leave {pod.status.nominatedNodeName}",)
        said = next((c.message for c in pod.status.conditions if c.type == "PodScheduled" and c.status != "True"), "")
        if said:
            facts += (f"the scheduler's last word: {said}",)
        extenders = (world.settings or Settings()).extenders
        if extenders:
            facts += (f"it also asks {', '.join(e.urlPrefix for e in extenders)}, which were not asked here",)
        advice = Advice("wait a moment; if it stays so, look whether the scheduler runs", "pelamis status")
        return Cause(about, text, facts=facts, advice=(advice,), table=scores(report), data=data)
    nominated = pod.status.nominatedNodeName
    facts = (f"it waits for pods of lower priority to leave {nominated}",) if nominated else ()
    if report.objection is not None:
        text = f"no node is looked at: {report.objection.reason} ({report.objection.plugin})"
    else:
        text = f"none of the {snapshot.size:,} nodes fits" if snapshot.size > 1 else "the only node does not fit"
    advice_of = tuple(advise(r, snapshot.size, where) for r in found)
    if not found:
        advice_of = (Advice("no single change that was tried helps; the table says what is in the way"),)
    return Cause(about, text, facts=facts, advice=advice_of, table=verdicts(report, snapshot, PodInfo(pod)), data=data)


def advise(remedy: Remedy, size: int, where: Advice | None) -> Advice:
    parts = [e.text for e in remedy.edits]
    text = ", and ".join(parts)
    if any(e.pod is not None for e in remedy.edits):
        fit = f"{remedy.nodes:,} of {size:,} nodes" if remedy.nodes > 1 else remedy.node
        text += f" (fits {fit})"
    commands = [e.command for e in remedy.edits if e.command]
    if where is not None and any(e.pod is not None for e in remedy.edits):
        commands.append(where.command)
    return Advice(text, "\n".join(dict.fromkeys(commands)))


def names_of(group: Group) -> str:
    names = group.names
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{names[0]}, {names[1]} … {names[-1]}"


def _detail(snapshot: Snapshot, info: PodInfo, objection: Objection, names: Sequence[str]) -> str:
    """What the words of a rejection leave out: how much is there, which taints."""
    nodes = [snapshot.by_name[n] for n in names]
    resource = objection.reason.removeprefix("Insufficient ")
    if resource != objection.reason and resource in info.requests:
        column = snapshot.resource(resource)
        free = max(int(snapshot.allocatable[column, n.row] - snapshot.requested[column, n.row]) for n in nodes)
        return f" (wants {shown(resource, info.requests[resource])}, at most {shown(resource, max(free, 0))} is free)"
    if objection.plugin == "DynamicResources" and objection.reason == NOT_ENOUGH:
        claims = claims_for(snapshot.devices, info, 0.0)
        short = shortage(snapshot.devices, claims, [n.node for n in nodes]) if claims is not None else ""
        return f" ({short})" if short else ""
    if objection.plugin == "TaintToleration":
        own = info.pod.spec.tolerations
        found = {
            f"{t.key}={t.value}:{t.effect}" if t.value else f"{t.key}:{t.effect}"
            for n in nodes
            for t in n.node.spec.taints
            if t.effect != "PreferNoSchedule" and not tolerates(own, t)
        }
        return f" ({', '.join(sorted(found)[:NAMED])}{' …' if len(found) > NAMED else ''})"
    return ""


def verdicts(report: Report, snapshot: Snapshot, info: PodInfo) -> tuple[tuple[str, ...], ...]:
    """Few rows, however many nodes."""
    rows = [("NODES", "", "PLUGIN", "VERDICT")]
    for group in report.groups:
        for i, objection in enumerate(group.objections):
            first = (f"{len(group.names):,}", names_of(group)) if i == 0 else ("", "")
            said = objection.reason + _detail(snapshot, info, objection, group.names)
            rows.append((*first, objection.plugin, said))
    return tuple(rows)


def scores(report: Report) -> tuple[tuple[str, ...], ...]:
    """Of the best nodes, and of the one where the pod is: weighted scores by plugin."""
    feasible = report.feasible
    if not feasible:
        return ()
    best = list(feasible[:SHOWN_NODES])
    best += [n for n in feasible[SHOWN_NODES:] if n.name == report.node]
    # A plugin that has no opinion on the pod is left out.
    plugins = [
        s.plugin
        for s in best[0].scores
        if any(c.raw is not None for n in best for c in n.scores if c.plugin == s.plugin)
    ]
    rows = [("NODE", "TOTAL", *plugins)]
    for node in best:
        by = {s.plugin: s for s in node.scores}
        cells = ["-" if by[p].raw is None else f"{by[p].raw}×{by[p].weight}" for p in plugins]
        rows.append((node.name + (" *" if node.name == report.node else ""), str(node.total), *cells))
    left = len(feasible) - len(best)
    if left:
        rows.append((f"… {left:,} more",))
    return tuple(rows)


def why_there(world: World, pod: Any) -> Cause:
    """Of a pod that has a node: how the scheduler would judge now."""
    profile = _profile(world, pod)
    if profile is None:
        text = f'it was placed by the scheduler "{pod.spec.schedulerName}", whose profile is not known here'
        advice = Advice("for its verdicts, give the scheduler's configuration: --scheduler-config FILE")
        return Cause(f"node/{pod.spec.nodeName}", text, True, advice=(advice,))
    snapshot = snapshot_of(world)
    own_claim = snapshot.devices.extended.get(pod.metadata.uid)
    if own_claim is not None:  # made when it was placed; it would get another one
        snapshot.devices.set_claim(own_claim, None)
    try:
        report = explain(snapshot, profile.plugins, PodInfo(pod))
    except PluginError as error:
        return Cause(f"node/{pod.spec.nodeName}", f"the scheduler cannot judge: {error}")
    own = next((n for n in report.nodes if n.name == pod.spec.nodeName), None)
    about = f"node/{pod.spec.nodeName}"
    data = as_data(report, ())
    if own is None:
        return Cause(about, "the node is gone", data=data)
    number, size = len(report.feasible), snapshot.size
    if own.objections:
        said = "; ".join(f"{o.reason} ({o.plugin})" for o in own.objections)
        text = f"the pod would not be placed there today: {said}"
        return Cause(about, text, True, table=verdicts(report, snapshot, PodInfo(pod)), data=data)
    better = sum(1 for n in report.feasible if n.total > own.total)
    rank = "the best" if not better else f"number {better + 1}"
    if number == 1:
        text = f"the only node of {size:,} that fits, were the pod placed now"
    else:
        text = f"{rank} of {number:,} nodes that fit, were the pod placed now"
    others: tuple[Cause, ...] = ()
    if report.groups:
        left = f"{size - number:,} of {size:,} nodes do not fit" if size - number > 1 else "1 node does not fit"
        others = (Cause("the others", left, True, table=verdicts(report, snapshot, PodInfo(pod))),)
    return Cause(about, text, True, table=scores(report), data=data, deeper=others)


def as_data(report: Report, found: Sequence[Remedy]) -> dict[str, Any]:
    """Everything, for JSON."""
    nodes = []
    for node in report.nodes:
        entry: dict[str, Any] = {"name": node.name, "fits": not node.objections}
        if node.objections:
            entry["objections"] = [o._asdict() for o in node.objections]
        else:
            entry["total"] = node.total
            entry["scores"] = [{**s._asdict(), "weighted": s.weighted} for s in node.scores]
        nodes.append(entry)
    out: dict[str, Any] = {"node": report.node, "message": report.message, "nodes": nodes}
    if found:
        out["remedies"] = [
            {
                "changes": [{"text": e.text, **({"command": e.command} if e.command else {})} for e in r.edits],
                "node": r.node,
                "nodes": r.nodes,
            }
            for r in found
        ]
    return out
