"""A finalizer that keeps an object while it is used: put on every one, taken off one that is going and unused."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pelamis.api.kind import Kind
from pelamis.client.types import Update
from pelamis.reconcile.plan import NOTHING, Plan


def protect(kind: Kind, obj: Any, finalizer: str, used: bool) -> Plan:
    meta = obj.metadata
    held = finalizer in meta.finalizers
    if meta.deletionTimestamp is None and not held:
        finalizers = (*meta.finalizers, finalizer)
    elif meta.deletionTimestamp is not None and held and not used:
        finalizers = tuple(f for f in meta.finalizers if f != finalizer)
    else:
        return NOTHING
    return Plan(actions=(Update(kind, replace(obj, metadata=replace(meta, finalizers=finalizers))),))
