"""Validation of HorizontalPodAutoscalers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pelamis.api.check import Errors, check_choice, check_nonnegative, check_required_text
from pelamis.base import names, quantity
from pelamis.base.errors import forbidden, invalid, not_supported, required

if TYPE_CHECKING:
    from pelamis.api.autoscaling.horizontalpodautoscaler import (
        ContainerResourceMetricSource,
        CrossVersionObjectReference,
        ExternalMetricSource,
        HorizontalPodAutoscaler,
        HPAScalingRules,
        MetricIdentifier,
        MetricSpec,
        MetricTarget,
        ObjectMetricSource,
        PodsMetricSource,
        ResourceMetricSource,
    )

_SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_LONGEST_STABILIZATION_S, _LONGEST_PERIOD_S = 3600, 1800


def validate(obj: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler | None = None) -> Errors:
    spec = obj.spec
    errors: Errors = []
    least, most = spec.minReplicas, spec.maxReplicas
    if least is not None and least < 0:
        errors.append(invalid("spec.minReplicas", least, "must be greater than or equal to 0"))
    if not most:
        errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    target = spec.scaleTargetRef
    was = old.spec.scaleTargetRef if old is not None else None
    same = was is not None and (was.apiVersion, was.kind) == (target.apiVersion, target.kind)
    in_core = target.kind == "ReplicationController"  # the only one there that scales
    errors += _validate_reference(target, "spec.scaleTargetRef", any_version=same, no_group=in_core)
    lenient = old is not None and any(
        m.type == "Object" and m.object is not None and _version_problem(m.object.describedObject.apiVersion, True)
        for m in old.spec.metrics
    )
    for i, metric in enumerate(spec.metrics):
        errors += _validate_metric(metric, f"spec.metrics[{i}]", lenient)
    if least == 0 and not any(m.type in ("Object", "External") for m in spec.metrics):
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(forbidden("spec.metrics", why))
    if spec.behavior is not None:
        for name, rules in (("scaleUp", spec.behavior.scaleUp), ("scaleDown", spec.behavior.scaleDown)):
            if rules is not None:
                errors += _validate_rules(rules, f"spec.behavior.{name}")
    return errors


def validate_update(obj: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> Errors:
    return validate(obj, old)


def validate_status_update(obj: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> Errors:
    errors = check_nonnegative(obj.status.currentReplicas, "status.currentReplicas")
    return errors + check_nonnegative(obj.status.desiredReplicas, "status.desiredReplicas")


def _validate_reference(
    ref: CrossVersionObjectReference, path: str, *, any_version: bool = False, no_group: bool = True
) -> Errors:
    errors = check_required_text(names.is_path_segment, ref.kind, f"{path}.kind")
    errors += check_required_text(names.is_path_segment, ref.name, f"{path}.name")
    problem = "" if any_version else _version_problem(ref.apiVersion, no_group)
    return [*errors, invalid(f"{path}.apiVersion", ref.apiVersion, problem)] if problem else errors


def _version_problem(version: str, no_group: bool) -> str:
    """no_group: one of the core group, or none at all, will do."""
    if version.count("/") > 1:
        return f"unexpected GroupVersion string: {version}"
    has_group = "/" in version and not version.startswith("/")
    return "" if no_group or has_group else "apiVersion must specify API group"


def _validate_rules(rules: HPAScalingRules, path: str) -> Errors:
    errors: Errors = []
    window = rules.stabilizationWindowSeconds
    if window is not None and window < 0:
        detail = "must be greater than or equal to zero"
        errors.append(invalid(f"{path}.stabilizationWindowSeconds", window, detail))
    if window is not None and window > _LONGEST_STABILIZATION_S:
        detail = f"must be less than or equal to {_LONGEST_STABILIZATION_S}"
        errors.append(invalid(f"{path}.stabilizationWindowSeconds", window, detail))
    if rules.selectPolicy is not None:
        errors += check_choice(rules.selectPolicy, f"{path}.selectPolicy", ("Disabled", "Max", "Min"))
    if not rules.policies:
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for i, policy in enumerate(rules.policies or ()):
        where = f"{path}.policies[{i}]"
        errors += check_choice(policy.type, f"{where}.type", ("Percent", "Pods"))
        if policy.value <= 0:
            errors.append(invalid(f"{where}.value", policy.value, "must be greater than zero"))
        if policy.periodSeconds <= 0:
            errors.append(invalid(f"{where}.periodSeconds", policy.periodSeconds, "must be greater than zero"))
        if policy.periodSeconds > _LONGEST_PERIOD_S:
            detail = f"must be less than or equal to {_LONGEST_PERIOD_S}"
            errors.append(invalid(f"{where}.periodSeconds", policy.periodSeconds, detail))
    if rules.tolerance is not None and quantity.sign(rules.tolerance) < 0:
        detail = "must be greater or equal to zero"
        errors.append(invalid(f"{path}.tolerance", rules.tolerance, detail))
    return errors


def _validate_metric(metric: MetricSpec, path: str, lenient: bool) -> Errors:
    errors: Errors = []
    if not metric.type:
        errors.append(required(f"{path}.type", "must specify a metric source type"))
    if metric.type not in _SOURCES:
        errors.append(not_supported(f"{path}.type", metric.type, tuple(_SOURCES)))
    present = [name for name in _SOURCES.values() if getattr(metric, name) is not None]
    if present:
        errors += _validate_source(metric, path, lenient)
    expected = _SOURCES.get(metric.type, "")
    if not expected:
        errors.append(not_supported(f"{path}.type", metric.type, tuple(_SOURCES)))
    elif expected not in present:
        errors.append(required(f"{path}.{expected}", "must populate information for the given metric source"))
    if len(present) != 1:
        for name in present:
            if name != expected:
                errors.append(forbidden(f"{path}.{name}", "must populate the given metric source only"))
    return errors


def _validate_source(metric: MetricSpec, path: str, lenient: bool) -> Errors:
    if metric.object is not None:
        return _validate_object(metric.object, f"{path}.object", lenient)
    if metric.external is not None:
        return _validate_external(metric.external, f"{path}.external")
    if metric.pods is not None:
        return _validate_pods(metric.pods, f"{path}.pods")
    if metric.resource is not None:
        return _validate_resource(metric.resource, f"{path}.resource")
    assert metric.containerResource is not None
    return _validate_container(metric.containerResource, f"{path}.containerResource")


def _validate_object(source: ObjectMetricSource, path: str, lenient: bool) -> Errors:
    errors = _validate_reference(source.describedObject, f"{path}.describedObject", any_version=lenient)
    errors += _validate_identifier(source.metric, f"{path}.metric")
    errors += _validate_target(source.target, f"{path}.target")
    if source.target.value is None and source.target.averageValue is None:
        errors.append(required(f"{path}.target.averageValue", "must set either a target value or averageValue"))
    return errors


def _validate_external(source: ExternalMetricSource, path: str) -> Errors:
    errors = _validate_identifier(source.metric, f"{path}.metric")
    errors += _validate_target(source.target, f"{path}.target")
    total, each = source.target.value, source.target.averageValue
    if total is None and each is None:
        detail = "must set either a target value for metric or a per-pod target"
        errors.append(required(f"{path}.target.averageValue", detail))
    if total is not None and each is not None:
        detail = "may not set both a target value for metric and a per-pod target"
        errors.append(forbidden(f"{path}.target.value", detail))
    return errors


def _validate_pods(source: PodsMetricSource, path: str) -> Errors:
    errors = _validate_identifier(source.metric, f"{path}.metric")
    errors += _validate_target(source.target, f"{path}.target")
    each = source.target.averageValue
    if each is None or quantity.sign(each) != 1:
        errors.append(required(f"{path}.target.averageValue", "must specify a positive target averageValue"))
    return errors


def _validate_container(source: ContainerResourceMetricSource, path: str) -> Errors:
    errors: Errors = []
    if not source.name:
        errors.append(required(f"{path}.name", "must specify a resource name"))
    errors += check_required_text(
        names.is_path_segment, source.container, f"{path}.container", "must specify a container"
    )
    return errors + _validate_resource_target(source.target, f"{path}.target")


def _validate_resource(source: ResourceMetricSource, path: str) -> Errors:
    errors: Errors = []
    if not source.name:
        errors.append(required(f"{path}.name", "must specify a resource name"))
    return errors + _validate_resource_target(source.target, f"{path}.target")


def _validate_resource_target(target: MetricTarget, path: str) -> Errors:
    errors = _validate_target(target, path)
    if target.averageUtilization is None and target.averageValue is None:
        detail = "must set either a target raw value or a target utilization"
        errors.append(required(f"{path}.averageUtilization", detail))
    if target.averageUtilization is not None and target.averageValue is not None:
        detail = "may not set both a target raw value and a target utilization"
        errors.append(forbidden(f"{path}.averageValue", detail))
    return errors


def _validate_target(target: MetricTarget, path: str) -> Errors:
    errors: Errors = []
    if not target.type:
        errors.append(required(f"{path}.type", "must specify a metric target type"))
    if target.type not in ("Utilization", "Value", "AverageValue"):
        errors.append(invalid(f"{path}.type", target.type, "must be either Utilization, Value, or AverageValue"))
    for name in ("value", "averageValue"):
        value = getattr(target, name)
        if value is not None and quantity.sign(value) != 1:
            errors.append(invalid(f"{path}.{name}", value, "must be positive"))
    if target.averageUtilization is not None and target.averageUtilization < 1:
        errors.append(invalid(f"{path}.averageUtilization", target.averageUtilization, "must be greater than 0"))
    return errors


def _validate_identifier(metric: MetricIdentifier, path: str) -> Errors:
    return check_required_text(names.is_path_segment, metric.name, f"{path}.name", "must specify a metric name")
