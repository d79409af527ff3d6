"""Odd requests of every sort: the server refuses or serves, but never fails, stalls or grows."""

# ruff: noqa: E501
from __future__ import annotations

import gc
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from tests.conformance import corpus
from tests.conformance.conftest import Api
from tests.conformance.test_resources import folder

pytestmark = pytest.mark.slow
SEED = 20260131
BUDGET_S = 15.0
STALL_S = 5.0
RUNTIME_CONFIG = "api/all=true"
KINDS = [k for k in corpus.every_kind() if k.kind != "Namespace"]
ODD: list[Any] = [
    None, True, 0, -1, 2**31, 2**63, -(2**63) - 1, 1.5, 1e308, "", "\0", "a" * 300, "é☃𝄞", "../..", "1e9Gi", "-5", "NaN",
    [], {}, [None], {"": None}, [[]], {"a": {"b": {"c": []}}}, "2026-13-45T99:99:99Z", "10.0.0.0/99", "::", "%", "$(X)",
]  # fmt: skip
SELECTORS = [
    "a=b", "a!=b", "!a", "a in (b,c)", "a notin (", "=", ",,,", "a in ()", "metadata.name=x", "metadata.name!=",
    "spec.nodeName=,status.phase=x", "\0", "a=" + "b" * 70, "a,b,!c,d in (e),f notin(g)", "((", "a==b==c", "x/y/z=1",
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {"accept": "application/json;as=Table;v=v9;g=meta.k8s.io"}, {"accept": "*/*"}, {"accept": ";;;,,"},
    {"accept": "application/json;as=;g=;v="}, {"accept": "application/vnd.kubernetes.protobuf"}, {"accept": "q=0"},
    {"type": "application/json; charset=latin-1"}, {"type": "application/vnd.kubernetes.protobuf"}, {"type": "yaml"},
    {"type": "application/yaml"}, {"type": "application/cbor"}, {"type": "application/apply-patch+yaml"}, {"type": ";"},
    {"type": "application/json-patch+json"}, {"type": "application/merge-patch+json"},
]  # fmt: skip
PATHS = [
    "/", "//", "/api", "/apis/", "/api/v1/namespaces//pods", "/api/v1/namespaces/%00/pods", "/api/v1/pods/x/y/z/w",
    "/apis/apps/v1/namespaces/default/deployments/%2e%2e", "/api/v1/watch/pods/x/y", "/openapi/v3/apis/none/v1",
    "/api/v1/namespaces/default/pods/x/log?tailLines=-1", "/api/v1/nodes/x/proxy/%ff", "/logs/..", "/metrics/x",
    "/api/v1/namespaces/default/services/a:b:c:d/proxy/", "/apis/apps/v1/deployments/scale", "/version/", "/livez/nope",
]  # fmt: skip
QUERIES = [
    "limit=-1", "limit=x", "limit=1_0", "limit=99999999999999999999", "resourceVersion=-1", "resourceVersion=1.5", "continue=!!!",
    "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MX0", "timeoutSeconds=-1", "dryRun=All&dryRun=x", "fieldValidation=no",
    "propagationPolicy=", "gracePeriodSeconds=x", "sendInitialEvents=true", "fieldManager=%00", "pretty=1",
    "fieldManager=" + "x" * 200, "resourceVersionMatch=Sometimes", "watch=1&resourceVersion=x", "watch=1&timeoutSeconds=-1", "force=true", "&&&==&",
]  # fmt: skip


def allowed(status: int, tree: Any) -> bool:
    """Upstream's own answers of 5xx: a create with a revision, a revision of the future, an apply of unknown
    fields, an unknown directive in a strategic merge patch, a watch from a revision that is no number."""
    if status < 500:
        return True
    message = (tree or {}).get("message", "")
    known = (
        "resourceVersion should not be set",
        "failed to create typed patch object",
        "unknown patch type",
        'resourceVersion: Invalid value: "x": strconv.ParseUint',
    )
    return status in (503, 504) or any(k in message for k in known)


def mutated(rng: random.Random, tree: Any) -> Any:
    """A copy with one to three places changed, taken away, or doubled."""
    out = msgspec.json.decode(msgspec.json.encode(tree))
    for _ in range(rng.randint(1, 3)):
        at: Any = out
        while True:
            keys: list[Any] = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = rng.choice(keys)
            child = at[key]
            if isinstance(child, dict | list) and child and rng.random() < 0.8:
                at = child
                continue
            how = rng.random()
            if how < 0.7:
                at[key] = msgspec.json.decode(msgspec.json.encode(rng.choice(ODD)))
            elif how < 0.8:
                del at[key]
            elif isinstance(at, list):
                at.append(at[key])
            else:
                at[rng.choice(["odd", "", "spec", "metadata", str(key) + "x"])] = child
            break
    return out


def patch_of(rng: random.Random, tree: Tree) -> tuple[str, Any]:
    pointer = "/" + "/".join(rng.choice(["metadata", "spec", "labels", "0", "-", "~", "", "name"]) for _ in range(3))
    op = {"op": rng.choice(["add", "remove", "replace", "move", "copy", "test", "x"]), "path": pointer, "from": "/spec"}
    directive = {
        "$patch": rng.choice(["delete", "replace", "merge", 1]),
        "$setElementOrder/x": ["a"],
        "$retainKeys": [1],
    }
    return rng.choice(
        [
            ("application/json-patch+json", [{**op, "value": rng.choice(ODD)}]),
            ("application/merge-patch+json", mutated(rng, tree)),
            ("application/strategic-merge-patch+json", {**mutated(rng, {"spec": tree.get("spec", {})}), **directive}),
            ("application/strategic-merge-patch+json", {"spec": directive}),
            ("application/apply-patch+yaml", mutated(rng, tree)),
            ("application/json-patch+json", rng.choice(ODD)),
        ]
    )


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


def request(rng: random.Random, kind: Kind) -> Callable[[Api], tuple[str, int, Any]]:
    tree = corpus.populated(kind)
    rest = folder(kind, "default")
    path = f"{rest}/{tree['metadata']['name']}"
    way = rng.randint(0, 5)
    query, more, type_, body = "", {}, "application/json", None
    if way == 0:
        method, path, body = "POST", rest, mutated(rng, tree)
    elif way == 1:
        method, body = "PUT", mutated(rng, tree)
        path += rng.choice(["", "", "/status", "/scale", "/finalize", "/nothing"])
    elif way == 2:
        method = "PATCH"
        type_, body = patch_of(rng, tree)
        query = "fieldManager=fuzz&force=true" if "apply" in type_ else ""
        path += rng.choice(["", "", "/status", "/scale"])
    elif way == 3:
        method, path = "GET", rng.choice([rest, path])
        query = f"{rng.choice(['label', 'field'])}Selector={quote(rng.choice(SELECTORS))}&{rng.choice(QUERIES)}"
    elif way == 4:
        method = rng.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
        path, body = rng.choice(PATHS), rng.choice([None, b"{", b"[]", b"null", b"\xff\xfe", b"a: [", b"k8s\0\x0a\xff"])
        query = rng.choice(QUERIES) if "?" not in path else ""
    else:
        method, path = rng.choice([("GET", rest), ("POST", rest), ("PATCH", path), ("DELETE", path)])
        body = None if method == "GET" else rng.choice(ODD)
        query, more = rng.choice(QUERIES), dict(rng.choice(HEADERS))
        type_ = more.pop("type", type_)
    target = f"{path}?{query}" if query else path
    data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)

    def go(api: Api) -> tuple[str, int, Any]:
        status, _, answer = api.raw(method, target, data, type=type_, **more)
        try:
            said = msgspec.json.decode(answer) if answer else None
        except msgspec.DecodeError:
            said = None
        return f"{method} {target} {type_} {more} {data!r:.600}", status, said if isinstance(said, dict) else None

    return go


def test_odd_requests(api: Api) -> None:
    rng = random.Random(SEED)
    ends = time.monotonic() + BUDGET_S
    bad: list[str] = []
    done = 0
    warm = 0
    slowest = (0.0, "")
    answers: Counter[int] = Counter()
    while time.monotonic() < ends:
        go = request(rng, rng.choice(KINDS))
        began = time.monotonic()
        try:
            what, status, said = go(api)
        except (OSError, TimeoutError) as error:
            what, status, said = repr(error), 599, None
        slowest = max(slowest, (time.monotonic() - began, what))
        unread = said is None and status == 500 and "watch=1&resourceVersion=x" in what  # in protobuf, or to a HEAD
        if not allowed(status, said) and not unread:
            bad.append(f"{status} {(said or {}).get('message')} <- {what}")
        done += 1
        answers[status] += 1
        if done == 1000:
            gc.collect()
            warm = resident()
    gc.collect()
    assert not bad, "\n".join(bad[:20])
    assert slowest[0] < STALL_S, slowest
    assert not warm or resident() - warm < 64 << 20, "memory grows"
    assert api.raw("GET", "/healthz/ping")[0] == 200 and done > 500, answers
