"""Who owns what: controller references, adoption and release, and which objects a label selector means. Pure.

A controller owns the objects that name it in a controller owner reference. It adopts orphans that its selector matches
and releases own objects that the selector no longer matches, by a patch that carries the object's uid, so that a
namesake created meanwhile is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pelamis.api.kind import Kind
from pelamis.api.meta import LabelSelector, ObjectMeta, OwnerReference
from pelamis.base.labels import SelectorError, from_label_selector
from pelamis.client.types import Action, Key, Patch
from pelamis.reconcile.spec import Views


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """None selects nothing, an empty selector everything; a broken one (refused by validation) nothing."""
    try:
        return from_label_selector(selector).matches(labels)
    except SelectorError:
        return False


def selection(selector: LabelSelector | None) -> Callable[[Mapping[str, str]], bool]:
    """``selects`` for many labels: the selector is looked at once."""
    try:
        return from_label_selector(selector).matches
    except SelectorError:
        return lambda labels: False


def is_empty(selector: LabelSelector | None) -> bool:
    """True for the selector that selects everything."""
    return selector is not None and not selector.matchLabels and not selector.matchExpressions


def subset(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a plain map selector (Service, ReplicationController) matches; an empty one matches everything."""
    return all(labels.get(k) == v for k, v in wanted.items())


def controller_of(obj: Any) -> OwnerReference | None:
    meta: ObjectMeta = obj.metadata
    for ref in meta.ownerReferences:
        if ref.controller:
            return ref
    return None


def is_controlled_by(obj: Any, owner: Any) -> bool:
    ref = controller_of(obj)
    return ref is not None and ref.uid == owner.metadata.uid


def owner_reference(owner: Any, kind: Kind, *, controller: bool = True) -> OwnerReference:
    return OwnerReference(
        apiVersion=kind.api_version,
        kind=kind.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=controller,
        blockOwnerDeletion=True,
    )


def adoption(kind: Kind, obj: Any, owner: Any, owner_kind: Kind, finalizers: Sequence[str] = ()) -> Patch:
    ref = owner_reference(owner, owner_kind)
    meta: dict[str, Any] = {
        "uid": obj.metadata.uid,
        "ownerReferences": [
            {
                "apiVersion": ref.apiVersion,
                "kind": ref.kind,
                "name": ref.name,
                "uid": ref.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    if finalizers:
        meta["finalizers"] = list(finalizers)
    return Patch(kind, obj.metadata.namespace, obj.metadata.name, {"metadata": meta}, "strategic")


def release(kind: Kind, obj: Any, owner: Any, finalizers: Sequence[str] = ()) -> Patch:
    """finalizers: those to be taken off together with the reference."""
    meta: dict[str, Any] = {
        "uid": obj.metadata.uid,
        "ownerReferences": [{"$patch": "delete", "uid": owner.metadata.uid}],
    }
    if finalizers:
        meta["$deleteFromPrimitiveList/finalizers"] = list(finalizers)
    return Patch(kind, obj.metadata.namespace, obj.metadata.name, {"metadata": meta}, "strategic")


def claim(
    kind: Kind,
    objects: Iterable[Any],
    owner: Any,
    owner_kind: Kind,
    matches: Any,
    *,
    finalizers: Sequence[str] = (),
) -> tuple[list[Any], list[Action]]:
    """The objects that belong to ``owner`` (those adopted now included), and the patches that make it so.

    matches(labels) is the owner's selector.
    """
    owned: list[Any] = []
    actions: list[Action] = []
    deleting = owner.metadata.deletionTimestamp is not None
    for obj in objects:
        ref = controller_of(obj)
        if ref is not None:
            if ref.uid != owner.metadata.uid:
                continue
            if matches(obj.metadata.labels):
                owned.append(obj)
            elif not deleting:
                actions.append(release(kind, obj, owner, finalizers))
        elif not deleting and obj.metadata.deletionTimestamp is None and matches(obj.metadata.labels):
            actions.append(adoption(kind, obj, owner, owner_kind, finalizers))
            owned.append(obj)
    return owned, actions


def candidates(views: Views, kind: Kind, owner: Any, matches: Any) -> list[Any]:
    """What ``claim`` has to look at: the owner's own objects and matching orphans of its namespace."""
    view = views(kind)
    found = list(view.by_index("owner", owner.metadata.uid))
    for obj in view.by_index("owner", f"/{owner.metadata.namespace}"):
        if matches(obj.metadata.labels):
            found.append(obj)
    return found


def owner_keys(owner_kind: Kind, matches: Any) -> Any:
    """For Watch: the owners of kind ``owner_kind`` that a change of a dependent concerns.

    matches(owner, labels): whether an owner would adopt an orphan with these labels.
    """

    def keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
        out: dict[Key, None] = {}
        for obj in (old, new):
            ref = controller_of(obj) if obj is not None else None
            if ref is not None and ref.kind == owner_kind.kind and _group(ref.apiVersion) == owner_kind.group:
                out[(obj.metadata.namespace, ref.name)] = None
        if new is not None and controller_of(new) is None:
            changed = old is None or old.metadata.labels != new.metadata.labels or controller_of(old) is not None
            if changed:
                meta = new.metadata
                for owner in views(owner_kind).list(meta.namespace):
                    if matches(owner, meta.labels):
                        out[(meta.namespace, owner.metadata.name)] = None
        return tuple(out)

    return keys


def _group(api_version: str) -> str:
    return api_version.partition("/")[0] if "/" in api_version else ""
