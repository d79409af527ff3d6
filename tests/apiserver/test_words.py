"""What a kube-apiserver answered to the same requests: patches that make no object, owners, paths, options."""

# ruff: noqa: E501
from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.apiserver.harness import Harness, running
from tests.conformance import corpus

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JSON_PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
LABELS = {"a": "b"}
DEPLOYMENT = {
    "metadata": {"name": "a"},
    "spec": {
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}
NO_TYPED = "failed to create typed patch object (/a; apps/v1, Kind=Deployment): "
PATCHES: list[tuple[str, Any, int, str]] = [
    (JSON_PATCH, {}, 400, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers"),
    (JSON_PATCH, b"nope", 400, "error decoding patch: invalid character 'o' in literal null (expecting 'u')"),
    (JSON_PATCH, [{"op": "remove", "path": "/metadata/name"}], 400, "was undeterminable: name must be provided"),
    (JSON_PATCH, [{"op": "replace", "path": "/spec/none", "value": 1}], 200, ""),
    (MERGE, {"spec": {"replicas": "x"}}, 422, "json: cannot unmarshal string into Go struct field DeploymentSpec."),
    (MERGE, {"kind": "Pod"}, 422, 'no kind "Pod" is registered'),
    (MERGE, None, 400, "Invalid JSON Patch"),
    (MERGE, {"metadata": {"namespace": "z"}}, 400, "does not match the namespace sent on the request"),
    (STRATEGIC, [], 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    (
        STRATEGIC,
        {"spec": {"replicas": "x"}},
        422,
        'Invalid value: "map[spec:map[replicas:x]]": unrecognized type: int32',
    ),
    (STRATEGIC, {"spec": {"template": {"spec": {"containers": "x"}}}}, 422, "cannot restore slice from string"),
    (APPLY, {"spec": {"replicas": "x"}}, 500, NO_TYPED + ".spec.replicas: expected numeric (int or float), got string"),
    (APPLY, {"apiVersion": "v1", "kind": "Pod"}, 400, "invalid object type: /v1, Kind=Pod"),
    (
        APPLY,
        {"spec": {"template": {"spec": {"containers": [{"image": "z"}]}}}},
        422,
        "containers[1].name: Required value",
    ),
]


def test_patches() -> None:
    async def body() -> None:
        async with running() as h:
            await h.request("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
            assert (await h.request("POST", DEPLOYMENTS, DEPLOYMENT))[0] == 201
            for media, patch, code, said in PATCHES:
                if media == APPLY:
                    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, **patch}
                data = b"null" if patch is None else patch
                path = f"{DEPLOYMENTS}/a?dryRun=All&fieldManager=m"
                status, answer = await h.request("PATCH", path, data, headers={"Content-Type": media})
                assert (status, said in answer.get("message", "")) == (code, True), (patch, answer)
            path = f"{DEPLOYMENTS}/a?dryRun=All&fieldValidation=Strict"
            twice = b'{"spec":{"replicas":1,"replicas":2,"none":1}}'
            status, answer = await h.request("PATCH", path, twice, headers={"Content-Type": STRATEGIC})
            why = 'strict decoding error: duplicate field "spec.replicas", unknown field "spec.none"'
            assert status == 422 and answer["message"].endswith(why)

    asyncio.run(body())


async def _owned(h: Harness, path: str, tree: Any) -> Any:
    status, made = await h.request("POST", f"{path}?dryRun=All", tree)
    assert status == 201, made
    return [entry["fieldsV1"] for entry in made["metadata"].get("managedFields", ())]


def test_owners() -> None:
    async def body() -> None:
        async with running() as h:
            workload = {**DEPLOYMENT, "metadata": {"name": "d"}}
            (fields,) = await _owned(h, "/apis/apps/v1/namespaces/default/daemonsets", workload)
            assert fields["f:metadata"]["f:annotations"] == {".": {}, "f:deprecated.daemonset.template.generation": {}}
            revision = {"metadata": {"name": "r"}, "revision": 1, "data": {"spec": {"a": 1}}}
            (fields,) = await _owned(h, "/apis/apps/v1/namespaces/default/controllerrevisions", revision)
            assert fields["f:data"] == {}
            spec = {"request": corpus.signing_request(), "signerName": "a.b/c", "usages": ["client auth"]}
            request = {"metadata": {"name": "x"}, "spec": spec}
            assert await _owned(h, "/apis/certificates.k8s.io/v1/certificatesigningrequests", request) == []

    asyncio.run(body())


@pytest.mark.parametrize(
    "method, path, tree, code, said",
    [
        ("GET", "/apis/none/v1/x", None, 404, "404 page not found\n"),
        ("GET", "/api/v1/namespaces/default/none", None, 404, "the server could not find the requested resource"),
        ("PUT", DEPLOYMENTS, {}, 405, "the server does not allow this method on the requested resource"),
        ("GET", f"{DEPLOYMENTS}?continue=zz", None, 400, "invalid continue token: continue key is not valid: invalid character"),
        ("GET", f"{DEPLOYMENTS}?labelSelector=a%3Db%2C%2C", None, 400, "found ',', expected: identifier after ','"),
        ("GET", f"{DEPLOYMENTS}?fieldSelector=a%3Db", None, 400, '"a" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        ("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "x", "finalizers": ["x"]}}, 422, "name is neither a standard finalizer name nor is it fully qualified"),
        ("POST", "/api/v1/namespaces/default/configmaps", {"kind": {}}, 400, "cannot unmarshal object into Go struct field .kind of type string"),
        ("POST", "/api/v1/namespaces/default/configmaps?dryRun=", {"metadata": {"name": "x"}}, 422, 'dryRun: Unsupported value: [""]: supported values: "All"'),
        ("POST", "/apis/events.k8s.io/v1/namespaces/default/events", {"metadata": {"name": "e"}, "regarding": {"namespace": "default"}, "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "c", "reportingInstance": "i", "action": "a", "reason": "r", "type": "Odd"}, 422, 'Event "e" is invalid: type: Invalid value: "": has invalid value: Odd'),
    ],
)  # fmt: skip
def test_refusals(method: str, path: str, tree: Any, code: int, said: str) -> None:
    async def body() -> None:
        async with running() as h:
            status, answer = await h.request(method, path, tree)
            assert (status, said in answer["message"]) == (code, True), answer

    asyncio.run(body())


def test_a_range_of_limits_needs_no_name() -> None:
    async def body() -> None:
        async with running() as h:
            status, made = await h.request("POST", "/api/v1/namespaces/default/limitranges", {"spec": {"limits": []}})
            assert status == 201 and len(made["metadata"]["name"]) == 36
            status, _ = await h.request("GET", f"/api/v1/namespaces/default/limitranges/{made['metadata']['name']}")
            assert status == 200

    asyncio.run(body())
