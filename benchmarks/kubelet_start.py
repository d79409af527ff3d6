"""Created to Running, as a watcher of the API sees it, against the bare CRI calls for the same pod in the same run.

Needs root, containerd and the CNI plugins. The API is in memory, so the difference is the agent's own.
"""

from __future__ import annotations

import asyncio
import statistics
import time

import uvloop
from benchmarks import barepod
from benchmarks.frame import Row, below, skipped, table
from tests.kubelet import rig
from tests.kubelet.live import Live, pod, running

ROUNDS = 20
LIMIT_MS = 50.0
COMMAND = ("sleep", "1000")


async def bare(live: Live, index: int) -> float:
    cgroup = f"{live.config().cgroup_root}/bare"
    took = await barepod.start(
        live.runtime, index, rig.BUSYBOX, logs=f"{live.rig.dir}/bare", cgroup=cgroup, command=COMMAND
    )
    return took * 1000


async def managed(live: Live, index: int) -> float:
    name = f"pod-{index}"
    began = time.perf_counter()
    await live.create(pod(name, {"command": list(COMMAND)}))
    await live.until(name, running)
    took = time.perf_counter() - began
    await live.delete(name, 1)
    await live.until(name, lambda found: found is None)
    return took * 1000


async def _measure() -> list[Row]:
    async with Live() as live:
        await managed(live, 1000)
        ours, theirs = [], []
        for index in range(ROUNDS):
            theirs.append(await bare(live, index))
            ours.append(await managed(live, index))
        cpu = time.process_time()
        await asyncio.sleep(10)
        idle = (time.process_time() - cpu) / 10 * 100
    a, b = statistics.median(ours), statistics.median(theirs)
    note = f"{a:.0f} ms against {b:.0f} ms for the bare calls"
    return [
        below("the agent alone: created to Running above bare CRI, p50", a - b, LIMIT_MS, "ms", note),
        below("the agent alone: idle CPU", idle, 1.0, "% of a core"),
    ]


def rows() -> list[Row]:
    missing = rig.missing()
    if missing:
        return [skipped("the agent alone: created to Running", f"needs {missing}")]
    return uvloop.run(_measure())


if __name__ == "__main__":
    print(table(rows()))
