"""API versions that are switched on and off: what clients see of them, and one object in several versions."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from pelamis.api.enablement import Enablement
from pelamis.store.sqlite import SqliteStore
from pelamis.store.types import Put
from tests.apiserver.harness import Harness, running

_CLAIM = {
    "metadata": {"name": "c"},
    "spec": {"devices": {"requests": [{"name": "one", "deviceClassName": "gpu", "selectors": []}]}},
}
_CLAIMS = "/apis/resource.k8s.io/{}/namespaces/default/resourceclaims"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def ok(h: Harness, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
    status, tree = await h.request(method, path, body, **kwargs)
    assert status in (200, 201), tree
    return tree


def test_one_object_in_several_versions() -> None:
    async def body() -> None:
        async with running(registry=Enablement("api/all=true").registry()) as h:
            v1, beta2, beta1 = (_CLAIMS.format(v) for v in ("v1", "v1beta2", "v1beta1"))
            status, headers, _ = await h.raw("POST", f"{beta1}?fieldManager=old", _CLAIM)
            assert status == 201
            warning = "resource.k8s.io/v1beta1 ResourceClaim is deprecated in v1.35+, unavailable in v1.38+"
            assert headers["warning"] == f'299 - "{warning}"'
            exactly = {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1}
            for path in (v1, beta2):
                request = (await ok(h, "GET", f"{path}/c"))["spec"]["devices"]["requests"][0]
                assert request == {"name": "one", "exactly": exactly}
            flat = await ok(h, "GET", f"{beta1}/c")
            assert flat["spec"]["devices"]["requests"] == [{"name": "one", **exactly}]
            assert [m["apiVersion"] for m in flat["metadata"]["managedFields"]] == ["resource.k8s.io/v1beta1"]
            await ok(
                h,
                "PATCH",
                f"{v1}/c?fieldManager=new",
                {"metadata": {"labels": {"a": "b"}}},
                headers={"Content-Type": "application/merge-patch+json"},
            )
            again = await ok(h, "GET", f"{beta1}/c")
            managers = {m["manager"]: m["apiVersion"] for m in again["metadata"]["managedFields"]}
            assert managers == {"old": "resource.k8s.io/v1beta1", "new": "resource.k8s.io/v1"}
            flat["spec"]["devices"]["requests"][0]["count"] = 2
            flat["metadata"].pop("resourceVersion")
            status, error = await h.request("PUT", f"{beta1}/c", flat)
            assert status == 422 and "field is immutable" in error["message"]

    asyncio.run(body())


def test_what_is_off_does_not_exist() -> None:
    async def body() -> None:
        async with running(registry=Enablement("apps/v1=false,batch/v1/cronjobs=false").registry()) as h:
            for path in (
                "/apis/apps/v1/namespaces/default/deployments",
                "/apis/apps/v1/deployments?watch=1",
                "/apis/batch/v1/cronjobs",
                "/apis/resource.k8s.io/v1beta1/resourceslices",
            ):
                status, error = await h.request("GET", path)
                assert (status, error["reason"]) == (404, "NotFound"), path
            for path in ("/apis/apps", "/apis/apps/v1", "/apis/resource.k8s.io/v1beta1", "/openapi/v3/apis/apps/v1"):
                assert (await h.raw("GET", path))[0] == 404, path
            names = {r["name"] for r in (await ok(h, "GET", "/apis/batch/v1"))["resources"]}
            assert names == {"jobs", "jobs/status"}
            groups = await ok(h, "GET", "/apis", headers={"Accept": _DISCOVERY})
            assert "apps" not in {g["metadata"]["name"] for g in groups["items"]}
            schema = await ok(h, "GET", "/openapi/v2")
            assert not any(path.startswith("/apis/apps/") for path in schema["paths"])
            services = await ok(h, "GET", "/apis/apiregistration.k8s.io/v1/apiservices")
            assert "v1.apps" not in {s["metadata"]["name"] for s in services["items"]}
            h.server.objects.view("deployments.apps")  # the server's own parts go on

    asyncio.run(body())


def test_what_is_on_is_everywhere() -> None:
    async def body() -> None:
        async with running(registry=Enablement("api/beta=true").registry()) as h:
            group = await ok(h, "GET", "/apis/resource.k8s.io")
            assert [v["version"] for v in group["versions"]] == ["v1", "v1beta2", "v1beta1"]
            assert group["preferredVersion"]["version"] == "v1"
            listed = {r["name"]: r for r in (await ok(h, "GET", "/apis/resource.k8s.io/v1beta1"))["resources"]}
            stable = {r["name"]: r for r in (await ok(h, "GET", "/apis/resource.k8s.io/v1"))["resources"]}
            for name, resource in listed.items():
                assert resource.get("storageVersionHash") == stable[name].get("storageVersionHash")
            assert "/apis/resource.k8s.io/v1beta1/resourceslices" in (await ok(h, "GET", "/openapi/v2"))["paths"]
            services = await ok(h, "GET", "/apis/apiregistration.k8s.io/v1/apiservices")
            assert "v1beta1.coordination.k8s.io" in {s["metadata"]["name"] for s in services["items"]}
            status, _ = await h.request("GET", "/apis/coordination.k8s.io/v1beta1/leasecandidates")
            assert status == 200

    asyncio.run(body())


def test_what_a_version_left_behind_outlives_it(tmp_path: Path) -> None:
    """Objects, and who owns their fields, when a version is switched off; objects that another server stored in it."""

    async def body() -> None:
        v1, beta = (_CLAIMS.format(v) for v in ("v1", "v1beta1"))
        async with running(store=SqliteStore(tmp_path / "s"), registry=Enablement("api/beta=true").registry()) as h:
            await ok(h, "POST", f"{beta}?fieldManager=old", {**_CLAIM, "metadata": {"name": "c", "labels": {"a": "b"}}})
            group = {"metadata": {"name": "g"}, "spec": {"schedulingPolicy": {"basic": {}}}}
            await ok(h, "POST", "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups", group)
            theirs = (await ok(h, "GET", f"{beta}/c"))["spec"]
        store = SqliteStore(tmp_path / "s")
        await store.open()
        foreign = {
            "kind": "ResourceClaim",
            "apiVersion": "resource.k8s.io/v1beta1",
            "metadata": {"name": "f", "namespace": "default", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": theirs,
        }
        await store.commit([Put("/registry/resourceclaims/default/f", msgspec.json.encode(foreign))])
        await store.close()
        async with running(store=SqliteStore(tmp_path / "s")) as h:
            found = await ok(h, "GET", f"{v1}/f")
            assert found["spec"]["devices"]["requests"][0]["exactly"]["deviceClassName"] == "gpu"
            patch = {"metadata": {"labels": {"c": "d"}}}
            headers = {"Content-Type": "application/merge-patch+json"}
            found = await ok(h, "PATCH", f"{v1}/c?fieldManager=new", patch, headers=headers)
            managers = {m["manager"]: m["apiVersion"] for m in found["metadata"]["managedFields"]}
            assert managers == {"old": "resource.k8s.io/v1beta1", "new": "resource.k8s.io/v1"}
            assert (await h.request("GET", "/apis/scheduling.k8s.io/v1beta1/podgroups"))[0] == 404
        async with running(store=SqliteStore(tmp_path / "s"), registry=Enablement("api/alpha=true").registry()) as h:
            found = await ok(h, "GET", "/apis/scheduling.k8s.io/v1alpha3/namespaces/default/podgroups/g")
            assert found["spec"]["schedulingPolicy"] == {"basic": {}}

    asyncio.run(body())
