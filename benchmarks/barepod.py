"""The CRI calls that a pod takes, without anybody above the runtime: what the kubelet is set against."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pelamis.kubelet.cri import types as cri


async def start(runtime: Any, index: int, image: str, *, logs: str, cgroup: str, command: Sequence[str] = ()) -> float:
    """Seconds until the container runs; it is removed again."""
    settings = cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=f"bare-{index}", uid=f"00000000-0000-0000-0000-{index:012d}", namespace="bench"
        ),
        hostname=f"bare-{index}",
        log_directory=logs,
        linux=cri.LinuxPodSandboxConfig(cgroup_parent=cgroup),
    )
    container = cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name="main"),
        image=cri.ImageSpec(image=image),
        command=tuple(command),
        log_path="main.log",
    )
    began = time.perf_counter()
    sandbox = await runtime.run_sandbox(settings)
    id_ = await runtime.create_container(sandbox, container, settings)
    await runtime.start_container(id_)
    took = time.perf_counter() - began
    await runtime.stop_sandbox(sandbox)
    await runtime.remove_sandbox(sandbox)
    return took
