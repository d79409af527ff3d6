"""The process of hollow nodes: as many as ``pelamis up --hollow-nodes N`` says, over the HTTP client.

argv: the data directory. It reads with an identity of its own, which may list pods and nodes and act as any node; what
it writes for a node it writes as ``system:node:<name>``, so that the server's rules for nodes hold. Nodes that are
wanted no longer are deleted; with none wanted, the process ends. ``<run>/hollow.ready`` tells that all are registered.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pelamis.main.config import Cluster, ConfigError, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from pelamis.client.http import HttpClient
    from pelamis.client.types import Key
    from pelamis.kubelet.hollow.inbox import Source
    from pelamis.kubelet.hollow.node import HollowNode
    from pelamis.net.tls import Pair

log = logging.getLogger("pelamis.hollow")
USER = "pelamis:hollow-nodes"
AGENT = "kubelet/v1.37.0 pelamis-hollow"
PORT_OFFSET, PORTS_OFFSET = 5, 100
"""Ports of the kubelet endpoint, counted from the real kubelet's: of all nodes, or the first where each has its own."""
_API_RETRY_S = 1.0
_EVENT_BURST = 500.0
"""Events of all nodes together that are recorded at once."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What ``--hollow-node`` says of every node."""

    cpu: str = "8"
    memory: str = "32Gi"
    pods: int = 110
    storage: str = "100Gi"
    pids: int = 32768
    zones: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[tuple[str, str, str], ...] = ()
    more: dict[str, str] = field(default_factory=dict)


def shape(text: str) -> Shape:
    """``cpu=16,memory=64Gi,pods=250,zones=3,labels=disk=ssd;tier=web,taints=gpu=yes:NoSchedule,nvidia.com/gpu=4``.

    Raises ConfigError.
    """
    from pelamis.base import quantity

    found: dict[str, Any] = {"more": {}}
    for part in text.split(",") if text else ():
        name, equals, value = part.strip().partition("=")
        try:
            if not equals or not value:
                raise ValueError("say NAME=VALUE")
            match name:
                case "cpu" | "memory" | "storage":
                    quantity.parse(value)
                    found[name] = value
                case "pods" | "pids" | "zones":
                    found[name] = int(value)
                    if found[name] < (name != "zones"):
                        raise ValueError("it is too small")
                case "labels":
                    found[name] = dict(_pair(one) for one in value.split(";"))
                case "taints":
                    found[name] = tuple(_taint(one) for one in value.split(";"))
                case _ if "/" in name:
                    quantity.parse(value)
                    found["more"][name] = value
                case _:
                    known = (
                        "cpu, memory, storage, pods, pids, zones, labels, taints, or a resource such as nvidia.com/gpu"
                    )
                    raise ValueError(f"known are {known}")
        except ValueError as error:
            raise ConfigError(f'--hollow-node: "{part.strip()}": {error}') from None
    return Shape(**found)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError("a label is KEY=VALUE; several are separated by ;")
    return key, value


def _taint(text: str) -> tuple[str, str, str]:
    head, colon, effect = text.rpartition(":")
    if not colon or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise ValueError("a taint is KEY=VALUE:EFFECT; several are separated by ;")
    key, _, value = head.partition("=")
    return key, value, effect


def nodes(cluster: Cluster, port: int | None) -> list[HollowNode]:
    """port: of all nodes, each of which has a loopback address of its own; None: each has a port of its own."""
    from pelamis.kubelet.hollow.node import HollowNode, loopback, pod_range, zones

    count, what = cluster.hollow_nodes or 0, shape(cluster.hollow_node)
    names = zones(count, what.zones) if what.zones else [""] * count
    return [
        HollowNode(
            f"hollow-{i + 1}",
            cpu=what.cpu,
            memory=what.memory,
            pods=what.pods,
            storage=what.storage,
            pids=what.pids,
            labels=what.labels,
            taints=what.taints,
            zone=names[i],
            pod_cidr=pod_range(i, what.pods),
            address="127.0.0.1" if port is None else loopback(i),
            port=cluster.kubelet_port + PORTS_OFFSET + i if port is None else port,
            capacity=what.more,
        )
        for i in range(count)
    ]


def check(cluster: Cluster) -> None:
    """Raises ConfigError when there cannot be such nodes."""
    from pelamis.kubelet.hollow.node import pod_range

    count = cluster.hollow_nodes or 0
    if count < 0:
        raise ConfigError(f"--hollow-nodes {count}: there cannot be less than none")
    try:
        pod_range(max(count - 1, 0), shape(cluster.hollow_node).pods)
    except ValueError as error:
        raise ConfigError(f"--hollow-nodes {count}: {error}") from None


def roles() -> list[dict[str, Any]]:
    """What the process may do by itself."""
    read = ["get", "list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": read},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": [*read, "delete"]},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": read},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["kube-root-ca.crt"], "verbs": read},
        {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch", "update"]},
        {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["groups"], "resourceNames": ["system:nodes"], "verbs": ["impersonate"]},
    ]
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "User", "apiGroup": group, "name": USER}
    reference = {"kind": "ClusterRole", "apiGroup": group, "name": USER}
    return [
        {"kind": "ClusterRole", "apiVersion": f"{group}/v1", "metadata": {"name": USER}, "rules": rules},
        {
            "kind": "ClusterRoleBinding",
            "apiVersion": f"{group}/v1",
            "metadata": {"name": USER},
            "subjects": [subject],
            "roleRef": reference,
        },
    ]


async def _insist(client: Any, actions: list[Any]) -> None:
    """Until the server has answered; raises what it refused."""
    while True:
        try:
            outcomes = await client.commit(actions)
        except OSError as error:
            log.info("the API server does not answer yet: %s", error)
            await asyncio.sleep(_API_RETRY_S)
            continue
        for outcome in outcomes:
            if outcome.error is not None and outcome.error.reason != "NotFound":
                raise outcome.error
        return


async def _allow(url: str, ca: bytes, admin: Pair) -> None:
    """Gives this process its role, as the administrator."""
    from pelamis.api.rbac.clusterrole import KIND as ROLE
    from pelamis.api.rbac.clusterrolebinding import KIND as BINDING
    from pelamis.client.http import HttpClient
    from pelamis.client.types import Patch
    from pelamis.net.tls import client_context

    client = HttpClient(url, client_context(ca, admin), user_agent=AGENT)
    role, binding = roles()
    try:
        actions = [
            Patch(ROLE, "", USER, role, "apply", force=True),
            Patch(BINDING, "", USER, binding, "apply", force=True),
        ]
        await _insist(client, actions)
    finally:
        await client.close()


async def _remove_others(client: Any, wanted: set[str]) -> None:
    """Nodes of an earlier, larger number."""
    from pelamis.api.core.node import KIND as NODE
    from pelamis.client.types import Delete
    from pelamis.kubelet.hollow.node import LABEL

    found, _ = await client.list(NODE, label_selector=f"{LABEL}=true")
    surplus = [obj.metadata.name for obj in found if obj.metadata.name not in wanted]
    if surplus:
        log.info("%d nodes are wanted no longer", len(surplus))
        await _insist(client, [Delete(NODE, "", name) for name in surplus])


def _bound(port: int) -> socket.socket:
    """At that port, or at a free one where another cluster has it."""
    from pelamis.kubelet.hollow.server import bound

    try:
        return bound(port)
    except OSError:
        return bound(0)


async def serve(cluster: Cluster) -> None:
    """Until SIGTERM or SIGINT."""
    from pelamis.client.acting import acting_as
    from pelamis.client.http import HttpClient
    from pelamis.kubelet.hollow.outbox import IN_FLIGHT, LEASES_IN_FLIGHT
    from pelamis.kubelet.hollow.run import HollowNodes
    from pelamis.kubelet.hollow.server import HollowServer
    from pelamis.main import pki
    from pelamis.net.tls import client_context, server_context
    from pelamis.reconcile.events import EventLimit
    from pelamis.reconcile.recorder import Recorder

    sock = _bound(cluster.kubelet_port + PORT_OFFSET) if sys.platform == "linux" else None
    specs = nodes(cluster, None if sock is None else sock.getsockname()[1])
    folder = cluster.path("pki")
    ca = (folder / "ca.crt").read_bytes()
    hosts = tuple(dict.fromkeys(spec.address for spec in specs)) or ("127.0.0.1",)
    (own, serving), admin = pki.hollow(folder, time.time(), USER, hosts), pki.load(folder, "admin")
    assert admin is not None
    url = f"https://127.0.0.1:{cluster.port}"
    context = client_context(ca, own)
    client = HttpClient(url, context, user_agent=AGENT, field_manager="kubelet", parallel=IN_FLIGHT)
    renewer = HttpClient(url, context, user_agent=AGENT, field_manager="kubelet", parallel=LEASES_IN_FLIGHT)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ready = cluster.run / "hollow.ready"
    ready.unlink(missing_ok=True)
    try:
        await _allow(url, ca, admin)
        await _remove_others(client, {spec.name for spec in specs})
        if not specs:
            _say(ready, 0)
            return
        record = Recorder(client, "kubelet", time.time)
        hollow = HollowNodes(
            client,
            specs,
            client_for=lambda name: acting_as(client, f"system:node:{name}", "system:nodes"),
            lease_client_for=lambda name: acting_as(renewer, f"system:node:{name}", "system:nodes"),
            clock=time.time,
            rng=random.Random(os.urandom(16)),
            record=record,
            event_limit=EventLimit(_EVENT_BURST),
            inbox=_inbox_of(client),
        )
        server = HollowServer(hollow, server_context(serving, ca))
        async with asyncio.TaskGroup() as group:
            works = (hollow.run(), record.run(), _say_ready(hollow, server, sock, ready))
            tasks = [group.create_task(work) for work in works]
            await stop.wait()
            for task in tasks:
                task.cancel()
        await server.close()
    finally:
        if specs:
            ready.unlink(missing_ok=True)
        await renewer.close()
        await client.close()


def _inbox_of(client: HttpClient) -> Callable[[Callable[[Key], Any]], Source]:
    """The pods as this process reads them: a view would keep them all once more."""
    from pelamis.kubelet.hollow.inbox import Inbox
    from pelamis.kubelet.hollow.run import BOUND

    def make(keeper: Callable[[Key], Any]) -> Inbox:
        inbox = Inbox(keeper)
        client.feed(inbox, field_selector=BOUND)
        return inbox

    return make


def _say(ready: Path, count: int) -> None:
    ready.write_text(f"{count}\n")


async def _say_ready(hollow: Any, server: Any, sock: socket.socket | None, ready: Path) -> None:
    await hollow.started.wait()
    await server.listen(sock)
    await hollow.ready.wait()
    gc.collect()
    gc.freeze()
    log.info("%d hollow nodes are registered", len(hollow.kubelets))
    _say(ready, len(hollow.kubelets))


def main() -> None:
    cluster = load(Path(sys.argv[1]))
    if cluster is None:
        raise SystemExit(f"{sys.argv[1]} holds no cluster")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    import uvloop

    gc.set_threshold(100_000, 20, 100)
    uvloop.run(serve(cluster))


if __name__ == "__main__":
    main()
