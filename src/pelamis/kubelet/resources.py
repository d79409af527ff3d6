"""CPU and memory of pods and containers as the kernel wants them: shares, quota, bytes, OOM score. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api.core.pod.qos import qos_class
from pelamis.base import quantity
from pelamis.kubelet.cri import types as cri

PERIOD_US = 100_000
MIN_SHARES = 2
MAX_SHARES = 262_144
MIN_QUOTA_US = 1000
GUARANTEED_OOM, BEST_EFFORT_OOM = -997, 1000
NODE_CRITICAL = 2_000_001_000


def shares(milli: int) -> int:
    return min(max(milli * 1024 // 1000, MIN_SHARES), MAX_SHARES) if milli else MIN_SHARES


def quota(milli: int) -> int:
    """Microseconds per period; 0 = unlimited."""
    return max(milli * PERIOD_US // 1000, MIN_QUOTA_US) if milli else 0


def weight(cpu_shares: int) -> int:
    """cgroup v1 shares (2..262144) as a cgroup v2 weight (1..10000)."""
    return 1 + (cpu_shares - 2) * 9999 // 262142


def limits_of(pod: Any, container: Any) -> dict[str, str]:
    """A container without a limit of its own for cpu or memory is held to the pod's."""
    own: dict[str, str] = container.resources.limits
    whole = pod.spec.resources.limits if pod.spec.resources is not None else {}
    added = {n: whole[n] for n in ("cpu", "memory") if n in whole and quantity.is_zero(own.get(n, "0"))}
    return {**own, **added} if added else own


def granted(pod: Any, container: Any) -> Any:
    """What a container of the pod is to have: its ResourceRequirements, with the limits that hold for it."""
    limits = limits_of(pod, container)
    own = container.resources
    return own if limits is own.limits else msgspec.structs.replace(own, limits=limits)


def _memory_request(container: Any) -> int:
    return quantity.value(container.resources.requests.get("memory", "0"))


def oom_score(pod: Any, container: Any, memory_capacity: int) -> int:
    """The more of its memory request a container of a Burstable pod has, the less likely it is killed.

    What a pod requests beyond its containers counts for all of them in equal parts; a sidecar is not killed before the
    main container that requests least.
    """
    if (pod.spec.priority or 0) >= NODE_CRITICAL:
        return GUARANTEED_OOM
    qos = qos_class(pod)
    if qos == "Guaranteed":
        return GUARANTEED_OOM
    if qos == "BestEffort":
        return BEST_EFFORT_OOM
    spec, share = pod.spec, 0
    request = _memory_request(container)
    whole = spec.resources.requests if spec.resources is not None else {}
    if "memory" in whole:
        asked, _ = _of_containers(spec, "requests", "memory", quantity.value)
        share = max(quantity.value(whole["memory"]) - asked, 0) // (len(spec.initContainers) + len(spec.containers))
    if container.restartPolicy == "Always" and any(c is container for c in spec.initContainers):
        request = max(request, min(_memory_request(main) for main in spec.containers))
    score = 1000 - 1000 * (request + share) // max(memory_capacity, 1)
    return max(1000 + GUARANTEED_OOM, min(score, BEST_EFFORT_OOM - 1))


def for_container(pod: Any, container: Any, memory_capacity: int) -> cri.LinuxContainerResources:
    limits, requests = limits_of(pod, container), container.resources.requests
    cpu_limit = quantity.milli(limits.get("cpu", "0"))
    cpu_request = quantity.milli(requests["cpu"]) if "cpu" in requests else cpu_limit
    memory = quantity.value(limits.get("memory", "0"))
    pages = tuple(
        cri.HugepageLimit(page_size=_page_size(name), limit=quantity.value(amount))
        for name, amount in limits.items()
        if name.startswith("hugepages-")
    )
    return cri.LinuxContainerResources(
        cpu_period=PERIOD_US if cpu_limit else 0,
        cpu_quota=quota(cpu_limit),
        cpu_shares=shares(cpu_request),
        memory_limit_in_bytes=memory,
        oom_score_adj=oom_score(pod, container, memory_capacity),
        hugepage_limits=pages,
    )


def _page_size(name: str) -> str:
    """``hugepages-2Mi`` is ``2MB`` for the kernel's files."""
    text = name.removeprefix("hugepages-")
    return f"{text[:-2]}{text[-2]}B" if text.endswith(("Ki", "Mi", "Gi")) else text


def _over(containers: Any, pick: str, name: str, unit: Any) -> tuple[int, bool]:
    """(sum, every container has it)."""
    total, complete = 0, True
    for container in containers:
        amounts = getattr(container.resources, pick)
        amount = amounts.get(name)
        if amount is None and pick == "requests":
            amount = container.resources.limits.get(name)
        if amount is None or quantity.is_zero(amount):
            complete = False
        else:
            total += unit(amount)
    return total, complete


def effective(pod: Any, pick: str, name: str, unit: Any) -> tuple[int, bool]:
    """Of the whole pod: main containers and sidecars together, or the largest init step if that is more.

    pick: limits or requests. The flag tells whether every container declares it; pod-level resources count first.
    """
    spec = pod.spec
    overhead = unit(spec.overhead[name]) if name in spec.overhead else 0
    if spec.resources is not None:
        own = getattr(spec.resources, pick).get(name)
        if own is not None:
            return unit(own) + overhead, True
    total, complete = _of_containers(spec, pick, name, unit)
    return total + overhead, complete


def _of_containers(spec: Any, pick: str, name: str, unit: Any) -> tuple[int, bool]:
    sidecars: list[Any] = []
    peak, complete = 0, True
    for container in spec.initContainers:
        if container.restartPolicy == "Always":
            sidecars.append(container)
            total, ok = _over(sidecars, pick, name, unit)
        else:
            total, ok = _over([*sidecars, container], pick, name, unit)
        peak, complete = max(peak, total), complete and ok
    total, ok = _over([*sidecars, *spec.containers], pick, name, unit)
    return max(peak, total), complete and ok


def most(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """Of two settings of a pod's cgroup, the wider in each respect; without the first, no limit at all."""
    out = {}
    for name, value in other.items():
        before = one.get(name, 0)
        limit = name in ("quota", "memory")
        out[name] = 0 if limit and not (before and value) else max(before, value)
    return out


def for_pod(pod: Any, pids: int = -1) -> dict[str, int]:
    """Values of the pod's cgroup: shares, quota (0 = none), memory (0 = none), pids (0 = none)."""
    request, _ = effective(pod, "requests", "cpu", quantity.milli)
    limit, limited = effective(pod, "limits", "cpu", quantity.milli)
    memory, bounded = effective(pod, "limits", "memory", quantity.value)
    qos = qos_class(pod)
    out = {"shares": MIN_SHARES, "quota": 0, "memory": 0, "pids": max(pids, 0)}
    if qos != "BestEffort":
        out["shares"] = shares(request)
        out["quota"] = quota(limit) if limited else 0
        out["memory"] = memory if bounded else 0
    return out
