"""Two servers on one real etcd: consistent reads, whole watches, numbers given once, upstream's values, lost events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pelamis.api import protobuf
from pelamis.api.registry import builtin
from pelamis.apiserver.claims import PORTS_KEY, Bitmap
from pelamis.store import etcdconn
from pelamis.store.etcd import EtcdStore
from pelamis.store.types import Delete, Done, Put
from tests.apiserver.harness import Harness, running
from tests.contract import etcd

pytestmark = pytest.mark.slow
MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"
LIMIT_S = 60.0


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with etcd.server(tmp_path) as found:
        yield found


@asynccontextmanager
async def servers(*urls: str, **config: Any) -> AsyncIterator[list[Harness]]:
    async with asyncio.timeout(LIMIT_S), AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running(store=EtcdStore(u.split(",")), shared=True, **config)) for u in urls
        ]


class Watched:
    """A watch as a client sees it: type, name and revision of each event."""

    def __init__(self, harness: Harness, path: str, rev: str) -> None:
        self.seen: list[tuple[str, str, int]] = []
        self._came = asyncio.Event()
        self._task = asyncio.create_task(self._read(harness, f"{path}?watch=1&resourceVersion={rev}"))

    async def _read(self, harness: Harness, path: str) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", harness.server.port, ssl=harness.context(harness.admin)
        )
        writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        rest = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            rest += await reader.readexactly(size)
            await reader.readexactly(2)
            *lines, rest = rest.split(b"\n")
            for line in lines:
                event = msgspec.json.decode(line)
                meta = event["object"]["metadata"]
                self.seen.append((event["type"], meta.get("name", ""), int(meta["resourceVersion"])))
            self._came.set()

    async def until(self, count: int) -> None:
        while len(self.seen) < count:
            self._came.clear()
            await self._came.wait()

    def stop(self) -> None:
        self._task.cancel()


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def test_what_one_server_writes_the_other_reads_and_shows(url: str) -> None:
    async def main() -> None:
        async with servers(url, url) as (a, b):
            _, listed = await b.request("GET", MAPS)
            watch = Watched(b, MAPS, listed["metadata"]["resourceVersion"])
            written: list[tuple[str, str, int]] = []
            for i in range(60):
                writer, reader = (a, b) if i % 2 else (b, a)
                status, made = await writer.request("POST", MAPS, config_map(f"m{i}", n="0"))
                assert status == 201
                rev = int(made["metadata"]["resourceVersion"])
                written.append(("ADDED", f"m{i}", rev))
                status, found = await reader.request("GET", f"{MAPS}/m{i}")
                assert (status, found) == (200, made)
                if i % 3 == 0:
                    status, changed = await reader.request("PUT", f"{MAPS}/m{i}", {**made, "data": {"n": "1"}})
                    assert status == 200
                    written.append(("MODIFIED", f"m{i}", int(changed["metadata"]["resourceVersion"])))
                    assert (await writer.request("PUT", f"{MAPS}/m{i}", made))[0] == 409
                if i % 5 == 0:
                    await writer.request("DELETE", f"{MAPS}/m{i}")
                    _, listed = await reader.request("GET", MAPS)
                    assert f"m{i}" not in {m["metadata"]["name"] for m in listed["items"]}
            store = a.server.store
            item = await store.get("/registry/configmaps/default/m1")
            assert item is not None and item.mod_rev == next(rev for _, name, rev in written if name == "m1")

            async def create(i: int) -> tuple[str, str, int]:
                _, made = await (a, b)[i % 2].request("POST", MAPS, config_map(f"c{i}"))
                return "ADDED", f"c{i}", int(made["metadata"]["resourceVersion"])

            written += sorted(await asyncio.gather(*(create(i) for i in range(60))), key=lambda e: e[2])
            await watch.until(len(written) + 12)
            assert [e for e in watch.seen if e[0] != "DELETED"] == written
            revs = [rev for _, _, rev in watch.seen]
            assert revs == sorted(set(revs)), "in order, each once"
            # The newest revision may belong to somebody else's key; reads must not wait for one of ours.
            await store.commit([Put("compact_rev_key", b"1")])
            assert (await b.request("GET", f"{MAPS}/m1"))[0] == 200
            watch.stop()

    asyncio.run(main())


def test_no_address_and_no_port_is_given_twice(url: str) -> None:
    async def main() -> None:
        async with servers(url, url, service_cidrs=("10.96.0.0/27",), node_ports=(30000, 30015)) as (a, b):

            async def create(i: int, **spec: Any) -> tuple[int, Any]:
                body = {"metadata": {"name": f"s{i}"}, "spec": {"type": "NodePort", "ports": [{"port": 80}], **spec}}
                return await (a, b)[i % 2].request("POST", SERVICES, body)

            answers = await asyncio.gather(*(create(i) for i in range(16)))
            assert [t["message"] for s, t in answers if s != 201] == []
            made = [tree for _, tree in answers]
            assert len({s["spec"]["clusterIP"] for s in made}) == 16
            assert {s["spec"]["ports"][0]["nodePort"] for s in made} == set(range(30000, 30016))
            assert (await create(50))[0] == 500, "no port is left"
            clash = await asyncio.gather(
                *(create(i, type="ClusterIP", clusterIP="10.96.0.9") for i in (60, 61)), return_exceptions=False
            )
            statuses = sorted(status for status, _ in clash)
            assert statuses in ([201, 422], [422, 422]), "the second when one of the 16 had it"
            _, records = await a.request("GET", "/apis/networking.k8s.io/v1/ipaddresses")
            _, services = await b.request("GET", "/api/v1/services")
            assert {r["metadata"]["name"] for r in records["items"]} == {
                s["spec"]["clusterIP"] for s in services["items"]
            }
            assert (await a.request("DELETE", f"{SERVICES}/s0"))[0] == 200
            ip, port = made[0]["spec"]["clusterIP"], made[0]["spec"]["ports"][0]["nodePort"]
            status, again = await create(71, clusterIP=ip, ports=[{"port": 80, "nodePort": port}])
            assert status == 201, again
            item = await a.server.store.get(PORTS_KEY)
            assert item is not None
            bitmap = Bitmap.read(item.value, 30000, 30015)
            assert bitmap.ports(bitmap.bits) == set(range(30000, 30016))

    asyncio.run(main())


def test_repair_makes_and_removes_records(url: str) -> None:
    async def main() -> None:
        now = [1_700_000_000.0]
        async with servers(url, node_ports=(30000, 30015), clock=lambda: now[0]) as (a,):
            store, claims = a.server.store, a.server.claims
            _, service = await a.request(
                "POST", SERVICES, {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
            )
            ip, port = service["spec"]["clusterIP"], service["spec"]["ports"][0]["nodePort"]
            other = 30000 + (port - 30000 + 1) % 16
            await store.commit([Delete(f"/registry/ipaddresses/{ip}"), Delete(PORTS_KEY)])
            assert await claims._create("10.96.0.200", "default", "never-written")
            await claims._set_ports({other})
            await claims.repair()
            assert await store.get("/registry/ipaddresses/10.96.0.200") is not None, "may be under way"
            now[0] += 120
            await claims.repair()
            assert await store.get("/registry/ipaddresses/10.96.0.200") is None
            assert await store.get(f"/registry/ipaddresses/{ip}") is not None
            item = await store.get(PORTS_KEY)
            assert item is not None
            bitmap = Bitmap.read(item.value, 30000, 30015)
            assert bitmap.ports(bitmap.bits) == {port}

    asyncio.run(main())


UPSTREAM: dict[str, tuple[str, dict[str, Any]]] = {
    "/registry/configmaps/default/x": ("v1/ConfigMap", {"data": {"a": "b"}}),
    "/registry/secrets/default/x": ("v1/Secret", {"type": "Opaque", "data": {"a": "Yg=="}}),
    "/registry/services/endpoints/default/x": ("v1/Endpoints", {"subsets": [{"addresses": [{"ip": "10.0.0.1"}]}]}),
    "/registry/deployments/default/x": (
        "apps/v1/Deployment",
        {
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                },
            }
        },
    ),
    "/registry/leases/default/x": ("coordination.k8s.io/v1/Lease", {"spec": {"holderIdentity": "me"}}),
    "/registry/ingress/default/x": (
        "networking.k8s.io/v1/Ingress",
        {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}},
    ),
}


def test_values_that_upstream_wrote_in_protobuf(url: str) -> None:
    """Before the server starts and while it runs; and its own values stay JSON that names its kind first."""
    registry = builtin()

    async def main() -> None:
        store = EtcdStore([url])
        await store.open()
        wanted: dict[str, tuple[str, int]] = {}

        async def put(key: str) -> None:
            name, rest = UPSTREAM[key.rpartition("/")[0] + "/x"]
            group_version, _, kind_name = name.rpartition("/")
            group, _, version = group_version.rpartition("/")
            kind = registry.by_kind(group, version, kind_name)
            assert kind is not None
            meta = {"name": key.rpartition("/")[2], "namespace": "default", "uid": "1-2-3"}
            tree = {"kind": kind_name, "apiVersion": group_version, "metadata": meta, **rest}
            value = protobuf.encode_object(kind, msgspec.json.encode(tree))
            assert value.startswith(b"k8s\0")
            (done,) = await store.commit([Put(key, value)])
            assert isinstance(done, Done)
            root = f"/apis/{group_version}" if group else f"/api/{version}"
            wanted[key] = (f"{root}/namespaces/default/{kind.plural}/{meta['name']}", done.rev)

        for key in UPSTREAM:
            await put(key)
        async with servers(url) as (a,):
            for key in UPSTREAM:
                await put(key.rpartition("/")[0] + "/later")
            for key, (path, rev) in wanted.items():
                status, tree = await a.request("GET", path)
                assert status == 200, (path, tree)
                assert tree["metadata"]["resourceVersion"] == str(rev)
                for name, value in UPSTREAM[key.rpartition("/")[0] + "/x"][1].items():
                    assert _within(value, tree[name]), (name, tree)
                patch = {"metadata": {"labels": {"seen": "yes"}}}
                headers = {"Content-Type": "application/merge-patch+json"}
                status, tree = await a.request("PATCH", path, patch, headers=headers)
                assert status == 200, (path, tree.get("message"))
                item = await store.get(key)
                assert item is not None and item.mod_rev == int(tree["metadata"]["resourceVersion"])
                stored = msgspec.json.decode(item.value)
                assert list(stored)[:3] == ["kind", "apiVersion", "metadata"]
                assert "resourceVersion" not in stored["metadata"]
            await store.close()

    asyncio.run(main())


def test_values_in_other_versions_and_values_that_mean_nothing(url: str) -> None:
    """Upstream may have stored another version than we do; what cannot be read keeps nothing else from being served."""
    registry = builtin()

    async def main() -> None:
        store = EtcdStore([url])
        await store.open()
        old = registry.by_kind("autoscaling", "v1", "HorizontalPodAutoscaler")
        assert old is not None
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
        tree = {
            "kind": "HorizontalPodAutoscaler",
            "apiVersion": "autoscaling/v1",
            "metadata": {"name": "h", "namespace": "default", "uid": "1"},
            "spec": {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70},
        }
        config = {"apiVersion": "v1", "data": {"a": "b"}, "kind": "ConfigMap"}
        await store.commit(
            [
                Put(
                    "/registry/horizontalpodautoscalers/default/h",
                    protobuf.encode_object(old, msgspec.json.encode(tree)),
                ),
                Put("/registry/horizontalpodautoscalers/default/j", msgspec.json.encode(dict(sorted(tree.items())))),
                Put(
                    "/registry/configmaps/default/sorted",
                    msgspec.json.encode({**config, "metadata": {"name": "sorted", "namespace": "default"}}),
                ),
                Put("/registry/configmaps/default/garbage", b"k8s\0garbage"),
                Put("/registry/secrets/default/sealed", b"k8s:enc:aescbc:v1:key1:xxxx"),
            ]
        )
        async with servers(url) as (a,):
            await store.commit([Put("/registry/configmaps/default/later", b"garbage")])
            for name in ("h", "j"):
                path = f"/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/{name}"
                status, found = await a.request("GET", path)
                assert status == 200 and found["apiVersion"] == "autoscaling/v2"
                resource = found["spec"]["metrics"][0]["resource"]
                assert resource == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
            _, listed = await a.request("GET", MAPS)
            assert [m["metadata"]["name"] for m in listed["items"]] == ["sorted"]
            assert listed["items"][0]["data"] == {"a": "b"}
            assert (await a.request("GET", "/api/v1/secrets"))[0] == 200
        await store.close()

    asyncio.run(main())


def _within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return all(k in whole and _within(v, whole[k]) for k, v in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(_within(p, w) for p, w in zip(part, whole, strict=True))
    return bool(part == whole)


def test_keys_are_those_of_upstream(url: str) -> None:
    async def main() -> None:
        async with servers(url) as (a,):
            crd = {
                "metadata": {"name": "toys.example.com"},
                "spec": {
                    "group": "example.com",
                    "scope": "Namespaced",
                    "names": {"plural": "toys", "singular": "toy", "kind": "Toy", "listKind": "ToyList"},
                    "versions": [
                        {
                            "name": "v1",
                            "served": True,
                            "storage": True,
                            "schema": {
                                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                            },
                        }
                    ],
                },
            }
            path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            assert (await a.request("POST", path, crd))[0] == 201
            watch = Watched(a, path, "")
            status = 404
            while status == 404:
                body = {"apiVersion": "example.com/v1", "kind": "Toy", "metadata": {"name": "t"}}
                status, _ = await a.request("POST", "/apis/example.com/v1/namespaces/default/toys", body)
                if status == 404:
                    await watch.until(len(watch.seen) + 1)
            watch.stop()
            event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "reason": "Because"}
            assert (await a.request("POST", "/api/v1/namespaces/default/events", event))[0] == 201
            assert (await a.request("POST", "/api/v1/nodes", {"metadata": {"name": "n"}}))[0] == 201
            for key in (
                "/registry/example.com/toys/default/t",
                "/registry/apiextensions.k8s.io/customresourcedefinitions/toys.example.com",
                "/registry/events/default/e",
                "/registry/minions/n",
                "/registry/services/specs/default/kubernetes",
                "/registry/ipaddresses/10.96.0.1",
                "/registry/servicecidrs/kubernetes",
                "/registry/clusterroles/cluster-admin",
                "/registry/priorityclasses/system-node-critical",
                "/registry/namespaces/kube-system",
                "/registry/configmaps/kube-system/extension-apiserver-authentication",
            ):
                item = await a.server.store.get(key)
                assert item is not None, key
                assert bool(item.lease) is key.startswith("/registry/events/"), "events expire"

    asyncio.run(main())


def test_the_endpoints_name_the_servers_that_live(url: str) -> None:
    """One that ends in order is gone at once; of one that was killed the key expires, here deleted by hand."""
    path = "/api/v1/namespaces/default/endpoints/kubernetes"

    async def main() -> None:
        async with servers(url, advertise_address="192.0.2.1") as (a,):
            seen: asyncio.Queue[set[str]] = asyncio.Queue()

            def changed(key: Any, old: Any, new: Any) -> None:
                seen.put_nowait({x.ip for subset in new.subsets for x in subset.addresses})

            a.server.objects.view("endpoints").subscribe(changed)

            async def until(wanted: set[str]) -> None:
                while await seen.get() != wanted:
                    pass

            async with servers(url, advertise_address="192.0.2.2"):
                await until({"192.0.2.1", "192.0.2.2"})
                item = await a.server.store.get("/registry/masterleases/192.0.2.2")
                assert item is not None and item.lease
            await until({"192.0.2.1"})
            await a.server.store.commit([Put("/registry/masterleases/192.0.2.3", b"{}")])
            await until({"192.0.2.1", "192.0.2.3"})
            await a.server.store.commit([Delete("/registry/masterleases/192.0.2.3")])
            await until({"192.0.2.1"})
            _, found = await a.request("GET", path)
            assert [x["ip"] for x in found["subsets"][0]["addresses"]] == ["192.0.2.1"]

    asyncio.run(main())


def test_lost_events_are_read_anew(url: str) -> None:
    """While B is cut off, A writes and compacts; afterwards B shows the difference, to watchers as well."""

    async def main() -> None:
        gate = etcd.Gate(url)
        await gate.start()
        async with servers(url, gate.url) as (a, b):
            for i in range(4):
                await a.request("POST", MAPS, config_map(f"m{i}"))
            _, listed = await b.request("GET", MAPS)
            watch = Watched(b, MAPS, listed["metadata"]["resourceVersion"])
            gate.pause()
            gate.cut()
            await a.request("DELETE", f"{MAPS}/m0")
            _, changed = await a.request("PUT", f"{MAPS}/m1", config_map("m1", x="y"))
            await a.request("POST", MAPS, config_map("new"))
            await a.request("POST", MAPS, config_map("newer"))
            await a.server.store.compact(a.server.store.rev)
            gate.go_on()
            await watch.until(4)
            assert {(t, n) for t, n, _ in watch.seen} == {
                ("DELETED", "m0"),
                ("MODIFIED", "m1"),
                ("ADDED", "new"),
                ("ADDED", "newer"),
            }
            assert (await b.request("GET", f"{MAPS}/m1"))[1] == changed
            assert (await b.request("POST", MAPS, config_map("after")))[0] == 201
            await watch.until(5)
            assert watch.seen[-1][:2] == ("ADDED", "after")
            watch.stop()
        await gate.stop()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["cut", "pause"])
def test_another_endpoint_takes_over(url: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """cut: the connection breaks. pause: the member vanishes without a word."""
    monkeypatch.setattr(etcdconn, "QUIET_S", 0.2)
    monkeypatch.setattr(etcdconn, "PING_S", 0.2)

    async def main() -> None:
        gate = etcd.Gate(url)
        await gate.start()
        async with servers(url, f"{gate.url},{url}") as (a, b):
            await b.request("POST", MAPS, config_map("before"))
            _, listed = await b.request("GET", MAPS)
            watch = Watched(b, MAPS, listed["metadata"]["resourceVersion"])
            gate.pause()
            if how == "cut":
                await gate.stop()
            assert (await a.request("POST", MAPS, config_map("one")))[0] == 201
            await watch.until(1)
            assert (await b.request("GET", f"{MAPS}/one"))[0] == 200
            assert (await b.request("POST", MAPS, config_map("two")))[0] == 201
            await watch.until(2)
            assert [e[:2] for e in watch.seen] == [("ADDED", "one"), ("ADDED", "two")]
            watch.stop()
        gate.go_on()
        await gate.stop()

    asyncio.run(main())


def test_a_quota_holds_for_both_servers_together(url: str) -> None:
    async def main() -> None:
        async with servers(url, url) as (a, b):
            quotas = "/api/v1/namespaces/default/resourcequotas"
            await asyncio.sleep(0)
            _, listed = await a.request("GET", MAPS)
            most = len(listed["items"]) + 10
            quota = {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": str(most)}}}
            assert (await a.request("POST", quotas, quota))[0] == 201
            assert (await b.request("GET", f"{quotas}/q"))[0] == 200

            async def create(i: int) -> tuple[int, str]:
                status, made = await (a, b)[i % 2].request("POST", MAPS, config_map(f"m{i}"))
                return status, made.get("message", "")

            done = await asyncio.gather(*(create(i) for i in range(60)))
            assert [status for status, _ in done].count(201) == 10, done
            refused = {
                message.partition("exceeded quota: q, requested: ")[2] for status, message in done if status == 403
            }
            assert refused == {f"count/configmaps=1, used: count/configmaps={most}, limited: count/configmaps={most}"}
            _, found = await b.request("GET", f"{quotas}/q")
            assert found["status"]["used"] == {"count/configmaps": str(most)}
            # What fails later is given back.
            await a.request("DELETE", f"{quotas}/q")
            quota["spec"] = {"hard": {"count/configmaps": str(most + 1)}}
            assert (await a.request("POST", quotas, quota))[0] == 201
            there = f"m{[status for status, _ in done].index(201)}"
            assert (await a.request("POST", MAPS, config_map(there)))[0] == 409
            assert (await b.request("POST", f"{MAPS}?dryRun=All", config_map("other")))[0] == 201
            for _ in range(200):
                _, found = await b.request("GET", f"{quotas}/q")
                if found["status"].get("used", {}).get("count/configmaps") in (None, str(most)):
                    break
                await asyncio.sleep(0.01)
            assert (await b.request("POST", MAPS, config_map("other")))[0] == 201
            assert (await a.request("POST", MAPS, config_map("more")))[0] == 403

    asyncio.run(main())
