"""Who may see one object sees no other, however the question is put."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.apiserver.harness import Harness
from tests.apiserver.test_server import run

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
SECRETS = "/api/v1/namespaces/default/secrets"
MINE, OTHER = "fieldSelector=" + quote("metadata.name=mine"), "fieldSelector=" + quote("metadata.name=other")
MISMATCH = "fieldSelector metadata.name doesn't match requested name"


async def allowed(h: Harness) -> Any:
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"]}
    verbs = ["get", "list", "watch", "deletecollection"]
    ref = {"kind": "Role", "name": "one", "apiGroup": "rbac.authorization.k8s.io"}
    subject = {"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}
    await h.request("POST", f"{RBAC}/roles", {"metadata": {"name": "one"}, "rules": [{**rule, "verbs": verbs}]})
    await h.request(
        "POST", f"{RBAC}/rolebindings", {"metadata": {"name": "one"}, "roleRef": ref, "subjects": [subject]}
    )
    for name in ("mine", "other"):
        await h.request("POST", SECRETS, {"metadata": {"name": name}})
    return h.pair("u")


def test_of_two_selectors_the_first_is_asked_about_and_shown() -> None:
    async def scenario(h: Harness) -> None:
        pair = await allowed(h)
        assert (await h.request("GET", SECRETS, pair=pair))[0] == 403
        for query in (f"{MINE}&fieldSelector=", f"{MINE}&{OTHER}", MINE):
            status, found = await h.request("GET", f"{SECRETS}?{query}", pair=pair)
            assert (status, [s["metadata"]["name"] for s in found["items"]]) == (200, ["mine"])
        assert (await h.request("DELETE", f"{SECRETS}?{MINE}&fieldSelector=", pair=pair))[0] == 200
        assert [s["metadata"]["name"] for s in (await h.request("GET", SECRETS))[1]["items"]] == ["other"]

    run(scenario)


@pytest.mark.parametrize("path", [f"{SECRETS}/mine?watch=1&", "/api/v1/watch/namespaces/default/secrets/mine?"])
def test_a_watch_of_a_name_shows_no_other(path: str) -> None:
    async def scenario(h: Harness) -> None:
        pair = await allowed(h)
        for selector in (OTHER, "fieldSelector=type%3DOpaque"):
            status, error = await h.request("GET", f"{path}{selector}", pair=pair)
            assert (status, error["message"]) == (400, MISMATCH)

    run(scenario)


def test_names_that_anybody_makes_up_are_not_counted() -> None:
    async def scenario(h: Harness) -> None:
        pair = h.pair("nobody")
        for path in ("/apis/made.up/v1/things", "/api/v1/namespaces/default/pods/a/made-up", "/apis/apps/v9/made-up"):
            assert (await h.request("GET", path, pair=pair))[0] == 403
        keys = list(h.server.metrics.requests)
        assert not [key for key in keys if "made" in "".join(key)]
        assert [key for key in keys if key[4] == "pods"]

    run(scenario)


@pytest.mark.parametrize("space", [" ", "\n", "\t"])
@pytest.mark.parametrize("media", ["application/json", "application/merge-patch+json"])
def test_a_member_that_is_there_twice_is_found_however_it_is_written(space: str, media: str) -> None:
    async def scenario(h: Harness) -> None:
        text = f'{{"data":{{"a":"1","a"{space}:"2"}}}}'
        path = "/api/v1/namespaces/default/configmaps"
        strict = "?fieldValidation=Strict"
        if "patch" in media:
            await h.request("POST", path, {"metadata": {"name": "c"}})
            status, error = await h.request(
                "PATCH", f"{path}/c{strict}", text.encode(), headers={"Content-Type": media}
            )
        else:
            body = text.replace("{", '{"metadata":{"name":"c"},', 1).encode()
            status, error = await h.request("POST", path + strict, body, headers={"Content-Type": media})
        assert status in (400, 422), error
        assert "data.a" in error["message"] or '"a"' in error["message"]

    run(scenario)
