"""LimitRanger: defaults and bounds for the resources of containers, pods and claims of a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pelamis.api.field import Tree
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write
from pelamis.base import quantity

_ANNOTATION = "kubernetes.io/limit-ranger"


def _items(objects: Objects, namespace: str, type: str) -> Iterator[Any]:
    for limit_range in objects.list("limitranges", namespace):
        for item in limit_range.spec.limits:
            if item.type == type:
                yield item


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE" or write.resource != "pods":
        return
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for item in _items(objects, write.namespace, "Container"):
        for name, value in item.default.items():
            limits.setdefault(name, value)
        for name, value in item.defaultRequest.items():
            requests.setdefault(name, value)
    if not limits and not requests:
        return
    spec = write.tree.setdefault("spec", {})
    notes: list[str] = []
    for group, shown in (("containers", "container"), ("initContainers", "init container")):
        for container in spec.get(group) or ():
            notes += _fill(container, shown, limits, requests)
    if notes:
        annotations = write.tree["metadata"].setdefault("annotations", {})
        annotations[_ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def _fill(container: Tree, shown: str, limits: dict[str, str], requests: dict[str, str]) -> list[str]:
    resources = container.setdefault("resources", {})
    notes: list[str] = []
    for field, word, wanted in (("requests", "request", requests), ("limits", "limit", limits)):
        have = resources.get(field) or {}
        added = sorted(n for n in wanted if n not in have)
        if added:
            resources[field] = {**have, **{n: wanted[n] for n in added}}
            notes.append(f"{', '.join(added)} {word} for {shown} {container.get('name', '')}")
    if not resources:
        del container["resources"]
    return notes


def _nano(text: str) -> int:
    return quantity.parse(text).nano


def _bounds(item: Any, type: str, requests: dict[str, str], limits: dict[str, str]) -> Iterator[str]:
    """Each bound of the item that the amounts break, in upstream's words. A claim has requests only."""
    for name, least in sorted(item.min.items()):
        request, limit = requests.get(name), limits.get(name)
        head = f"minimum {name} usage per {type} is {least}"
        if request is None:
            yield f"{head}.  No request is specified"
        elif _nano(request) < _nano(least):
            yield f"{head}, but request is {request}"
        elif limit is not None and _nano(limit) < _nano(least):
            yield f"{head}, but limit is {limit}"
    for name, most in sorted(item.max.items()):
        request, limit = requests.get(name), limits.get(name)
        head = f"maximum {name} usage per {type} is {most}"
        if type == "PersistentVolumeClaim":
            if request is None:
                yield f"{head}.  No request is specified"
        elif limit is None:
            yield f"{head}.  No limit is specified"
            continue
        elif _nano(limit) > _nano(most):
            yield f"{head}, but limit is {limit}"
            continue
        if request is not None and _nano(request) > _nano(most):
            yield f"{head}, but request is {request}"
    for name, ratio in sorted(item.maxLimitRequestRatio.items()):
        request, limit = requests.get(name), limits.get(name)
        if not request or _nano(request) == 0:
            yield f"{name} max limit to request ratio per {type} is {ratio}, but no request is specified or request is 0"  # noqa: E501
        elif not limit or _nano(limit) == 0:
            yield f"{name} max limit to request ratio per {type} is {ratio}, but no limit is specified or limit is 0"
        else:
            given = _nano(limit) / _nano(request)
            if given > _nano(ratio) / quantity.NANO:
                yield f"{name} max limit to request ratio per {type} is {ratio}, but provided ratio is {given:f}"


def _validate(write: Write, obj: Any, objects: Objects) -> None:
    if write.operation == "DELETE":
        return
    problems: list[str] = []
    if write.resource == "persistentvolumeclaims":
        requests = dict(obj.spec.resources.requests)
        for item in _items(objects, write.namespace, "PersistentVolumeClaim"):
            problems += _bounds(item, "PersistentVolumeClaim", requests, {})
    elif write.operation == "CREATE" or write.subresource == "resize":
        for item in _items(objects, write.namespace, "Container"):
            for container in (*obj.spec.containers, *obj.spec.initContainers):
                problems += _bounds(item, "Container", container.resources.requests, container.resources.limits)
        pod_items = list(_items(objects, write.namespace, "Pod"))
        if pod_items:
            totals = {}
            for field in ("requests", "limits"):
                totals[field] = {n: quantity.format(v) for n, v in _totals(obj.spec, field).items()}
            for item in pod_items:
                problems += _bounds(item, "Pod", totals["requests"], totals["limits"])
    if problems:
        raise write.forbid(problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]")


def _totals(spec: Any, field: str) -> dict[str, int]:
    from pelamis.api.quota import pod_totals

    return dict(pod_totals(spec, field))


PLUGIN = Plugin(
    "LimitRanger",
    frozenset(("pods", "persistentvolumeclaims")),
    mutate=_mutate,
    validate=_validate,
    subresources=("resize",),
)
