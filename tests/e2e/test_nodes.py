"""Nodes as an administrator handles them: cordon, drain with a budget, taints that evict, and the node's own report."""

from __future__ import annotations

import time

import pytest

from tests.e2e.lab import Lab, container, deployment, is_ready, metadata, pod, until

pytestmark = pytest.mark.e2e


def scheduled(lab: Lab, name: str) -> tuple[str, str]:
    conditions = lab.get("pods", name).get("status", {}).get("conditions", [])
    found = next((c for c in conditions if c["type"] == "PodScheduled"), {})
    return found.get("status", ""), found.get("message", "")


def test_cordon_and_drain(lab: Lab) -> None:
    node = lab.settings.node_name
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata("guard"),
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
    }
    lab.apply(deployment("guarded", 2), budget, pod("loner"))
    lab.rolled_out("guarded")
    lab.ready("loner")
    until(lambda: lab.get("policy/v1/poddisruptionbudgets", "guard")["status"]["disruptionsAllowed"] == 1, "the budget")
    try:
        assert lab.kubectl("cordon", node) == f"node/{node} cordoned\n"
        assert "SchedulingDisabled" in lab.kubectl("get", "node", node)
        lab.apply(pod("later"))
        text = "0/1 nodes are available: 1 node(s) were unschedulable."
        until(lambda: scheduled(lab, "later")[1].startswith(text), "it waits")
        refused = lab.kubectl("drain", node, "--timeout=3s", ok=False)
        assert "cannot delete" in refused and "default/loner" in refused
        out = lab.kubectl("drain", node, "--force", "--timeout=4s", "--ignore-daemonsets", ok=False)
        # one of the two may go; the budget keeps the other, since its successor finds no node
        assert "Cannot evict pod as it would violate the pod's disruption budget." in out
        until(lambda: sum(is_ready(p) for p in lab.pods("app=guarded")) == 1, "one went, one stays")
        lab.gone("pods", "loner")
    finally:
        lab.kubectl("uncordon", node)
    lab.rolled_out("guarded")
    lab.ready("later")
    lab.kubectl("delete", "deployment/guarded", "pdb/guard", "pod/later")


def test_no_execute_taint_evicts(lab: Lab) -> None:
    node = lab.settings.node_name
    patient = {"key": "sick", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}
    lab.apply(
        pod("goes"),
        pod("waits", tolerations=[patient]),
        pod("stays", tolerations=[{"key": "sick", "operator": "Exists"}]),
    )
    for name in ("goes", "waits", "stays"):
        lab.ready(name)
    began = time.monotonic()
    try:
        lab.kubectl("taint", "node", node, "sick=yes:NoExecute")
        lab.gone("pods", "goes")
        lab.gone("pods", "waits")
        assert time.monotonic() - began >= 2
        assert is_ready(lab.get("pods", "stays"))
        lab.apply(pod("new"))
        until(lambda: "1 node(s) had untolerated taint" in scheduled(lab, "new")[1], "new pods stay away")
    finally:
        lab.kubectl("taint", "node", node, "sick-")
    lab.ready("new")
    lab.kubectl("delete", "pod", "stays", "new")


def test_node_reports(lab: Lab) -> None:
    node = lab.get("nodes", lab.settings.node_name, "")
    conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
    assert conditions == {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
    lease = lab.get("coordination.k8s.io/v1/leases", lab.settings.node_name, "kube-node-lease")
    assert lease["spec"]["holderIdentity"] == lab.settings.node_name
    out = lab.kubectl("describe", "node", lab.settings.node_name)
    for part in ("Roles:              control-plane", "KubeletReady", "Allocated resources:", "Non-terminated Pods:"):
        assert part in out, part


def test_daemonset_and_statefulset(lab: Lab) -> None:
    labels = {"app": "each"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container()]}}
    selector = {"matchLabels": labels}
    lab.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": metadata("each"),
            "spec": {"selector": selector, "template": template},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": metadata("row"),
            "spec": {
                "replicas": 2,
                "serviceName": "row",
                "selector": {"matchLabels": {"app": "row"}},
                "template": {"metadata": {"labels": {"app": "row"}}, "spec": {"containers": [container()]}},
            },
        },
    )
    lab.kubectl("rollout", "status", "daemonset/each", "statefulset/row", "--timeout=60s", ok=False)
    lab.kubectl("rollout", "status", "daemonset/each", "--timeout=60s")
    lab.kubectl("rollout", "status", "statefulset/row", "--timeout=60s")
    assert {p["metadata"]["name"] for p in lab.pods("app=row")} == {"row-0", "row-1"}
    lab.kubectl("delete", "daemonset/each", "statefulset/row")
