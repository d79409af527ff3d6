"""The controllers on a real API server with authorization and admission: what a user declares comes to be."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pelamis.api.apps.daemonset import KIND as DAEMONSET
from pelamis.api.apps.deployment import KIND as DEPLOYMENT
from pelamis.api.apps.replicaset import KIND as REPLICASET
from pelamis.api.apps.statefulset import KIND as STATEFULSET
from pelamis.api.batch.job import KIND as JOB
from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.serviceaccount import KIND as SERVICEACCOUNT
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.api.policy.poddisruptionbudget import KIND as BUDGET
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.client.types import Create, Delete, Patch
from pelamis.controllers import Options, controllers
from pelamis.reconcile.kinds import RegistryKinds
from pelamis.reconcile.runner import run_all
from tests.apiserver.harness import running

from .hollow import hollow_nodes
from .hollow import tasks as node_tasks

SELECTOR = {"matchLabels": {"app": "web"}}


class Live:
    def __init__(self, client: Any) -> None:
        self.client = client

    async def do(self, *actions: Any) -> None:
        for outcome in await self.client.commit(actions):
            assert outcome.error is None, outcome.error

    async def until(self, kind: Any, holds: Callable[[Any], bool], what: str = "", timeout_s: float = 10.0) -> None:
        """Wait, woken by the view, until holds(view)."""
        view = self.client.view(kind)
        reached = asyncio.Event()
        cancel = view.subscribe(lambda key, old, new: reached.set())
        try:
            async with asyncio.timeout(timeout_s):
                while not holds(view):
                    reached.clear()
                    await reached.wait()
        except TimeoutError:
            pytest.fail(f"never: {what or kind.plural}: {view.list()}")
        finally:
            cancel()


@asynccontextmanager
async def live() -> AsyncIterator[Live]:
    async with running() as harness:
        server = harness.server
        client = server.client(LOOPBACK_USER)
        nodes = hollow_nodes(server, "node-1", "node-2")
        options = Options(ca_bundle=harness.ca.pair.cert.decode(), node_ranges=(("10.244.0.0/16", 24),))
        reader = server.client("system:kube-controller-manager")

        def client_for(user: str) -> Any:
            writer = server.client(user)

            class Split:
                view = staticmethod(reader.view)
                get = staticmethod(reader.get)
                commit = staticmethod(writer.commit)

            return Split()

        kinds = RegistryKinds(server.registry)
        tasks = [
            asyncio.ensure_future(run_all(controllers(options), client_for, clock=time.time, kinds=kinds)),
            *node_tasks(server, nodes),
        ]
        try:
            await nodes.ready.wait()
            yield Live(client)
            for task in tasks:
                assert not task.done(), task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def made(kind: Any, name: str, **spec: Any) -> Create:
    return Create(kind, {"metadata": {"name": name, "namespace": "team"}, "spec": spec})


def template(app: str, *command: str, **spec: Any) -> dict[str, Any]:
    meta = {"labels": {"app": app}} if app else {}
    containers = [{"name": "c", "image": "nginx:1", "command": list(command)}]
    return {"metadata": meta, "spec": {"containers": containers, "terminationGracePeriodSeconds": 1, **spec}}


def ready(kind: Any, name: str, field: str, count: int) -> Any:
    def holds(view: Any) -> bool:
        found = view.get("team", name)
        return found is not None and getattr(found.status, field) == count

    return holds


@pytest.fixture
def refusals(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the server refused to the controllers, races apart."""
    caplog.set_level(logging.INFO, "pelamis.reconcile")

    def found() -> list[str]:
        harmless = ("has been modified", "already exists", "not found")
        return [r.getMessage() for r in caplog.records if not any(h in r.getMessage() for h in harmless)]

    return found


def test_what_is_declared_comes_to_be_and_goes(refusals: Callable[[], list[str]]) -> None:
    async def main() -> None:
        async with live() as world:
            await world.do(Create(NAMESPACE, {"metadata": {"name": "team"}}))
            await world.until(SERVICEACCOUNT, lambda v: v.get("team", "default") is not None)
            await world.until(CONFIGMAP, lambda v: v.get("team", "kube-root-ca.crt") is not None)

            await world.do(
                made(SERVICE, "web", selector={"app": "web"}, ports=[{"port": 80, "targetPort": 8080}]),
                made(DEPLOYMENT, "web", replicas=3, selector=SELECTOR, template=template("web")),
                made(BUDGET, "web", minAvailable=2, selector=SELECTOR),
            )
            await world.until(DEPLOYMENT, ready(DEPLOYMENT, "web", "availableReplicas", 3))
            await world.until(SLICE, lambda v: any(len(s.endpoints) == 3 for s in v.list("team")))
            await world.until(BUDGET, ready(BUDGET, "web", "disruptionsAllowed", 1))
            image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}}
            await world.do(Patch(DEPLOYMENT, "team", "web", image, "strategic"))

            def rolled(view: Any) -> bool:
                pods = [p for p in view.list("team") if p.metadata.deletionTimestamp is None]
                return len(pods) == 3 and {p.spec.containers[0].image for p in pods} == {"nginx:2"}

            await world.until(POD, rolled, "rolled out")
            other, agent = {"matchLabels": {"app": "other"}}, {"matchLabels": {"app": "agent"}}
            await world.do(
                made(STATEFULSET, "db", replicas=2, serviceName="db", selector=other, template=template("other")),
                made(DAEMONSET, "agent", selector=agent, template=template("agent")),
                made(JOB, "work", completions=3, parallelism=2, template=template("", "true", restartPolicy="Never")),
            )
            await world.until(STATEFULSET, ready(STATEFULSET, "db", "availableReplicas", 2))
            await world.until(DAEMONSET, ready(DAEMONSET, "agent", "numberAvailable", 2))
            await world.until(JOB, ready(JOB, "work", "succeeded", 3))
            await world.until(JOB, lambda v: any(c.type == "Complete" for c in v.get("team", "work").status.conditions))
            await world.do(Delete(DEPLOYMENT, "team", "web", propagation="Foreground"))
            await world.until(DEPLOYMENT, lambda v: v.get("team", "web") is None)
            assert not world.client.view(REPLICASET).list("team")
            await world.do(Delete(NAMESPACE, "", "team"))
            await world.until(NAMESPACE, lambda v: v.get("", "team") is None, "namespace gone")
            assert not world.client.view(POD).list("team")

    asyncio.run(main())
    assert refusals() == []
