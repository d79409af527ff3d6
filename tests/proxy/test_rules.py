"""Rules of Services: what is in force after any sequence of changes equals what a fresh table would hold."""

import dataclasses
import random
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pelamis.api.core.pod.kind import Pod
from pelamis.api.core.service import Service
from pelamis.api.discovery.endpointslice import EndpointSlice
from pelamis.api.meta import ObjectMeta
from pelamis.proxy.rules import EMPTY, Part, Settings, Table, pod_part, service_part, stale_udp, targets

SETTINGS = Settings("pelamis-test", "n1", "pelamis9", ("10.244.0.0/16",), "10.244.0.0/24")


def service(**spec: object) -> Service:
    spec = {"clusterIP": "10.96.0.20", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}], **spec}
    return msgspec.convert({"metadata": {"name": "web", "namespace": "a"}, "spec": spec}, Service)


def slice_of(*endpoints: tuple[str, str, bool], port: int = 8080, proto: str = "TCP") -> EndpointSlice:
    items = [
        {
            "addresses": [ip],
            "nodeName": node,
            "conditions": {"ready": ready, "serving": True, "terminating": not ready},
        }
        for ip, node, ready in endpoints
    ]
    tree = {"addressType": "IPv4", "ports": [{"name": "http", "port": port, "protocol": proto}], "endpoints": items}
    return msgspec.convert(tree, EndpointSlice)


def maps(part: Part, name: str) -> dict[str, str]:
    return {key: verdict for table, key, verdict in part.elements if table == name}


def test_only_ready_endpoints_get_traffic_unless_all_are_ending() -> None:
    both = [slice_of(("10.244.0.2", "n1", True), ("10.244.0.3", "n1", False))]
    assert [t.ip for t in targets(service(), "http", both, "n1")] == ["10.244.0.2"]
    ending = [slice_of(("10.244.0.3", "n1", False))]
    assert [t.ip for t in targets(service(), "http", ending, "n1")] == ["10.244.0.3"]


@pytest.mark.parametrize(
    "spec",
    [{"clusterIP": "None"}, {"clusterIP": ""}, {"type": "ExternalName", "externalName": "x.example"}],
)
def test_services_without_an_address_have_no_rules(spec: dict[str, object]) -> None:
    assert service_part(service(**spec), [slice_of(("10.244.0.2", "n1", True))], SETTINGS) == EMPTY


@pytest.mark.parametrize("value", ["", "other"])
def test_services_of_another_proxy_are_left_alone(value: str) -> None:
    labels = {"service.kubernetes.io/service-proxy-name": value}
    other = msgspec.structs.replace(service(), metadata=msgspec.convert({"name": "web", "labels": labels}, ObjectMeta))
    assert service_part(other, [slice_of(("10.244.0.2", "n1", True))], SETTINGS) == EMPTY


def test_slices_marked_as_headless_do_not_count() -> None:
    marked = msgspec.convert({"labels": {"service.kubernetes.io/headless": ""}}, ObjectMeta)
    part = msgspec.structs.replace(slice_of(("10.244.0.2", "n1", True)), metadata=marked)
    assert targets(service(), "http", [part], "n1") == []


def test_without_endpoints_connections_are_refused() -> None:
    part = service_part(service(), [], SETTINGS)
    assert maps(part, "refused-ips") == {"10.96.0.20 . tcp . 80": "goto refuse"}
    assert not maps(part, "service-ips")


def test_local_policy_drops_where_only_other_nodes_have_endpoints() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080}]
    spec = {"type": "NodePort", "externalTrafficPolicy": "Local", "ports": ports}
    part = service_part(service(**spec), [slice_of(("10.244.1.2", "n2", True))], SETTINGS)
    assert maps(part, "refused-node-ports") == {"tcp . 30080": "drop"}
    assert maps(part, "service-ips")


def test_affinity_keeps_a_client_for_its_timeout() -> None:
    spec = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}
    part = service_part(service(**spec), [slice_of(("10.244.0.2", "n1", True), ("10.244.0.3", "n1", True))], SETTINGS)
    assert set(part.affinity.values()) == {60} and len(part.affinity) == 2


def test_host_port_of_a_pod() -> None:
    ports = [{"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}]
    tree = {"spec": {"containers": [{"name": "c", "ports": ports}]}, "status": {"podIP": "10.244.0.9"}}
    pod = msgspec.convert(tree, Pod)
    assert list(maps(pod_part(pod), "any-host-ports")) == ["tcp . 8080"]


def test_udp_endpoints_that_left_are_forgotten() -> None:
    ports = [{"name": "http", "port": 53, "protocol": "UDP"}]
    one = service_part(service(ports=ports), [slice_of(("10.244.0.2", "n1", True), proto="UDP")], SETTINGS)
    two = service_part(service(ports=ports), [slice_of(("10.244.0.3", "n1", True), proto="UDP")], SETTINGS)
    assert stale_udp(EMPTY, one) == [("10.96.0.20", 53, "")]
    assert stale_udp(one, two) == [("10.96.0.20", 53, "10.244.0.2")]
    spec = {"ports": ports, "externalIPs": ["192.0.2.7"]}
    out = [
        service_part(service(**spec), [slice_of((f"10.244.0.{n}", "n1", True), proto="UDP")], SETTINGS) for n in (2, 3)
    ]
    assert stale_udp(*out) == [("10.96.0.20", 53, "10.244.0.2"), ("192.0.2.7", 53, "10.244.0.2")]


def random_parts(rng: random.Random) -> dict[object, Part]:
    """A few Services over a handful of endpoints that they share."""
    parts: dict[object, Part] = {}
    for i in range(rng.randint(0, 5)):
        endpoints = [
            (f"10.244.0.{n}", rng.choice(["n1", "n2"]), rng.random() < 0.8) for n in rng.sample(range(2, 8), 3)
        ]
        spec: dict[str, object] = {"clusterIP": f"10.96.0.{20 + i}"}
        proto = rng.choice(["TCP", "UDP"])
        port = {"name": "http", "port": 80, "protocol": proto}
        if rng.random() < 0.5:
            spec["type"] = "NodePort"
            spec["externalTrafficPolicy"] = rng.choice(["Local", "Cluster"])
            port["nodePort"] = 30000 + i
        if rng.random() < 0.4:
            spec["sessionAffinity"] = "ClientIP"
        spec["ports"] = [port]
        made = service(**spec)
        made = msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, name=f"s{i}"))
        parts["service", "a", f"s{i}"] = service_part(made, [slice_of(*endpoints[: rng.randint(0, 3)])], SETTINGS)
    return parts


def in_force(ruleset: str) -> str:
    """The listing without what the kernel adds of its own (handles, expiry), in a stable order."""
    tables = [block.strip() for block in ruleset.split("\n\n")]
    lines = [line.strip() for block in tables for line in block.splitlines()]
    return "\n".join(sorted(" ".join(sorted(line.replace(",", " ").split())) for line in lines))


@pytest.mark.e2e
@pytest.mark.parametrize("seed", range(6))
def test_the_kernel_holds_the_same_after_steps_as_from_nothing(seed: int) -> None:
    nft = shutil.which("nft") or "/usr/sbin/nft"
    rng = random.Random(seed)
    table = Table(SETTINGS)
    script = [table.full()]
    state: dict[object, Part] = {}
    for _ in range(8):
        wanted = random_parts(rng)
        step = {key: wanted.get(key, EMPTY) for key in {*state, *wanted}}
        script.append(table.change(step))
        state = wanted
    fresh = Table(SETTINGS)
    fresh.parts = dict(state)

    def listing(commands: list[str]) -> str:
        shell = "set -e; " + "; ".join(["nft=$0"] + ['"$nft" -f "$1"; shift'] * len(commands) + ['"$nft" list ruleset'])
        files = []
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            for i, text in enumerate(commands):
                path = f"{folder}/{i}.nft"
                with open(path, "w") as file:
                    file.write(text)
                files.append(path)
            done = subprocess.run(
                ["unshare", "--net", "sh", "-c", shell, nft, *files], capture_output=True, text=True, check=False
            )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert in_force(listing([text for text in script if text])) == in_force(listing([fresh.full()]))


_ROUTED = """
set -e
mount -t tmpfs none /run
mkdir /run/netns
for name in pod out; do
  ip netns add $name
  ip link add to-$name type veth peer name eth0 netns $name
  ip link set to-$name up
  ip -n $name link set lo up
  ip -n $name link set eth0 up
done
ip addr add 10.244.0.1/24 dev to-pod
ip -n pod addr add 10.244.0.2/24 dev eth0
ip -n pod route add default via 10.244.0.1
ip addr add 192.0.2.1/24 dev to-out
ip -n out addr add 192.0.2.2/24 dev eth0
ip -n out route add default via 192.0.2.1
for address in 10.96.0.20 10.96.9.9 203.0.113.1; do ip -n out addr add $address/32 dev lo; done
ip route add default via 192.0.2.2
echo 1 > /proc/sys/net/ipv4/ip_forward
nft -f "$1"
ip netns exec pod "$0" -c "$2"
"""
_TRIES = """
import socket
for address in ("10.96.0.20", "10.96.9.9", "203.0.113.1"):
    try:
        socket.create_connection((address, 9), timeout=1.0)
    except OSError as error:
        print(address, type(error).__name__)
"""


@pytest.mark.e2e
def test_an_address_of_the_service_range_that_no_service_has_is_not_looked_for_outside(tmp_path: Path) -> None:
    """Outside somebody has all the addresses, and refuses connections; the Service's port is refused here."""
    table = Table(dataclasses.replace(SETTINGS, service_cidrs=("10.96.0.0/12",)))
    rules = tmp_path / "rules.nft"
    rules.write_text(table.full() + table.change({"web": service_part(service(), [], SETTINGS)}))
    command = ["unshare", "--net", "--mount", "sh", "-c", _ROUTED, sys.executable, str(rules), _TRIES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        *("10.96.0.20", "ConnectionRefusedError"),
        *("10.96.9.9", "TimeoutError"),
        *("203.0.113.1", "ConnectionRefusedError"),
    ]


def hinted(*endpoints: tuple[str, str, tuple[str, ...], tuple[str, ...]]) -> EndpointSlice:
    """(address, node, zones, nodes that it is meant for)"""
    items = [
        {
            "addresses": [ip],
            "nodeName": node,
            "conditions": {"ready": True},
            "hints": {"forZones": [{"name": z} for z in zones], "forNodes": [{"name": n} for n in nodes]},
        }
        for ip, node, zones, nodes in endpoints
    ]
    tree = {"addressType": "IPv4", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}], "endpoints": items}
    return msgspec.convert(tree, EndpointSlice)


A, B, C = "10.244.0.2", "10.244.1.2", "10.244.2.2"


@pytest.mark.parametrize(
    ("endpoints", "zone", "expected"),
    [
        ([(A, "n1", ("a",), ()), (B, "n2", ("b",), ())], "b", [B]),
        ([(A, "n1", ("a",), ()), (B, "n2", ("b",), ())], "", [A, B]),
        ([(A, "n1", ("a",), ()), (B, "n2", ("b",), ())], "c", [A, B]),
        ([(A, "n1", ("a",), ()), (B, "n2", (), ())], "a", [A, B]),
        ([(A, "n1", ("a",), ("n1",)), (B, "n2", ("a",), ("n2",))], "a", [A]),
        ([(B, "n2", ("a",), ("n2",)), (C, "n3", ("b",), ("n3",))], "b", [C]),
        ([(A, "n1", ("a",), ("n1",)), (B, "n2", ("b",), ())], "b", [B]),
    ],
)
def test_hints_keep_traffic_near(endpoints: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]], zone: str, expected: list[str]) -> None:  # fmt: skip  # noqa: E501
    found = targets(service(), "http", [hinted(*endpoints)], "n1", zone, hints=True)
    assert [t.ip for t in found] == expected


def test_hints_do_not_narrow_local_traffic() -> None:
    far = [hinted((A, "n1", ("a",), ()), (B, "n2", ("b",), ()))]
    settings = Settings("t", "n1", "pelamis9", ("10.244.0.0/16",), "10.244.0.0/24", "b")
    part = service_part(service(internalTrafficPolicy="Local"), far, settings)
    (rules,) = [rules for name, rules in part.chains.items() if not name.endswith("-in")]
    assert A in rules[0]
    assert B not in rules[0]


def test_a_balancer_lets_in_whom_it_names() -> None:
    spec = {"type": "LoadBalancer", "loadBalancerSourceRanges": ["198.51.100.0/24"]}
    tree = {
        "metadata": {"name": "web", "namespace": "a"},
        "spec": {"clusterIP": "10.96.0.20", "ports": [{"name": "http", "port": 80, "nodePort": 30080}], **spec},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.95.0.1"}, {"ip": "10.95.0.9", "ipMode": "Proxy"}]}},
    }
    endpoints = [slice_of((A, "n1", True))]
    part = service_part(msgspec.convert(tree, Service), endpoints, SETTINGS)
    reached = maps(part, "service-ips")
    fence = reached.pop("10.95.0.1 . tcp . 80").removeprefix("goto ")
    assert fence.endswith("-fw")
    assert part.chains[fence] == (f"ip saddr {{ 198.51.100.0/24 }} goto {fence.removesuffix('fw')}ext", "drop")
    assert list(reached) == ["10.96.0.20 . tcp . 80"]
    assert maps(part, "node-ports")["tcp . 30080"].endswith("-ext")
    tree["spec"]["type"] = "NodePort"  # type: ignore[index]
    assert list(maps(service_part(msgspec.convert(tree, Service), endpoints, SETTINGS), "service-ips")) == list(reached)
