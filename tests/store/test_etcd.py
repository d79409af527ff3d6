"""The store over TLS with client certificates and etcd's own login, and what is said when it does not work."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from pelamis.base.protobuf import length_delimited
from pelamis.net import tls
from pelamis.store.etcd import EtcdStore, Login
from pelamis.store.etcdconn import connect
from pelamis.store.types import Done, Put, Unusable
from tests.contract import etcd

pytestmark = pytest.mark.slow


class Keys:
    def __init__(self, folder: Path) -> None:
        self.ca = tls.Authority(tls.new_authority("etcd-ca", time.time()))
        serving = self.ca.issue("etcd", time.time(), hosts=("127.0.0.1",), server=True, client=True)
        self.client = self.ca.issue("pelamis", time.time(), client=True)
        self.files = {n: folder / n for n in ("ca.crt", "server.crt", "server.key", "client.crt", "client.key")}
        content = (self.ca.pair.cert, serving.cert, serving.key, self.client.cert, self.client.key)
        for path, data in zip(self.files.values(), content, strict=True):
            path.write_bytes(data)

    @property
    def flags(self) -> list[str]:
        files = self.files
        out = ["--cert-file", files["server.crt"], "--key-file", files["server.key"]]
        return [str(f) for f in (*out, "--trusted-ca-file", files["ca.crt"], "--client-cert-auth")]

    def context(self, *, client: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.files["ca.crt"]))
        if client:
            context.load_cert_chain(self.files["client.crt"], self.files["client.key"])
        return context


async def _used(store: EtcdStore) -> None:
    await store.open()
    seen: list[str] = []
    store.watch("/", store.rev + 1, lambda events: seen.extend(e.key for e in events))
    answers = await store.commit([Put("/a", b"1"), Put("/e", b"2", ttl_s=60)])
    assert all(isinstance(a, Done) for a in answers)
    await store.compact(store.rev)
    assert sorted(seen) == ["/a", "/e"]
    await store.close()


async def _refused(store: EtcdStore) -> str:
    with pytest.raises(Unusable) as caught:
        await store.open()
    return str(caught.value)


def test_certificates(tmp_path: Path) -> None:
    keys = Keys(tmp_path)

    async def main(url: str) -> None:
        await _used(EtcdStore([url], keys.context()))
        assert "--datastore-ca" in await _refused(EtcdStore([url]))
        assert "--datastore-cert" in await _refused(EtcdStore([url], keys.context(client=False)))
        assert "https://" in await _refused(EtcdStore([url.replace("https", "http")]))

    with etcd.server(tmp_path, "https", *keys.flags) as url:
        asyncio.run(main(url))


def test_login(tmp_path: Path) -> None:
    def user(*texts: str) -> bytes:
        return b"".join(length_delimited(i + 1, text.encode()) for i, text in enumerate(texts))

    async def main(url: str) -> None:
        assert "http://" in await _refused(EtcdStore([url.replace("http", "https")]))
        connection = await connect("127.0.0.1", int(url.rpartition(":")[2]), None)
        for method, request in (
            ("UserAdd", user("root", "secret")),
            ("RoleAdd", user("root")),
            ("UserGrantRole", user("root", "root")),
            ("AuthEnable", b""),
        ):
            await connection.call(f"/etcdserverpb.Auth/{method}", request)
        connection.close()
        assert "--datastore-user" in await _refused(EtcdStore([url]))
        assert "--datastore-user" in await _refused(EtcdStore([url], login=Login("root", "wrong")))
        await _used(EtcdStore([url], login=Login("root", "secret")))

    with etcd.server(tmp_path) as url:
        asyncio.run(main(url))


def test_nobody_there() -> None:
    async def main() -> None:
        text = await _refused(EtcdStore([f"http://127.0.0.1:{etcd.free_port()}"]))
        assert "cannot be used" in text and "Check that it runs" in text

    asyncio.run(main())
