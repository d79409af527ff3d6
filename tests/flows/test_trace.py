"""The golden trace of one Deployment: which writes the controllers make, commit by commit.

An added round trip shows up here as a difference. The scheduler and the node are the simulator's, so that the trace is
that of the controllers alone.
"""

from __future__ import annotations

from typing import Any

from pelamis.api.core.service import KIND as SERVICE
from pelamis.client.types import Create
from pelamis.controllers import deployment, endpoints, endpointslice, replicaset
from pelamis.sim.loop import run
from tests.sim.cluster import Cluster
from tests.sim.test_workloads import DEPLOYMENT, manifest


def _shown(action: Any) -> str:
    what = type(action).__name__.lower()
    name = action.kind.plural
    sub = getattr(action, "subresource", "")
    return f"{what} {name}/{sub}" if sub else f"{what} {name}"


GOLDEN = """
create replicasets, update deployments/status
create endpointslices
create endpoints
create events
create pods x3, update replicasets/status
create events x3
update replicasets/status
update deployments/status
update endpointslices
update endpoints
update replicasets/status
update endpointslices
update endpoints
update deployments/status
""".strip()
"""The second half twice: the pods run and have addresses, then they are ready."""


def test_three_replicas() -> None:
    async def main() -> None:
        modules = (deployment, replicaset, endpointslice, endpoints)
        sim = Cluster([m.CONTROLLER for m in modules])
        sim.start()
        service = {
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 80}], "ipFamilies": ["IPv4"]},
        }
        sim.server.do(Create(SERVICE, service), Create(DEPLOYMENT, manifest()))
        await sim.settle(30)
        lines = []
        for commit in sim.server.commits:
            counts: dict[str, int] = {}
            for action in commit:
                counts[_shown(action)] = counts.get(_shown(action), 0) + 1
            lines.append(", ".join(f"{k} x{n}" if n > 1 else k for k, n in counts.items()))
        assert "\n".join(lines) == GOLDEN

    run(main())
