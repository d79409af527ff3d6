"""What the API alone is promised, as upstream's conformance tests look at it: watches, chunks, strictness, forms."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tests.apiserver.harness import Harness, running

Tree = dict[str, Any]
NS = "/api/v1/namespaces/default"
MAPS = f"{NS}/configmaps"
MERGE = {"Content-Type": "application/merge-patch+json"}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRS = "/apis/stable.example.com/v1/namespaces/default/noxus"


def served(scenario: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Gives the test a server of its own as its first argument."""

    async def main(arguments: dict[str, Any]) -> None:
        async with running() as harness:
            await scenario(harness, **arguments)

    @functools.wraps(scenario)
    def test(**arguments: Any) -> None:
        asyncio.run(main(arguments))

    whole = inspect.signature(scenario)
    test.__signature__ = whole.replace(parameters=list(whole.parameters.values())[1:])  # type: ignore[attr-defined]
    return test


def config_map(name: str, label: str = "", **data: str) -> Tree:
    return {"metadata": {"name": name, "labels": {"watch": label}}, "data": data}


async def ok(api: Harness, method: str, path: str, body: Any = None, **more: Any) -> Any:
    status, tree = await api.request(method, path, body, **more)
    assert status < 300, (method, path, tree)
    return tree


async def events(api: Harness, query: str, count: int, path: str = MAPS) -> list[tuple[str, str, str]]:
    """The first ``count`` events of a watch: type, name, and data.mutation."""
    _, _, data = await api.raw("GET", f"{path}?watch=true&timeoutSeconds=1&{query}")
    found = [json.loads(line) for line in unchunked(data).splitlines() if line.strip()]
    assert len(found) == count, found
    return [
        (e["type"], e["object"]["metadata"]["name"], e["object"].get("data", {}).get("mutation", "")) for e in found
    ]


def unchunked(data: bytes) -> bytes:
    out = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        out, data = out + data[:length], data[length + 2 :]
    return out


@served
async def test_watches_see_what_matches_from_where_they_start(api: Harness) -> None:
    first = await ok(api, "POST", MAPS, config_map("m", "yes", mutation="0"))
    start = first["metadata"]["resourceVersion"]
    for n in ("1", "2"):
        await ok(api, "PATCH", f"{MAPS}/m", {"data": {"mutation": n}}, headers=MERGE)
    await ok(api, "PATCH", f"{MAPS}/m", {"metadata": {"labels": {"watch": "no"}}}, headers=MERGE)
    await ok(api, "PATCH", f"{MAPS}/m", {"data": {"mutation": "3"}}, headers=MERGE)
    await ok(api, "PATCH", f"{MAPS}/m", {"metadata": {"labels": {"watch": "yes"}}}, headers=MERGE)
    await ok(api, "DELETE", f"{MAPS}/m")
    labelled = f"resourceVersion={start}&labelSelector=watch%3Dyes"
    assert await events(api, labelled, 5) == [
        ("MODIFIED", "m", "1"),
        ("MODIFIED", "m", "2"),
        ("DELETED", "m", "2"),
        ("ADDED", "m", "3"),
        ("DELETED", "m", "3"),
    ]
    assert await events(api, f"resourceVersion={start}&labelSelector=watch%3Dno", 3) == [
        ("ADDED", "m", "2"),
        ("MODIFIED", "m", "3"),
        ("DELETED", "m", "3"),
    ]


@served
async def test_lists_come_in_chunks_of_one_revision(api: Harness) -> None:
    templates = f"{NS}/podtemplates"
    spec = {"containers": [{"name": "test", "image": "test2"}]}
    for n in range(40):
        body = {"metadata": {"name": f"template-{n:04}"}, "template": {"spec": spec}}
        await ok(api, "POST", templates, body)
    last, token, revision, names = 40, "", "", []
    while True:
        page = await ok(api, "GET", f"{templates}?limit=7" + (f"&continue={token}" if token else ""))
        revision = revision or page["metadata"]["resourceVersion"]
        assert page["metadata"]["resourceVersion"] == revision and len(page["items"]) <= 7
        names += [i["metadata"]["name"] for i in page["items"]]
        await ok(api, "POST", MAPS, config_map(f"other-{len(names)}"))
        last -= len(page["items"])
        assert page["metadata"].get("remainingItemCount", 0) == last
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert names == [f"template-{n:04}" for n in range(40)]
    whole = await ok(api, "GET", f"{templates}?limit=500")
    assert len(whole["items"]) == 40 and "continue" not in whole["metadata"]


@served
async def test_forms_that_do_not_exist_are_refused(api: Harness) -> None:
    table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    review = {
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    }
    status, _ = await api.request(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, headers=table
    )
    assert status == 406
    version = await ok(api, "GET", "/version")
    assert version["major"].isdigit() and version["minor"].isdigit()


TYPED = b"""{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","unknownMeta":"x","labels":{"app":"n"}},
"spec":{"replicas":2,"replicas":3,"unknownField":"x","selector":{"matchLabels":{"app":"n"}},"template":{"metadata":
{"labels":{"app":"n"}},"spec":{"containers":[{"name":"n","image":"n","imagePullPolicy":"Always","imagePullPolicy":"Never",
"unknownNested":"x"}]}}}}"""


@served
async def test_field_validation_of_typed_objects(api: Harness) -> None:
    where = "/apis/apps/v1/namespaces/default/deployments"
    status, tree = await api.request("POST", f"{where}?fieldValidation=Strict", TYPED)
    assert status == 400
    for text in (
        "strict decoding error",
        'unknown field \\"metadata.unknownMeta\\"',
        'unknown field \\"spec.unknownField\\"',
        'duplicate field \\"spec.replicas\\"',
        'duplicate field \\"spec.template.spec.containers[0].imagePullPolicy\\"',
        'unknown field \\"spec.template.spec.containers[0].unknownNested\\"',
    ):
        assert text in json.dumps(tree)
    status, headers, _ = await api.raw("POST", f"{where}?dryRun=All", TYPED)
    assert status == 201 and "unknown field" in headers["warning"]
    status, headers, _ = await api.raw("POST", f"{where}?dryRun=All&fieldValidation=Ignore", TYPED)
    assert status == 201 and "warning" not in headers


def crd(schema: Tree, **more: Any) -> Tree:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **more}
    return {
        "metadata": {"name": "noxus.stable.example.com"},
        "spec": {
            "group": "stable.example.com",
            "scope": "Namespaced",
            "names": {"plural": "noxus", "singular": "noxu", "kind": "Noxu", "listKind": "NoxuList"},
            "versions": [version],
        },
    }


OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
CLOSED = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "foo": {"type": "string"},
                "cronSpec": {"type": "string", "pattern": "^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$"},
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
                    "x-kubernetes-list-type": "map",
                    "items": {
                        "type": "object",
                        "required": ["containerPort", "protocol"],
                        "properties": {"containerPort": {"type": "integer"}, "protocol": {"type": "string"}},
                    },
                },
                "embeddedObj": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"type": "object"},
                    },
                },
            },
        }
    },
}
HEAD = '{"apiVersion":"stable.example.com/v1","kind":"Noxu","metadata":{"name":"n"%s},"spec":%s}'
VALID = '{"cronSpec":"* * * * */5","ports":[{"containerPort":80,"protocol":"TCP"}]%s}'
CASES = [
    (OPEN, HEAD % ("", '{"any":"thing"}'), ()),
    (OPEN, HEAD % ("", '{"foo":"a","foo":"b"}'), ('duplicate field \\"spec.foo\\"',)),
    (CLOSED, HEAD % ("", VALID % ""), ()),
    (CLOSED, HEAD % ("", VALID % ',"extra":1'), ('unknown field \\"spec.extra\\"',)),
    (CLOSED, HEAD % (',"unknownMeta":"x"', VALID % ""), ('unknown field \\"metadata.unknownMeta\\"',)),
]


@pytest.mark.parametrize(("schema", "body", "problems"), CASES)
@served
async def test_field_validation_of_custom_objects(
    api: Harness, schema: Tree, body: str, problems: tuple[str, ...]
) -> None:
    await ok(api, "POST", CRDS, crd(schema))
    for _ in range(50):
        if (await api.request("GET", CRS))[0] == 200:
            break
        await asyncio.sleep(0)
    status, tree = await api.request("POST", f"{CRS}?fieldValidation=Strict&dryRun=All", body.encode())
    assert status == (400 if problems else 201), tree
    assert all(problem in json.dumps(tree) for problem in problems), tree
    if '"foo":"a"' in body:
        return  # YAML of an apply is another matter for duplicates
    apply = {"Content-Type": "application/apply-patch+yaml"}
    target = f"{CRS}/n?fieldManager=t&fieldValidation=Strict&dryRun=All"
    status, tree = await api.request("PATCH", target, body.encode(), headers=apply)
    assert (status in (200, 201)) != bool(problems), tree


@served
async def test_custom_defaults_apply_to_requests_and_to_what_is_stored(api: Harness) -> None:
    def shape(**fields: Tree) -> Tree:
        return {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}

    plain = {"type": "string"}
    await ok(api, "POST", CRDS, crd(shape(a=plain, b=plain)))
    head = {"apiVersion": "stable.example.com/v1", "kind": "Noxu"}
    make = lambda name: {**head, "metadata": {"name": name}, "spec": {}}  # noqa: E731

    async def until(path: str, wanted: Tree) -> None:
        for _ in range(200):
            status, tree = await api.request("GET", path)
            if status == 200 and tree["spec"] == wanted:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(tree)

    for _ in range(200):
        if (await api.request("POST", CRS, make("one")))[0] == 201:
            break
        await asyncio.sleep(0.01)
    target = f"{CRDS}/noxus.stable.example.com"

    async def schema(**fields: Any) -> None:
        versions = crd(shape(**fields))["spec"]["versions"]
        await ok(api, "PATCH", target, {"spec": {"versions": versions}}, headers=MERGE)

    await schema(a={**plain, "default": "A"}, b=plain)
    await until(f"{CRS}/one", {"a": "A"})
    await ok(api, "POST", CRS, make("two"))
    await schema(a=plain, b={**plain, "default": "B"})
    await until(f"{CRS}/two", {"a": "A", "b": "B"})


@served
async def test_definitions_have_a_status_and_are_watched(api: Harness) -> None:
    made = await ok(api, "POST", CRDS, crd(OPEN))
    target = f"{CRDS}/noxus.stable.example.com"
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    for _ in range(20):
        tree = await ok(api, "GET", f"{target}/status")
        tree["status"].setdefault("conditions", []).append(condition)
        status, tree = await api.request("PUT", f"{target}/status", tree)
        if status == 200:
            break
    assert condition["reason"] in [c["reason"] for c in tree["status"]["conditions"]]
    await ok(api, "DELETE", target)
    query = f"resourceVersion={made['metadata']['resourceVersion']}"
    _, _, data = await api.raw("GET", f"{CRDS}?watch=true&timeoutSeconds=1&{query}")
    kinds = [json.loads(line)["type"] for line in unchunked(data).splitlines() if line.strip()]
    assert kinds[0] == "MODIFIED" and kinds[-1] == "DELETED"


@served
async def test_events_have_series_and_two_groups(api: Harness) -> None:
    where = "/apis/events.k8s.io/v1/namespaces/default/events"
    regarding = {"namespace": "default", "kind": "Pod", "name": "p"}
    body = {
        "metadata": {"name": "e", "labels": {"testevent": "1"}},
        "regarding": regarding,
        "action": "Do",
        "reason": "Test",
        "type": "Normal",
        "note": "This is e",
        "eventTime": "2017-09-19T13:49:16.000000Z",
        "reportingController": "test-controller",
        "reportingInstance": "test-node",
    }
    await ok(api, "POST", where, body)
    series = {"count": 2, "lastObservedTime": "2017-09-19T13:49:17.000000Z"}
    strategic = {"Content-Type": "application/strategic-merge-patch+json"}
    await ok(api, "PATCH", f"{where}/e", {"series": series}, headers=strategic)
    found = await ok(api, "GET", f"{where}/e")
    assert found["series"] == series
    found["series"]["count"] = 100
    assert (await ok(api, "PUT", f"{where}/e", found))["series"]["count"] == 100
    core = await ok(api, "GET", f"{NS}/events/e")
    assert (core["message"], core["involvedObject"], core["series"]["count"]) == ("This is e", regarding, 100)
    listed = await ok(api, "GET", "/apis/events.k8s.io/v1/events?fieldSelector=reportingController%3Dtest-controller")
    assert [i["metadata"]["name"] for i in listed["items"]] == ["e"]
    await ok(api, "DELETE", f"{where}?labelSelector=testevent%3D1")
    assert (await ok(api, "GET", where))["items"] == []


@served
async def test_collections_are_deleted_by_label(api: Harness) -> None:
    for n in range(4):
        await ok(api, "POST", MAPS, config_map(f"c{n}", "gone" if n < 3 else "kept"))
    await ok(api, "DELETE", f"{MAPS}?labelSelector=watch%3Dgone")
    left = await ok(api, "GET", f"{MAPS}?labelSelector=watch")
    assert [i["metadata"]["name"] for i in left["items"]] == ["c3"]


@served
async def test_reviews_answer_for_an_impersonated_account(api: Harness) -> None:
    user = "system:serviceaccount:default:e2e"
    attributes = {"namespace": "default", "verb": "get", "resource": "configmaps"}
    review = {"spec": {"user": user, "resourceAttributes": attributes}}
    asked = await ok(api, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    local = await ok(api, "POST", "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews", review)
    as_user = {"Impersonate-User": user}
    status, _ = await api.request("GET", MAPS, headers=as_user)
    assert asked["status"]["allowed"] == local["status"]["allowed"] == (status == 200)
    whoami = await ok(
        api,
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {},
        headers={**as_user, "Impersonate-Group": "system:authenticated"},
    )
    assert whoami["status"]["userInfo"]["username"] == user


@served
async def test_aggregated_discovery(api: Harness) -> None:
    for kind in ("v2", "v2beta1"):
        accept = {"Accept": f"application/json;g=apidiscovery.k8s.io;v={kind};as=APIGroupDiscoveryList"}
        status, headers, data = await api.raw("GET", "/apis", headers=accept)
        tree = msgspec.json.decode(data)
        if kind == "v2":
            assert status == 200 and "apidiscovery.k8s.io" in headers["content-type"]
            groups = {g["metadata"]["name"]: g for g in tree["items"]}
            apps = {r["resource"]: r for r in groups["apps"]["versions"][0]["resources"]}
            assert {"deployments", "statefulsets", "daemonsets"} <= set(apps)
            assert {s["subresource"] for s in apps["deployments"]["subresources"]} == {"scale", "status"}
    for group in (await ok(api, "GET", "/apis"))["groups"]:
        assert group["preferredVersion"]["groupVersion"] in [v["groupVersion"] for v in group["versions"]]
        found = await ok(api, "GET", f"/apis/{group['preferredVersion']['groupVersion']}")
        assert found["groupVersion"] == group["preferredVersion"]["groupVersion"] and found["resources"]
