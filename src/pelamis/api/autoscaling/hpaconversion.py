"""HorizontalPodAutoscaler v1 and v2: what v1 has no field for travels in annotations, as JSON in the older notation.

v1 knows one CPU utilization. The other metrics, the state of all metrics, the conditions and the behavior are kept in
``autoscaling.alpha.kubernetes.io/...`` annotations of the v1 object, and are taken from them on the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pelamis.api.field import Tree

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, CURRENT_METRICS = _PREFIX + "metrics", _PREFIX + "current-metrics"
CONDITIONS, BEHAVIOR = _PREFIX + "conditions", _PREFIX + "behavior"


def _read(text: str | None) -> Any:
    """None when absent or broken: upstream ignores an annotation that it cannot read."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _clean(tree: Tree) -> Tree:
    return {k: v for k, v in tree.items() if v is not None}


_RULES = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")
_POLICY = ("type", "value", "periodSeconds")


def _old_behavior(new: Tree | None) -> Tree | None:
    """Upstream writes its internal struct, whose fields have no JSON names: Go's names, and null for what is unset."""
    if not new:
        return None

    def named(tree: Tree, names: tuple[str, ...]) -> Tree:
        return {name[0].upper() + name[1:]: tree.get(name) for name in names}

    out: Tree = {}
    for direction in ("scaleUp", "scaleDown"):
        rules = new.get(direction)
        if rules is not None:
            policies = rules.get("policies")
            rules = named({**rules, "policies": policies and [named(p, _POLICY) for p in policies]}, _RULES)
        out[direction[0].upper() + direction[1:]] = rules
    return out


def _new_behavior(old: Any) -> Any:
    """Names are read in any case, as Go reads them."""
    if isinstance(old, list):
        return [_new_behavior(value) for value in old]
    if isinstance(old, dict):
        lower = {name[:1].lower() + name[1:]: value for name, value in old.items()}
        return {name: _new_behavior(value) for name, value in lower.items() if value is not None}
    return old


def _metric(name: str, selector: Any) -> Tree:
    return _clean({"name": name, "selector": selector})


def _target(value: Any, average: Any) -> Tree:
    kind = "Value" if average is None else "AverageValue"
    return _clean({"type": kind, "value": value, "averageValue": average})


def _resource_target(old: Tree) -> Tree:
    share, average = old.get("targetAverageUtilization"), old.get("targetAverageValue")
    kind = "AverageValue" if share is None else "Utilization"
    return _clean({"type": kind, "averageValue": average, "averageUtilization": share})


def _new_spec(old: Tree) -> Tree:
    out: Tree = {"type": old.get("type", "")}
    if (o := old.get("object")) is not None:
        out["object"] = {
            "describedObject": o.get("target", {}),
            "target": _target(o.get("targetValue", "0"), o.get("averageValue")),
            "metric": _metric(o.get("metricName", ""), o.get("selector")),
        }
    if (o := old.get("pods")) is not None:
        target = {"type": "AverageValue", "averageValue": o.get("targetAverageValue", "0")}
        out["pods"] = {"metric": _metric(o.get("metricName", ""), o.get("selector")), "target": target}
    if (o := old.get("resource")) is not None:
        out["resource"] = {"name": o.get("name", ""), "target": _resource_target(o)}
    if (o := old.get("containerResource")) is not None:
        out["containerResource"] = {
            "name": o.get("name", ""),
            "target": _resource_target(o),
            "container": o.get("container", ""),
        }
    if (o := old.get("external")) is not None:
        out["external"] = {
            "metric": _metric(o.get("metricName", ""), o.get("metricSelector")),
            "target": _target(o.get("targetValue"), o.get("targetAverageValue")),
        }
    return out


def _old_spec(new: Tree) -> Tree:
    out: Tree = {"type": new.get("type", "")}
    if (n := new.get("object")) is not None:
        out["object"] = _clean(
            {
                "target": n["describedObject"],
                "metricName": n["metric"]["name"],
                "targetValue": n["target"].get("value", "0"),
                "selector": n["metric"].get("selector"),
                "averageValue": n["target"].get("averageValue"),
            }
        )
    if (n := new.get("pods")) is not None:
        out["pods"] = _clean(
            {
                "metricName": n["metric"]["name"],
                "targetAverageValue": n["target"].get("averageValue", "0"),
                "selector": n["metric"].get("selector"),
            }
        )
    for name in ("resource", "containerResource"):
        if (n := new.get(name)) is not None:
            out[name] = _clean(
                {
                    "name": n["name"],
                    "targetAverageUtilization": n["target"].get("averageUtilization"),
                    "targetAverageValue": n["target"].get("averageValue"),
                    "container": n.get("container"),
                }
            )
    if (n := new.get("external")) is not None:
        out["external"] = _clean(
            {
                "metricName": n["metric"]["name"],
                "metricSelector": n["metric"].get("selector"),
                "targetValue": n["target"].get("value"),
                "targetAverageValue": n["target"].get("averageValue"),
            }
        )
    return out


def _new_status(old: Tree) -> Tree:
    out: Tree = {"type": old.get("type", "")}
    if (o := old.get("object")) is not None:
        out["object"] = {
            "metric": _metric(o.get("metricName", ""), o.get("selector")),
            "current": _clean({"value": o.get("currentValue", "0"), "averageValue": o.get("averageValue")}),
            "describedObject": o.get("target", {}),
        }
    if (o := old.get("pods")) is not None:
        out["pods"] = {
            "metric": _metric(o.get("metricName", ""), o.get("selector")),
            "current": {"averageValue": o.get("currentAverageValue", "0")},
        }
    for name in ("resource", "containerResource"):
        if (o := old.get(name)) is not None:
            current = {
                "averageValue": o.get("currentAverageValue", "0"),
                "averageUtilization": o.get("currentAverageUtilization"),
            }
            out[name] = {"name": o.get("name", ""), "current": _clean(current)}
            if name == "containerResource":
                out[name]["container"] = o.get("container", "")
    if (o := old.get("external")) is not None:
        current = {"value": o.get("currentValue", "0"), "averageValue": o.get("currentAverageValue")}
        out["external"] = {
            "metric": _metric(o.get("metricName", ""), o.get("metricSelector")),
            "current": _clean(current),
        }
    return out


def _old_status(new: Tree) -> Tree:
    out: Tree = {"type": new.get("type", "")}
    if (n := new.get("object")) is not None:
        out["object"] = _clean(
            {
                "target": n["describedObject"],
                "metricName": n["metric"]["name"],
                "currentValue": n["current"].get("value", "0"),
                "selector": n["metric"].get("selector"),
                "averageValue": n["current"].get("averageValue"),
            }
        )
    if (n := new.get("pods")) is not None:
        out["pods"] = _clean(
            {
                "metricName": n["metric"]["name"],
                "currentAverageValue": n["current"].get("averageValue", "0"),
                "selector": n["metric"].get("selector"),
            }
        )
    for name in ("resource", "containerResource"):
        if (n := new.get(name)) is not None:
            out[name] = _clean(
                {
                    "name": n["name"],
                    "currentAverageUtilization": n["current"].get("averageUtilization"),
                    "currentAverageValue": n["current"].get("averageValue", "0"),
                    "container": n.get("container"),
                }
            )
    if (n := new.get("external")) is not None:
        out["external"] = _clean(
            {
                "metricName": n["metric"]["name"],
                "metricSelector": n["metric"].get("selector"),
                "currentValue": n["current"].get("value", "0"),
                "currentAverageValue": n["current"].get("averageValue"),
            }
        )
    return out


def _cpu(metric: Tree, value: str) -> int | None:
    """The CPU utilization that a Resource metric is about; ``value`` is ``target`` or ``current``."""
    resource = metric.get("resource")
    if metric.get("type") != "Resource" or not resource or resource.get("name") != "cpu":
        return None
    share: int | None = resource.get(value, {}).get("averageUtilization")
    return share


def _converted(text: str | None, convert: Callable[[Tree], Tree]) -> list[Tree] | None:
    old = _read(text)
    if not isinstance(old, list) or not all(isinstance(o, dict) for o in old):
        return None
    return [convert(o) for o in old]


def to_hub(tree: Tree) -> None:
    """A v1 tree into a v2 tree, in place."""
    spec, status = tree.setdefault("spec", {}), tree.setdefault("status", {})
    annotations = dict(tree.get("metadata", {}).get("annotations") or {})
    share = spec.pop("targetCPUUtilizationPercentage", None)
    metrics: list[Tree] = []
    if share is not None:
        target = {"type": "Utilization", "averageUtilization": share}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    metrics = (_converted(annotations.pop(METRICS, None), _new_spec) or []) + metrics
    if metrics:
        spec["metrics"] = metrics
    behavior = _read(annotations.pop(BEHAVIOR, None))
    if isinstance(behavior, dict):
        spec["behavior"] = _new_behavior(behavior)
    used = status.pop("currentCPUUtilizationPercentage", None)
    current = _converted(annotations.pop(CURRENT_METRICS, None), _new_status)
    if current is None and used is not None:
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used}}}]
    status["currentMetrics"] = current or []
    conditions = _read(annotations.pop(CONDITIONS, None))
    if isinstance(conditions, list):
        status["conditions"] = conditions
    _set_annotations(tree, annotations)


def from_hub(tree: Tree) -> None:
    """A v2 tree into a v1 tree, in place."""
    spec, status = tree.setdefault("spec", {}), tree.setdefault("status", {})
    annotations = dict(tree.get("metadata", {}).get("annotations") or {})
    metrics = spec.pop("metrics", None) or []
    current = status.pop("currentMetrics", None) or []
    shares = [s for s in (_cpu(m, "target") for m in metrics) if s is not None]
    if shares:
        spec["targetCPUUtilizationPercentage"] = shares[0]
    used = [s for s in (_cpu(m, "current") for m in current) if s is not None]
    if used:
        status["currentCPUUtilizationPercentage"] = used[0]
    status.setdefault("currentReplicas", 0)
    others = [_old_spec(m) for m in metrics if _cpu(m, "target") is None]
    for key, value in (
        (METRICS, others),
        (CURRENT_METRICS, [_old_status(m) for m in current]),
        (CONDITIONS, status.pop("conditions", None)),
        (BEHAVIOR, _old_behavior(spec.pop("behavior", None))),
    ):
        if value:
            annotations[key] = msgspec.json.encode(value).decode()
    _set_annotations(tree, annotations)


def _set_annotations(tree: Tree, annotations: Tree) -> None:
    metadata = tree.setdefault("metadata", {})
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
