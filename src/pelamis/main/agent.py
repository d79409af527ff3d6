"""The agent process, one per node: kubelet, proxy, DNS and local volumes, over HTTP with identities of their own.

argv: the data directory. Says to the supervisor ``node`` once the node is Ready.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pelamis.main import image, pki
from pelamis.main.addresses import node_range
from pelamis.main.config import Cluster, load
from pelamis.main.supervisor import notifier

log = logging.getLogger("pelamis.agent")


def _dns_address(cluster: Cluster, verb: str) -> None:
    """The DNS Service's address on the loopback interface, so that pods and this machine reach the server directly."""
    command = ["ip", "address", verb, f"{cluster.dns_ip}/32", "dev", "lo"]
    subprocess.run(command, check=False, capture_output=True)


def _answer_for_balancers(cluster: Cluster) -> None:
    """This machine takes a pool that was asked for as its own: it answers for the addresses in its networks."""
    if cluster.load_balancer_pool:
        for network in cluster.balancer_ranges:
            command = ["ip", "route", "replace", "local", network, "dev", "lo"]
            subprocess.run(command, check=False, capture_output=True)


def _upstream_dns(cluster: Cluster) -> tuple[str, list[str]]:
    """The resolv.conf that names real servers (systemd-resolved keeps it elsewhere), and those servers."""
    from pelamis.dns.run import upstreams

    for name in ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"):
        try:
            return name, upstreams(Path(name).read_text(), cluster.dns_ip)
        except OSError:
            continue
    return "", []


async def _load_pause(cluster: Cluster) -> None:
    """The sandbox image, once containerd answers."""
    marker = cluster.path("containerd", "pause-loaded")
    if marker.exists():
        return
    delay = 0.01
    while True:
        try:
            await asyncio.to_thread(image.load, cluster.containerd_socket, image.pause())
            marker.touch()
            return
        except image.ImageError as error:
            if delay > 2:
                log.warning("the sandbox image cannot be loaded yet: %s", error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)


def _say_when_ready(client: Any, cluster: Cluster) -> None:
    from pelamis.api.core.node import KIND as NODE

    say = notifier()
    view = client.view(NODE, field_selector=f"metadata.name={cluster.node_name}")
    said = False

    def changed(key: Any, old: Any, new: Any) -> None:
        nonlocal said
        if new is None or said:
            return
        if any(c.type == "Ready" and c.status == "True" for c in new.status.conditions):
            said = True
            say("node")

    view.subscribe(changed)


async def serve(cluster: Cluster) -> None:
    """Until SIGTERM or SIGINT. Containers go on."""
    from pelamis.api.core.service import KIND as SERVICE
    from pelamis.api.discovery.endpointslice import KIND as SLICE
    from pelamis.client.http import HttpClient
    from pelamis.dns.answer import Zone
    from pelamis.dns.run import Server as DnsServer
    from pelamis.dns.run import Upstream
    from pelamis.kubelet.cri.client import CriClient
    from pelamis.kubelet.run import Kubelet
    from pelamis.kubelet.server import KubeletServer
    from pelamis.kubelet.settings import KubeletConfig
    from pelamis.localstorage.provision import PROVISIONER
    from pelamis.localstorage.run import LocalStorage
    from pelamis.net.tls import client_context, server_context
    from pelamis.proxy.nft import Nft
    from pelamis.proxy.rules import Settings
    from pelamis.proxy.run import Proxy
    from pelamis.reconcile.recorder import Recorder

    folder = cluster.path("pki")
    node, ca = pki.load(folder, "node"), (folder / "ca.crt").read_bytes()
    proxy_pair = pki.load(folder, "kube-proxy")
    storage_pair = pki.load(folder, "local-storage")
    assert node is not None and proxy_pair is not None and storage_pair is not None
    url = f"https://127.0.0.1:{cluster.port}"
    client = HttpClient(url, client_context(ca, node), user_agent="kubelet/v1.37.0 pelamis")
    proxy_client = HttpClient(url, client_context(ca, proxy_pair), user_agent="kube-proxy/v1.37.0 pelamis")
    storage_client = HttpClient(url, client_context(ca, storage_pair), user_agent="local-storage/v1.37.0 pelamis")
    record = Recorder(client, "kubelet", time.time, cluster.node_name)
    storage_record = Recorder(storage_client, PROVISIONER, time.time, cluster.node_name)
    resolv_conf, nameservers = _upstream_dns(cluster)
    settings = KubeletConfig(
        node_name=cluster.node_name,
        root_dir=str(cluster.path("kubelet")),
        runtime_root=str(cluster.path("containerd")),
        seccomp_root=str(cluster.path("kubelet", "seccomp")),
        cluster_dns=(cluster.dns_ip,),
        resolv_conf=resolv_conf,
        pod_cidr=node_range(cluster),
        cgroup_root=f"/{cluster.cgroup}",
        node_ips=(cluster.advertise,),
        hostname=cluster.node_name,
        port=cluster.kubelet_port,
        client_ca=ca,
    )
    proxy = Proxy(
        proxy_client,
        client,
        Nft(),
        Settings(
            cluster.nft_table,
            cluster.node_name,
            cluster.bridge,
            (cluster.pod_cidr,),
            node_range(cluster),
            service_cidrs=(cluster.service_cidr,),
        ),
    )
    kubelet = Kubelet(
        settings,
        client,
        CriClient(str(cluster.containerd_socket)),
        record,
        time.time,
        server=KubeletServer(server_context(node, ca), port=cluster.kubelet_port),
        withdrawn=proxy.withdrawn,
    )
    storage = LocalStorage(storage_client, cluster.path("volumes"), cluster.node_name, storage_record, time.time)
    zone = Zone("cluster.local", proxy_client.view(SERVICE), proxy_client.view(SLICE))
    zone.services.subscribe(lambda key, old, new: zone.service_changed(old, new))
    zone.slices.subscribe(lambda key, old, new: zone.slice_changed(old, new))
    dns = DnsServer(zone, Upstream(nameservers, time.monotonic))
    _dns_address(cluster, "add")
    _answer_for_balancers(cluster)
    _say_when_ready(client, cluster)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await dns.start(cluster.dns_ip)
        async with asyncio.TaskGroup() as group:
            works = {
                "events": record.run(),
                "proxy": proxy.run(),
                "kubelet": _with_image(cluster, kubelet),
                "local storage": storage.run(),
                "local storage's events": storage_record.run(),
            }
            tasks = [group.create_task(work, name=name) for name, work in works.items()]
            await stop.wait()
            for task in tasks:
                task.cancel()
    finally:
        await dns.stop()
        await storage_client.close()
        await proxy_client.close()
        await client.close()


async def _with_image(cluster: Cluster, kubelet: Any) -> None:
    await _load_pause(cluster)
    await kubelet.run()


def main() -> None:
    cluster = load(Path(sys.argv[1]))
    if cluster is None:
        raise SystemExit(f"{sys.argv[1]} holds no cluster")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    import uvloop

    gc.set_threshold(50_000, 20, 50)
    uvloop.run(serve(cluster))


if __name__ == "__main__":
    main()
