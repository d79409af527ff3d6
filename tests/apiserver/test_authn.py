"""Who a request is from: front proxies, tokens and their audiences, and who is refused."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pelamis.base.errors import StatusError
from pelamis.net import tls
from pelamis.net.http1 import Response
from pelamis.net.httpserver import Server
from tests.apiserver.harness import Harness
from tests.apiserver.test_server import run

SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def test_front_proxy() -> None:
    authority = tls.Authority(tls.new_authority("front-proxy-ca", time.time()))
    other = {"X-Remote-User": "eve", "X-Remote-Group": "system:masters"}

    async def scenario(h: Harness) -> None:
        async def who(pair: tls.Pair, headers: dict[str, str] | None = None) -> Any:
            status, tree = await h.request("POST", SELF, REVIEW, pair=pair, headers=headers)
            return tree["status"]["userInfo"] if status == 201 else status

        proxy = authority.issue("front-proxy-client", time.time(), client=True)
        headers = {
            "X-Remote-User": "ann",
            "X-Remote-Uid": "7",
            "X-Remote-Group": "dev",
            "X-Remote-Extra-Acme.com%2Fproject": "some",
        }
        assert await who(proxy, headers) == {
            "username": "ann",
            "uid": "7",
            "groups": ["dev", "system:authenticated"],
            "extra": {"acme.com/project": ["some"]},
        }
        assert await who(proxy) == 401, "it stands for nobody by itself"
        # The authority of front proxies makes no users, and other names speak for nobody.
        forged = authority.issue("admin", time.time(), organizations=("system:masters",), client=True)
        assert await who(forged) == 401 == await who(forged, other)
        # A user's certificate speaks for its user only, whatever its name.
        assert (await who(h.admin, other))["username"] == "admin"
        same = h.pair("front-proxy-client")
        assert (await who(same, other))["username"] == "front-proxy-client"

    run(scenario, front_proxy_ca=authority.pair.cert)


def test_headers_of_a_front_proxy_mean_nothing_without_one() -> None:
    async def scenario(h: Harness) -> None:
        status, tree = await h.request("POST", SELF, REVIEW, headers={"X-Remote-User": "eve"})
        assert (status, tree["status"]["userInfo"]["username"]) == (201, "admin")

    run(scenario)


def test_tokens_for_others_are_refused() -> None:
    async def scenario(h: Harness) -> None:
        for token in ("odd", "a.b.c", "abcdef.0123456789abcdef"):
            headers = {"Authorization": f"Bearer {token}"}
            status, error = await h.request("GET", "/version", headers=headers, anonymous=True)
            assert (status, error["reason"]) == (401, "Unauthorized"), "though anonymous may read this"
        assert (await h.request("GET", "/version", anonymous=True))[0] == 200
        asked = {"spec": {"audiences": ["vault"], "expirationSeconds": 600}}
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        _, made = await h.request("POST", path, asked)
        token = made["status"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert (await h.request("GET", "/version", headers=headers, anonymous=True))[0] == 401
        reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
        for audiences, expected in ((["vault", "x"], ["vault"]), (["x"], None), ([], None)):
            spec = {"token": token, "audiences": audiences}
            _, answer = await h.request("POST", reviews, {"spec": spec})
            assert answer["status"].get("audiences") == expected
            assert bool(answer["status"].get("authenticated")) is (expected is not None)

    run(scenario)


def test_a_certificate_that_does_not_count() -> None:
    """The handshake passes, the request is refused, and a token that comes with it is heard."""
    now = time.time()
    other = tls.Authority(tls.new_authority("other-ca", now))
    masters = ("system:masters",)

    async def scenario(h: Harness) -> None:
        _, made = await h.request("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}})
        bearer = {"Authorization": f"Bearer {made['status']['token']}"}
        past = h.ca.issue("admin", now - 7200, organizations=masters, client=True, valid_s=3600)
        future = h.ca.issue("admin", now + 7200, organizations=masters, client=True)
        bad = {
            "of another authority": other.issue("admin", now, organizations=masters, client=True),
            "of another authority, with its certificate": tls.Pair(
                (pair := other.issue("admin", now, organizations=masters, client=True)).cert + other.pair.cert, pair.key
            ),
            "self-signed": tls.new_authority("admin", now),
            "expired": past,
            "not valid yet": future,
            "for servers only": h.ca.issue("admin", now, organizations=masters, server=True),
        }
        for what, shown in bad.items():
            status, error = await h.request("GET", "/version", pair=shown)
            assert (status, error["reason"], error["message"]) == (401, "Unauthorized", "Unauthorized"), what
            odd = {"Authorization": "Bearer odd"}
            assert (await h.request("GET", "/version", pair=shown, headers=odd))[0] == 401, what
            status, review = await h.request("POST", SELF, REVIEW, pair=shown, headers=bearer)
            assert review["status"]["userInfo"]["username"] == "system:serviceaccount:default:default", what

    run(scenario)


def test_a_certificate_ends_while_its_connection_lives() -> None:
    async def scenario(h: Harness) -> None:
        authenticator = h.server.authenticator
        seen: list[Any] = []

        def handler(request: Any) -> Any:
            seen.append(request)
            return Response(200)

        server = Server(handler)
        context = tls.server_context(h.ca.issue("x", time.time(), hosts=("127.0.0.1",), server=True), h.ca.pair.cert)
        port = await server.listen("127.0.0.1", 0, context)
        pair = h.ca.issue("ann", time.time(), client=True, valid_s=3600)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=h.context(pair))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(_.readuntil(b"\r\n\r\n"), 5)
        now = time.time()
        assert authenticator.authenticate(seen[0], now).name == "ann"
        assert authenticator.authenticate(seen[0], now + 1800).name == "ann"
        with pytest.raises(StatusError):
            authenticator.authenticate(seen[0], now + 3700)
        writer.close()
        await server.close(0.1)

    run(scenario)
