"""RuntimeClass: a pod gets the overhead of its class, and goes where the class runs."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.admission.tolerations import merged
from pelamis.apiserver.write import Objects, Write
from pelamis.base import quantity

_DIFFERS = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"


def _class_of(write: Write, name: str | None, objects: Objects) -> Any:
    if not name:
        return None
    found = objects.get("runtimeclasses.node.k8s.io", "", name)
    if found is None:
        raise write.forbid(f'pod rejected: RuntimeClass "{name}" not found')
    return found


def _same(a: dict[str, str], b: dict[str, str]) -> bool:
    return a.keys() == b.keys() and all(quantity.equal(a[n], b[n]) for n in a)


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    spec = write.tree.setdefault("spec", {})
    found = _class_of(write, spec.get("runtimeClassName"), objects)
    if found is None:
        return
    if found.overhead is not None:
        fixed = dict(found.overhead.podFixed)
        given = spec.get("overhead")
        if given and not _same(given, fixed):
            raise write.forbid(_DIFFERS)
        spec["overhead"] = fixed
    scheduling = found.scheduling
    if scheduling is None:
        return
    selector = spec.get("nodeSelector") or {}
    for key, value in scheduling.nodeSelector.items():
        own = selector.get(key, value)
        if own != value:
            raise write.forbid(
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
            )
    if scheduling.nodeSelector:
        spec["nodeSelector"] = {**selector, **scheduling.nodeSelector}
    if scheduling.tolerations:
        more = msgspec.json.decode(msgspec.json.encode(scheduling.tolerations))
        spec["tolerations"] = merged(spec.get("tolerations") or (), more)


def _validate(write: Write, obj: Any, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    found = _class_of(write, obj.spec.runtimeClassName, objects)
    if found is not None and found.overhead is not None:
        if not _same(obj.spec.overhead, found.overhead.podFixed):
            raise write.forbid(_DIFFERS)
    elif obj.spec.overhead:
        raise write.forbid("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")


PLUGIN = Plugin("RuntimeClass", frozenset(("pods",)), mutate=_mutate, validate=_validate)
