"""HorizontalPodAutoscaler: every 15 s per object, the replicas of its target follow its metrics.

A round has two steps, so that what is decided fits what is there when it is written. The first asks for the metrics
(``Plan.reads``) and remembers the answers; the second, at once, looks at target and pods anew, computes
(``reconcile.replicacalculator``), slows down (``reconcile.scalingbehavior``) and writes the target's ``scale``. Past
recommendations and changes are in the memo: as upstream, a restarted controller begins without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from msgspec.structs import replace as changed

from pelamis.api.apiextensions.customresourcedefinition import KIND as DEFINITION
from pelamis.api.apiextensions.selector import steps, value_at
from pelamis.api.apiregistration.apiservice import KIND as API_SERVICE
from pelamis.api.autoscaling.horizontalpodautoscaler import KIND as AUTOSCALER
from pelamis.api.autoscaling.horizontalpodautoscaler import (
    CrossVersionObjectReference,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerStatus,
    MetricStatus,
)
from pelamis.api.autoscaling.scale import Scale, ScaleSpec, ScaleStatus, scale_of
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.api.custom import Custom
from pelamis.api.kind import Kind
from pelamis.base import labels
from pelamis.base.clock import rfc3339
from pelamis.client.types import Key, Outcome, Update
from pelamis.reconcile.plan import EventNote, Found, Plan
from pelamis.reconcile.scalemetrics import CUSTOM_GROUP, Failed, Memory, Target, World, group_of, propose, reads
from pelamis.reconcile.scalingbehavior import At, Decision, History, decide, noted
from pelamis.reconcile.spec import Controller, Views, Watch

PERIOD_S = 15.0
ASLEEP = "ScaledToZero"
"""The condition that tells a target which its autoscaler scaled to zero from one that somebody switched off."""
_TOO_FEW = "Current number of replicas below Spec.MinReplicas"


# -- gathering


def _kind(views: Views, group: str, kind: str) -> Kind | None:
    return next((k for k in views.every() if k.kind == kind and k.group == group), None)


def _custom_scale(views: Views, kind: Kind, obj: Custom) -> Target:
    definition = views(DEFINITION).get("", kind.resource)
    versions = definition.spec.versions if definition is not None else ()
    version = next((v for v in versions if v.name == kind.version), None)
    paths = version.subresources.scale if version is not None and version.subresources is not None else None
    if paths is None:
        return Target(problem="the server could not find the requested resource")
    replicas = value_at(obj.tree, steps(paths.specReplicasPath) or [])
    if not isinstance(replicas, int):
        return Target(problem=f'the spec replicas field "{paths.specReplicasPath}" does not exist')
    selector = value_at(obj.tree, steps(paths.labelSelectorPath) or []) if paths.labelSelectorPath else ""
    status = ScaleStatus(
        replicas=value_at(obj.tree, steps(paths.statusReplicasPath) or []) or 0, selector=selector or ""
    )
    return Target(kind, Scale(metadata=obj.metadata, spec=ScaleSpec(replicas=replicas), status=status))


def _target(views: Views, namespace: str, ref: CrossVersionObjectReference) -> Target:
    group = group_of(ref.apiVersion)
    if ref.apiVersion.count("/") > 1:
        return Target(problem=f"unexpected GroupVersion string: {ref.apiVersion}")
    kind = _kind(views, group, ref.kind)
    if kind is None:
        return Target(problem=f'no matches for kind "{ref.kind}" in group "{group}"')
    if kind.subresource("scale") is None:
        return Target(problem="the server could not find the requested resource")
    obj = views(kind).get(namespace, ref.name)
    if obj is None:
        custom = kind.type is Custom
        shown = kind.resource if custom else f"{kind.plural}/scale" + (f".{group}" if group else "")
        return Target(problem=f'{shown} "{ref.name}" not found')
    if isinstance(obj, Custom):
        return _custom_scale(views, kind, obj)
    return Target(kind, scale_of(obj))


def _selected(views: Views, namespace: str, text: str) -> Sequence[Pod]:
    try:
        selector = labels.parse(text)
    except ValueError:
        return ()
    return [pod for pod in views(POD).list(namespace) if selector.matches(pod.metadata.labels)]


def _rivals(views: Views, hpa: HorizontalPodAutoscaler, pods: Sequence[Pod]) -> Sequence[str]:
    meta = hpa.metadata
    found = [meta.name]
    for other in views(AUTOSCALER).list(meta.namespace):
        if other.metadata.name == meta.name:
            continue
        scale = _target(views, meta.namespace, other.spec.scaleTargetRef).scale
        if scale is None or not scale.status.selector:
            continue
        try:
            selector = labels.parse(scale.status.selector)
        except ValueError:
            continue
        if any(selector.matches(pod.metadata.labels) for pod in pods):
            found.append(other.metadata.name)
    return sorted(found)


def gather(views: Views, key: Key) -> World | None:
    hpa: HorizontalPodAutoscaler | None = views(AUTOSCALER).get(*key)
    if hpa is None:
        return None
    memory = views.memo(key) or Memory()
    target = _target(views, key[0], hpa.spec.scaleTargetRef)
    pods: Sequence[Pod] = ()
    rivals: Sequence[str] = ()
    if memory.answers is not None and target.scale is not None and target.scale.status.selector:
        pods = _selected(views, key[0], target.scale.status.selector)
        rivals = _rivals(views, hpa, pods)
    custom, resources = "", {}
    if any(m.object is not None or m.pods is not None for m in hpa.spec.metrics):
        served = [v for v in ("v1beta2", "v1beta1") if views(API_SERVICE).get("", f"{v}.{CUSTOM_GROUP}") is not None]
        custom = served[0] if served else ""
        for metric in hpa.spec.metrics:
            if metric.object is not None:
                ref = metric.object.describedObject
                kind = _kind(views, group_of(ref.apiVersion), ref.kind)
                if kind is not None:
                    resources[kind.group, kind.kind] = kind.resource
    return World(hpa, target, pods, rivals, memory, custom, resources)


# -- the round


class Round:
    """What one round makes of an autoscaler's status; a scratch pad of the pure function below."""

    def __init__(self, world: World, now: float) -> None:
        self.hpa = world.hpa
        self.now = now
        self.status = world.hpa.status
        self.events: list[EventNote] = []

    def event(self, type_: str, reason: str, message: str) -> None:
        self.events.append(EventNote(self.hpa, type_, reason, message))

    def condition(self, type_: str, status: str, reason: str, message: str) -> None:
        conditions = list(self.status.conditions)
        at = next((i for i, c in enumerate(conditions) if c.type == type_), None)
        before = conditions[at] if at is not None else None
        since = before.lastTransitionTime if before is not None and before.status == status else rfc3339(self.now)
        new = HorizontalPodAutoscalerCondition(
            type=type_, status=status, reason=reason, message=message, lastTransitionTime=since
        )
        if at is None:
            conditions.append(new)
        else:
            conditions[at] = new
        self.status = changed(self.status, conditions=tuple(conditions))

    def figures(self, current: int, desired: int, metrics: Sequence[MetricStatus], rescaled: bool = False) -> None:
        self.status = HorizontalPodAutoscalerStatus(
            currentReplicas=current,
            desiredReplicas=desired,
            lastScaleTime=rfc3339(self.now) if rescaled else self.status.lastScaleTime,
            currentMetrics=tuple(metrics),
            conditions=self.status.conditions,
        )

    def plan(self, memory: Memory) -> Plan:
        """The status is written where it changed; the next round comes in its time, whatever happened."""
        actions: Sequence[Update] = ()
        if self.status != self.hpa.status:
            actions = (Update(AUTOSCALER, changed(self.hpa, status=self.status), subresource="status"),)
        due, at = replace(memory, answers=None), self.now + PERIOD_S

        def written(outcomes: Sequence[Outcome]) -> Plan:
            error = next((o.error for o in outcomes if o.error is not None), None)
            events: Sequence[EventNote] = ()
            if error is not None and error.reason not in ("NotFound", "Conflict"):
                events = (EventNote(self.hpa, "Warning", "FailedUpdateStatus", error.message),)
            return Plan(events=events, requeue_at=at, memo=due)

        return Plan(actions=actions, events=self.events, on_outcomes=written, requeue_at=at, memo=due)


def _computed(world: World, round_: Round, now: float) -> tuple[int, str, Sequence[MetricStatus]] | None:
    """(replicas, the metric that asked for most, statuses); None: nothing can be said, and the status says why."""
    hpa, scale = world.hpa, world.target.scale
    assert scale is not None
    specs = hpa.spec.metrics
    problem = _selector_problem(world, round_)
    if problem:
        round_.figures(scale.spec.replicas, round_.status.desiredReplicas, ())
        round_.event("Warning", "FailedComputeMetricsReplicas", problem)
        return None
    replicas, metric = 0, ""
    statuses: list[MetricStatus] = []
    failures: list[Failed] = []
    for spec in specs:
        try:
            proposal = propose(spec, world, now)
        except Failed as error:
            round_.event("Warning", error.reason, error.message)
            failures.append(error)
            statuses.append(MetricStatus())
            continue
        statuses.append(proposal.status)
        if replicas == 0 or proposal.replicas > replicas:
            replicas, metric = proposal.replicas, proposal.name
    if failures and (len(failures) >= len(specs) or replicas < scale.spec.replicas):
        first = failures[0]
        message = f"the HPA was unable to compute the replica count: {first.message}"
        round_.condition("ScalingActive", "False", first.reason, message)
        round_.figures(scale.spec.replicas, round_.status.desiredReplicas, statuses)
        text = f"invalid metrics ({len(failures)} invalid out of {len(specs)}), first error is: {first}"
        round_.event("Warning", "FailedComputeMetricsReplicas", text)
        return None
    message = f"the HPA was able to successfully calculate a replica count from {metric}"
    round_.condition("ScalingActive", "True", "ValidMetricFound", message)
    return replicas, metric, statuses


def _selector_problem(world: World, round_: Round) -> str:
    """Why the pods of the target are not known for sure; "" when they are."""
    scale = world.target.scale
    assert scale is not None
    text = scale.status.selector
    if not text:
        round_.event("Warning", "SelectorRequired", "selector is required")
        round_.condition("ScalingActive", "False", "InvalidSelector", "the HPA target's scale is missing a selector")
        return "selector is required"
    try:
        labels.parse(text)
    except ValueError as error:
        problem = f"couldn't convert selector into a corresponding internal selector object: {error}"
        round_.event("Warning", "InvalidSelector", problem)
        round_.condition("ScalingActive", "False", "InvalidSelector", problem)
        return problem
    if len(world.rivals) > 1:
        names = " ".join(f"{{{name} {world.hpa.metadata.namespace}}}" for name in world.rivals)
        problem = f"pods by selector {text} are controlled by multiple HPAs: [{names}]"
        round_.event("Warning", "AmbiguousSelector", problem)
        round_.condition("ScalingActive", "False", "AmbiguousSelector", problem)
        return problem
    return ""


def _rescaled(world: World, now: float, desired: int, reason: str, round_: Round, figures: Any, memory: Memory) -> Plan:
    """Writes the scale, then the status that tells of it."""
    scale, kind = world.target.scale, world.target.kind
    assert scale is not None and kind is not None
    current = scale.spec.replicas
    history = memory.history or History()

    def written(outcomes: Sequence[Outcome]) -> Plan:
        error = outcomes[0].error
        if error is not None:
            text = f"New size: {desired}; reason: {reason}; error: {error.message}"
            round_.event("Warning", "FailedRescale", text)
            message = f"the HPA controller was unable to update the target scale: {error.message}"
            round_.condition("AbleToScale", "False", "FailedUpdateScale", message)
            round_.figures(current, round_.status.desiredReplicas, figures)
            return round_.plan(memory)
        message = f"the HPA controller was able to update the target scale to {desired}"
        round_.condition("AbleToScale", "True", "SucceededRescale", message)
        round_.event("Normal", "SuccessfulRescale", f"New size: {desired}; reason: {reason}")
        if current > 0 and desired == 0 and world.hpa.spec.minReplicas == 0 and _may_sleep(world.hpa):
            round_.condition(ASLEEP, "True", "ScaledToZero", "the HPA controller scaled the workload to zero")
        else:
            message = "the HPA controller did not scale the workload to zero"
            round_.condition(ASLEEP, "False", "NotScaledToZero", message)
        round_.figures(current, desired, figures, rescaled=True)
        done = noted(world.hpa.spec.behavior, history, current, desired, now)
        return round_.plan(replace(memory, history=done))

    meta = scale.metadata
    body = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": meta.name, "namespace": meta.namespace, "resourceVersion": meta.resourceVersion},
        "spec": {"replicas": desired},
    }
    return Plan(actions=(Update(kind, body, subresource="scale"),), on_outcomes=written)


def reconcile(world: World, now: float) -> Plan:
    hpa, memory, scale = world.hpa, world.memory, world.target.scale
    round_ = Round(world, now)
    if scale is None:
        problem = world.target.problem
        round_.event("Warning", "FailedGetScale", problem)
        message = f"the HPA controller was unable to get the target's current scale: {problem}"
        round_.condition("AbleToScale", "False", "FailedGetScale", message)
        return round_.plan(memory)
    current = scale.spec.replicas
    minimum = 1 if hpa.spec.minReplicas is None else hpa.spec.minReplicas
    slept = any(c.type == ASLEEP and c.status == "True" for c in hpa.status.conditions)
    is_off = current == 0 and not (slept and (minimum != 0 or _may_sleep(hpa)))
    by_metrics = not is_off and (current == 0 or minimum <= current <= hpa.spec.maxReplicas)
    wanted = reads(world) if by_metrics and scale.status.selector else []
    if by_metrics and (memory.answers is None or any(read not in memory.answers for read in wanted)):

        def answered(found: Sequence[Found]) -> Plan:
            known = replace(memory, answers=dict(zip(wanted, found, strict=True)))
            return Plan(memo=known, requeue_at=now)

        return Plan(reads=wanted, on_reads=answered)
    message = "the HPA controller was able to get the target's current scale"
    round_.condition("AbleToScale", "True", "SucceededGetScale", message)
    if memory.history is None:
        memory = replace(memory, history=History(recommended=(At(now, current),)))
    if is_off:
        text = "scaling is disabled since the replica count of the target is zero"
        round_.condition("ScalingActive", "False", "ScalingDisabled", text)
        round_.figures(current, current, ())
        return round_.plan(memory)
    if current > hpa.spec.maxReplicas:
        reason = "Current number of replicas above Spec.MaxReplicas"
        return _rescaled(world, now, hpa.spec.maxReplicas, reason, round_, (), memory)
    if not by_metrics:
        return _rescaled(world, now, minimum, _TOO_FEW, round_, (), memory)
    computed = _computed(world, round_, now)
    if computed is None:
        return round_.plan(memory)
    desired, metric, statuses = computed
    if desired > current:
        reason = f"{metric} above target"
    else:
        reason = "All metrics below target" if desired < current else ""
    decision = _decided(world, desired, minimum, memory, now)
    round_.condition("AbleToScale", "True", *decision.able)
    round_.condition("ScalingLimited", "True" if decision.is_limited else "False", *decision.limited)
    memory = replace(memory, history=decision.history)
    replicas = decision.replicas
    if current == 0 and replicas < minimum:
        replicas, reason = minimum, reason or _TOO_FEW
    if replicas != current:
        return _rescaled(world, now, replicas, reason, round_, statuses, memory)
    round_.figures(current, current, statuses)
    return round_.plan(memory)


def _may_sleep(hpa: HorizontalPodAutoscaler) -> bool:
    """Whether something tells of work while no pod runs."""
    return any(m.type in ("Object", "External") for m in hpa.spec.metrics)


def _decided(world: World, desired: int, minimum: int, memory: Memory, now: float) -> Decision:
    assert world.target.scale is not None
    spec = world.hpa.spec
    current = world.target.scale.spec.replicas
    return decide(spec.behavior, current, desired, minimum, spec.maxReplicas, memory.history or History(), now)


def _keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """Only a changed specification wakes it: its own status must not."""
    if old is not None and new is not None and old.spec == new.spec:
        return ()
    meta = (new if new is not None else old).metadata
    return ((meta.namespace, meta.name),)


CONTROLLER = Controller(
    name="horizontalpodautoscaler",
    watches=(Watch(AUTOSCALER, _keys),),
    gather=gather,
    reconcile=reconcile,
    identity="horizontal-pod-autoscaler",
    component="horizontal-pod-autoscaler",
    kinds=(POD,),
)
