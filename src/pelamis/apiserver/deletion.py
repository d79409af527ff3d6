"""What a deletion does: preconditions, grace, finalizers and the policy for dependents. Pure."""

from __future__ import annotations

from typing import Any

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Write
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.base.errors import Conflict

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
DEFINITION_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_GC_FINALIZERS = frozenset((ORPHAN, FOREGROUND))


def delete(write: Write) -> Result:
    """What a deletion does now: remove the object, or mark it and leave it to those who must act first."""
    hub = write.hub
    old = write.old
    assert old is not None
    obj = old.obj
    check_preconditions(write)
    if hub.plural == "namespaces" and not hub.group:
        return _delete_namespace(write)
    if hub.resource == "customresourcedefinitions.apiextensions.k8s.io" and obj.metadata.deletionTimestamp is None:
        return _delete_definition(write)
    opts = write.deletion
    tree = write.old_tree
    meta = tree["metadata"]
    graceful, pending, grace = _graceful(write, obj)
    if pending:
        return Result(obj, b"", keep=True)
    finalizers = gc_finalizers(hub, obj.metadata.finalizers, opts.propagation, opts.orphan)
    changed = set(finalizers) != set(obj.metadata.finalizers)
    if not graceful and not finalizers and not changed:
        return Result(obj, b"", remove=True)
    if changed or finalizers:
        if finalizers:
            meta["finalizers"] = finalizers
        else:
            meta.pop("finalizers", None)
    if not graceful and not finalizers:
        return Result(obj, b"", remove=True)
    if graceful:
        if not grace and not finalizers:
            return Result(obj, b"", remove=True)
        _mark_graceful(meta, write.now, grace)
    else:
        _mark_deleting(meta, write.now)
    new = codec.from_tree(hub, tree)
    value = codec.stored(hub, new)
    return Result(new, value, keep=codec.served(hub, value, old.rev) == old.data)


def check_preconditions(write: Write) -> None:
    opts = write.deletion
    old = write.old
    assert old is not None
    kind = write.kind
    uid = old.obj.metadata.uid if opts.uid else ""
    if opts.uid and opts.uid != uid:
        why = (
            f"the UID in the precondition ({opts.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated"
        )
        raise Conflict(kind.kind, kind.group, write.name, why)
    if opts.rev and opts.rev != str(old.rev):
        why = (
            f"the ResourceVersion in the precondition ({opts.rev}) does not match the ResourceVersion in record "
            f"({old.rev}). The object might have been modified"
        )
        raise Conflict(kind.kind, kind.group, write.name, why)


def _graceful(write: Write, obj: Any) -> tuple[bool, bool, int]:
    """(a grace period applies, a deletion is already under way and this one adds nothing, the seconds)."""
    hub = write.hub
    opts = write.deletion
    meta = obj.metadata
    wanted = opts.grace_s
    if wanted is not None and wanted < 0:
        wanted = 1
    if meta.deletionTimestamp is not None:
        current = meta.deletionGracePeriodSeconds
        if current is None:
            return False, False, 0
        if wanted is not None and wanted < current:
            return True, False, wanted
        # The finalizers of a deletion under way cannot be changed by another one.
        return False, True, current
    if hub.grace_period is None:
        return False, False, 0
    return True, False, hub.grace_period(obj, wanted)


def _mark_graceful(meta: Tree, now: float, grace_s: int) -> None:
    if meta.get("deletionTimestamp"):
        start = parse_rfc3339(meta["deletionTimestamp"]) - (meta.get("deletionGracePeriodSeconds") or 0)
        meta["deletionTimestamp"] = rfc3339(start + grace_s)
    else:
        meta["deletionTimestamp"] = rfc3339(now + grace_s)
        if meta.get("generation"):
            meta["generation"] += 1
    meta["deletionGracePeriodSeconds"] = grace_s


def _mark_deleting(meta: Tree, now: float) -> None:
    if meta.get("deletionGracePeriodSeconds") is None and meta.get("generation"):
        meta["generation"] += 1
    if not meta.get("deletionTimestamp") or parse_rfc3339(meta["deletionTimestamp"]) > now:
        meta["deletionTimestamp"] = rfc3339(now)
    meta["deletionGracePeriodSeconds"] = 0


def gc_finalizers(kind: Kind, have: tuple[str, ...], propagation: str, orphan: bool | None) -> list[str]:
    """The finalizers after a deletion with this policy: at most one of the garbage collector's two is among them."""
    kept = [f for f in have if f not in _GC_FINALIZERS]
    if kind.gc_policy == "Unsupported":
        return list(have)
    if orphan is not None:
        wanted = ORPHAN if orphan else ""
    elif propagation:
        wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(propagation, "")
    elif ORPHAN in have:
        wanted = ORPHAN
    elif FOREGROUND in have:
        wanted = FOREGROUND
    else:
        wanted = ORPHAN if kind.gc_policy == "OrphanDependents" else ""
    return [*kept, wanted] if wanted else kept


def _delete_definition(write: Write) -> Result:
    """A definition stays until the objects of its resource are gone."""
    tree = write.old_tree
    meta = tree["metadata"]
    finalizers = meta.setdefault("finalizers", [])
    if DEFINITION_CLEANUP not in finalizers:
        finalizers.append(DEFINITION_CLEANUP)
    meta["deletionTimestamp"] = rfc3339(write.now)
    conditions = tree.setdefault("status", {}).setdefault("conditions", [])
    conditions[:] = [c for c in conditions if c["type"] != "Terminating"]
    conditions.append(
        {
            "type": "Terminating",
            "status": "True",
            "lastTransitionTime": rfc3339(write.now),
            "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        }
    )
    new = codec.from_tree(write.hub, tree)
    return Result(new, codec.stored(write.hub, new))


def _delete_namespace(write: Write) -> Result:
    old = write.old
    assert old is not None
    tree = write.old_tree
    obj = old.obj
    if obj.metadata.deletionTimestamp is None:
        meta = tree["metadata"]
        finalizers = gc_finalizers(
            write.hub, obj.metadata.finalizers, write.deletion.propagation, write.deletion.orphan
        )
        if finalizers:
            meta["finalizers"] = finalizers
        else:
            meta.pop("finalizers", None)
        if not obj.spec.finalizers and not finalizers:
            return Result(obj, b"", remove=True)
        meta["deletionTimestamp"] = rfc3339(write.now)
        tree.setdefault("status", {})["phase"] = "Terminating"
        new = codec.from_tree(write.hub, tree)
        return Result(new, codec.stored(write.hub, new))
    if obj.spec.finalizers or obj.metadata.finalizers:
        return Result(obj, b"", keep=True)
    return Result(obj, b"", remove=True)


def status_tree(kind: Kind, name: str, uid: str) -> Tree:
    """The Status that answers a finished deletion."""
    details: Tree = {"name": name}
    if kind.group:
        details["group"] = kind.group
    details["kind"] = kind.plural
    if uid:
        details["uid"] = uid
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
