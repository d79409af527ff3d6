"""Group-versions of other API servers, and the APIServices of our own."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import msgspec
import pytest

from pelamis.apiserver.aggregation import RESOURCE, discovered, remote_headers
from pelamis.apiserver.flow.rules import Flow
from pelamis.apiserver.user import User
from pelamis.base.errors import StatusError
from pelamis.net import tls
from pelamis.net.http1 import Request, Response
from pelamis.net.httpserver import Server
from tests.apiserver.extension import reached
from tests.apiserver.harness import running

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
FOOS = {"name": "foos", "singularName": "foo", "namespaced": True, "kind": "Foo", "verbs": ["list"]}

SPEC = {
    "swagger": "2.0",
    "paths": {
        "/apis/m.x.io/v1/foos": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/io.x.Foo"}}}}},
        "/apis/other/v1/foos": {"get": {"responses": {"200": {"schema": {"$ref": "#/definitions/io.x.Other"}}}}},
    },
    "definitions": {
        "io.x.Foo": {"type": "object", "properties": {"part": {"$ref": "#/definitions/io.x.Part"}}},
        "io.x.Part": {"type": "string"},
        "io.x.Other": {"type": "string"},
    },
}


def test_requests_go_to_the_server_that_provides_the_group() -> None:
    async def body() -> None:
        authority = tls.Authority(tls.new_authority("front", time.time()))
        shown = authority.issue("front-proxy-client", time.time(), client=True)
        asked: list[tuple[str, dict[str, str]]] = []

        def handle(request: Request) -> Response:
            headers = {n.decode().lower(): v.decode() for n, v in request.fields}
            asked.append((request.path, headers))
            assert request.peer_cert is not None, "the server shows its front proxy certificate"
            if request.path == "/apis/m.x.io/v1":
                tree = {"kind": "APIResourceList", "groupVersion": "m.x.io/v1", "resources": [FOOS]}
                return Response(200, msgspec.json.encode(tree), "application/json")
            if request.path == "/openapi/v2":
                return Response(200, msgspec.json.encode(SPEC), "application/json")
            if request.path.startswith("/openapi/v3/"):
                return Response(200, b'{"openapi":"3.0.0"}', "application/json")
            return Response(200, b'{"kind":"FooList"}', "application/json")

        async with running(front_proxy_client=shown) as h:
            server = Server(handle)
            pair = h.ca.issue("agg", time.time(), hosts=("agg.default.svc",), server=True)
            port = await server.listen("127.0.0.1", 0, tls.server_context(pair, authority.pair.cert))
            service = {"metadata": {"name": "agg"}, "spec": {"type": "ExternalName", "externalName": "localhost"}}
            await h.request("POST", "/api/v1/namespaces/default/services", service)
            spec = {
                "group": "m.x.io",
                "version": "v1",
                "groupPriorityMinimum": 100,
                "versionPriority": 10,
                "caBundle": base64.b64encode(h.ca.pair.cert).decode(),
                "service": {"name": "agg", "namespace": "default", "port": port},
            }
            status, made = await h.request("POST", SERVICES, {"metadata": {"name": "v1.m.x.io"}, "spec": spec})
            assert status == 201, made
            one = await reached(h, RESOURCE, "", "v1.m.x.io", lambda o: o is not None and o.status.conditions)
            assert [(c.status, c.reason) for c in one.status.conditions] == [("True", "Passed")]
            evil = {"X-Remote-User": "evil", "X-Remote-Group": "system:masters"}
            status, _, data = await h.raw(
                "GET", "/apis/m.x.io/v1/foos", headers=evil, pair=h.pair("bob", "system:masters")
            )
            assert status == 200 and b'{"kind":"FooList"}' in data
            assert asked[-1][1]["x-remote-user"] == "bob"
            # Components of this process reach it too, as themselves and no further than their roles go.
            scaler = h.server.client("system:serviceaccount:kube-system:horizontal-pod-autoscaler")
            with pytest.raises(StatusError, match="forbidden"):
                await scaler.fetch("/apis/m.x.io/v1/foos")
            master = h.server.client("root", "system:masters")
            found = await master.fetch("/apis/m.x.io/v1/namespaces/a/foos/*/rate", query={"labelSelector": "a in (b)"})
            assert found == {"kind": "FooList"}
            assert asked[-1][0] == "/apis/m.x.io/v1/namespaces/a/foos/*/rate"
            assert asked[-1][1]["x-remote-user"] == "root"
            with pytest.raises(StatusError, match="could not find the requested resource"):
                await master.fetch("/apis/external.metrics.k8s.io/v1beta1/namespaces/a/queue")
            # It takes a seat here, too.
            flow = h.server.flow
            taken: list[str] = []
            enter = flow.enter

            def noted(found: Flow, *rest: Any) -> Any:
                taken.append(found.schema)
                return enter(found, *rest)

            flow.enter = noted  # type: ignore[method-assign,assignment]
            assert (await h.raw("GET", "/apis/m.x.io/v1/foos"))[0] == 200
            assert taken == ["exempt"]
            assert (await h.raw("GET", "/apis/m.x.io/v1/foos?watch=1"))[0] == 200
            assert taken == ["exempt"]
            status, group = await h.request("GET", "/apis/m.x.io")
            assert group["preferredVersion"]["groupVersion"] == "m.x.io/v1"
            assert "apis/m.x.io/v1" in (await h.request("GET", "/openapi/v3"))[1]["paths"]
            async with asyncio.timeout(5):
                while "/apis/m.x.io/v1/foos" not in (spec := (await h.request("GET", "/openapi/v2"))[1])["paths"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert "/apis/other/v1/foos" not in spec["paths"]
            assert {"io.x.Foo", "io.x.Part"} <= set(spec["definitions"]) and "io.x.Other" not in spec["definitions"]
            binary = {"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
            assert b"io.x.Part" in (await h.raw("GET", "/openapi/v2", headers=binary))[2]
            binary = {"Accept": "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"}
            status, headers, data = await h.raw("GET", "/openapi/v3/apis/m.x.io/v1", headers=binary)
            assert (status, data) == (200, b"\n\x053.0.0\x12\x00") and "spec.v3.v1.0+protobuf" in headers[
                "content-type"
            ]
            await server.close(0.1)
            await h.request("DELETE", f"{SERVICES}/v1.m.x.io")
            assert "io.x.Foo" not in (await h.request("GET", "/openapi/v2"))[1]["definitions"]
            assert (await h.request("GET", "/apis/m.x.io/v1/foos"))[0] == 404

    asyncio.run(body())


def test_what_cannot_be_reached_is_unavailable_and_ours_are_local() -> None:
    async def body() -> None:
        async with running() as h:
            one = await reached(h, RESOURCE, "", "v1.apps", lambda o: o is not None)
            assert (one.spec.groupPriorityMinimum, one.spec.versionPriority) == (17800, 15)
            assert one.status.conditions[0].reason == "Local"
            spec = {"group": "m.x.io", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}
            tree = {"metadata": {"name": "v1.m.x.io"}, "spec": {**spec, "insecureSkipTLSVerify": True}}
            tree["spec"]["service"] = {"name": "none", "namespace": "default"}  # type: ignore[index]
            await h.request("POST", SERVICES, tree)
            one = await reached(h, RESOURCE, "", "v1.m.x.io", lambda o: o is not None and o.status.conditions)
            found = one.status.conditions[0]
            assert (found.reason, found.message) == ("ServiceNotFound", 'service/none in "default" is not present')
            assert (await h.raw("GET", "/apis/m.x.io/v1"))[0] == 503

    asyncio.run(body())


def test_identity_and_discovery() -> None:
    user = User("a", ("g", "h"), "u", {"scopes/x": ("1",)})
    assert remote_headers(user) == [
        ("X-Remote-User", "a"),
        ("X-Remote-Uid", "u"),
        ("X-Remote-Group", "g"),
        ("X-Remote-Group", "h"),
        ("X-Remote-Extra-scopes%2Fx", "1"),
    ]
    (item,) = discovered([FOOS, {"name": "foos/status", "kind": "Foo", "verbs": ["get"]}], "g", "v1")
    assert (item["resource"], item["scope"]) == ("foos", "Namespaced")
    assert [s["subresource"] for s in item["subresources"]] == ["status"]
