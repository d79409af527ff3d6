"""The server process: store, API server, scheduler and controllers on one event loop, with one cache.

argv: the data directory; the file descriptors of the bound sockets, separated by commas. Says to the supervisor
``keys`` once certificates are there, and ``api`` once requests are answered.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pelamis.main import pki
from pelamis.main.addresses import node_hosts, server_hosts
from pelamis.main.config import Cluster, load
from pelamis.main.supervisor import notifier

if TYPE_CHECKING:
    from pelamis.api.registry import Registry
    from pelamis.apiserver.auditpolicy import Policy
    from pelamis.main.auditlog import AuditLog

_GIVE_BACK_S = 5.0
_CACHE_LEAST = 48 << 20
"""Bytes of JSON kept decoded at least; more where there is more memory: then a wave of new pods is decoded once."""


def _memory() -> int:
    """Bytes that this process may use: the machine's, or those of its control group."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        found = min(found, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # another system, or no limit
        pass
    return found


def _kubeconfig(cluster: Cluster, keys: pki.Pki) -> None:
    """The administrator's kubeconfig, readable by its owner only."""
    from base64 import b64encode

    def data(pem: bytes) -> str:
        return b64encode(pem).decode()

    name = cluster.context
    text = f"""apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: https://127.0.0.1:{cluster.port}
    certificate-authority-data: {data(keys.ca.cert)}
users:
- name: {name}
  user:
    client-certificate-data: {data(keys.admin.cert)}
    client-key-data: {data(keys.admin.key)}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
current-context: {name}
preferences: {{}}
"""
    path = cluster.path("admin.kubeconfig")
    if path.exists() and path.read_text() == text:
        return
    temporary = cluster.path("admin.kubeconfig.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
    temporary.replace(path)


def _audit(cluster: Cluster) -> tuple[AuditLog | None, Policy | None]:
    """Where the audit log goes, and what is noted there. Raises OSError and PolicyError: `up` has tried both."""
    if not cluster.audit_log:
        return None, None
    from pelamis.apiserver.auditpolicy import load
    from pelamis.main.auditlog import AuditLog

    out = AuditLog(
        cluster.audit_log, most_mb=cluster.audit_maxsize, backups=cluster.audit_maxbackup, days=cluster.audit_maxage
    )
    return out, load(Path(cluster.audit_policy).read_text()) if cluster.audit_policy else None


def _registry(cluster: Cluster) -> Registry | None:
    """None: what is served by default."""
    if not cluster.runtime_config and not cluster.feature_gates:
        return None
    from pelamis.api.enablement import Enablement
    from pelamis.api.gates import Gates

    return Enablement(cluster.runtime_config, Gates(cluster.feature_gates)).registry()


async def serve(cluster: Cluster, sockets: list[socket.socket], keys: pki.Pki) -> None:
    """Until SIGTERM or SIGINT."""
    from pelamis.apiserver.server import ApiServer, Config
    from pelamis.main.components import run_components
    from pelamis.main.datastore import open_store
    from pelamis.main.selection import enabled
    from pelamis.net.tls import server_context

    say = notifier()
    log, policy = _audit(cluster)
    store = await open_store(cluster)
    server = ApiServer(
        Config(
            store=store,
            service_account_key=keys.service_account_key,
            host="127.0.0.1",
            port=cluster.port,
            sockets=sockets,
            tls=server_context(keys.server, keys.ca.cert + keys.front_proxy_ca.cert),
            client_ca=keys.ca.cert,
            front_proxy_ca=keys.front_proxy_ca.cert,
            front_proxy_client=keys.front_proxy_client,
            cache_budget=max(_CACHE_LEAST, _memory() // 256),
            cache_most=_memory() // 16,
            service_cidrs=(cluster.service_cidr,),
            advertise_address=cluster.advertise,
            kubelet_client=keys.kubelet_client,
            kubelet_ca=keys.ca.cert,
            shared=bool(cluster.datastore),
            quota_in_status=not enabled("resourcequota", cluster.controllers.split(",")),
            audit=log,
            audit_policy=policy,
            registry=_registry(cluster),
        )
    )
    await server.start()
    say("api")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    components = asyncio.create_task(run_components(server, cluster, keys), name="components")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait((components, stopping), return_when=asyncio.FIRST_COMPLETED)
    failed = components.done()
    components.cancel()
    await asyncio.wait((components,), timeout=_GIVE_BACK_S)  # leases are given back while the server still writes
    await server.stop()
    await store.close()
    if failed:
        components.result()  # a component that ended is a broken invariant: the process starts anew


def main() -> None:
    cluster = load(Path(sys.argv[1]))
    if cluster is None:
        raise SystemExit(f"{sys.argv[1]} holds no cluster")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sockets = [socket.socket(fileno=int(fd)) for fd in sys.argv[2].split(",")]
    keys = pki.ensure(
        cluster.path("pki"),
        time.time(),
        server_hosts=server_hosts(cluster),
        node_name=cluster.node_name,
        node_hosts=node_hosts(cluster),
    )
    _kubeconfig(cluster, keys)
    notifier()("keys")
    import uvloop

    from pelamis.store.types import StoreFull, Unusable

    sys.setswitchinterval(0.001)  # the store's writer gets the interpreter back soon after its fsync
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # decoded objects are not tracked: collections find little, so they are rare
    try:
        uvloop.run(serve(cluster, sockets, keys))
    except Unusable as error:
        notifier()(f"error {error}")
        raise SystemExit(str(error)) from None
    except StoreFull as error:
        notifier()(f"error the disk that holds {cluster.data} is full: free some space ({error})")
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
