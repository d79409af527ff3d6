"""What a pod asks for: its containers' requests and limits added up as the scheduler, quota and the kubelet count them.

Regular containers run together, so their amounts add up. Init containers run one after the other before them, so the
largest counts; a sidecar (an init container that restarts always) keeps running, so it is added to everything that
starts after it. Pod-level amounts, where set, replace the sums; the runtime class's overhead comes on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pelamis.api.core.pod.container import Container
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.spec import PodSpec
from pelamis.api.core.pod.status import ContainerStatus
from pelamis.api.core.resourcename import is_hugepages, is_overcommit_allowed
from pelamis.api.field import Tree
from pelamis.base.quantity import Quantity, format, parse

__all__ = [
    "Amounts",
    "all_have_limit",
    "container_limits",
    "container_requests",
    "is_overcommit_allowed",
    "is_supported_pod_level",
    "pod_limits",
    "pod_requests",
    "round_resource_list",
    "tree_container_limits",
    "tree_container_requests",
    "write_amount",
]

Amounts = dict[str, Quantity]
"""Resource name to amount."""
_List = Mapping[str, str]
_MILLI = 1_000_000


def is_supported_pod_level(name: str) -> bool:
    """Whether a pod, and not only a container, can state this resource."""
    return name in ("cpu", "memory") or is_hugepages(name)


def write_amount(name: str, amount: Quantity) -> str:
    """Canonical text of an amount."""
    return format(amount.nano, amount.format)


def round_resource_list(amounts: dict[str, str]) -> None:
    """Rounds each amount up to thousandths, in place: nothing finer is kept in a resource list."""
    for name, text in amounts.items():
        if isinstance(text, str) and text.isalnum() and text[-1:] not in ("n", "u"):
            continue
        quantity = parse(str(text))
        if quantity.nano % _MILLI:
            amounts[name] = format(-(-quantity.nano // _MILLI) * _MILLI, quantity.format)


def _add(into: Amounts, amounts: _List) -> None:
    for name, text in amounts.items():
        more = parse(text)
        have = into.get(name)
        if have is None:
            into[name] = more
        else:
            into[name] = Quantity(have.nano + more.nano, have.format if have.nano else more.format)


def _add_amounts(into: Amounts, amounts: Amounts) -> None:
    for name, more in amounts.items():
        have = into.get(name)
        into[name] = (
            more if have is None else Quantity(have.nano + more.nano, have.format if have.nano else more.format)
        )


def _raise_to(into: Amounts, amounts: Amounts) -> None:
    for name, other in amounts.items():
        have = into.get(name)
        if have is None or other.nano > have.nano:
            into[name] = other


def _aggregate(regular: Iterable[_List], inits: Iterable[tuple[bool, _List]]) -> Amounts:
    """``inits``: whether the init container is a sidecar, and its amounts, in order."""
    total: Amounts = {}
    for amounts in regular:
        _add(total, amounts)
    sidecars: Amounts = {}
    starting: Amounts = {}
    for always, amounts in inits:
        if always:
            _add(total, amounts)
            _add(sidecars, amounts)
            _raise_to(starting, sidecars)
        else:
            alone: Amounts = {}
            _add(alone, amounts)
            _add_amounts(alone, sidecars)
            _raise_to(starting, alone)
    if starting:
        _raise_to(total, starting)
    return total


def container_requests(spec: PodSpec) -> Amounts:
    """Requests of all containers together, without pod level and overhead."""
    return _aggregate(
        (c.resources.requests for c in spec.containers),
        ((c.restartPolicy == "Always", c.resources.requests) for c in spec.initContainers),
    )


def container_limits(spec: PodSpec) -> Amounts:
    """Limits of all containers together, without pod level and overhead."""
    return _aggregate(
        (c.resources.limits for c in spec.containers),
        ((c.restartPolicy == "Always", c.resources.limits) for c in spec.initContainers),
    )


def pod_requests(
    pod: Pod,
    *,
    use_status: bool = False,
    overhead: bool = True,
    pod_level: bool = True,
    least: _List | None = None,
) -> Amounts:
    """What the pod needs to run.

    use_status: count what the kubelet has actually given to a container while a resize is on its way, if that is more.
    least: what a container counts for that asks for nothing.
    """
    spec = pod.spec
    if least or (use_status and (pod.status.containerStatuses or pod.status.initContainerStatuses)):
        total = _aggregate_with_status(pod, use_status, least or {})
    elif spec.initContainers or len(spec.containers) != 1:
        total = container_requests(spec)
    else:
        total = {name: parse(text) for name, text in spec.containers[0].resources.requests.items()}
    if pod_level and spec.resources is not None and spec.resources.requests:
        for name, text in spec.resources.requests.items():
            if is_supported_pod_level(name):
                total[name] = parse(text)
    if overhead and spec.overhead:
        _add(total, spec.overhead)
    return total


def _aggregate_with_status(pod: Pod, use_status: bool, least: _List) -> Amounts:
    spec, status = pod.spec, pod.status
    seen = {s.name: s for s in (*status.containerStatuses, *status.initContainerStatuses)} if use_status else {}
    infeasible = any(
        c.type == "PodResizePending" and c.status == "True" and c.reason == "Infeasible" for c in status.conditions
    )

    def current(container: Container) -> _List:
        found = seen.get(container.name)
        own = _with_status(container, found, infeasible) if found is not None else container.resources.requests
        return {**least, **own} if least else own

    return _aggregate(
        (current(c) for c in spec.containers),
        (
            (always := c.restartPolicy == "Always", current(c) if always else {**least, **c.resources.requests})
            for c in spec.initContainers
        ),
    )


def _with_status(container: Container, status: ContainerStatus, infeasible: bool) -> _List:
    given = status.resources.requests if status.resources is not None else {}
    wanted: _List = {} if infeasible and status.resources is not None else container.resources.requests
    out = dict(wanted)
    for amounts in (given, status.allocatedResources):
        for name, text in amounts.items():
            have = out.get(name)
            if have is None or parse(text).nano > parse(have).nano:
                out[name] = text
    return out


def pod_limits(pod: Pod, *, overhead: bool = True, pod_level: bool = True) -> Amounts:
    """The most the pod may use; a resource that is missing has no limit on the pod as a whole."""
    spec = pod.spec
    total = container_limits(spec)
    if pod_level and spec.resources is not None:
        for name, text in spec.resources.limits.items():
            if is_supported_pod_level(name):
                total[name] = parse(text)
    if overhead:
        for name, text in spec.overhead.items():
            have = total.get(name)
            if have is not None and have.nano:
                total[name] = Quantity(have.nano + parse(text).nano, have.format)
    return total


def _tree_lists(spec: Tree, field: str) -> tuple[list[_List], list[tuple[bool, _List]]]:
    def of(container: Tree) -> _List:
        found: _List = (container.get("resources") or {}).get(field) or {}
        return found

    regular = [of(c) for c in spec.get("containers") or ()]
    inits = [(c.get("restartPolicy") == "Always", of(c)) for c in spec.get("initContainers") or ()]
    return regular, inits


def tree_container_requests(spec: Tree) -> Amounts:
    """``container_requests`` of a PodSpec tree."""
    return _aggregate(*_tree_lists(spec, "requests"))


def tree_container_limits(spec: Tree) -> Amounts:
    """``container_limits`` of a PodSpec tree."""
    return _aggregate(*_tree_lists(spec, "limits"))


def all_have_limit(spec: Tree, name: str) -> bool:
    """Whether every container of a PodSpec tree limits the resource."""
    regular, inits = _tree_lists(spec, "limits")
    return all(name in amounts for amounts in regular) and all(name in amounts for _, amounts in inits)
