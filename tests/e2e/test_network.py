"""Names and addresses as pods and this machine see them: DNS, Services of every sort, the API from inside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.lab import Lab, container, deployment, fetch, pod, service, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def net(lab: Lab) -> Any:
    """Three web pods behind a ClusterIP, a headless and a NodePort Service, and a pod to look from."""
    ports = [{"name": "http", "port": 80, "targetPort": 80}]
    lab.apply(
        deployment("web", 3),
        service("web", ports=ports),
        service("web-headless", app="web", clusterIP="None", ports=ports),
        service("web-node", app="web", type="NodePort", ports=ports),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "elsewhere", "namespace": "default"},
            "spec": {"type": "ExternalName", "externalName": "web.default.svc.cluster.local"},
        },
        pod("looker", hostname="box", subdomain="web-headless", labels={"app": "looker"}),
    )
    lab.rolled_out("web")
    lab.ready("looker")
    yield lab
    lab.kubectl("delete", "deployment/web", "service/web", "service/web-headless", "service/web-node")
    lab.kubectl("delete", "service/elsewhere", "pod/looker")


def ips(lab: Lab, app: str = "web") -> set[str]:
    return {p["status"]["podIP"] for p in lab.pods(f"app={app}") if not p["metadata"].get("deletionTimestamp")}


def addresses(text: str) -> set[str]:
    """What nslookup found, without the server's own address."""
    return {
        line.split(":", 1)[1].strip() for line in text.split("\n\n", 1)[1].splitlines() if line.startswith("Address")
    }


def test_dns(net: Lab) -> None:
    cluster_ip = net.get("services", "web")["spec"]["clusterIP"]
    for name in ("web.default.svc.cluster.local", "web.default.svc.cluster.local."):
        assert addresses(net.sh("looker", f"nslookup -type=a {name}")) == {cluster_ip}
    assert cluster_ip in net.sh("looker", "ping -c1 -W1 web | head -1; true")  # by the search domains
    assert cluster_ip in net.sh("looker", "ping -c1 -W1 web.default | head -1; true")
    headless = "web-headless.default.svc.cluster.local"
    assert addresses(net.sh("looker", f"nslookup -type=a {headless}")) == ips(net)
    srv = net.sh("looker", "nslookup -type=srv _http._tcp.web.default.svc.cluster.local")
    assert "service = 0 100 80 web.default.svc.cluster.local" in srv
    srv = net.sh("looker", f"nslookup -type=srv _http._tcp.{headless}")
    assert srv.count(f".{headless}") >= 3 and "service = 0 33 80" in srv
    ptr = net.sh("looker", f"nslookup {cluster_ip}")
    assert "name = web.default.svc.cluster.local" in ptr
    cname = net.sh("looker", "nslookup -type=cname elsewhere.default.svc.cluster.local")
    assert "canonical name = web.default.svc.cluster.local" in cname
    assert cluster_ip in net.sh("looker", "nslookup -type=a elsewhere.default.svc.cluster.local")
    assert "NXDOMAIN" in net.sh("looker", "nslookup -type=a nobody.default.svc.cluster.local", ok=False)
    kubernetes = net.settings.api_ip
    assert addresses(net.sh("looker", "nslookup -type=a kubernetes.default.svc.cluster.local")) == {kubernetes}
    resolv = net.sh("looker", "cat /etc/resolv.conf")
    assert "search default.svc.cluster.local svc.cluster.local cluster.local" in resolv and "ndots:5" in resolv
    assert net.sh("looker", "hostname -f").strip() == "box.web-headless.default.svc.cluster.local"


def test_cluster_ip_node_port_and_hairpin(net: Lab) -> None:
    names = {p["metadata"]["name"] for p in net.pods("app=web")}
    cluster_ip = net.get("services", "web")["spec"]["clusterIP"]
    port = net.get("services", "web-node")["spec"]["ports"][0]["nodePort"]
    node = net.settings.advertise
    seen: dict[str, set[str]] = {}
    for url in (f"http://{cluster_ip}/", f"http://127.0.0.1:{port}/", f"http://{node}:{port}/"):
        until(lambda url=url: fetch(url)[0] == 200, url)
        seen[url] = {fetch(url)[1].strip() for _ in range(40)}
    assert all(found == names for found in seen.values()), seen  # spread over all three
    inside = net.sh("looker", f"for i in $(seq 40); do wget -qO- http://web/; done; wget -qO- http://{node}:{port}/")
    assert set(inside.split()) == names
    # each pod reaches itself through its own Service
    for name in names:
        got = net.sh(name, "for i in $(seq 30); do timeout 2 wget -qO- http://web/ || echo lost; done")
        assert set(got.split()) == names


def test_session_affinity(net: Lab) -> None:
    net.apply(service("sticky", app="web", sessionAffinity="ClientIP"))
    url = f"http://{net.get('services', 'sticky')['spec']['clusterIP']}/"
    until(lambda: fetch(url)[0] == 200, url)
    assert len({fetch(url)[1] for _ in range(20)}) == 1
    net.kubectl("delete", "service", "sticky")


def test_endpoints_leave_when_readiness_fails(lab: Lab) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    script = "touch /tmp/ready; mkdir -p /www; echo $HOSTNAME > /www/index.html; exec httpd -f -p 80 -h /www"
    lab.apply(deployment("moody", 2, container(script, readinessProbe=probe)), service("moody"))
    lab.rolled_out("moody")
    url = f"http://{lab.get('services', 'moody')['spec']['clusterIP']}/"
    first, second = sorted(p["metadata"]["name"] for p in lab.pods("app=moody"))
    until(lambda: {fetch(url)[1].strip() for _ in range(20)} == {first, second}, "both answer")
    lab.sh(first, "rm /tmp/ready")
    until(lambda: {fetch(url)[1].strip() for _ in range(20)} == {second}, "the unready one is left out")
    subsets = lab.get("endpoints", "moody")["subsets"]
    assert [len(subsets[0][part]) for part in ("addresses", "notReadyAddresses")] == [1, 1]
    lab.sh(first, "touch /tmp/ready")
    until(lambda: {fetch(url)[1].strip() for _ in range(20)} == {first, second}, "it is back")
    lab.kubectl("delete", "deployment,service", "moody")
    until(lambda: not lab.pods("app=moody"), "gone")


def test_service_without_endpoints_refuses(lab: Lab) -> None:
    lab.apply(service("empty"))
    url = f"http://{lab.get('services', 'empty')['spec']['clusterIP']}/"

    def refused() -> bool:
        try:
            fetch(url)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False

    until(refused, "an empty Service refuses at once", 15)
    lab.kubectl("delete", "service", "empty")


def test_external_traffic_policy_local(net: Lab) -> None:
    """With Local, the pod sees who asks, and a node without endpoints says so to load balancers."""
    net.apply(service("local", app="web", type="NodePort", externalTrafficPolicy="Local"))
    port = net.get("services", "local")["spec"]["ports"][0]["nodePort"]
    url = f"http://{net.settings.advertise}:{port}/"
    assert until(lambda: fetch(url), url)[0] == 200
    net.kubectl("delete", "service", "local")


def test_api_from_a_pod(net: Lab) -> None:
    """By the kubernetes Service, with the pod's own token, as every client library does."""
    net.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": "default"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader", "namespace": "default"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
        },
        pod("inside", {**container(), "image": "nginx:1.19"}, serviceAccountName="reader"),
    )
    net.ready("inside")
    ask = (
        "cd /var/run/secrets/kubernetes.io/serviceaccount; "
        'curl -sS --cacert ca.crt -H "Authorization: Bearer $(cat token)" '
        "https://kubernetes.default.svc:$KUBERNETES_SERVICE_PORT"
    )
    found = json.loads(net.sh("inside", ask + "/api/v1/namespaces/$(cat namespace)/pods"))
    assert found["kind"] == "PodList" and "inside" in [item["metadata"]["name"] for item in found["items"]]
    refused = json.loads(net.sh("inside", ask + "/api/v1/namespaces/kube-system/secrets"))
    assert refused["code"] == 403
    user = "system:serviceaccount:default:reader"
    assert refused["message"] == (
        f'secrets is forbidden: User "{user}" cannot list resource "secrets" in API group "" in the namespace '
        '"kube-system"'
    )
    assert net.sh("inside", "echo $KUBERNETES_SERVICE_HOST").strip() == net.settings.api_ip
    net.kubectl("delete", "pod/inside", "serviceaccount/reader", "rolebinding/reader")
