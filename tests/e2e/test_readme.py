"""The first thing that a user does, step by step, and that nothing stays of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.lab import NGINX, Lab, fetch, until

pytestmark = pytest.mark.e2e
EXAMPLES = Path(__file__).parents[2] / "examples"


def test_served_deployment(lab: Lab) -> None:
    out = lab.kubectl(
        "apply", "-f", str(EXAMPLES / "nginx-deployment.yaml"), "-f", str(EXAMPLES / "nginx-service.yaml")
    )
    assert out.splitlines() == ["deployment.apps/nginx-deployment created", "service/nginx-service created"]
    out = lab.kubectl("rollout", "status", "deployment/nginx-deployment", "--timeout=60s")
    assert out.endswith('deployment "nginx-deployment" successfully rolled out\n')
    pods = lab.pods("app=nginx")
    assert len(pods) == 3 and {p["spec"]["containers"][0]["image"] for p in pods} == {NGINX}
    spec = lab.get("services", "nginx-service")["spec"]
    for url in (f"http://{spec['clusterIP']}/", f"http://127.0.0.1:{spec['ports'][0]['nodePort']}/"):
        status, text = until(lambda url=url: fetch(url), f"{url} answers")
        assert status == 200 and "Welcome to nginx!" in text
    again = lab.kubectl("apply", "-f", str(EXAMPLES / "nginx-deployment.yaml"))
    assert again == "deployment.apps/nginx-deployment unchanged\n"
    assert "GET / HTTP" in "".join(lab.kubectl("logs", pod["metadata"]["name"]) for pod in pods)
    lab.kubectl("delete", "-f", str(EXAMPLES / "nginx-deployment.yaml"), "-f", str(EXAMPLES / "nginx-service.yaml"))
    until(lambda: not lab.pods("app=nginx"), "the pods are gone")


def test_status_says_what_runs(lab: Lab) -> None:
    out = lab.pelamis("status").stdout
    assert f"https://127.0.0.1:{lab.port}  ready" in out and "not running" not in out
    assert lab.pelamis("kubeconfig").stdout == Path(lab.kubeconfig).read_text()
    assert "docker.io/library/nginx:1.19" in lab.pelamis("image list").stdout.splitlines()
