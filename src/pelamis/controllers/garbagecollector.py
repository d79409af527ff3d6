"""Garbage collector: deletes what has lost its owners, and carries out foreground and orphaning deletion.

Objects name their owners in ``metadata.ownerReferences``. The graph of who depends on whom is kept from the views of
all kinds, custom ones included: only objects that have owners are in it. A key is one object: ("group/version/plural",
"namespace/name").

- *Background*: an object whose owners are all gone is deleted. An owner counts as gone only when its view has reached
  the revision of the dependent, so that a view that lags can never make an existing owner look absent.
- *Foreground*: an owner with the finalizer ``foregroundDeletion`` waits until the dependents that block it are gone.
- *Orphan*: an owner with the finalizer ``orphan`` is taken out of its dependents first.

References to owners that are gone, beside owners that exist, are taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta, OwnerReference
from pelamis.client.types import Action, Delete, Key, Patch
from pelamis.reconcile import changes
from pelamis.reconcile.plan import NOTHING, EventNote, Plan
from pelamis.reconcile.spec import Controller, Views

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})


@dataclass(frozen=True, slots=True)
class Owner:
    """state: solid, gone, waiting (it is being deleted in the foreground), unknown (its kind is not served), or
    foreign (a namespaced owner of a cluster-scoped object: such a reference is a mistake and is left alone)."""

    ref: OwnerReference
    state: str
    obj: Any = None


@dataclass(frozen=True, slots=True)
class World:
    """dependents: objects that name this one as an owner. behind: views to wait for before an owner counts as gone."""

    kind: Kind
    obj: Any
    owners: Sequence[Owner]
    dependents: Sequence[tuple[Kind, Any]]
    behind: Sequence[tuple[Kind, int]]


def reconcile(world: World, now: float) -> Plan:
    obj = world.obj
    meta = obj.metadata
    if meta.deletionTimestamp is not None:
        if ORPHAN in meta.finalizers:
            return _orphan(world)
        if FOREGROUND in meta.finalizers:
            return _foreground(world)
        return NOTHING
    if not world.owners:
        return NOTHING
    foreign = [o for o in world.owners if o.state == "foreign"]
    events = tuple(
        EventNote(
            obj,
            "Warning",
            "OwnerRefInvalidNamespace",
            f"ownerRef [{o.ref.apiVersion}/{o.ref.kind}, namespace: {meta.namespace}, name: {o.ref.name}, "
            f'uid: {o.ref.uid}] does not exist in namespace "{meta.namespace}"',
        )
        for o in foreign
    )
    if foreign or any(o.state == "unknown" for o in world.owners):
        return Plan(events=events)
    if world.behind:
        return Plan(wait=world.behind)
    solid = [o for o in world.owners if o.state == "solid"]
    waiting = [o for o in world.owners if o.state == "waiting"]
    drop = [o.ref.uid for o in world.owners if o.state in ("gone", "waiting")]
    if solid:
        return Plan(actions=(_without(world.kind, obj, drop),)) if drop else NOTHING
    if waiting and world.dependents:
        actions: list[Action] = []
        # an owner and a dependent in the foreground that wait for each other would wait for ever
        if any(_in_foreground(d) for _, d in world.dependents):
            unblocked = _unblocked(world.kind, obj)
            if unblocked is not None:
                actions.append(unblocked)
        return Plan(actions=(*actions, _delete(world, "Foreground")))
    if ORPHAN in meta.finalizers:
        return Plan(actions=(_delete(world, "Orphan"),))
    if FOREGROUND in meta.finalizers:
        return Plan(actions=(_delete(world, "Foreground"),))
    return Plan(actions=(_delete(world, "Background"),))


def _in_foreground(obj: Any) -> bool:
    return obj.metadata.deletionTimestamp is not None and FOREGROUND in obj.metadata.finalizers


def _delete(world: World, propagation: Any) -> Delete:
    meta = world.obj.metadata
    return Delete(
        world.kind, meta.namespace, meta.name, uid=meta.uid, rev=meta.resourceVersion, propagation=propagation
    )


def _foreground(world: World) -> Plan:
    uid = world.obj.metadata.uid
    blocking = [
        (kind, d)
        for kind, d in world.dependents
        if any(r.uid == uid and r.blockOwnerDeletion for r in d.metadata.ownerReferences)
    ]
    if not blocking and not world.behind:
        return Plan(actions=(_without_finalizer(world, FOREGROUND),))
    # the dependents' own keys are woken when the owner starts waiting; each of them decides for itself
    return Plan(wait=world.behind) if not blocking else NOTHING


def _orphan(world: World) -> Plan:
    if world.behind:
        return Plan(wait=world.behind)
    uid = world.obj.metadata.uid
    actions = tuple(_without(kind, d, [uid]) for kind, d in world.dependents)
    return Plan(actions=actions, then=(_without_finalizer(world, ORPHAN),))


def _without(kind: Kind, obj: Any, uids: Sequence[str]) -> Patch:
    """Takes owners out, unless the object has changed meanwhile."""
    meta = obj.metadata
    refs = [_ref_tree(r) for r in meta.ownerReferences if r.uid not in uids]
    body = {"metadata": {"uid": meta.uid, "ownerReferences": refs or None}}
    return Patch(kind, meta.namespace, meta.name, body, "merge", rev=meta.resourceVersion)


def _unblocked(kind: Kind, obj: Any) -> Patch | None:
    meta = obj.metadata
    if not any(r.blockOwnerDeletion for r in meta.ownerReferences):
        return None
    refs = [{**_ref_tree(r), "blockOwnerDeletion": False} for r in meta.ownerReferences]
    body = {"metadata": {"uid": meta.uid, "ownerReferences": refs}}
    return Patch(kind, meta.namespace, meta.name, body, "merge")


def _ref_tree(ref: OwnerReference) -> dict[str, Any]:
    tree: dict[str, Any] = {"apiVersion": ref.apiVersion, "kind": ref.kind, "name": ref.name, "uid": ref.uid}
    if ref.controller is not None:
        tree["controller"] = ref.controller
    if ref.blockOwnerDeletion is not None:
        tree["blockOwnerDeletion"] = ref.blockOwnerDeletion
    return tree


def _without_finalizer(world: World, name: str) -> Patch:
    meta = world.obj.metadata
    left = [f for f in meta.finalizers if f != name]
    body = {"metadata": {"uid": meta.uid, "finalizers": left or None}}
    return Patch(world.kind, meta.namespace, meta.name, body, "merge", rev=meta.resourceVersion)


def _name(kind: Kind) -> str:
    return f"{kind.group}/{kind.version}/{kind.plural}"


def _key(kind: Kind, obj: Any) -> Key:
    return (_name(kind), f"{obj.metadata.namespace}/{obj.metadata.name}")


Node = tuple[Kind, str, str]


@dataclass(slots=True)
class Graph:
    """Who depends on which uid; objects without owners are not in it."""

    dependents: dict[str, dict[Node, None]] = field(default_factory=dict)

    def change(self, kind: Kind, old: Any, new: Any) -> None:
        obj = new if new is not None else old
        node = (kind, obj.metadata.namespace, obj.metadata.name)
        before = {r.uid for r in old.metadata.ownerReferences} if old is not None else set()
        after = {r.uid for r in new.metadata.ownerReferences} if new is not None else set()
        for uid in before - after:
            members = self.dependents.get(uid)
            if members is not None:
                members.pop(node, None)
                if not members:
                    del self.dependents[uid]
        for uid in after - before:
            self.dependents.setdefault(uid, {})[node] = None

    def of(self, uid: str) -> Sequence[Node]:
        return tuple(self.dependents.get(uid, ()))


@dataclass(slots=True)
class Names:
    """The served kinds by name, for as long as the set of kinds stays the same."""

    kinds: Sequence[Kind] = ()
    by_key: dict[str, Kind] = field(default_factory=dict)
    by_kind: dict[tuple[str, str], Kind] = field(default_factory=dict)

    def of(self, views: Views) -> Names:
        kinds = views.every()
        if kinds is not self.kinds:
            self.kinds = kinds
            self.by_key = {_name(k): k for k in kinds}
            self.by_kind = {(k.group, k.kind): k for k in kinds}
        return self

    def owner(self, ref: OwnerReference) -> Kind | None:
        group = ref.apiVersion.partition("/")[0] if "/" in ref.apiVersion else ""
        return self.by_kind.get((group, ref.kind))


def controller() -> Controller:
    """A garbage collector with a graph of its own."""
    graph = Graph()
    names = Names()

    def all_there(views: Views, kind: Kind, meta: ObjectMeta) -> bool:
        """Whether every owner exists and stays: then nothing is to be done until one of them changes."""
        for ref in meta.ownerReferences:
            owner_kind = names.of(views).owner(ref)
            if owner_kind is None or (owner_kind.namespaced and not kind.namespaced):
                return False
            owner = views(owner_kind).get(meta.namespace if owner_kind.namespaced else "", ref.name)
            if owner is None or owner.metadata.uid != ref.uid or _in_foreground(owner):
                return False
        return True

    def every(views: Views, kind: Kind, old: Any, new: Any) -> Sequence[Key]:
        if (kind.group, kind.plural) in IGNORED:
            return ()
        graph.change(kind, old, new)
        keys: dict[Key, None] = {}
        obj = new if new is not None else old
        meta = obj.metadata
        if new is not None:
            doomed = meta.deletionTimestamp is not None and (FOREGROUND in meta.finalizers or ORPHAN in meta.finalizers)
            fresh = old is None or old.metadata.ownerReferences != meta.ownerReferences
            if doomed or (meta.ownerReferences and fresh and not all_there(views, kind, meta)):
                keys[_key(kind, new)] = None
        else:
            doomed = False
        begins = doomed and (old is None or old.metadata.deletionTimestamp is None)
        if new is None or begins or (doomed and old is not None and old.metadata.finalizers != meta.finalizers):
            for other, namespace, name in graph.of(meta.uid):
                keys[(_name(other), f"{namespace}/{name}")] = None
        if old is not None and (new is None or old.metadata.ownerReferences != meta.ownerReferences):
            # what an owner in the foreground waits for may have gone
            for ref in old.metadata.ownerReferences:
                owner_kind = names.of(views).owner(ref)
                if owner_kind is not None:
                    namespace = old.metadata.namespace if owner_kind.namespaced else ""
                    keys[(_name(owner_kind), f"{namespace}/{ref.name}")] = None
        return tuple(keys)

    def gather(views: Views, key: Key) -> World | None:
        kind = names.of(views).by_key.get(key[0])
        if kind is None:
            return None
        namespace, _, name = key[1].partition("/")
        obj = views(kind).get(namespace, name)
        if obj is None:
            return None
        meta = obj.metadata
        since = int(meta.resourceVersion or 0)
        owners: list[Owner] = []
        behind: list[tuple[Kind, int]] = []
        for ref in meta.ownerReferences:
            owner_kind = names.of(views).owner(ref)
            if owner_kind is None:
                owners.append(Owner(ref, "unknown"))
                continue
            if owner_kind.namespaced and kind.namespaced is False:
                owners.append(Owner(ref, "foreign"))
                continue
            view = views(owner_kind)
            owner = view.get(namespace if owner_kind.namespaced else "", ref.name)
            if owner is not None and owner.metadata.uid == ref.uid:
                owners.append(Owner(ref, "waiting" if _in_foreground(owner) else "solid", owner))
                continue
            if view.revision < since:
                behind.append((owner_kind, since))
            owners.append(Owner(ref, "gone"))
        dependents: list[tuple[Kind, Any]] = []
        if meta.deletionTimestamp is not None or any(o.state == "waiting" for o in owners):
            for other, where, what in graph.of(meta.uid):
                dependent = views(other).get(where, what)
                if dependent is not None:
                    dependents.append((other, dependent))
            if meta.deletionTimestamp is not None:
                # a dependent that a view does not show yet must not be forgotten
                behind.extend((k, since) for k in views.every() if views(k).revision < since)
        return World(kind, obj, owners, dependents, behind)

    return Controller(
        name="garbagecollector",
        identity="generic-garbage-collector",
        component="garbage-collector-controller",
        watches=(),
        every=every,
        every_needs=lambda kind: (changes.ADDED | changes.DELETED | changes.OWNERS | changes.DYING,),
        gather=gather,
        reconcile=reconcile,
    )
