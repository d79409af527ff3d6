"""Quantities, labels, selectors and requests of API trees."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

Tree = dict[str, Any]

_SUFFIX = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}


def quantity(text: str) -> Fraction:
    found = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", text)
    assert found is not None, text
    number, suffix = Fraction(found[1]), found[2]
    if suffix in ("n", "u", "m"):
        return number / {"n": 10**9, "u": 10**6, "m": 1000}[suffix]
    if suffix.endswith("i"):
        return number * Fraction(1024 ** _SUFFIX["k" if suffix[0] == "K" else suffix[0]])
    return number * Fraction(1000 ** _SUFFIX[suffix])


def whole(name: str, amount: Fraction) -> int:
    """cpu in thousandths; rounded up."""
    return math.ceil(amount * 1000) if name == "cpu" else math.ceil(amount)


def labels(obj: Tree) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def name(obj: Tree) -> str:
    return str(obj["metadata"]["name"])


def namespace(obj: Tree) -> str:
    return str(obj["metadata"].get("namespace", ""))


def expression(e: Tree, own: dict[str, str]) -> bool:
    key, operator, values = e["key"], e["operator"], e.get("values") or []
    has = own.get(key)
    if operator == "In":
        return has is not None and has in values
    if operator == "NotIn":
        return has is None or has not in values
    if operator == "Exists":
        return has is not None
    if operator == "DoesNotExist":
        return has is None
    if has is None or not re.fullmatch(r"[+-]?[0-9]+", has):
        return False
    return int(has) > int(values[0]) if operator == "Gt" else int(has) < int(values[0])


def selects(selector: Tree | None, own: dict[str, str]) -> bool:
    """A LabelSelector. None selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(own.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(expression(e, own) for e in selector.get("matchExpressions") or [])


def is_empty(selector: Tree | None) -> bool:
    return selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions")


def node_term(term: Tree, node: Tree) -> bool:
    """A term of a NodeSelector: all of its requirements; one without any selects nothing."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(expression(e, labels(node)) for e in expressions) and all(
        expression(e, {"metadata.name": name(node)}) for e in fields
    )


def node_selector(selector: Tree | None, node: Tree) -> bool:
    return selector is None or any(node_term(term, node) for term in selector["nodeSelectorTerms"])


def node_affinity(pod: Tree) -> Tree:
    return (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}


def node_matches(pod: Tree, node: Tree) -> bool:
    """The pod's node selector and required node affinity."""
    own = labels(node)
    if any(own.get(k) != v for k, v in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    return node_selector(node_affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution"), node)


def tolerates(pod: Tree, taint: Tree, effects: tuple[str, ...] = ()) -> bool:
    """effects: only tolerations of these effects are looked at."""
    for t in pod["spec"].get("tolerations") or []:
        if effects and t.get("effect", "") not in effects:
            continue
        if t.get("effect") and t["effect"] != taint["effect"]:
            continue
        if t.get("key") and t["key"] != taint["key"]:
            continue
        if t.get("operator") == "Exists" or t.get("value", "") == taint.get("value", ""):
            return True
    return False


def taints(node: Tree) -> list[Tree]:
    return node["spec"].get("taints") or []


def _add(a: dict[str, Fraction], b: dict[str, Fraction]) -> dict[str, Fraction]:
    return {k: a.get(k, Fraction(0)) + b.get(k, Fraction(0)) for k in {**a, **b}}


def _most(a: dict[str, Fraction], b: dict[str, Fraction]) -> dict[str, Fraction]:
    return {k: max(a.get(k, Fraction(0)), b.get(k, Fraction(0))) for k in {**a, **b}}


def _of(amounts: Tree | None) -> dict[str, Fraction]:
    return {k: quantity(v) for k, v in (amounts or {}).items()}


def _container(pod: Tree, container: Tree, defaults: dict[str, str]) -> dict[str, Fraction]:
    out = _of((container.get("resources") or {}).get("requests"))
    status = pod.get("status") or {}
    for seen in [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]:
        if seen["name"] == container["name"]:  # a resize is on its way: what is given still counts
            out = _most(out, _of((seen.get("resources") or {}).get("requests")))
            out = _most(out, _of(seen.get("allocatedResources")))
    return {**_of(defaults), **out}


def requests(pod: Tree, defaults: dict[str, str] | None = None) -> dict[str, int]:
    """defaults: what a container counts for that asks for nothing."""
    spec = pod["spec"]
    total: dict[str, Fraction] = {}
    for container in spec["containers"]:
        total = _add(total, _container(pod, container, defaults or {}))
    sidecars: dict[str, Fraction] = {}
    starting: dict[str, Fraction] = {}
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            own = _container(pod, container, defaults or {})
            total = _add(total, own)
            sidecars = _add(sidecars, own)
            starting = _most(starting, sidecars)
        else:
            own = {**_of(defaults), **_of((container.get("resources") or {}).get("requests"))}
            starting = _most(starting, _add(own, sidecars))
    total = _most(total, starting)
    for key, amount in _of((spec.get("resources") or {}).get("requests")).items():
        total[key] = amount
    total = _add(total, _of(spec.get("overhead")))
    return {k: whole(k, v) for k, v in total.items()}


LEAST = {"cpu": "100m", "memory": "200Mi"}


def nonzero(pod: Tree) -> dict[str, int]:
    return requests(pod, LEAST)


def allocatable(node: Tree) -> dict[str, int]:
    return {k: whole(k, quantity(v)) for k, v in (node["status"].get("allocatable") or {}).items()}


def claim_names(pod: Tree) -> list[str]:
    out = []
    for volume in pod["spec"].get("volumes") or []:
        if "persistentVolumeClaim" in volume:
            out.append(volume["persistentVolumeClaim"]["claimName"])
        elif "ephemeral" in volume:
            out.append(f"{name(pod)}-{volume['name']}")
    return out


def default_normalize(scores: dict[str, int], reverse: bool = False) -> dict[str, int]:
    most = max(scores.values(), default=0)
    if most == 0:
        return {k: 100 if reverse else v for k, v in scores.items()}
    out = {k: 100 * v // most for k, v in scores.items()}
    return {k: 100 - v for k, v in out.items()} if reverse else out
