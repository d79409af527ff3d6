"""The cluster's DNS by the Kubernetes specification, and messages on the wire."""

import asyncio
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelamis.api.core.service import KIND as SERVICE
from pelamis.api.core.service import Service
from pelamis.api.discovery.endpointslice import KIND as SLICE
from pelamis.api.discovery.endpointslice import EndpointSlice
from pelamis.dns import message as m
from pelamis.dns.answer import Zone
from pelamis.dns.run import Server, Upstream, upstreams
from tests.cache.made import view_of


def service(name: str, **spec: Any) -> Service:
    return msgspec.convert({"metadata": {"name": name, "namespace": "a"}, "spec": spec}, Service)


def zone() -> Zone:
    port = {"name": "http", "port": 80, "protocol": "TCP"}
    services = [
        service("web", clusterIP="10.96.0.20", clusterIPs=["10.96.0.20"], ports=[port]),
        service("db", clusterIP="None", ports=[{"name": "sql", "port": 5432, "protocol": "TCP"}]),
        service("out", type="ExternalName", externalName="Example.COM"),
        service("empty", clusterIP="None"),
    ]
    endpoints = [
        {"addresses": ["10.244.0.5"], "hostname": "db-0", "conditions": {"ready": True}},
        {"addresses": ["10.244.0.6"], "conditions": {"ready": True}},
        {"addresses": ["10.244.0.7"], "hostname": "db-2", "conditions": {"ready": False}},
    ]
    labels = {"kubernetes.io/service-name": "db"}
    tree = {
        "metadata": {"name": "db-x", "namespace": "a", "labels": labels},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
    }
    part = msgspec.convert(tree, EndpointSlice)
    made = Zone("cluster.local", view_of(SERVICE, *services), view_of(SLICE, part))
    for item in services:
        made.service_changed(None, item)
    made.slice_changed(None, part)
    return made


def shown(record: m.Record) -> str:
    if record.type == m.A:
        return ".".join(map(str, record.data))
    if record.type == m.SRV:
        return f"{struct.unpack_from('>H', record.data, 4)[0]} {m._name(record.data, 6)[0]}"
    return m._name(record.data, 0)[0]


@pytest.mark.parametrize(
    ("name", "kind", "code", "records"),
    [
        ("web.a.svc.cluster.local", m.A, 0, ["10.96.0.20"]),
        ("web.a.svc.cluster.local", m.AAAA, 0, []),
        ("_http._tcp.web.a.svc.cluster.local", m.SRV, 0, ["80 web.a.svc.cluster.local"]),
        ("_nope._tcp.web.a.svc.cluster.local", m.SRV, 3, []),
        ("db.a.svc.cluster.local", m.A, 0, ["10.244.0.5", "10.244.0.6"]),
        ("db-0.db.a.svc.cluster.local", m.A, 0, ["10.244.0.5"]),
        ("10-244-0-6.db.a.svc.cluster.local", m.A, 0, ["10.244.0.6"]),
        ("db-2.db.a.svc.cluster.local", m.A, 3, []),
        (
            "_sql._tcp.db.a.svc.cluster.local",
            m.SRV,
            0,
            ["5432 db-0.db.a.svc.cluster.local", "5432 10-244-0-6.db.a.svc.cluster.local"],
        ),
        ("out.a.svc.cluster.local", m.A, 0, ["example.com"]),
        ("empty.a.svc.cluster.local", m.A, 3, []),
        ("none.a.svc.cluster.local", m.A, 3, []),
        ("a.svc.cluster.local", m.A, 0, []),
        ("zzz.svc.cluster.local", m.A, 3, []),
        ("10-244-0-9.a.pod.cluster.local", m.A, 0, ["10.244.0.9"]),
        ("20.0.96.10.in-addr.arpa", m.PTR, 0, ["web.a.svc.cluster.local"]),
        ("5.0.244.10.in-addr.arpa", m.PTR, 0, ["db-0.db.a.svc.cluster.local"]),
        ("svc.cluster.local", m.A, 0, []),
        ("cluster.local", m.A, 0, []),
    ],
)
def test_names(name: str, kind: int, code: int, records: list[str]) -> None:
    answer = zone().answer(name, kind)
    assert answer is not None
    assert (answer.code, [shown(r) for r in answer.answers]) == (code, records)


@pytest.mark.parametrize("name", ["example.com", "9.9.9.9.in-addr.arpa", "xcluster.local"])
def test_other_names_are_for_upstream(name: str) -> None:
    assert zone().answer(name, m.A) is None


def query(name: str, kind: int, number: int = 9) -> bytes:
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + m.encode_name(name) + struct.pack(">2H", kind, m.IN)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (m.parse, m.answers):
        try:
            read(data)
        except m.Malformed:
            pass


def test_a_long_answer_over_udp_is_cut() -> None:
    question = m.parse(query("x.example", m.A))
    records = tuple(m.a("x.example", f"10.0.0.{i}", 5) for i in range(100))
    cut = m.response(question, 0, records, limit=512)
    assert cut[2] & 2 and len(cut) <= 512
    assert len(m.answers(m.response(question, 0, records))) == 100


def test_served_over_udp_and_tcp() -> None:
    async def ask() -> None:
        async with asyncio.timeout(5):
            await talk()

    async def talk() -> None:
        server = Server(zone(), Upstream([], lambda: 0.0))
        await server.start("127.0.0.1", 0)
        assert server.udp is not None
        port = server.udp.get_extra_info("sockname")[1]
        loop = asyncio.get_running_loop()
        got: asyncio.Future[bytes] = loop.create_future()

        class Client(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:
                got.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", port))
        transport.sendto(query("web.a.svc.cluster.local", m.A))
        assert [shown(r) for r in m.answers(await got)] == ["10.96.0.20"]
        transport.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        text = query("example.com", m.A)
        writer.write(struct.pack(">H", len(text)) + text)
        size = struct.unpack(">H", await reader.readexactly(2))[0]
        assert (await reader.readexactly(size))[3] & 15 == m.SERVFAIL
        writer.close()
        await server.stop()

    asyncio.run(ask())


def test_our_own_address_is_no_upstream() -> None:
    text = "search x\nnameserver 10.96.0.10\nnameserver 192.0.2.1\n"
    assert upstreams(text, "10.96.0.10") == ["192.0.2.1"]
