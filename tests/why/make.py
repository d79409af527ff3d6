"""Worlds in few words: objects as trees, everything that is not given is empty."""

from __future__ import annotations

from typing import Any

from pelamis.api.codec import from_tree
from pelamis.api.kind import Kind
from pelamis.api.registry import builtin
from pelamis.base.clock import parse_rfc3339
from pelamis.why.answer import answer
from pelamis.why.cause import Cause
from pelamis.why.world import World

NOW = "2026-01-01T01:00:00Z"
HOUR_AGO, MINUTE_AGO = "2026-01-01T00:00:00Z", "2026-01-01T00:59:00Z"
REGISTRY = builtin()


def kind_of(word: str) -> Kind:
    found = REGISTRY.find(word)
    assert found is not None
    return found


def tree(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """more: owner ("ReplicaSet/web"), labels, and other metadata by ``meta``; spec and status."""
    meta: dict[str, Any] = {"name": name, "uid": f"{kind}/{name}", "labels": more.pop("labels", {})}
    if kind_of(kind).namespaced:
        meta["namespace"] = more.pop("namespace", "shop")
    if owner := more.pop("owner", ""):
        above, _, whose = owner.partition("/")
        ref = {"apiVersion": "v1", "kind": above, "name": whose, "uid": f"{above.lower()}/{whose}", "controller": True}
        meta["ownerReferences"] = [ref]
    meta.update(more.pop("meta", {}))
    return {"kind": kind, "metadata": meta, **more}


def node(name: str = "n1", ready: str = "True", cpu: str = "4", **more: Any) -> dict[str, Any]:
    status = {
        "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"},
        "conditions": [
            {"type": "Ready", "status": ready, "message": "kubelet stopped", "lastTransitionTime": HOUR_AGO},
            *more.pop("conditions", ()),
        ],
    }
    return tree("node", name, spec=more.pop("spec", {}), status=status, **more)


def pod(name: str, where: str = "n1", ready: bool = True, **more: Any) -> dict[str, Any]:
    """more: container (its spec), state, last, restarts; conditions."""
    container = {"name": "c", "image": "img", **more.pop("container", {})}
    state = more.pop("state", {"running": {"startedAt": HOUR_AGO}})
    status: dict[str, Any] = {"phase": more.pop("phase", "Running" if where else "Pending"), "startTime": HOUR_AGO}
    if where:
        status["containerStatuses"] = [
            {
                "name": "c",
                "state": state,
                "lastState": more.pop("last", {}),
                "restartCount": more.pop("restarts", 0),
                "ready": ready,
                "image": "img",
                "imageID": "",
                "started": more.pop("started", True),
            }
        ]
        status["conditions"] = [
            {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": HOUR_AGO}
        ]
    status.update(more.pop("status", {}))
    spec = {"schedulerName": "default-scheduler", "containers": [container], "restartPolicy": "Always"}
    if where:
        spec["nodeName"] = where
    spec.update(more.pop("spec", {}))
    return tree("pod", name, spec=spec, status=status, **more)


def event(about: str, reason: str, message: str, type: str = "Warning") -> dict[str, Any]:
    word, _, name = about.partition("/")
    ref = {"kind": kind_of(word).kind, "name": name, "namespace": "shop", "uid": about}
    return tree("event", f"{name}.{reason}", reason=reason, message=message, type=type, involvedObject=ref)


def world(*objects: dict[str, Any]) -> World:
    made = World(parse_rfc3339(NOW))
    by: dict[Kind, list[Any]] = {kind: [] for kind in REGISTRY.all()}
    for obj in objects:
        kind = kind_of(obj["kind"])
        by[kind].append(from_tree(kind, {k: v for k, v in obj.items() if k != "kind"}))
    for kind, found in by.items():
        made.load(kind, "", found)
    return made


def why(target: str, *objects: dict[str, Any]) -> Cause:
    word, _, name = target.partition("/")
    kind = kind_of(word)
    about = world(*objects)
    obj = about.get(kind, "shop" if kind.namespaced else "", name)
    assert obj is not None, f"there is no {target} in this world"
    return answer(about, kind, obj)
