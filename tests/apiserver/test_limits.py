"""Bodies that are too large, too deep or grow when they are read: refused quickly, never a 500."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pelamis.api import loosen
from tests.apiserver.harness import Harness
from tests.apiserver.test_server import CMS, DEPLOYMENT, DEPLOYMENTS, cm, run

DEEP = b'{"data":' * 5000 + b"1" + b"}" * 5000
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(9)
)
YAML = "application/yaml"


@pytest.mark.parametrize(
    ("method", "path", "media", "body", "status", "text"),
    [
        ("POST", CMS, "application/json", DEEP, 400, "exceeded max depth"),
        ("POST", CMS, YAML, b"[" * 20000, 400, "exceeded max depth"),
        ("POST", CMS, YAML, b"- " * 20000, 400, "exceeded max depth"),
        ("POST", CMS, YAML, BOMB, 400, "document contains excessive aliasing"),
        ("PATCH", f"{CMS}/a", "application/merge-patch+json", DEEP, 400, "error decoding patch"),
        ("PATCH", f"{CMS}/a", "application/strategic-merge-patch+json", DEEP, 400, "exceeded max depth"),
        ("PATCH", f"{CMS}/a", "application/json-patch+json", DEEP, 400, "error decoding patch"),
        ("PATCH", f"{CMS}/a?fieldManager=x", "application/apply-patch+yaml", DEEP, 400, "exceeded max depth"),
        ("PATCH", f"{CMS}/a?fieldManager=x", "application/apply-patch+yaml", BOMB, 400, "excessive aliasing"),
        ("DELETE", f"{CMS}/a", "application/json", DEEP, 400, "maximum recursion depth"),
        (
            "PATCH",
            f"{CMS}/a",
            "application/json-patch+json",
            b"[" + b",".join([b'{"op":"add","path":"/data/x","value":"1"}'] * 10001) + b"]",
            413,
            "The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
        ("POST", CMS, "application/json", b" " * (4 << 20), 413, "Request entity too large: limit is 3145728"),
    ],
)
def test_bodies(method: str, path: str, media: str, body: bytes, status: int, text: str) -> None:
    async def scenario(h: Harness) -> None:
        await h.request("POST", CMS, cm("a"))
        code, _, data = await h.raw(method, path, body, headers={"Content-Type": media})
        assert code == status and text in json.loads(data)["message"]

    run(scenario)


def test_the_size_of_one_object() -> None:
    async def scenario(h: Harness) -> None:
        tree: dict[str, Any] = json.loads(json.dumps(DEPLOYMENT))
        tree["spec"]["template"]["spec"]["containers"][0]["args"] = ["x" * (1536 * 1024)]
        status, error = await h.request("POST", DEPLOYMENTS, tree)
        assert (status, error["reason"]) == (413, "RequestEntityTooLarge")
        assert error["message"] == "Request entity too large: limit is 1572864"
        assert (await h.request("GET", f"{DEPLOYMENTS}/web"))[0] == 404

    run(scenario)


def test_ordinary_aliases_are_read() -> None:
    tree = loosen.read_yaml(b"a: &x {b: [1, 2]}\nc: *x\nd:\n  <<: *x\n  e: f\n", [])
    assert tree == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": {"b": [1, 2], "e": "f"}}
