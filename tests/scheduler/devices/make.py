"""Slices, classes and claims for tests, in few words."""

from __future__ import annotations

from typing import Any

from pelamis.api.codec import from_tree
from pelamis.api.core.node import KIND as NODE
from pelamis.api.resource.deviceclass import KIND as CLASS
from pelamis.api.resource.devicetaintrule import KIND as RULE
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.api.resource.resourceslice import KIND as SLICE
from pelamis.scheduler.devices.allocator import Found
from pelamis.scheduler.devices.ask import Problem
from pelamis.scheduler.devices.grant import grants
from pelamis.scheduler.devices.inventory import Inventory

Tree = dict[str, Any]
DRIVER = "d.example.com"


def device(name: str, **more: Any) -> Tree:
    """Attributes by their Python types (``v1.2.3`` is a version), capacity as text; the rest as it is."""
    out: Tree = {"name": name}
    if attributes := more.pop("attributes", None):
        out["attributes"] = {k: _attribute(v) for k, v in attributes.items()}
    if capacity := more.pop("capacity", None):
        out["capacity"] = {k: {"value": v} if isinstance(v, str) else v for k, v in capacity.items()}
    if draws := more.pop("draws", None):
        out["consumesCounters"] = [
            {"counterSet": s, "counters": {k: {"value": v} for k, v in c.items()}} for s, c in draws.items()
        ]
    return out | more


def _attribute(value: Any) -> Tree:
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, int):
        return {"int": value}
    return {"version": value[1:]} if value.startswith("v") and "." in value else {"string": value}


def slice_(name: str, *devices: Tree, pool: str = "", count: int = 1, generation: int = 1, **more: Any) -> Any:
    """more: nodeName and the like; for all nodes when nothing is said. pool: the slice's own by default."""
    where = more if any(k in more for k in ("nodeName", "nodeSelector", "perDeviceNodeSelection")) else {}
    spec = {
        "driver": more.pop("driver", DRIVER),
        "pool": {"name": pool or name, "generation": generation, "resourceSliceCount": count},
        "devices": list(devices),
        **({} if where else {"allNodes": True}),
        **more,
    }
    return from_tree(SLICE, {"metadata": {"name": name}, "spec": spec})


def class_(name: str = "any", *expressions: str, **more: Any) -> Any:
    spec = {"selectors": [{"cel": {"expression": e}} for e in expressions], **more}
    return from_tree(CLASS, {"metadata": {"name": name}, "spec": spec})


def rule(name: str, taint: Tree, **selector: str) -> Any:
    spec = {"taint": taint, **({"deviceSelector": selector} if selector else {})}
    return from_tree(RULE, {"metadata": {"name": name}, "spec": spec})


def exactly(name: str = "r", cls: str = "any", count: int | None = 1, **more: Any) -> Tree:
    """count None: all devices."""
    asked: Tree = {"deviceClassName": cls, "allocationMode": "All" if count is None else "ExactCount", **more}
    if count is not None:
        asked["count"] = count
    if expression := asked.pop("cel", ""):
        asked["selectors"] = [{"cel": {"expression": expression}}]
    return {"name": name, "exactly": asked}


def first(name: str, *asked: Tree) -> Tree:
    return {"name": name, "firstAvailable": [{"name": a["name"], **a["exactly"]} for a in asked]}


def claim(name: str, *requests: Tree, **more: Any) -> Any:
    """more: constraints, config; allocation, reserved (uids), and what metadata has."""
    devices = {"requests": list(requests), **{k: more.pop(k) for k in ("constraints", "config") if k in more}}
    status: Tree = {}
    if allocation := more.pop("allocation", None):
        status["allocation"] = allocation
    if devices_status := more.pop("devices", None):
        status["devices"] = devices_status
    if reserved := more.pop("reserved", ()):
        status["reservedFor"] = [{"resource": "pods", "name": uid.removeprefix("uid-"), "uid": uid} for uid in reserved]
    meta = {"name": name, "namespace": "default", "uid": f"uid-claim-{name}", "resourceVersion": "1", **more}
    return from_tree(CLAIM, {"metadata": meta, "spec": {"devices": devices}, "status": status})


def given(*devices: str, **more: Any) -> Tree:
    """An allocation of ``pool/device``. more: nodeSelector, or of each result."""
    selector = {"nodeSelector": more.pop("nodeSelector")} if "nodeSelector" in more else {}
    stamp = {"allocationTimestamp": more.pop("at")} if "at" in more else {}
    results = []
    for i, text in enumerate(devices):
        pool, _, name = text.partition("/")
        results.append({"request": "r", "driver": DRIVER, "pool": pool, "device": name, **more})
        if "consumedCapacity" in more:
            results[-1]["shareID"] = f"00000000-0000-4000-8000-00000000000{i}"
    return {"devices": {"results": results}, **selector, **stamp}


def node(name: str = "n1", **labels: str) -> Any:
    return from_tree(NODE, {"metadata": {"name": name, "labels": labels}})


def inventory(*objects: Any) -> Inventory:
    out = Inventory()
    takes = {"DeviceClass": out.set_class, "ResourceSlice": out.set_slice, "DeviceTaintRule": out.set_rule}
    for obj in objects:
        if obj.kind == "ResourceClaim":
            out.set_claim((obj.metadata.namespace, obj.metadata.name), obj)
        else:
            takes[obj.kind](obj.metadata.name, obj)
    return out


def allocate(stock: Inventory, *claims: Any, on: Any = None) -> Any:
    """[[request=pool/device]] by claim, None, or a text. Raises AllocationFailure."""
    where = on if on is not None else node()
    found = stock.answer(Problem(claims, stock.classes, stock.classes_version), where)
    if not isinstance(found, Found):
        return found
    return [[f"{p.ask.name}={p.unit.id[1]}/{p.unit.id[2]}" for p in picks] for picks in found.picks]


def granted(stock: Inventory, *claims: Any, on: Any = None) -> Any:
    """The allocations."""
    where = on if on is not None else node()
    problem = Problem(claims, stock.classes, stock.classes_version)
    found = stock.answer(problem, where)
    assert isinstance(found, Found)
    return grants(problem, found, where.metadata.name, lambda: "share")
