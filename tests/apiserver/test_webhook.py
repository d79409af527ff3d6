"""Admission webhooks, over HTTP."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
import pytest

from pelamis.apiserver.admission.webhook import denial
from tests.apiserver.extension import Hooks, hooks
from tests.apiserver.harness import Harness, running

GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    encoded = base64.b64encode(msgspec.json.encode(operations)).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": encoded}


def answer(path: str, request: dict[str, Any]) -> Any:
    data = (request["object"] or {}).get("data", {})
    match path:
        case "/first":
            return {
                **patch({"op": "add", "path": "/data/first", "value": data.get("first", "") + "x"}),
                "warnings": ["hm"],
            }
        case "/second":
            return patch({"op": "add", "path": "/data/second", "value": "yes"})
        case "/deny" if "bad" in data:
            return {"allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": "it is bad"}}
    return {"allowed": True}


async def configure(h: Harness, remote: Hooks, sort: str, name: str, path: str, **more: Any) -> None:
    rule = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    hook = {
        "name": f"{name}.x.io",
        "clientConfig": remote.client(path),
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **more,
    }
    body = {"metadata": {"name": name}, "webhooks": [hook]}
    status, made = await h.request("POST", f"{GROUP}/{sort}webhookconfigurations", body)
    assert status == 201, made


def test_webhooks_change_and_refuse() -> None:
    async def body() -> None:
        async with running() as h, hooks(h, answer) as remote:
            condition = [{"name": "c", "expression": "request.operation == 'DELETE' || !has(object.data.skip)"}]
            again = {"reinvocationPolicy": "IfNeeded", "matchConditions": condition}
            await configure(h, remote, "mutating", "a", "/first", **again)
            await configure(h, remote, "mutating", "b", "/second")
            await configure(h, remote, "validating", "v", "/deny")
            status, headers, data = await h.raw("POST", MAPS, {"metadata": {"name": "m"}, "data": {"k": "v"}})
            assert (status, headers["warning"]) == (201, '299 - "hm"')
            assert msgspec.json.decode(data)["data"] == {"first": "xx", "k": "v", "second": "yes"}
            assert [p for p, _ in remote.asked] == ["/first", "/second", "/first", "/deny"]
            request = remote.asked[-1][1]
            assert (request["operation"], request["userInfo"]["username"]) == ("CREATE", "admin")
            assert request["object"]["metadata"]["uid"] and request["oldObject"] is None
            status, made = await h.request("POST", MAPS, {"metadata": {"name": "s"}, "data": {"skip": "1"}})
            assert made["data"] == {"skip": "1", "second": "yes"}
            status, refused = await h.request("POST", MAPS, {"metadata": {"name": "n"}, "data": {"bad": "1"}})
            assert (status, refused["reason"]) == (403, "Forbidden")
            assert refused["message"] == 'admission webhook "v.x.io" denied the request: it is bad'
            assert (await h.request("DELETE", f"{MAPS}/m"))[0] == 200
            last = remote.asked[-1][1]
            assert (last["operation"], last["object"], last["oldObject"]["metadata"]["name"]) == ("DELETE", None, "m")

    asyncio.run(body())


def test_failures_follow_the_policy_and_side_effects_forbid_dry_run() -> None:
    async def body() -> None:
        async with running() as h, hooks(h, lambda path, request: {"allowed": True, "uid": "other"}) as remote:
            await configure(h, remote, "validating", "lax", "/x", failurePolicy="Ignore")
            assert (await h.request("POST", MAPS, {"metadata": {"name": "a"}}))[0] == 201
            await configure(h, remote, "validating", "strict", "/x")
            status, refused = await h.request("POST", MAPS, {"metadata": {"name": "b"}})
            assert status == 500
            assert 'failed calling webhook "strict.x.io": received invalid webhook response' in refused["message"]
            nobody = {"url": "https://127.0.0.1:1/y", "caBundle": remote.client("/y")["caBundle"]}
            await configure(h, remote, "mutating", "down", "/y", clientConfig=nobody)
            status, refused = await h.request("POST", MAPS, {"metadata": {"name": "b"}})
            assert refused["message"] == (
                'Internal error occurred: failed calling webhook "down.x.io": failed to call webhook: '
                'Post "https://127.0.0.1:1/y?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused'
            )
            await h.request("DELETE", f"{GROUP}/mutatingwebhookconfigurations/down")
            selector = {"matchLabels": {"none": "here"}}
            for name in ("lax", "strict"):
                await h.request("DELETE", f"{GROUP}/validatingwebhookconfigurations/{name}")
            await configure(h, remote, "validating", "other", "/x", namespaceSelector=selector)
            assert (await h.request("POST", MAPS, {"metadata": {"name": "c"}}))[0] == 201

    asyncio.run(body())


@pytest.mark.parametrize(
    "status, code, reason, message",
    [
        (None, 400, "", "denied the request without explanation"),
        ({"reason": "Expired"}, 400, "Expired", "denied the request: Expired"),
        ({"code": 200, "message": "no"}, 400, "", "denied the request: no"),
        ({"code": 418, "message": "tea"}, 418, "", "denied the request: tea"),
    ],
)
def test_denials_are_worded_as_upstream(status: Any, code: int, reason: str, message: str) -> None:
    error = denial("h", status)
    assert (error.code, error.reason, error.message) == (code, reason, f'admission webhook "h" {message}')


def test_subresources_of_other_types_are_shown_as_what_they_are() -> None:
    async def body() -> None:
        async with running() as h, hooks(h, lambda path, request: {"allowed": False}) as remote:
            rules = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]
            base = "/api/v1/namespaces/default"
            await h.request("POST", f"{base}/serviceaccounts", {"metadata": {"name": "default"}})
            containers = [{"name": "c", "image": "i"}]
            await h.request("POST", f"{base}/pods", {"metadata": {"name": "p"}, "spec": {"containers": containers}})
            template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers}}
            spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
            deployments = "/apis/apps/v1/namespaces/default/deployments"
            await h.request("POST", deployments, {"metadata": {"name": "d"}, "spec": spec})
            await configure(h, remote, "validating", "all", "/x", rules=rules)
            scale = {"metadata": {"name": "d"}, "spec": {"replicas": 3}}
            binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
            for method, path, tree, kind, operation in (
                ("PUT", f"{deployments}/d/scale", scale, "Scale", "UPDATE"),
                ("POST", f"{base}/pods/p/binding", binding, "Binding", "CREATE"),
                ("POST", f"{base}/pods/p/eviction", {"metadata": {"name": "p"}}, "Eviction", "CREATE"),
                ("GET", f"{base}/pods/p/exec?command=ls&stdout=true", None, "PodExecOptions", "CONNECT"),
            ):
                remote.asked.clear()
                status, refused = await h.request(method, path, tree)
                assert (status, refused["message"]) == (
                    400,
                    'admission webhook "all.x.io" denied the request without explanation',
                )
                request = remote.asked[0][1]
                assert (request["kind"]["kind"], request["operation"]) == (kind, operation)
                assert request["subResource"] == path.rpartition("/")[2].partition("?")[0]

    asyncio.run(body())
