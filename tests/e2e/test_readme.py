"""The first thing that a user does, step by step, and that nothing stays of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.lab import NGINX, Lab, container_status, deployment, fetch, service, until

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


def test_clusters_beside_each_other(lab: Lab, fresh: Lab) -> None:
    """Two nodes on one machine serve the same names at once; the end of one is nothing to the other."""
    urls = {}
    for cluster in (lab, fresh):
        cluster.apply(deployment("twin", 2), service("twin"))
        cluster.rolled_out("twin")
        urls[cluster] = f"http://{cluster.get('services', 'twin')['spec']['clusterIP']}/"
    names = {cluster: {p["metadata"]["name"] for p in cluster.pods("app=twin")} for cluster in urls}
    for cluster, url in urls.items():
        until(lambda url=url: fetch(url), url)
        assert {fetch(url)[1].strip() for _ in range(20)} == names[cluster]
        pod = sorted(names[cluster])[0]
        assert (
            set(cluster.sh(pod, "for i in 1 2 3 4 5 6 7 8; do wget -qO- http://twin/; done").split()) <= names[cluster]
        )
    before = {p["metadata"]["uid"]: container_status(p)["containerID"] for p in lab.pods("app=twin")}
    fresh.down()
    assert {fetch(urls[lab])[1].strip() for _ in range(20)} == names[lab]
    assert {p["metadata"]["uid"]: container_status(p)["containerID"] for p in lab.pods("app=twin")} == before
    lab.kubectl("delete", "deployment/twin", "service/twin")
