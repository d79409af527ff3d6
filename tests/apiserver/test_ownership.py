"""managedFields over HTTP: versions of a kind, and the scale and status subresources."""

from __future__ import annotations

from typing import Any

from tests.apiserver.harness import Harness
from tests.apiserver.test_server import DEPLOYMENT, DEPLOYMENTS, named, run

APPLY = {"Content-Type": "application/apply-patch+yaml"}
HPA: dict[str, Any] = {
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}, "maxReplicas": 5}
}
HPAS = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"


def entries(tree: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    return {
        (e["manager"], e["operation"], e["apiVersion"], e.get("subresource", "")): e["fieldsV1"]
        for e in tree["metadata"].get("managedFields", ())
    }


def test_each_manager_is_recorded_in_its_own_version() -> None:
    async def scenario(h: Harness) -> None:
        v1, v2 = HPAS.format("v1"), HPAS.format("v2")
        body = {**HPA, "spec": {**HPA["spec"], "targetCPUUtilizationPercentage": 70}}
        _, made = await h.request("POST", f"{v1}?fieldManager=one", named(body, "h"))
        key = ("one", "Update", "autoscaling/v1", "")
        assert entries(made)[key]["f:spec"]["f:targetCPUUtilizationPercentage"] == {}
        _, seen = await h.request("GET", f"{v2}/h")
        assert entries(seen) == entries(made)
        # Another version writes another field: the first keeps what it has.
        patch = {"spec": {"minReplicas": 2}}
        headers = {"Content-Type": "application/merge-patch+json"}
        _, seen = await h.request("PATCH", f"{v2}/h?fieldManager=two", patch, headers=headers)
        assert entries(seen)["two", "Update", "autoscaling/v2", ""] == {"f:spec": {"f:minReplicas": {}}}
        assert "f:targetCPUUtilizationPercentage" in entries(seen)[key]["f:spec"]
        # It changes what the first one wrote, seen as v2: the first loses it, in its version.
        metric = {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
        }
        patch = {"spec": {"metrics": [metric]}}
        status, seen = await h.request("PATCH", f"{v2}/h?fieldManager=two", patch, headers=headers)
        assert status == 200, seen
        assert "f:targetCPUUtilizationPercentage" not in entries(seen)[key]["f:spec"]
        # Apply through v1 conflicts with the manager of v2.
        applied = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "spec": {"minReplicas": 3}}
        path = f"{v1}/h?fieldManager=three"
        status, error = await h.request("PATCH", path, applied, headers=APPLY)
        assert (status, error["message"]) == (
            409,
            'Apply failed with 1 conflict: conflict with "two" using autoscaling/v2: .spec.minReplicas',
        )
        status, seen = await h.request("PATCH", f"{path}&force=true", applied, headers=APPLY)
        assert status == 200
        assert entries(seen)["three", "Apply", "autoscaling/v1", ""] == {"f:spec": {"f:minReplicas": {}}}
        assert "f:minReplicas" not in entries(seen)["two", "Update", "autoscaling/v2", ""].get("f:spec", {})
        status, seen = await h.request(
            "PATCH", f"{path}&force=true", {**applied, "spec": {"maxReplicas": 5}}, headers=APPLY
        )
        assert status == 200 and seen["spec"].get("minReplicas") == 1, seen["message"]

    run(scenario)


def test_events_of_both_groups() -> None:
    async def scenario(h: Harness) -> None:
        event = {
            "metadata": {"name": "e", "namespace": "default"},
            "eventTime": "2024-01-01T00:00:00.000000Z",
            "reportingController": "c",
            "reportingInstance": "i",
            "action": "a",
            "reason": "r",
            "type": "Normal",
            "note": "first",
            "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
        }
        path = "/apis/events.k8s.io/v1/namespaces/default/events"
        status, made = await h.request("POST", f"{path}?fieldManager=m", event)
        assert status == 201
        mine = entries(made)["m", "Update", "events.k8s.io/v1", ""]
        assert "f:note" in mine and "f:regarding" in mine and "f:message" not in mine
        headers = {"Content-Type": "application/merge-patch+json"}
        core = "/api/v1/namespaces/default/events/e?fieldManager=n"
        _, seen = await h.request("PATCH", core, {"message": "second"}, headers=headers)
        assert entries(seen)["n", "Update", "v1", ""] == {"f:message": {}}
        assert "f:note" not in entries(seen)["m", "Update", "events.k8s.io/v1", ""]

    run(scenario)


def test_scale_has_owners_of_its_own() -> None:
    async def scenario(h: Harness) -> None:
        await h.request("POST", f"{DEPLOYMENTS}?fieldManager=author", DEPLOYMENT)
        path = f"{DEPLOYMENTS}/web/scale?fieldManager=scaler"
        body = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 5}}
        status, error = await h.request("PATCH", path, body, headers=APPLY)
        assert (status, error["message"]) == (
            409,
            'Apply failed with 1 conflict: conflict with "author" using autoscaling/v1: .spec.replicas',
        )
        status, scale = await h.request("PATCH", f"{path}&force=true", body, headers=APPLY)
        assert status == 200 and scale["spec"]["replicas"] == 5
        assert "managedFields" not in scale["metadata"]
        _, seen = await h.request("GET", f"{DEPLOYMENTS}/web")
        assert entries(seen)["scaler", "Apply", "apps/v1", "scale"] == {"f:spec": {"f:replicas": {}}}
        assert "f:replicas" not in entries(seen)["author", "Update", "apps/v1", ""]["f:spec"]
        # A plain update through scale takes the field over.
        _, scale = await h.request("GET", f"{DEPLOYMENTS}/web/scale")
        scale["spec"]["replicas"] = 7
        status, _ = await h.request("PUT", f"{DEPLOYMENTS}/web/scale?fieldManager=hpa", scale)
        assert status == 200
        _, seen = await h.request("GET", f"{DEPLOYMENTS}/web")
        assert entries(seen)["hpa", "Update", "apps/v1", "scale"] == {"f:spec": {"f:replicas": {}}}
        assert not any(k[0] == "scaler" for k in entries(seen))

    run(scenario)


def test_status_has_owners_of_its_own() -> None:
    async def scenario(h: Harness) -> None:
        await h.request("POST", f"{DEPLOYMENTS}?fieldManager=author", DEPLOYMENT)
        head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
        path = f"{DEPLOYMENTS}/web/status?fieldManager="
        body = {**head, "status": {"replicas": 3}, "spec": {"replicas": 9}}
        status, seen = await h.request("PATCH", f"{path}one", body, headers=APPLY)
        assert status == 200 and seen["spec"]["replicas"] == 2
        assert entries(seen)["one", "Apply", "apps/v1", "status"] == {"f:status": {"f:replicas": {}}}
        status, error = await h.request("PATCH", f"{path}two", {**head, "status": {"replicas": 4}}, headers=APPLY)
        assert (status, error["message"]) == (
            409,
            'Apply failed with 1 conflict: conflict with "one" with subresource "status": .status.replicas',
        )
        # Through the main resource the status is not applied at all.
        status, seen = await h.request("PATCH", f"{DEPLOYMENTS}/web?fieldManager=two", body, headers=APPLY)
        assert status == 409 and ".spec.replicas" in seen["message"] and ".status" not in seen["message"]

    run(scenario)


def test_texts_of_a_secret_are_owned_as_its_data() -> None:
    async def scenario(h: Harness) -> None:
        body = {"metadata": {"name": "s"}, "stringData": {"a": "b"}}
        _, made = await h.request("POST", "/api/v1/namespaces/default/secrets?fieldManager=one", body)
        assert made["data"] == {"a": "Yg=="}
        assert entries(made)["one", "Update", "v1", ""] == {"f:data": {".": {}, "f:a": {}}, "f:type": {}}

    run(scenario)
