"""What the metrics of a HorizontalPodAutoscaler ask for: where each is read, what the answers say, how many replicas
follow. Pure.

Resources of pods come from metrics.k8s.io, the rest from custom.metrics.k8s.io and external.metrics.k8s.io, which
adapters serve through aggregation. The texts of failures are upstream's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.autoscaling.horizontalpodautoscaler import (
    ContainerResourceMetricStatus,
    ExternalMetricStatus,
    HorizontalPodAutoscaler,
    MetricIdentifier,
    MetricSpec,
    MetricStatus,
    MetricTarget,
    MetricValueStatus,
    ObjectMetricStatus,
    PodsMetricStatus,
    ResourceMetricStatus,
)
from pelamis.api.autoscaling.scale import Scale
from pelamis.api.core.pod.pod import Pod
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import LabelSelector
from pelamis.base import labels, quantity
from pelamis.base.clock import parse_rfc3339
from pelamis.base.duration import parse as parse_duration
from pelamis.reconcile.plan import Found, Read
from pelamis.reconcile.replicacalculator import (
    TOLERANCE,
    Metrics,
    PodMetric,
    Tolerances,
    Unable,
    average_replicas,
    per_pod_replicas,
    utilization_replicas,
    value_replicas,
)
from pelamis.reconcile.scalingbehavior import History

RESOURCE_API = "resource metrics API"
CUSTOM_GROUP, EXTERNAL_GROUP = "custom.metrics.k8s.io", "external.metrics.k8s.io"


@dataclass(frozen=True, slots=True)
class Memory:
    """answers: what the reads of this round found; None = they are still to be made."""

    history: History | None = None
    answers: Mapping[Read, Found] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What is scaled; or why it cannot be."""

    kind: Kind | None = None
    scale: Scale | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """pods: those that the target's selector names. rivals: autoscalers that select any of these, itself included.

    custom: the version of custom.metrics.k8s.io that an adapter serves, "" for none; resources: by (group, kind) the
    resources of objects that metrics are about.
    """

    hpa: HorizontalPodAutoscaler
    target: Target
    pods: Sequence[Pod]
    rivals: Sequence[str]
    memory: Memory
    custom: str = ""
    resources: Mapping[tuple[str, str], str] | None = None


def group_of(api_version: str) -> str:
    return api_version.rpartition("/")[0]


# -- what is read


def _selector_text(selector: LabelSelector | None) -> str:
    return str(labels.from_label_selector(selector)) if selector is not None else ""


def _metric_query(selector: LabelSelector | None, name: str) -> tuple[tuple[str, str], ...]:
    text = _selector_text(selector)
    return ((name, text),) if text else ()


def read_of(spec: MetricSpec, world: World) -> Read | str:
    """Where the metric is found, or why nowhere. Raises labels.SelectorError."""
    namespace = world.hpa.metadata.namespace
    assert world.target.scale is not None
    pods = (("labelSelector", world.target.scale.status.selector),)
    if spec.resource is not None or spec.containerResource is not None:
        return Read(f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods", pods)
    if spec.external is not None:
        metric = spec.external.metric
        path = f"/apis/{EXTERNAL_GROUP}/v1beta1/namespaces/{namespace}/{metric.name}"
        return Read(path, _metric_query(metric.selector, "labelSelector"))
    if not world.custom:
        return f"no custom metrics API ({CUSTOM_GROUP}) registered"
    base = f"/apis/{CUSTOM_GROUP}/{world.custom}/namespaces/{namespace}"
    if spec.pods is not None:
        query = _metric_query(spec.pods.metric.selector, "metricLabelSelector")
        return Read(f"{base}/pods/*/{spec.pods.metric.name}", (*pods, *query))
    assert spec.object is not None
    ref, metric = spec.object.describedObject, spec.object.metric
    query = _metric_query(metric.selector, "metricLabelSelector")
    if ref.kind == "Namespace" and not group_of(ref.apiVersion):
        return Read(f"{base}/metrics/{metric.name}", query)
    group = group_of(ref.apiVersion)
    resource = (world.resources or {}).get((group, ref.kind))
    if resource is None:
        return f'no matches for kind "{ref.kind}" in group "{group}"'
    return Read(f"{base}/{resource}/{ref.name}/{metric.name}", query)


def reads(world: World) -> list[Read]:
    out: dict[Read, None] = {}
    for spec in world.hpa.spec.metrics:
        try:
            read = read_of(spec, world)
        except (labels.SelectorError, AssertionError):
            continue
        if isinstance(read, Read):
            out[read] = None
    return list(out)


def _seconds(text: str, default: float) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        return default


def _answer(spec: MetricSpec, world: World, api: str) -> Sequence[Tree]:
    """The items that were found. Raises Unable."""
    read = read_of(spec, world)
    found = Found(None, read) if isinstance(read, str) else (world.memory.answers or {}).get(read)
    if found is None or found.tree is None:
        raise Unable(f"unable to fetch metrics from {api}: {found.error if found is not None else 'not read'}")
    items: Sequence[Tree] = found.tree.get("items") or ()
    if not items and spec.object is None:
        raise Unable(f"no metrics returned from {api}")
    return items or ((found.tree,) if "value" in found.tree else ())


def resource_metrics(items: Sequence[Tree], resource: str, container: str) -> Metrics:
    """Samples of PodMetrics; a pod of which one container has no figure is left out. Raises Unable."""
    out: dict[str, PodMetric] = {}
    for item in items:
        meta = item.get("metadata") or {}
        total, known, seen = 0, True, False
        for one in item.get("containers") or ():
            if container and one.get("name") != container:
                continue
            seen = True
            amount = (one.get("usage") or {}).get(resource)
            known = known and amount is not None
            total += quantity.milli(amount) if amount is not None else 0
        if container and not seen:
            where = f"{meta.get('namespace', '')}/{meta.get('name', '')}"
            raise Unable(f"container {container} not present in metrics for pod {where}")
        if known:
            at = parse_rfc3339(item["timestamp"]) if item.get("timestamp") else 0.0
            out[meta.get("name", "")] = PodMetric(total, at, _seconds(str(item.get("window", "")), 60.0))
    return out


def _milli(value: Any) -> int:
    try:
        return quantity.milli(str(value))
    except quantity.QuantityError as error:
        raise Unable(str(error)) from None


def custom_metrics(items: Sequence[Tree]) -> Metrics:
    out: dict[str, PodMetric] = {}
    for item in items:
        window = item.get("windowSeconds", item.get("window"))
        at = parse_rfc3339(item["timestamp"]) if item.get("timestamp") else 0.0
        name = (item.get("describedObject") or {}).get("name", "")
        out[name] = PodMetric(_milli(item.get("value", "0")), at, float(window) if window is not None else 60.0)
    return out


# -- one metric


@dataclass(frozen=True, slots=True)
class Proposal:
    replicas: int
    name: str
    status: MetricStatus


class Failed(Exception):
    """reason: of the event and of the condition ScalingActive. text: what the round reports."""

    def __init__(self, reason: str, message: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.message = message


def _go_map(values: Mapping[str, str]) -> str:
    return "map[string]string{" + "".join(f"{k}: {v}," for k, v in sorted(values.items())) + "}"


def go_selector(selector: LabelSelector | None) -> str:
    """A selector as Go prints it, which is part of upstream's messages."""
    if selector is None:
        return "nil"
    terms = "".join(
        f"LabelSelectorRequirement{{Key:{e.key},Operator:{e.operator},Values:[{' '.join(e.values)}],}},"
        for e in selector.matchExpressions
    )
    labels_text = _go_map(selector.matchLabels)
    return f"&LabelSelector{{MatchLabels:{labels_text},MatchExpressions:[]LabelSelectorRequirement{{{terms}}},}}"


def tolerances(hpa: HorizontalPodAutoscaler) -> Tolerances:
    behavior = hpa.spec.behavior

    def of(rules: Any) -> float:
        return quantity.parse(rules.tolerance).nano / 1e9 if rules and rules.tolerance is not None else TOLERANCE

    return Tolerances(of(behavior.scaleDown), of(behavior.scaleUp)) if behavior is not None else Tolerances()


def _value(milli: int) -> str:
    return quantity.from_milli(milli)


def _resource(
    spec: MetricSpec, target: MetricTarget, resource: str, container: str, world: World, now: float
) -> tuple[int, str, MetricValueStatus]:
    assert world.target.scale is not None
    current, limits = world.target.scale.spec.replicas, tolerances(world.hpa)

    def metrics() -> Metrics:
        try:
            return resource_metrics(_answer(spec, world, RESOURCE_API), resource, container)
        except Unable as error:
            raise Unable(f"unable to get metrics for resource {resource}: {error}") from None

    if target.averageValue is not None:
        try:
            wanted = quantity.milli(target.averageValue)
            replicas, average = average_replicas(current, wanted, resource, world.pods, metrics(), limits, now)
        except Unable as error:
            raise Unable(f"failed to get {resource} usage: {error}") from None
        return replicas, f"{resource} resource", MetricValueStatus(averageValue=_value(average))
    if target.averageUtilization is None:
        raise Unable(
            "invalid resource metric source: neither an average utilization target nor an average value (usage) "
            "target was set"
        )
    try:
        replicas, percent, average = utilization_replicas(
            current, target.averageUtilization, resource, world.pods, metrics(), limits, now, container
        )
    except Unable as error:
        raise Unable(f"failed to get {resource} utilization: {error}") from None
    what = "container resource" if container else "resource"
    name = f"{resource} {what} utilization (percentage of request)"
    return replicas, name, MetricValueStatus(averageUtilization=percent, averageValue=_value(average))


def _by_resource(spec: MetricSpec, world: World, now: float) -> Proposal:
    assert spec.resource is not None
    name, target = spec.resource.name, spec.resource.target
    try:
        replicas, text, current = _resource(spec, target, name, "", world, now)
    except Unable as error:
        prefix = f"failed to get {name} resource metric value"
        raise Failed("FailedGetResourceMetric", str(error), f"{prefix}: {error}") from None
    status = MetricStatus(type="Resource", resource=ResourceMetricStatus(name=name, current=current))
    return Proposal(replicas, text, status)


def _by_container(spec: MetricSpec, world: World, now: float) -> Proposal:
    source = spec.containerResource
    assert source is not None
    try:
        replicas, text, current = _resource(spec, source.target, source.name, source.container, world, now)
    except Unable as error:
        prefix = f"failed to get {source.name} container resource metric value"
        raise Failed("FailedGetContainerResourceMetric", str(error), f"{prefix}: {error}") from None
    status = ContainerResourceMetricStatus(name=source.name, container=source.container, current=current)
    return Proposal(replicas, text, MetricStatus(type="ContainerResource", containerResource=status))


def _by_pods(spec: MetricSpec, world: World, now: float) -> Proposal:
    assert spec.pods is not None and world.target.scale is not None
    metric = spec.pods.metric
    try:
        try:
            metrics = custom_metrics(_answer(spec, world, "custom metrics API"))
        except Unable as error:
            raise Unable(f"unable to get metric {metric.name}: {error}") from None
        wanted = quantity.milli(spec.pods.target.averageValue or "0") or 1
        current = world.target.scale.spec.replicas
        replicas, average = average_replicas(current, wanted, "", world.pods, metrics, tolerances(world.hpa), now)
    except (Unable, labels.SelectorError) as error:
        raise Failed("FailedGetPodsMetric", str(error), f"failed to get pods metric value: {error}") from None
    status = PodsMetricStatus(metric=_identity(metric), current=MetricValueStatus(averageValue=_value(average)))
    return Proposal(replicas, f"pods metric {metric.name}", MetricStatus(type="Pods", pods=status))


def _identity(metric: MetricIdentifier) -> MetricIdentifier:
    return MetricIdentifier(name=metric.name, selector=metric.selector)


def _by_object(spec: MetricSpec, world: World, now: float) -> Proposal:
    source, scale = spec.object, world.target.scale
    assert source is not None and scale is not None
    ref, metric, target = source.describedObject, source.metric, source.target
    try:
        if target.value is None and target.averageValue is None:
            raise Unable("invalid object metric source: neither a value target nor an average value target was set")
        try:
            items = _answer(spec, world, "custom metrics API")
            if not items:
                raise Unable("no metrics returned from custom metrics API")
            value = _milli(items[0].get("value", "0"))
        except Unable as error:
            where = f"{ref.kind} {world.hpa.metadata.namespace}/{ref.name}"
            raise Unable(f"unable to get metric {metric.name}: {error} on {where}") from None
        limits = tolerances(world.hpa)
        if target.type == "Value" and target.value is not None:
            wanted = quantity.milli(target.value) or 1
            replicas = value_replicas(scale.spec.replicas, wanted, value, world.pods, limits)
            current, name = MetricValueStatus(value=_value(value)), f"{ref.kind} metric {metric.name}"
        else:
            wanted = quantity.milli(target.averageValue or "0") or 1
            replicas, average = per_pod_replicas(scale.status.replicas, wanted, value, limits)
            current = MetricValueStatus(averageValue=_value(average))
            name = f"external metric {metric.name}({go_selector(metric.selector)})"
    except (Unable, labels.SelectorError) as error:
        raise Failed("FailedGetObjectMetric", str(error), f"failed to get object metric value: {error}") from None
    status = ObjectMetricStatus(describedObject=ref, metric=_identity(metric), current=current)
    return Proposal(replicas, name, MetricStatus(type="Object", object=status))


def _by_external(spec: MetricSpec, world: World, now: float) -> Proposal:
    source, scale = spec.external, world.target.scale
    assert source is not None and scale is not None
    metric, target = source.metric, source.target
    try:
        if target.value is None and target.averageValue is None:
            raise Unable("invalid external metric source: neither a value target nor an average value target was set")
        try:
            items = _answer(spec, world, "external metrics API")
            value = sum(_milli(item.get("value", "0")) for item in items)
        except Unable as error:
            where = f"{world.hpa.metadata.namespace}/{metric.name}/{go_selector(metric.selector)}"
            raise Unable(f"unable to get external metric {where}: {error}") from None
        limits = tolerances(world.hpa)
        if target.averageValue is not None:
            wanted = quantity.milli(target.averageValue) or 1
            replicas, average = per_pod_replicas(scale.status.replicas, wanted, value, limits)
            current = MetricValueStatus(averageValue=_value(average))
        else:
            wanted = quantity.milli(target.value or "0") or 1
            replicas = value_replicas(scale.spec.replicas, wanted, value, world.pods, limits)
            current = MetricValueStatus(value=_value(value))
    except (Unable, labels.SelectorError) as error:
        text = (
            f"failed to get {metric.name} external metric value: failed to get {metric.name} external metric: {error}"
        )
        raise Failed("FailedGetExternalMetric", str(error), text) from None
    status = MetricStatus(type="External", external=ExternalMetricStatus(metric=_identity(metric), current=current))
    return Proposal(replicas, f"external metric {metric.name}({go_selector(metric.selector)})", status)


_BY_TYPE = {
    "Resource": _by_resource,
    "ContainerResource": _by_container,
    "Pods": _by_pods,
    "Object": _by_object,
    "External": _by_external,
}


def propose(spec: MetricSpec, world: World, now: float) -> Proposal:
    """Raises Failed."""
    by = _BY_TYPE.get(spec.type)
    if by is None:
        text = f'unknown metric source type "{spec.type}"'
        raise Failed("InvalidMetricSourceType", text, text)
    return by(spec, world, now)
