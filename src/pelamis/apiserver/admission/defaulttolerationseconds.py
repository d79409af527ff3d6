"""DefaultTolerationSeconds: a pod stays 300 s on a node that is not ready or unreachable, unless it says otherwise."""

from __future__ import annotations

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write

_SECONDS = 300
_KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation == "DELETE":
        return
    spec = write.tree.setdefault("spec", {})
    tolerations = spec.get("tolerations") or []
    missing = [
        key
        for key in _KEYS
        if not any(t.get("key", "") in ("", key) and t.get("effect", "") in ("", "NoExecute") for t in tolerations)
    ]
    if missing:
        spec["tolerations"] = tolerations + [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _SECONDS} for key in missing
        ]


PLUGIN = Plugin("DefaultTolerationSeconds", frozenset(("pods",)), mutate=_mutate)
