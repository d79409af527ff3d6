"""Admission policies in CEL, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.apiserver.harness import Harness, running

GROUP = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
CONSTRAINTS = {
    "resourceRules": [
        {"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    ]
}


async def policy(h: Harness, sort: str, name: str, spec: dict[str, Any], binding: dict[str, Any]) -> None:
    for resource, body in (
        (f"{sort}admissionpolicies", {"matchConstraints": CONSTRAINTS, **spec}),
        (f"{sort}admissionpolicybindings", {"policyName": name, **binding}),
    ):
        status, made = await h.request("POST", f"{GROUP}/{resource}", {"metadata": {"name": name}, "spec": body})
        assert status == 201, made


def test_validating_policies_deny_warn_and_take_parameters() -> None:
    async def body() -> None:
        async with running() as h:
            await h.request("POST", MAPS, {"metadata": {"name": "limit"}, "data": {"max": "3"}})
            spec = {
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "variables": [
                    {"name": "size", "expression": "has(object.data) ? size(object.data) : 0"},
                    {"name": "most", "expression": "int(params.data.max)"},
                ],
                "validations": [
                    {
                        "expression": "variables.size <= variables.most",
                        "messageExpression": "'%d are more than %d'.format([variables.size, variables.most])",
                        "reason": "Forbidden",
                    }
                ],
                "matchConditions": [{"name": "x", "expression": "object.metadata.name != 'free'"}],
            }
            ref = {"name": "limit", "namespace": "default", "parameterNotFoundAction": "Deny"}
            await policy(h, "validating", "p", spec, {"validationActions": ["Deny"], "paramRef": ref})
            many = {str(i): "v" for i in range(5)}
            status, refused = await h.request("POST", MAPS, {"metadata": {"name": "a"}, "data": many})
            text = "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: 5 are more than 3"
            assert (status, refused["message"]) == (403, f'configmaps "a" is forbidden: {text}')
            assert (await h.request("POST", MAPS, {"metadata": {"name": "free"}, "data": many}))[0] == 201
            assert (await h.request("POST", MAPS, {"metadata": {"name": "b"}}))[0] == 201
            rules = [{"expression": "object.metadata.name.startsWith('x')"}]
            await policy(h, "validating", "w", {"validations": rules}, {"validationActions": ["Warn"]})
            status, headers, _ = await h.raw("POST", MAPS, {"metadata": {"name": "c"}})
            warning = "Validation failed for ValidatingAdmissionPolicy 'w' with binding 'w': failed expression: "
            assert status == 201 and warning in headers["warning"]
            rules = [{"expression": "object.data.none == 'x'"}]
            await policy(h, "validating", "z", {"validations": rules}, {"validationActions": ["Deny"]})
            status, refused = await h.request("POST", MAPS, {"metadata": {"name": "d"}, "data": {"a": "b"}})
            assert status == 422 and "resulted in error: no such key: none" in refused["message"]

    asyncio.run(body())


def test_who_may_not_write_an_object_may_not_write_it_as_it_is() -> None:
    async def body() -> None:
        async with running() as h:
            _, made = await h.request("POST", MAPS, {"metadata": {"name": "a"}})
            rules = [{"expression": "object.metadata.name != 'a'"}]
            await policy(h, "validating", "p", {"validations": rules}, {"validationActions": ["Deny"]})
            patch = {"Content-Type": "application/merge-patch+json"}
            assert (await h.request("PUT", f"{MAPS}/a", made))[0] == 422
            assert (await h.request("PATCH", f"{MAPS}/a", {}, headers=patch))[0] == 422
            for meta in ({"name": "a"}, {"name": "a", "resourceVersion": "1"}):
                assert (await h.request("POST", MAPS, {"metadata": meta}))[0] == 422, "nor be told that it is there"

    asyncio.run(body())


def test_mutating_policies_merge_and_patch() -> None:
    async def body() -> None:
        async with running() as h:
            merged = "Object{metadata: Object.metadata{labels: Object.metadata.labels{app: object.metadata.name}}}"
            patched = "[JSONPatch{op: 'add', path: '/data/' + jsonpatch.escapeKey('a.b'), value: 'x'}]"
            mutations = [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": merged}},
                {"patchType": "JSONPatch", "jsonPatch": {"expression": patched}},
            ]
            await policy(h, "mutating", "m", {"reinvocationPolicy": "Never", "mutations": mutations}, {})
            made = {"metadata": {"name": "n", "labels": {"keep": "it"}}, "data": {}}
            status, answer = await h.request("POST", MAPS, {**made, "data": {"k": "v"}})
            assert (status, answer["metadata"]["labels"]) == (201, {"app": "n", "keep": "it"})
            assert answer["data"] == {"a.b": "x", "k": "v"}
            status, refused = await h.request("POST", MAPS, {"metadata": {"name": "o"}})
            assert status == 403 and "policy 'm' with binding 'm' denied request" in refused["message"]

    asyncio.run(body())
