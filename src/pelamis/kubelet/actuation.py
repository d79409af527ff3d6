"""Carries out a resize: the pod's cgroup grows, its containers change, the cgroup shrinks.

A memory limit is not lowered below what is in use: the kernel would kill somebody, or refuse.
"""

from __future__ import annotations

from typing import Any

from pelamis.kubelet import actions as a
from pelamis.kubelet import resources
from pelamis.kubelet.agent import Agent
from pelamis.kubelet.cri.runtime import CriError


async def resize(agent: Agent, pod: Any, order: a.Resize) -> a.Resized:
    """pod: as it was granted."""
    specs = {c.name: c for c in (*pod.spec.initContainers, *pod.spec.containers)}
    wanted = {name: resources.for_container(pod, specs[name], agent.memory_capacity) for name, _ in order.containers}
    cgroups = agent.cgroups
    done: list[str] = []
    if cgroups is not None:
        limits = {id_: (name, wanted[name].memory_limit_in_bytes) for name, id_ in order.containers}
        problem = _too_low(cgroups, cgroups.pod_path(pod), order, limits)
        if problem:
            return a.Resized((), f"cannot decrease memory limits: {problem}")
        cgroups.set_pod(pod, resources.most(order.before, order.after))
    for name, id_ in order.containers:
        try:
            await agent.runtime.update_resources(id_, wanted[name])
        except CriError as error:
            return a.Resized(tuple(done), str(error))
        done.append(name)
    if cgroups is not None:
        cgroups.set_pod(pod, order.after)
    return a.Resized(tuple(done))


def _too_low(cgroups: Any, group: str, order: a.Resize, limits: dict[str, tuple[str, int]]) -> str:
    problems = []
    before, after = order.before.get("memory", 0), order.after.get("memory", 0)
    if after and (not before or after < before):
        used = cgroups.usage(group).get("memory", 0)
        if used >= after:
            problems.append(f"attempting to set pod memory limit ({after}) below current usage ({used})")
    for id_, (name, limit) in limits.items():
        used = cgroups.usage(f"{group}/{id_}").get("memory", 0) if limit else 0
        if limit and used >= limit:
            problems.append(f'attempting to set container "{name}" memory limit ({limit}) below current usage ({used})')
    return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]" if problems else ""
