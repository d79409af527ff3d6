"""What the server tells about itself: metrics, health, audit, and where the time of slow requests went."""

from __future__ import annotations

import logging
import re
from typing import Any

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from pelamis.store.types import StoreFull
from tests.apiserver.harness import Harness
from tests.apiserver.test_server import CMS, POD, cm, events, run

EXPECTED = {
    "apiserver_request",
    "apiserver_request_duration_seconds",
    "apiserver_current_inflight_requests",
    "apiserver_longrunning_requests",
    "apiserver_watch_events",
    "apiserver_storage_objects",
    "etcd_request_duration_seconds",
    "apiserver_admission_controller_admission_duration_seconds",
    "apiserver_flowcontrol_dispatched_requests",
    "apiserver_flowcontrol_current_inqueue_requests",
    "apiserver_flowcontrol_current_executing_requests",
    "apiserver_flowcontrol_nominal_limit_seats",
}


def test_metrics_for_prometheus() -> None:
    async def scenario(h: Harness) -> None:
        await h.request("POST", CMS, cm("a"))
        await h.request("POST", "/api/v1/namespaces/nowhere/configmaps", cm("a"))
        await events(h, f"{CMS}?watch=1", 1)
        await h.raw("GET", "/readyz/ping")
        _, _, data = await h.raw("GET", "/metrics/slis")
        assert [f.name for f in families(data.decode())] == ["process_start_time_seconds"]
        await h.raw("GET", "/readyz")
        _, _, data = await h.raw("GET", "/metrics/slis")
        assert b'kubernetes_healthcheck{name="ping",type="readyz"} 1' in data
        assert b'kubernetes_healthchecks_total{name="ping",status="success",type="readyz"}' in data
        _, headers, data = await h.raw("GET", "/metrics")
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        found = {f.name: f for f in families(data.decode())}
        assert set(found) >= EXPECTED
        samples = found["apiserver_admission_controller_admission_duration_seconds"].samples
        seen = {(s.labels["name"], s.labels["rejected"]) for s in samples if s.name.endswith("_count")}
        assert {("NamespaceLifecycle", "true"), ("NamespaceLifecycle", "false")} <= seen
        codes = {(s.labels["verb"], s.labels["code"]) for s in found["apiserver_request"].samples}
        assert {("CREATE", "201"), ("CREATE", "404")} <= codes
        _, headers, data = await h.raw("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
        assert headers["content-type"].startswith("application/openmetrics-text")
        assert {f.name for f in open_families(data.decode())} >= EXPECTED

    run(scenario)


def test_health_asks_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(h: Harness) -> None:
        assert (await h.raw("GET", "/readyz"))[0] == 200
        _, _, text = await h.raw("GET", "/livez?verbose")
        assert b"[+]poststarthook/crd-informer-synced ok" in text and b"[+]autoregister-completion ok" in text
        commit = h.server.store.commit

        async def full(ops: Any) -> Any:
            raise StoreFull("no space left")

        h.server.store.commit = full  # type: ignore[method-assign]
        status, error = await h.request("POST", CMS, cm("a"))
        assert (status, error["reason"]) == (507, "InsufficientStorage")
        status, _, text = await h.raw("GET", "/healthz/etcd")
        assert (status, text) == (500, b"internal server error: etcd failed: no space left\n")
        status, _, text = await h.raw("GET", "/readyz?verbose")
        assert status == 500 and b"[-]etcd failed: reason withheld" in text and b"[+]ping ok" in text
        assert (await h.raw("GET", "/readyz?exclude=etcd&exclude=etcd-readiness"))[0] == 200
        assert (await h.raw("GET", "/healthz/odd"))[0] == 404
        h.server.store.commit = commit  # type: ignore[method-assign]
        await h.request("POST", CMS, cm("a"))
        assert (await h.raw("GET", "/healthz/etcd"))[:1] == (200,)

    run(scenario)


def test_audit_at_level_metadata() -> None:
    lines: list[bytes] = []

    async def scenario(h: Harness) -> None:
        labels = {"pod-security.kubernetes.io/enforce": "baseline"}
        headers = {"Content-Type": "application/merge-patch+json"}
        await h.request("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": labels}}, headers=headers)
        lines.clear()
        await h.raw("GET", "/healthz")
        body = {"metadata": {"name": "p"}, "spec": POD["spec"]}
        await h.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", body, headers={"User-Agent": "t/1"})
        assert len(lines) == 1
        event = msgspec.json.decode(lines[0])
        assert (event["kind"], event["level"], event["stage"], event["verb"]) == (
            "Event",
            "Metadata",
            "ResponseComplete",
            "create",
        )
        assert event["requestURI"] == "/api/v1/namespaces/default/pods?dryRun=All" and event["userAgent"] == "t/1"
        (credential,) = event["user"].pop("extra")["authentication.kubernetes.io/credential-id"]
        assert re.fullmatch("X509SHA256=[0-9a-f]{64}", credential)
        assert event["user"] == {"username": "admin", "groups": ["system:masters", "system:authenticated"]}
        assert event["objectRef"] == {"resource": "pods", "namespace": "default", "apiVersion": "v1"}
        assert event["responseStatus"]["code"] == 201
        assert event["annotations"] == {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": "",
            "pod-security.kubernetes.io/enforce-policy": "baseline:latest",
        }

    run(scenario, audit=lines.append)


def test_a_slow_request_says_where_its_time_went(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pelamis.apiserver.http.SLOW_S", 0.0)

    async def scenario(h: Harness) -> None:
        with caplog.at_level(logging.WARNING, "pelamis.apiserver"):
            await h.request("POST", CMS, cm("a"))
        texts = [r.getMessage() for r in caplog.records]
        text = next(t for t in texts if t.startswith(f'Trace "POST {CMS}" by admin (audit-id '))
        assert ": 201 after " in text and "the rest " in text

    run(scenario)
