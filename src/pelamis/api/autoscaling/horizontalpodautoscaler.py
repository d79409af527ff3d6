"""HorizontalPodAutoscaler: changes the replicas of a workload so that its metrics meet their targets.

This version (v2) is the stored one; v1 is served by conversion. Validation is in ``hpavalidation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.autoscaling.hpavalidation import validate, validate_status_update, validate_update
from pelamis.api.cell import NONE, UNSET
from pelamis.api.field import F, Int32, Int64, Quantity, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.table import age


class CrossVersionObjectReference(Struct, frozen=True):
    kind: Annotated[str, F(1, "Kind of the object referred to.", required=True)] = always(str)
    name: Annotated[str, F(2, "Name of the object referred to.", required=True)] = always(str)
    apiVersion: Annotated[str, F(3, "Group and version of the object referred to.")] = ""


class MetricTarget(Struct, frozen=True):
    type: Annotated[str, F(1, "Utilization, Value or AverageValue: which of the others counts.", required=True)] = (
        always(str)
    )
    value: Annotated[Quantity | None, F(2, "Target for the whole.")] = None
    averageValue: Annotated[Quantity | None, F(3, "Target for the average over all pods.")] = None
    averageUtilization: Annotated[
        Int32 | None, F(4, "Target for the average over all pods, in percent of what they request.")
    ] = None


class MetricIdentifier(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the metric.", required=True)] = always(str)
    selector: Annotated[LabelSelector | None, F(2, "Narrows the metric to series with these labels.")] = None


class ObjectMetricSource(Struct, frozen=True):
    describedObject: Annotated[
        CrossVersionObjectReference, F(1, "The object that the metric is about.", required=True)
    ] = always(CrossVersionObjectReference)
    target: Annotated[MetricTarget, F(2, "The target value.", required=True)] = always(MetricTarget)
    metric: Annotated[MetricIdentifier, F(3, "The metric.", required=True)] = always(MetricIdentifier)


class PodsMetricSource(Struct, frozen=True):
    metric: Annotated[MetricIdentifier, F(1, "The metric.", required=True)] = always(MetricIdentifier)
    target: Annotated[MetricTarget, F(2, "The target value.", required=True)] = always(MetricTarget)


class ResourceMetricSource(Struct, frozen=True):
    name: Annotated[str, F(1, "Resource, such as cpu.", required=True)] = always(str)
    target: Annotated[MetricTarget, F(2, "The target value.", required=True)] = always(MetricTarget)


class ContainerResourceMetricSource(Struct, frozen=True):
    name: Annotated[str, F(1, "Resource, such as cpu.", required=True)] = always(str)
    target: Annotated[MetricTarget, F(2, "The target value.", required=True)] = always(MetricTarget)
    container: Annotated[str, F(3, "Name of the container in the pods.", required=True)] = always(str)


class ExternalMetricSource(Struct, frozen=True):
    metric: Annotated[MetricIdentifier, F(1, "The metric.", required=True)] = always(MetricIdentifier)
    target: Annotated[MetricTarget, F(2, "The target value.", required=True)] = always(MetricTarget)


class MetricSpec(Struct, frozen=True):
    type: Annotated[
        str, F(1, "Object, Pods, Resource, ContainerResource or External: which of the others is set.", required=True)
    ] = always(str)
    object: Annotated[ObjectMetricSource | None, F(2, "A metric of one object.")] = None
    pods: Annotated[PodsMetricSource | None, F(3, "A metric of each pod, averaged.")] = None
    resource: Annotated[ResourceMetricSource | None, F(4, "A resource of the pods.")] = None
    containerResource: Annotated[
        ContainerResourceMetricSource | None, F(7, "A resource of one container of the pods.")
    ] = None
    external: Annotated[ExternalMetricSource | None, F(5, "A metric from outside of the cluster.")] = None


class HPAScalingPolicy(Struct, frozen=True):
    type: Annotated[str, F(1, "Pods or Percent.", required=True)] = always(str)
    value: Annotated[Int32, F(2, "How many pods, or percent of them, within a period.", required=True)] = always(int)
    periodSeconds: Annotated[Int32, F(3, "Length of the period, 1 to 1800 seconds.", required=True)] = always(int)


class HPAScalingRules(Struct, frozen=True):
    stabilizationWindowSeconds: Annotated[
        Int32 | None, F(3, "Seconds, 0 to 3600, of past recommendations that are looked at; 0 up, 300 down if unset.")
    ] = None
    selectPolicy: Annotated[str | None, F(1, "Max, Min or Disabled: which of the policies counts.")] = None
    policies: Annotated[tuple[HPAScalingPolicy, ...] | None, F(2, "Limits of the change.", list="atomic")] = None
    tolerance: Annotated[Quantity | None, F(4, "Relative deviation from the target that is let pass, such as 0.1.")] = (
        None
    )


class HorizontalPodAutoscalerBehavior(Struct, frozen=True):
    scaleUp: Annotated[HPAScalingRules | None, F(1, "Limits for scaling up.")] = None
    scaleDown: Annotated[HPAScalingRules | None, F(2, "Limits for scaling down.")] = None


class HorizontalPodAutoscalerSpec(Struct, frozen=True):
    scaleTargetRef: Annotated[CrossVersionObjectReference, F(1, "What is scaled.", required=True)] = always(
        CrossVersionObjectReference
    )
    minReplicas: Annotated[Int32 | None, F(2, "Fewest replicas; 1 if unset.", default=1)] = None
    maxReplicas: Annotated[Int32, F(3, "Most replicas.", required=True)] = always(int)
    metrics: Annotated[
        tuple[MetricSpec, ...],
        F(4, "Metrics and their targets; the highest proposal counts; 80% of CPU if empty.", list="atomic"),
    ] = ()
    behavior: Annotated[HorizontalPodAutoscalerBehavior | None, F(5, "How fast replicas may change.")] = None


class MetricValueStatus(Struct, frozen=True):
    value: Annotated[Quantity | None, F(1, "For the whole.")] = None
    averageValue: Annotated[Quantity | None, F(2, "Average over all pods.")] = None
    averageUtilization: Annotated[Int32 | None, F(3, "Average over all pods, in percent of what they request.")] = None


class ObjectMetricStatus(Struct, frozen=True):
    metric: Annotated[MetricIdentifier, F(1, "The metric.", required=True)] = always(MetricIdentifier)
    current: Annotated[MetricValueStatus, F(2, "The current value.", required=True)] = always(MetricValueStatus)
    describedObject: Annotated[
        CrossVersionObjectReference, F(3, "The object that the metric is about.", required=True)
    ] = always(CrossVersionObjectReference)


class PodsMetricStatus(Struct, frozen=True):
    metric: Annotated[MetricIdentifier, F(1, "The metric.", required=True)] = always(MetricIdentifier)
    current: Annotated[MetricValueStatus, F(2, "The current value.", required=True)] = always(MetricValueStatus)


class ResourceMetricStatus(Struct, frozen=True):
    name: Annotated[str, F(1, "Resource, such as cpu.", required=True)] = always(str)
    current: Annotated[MetricValueStatus, F(2, "The current value.", required=True)] = always(MetricValueStatus)


class ContainerResourceMetricStatus(Struct, frozen=True):
    name: Annotated[str, F(1, "Resource, such as cpu.", required=True)] = always(str)
    current: Annotated[MetricValueStatus, F(2, "The current value.", required=True)] = always(MetricValueStatus)
    container: Annotated[str, F(3, "Name of the container in the pods.", required=True)] = always(str)


class ExternalMetricStatus(Struct, frozen=True):
    metric: Annotated[MetricIdentifier, F(1, "The metric.", required=True)] = always(MetricIdentifier)
    current: Annotated[MetricValueStatus, F(2, "The current value.", required=True)] = always(MetricValueStatus)


class MetricStatus(Struct, frozen=True):
    type: Annotated[
        str, F(1, "Object, Pods, Resource, ContainerResource or External: which of the others is set.", required=True)
    ] = always(str)
    object: Annotated[ObjectMetricStatus | None, F(2, "A metric of one object.")] = None
    pods: Annotated[PodsMetricStatus | None, F(3, "A metric of each pod, averaged.")] = None
    resource: Annotated[ResourceMetricStatus | None, F(4, "A resource of the pods.")] = None
    containerResource: Annotated[
        ContainerResourceMetricStatus | None, F(7, "A resource of one container of the pods.")
    ] = None
    external: Annotated[ExternalMetricStatus | None, F(5, "A metric from outside of the cluster.")] = None


class HorizontalPodAutoscalerCondition(Struct, frozen=True):
    type: Annotated[str, F(1, "Type of the condition.", required=True)] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    lastTransitionTime: Annotated[Time, F(3, "When the status last changed.")] = ""
    reason: Annotated[str, F(4, "One word in CamelCase for the last transition.")] = ""
    message: Annotated[str, F(5, "The last transition, for people.")] = ""
    observedGeneration: Annotated[
        Int64 | None, F(6, "The generation of the object that the status was computed from.")
    ] = None


class HorizontalPodAutoscalerStatus(Struct, frozen=True):
    observedGeneration: Annotated[
        Int64 | None, F(1, "The generation of the object that the status was computed from.")
    ] = None
    lastScaleTime: Annotated[Time | None, F(2, "When the number of replicas was last changed.")] = None
    currentReplicas: Annotated[Int32, F(3, "Replicas as last seen.")] = 0
    desiredReplicas: Annotated[Int32, F(4, "Replicas as last computed.", required=True)] = always(int)
    currentMetrics: Annotated[tuple[MetricStatus, ...], F(5, "Metrics as last read.", list="atomic")] = always(tuple)
    conditions: Annotated[
        tuple[HorizontalPodAutoscalerCondition, ...],
        F(6, "Latest observations, one for each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()


class HorizontalPodAutoscaler(Struct, frozen=True):
    """Changes the replicas of a workload so that its metrics meet their targets."""

    kind: str = always(lambda: "HorizontalPodAutoscaler")
    apiVersion: str = always(lambda: "autoscaling/v2")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[HorizontalPodAutoscalerSpec, F(2, "What is wanted.", required=True)] = always(
        HorizontalPodAutoscalerSpec
    )
    status: Annotated[HorizontalPodAutoscalerStatus, F(3, "What was observed; written by the system.")] = always(
        HorizontalPodAutoscalerStatus
    )


_SCALE_UP = ({"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15})
_SCALE_DOWN = ({"type": "Percent", "value": 100, "periodSeconds": 15},)
_MOST_SHOWN = 2


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if spec.get("minReplicas") is None:
        spec["minReplicas"] = 1
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is None:
        return
    for name, policies in (("scaleUp", _SCALE_UP), ("scaleDown", _SCALE_DOWN)):
        rules = behavior[name] = behavior.get(name) or {}
        if name == "scaleUp" and rules.get("stabilizationWindowSeconds") is None:
            rules["stabilizationWindowSeconds"] = 0
        if rules.get("selectPolicy") is None:
            rules["selectPolicy"] = "Max"
        if rules.get("policies") is None:  # an empty list is no answer, and is refused
            rules["policies"] = [dict(policy) for policy in policies]


def _share(percent: int | None, absent: str) -> str:
    return absent if percent is None else f"{percent}%"


def _of_whole(source: Any, current: Any) -> str:
    """An object's or an external metric against its target."""
    if source.target.averageValue is not None:
        now = current.averageValue if current is not None else None
        return f"{now or '<unknown>'}/{source.target.averageValue} (avg)"
    now = (current.value or "0") if current is not None else "<unknown>"
    return f"{now}/{source.target.value or '0'}"


def _of_resource(source: Any, current: Any) -> str:
    target = source.target
    if target.averageValue is not None:
        now = (current.averageValue or "0") if current is not None else "<unknown>"
        return f"{source.name}: {now}/{target.averageValue}"
    now = _share(current.averageUtilization if current is not None else None, "<unknown>")
    return f"{source.name}: {now}/{_share(target.averageUtilization, '<auto>')}"


def _metric_text(spec: MetricSpec, status: MetricStatus | None) -> str:
    field = spec.type[:1].lower() + spec.type[1:]
    source = getattr(spec, field, None)
    if source is None or field == "type":
        return "<unknown type>"
    found = getattr(status, field) if status is not None else None
    current = found.current if found is not None else None
    if field in ("external", "object"):
        return _of_whole(source, current)
    if field == "pods":
        now = (current.averageValue or "0") if current is not None else "<unknown>"
        return f"{now}/{source.target.averageValue or '0'}"
    return _of_resource(source, current)


def _metrics_text(specs: Sequence[MetricSpec], statuses: Sequence[MetricStatus]) -> str:
    if not specs:
        return NONE
    texts = [_metric_text(s, statuses[i] if i < len(statuses) else None) for i, s in enumerate(specs)]
    text = ", ".join(texts[:_MOST_SHOWN])
    return f"{text} + {len(texts) - _MOST_SHOWN} more..." if len(texts) > _MOST_SHOWN else text


def cells(obj: HorizontalPodAutoscaler, now: float) -> Sequence[Any]:
    spec = obj.spec
    return (
        obj.metadata.name,
        f"{spec.scaleTargetRef.kind}/{spec.scaleTargetRef.name}",
        _metrics_text(spec.metrics, obj.status.currentMetrics),
        UNSET if spec.minReplicas is None else str(spec.minReplicas),
        spec.maxReplicas,
        obj.status.currentReplicas,
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="autoscaling",
    version="v2",
    type=HorizontalPodAutoscaler,
    plural="horizontalpodautoscalers",
    singular="horizontalpodautoscaler",
    short_names=("hpa",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status", "autoscaling", "v2", "HorizontalPodAutoscaler", ("get", "patch", "update"), reset=("spec",)
        ),
    ),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Reference", "string"),
        Column("Targets", "string"),
        Column("MinPods", "string"),
        Column("MaxPods", "string"),
        Column("Replicas", "string"),
        Column("Age", "string"),
    ),
    storage_hash="qwQve8ut294=",
    cells=cells,
    default=default,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
)
