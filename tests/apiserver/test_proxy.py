"""What is behind a proxy name: its links lead through the proxy again, everything else passes as it is."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from pelamis.apiserver.streams import rewrite
from pelamis.apiserver.streams.proxy import pass_on
from pelamis.net.http1 import Request, Response
from pelamis.net.httpclient import HttpPool
from pelamis.net.httpserver import Server
from tests.apiserver.harness import running

HOSTS = ("10.0.0.1:80", "proxy:6443")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/x", "/p/x"),
        ("/x/", "/p/x/"),
        ("/", "/p/"),
        ("/p/x", "/p/x"),
        ("x/y", "x/y"),
        ("#part", "#part"),
        ("http://10.0.0.1:80/x?q=1", "/p/x?q=1"),
        ("https://proxy:6443/x", "https://proxy:6443/p/x"),
        ("https://elsewhere/x", "https://elsewhere/x"),
        ("//elsewhere/x", "//elsewhere/x"),
        ("http://[bad/x", "http://[bad/x"),
        ("mailto:a@b", "mailto:a@b"),
    ],
)
def test_an_address_leads_through_the_proxy(address: str, expected: str) -> None:
    assert rewrite.link(address, "/p", HOSTS) == expected


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('<a href="/x">é</a>', '<a href="/p/x">é</a>'),
        ("<A  id=1 HREF=/x?a=1&amp;b='2' >", "<A  id=1 HREF=\"/p/x?a=1&amp;b=\"'2' >"),
        ("<img longdesc='/l' src='/s' alt='/a'>", '<img longdesc="/p/l" src="/p/s" alt=\'/a\'>'),
        ('<p href="/x"><a title="<a href=/y>" href="z">', '<p href="/x"><a title="<a href=/y>" href="z">'),
        ('<!-- <a href="/x"> --><base href="/">', '<!-- <a href="/x"> --><base href="/p/">'),
        (
            "<script src=\"/s\">'<a href=\"/n\">'</SCRIPT><a href='/y'>",
            '<script src="/p/s">\'<a href="/n">\'</SCRIPT><a href="/p/y">',
        ),
        ('<style>"<a href=/x>', '<style>"<a href=/x>'),
        ('<a href="/x', '<a href="/x'),
        ("no tags", "no tags"),
    ],
)
def test_the_links_of_a_page(page: str, expected: str) -> None:
    assert b"".join(rewrite.links(page.encode(), "/p", HOSTS)).decode() == expected


def test_pages_that_are_compressed() -> None:
    packed = b"".join(rewrite.pieces(gzip.compress(b'<a href="/x">'), "gzip", "/p", HOSTS))
    assert gzip.decompress(packed) == b'<a href="/p/x">'
    for data, encoding in ((b"not gzip", "gzip"), (b'<a href="/x">', "br")):
        assert b"".join(rewrite.pieces(data, encoding, "/p", HOSTS)) == data


def behind(request: Request) -> Response:
    page = b'<a href="/x">'
    match request.path:
        case "/page":
            return Response(200, page, "text/html; charset=utf-8", (("Access-Control-Allow-Origin", "*"), ("X-A", "1")))
        case "/long":
            return Response(200, page * (rewrite.LONGEST // len(page) + 1), "text/html")
        case "/moved":
            return Response(302, page, "text/html", (("Location", "/there"),))
    return Response(200, page, "text/plain")


def test_answers_pass_and_their_links_follow() -> None:
    async def main() -> None:
        backend, front = Server(behind), Server(lambda request: pass_on(request, pool, request.raw_path, "/p"))
        pool = HttpPool(f"http://127.0.0.1:{await backend.listen('127.0.0.1', 0)}")
        client = HttpPool(f"http://127.0.0.1:{await front.listen('127.0.0.1', 0)}")
        try:
            status, headers, body = await client.fetch("GET", "/page")
            assert (status, body) == (200, b'<a href="/p/x">')
            assert headers["x-a"] == "1" and "access-control-allow-origin" not in headers
            assert (await client.fetch("GET", "/plain"))[2] == b'<a href="/x">'
            assert (await client.fetch("GET", "/long"))[2].startswith(b'<a href="/x">')
            status, headers, body = await client.fetch("GET", "/moved")
            assert (status, headers["location"], body) == (302, "/p/there", b'<a href="/x">')
        finally:
            for pools in (client, pool):
                await pools.close()
            for server in (front, backend):
                await server.close(0)

    asyncio.run(main())


def test_a_proxy_path_without_its_slash_is_redirected() -> None:
    async def main() -> None:
        async with running() as h:
            await h.request("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
            pods = "/api/v1/namespaces/default/pods"
            pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
            await h.request("POST", pods, pod)
            merge = {"Content-Type": "application/merge-patch+json"}
            await h.request("PATCH", f"{pods}/p/status", {"status": {"podIP": "127.0.0.1"}}, headers=merge)
            for method in ("GET", "HEAD"):
                status, headers, _ = await h.raw(method, f"{pods}/p:1/proxy?method=a%20b")
                assert (status, headers["location"]) == (301, f"{pods}/p:1/proxy/?method=a%20b")
            assert (await h.raw("GET", f"{pods}/none/proxy"))[0] == 404

    asyncio.run(main())
