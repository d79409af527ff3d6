"""Discovery in both forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pelamis.api.custom import Custom
from pelamis.api.kind import Kind
from pelamis.api.registry import builtin
from pelamis.apiserver.discovery import Discovery, discovery, negotiate

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
KUBECTL = f"{V2},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
DISCOVERY = Discovery(builtin(), "127.0.0.1:6443")


def get(path: str, accept: str = "application/json") -> Any:
    answer = DISCOVERY.answer(path, accept)
    assert answer is not None and answer[0] == 200
    return json.loads(answer[2])


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", ""),
        ("*/*", ""),
        ("application/json", ""),
        (KUBECTL, "v2"),
        (KUBECTL.split(",", 1)[1], "v2beta1"),
        ("application/json," + V2, ""),
        ("application/json;g=other;v=v2;as=APIGroupDiscoveryList, application/json", ""),
        (V2.replace("v=v2", "v=v3") + "," + V2, "v2"),
        (V2.replace(";", "; "), "v2"),
    ],
)
def test_negotiation(accept: str, form: str) -> None:
    assert negotiate(accept) == form


def test_legacy_documents() -> None:
    assert get("/api") == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}],
    }
    groups = {g["name"]: g for g in get("/apis")["groups"]}
    assert groups["autoscaling"]["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}
    assert get("/apis/apps") == {"kind": "APIGroup", "apiVersion": "v1", **groups["apps"]}
    assert get("/version")["minor"] == "37"


def test_resource_lists() -> None:
    core = get("/api/v1")
    assert (core["kind"], core["groupVersion"], "apiVersion" in core) == ("APIResourceList", "v1", False)
    resources = {r["name"]: r for r in core["resources"]}
    assert list(resources) == sorted(resources)
    assert resources["pods"] == {
        "name": "pods",
        "singularName": "pod",
        "namespaced": True,
        "kind": "Pod",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["po"],
        "categories": ["all"],
        "storageVersionHash": "xPOwRZ+Yhw8=",
    }
    assert resources["pods/eviction"] == {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    }
    assert "group" not in resources["pods/log"]
    assert get("/apis/apps/v1")["apiVersion"] == "v1"


def test_aggregated_documents() -> None:
    core = get("/api", V2)
    assert (core["kind"], core["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    (item,) = core["items"]
    assert "name" not in item["metadata"]
    pods = next(r for r in item["versions"][0]["resources"] if r["resource"] == "pods")
    assert (pods["scope"], pods["responseKind"]) == ("Namespaced", {"group": "", "version": "v1", "kind": "Pod"})
    assert {s["subresource"] for s in pods["subresources"]} >= {"log", "exec", "status", "eviction"}
    groups = [i["metadata"]["name"] for i in get("/apis", V2)["items"]]
    assert groups == [g["name"] for g in get("/apis")["groups"]]
    assert get("/apis", KUBECTL.split(",", 1)[1])["apiVersion"] == "apidiscovery.k8s.io/v2beta1"


def test_etags() -> None:
    registry = builtin()
    answer = discovery(registry).answer("/apis", KUBECTL, "")
    assert answer is not None and answer[1]["Content-Type"] == V2
    etag = answer[1]["ETag"]
    again = discovery(registry).answer("/apis", KUBECTL, f'"x", {etag}')
    assert again is not None and (again[0], again[2], again[1]["ETag"]) == (304, b"", etag)
    kind = Kind(
        group="example.com",
        version="v1",
        type=Custom,
        plural="things",
        singular="thing",
        kind="Thing",
        namespaced=False,
        verbs=("get", "list"),
    )
    registry.add(kind)
    changed = discovery(registry).answer("/apis", KUBECTL, etag)
    assert changed is not None and changed[0] == 200 and b"example.com" in changed[2]
    registry.remove(kind)
    back = discovery(registry).answer("/apis", KUBECTL, etag)
    assert back is not None and back[0] == 304


def test_unknown_paths() -> None:
    for path in ("/", "/api/v2", "/apis/none", "/apis/apps/v9", "/apis/apps/v1/deployments", "/healthz"):
        assert DISCOVERY.answer(path) is None


def test_remote_group_versions() -> None:
    discovery = Discovery(builtin())
    discovery.set_remote("metrics.k8s.io", "v1beta1", [{"resource": "nodes"}], fresh=False)
    answer = discovery.answer("/apis", V2)
    assert answer is not None
    item = next(i for i in json.loads(answer[2])["items"] if i["metadata"]["name"] == "metrics.k8s.io")
    assert item["versions"] == [{"version": "v1beta1", "resources": [{"resource": "nodes"}], "freshness": "Stale"}]
    legacy = discovery.answer("/apis/metrics.k8s.io")
    assert legacy is not None and discovery.answer("/apis/metrics.k8s.io/v1beta1") is None
    discovery.set_remote("metrics.k8s.io", "v1beta1", None)
    assert discovery.answer("/apis/metrics.k8s.io") is None
