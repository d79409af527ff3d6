"""What a pod costs on the write path before it is stored: defaults, validation, warnings, and its table row.

Limit: 60 microseconds for the validation of a typical pod of 3 KB, which is what leaves room for thousands of pod
writes a second on one core. Run: ``python benchmarks/pod_validation.py``.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

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


def main() -> None:
    tree = pod()
    codec.clean(POD, tree)
    POD.default(tree)
    POD.prepare_create(tree)
    obj = codec.from_tree(POD, tree)
    assert not POD.validate(obj) and POD.warnings is not None and POD.cells is not None
    warnings, cells = POD.warnings, POD.cells
    cost = microseconds(lambda: POD.validate(obj))
    print(f"pod of {len(codec.encode(obj))} bytes")
    print(f"validate         {cost:6.1f} us   {cost / LIMIT_US:.2f} of the limit of {LIMIT_US:.0f} us")
    print(f"validate update  {microseconds(lambda: POD.validate_update(obj, obj)):6.1f} us")
    print(f"defaults         {microseconds(lambda: POD.default(tree)):6.1f} us")
    print(f"warnings         {microseconds(lambda: warnings(obj)):6.1f} us")
    print(f"table row        {microseconds(lambda: cells(obj, 0.0)):6.1f} us")


if __name__ == "__main__":
    main()
