"""The client libraries that Python programs use: kubernetes, kr8s, lightkube, against the server as it is."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.harness import running

NS = "default"


@pytest.fixture(scope="module")
def kubeconfig() -> Iterator[Path]:
    """A server on a loop of its own thread, as these clients block."""
    ready: concurrent.futures.Future[Path] = concurrent.futures.Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with running() as h:
            account = {"metadata": {"name": "default"}}
            await h.request("POST", f"/api/v1/namespaces/{NS}/serviceaccounts", account)
            ready.set_result(h.kubeconfig())
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield ready.result(30)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    containers = [{"name": "c", "image": "nginx", "env": [{"name": "A", "value": "b"}]}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


def test_kubernetes(kubeconfig: Path) -> None:
    client = pytest.importorskip("kubernetes").client
    from kubernetes import config, dynamic, utils, watch

    api = config.new_client_from_config(str(kubeconfig))
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    made = apps.create_namespaced_deployment(NS, deployment("py"))
    assert made.spec.strategy.rolling_update.max_surge == "25%" and made.metadata.creation_timestamp.tzinfo
    listed = apps.list_namespaced_deployment(NS, label_selector="!x", field_selector="metadata.name=py", limit=1)
    assert [d.metadata.name for d in listed.items] == ["py"]
    # each type of patch: the client picks strategic for a dict and JSON patch for a list
    assert apps.patch_namespaced_deployment("py", NS, {"spec": {"replicas": 2}}).spec.replicas == 2
    operation = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
    assert apps.patch_namespaced_deployment("py", NS, operation).spec.replicas == 3
    applied = apps.patch_namespaced_deployment(
        "py", NS, deployment("py"), field_manager="test", force=True, _content_type="application/apply-patch+yaml"
    )
    assert applied.spec.replicas == 1 and "test" in {m.manager for m in applied.metadata.managed_fields}
    scale = apps.read_namespaced_deployment_scale("py", NS)
    scale.spec.replicas = 4
    assert apps.replace_namespaced_deployment_scale("py", NS, scale).spec.replicas == 4
    status = apps.patch_namespaced_deployment_status("py", NS, {"status": {"replicas": 4, "observedGeneration": 1}})
    assert status.status.replicas == 4
    # watch, from a list and on from a revision
    core.create_namespaced_config_map(NS, {"metadata": {"name": "w0"}, "data": {"a": "b"}})
    seen = []
    w = watch.Watch()
    for event in w.stream(core.list_namespaced_config_map, NS, timeout_seconds=5):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 1:
            core.create_namespaced_config_map(NS, {"metadata": {"name": "w1"}})
            core.delete_namespaced_config_map("w0", NS)
        if event["type"] == "DELETED":
            w.stop()
    assert seen == [("ADDED", "w0"), ("ADDED", "w1"), ("DELETED", "w0")]
    with pytest.raises(client.ApiException) as error:
        core.read_namespaced_config_map("none", NS)
    assert error.value.status == 404 and '"reason":"NotFound"' in error.value.body
    gone = apps.delete_namespaced_deployment("py", NS, propagation_policy="Background")
    assert "Success" in str(gone)
    utils.create_from_dict(api, deployment("py2"))
    # the dynamic client reads discovery, and finds what there is
    dyn = dynamic.DynamicClient(api)
    resource = dyn.resources.get(api_version="apps/v1", kind="Deployment")
    assert resource.get(name="py2", namespace=NS).spec.replicas == 1
    body = {**deployment("py2"), "spec": {**deployment("py2")["spec"], "paused": True}}
    done = dyn.server_side_apply(
        resource, body=body, name="py2", namespace=NS, field_manager="dyn", force_conflicts=True
    )
    assert done.spec.paused is True
    assert {r.kind for r in dyn.resources.search(group="batch")} >= {"Job", "CronJob"}
    assert client.VersionApi(api).get_code().git_version.startswith("v1.37")
    assert client.AuthenticationV1Api(api).create_self_subject_review({}).status.user_info.username == "admin"
    token = core.create_namespaced_service_account_token("default", NS, {"spec": {"audiences": ["x"]}})
    assert token.status.token.count(".") == 2
    api.close()


@pytest.mark.filterwarnings("ignore:Kubernetes version")
def test_kr8s(kubeconfig: Path) -> None:
    kr8s = pytest.importorskip("kr8s")
    from kr8s.objects import ConfigMap, Deployment

    api = kr8s.api(kubeconfig=str(kubeconfig))
    d = Deployment(deployment("kr"), api=api)
    d.create()
    assert d.exists() and d.replicas == 1
    d.patch({"spec": {"minReadySeconds": 3}})
    d.patch([{"op": "replace", "path": "/spec/replicas", "value": 2}], type="json")
    d.label({"a": "b"})
    d.annotate({"c": "d"})
    d.refresh()
    assert (d.spec.minReadySeconds, d.spec.replicas, d.labels["a"], d.annotations["c"]) == (3, 2, "b", "d")
    d.scale(0)
    assert Deployment.get("kr", namespace=NS, api=api).replicas == 0
    assert [x.name for x in api.get("deployments", namespace=NS, label_selector={"a": "b"})] == ["kr"]
    for i in range(3):
        ConfigMap({"metadata": {"name": f"kr{i}", "namespace": NS, "labels": {"kr": "1"}}}, api=api).create()
    names = {c.name for c in api.get("configmaps", namespace=NS, label_selector="kr=1")}
    assert names == {"kr0", "kr1", "kr2"}
    for event, obj in api.watch("configmaps", namespace=NS, label_selector="kr=1"):
        assert event in ("ADDED", "DELETED")
        if event == "ADDED":
            obj.delete()
        names.discard(obj.name) if event == "DELETED" else None
        if not names:
            break
    assert "Deployment" in {r["kind"] for r in api.api_resources()}
    assert api.whoami() == "admin" and api.version()["minor"].startswith("37")
    d.delete(propagation_policy="Background")
    assert not d.exists()


def test_lightkube(kubeconfig: Path) -> None:
    lightkube = pytest.importorskip("lightkube")
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.core.exceptions import ApiError
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import ConfigMap
    from lightkube.types import CascadeType, PatchType

    client = lightkube.Client(config=KubeConfig.from_file(str(kubeconfig)), namespace=NS, field_manager="light")
    client.create(Deployment.from_dict(deployment("light")))
    got = client.get(Deployment, "light")
    assert got.spec is not None and got.spec.replicas == 1
    strategic = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}}
    patched = client.patch(Deployment, "light", strategic)
    assert patched.spec is not None and patched.spec.template.spec is not None
    container = patched.spec.template.spec.containers[0]
    assert container.image == "nginx:2" and container.env and container.env[0].name == "A"
    merged = client.patch(Deployment, "light", {"spec": {"replicas": 2}}, patch_type=PatchType.MERGE)
    assert merged.spec is not None and merged.spec.replicas == 2
    step = [{"op": "remove", "path": "/spec/template/spec/containers/0/env"}]
    bare = client.patch(Deployment, "light", step, patch_type=PatchType.JSON)
    assert bare.spec is not None and bare.spec.template.spec is not None
    assert not bare.spec.template.spec.containers[0].env
    applied = client.apply(ConfigMap(metadata=ObjectMeta(name="light", namespace=NS), data={"a": "b"}))
    assert applied.data == {"a": "b"}
    applied = client.apply(ConfigMap(metadata=ObjectMeta(name="light", namespace=NS), data={"c": "d"}))
    assert applied.data == {"c": "d"}, "what is no longer applied goes"
    scale = client.get(Deployment.Scale, "light")
    assert scale.spec is not None and scale.spec.replicas == 2
    assert [c.metadata.name for c in client.list(ConfigMap, fields={"metadata.name": "light"}) if c.metadata] == [
        "light"
    ]
    for event, obj in client.watch(ConfigMap, fields={"metadata.name": "light"}):
        if event == "DELETED":
            break
        client.delete(ConfigMap, "light")
        assert obj.metadata is not None
    with pytest.raises(ApiError) as error:
        client.get(ConfigMap, "light")
    assert error.value.status.reason == "NotFound"
    client.delete(Deployment, "light", cascade=CascadeType.BACKGROUND)
