"""Deployments under load: an update without a failed request, a broken one that stops, and the way back."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from tests.e2e.lab import NGINX, NGINX_NEXT, Lab, Tree, container, deployment, fetch, service, until

pytestmark = pytest.mark.e2e


class Load:
    """Threads that ask URLs one request after the other; ``with`` it, then look at ``failed`` and ``answered``."""

    def __init__(self, *urls: str, pause_s: float = 0.002) -> None:
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []
        self.stop = threading.Event()
        self.pause_s = pause_s
        self.threads = [threading.Thread(target=self.ask, args=(url,)) for url in urls for _ in range(2)]

    def ask(self, url: str) -> None:
        while not self.stop.wait(self.pause_s):
            try:
                status, text = fetch(url)
                if status == 200:
                    self.answered[text.strip()[:64]] += 1
                else:
                    self.failed.append(f"{time.time():.3f} {url}: {status} {text[:100]}")
            except Exception as error:
                self.failed.append(f"{time.time():.3f} {url}: {error!r}")

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def nginx(image: str = NGINX) -> Tree:
    """Without a preStop hook: a container is told to stop once the service proxy sends it nothing new."""
    return {
        "name": "nginx",
        "image": image,
        "ports": [{"containerPort": 80}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1},
    }


UPDATE = {
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
    "progressDeadlineSeconds": 4,
}


def test_update_broken_update_and_undo_under_load(lab: Lab) -> None:
    lab.apply(deployment("shop", 3, nginx(), spec=UPDATE), service("shop", type="NodePort"))
    lab.rolled_out("shop")
    spec = lab.get("services", "shop")["spec"]
    urls = (f"http://{spec['clusterIP']}/", f"http://127.0.0.1:{spec['ports'][0]['nodePort']}/")
    for url in urls:
        until(lambda url=url: fetch(url)[0] == 200, f"{url} answers")
    with Load(*urls) as load:
        lab.kubectl("set", "image", "deployment/shop", f"nginx={NGINX_NEXT}")
        out = lab.kubectl("rollout", "status", "deployment/shop", "--timeout=60s")
        assert "successfully rolled out" in out
        assert {p["spec"]["containers"][0]["image"] for p in lab.pods("app=shop")} >= {NGINX_NEXT}
        until(lambda: len(lab.pods("app=shop")) == 3, "the old pods are gone")
        old = {p["metadata"]["uid"] for p in lab.pods("app=shop")}

        lab.kubectl("set", "image", "deployment/shop", "nginx=nginx:9.99-broken")

        def stuck() -> Tree | None:
            found = lab.get("apps/v1/deployments", "shop")
            conditions = {c["type"]: c for c in found["status"]["conditions"]}
            return found if conditions["Progressing"].get("reason") == "ProgressDeadlineExceeded" else None

        found = until(stuck, "ProgressDeadlineExceeded", 20)
        assert found["status"]["availableReplicas"] == 2 and found["status"]["updatedReplicas"] == 1
        condition = next(c for c in found["status"]["conditions"] if c["type"] == "Progressing")
        assert condition["status"] == "False" and condition["message"].endswith("has timed out progressing.")
        out = lab.kubectl("rollout", "status", "deployment/shop", "--timeout=20s", ok=False)
        assert 'error: deployment "shop" exceeded its progress deadline' in out
        pods = lab.pods("app=shop")
        assert len(old & {p["metadata"]["uid"] for p in pods}) == 2
        broken = next(p for p in pods if p["metadata"]["uid"] not in old)
        waiting = broken["status"]["containerStatuses"][0]["state"]["waiting"]
        assert waiting["reason"] in ("ErrImagePull", "ImagePullBackOff")

        assert lab.kubectl("rollout", "undo", "deployment/shop") == "deployment.apps/shop rolled back\n"
        lab.rolled_out("shop")
        until(lambda: len(lab.pods("app=shop")) == 3, "the broken pod is gone")
    assert not load.failed, (len(load.failed), load.failed[:5])
    assert sum(load.answered.values()) > 500
    revisions = lab.kubectl("rollout", "history", "deployment/shop")
    assert [line.split()[0] for line in revisions.splitlines()[2:] if line] == ["1", "3", "4"]
    lab.kubectl("delete", "deployment,service", "shop")


def test_endpoint_leaves_before_its_container_is_told_to_stop(lab: Lab) -> None:
    """A server that ends at once on SIGTERM breaks what it has open, but no new connection is sent to it."""
    script = "mkdir -p /www; echo ok > /www/index.html; trap 'exit 0' TERM; httpd -f -p 80 -h /www & wait"
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    plain = container(script, readinessProbe=probe)
    lab.apply(deployment("quick", 3, plain, spec=UPDATE), service("quick"))
    lab.rolled_out("quick")
    url = f"http://{lab.get('services', 'quick')['spec']['clusterIP']}/"
    until(lambda: fetch(url)[0] == 200, "answers")
    with Load(url) as load:
        lab.kubectl("rollout", "restart", "deployment/quick")
        lab.kubectl("rollout", "status", "deployment/quick", "--timeout=60s")
    refused = [line for line in load.failed if "refused" in line or "unreachable" in line.lower()]
    assert not refused, (len(refused), refused[:5])
    lab.kubectl("delete", "deployment,service", "quick")
