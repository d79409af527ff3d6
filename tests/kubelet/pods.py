"""Pods as structs, for tests of pure parts."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api.core.pod.kind import Pod


def make(
    name: str = "p",
    *,
    containers: list[dict[str, Any]] | None = None,
    meta: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> Any:
    tree = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}", **(meta or {})},
        "spec": {
            "nodeName": "n",
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "containers": containers or [{"name": "c", "image": "i"}],
            **spec,
        },
        "status": status or {},
    }
    return msgspec.json.decode(msgspec.json.encode(tree), type=Pod)
