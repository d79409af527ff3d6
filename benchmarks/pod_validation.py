"""What a pod costs on the write path before it is stored: defaults, validation, warnings, and its table row.

Limit: 60 microseconds for the validation of a typical pod of 3 KB, which is what leaves room for thousands of pod
writes a second on one core.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

from benchmarks.frame import Row, below, table

from pelamis.api import codec
from pelamis.api.core import POD

LIMIT_US = 60.0
ACCESS = "/var/run/secrets/kubernetes.io/serviceaccount"


def pod() -> dict[str, Any]:
    token = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    lost = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in ("not-ready", "unreachable")
    ]
    web = {
        "name": "web",
        "image": "registry.example.com/shop/web:1.25",
        "ports": [{"name": "http", "containerPort": 80}],
        "env": [
            {"name": "MODE", "value": "production"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "web", "key": "key"}}},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
        "volumeMounts": [
            {"name": "settings", "mountPath": "/etc/web"},
            {"name": "scratch", "mountPath": "/tmp"},
            {"name": "kube-api-access-abcde", "mountPath": ACCESS, "readOnly": True},
        ],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 80}},
        "securityContext": {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    proxy = {
        "name": "proxy",
        "image": "registry.example.com/mesh/proxy:v1",
        "args": ["--log-level", "warn"],
        "ports": [{"containerPort": 9901}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
    }
    return {
        "metadata": {
            "name": "web-7d4f8b6c9d-x2x9q",
            "namespace": "default",
            "labels": {"app": "web", "pod-template-hash": "7d4f8b6c9d"},
        },
        "spec": {
            "serviceAccountName": "default",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": lost,
            "volumes": [
                {"name": "settings", "configMap": {"name": "web"}},
                {"name": "scratch", "emptyDir": {}},
                {"name": "kube-api-access-abcde", "projected": {"sources": token}},
            ],
            "containers": [web, proxy],
        },
    }


def microseconds(fn: Callable[[], object], number: int = 3000) -> float:
    return min(timeit.repeat(fn, number=number, repeat=5)) / number * 1e6


def rows() -> list[Row]:
    tree = pod()
    codec.clean(POD, tree)
    POD.default(tree)
    POD.prepare_create(tree)
    obj = codec.from_tree(POD, tree)
    assert not POD.validate(obj) and POD.warnings is not None and POD.cells is not None
    warnings, cells = POD.warnings, POD.cells
    size = len(codec.encode(obj))
    out = [below(f"validation of a Pod of {size:,} bytes", microseconds(lambda: POD.validate(obj)), LIMIT_US, "µs")]
    for name, fn in (
        ("update", lambda: POD.validate_update(obj, obj)),
        ("defaults", lambda: POD.default(tree)),
        ("warnings", lambda: warnings(obj)),
        ("table row", lambda: cells(obj, 0.0)),
    ):
        out.append(Row(f"  {name}", f"{microseconds(fn):.1f} µs"))
    return out


if __name__ == "__main__":
    print(table(rows()))
