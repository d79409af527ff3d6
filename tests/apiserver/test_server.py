"""The whole server over HTTPS: what clients see of every verb."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pelamis.client.types import Create, Delete, Patch, Update
from tests.apiserver.harness import Harness, running

CMS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
POD: dict[str, Any] = {"spec": {"containers": [{"name": "c", "image": "nginx"}]}}
DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, **POD},
    },
}
Scenario = Callable[[Harness], Awaitable[None]]


def run(scenario: Scenario, **config: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), running(**config) as h:
            await h.request("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
            await scenario(h)

    asyncio.run(main())


def named(tree: dict[str, Any], name: str, **metadata: Any) -> dict[str, Any]:
    return {**tree, "metadata": {**tree.get("metadata", {}), "name": name, **metadata}}


def cm(name: str, value: str = "v", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "data": {"k": value}}


def test_life_of_an_object() -> None:
    async def scenario(h: Harness) -> None:
        status, made = await h.request("POST", CMS, cm("a"))
        assert status == 201 and made["kind"] == "ConfigMap" and made["metadata"]["uid"]
        assert await h.request("GET", f"{CMS}/a") == (200, made)
        status, error = await h.request("POST", CMS, cm("a"))
        assert (status, error["reason"], error["message"]) == (409, "AlreadyExists", 'configmaps "a" already exists')
        rev = made["metadata"]["resourceVersion"]
        status, same = await h.request("PUT", f"{CMS}/a", made)
        assert status == 200 and same["metadata"]["resourceVersion"] == rev, "an update without a change writes nothing"
        status, changed = await h.request("PUT", f"{CMS}/a", cm("a", "w"))
        assert changed["data"] == {"k": "w"} and changed["metadata"]["uid"] == made["metadata"]["uid"]
        status, error = await h.request("PUT", f"{CMS}/a", cm("a", "x", resourceVersion=rev))
        assert (status, error["reason"]) == (409, "Conflict")
        assert error["message"] == (
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
            "please apply your changes to the latest version and try again"
        )
        status, changed = await h.request("PUT", f"{CMS}/a", cm("a", "y", resourceVersion="0"))
        assert (status, changed["data"]) == (200, {"k": "y"}), "revision 0 is no demand"
        status, error = await h.request("PUT", f"{CMS}/b", cm("a"))
        assert (status, error["reason"]) == (404, "NotFound") or status == 400
        status, done = await h.request("DELETE", f"{CMS}/a", {"preconditions": {"uid": "nope"}})
        assert status == 409
        status, done = await h.request("DELETE", f"{CMS}/a")
        assert (status, done["status"], done["details"]["uid"]) == (200, "Success", made["metadata"]["uid"])
        assert (await h.request("GET", f"{CMS}/a"))[0] == 404

    run(scenario)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "message"),
    [
        ("GET", "/api/v1/nothing", None, {}, 404, "the server could not find the requested resource"),
        ("GET", "/apis/x/v1/y", None, {}, 404, "404 page not found"),
        ("GET", f"{CMS}/no", None, {}, 404, 'configmaps "no" not found'),
        ("POST", f"{CMS}/no", {}, {}, 405, "the server does not allow this method on the requested resource"),
        ("POST", CMS, {"metadata": {}}, {}, 422, "name or generateName is required"),
        ("POST", CMS, {"kind": "Secret", "metadata": {"name": "a"}}, {}, 400, "cannot be handled as a ConfigMap"),
        ("POST", CMS, {"apiVersion": "v2"}, {}, 400, "the API version in the data (v2) does not match"),
        ("POST", CMS, cm("a", namespace="x"), {}, 400, "does not match the namespace sent on the request"),
        ("POST", CMS, cm("a", resourceVersion="5"), {}, 500, "resourceVersion should not be set"),
        ("POST", f"{CMS}?dryRun=x", cm("a"), {}, 422, "dryRun"),
        ("POST", f"{CMS}?fieldValidation=Strict", {**cm("a"), "foo": 1}, {}, 400, 'unknown field "foo"'),
        ("POST", "/api/v1/namespaces/none/configmaps", cm("a"), {}, 404, 'namespaces "none" not found'),
        ("POST", CMS, b"{", {}, 400, ""),
        ("POST", CMS, b"x" * 3200000, {}, 413, "Request entity too large: limit is 3145728"),
        ("POST", CMS, cm("a"), {"Content-Type": "text/xml"}, 415, "accepted media types include: application/json"),
        ("GET", CMS, None, {"Accept": "text/xml"}, 406, "406: Not Acceptable"),
        ("PATCH", f"{CMS}/a", {}, {"Content-Type": "application/json"}, 415, "415: Unsupported Media Type"),
        ("GET", f"{CMS}?fieldSelector=foo%3Dbar", None, {}, 400, '"foo" is not a known field selector'),
        ("GET", f"{CMS}?labelSelector=a%20b", None, {}, 400, "unable to parse requirement"),
        ("GET", f"{CMS}?resourceVersion=abc", None, {}, 400, "invalid syntax"),
        ("GET", f"{CMS}?resourceVersionMatch=Exact", None, {}, 422, "resourceVersionMatch is forbidden unless"),
        ("GET", f"{CMS}?continue=xyz", None, {}, 400, "continue key is not valid"),
        ("DELETE", "/api/v1/namespaces/default", None, {}, 403, "this namespace may not be deleted"),
        ("GET", "/nothing", None, {}, 404, "404 page not found"),
    ],
)
def test_refusals(
    method: str, path: str, body: Any, headers: dict[str, str], status: int, message: str, shared: Any
) -> None:
    code, tree = shared(method, path, body, headers)
    assert code == status, tree
    assert message in tree["message"]
    assert tree["kind"] == "Status" and tree["code"] == status


@pytest.fixture(scope="module")
def shared() -> Any:
    """One server for many small questions."""
    loop = asyncio.new_event_loop()
    context = running()
    h = loop.run_until_complete(context.__aenter__())
    yield lambda m, p, b, headers: loop.run_until_complete(h.request(m, p, b, headers=headers))
    loop.run_until_complete(context.__aexit__(None, None, None))
    loop.close()


def test_generate_name_dry_run_and_warnings() -> None:
    async def scenario(h: Harness) -> None:
        names = {
            (await h.request("POST", CMS, {"metadata": {"generateName": "g-"}}))[1]["metadata"]["name"] for _ in "abc"
        }
        assert len(names) == 3 and all(n.startswith("g-") and len(n) == 7 for n in names)
        status, tree = await h.request("POST", f"{CMS}?dryRun=All", cm("dry"))
        assert status == 201 and tree["metadata"]["uid"] and "resourceVersion" not in tree["metadata"]
        assert (await h.request("GET", f"{CMS}/dry"))[0] == 404
        status, headers, _ = await h.raw("POST", CMS, {**cm("warned"), "foo": 1})
        assert (status, headers["warning"]) == (201, '299 - "unknown field \\"foo\\""')
        status, headers, _ = await h.raw("POST", f"{CMS}?fieldValidation=Ignore", {**cm("quiet"), "foo": 1})
        assert status == 201 and "warning" not in headers

    run(scenario)


def test_lists_in_pages_at_one_revision() -> None:
    async def scenario(h: Harness) -> None:
        for i in range(7):
            await h.request("POST", CMS, cm(f"c{i}", labels={"odd": str(i % 2)}))
        _, first = await h.request("GET", f"{CMS}?limit=3")
        rev = first["metadata"]["resourceVersion"]
        assert [i["metadata"]["name"] for i in first["items"]] == ["c0", "c1", "c2"]
        assert first["metadata"]["remainingItemCount"] == 4
        await h.request("DELETE", f"{CMS}/c4")
        await h.request("POST", CMS, cm("c3x"))
        await h.request("PUT", f"{CMS}/c5", cm("c5", "new"))
        _, rest = await h.request("GET", f"{CMS}?limit=9&continue={first['metadata']['continue']}")
        assert [i["metadata"]["name"] for i in rest["items"]] == ["c3", "c4", "c5", "c6"], (
            "the snapshot, not the present"
        )
        assert rest["metadata"]["resourceVersion"] == rev and "continue" not in rest["metadata"]
        assert rest["items"][2]["data"] == {"k": "v"}
        _, exact = await h.request("GET", f"{CMS}?resourceVersion={rev}&resourceVersionMatch=Exact")
        assert len(exact["items"]) == 7
        _, odd = await h.request("GET", f"{CMS}?labelSelector=odd%3D1")
        assert {i["metadata"]["name"] for i in odd["items"]} == {"c1", "c3"}
        _, one = await h.request("GET", f"{CMS}?fieldSelector=metadata.name%3Dc1")
        assert [i["metadata"]["name"] for i in one["items"]] == ["c1"]
        _, gone = await h.request("DELETE", f"{CMS}?labelSelector=odd%3D1")
        assert gone["kind"] == "ConfigMapList" and len(gone["items"]) == 2
        status, error = await h.request("GET", f"{CMS}?resourceVersion=99999&resourceVersionMatch=NotOlderThan")
        assert status == 504 and "Too large resource version: 99999" in error["message"]

    run(scenario)


def test_forms_of_an_answer() -> None:
    async def scenario(h: Harness) -> None:
        await h.request("POST", PODS, named(POD, "p"))
        table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
        _, tree = await h.request("GET", PODS, headers=table)
        assert tree["kind"] == "Table" and tree["columnDefinitions"][0]["name"] == "Name"
        assert tree["rows"][0]["cells"][0] == "p" and tree["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        partial = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
        _, tree = await h.request("GET", PODS, headers=partial)
        assert tree["kind"] == "PartialObjectMetadataList" and tree["items"][0]["kind"] == "PartialObjectMetadata"
        for accept, path in ((table, PODS), (table, f"{PODS}/p"), (partial, PODS)):
            early = {"Accept": accept["Accept"].replace("v=v1;", "v=v1beta1;")}
            _, tree = await h.request("GET", path, headers=early)
            assert tree["apiVersion"] == "meta.k8s.io/v1beta1"
            member = tree["items"][0] if "items" in tree else tree["rows"][0]["object"]
            assert (member["kind"], member["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1beta1")
        _, headers, body = await h.raw("GET", f"{PODS}/p", headers={"Accept": "application/yaml"})
        assert headers["content-type"] == "application/yaml" and b"kind: Pod" in body
        wire = {"Accept": "application/vnd.kubernetes.protobuf"}
        _, headers, body = await h.raw("GET", f"{PODS}/p", headers=wire)
        assert body[:4] == b"k8s\x00"
        status, _made = await h.request(
            "POST", PODS + "?dryRun=All", body.replace(b"\x01p", b"\x01q", 1), headers={"Content-Type": wire["Accept"]}
        )
        assert status in (201, 409, 500)
        for i in range(300):
            await h.server.client("admin", "system:masters").commit(
                [Create(h.server.objects.kind("configmaps"), cm(f"z{i}", "v" * 1000, namespace="default"))]
            )
        _, headers, body = await h.raw("GET", CMS, headers={"Accept-Encoding": "gzip"})
        assert headers["content-encoding"] == "gzip" and len(json.loads(gzip.decompress(body))["items"]) == 300

    run(scenario)


async def events(h: Harness, path: str, count: int, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The first events of a watch, read to the end when the server ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", h.server.port, ssl=h.context(h.admin))
    lines = "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    out: list[dict[str, Any]] = []
    text = b""
    while len(out) < count:
        size = int(await reader.readline(), 16)
        if not size:
            break
        text += await reader.readexactly(size)
        await reader.readline()
        *whole, text = text.split(b"\n")
        out += [json.loads(line) for line in whole]
    writer.close()
    return out


def test_watches() -> None:
    async def scenario(h: Harness) -> None:
        _, made = await h.request("POST", CMS, cm("a", labels={"x": "1"}))
        rev = made["metadata"]["resourceVersion"]
        watch = asyncio.create_task(events(h, f"{CMS}?watch=1&resourceVersion={rev}&labelSelector=x%3D1", 3))
        await h.request("POST", CMS, cm("other"))
        await h.request("PUT", f"{CMS}/a", cm("a", "2", labels={"x": "1"}))
        await h.request("PUT", f"{CMS}/a", cm("a", "3"))
        await h.request("PUT", f"{CMS}/a", cm("a", "4", labels={"x": "1"}))
        got = await watch
        assert [(e["type"], e["object"]["data"]["k"]) for e in got] == [
            ("MODIFIED", "2"),
            ("DELETED", "2"),
            ("ADDED", "4"),
        ]
        past = await events(h, f"{CMS}?watch=1&resourceVersion={rev}", 4)
        assert [e["type"] for e in past] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED"], "from the ring"
        initial = await events(
            h, f"{CMS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", 3
        )
        assert [e["type"] for e in initial] == ["ADDED", "ADDED", "BOOKMARK"]
        assert initial[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        ended = await events(h, f"{CMS}?watch=1&resourceVersion={rev}&timeoutSeconds=1", 99)
        assert len(ended) == 4, "the server ends the watch"
        gone = await events(h, f"{CMS}?watch=1&resourceVersion=1", 1)
        assert gone[0]["type"] in ("ERROR", "ADDED")

    run(scenario)


def test_watch_by_node_name_costs_only_its_channel() -> None:
    async def scenario(h: Harness) -> None:
        watch = asyncio.create_task(events(h, "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1", 2))
        await asyncio.sleep(0)
        pods = [named({"spec": {**POD["spec"], "nodeName": f"n{i}"}}, f"p{i}") for i in range(3)]
        for pod in pods:
            assert (await h.request("POST", PODS, pod))[0] == 201
        await h.request("DELETE", f"{PODS}/p1", {"gracePeriodSeconds": 0})
        got = await watch
        assert [(e["type"], e["object"]["metadata"]["name"]) for e in got] == [("ADDED", "p1"), ("DELETED", "p1")]

    run(scenario)


def test_patches_and_apply() -> None:
    async def scenario(h: Harness) -> None:
        path = f"{DEPLOYMENTS}/web"

        async def patch(kind: str, body: Any, query: str = "", subresource: str = "") -> tuple[int, Any]:
            media = "apply-patch+yaml" if kind == "apply" else f"{kind}-patch+json"
            return await h.request(
                "PATCH", path + subresource + query, body, headers={"Content-Type": f"application/{media}"}
            )

        full = {"apiVersion": "apps/v1", "kind": "Deployment", **DEPLOYMENT}
        status, made = await patch("apply", full, "?fieldManager=one")
        assert status == 201 and made["metadata"]["generation"] == 1
        assert [(m["manager"], m["operation"]) for m in made["metadata"]["managedFields"]] == [("one", "Apply")]
        status, error = await patch("apply", {**full, "spec": {**full["spec"], "replicas": 5}}, "?fieldManager=two")
        assert status == 409 and 'conflict with "one"' in error["message"] and ".spec.replicas" in error["message"]
        status, tree = await patch(
            "apply", {**full, "spec": {**full["spec"], "replicas": 5}}, "?fieldManager=two&force=true"
        )
        assert (status, tree["spec"]["replicas"], tree["metadata"]["generation"]) == (200, 5, 2)
        assert (await patch("apply", full))[0] == 422, "an apply needs a manager"
        status, tree = await patch(
            "strategic-merge", {"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "e"}]}}}}
        )
        assert [c["name"] for c in tree["spec"]["template"]["spec"]["containers"]] == ["d", "c"]
        status, tree = await patch("merge", {"metadata": {"labels": {"a": "b"}}})
        assert tree["metadata"]["labels"] == {"a": "b"} and tree["metadata"]["generation"] == 3
        status, tree = await patch("json", [{"op": "replace", "path": "/spec/replicas", "value": 7}])
        assert tree["spec"]["replicas"] == 7
        assert (await patch("json", [{"op": "test", "path": "/spec/replicas", "value": 1}]))[0] == 422
        status, tree = await patch("merge", {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 1}})
        assert status == 409
        status, tree = await patch("merge", {"metadata": {"name": "other"}})
        assert status == 400
        status, tree = await patch("merge", {"status": {"replicas": 9}, "spec": {"paused": True}}, "", "/status")
        assert tree["status"]["replicas"] == 9 and "paused" not in tree["spec"]
        status, tree = await patch("merge", {"status": {"replicas": 3}})
        assert tree["status"]["replicas"] == 9, "the main endpoint leaves the status alone"
        status, tree = await h.request("GET", path + "/scale")
        assert tree["kind"] == "Scale" and tree["spec"]["replicas"] == 7 and tree["status"]["selector"] == "app=web"
        tree["spec"]["replicas"] = 4
        status, tree = await h.request("PUT", path + "/scale", tree)
        assert (status, tree["kind"], tree["spec"]["replicas"]) == (200, "Scale", 4)
        assert (await h.request("GET", path))[1]["spec"]["replicas"] == 4

    run(scenario)


def test_deletion_waits_for_grace_and_finalizers() -> None:
    async def scenario(h: Harness) -> None:
        await h.request("POST", PODS, named({"spec": {**POD["spec"], "nodeName": "n"}}, "p"))
        status, pod = await h.request("DELETE", f"{PODS}/p")
        assert status == 200 and pod["kind"] == "Pod"
        assert pod["metadata"]["deletionGracePeriodSeconds"] == 30 and pod["metadata"]["deletionTimestamp"]
        _, shorter = await h.request("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 5})
        assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
        _, longer = await h.request("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 50})
        assert longer["metadata"]["deletionGracePeriodSeconds"] == 5, "only shorter"
        await h.request("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        assert (await h.request("GET", f"{PODS}/p"))[0] == 404
        hasty = {**POD["spec"], "nodeName": "n", "terminationGracePeriodSeconds": 0}
        await h.request("POST", PODS, named({"spec": hasty}, "p"))
        _, asked = await h.request("DELETE", f"{PODS}/p?gracePeriodSeconds=60")
        assert asked["metadata"]["deletionGracePeriodSeconds"] == 60, "the deletion's wish counts, not the pod's zero"
        await h.request("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        await h.request("POST", CMS, cm("f", finalizers=["a.b/c"]))
        _, kept = await h.request("DELETE", f"{CMS}/f", {"propagationPolicy": "Foreground"})
        assert kept["metadata"]["finalizers"] == ["a.b/c", "foregroundDeletion"]
        kept["metadata"]["finalizers"].append("new/one")
        status, error = await h.request("PUT", f"{CMS}/f", kept)
        assert status == 422 and "no new finalizers can be added if the object is being deleted" in error["message"]
        kept["metadata"]["finalizers"] = []
        assert (await h.request("PUT", f"{CMS}/f", kept))[0] == 200
        assert (await h.request("GET", f"{CMS}/f"))[0] == 404
        await h.request("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
        _, ns = await h.request("DELETE", "/api/v1/namespaces/n")
        assert ns["status"]["phase"] == "Terminating"
        status, error = await h.request("POST", "/api/v1/namespaces/n/configmaps", cm("x"))
        assert status == 403 and error["details"]["causes"][0]["reason"] == "NamespaceTerminating"
        ns["spec"]["finalizers"] = []
        assert (await h.request("PUT", "/api/v1/namespaces/n/finalize", ns))[0] == 200
        assert (await h.request("GET", "/api/v1/namespaces/n"))[0] == 404

    run(scenario)


def test_who_may_do_what() -> None:
    async def scenario(h: Harness) -> None:
        joe = h.pair("joe", "devs")
        status, error = await h.request("GET", PODS, pair=joe)
        assert status == 403 and error["message"] == (
            'pods is forbidden: User "joe" cannot list resource "pods" in API group "" in the namespace "default"'
        )
        status, error = await h.request("GET", "/api/v1/nodes/x", pair=joe)
        assert error["message"] == (
            'nodes "x" is forbidden: User "joe" cannot get resource "nodes" in API group "" at the cluster scope'
        )
        status, error = await h.request("GET", "/metrics", anonymous=True)
        assert error["message"] == 'forbidden: User "system:anonymous" cannot get path "/metrics"'
        assert (await h.raw("GET", "/healthz", anonymous=True))[0] == 200
        assert (await h.request("GET", PODS, headers={"Authorization": "Bearer x.y.z"}, anonymous=True))[0] == 401
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        role = {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}
        await h.request("POST", f"{rbac}/namespaces/default/roles", role)
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
        subject = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "devs"}
        binding = {"metadata": {"name": "b"}, "roleRef": ref, "subjects": [subject]}
        await h.request("POST", f"{rbac}/namespaces/default/rolebindings", binding)
        assert (await h.request("GET", PODS, pair=joe))[0] == 200, "at once"
        assert (await h.request("GET", "/api/v1/pods", pair=joe))[0] == 403
        as_joe = {"Impersonate-User": "joe", "Impersonate-Group": "devs"}
        assert (await h.request("GET", PODS, headers=as_joe))[0] == 200
        assert (await h.request("GET", PODS, headers=as_joe, pair=joe))[0] == 403
        writer = {
            "metadata": {"name": "w"},
            "rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["create"]}],
        }
        await h.request("POST", f"{rbac}/namespaces/default/roles", writer)
        await h.request(
            "POST",
            f"{rbac}/namespaces/default/rolebindings",
            {**binding, "metadata": {"name": "w"}, "roleRef": {**ref, "name": "w"}},
        )
        greedy = {"metadata": {"name": "g"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
        status, error = await h.request("POST", f"{rbac}/namespaces/default/roles", greedy, pair=joe)
        assert status == 403 and "is attempting to grant RBAC permissions not currently held" in error["message"]
        assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in error["message"]

    run(scenario)


def test_service_account_tokens() -> None:
    async def scenario(h: Harness) -> None:
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        await h.request("POST", PODS, named(POD, "p"))
        bound = {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}, "expirationSeconds": 600}}
        status, made = await h.request("POST", f"{path}/token", bound)
        assert status == 201 and made["kind"] == "TokenRequest"
        token = made["status"]["token"]
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert (
            claims["sub"] == "system:serviceaccount:default:default" and claims["kubernetes.io"]["pod"]["name"] == "p"
        )
        headers = {"Authorization": f"Bearer {token}"}
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        who = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        status, me = await h.request("POST", who, review, headers=headers, anonymous=True)
        assert me["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"
        assert me["status"]["userInfo"]["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
        reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
        assert (await h.request("POST", reviews, {"spec": {"token": token}}))[1]["status"]["authenticated"]
        await h.request("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        assert (await h.request("POST", who, review, headers=headers, anonymous=True))[0] == 401, "the pod is gone"
        _, keys = await h.request("GET", "/openid/v1/jwks")
        assert keys["keys"][0]["alg"] == "ES256"

    run(scenario)


def test_eviction_respects_the_budget() -> None:
    async def scenario(h: Harness) -> None:
        await h.request("POST", PODS, named(POD, "p", labels={"a": "b"}))
        ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        merge = {"Content-Type": "application/merge-patch+json"}
        await h.request("PATCH", f"{PODS}/p/status", ready, headers=merge)
        pdbs = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
        budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}
        await h.request("POST", pdbs, budget)
        evict = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
        status, error = await h.request("POST", f"{PODS}/p/eviction", evict)
        assert status == 429 and error["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
        allow = {"status": {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 1}}
        await h.request("PATCH", f"{pdbs}/b/status", allow, headers=merge)
        assert (await h.request("POST", f"{PODS}/p/eviction", evict))[0] == 201
        assert (await h.request("GET", f"{PODS}/p"))[0] == 404
        _, after = await h.request("GET", f"{pdbs}/b")
        assert after["status"]["disruptionsAllowed"] == 0 and "p" in after["status"]["disruptedPods"]

    run(scenario)


def test_the_local_client_goes_through_the_same_pipeline() -> None:
    async def scenario(h: Harness) -> None:
        admin = h.server.client("admin", "system:masters")
        kinds = h.server.objects.kind
        config_maps, pods = kinds("configmaps"), kinds("pods")
        view = admin.view(config_maps, namespace="default")
        outcomes = await admin.commit([Create(config_maps, cm(f"l{i}", namespace="default")) for i in range(3)])
        assert all(o.error is None and o.rev for o in outcomes)
        assert [o.metadata.name for o in view.list()] == ["l0", "l1", "l2"], "seen at once"
        outcomes = await admin.commit(
            [
                Patch(config_maps, "default", "l0", {"data": {"k": "x"}}),
                Patch(config_maps, "default", "l0", {"data": {"j": "y"}}),
                Delete(config_maps, "default", "l1"),
                Update(config_maps, cm("l2", "z", namespace="default", resourceVersion="1")),
                Create(config_maps, cm("l0", namespace="default")),
            ]
        )
        assert [o.error.reason if o.error else "" for o in outcomes] == ["", "", "", "Conflict", "AlreadyExists"]
        assert view.get("default", "l0").data == {"k": "x", "j": "y"}
        await admin.commit([Create(pods, named(POD, "p", namespace="default"))])
        scheduler = h.server.client("system:kube-scheduler")
        binding = {"metadata": {"name": "p", "namespace": "default"}, "target": {"kind": "Node", "name": "n1"}}
        bound = await scheduler.commit([Create(pods, binding, subresource="binding", name="p")])
        assert bound[0].error is None and view.revision >= bound[0].rev
        assert (await admin.get(pods, "default", "p")).spec.nodeName == "n1"
        again = await scheduler.commit([Create(pods, binding, subresource="binding", name="p")])
        assert again[0].error is not None and 'already assigned to node "n1"' in again[0].error.message
        nobody = h.server.client("joe")
        refused = await nobody.commit([Create(config_maps, cm("x", namespace="default"))])
        assert refused[0].error is not None and refused[0].error.reason == "Forbidden"

    run(scenario)


def test_a_restart_keeps_everything_and_never_gives_an_address_twice(tmp_path: Any) -> None:
    async def main() -> None:
        from pelamis.apiserver.server import ApiServer, Config
        from pelamis.net import tls
        from pelamis.store.sqlite import SqliteStore

        key = tls.key_pem(tls.new_key())
        addresses: list[str] = []
        for run_number in range(2):
            store = SqliteStore(tmp_path)
            await store.open()
            server = ApiServer(Config(store=store, service_account_key=key, port=0, service_cidrs=("10.0.0.0/29",)))
            await server.start()
            client = server.client("admin", "system:masters")
            kind = server.objects.kind("services")
            for i in range(2):
                meta = {"name": f"s{run_number}{i}", "namespace": "default"}
                service = {"metadata": meta, "spec": {"ports": [{"port": 80}]}}
                outcome = (await client.commit([Create(kind, service)]))[0]
                assert outcome.error is None
                addresses.append(outcome.obj.spec.clusterIP)
            assert server.objects.get("services", "default", "kubernetes").spec.clusterIP == "10.0.0.1"
            await server.stop(0.1)
            await store.close()
        assert len(set(addresses)) == 4 and "10.0.0.1" not in addresses

    asyncio.run(main())


def test_a_kubelet_reaches_only_what_its_pods_need() -> None:
    async def scenario(h: Harness) -> None:
        kubelet = h.pair("system:node:n1", "system:nodes")
        secrets = "/api/v1/namespaces/default/secrets"
        for name in ("used", "other"):
            await h.request("POST", secrets, {"metadata": {"name": name}})
        volume = {"name": "v", "secret": {"secretName": "used"}}
        await h.request("POST", PODS, named({"spec": {**POD["spec"], "nodeName": "n1", "volumes": [volume]}}, "p"))
        await h.request("POST", PODS, named({"spec": {**POD["spec"], "nodeName": "n2"}}, "q"))
        node = {"metadata": {"name": "n1"}}
        mine = "?fieldSelector=spec.nodeName%3Dn1"
        merge = {"Content-Type": "application/merge-patch+json"}
        running_now = {"status": {"phase": "Running"}}
        token = "/api/v1/namespaces/default/serviceaccounts/default/token"
        for method, path, body, headers, status in (
            ("GET", f"{secrets}/used", None, {}, 200),
            ("GET", f"{secrets}/other", None, {}, 403),
            ("GET", secrets, None, {}, 403),
            ("GET", "/api/v1/pods" + mine, None, {}, 200),
            ("GET", "/api/v1/pods", None, {}, 403),
            ("GET", f"{PODS}/q", None, {}, 403),
            ("POST", "/api/v1/nodes", node, {}, 201),
            ("POST", "/api/v1/nodes", {"metadata": {"name": "n2"}}, {}, 403),
            ("PATCH", "/api/v1/nodes/n1/status", {"status": {"nodeInfo": {"machineID": "m"}}}, merge, 200),
            ("PATCH", "/api/v1/nodes/n1", {"spec": {"taints": []}}, merge, 403),
            ("DELETE", "/api/v1/nodes/n1", None, {}, 403),
            ("PATCH", f"{PODS}/p/status", running_now, merge, 200),
            ("PATCH", f"{PODS}/q/status", running_now, merge, 403),
            ("POST", token, {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}}, {}, 201),
            ("POST", PODS, named(POD, "x"), {}, 403),
            ("DELETE", f"{PODS}/q", None, {}, 403),
            ("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0}, {}, 200),
            ("GET", f"{secrets}/used", None, {}, 403),
        ):
            code, answer = await h.request(method, path, body, headers=headers, pair=kubelet)
            assert code == status, (method, path, answer)

    run(scenario)
