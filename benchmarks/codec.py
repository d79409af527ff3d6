"""The codec on a 3 KB Pod, against the standard library's json doing only the parsing and writing.

The ratio is to the peer: below 1 is faster.
"""

from __future__ import annotations

import copy
import json
import timeit
from typing import Any

from benchmarks.frame import Row, table

from pelamis.api import codec, protobuf, registry
from pelamis.apiserver.negotiate import Format
from pelamis.apiserver.present import Presenter

LIMITS = {"decode (bytes to struct)": 0.6, "encode (struct to bytes)": 0.2, "clean": 1.0}


def pod() -> dict[str, Any]:
    probe = {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "periodSeconds": 10, "failureThreshold": 3}
    container = {
        "image": "nginx:1.19",
        "args": ["--port", "80"],
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
        "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets", "readOnly": True}],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }
    when = "2026-01-31T08:00:00Z"
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": "nginx-deployment-7f8c9d5b6-x2x4z",
            "namespace": "default",
            "uid": "0" * 36,
            "creationTimestamp": when,
            "labels": {"app": "nginx", "pod-template-hash": "7f8c9d5b6"},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "nginx", "uid": "1" * 36, "controller": True}
            ],
        },
        "spec": {
            "volumes": [{"name": "token", "projected": {"sources": sources, "defaultMode": 420}}],
            "containers": [{"name": "web", **container}, {"name": "side", **container}],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "nodeName": "node-1",
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{t}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
                for t in ("not-ready", "unreachable")
            ],
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": t, "status": "True", "lastTransitionTime": when} for t in conditions],
            "hostIP": "10.0.0.1",
            "podIP": "10.244.0.7",
            "podIPs": [{"ip": "10.244.0.7"}],
            "startTime": when,
        },
    }


def microseconds(fn: Any, number: int = 2000) -> float:
    fn()
    return min(timeit.repeat(fn, number=number, repeat=5)) / number * 1e6


def rows() -> list[Row]:
    kind = registry.builtin().by_kind("", "v1", "Pod")
    assert kind is not None
    tree = pod()
    codec.clean(kind, tree)
    data = codec.stored(kind, tree)
    obj = codec.decode(kind, data)
    body = json.dumps(tree, separators=(",", ":")).encode()
    wire = protobuf.message(obj)
    rows = Presenter(kind, Format(shown="Table"), lambda: 2e9)
    loads = microseconds(lambda: json.loads(body))
    dumps = microseconds(lambda: json.dumps(tree, separators=(",", ":")))
    work: list[tuple[str, Any, str, float]] = [
        ("decode (bytes to struct)", lambda: codec.decode(kind, data), "json.loads", loads),
        ("encode (struct to bytes)", lambda: codec.encode(obj), "json.dumps", dumps),
        ("read_body", lambda: codec.read_body(kind, body), "json.loads", loads),
        ("clean", lambda: codec.clean(kind, tree), "json both ways", loads + dumps),
        ("from_tree", lambda: codec.from_tree(kind, tree), "json both ways", loads + dumps),
        ("to_tree", lambda: codec.to_tree(obj), "copy.deepcopy", microseconds(lambda: copy.deepcopy(tree), 300)),  # noqa: TID251
        ("served (splice a revision)", lambda: codec.served(kind, data, 7), "json both ways", loads + dumps),
        ("protobuf write", lambda: protobuf.message(obj), "json.dumps", dumps),
        ("protobuf read", lambda: protobuf.decode(kind.type, wire), "json.loads", loads),
        ("table row", lambda: rows.row(data, obj), "json.dumps", dumps),
    ]
    out = []
    for name, fn, peer, base in work:
        own = microseconds(fn)
        aim = LIMITS.get(name)
        out.append(
            Row(
                f"codec, a Pod of {len(data):,} bytes: {name}",
                f"{own:.1f} µs",
                f"{peer} {base:.1f} µs",
                own / base,
                f"≤ {aim:.2f}" if aim else "",
                own / base <= aim if aim else None,
            )
        )
    return out


if __name__ == "__main__":
    print(table(rows()))
