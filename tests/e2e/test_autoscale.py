"""Metrics of real containers, autoscaling by them, balancers that are reached, tokens that are filled in."""

from __future__ import annotations

import base64
import json
import re

import pytest

from tests.e2e.lab import Lab, container, deployment, fetch, kubectls, metadata, pod, service, until, web

pytestmark = pytest.mark.e2e

BURN = "while [ ! -e /tmp/quiet ]; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.05; done; sleep 100000"


def test_top_tells_what_nodes_and_containers_use(lab: Lab) -> None:
    busy = container(BURN, name="busy", resources={"requests": {"cpu": "100m"}})
    lab.apply(pod("top", busy, container(name="idle"), labels={"app": "top"}))
    lab.kubectl("wait", "pod/top", "--for=condition=Ready", "--timeout=60s")
    command = ("top", "pods", "--containers")
    for program in kubectls():
        until(lambda p=program: "busy" in lab.kubectl(*command, program=p, ok=False), "the pod is shown")  # type: ignore[misc]
        text = lab.kubectl(*command, program=program)
        used = {words[1]: words[2] for words in (line.split() for line in text.splitlines()) if words[0] == "top"}
        assert int(used["busy"].removesuffix("m")) > 5
        assert int(used["idle"].removesuffix("m")) < 5
        assert re.search(r"\d+m +\d+% +\d+Mi +\d+%", lab.kubectl("top", "nodes", program=program))
        assert "top" in lab.kubectl("top", "pods", "-l", "app=top", "--sum", program=program)
    assert "podmetrics.metrics.k8s.io" in lab.kubectl("get", "podmetrics", "none", ok=False)
    assert "Local" in lab.kubectl("get", "apiservice", "v1beta1.metrics.k8s.io")
    lab.kubectl("delete", "pod", "top", "--grace-period=0", "--force")


def test_load_scales_up_and_its_end_scales_down(lab: Lab) -> None:
    busy = container(BURN, resources={"requests": {"cpu": "50m"}})
    lab.apply(deployment("burn", 1, busy, terminationGracePeriodSeconds=0))
    lab.kubectl("rollout", "status", "deployment/burn", "--timeout=60s")
    lab.kubectl("autoscale", "deployment", "burn", "--cpu-percent=50", "--min=1", "--max=3")
    quick = {"scaleDown": {"stabilizationWindowSeconds": 5}}
    lab.kubectl("patch", "hpa", "burn", "--type=merge", "-p", json.dumps({"spec": {"behavior": quick}}))

    def replicas() -> int:
        return int(lab.kubectl("get", "deployment", "burn", "-o", "jsonpath={.spec.replicas}"))

    until(lambda: replicas() == 3, "the autoscaler wants three", 120)
    assert "SuccessfulRescale" in lab.kubectl("describe", "hpa", "burn")
    lab.kubectl("rollout", "status", "deployment/burn", "--timeout=60s")

    def quiet() -> bool:
        for name in lab.kubectl("get", "pods", "-l", "app=burn", "-o", "name").split():
            lab.kubectl("exec", name, "--", "touch", "/tmp/quiet", ok=False)
        return replicas() == 1

    until(quiet, "the autoscaler wants one again", 180)
    shown = json.loads(lab.kubectl("get", "hpa", "burn", "-o", "json"))["status"]
    assert {c["type"]: c["status"] for c in shown["conditions"]}["ScalingActive"] == "True"
    lab.kubectl("delete", "hpa/burn", "deployment/burn")


def test_a_balancer_is_reached_from_this_machine(lab: Lab) -> None:
    lab.apply(pod("balanced", web(), labels={"app": "balanced"}), service("balanced", type="LoadBalancer"))
    lab.kubectl("wait", "pod/balanced", "--for=condition=Ready", "--timeout=60s")
    path = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    address = until(lambda: lab.kubectl("get", "service", "balanced", "-o", path), "the balancer has an address")
    assert until(lambda: fetch(f"http://{address}/")[0] == 200, "the balancer answers")
    assert "EnsuredLoadBalancer" in lab.kubectl("describe", "service", "balanced")
    fence = {"spec": {"loadBalancerSourceRanges": ["203.0.113.0/24"]}}
    lab.kubectl("patch", "service", "balanced", "--type=merge", "-p", json.dumps(fence))

    def closed() -> bool:
        try:
            fetch(f"http://{address}/", timeout=0.5)
        except OSError:
            return True
        return False

    until(closed, "who is not let in gets no answer")
    lab.kubectl("delete", "service/balanced", "pod/balanced", "--grace-period=0")


def test_a_token_in_a_secret(lab: Lab) -> None:
    annotations = {"kubernetes.io/service-account.name": "robot"}
    lab.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("robot")},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": metadata("robot", annotations=annotations),
        },
    )
    path = "jsonpath={.data.token}"
    token = until(lambda: lab.kubectl("get", "secret", "robot", "-o", path), "the Secret holds a token")
    claims = base64.b64decode(token).decode().split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert said["sub"] == "system:serviceaccount:default:robot"
    lab.kubectl("delete", "serviceaccount", "robot")
    until(lambda: "NotFound" in lab.kubectl("get", "secret", "robot", ok=False), "the Secret goes with its account")
