"""What each verb does to an object: the stored object and the request in, the new object out. Pure.

``create`` and ``update`` work on a ``Write``, whose tree they change in place, in upstream's order: normal form and
defaults (``incoming``), managedFields, mutating admission (passed in), system fields, strategy, validation. They return
what to store; nothing here waits or writes. Ids and times come in. ``deletion`` has the third verb.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from pelamis.api import codec, metavalidate
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import ManagedFieldsEntry, ObjectMeta
from pelamis.apiserver.incoming import OWNERS, has_parts, metadata_of, normal
from pelamis.apiserver.ownership import own
from pelamis.apiserver.write import Write
from pelamis.base import ids
from pelamis.base import tree as trees
from pelamis.base.clock import rfc3339
from pelamis.base.errors import (
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    StatusError,
)

_META = frozenset(("metadata", OWNERS))
_NOT_SPEC = frozenset(("kind", "apiVersion", "metadata", "status"))
Step = Callable[[Write], None]


@dataclass(slots=True)
class Result:
    """obj: the struct; value: its stored bytes. remove: delete the key. keep: nothing needs to be written."""

    obj: Any
    value: bytes
    remove: bool = False
    keep: bool = False
    created: bool = False


def _nothing(write: Write) -> None:
    return None


# -- create -----------------------------------------------------------------------------------------------------------


def create(
    write: Write, entropy: Callable[[int], bytes], mutate: Step = _nothing, *, normalised: bool = False
) -> Result:
    """The object to create. ``mutate``: mutating admission."""
    hub = write.hub
    write.operation = "CREATE"
    if not normalised:
        normal(write)
    tree = write.tree
    meta = metadata_of(tree, hub)
    if meta.get("resourceVersion"):
        write.refusal = StatusError(500, "", "resourceVersion should not be set on objects to be created")
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = ids.generate_name(meta["generateName"], entropy(8))
        write.generated = True
    elif not meta.get("name") and hub.names_itself:
        meta["name"] = ids.uid(entropy(16))
    write.name = meta.setdefault("name", "") or ""
    if not normalised and (write.patch is None or write.patch.type != "apply"):
        own(write, None, (*hub.reset, *hub.unowned))
    mutate(write)
    return finish_create(write, entropy)


def finish_create(write: Write, entropy: Callable[[int], bytes]) -> Result:
    """After admission: system fields, strategy, validation."""
    hub = write.hub
    tree = write.tree
    meta = metadata_of(tree, hub)
    for name in ("selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generation"):
        meta.pop(name, None)
    meta["uid"] = ids.uid(entropy(16))
    meta["creationTimestamp"] = rfc3339(write.now)
    if hub.generation:
        meta["generation"] = 1
    for path in hub.reset:
        trees.delete(tree, path)
    hub.prepare_create(tree)
    tree["kind"], tree["apiVersion"] = hub.kind, hub.api_version
    obj = codec.from_tree(hub, tree)
    errors = metavalidate.validate_create(obj.metadata, hub.namespaced, hub.validate_name)
    if obj.metadata.finalizers:
        errors.extend(_finalizers(hub, obj))
    if not _has_own_rules(write):
        errors.extend(hub.validate(obj))
    else:
        errors.extend(write.kind.validate(_as_asked(write, obj)))
    if errors:
        raise Invalid(hub.kind, hub.group, obj.metadata.name, errors)
    _warn(write, hub, obj)
    return Result(obj, codec.stored(hub, obj), created=True)


def _finalizers(kind: Kind, obj: Any) -> list[FieldError]:
    """Those of most built-in kinds need a domain."""
    if kind.prune is not None or kind.group in ("apiextensions.k8s.io", "apiregistration.k8s.io"):
        return []
    return metavalidate.validate_known_finalizers(obj.metadata.finalizers, "metadata.finalizers")


def rename(write: Write, result: Result, entropy: Callable[[int], bytes]) -> Result:
    """The same object under another generated name, after the first one turned out to be taken."""
    meta = write.tree["metadata"]
    meta["name"] = write.name = ids.generate_name(meta["generateName"], entropy(8))
    obj = codec.from_tree(write.hub, write.tree)
    return Result(obj, codec.stored(write.hub, obj), created=True)


@dataclass(slots=True)
class Made:
    """What a write of a model became. warnings, audit: what was said until then, before anything validated it."""

    write: Write
    result: Result
    warnings: tuple[str, ...]
    audit: dict[str, str]


def alike(write: Write, other: Write) -> bool:
    """Whether they are to create the same, but for a name that the server makes, in the same state of the cluster."""
    return (
        write.model is other.model
        and write.user is other.user
        and write.namespace == other.namespace
        and write.user_agent == other.user_agent
        and write.options is other.options
    )


def another(write: Write, made: Made, entropy: Callable[[int], bytes]) -> Result:
    """One more of what has just been made."""
    other, result = made.write, made.result
    old = result.obj.metadata
    name, uid = ids.generate_name(old.generateName, entropy(8)), ids.uid(entropy(16))
    obj = replace(result.obj, metadata=replace(old, name=name, uid=uid))
    write.tree = {**other.tree, "metadata": {**other.tree["metadata"], "name": name, "uid": uid}}
    write.operation, write.name, write.now, write.generated = "CREATE", name, other.now, True
    write.warnings.extend(made.warnings)
    write.audit.update(made.audit)
    return Result(obj, codec.stored(write.hub, obj), created=True)


def _has_own_rules(write: Write) -> bool:
    """A custom resource is held to the schema of the version that the client writes; so are some built-in kinds."""
    return write.kind is not write.hub and (write.hub.prune is not None or write.kind.own_rules)


def _as_asked(write: Write, obj: Any) -> Any:
    """In the version that the client writes."""
    return codec.decode(write.kind, codec.to_version(write.kind, codec.encode(obj)))


def _warn(write: Write, kind: Kind, obj: Any) -> None:
    if kind.warnings is not None:
        write.warnings.extend(kind.warnings(obj))


# -- update -----------------------------------------------------------------------------------------------------------


def update(write: Write, mutate: Step = _nothing, *, normalised: bool = False) -> Result:
    """The object that replaces ``write.old``."""
    hub = write.hub
    old = write.old
    assert old is not None
    write.operation = "UPDATE"
    if not normalised:
        normal(write)
    tree = write.tree
    check_revision(write, metadata_of(tree, hub))
    if write.patch is None or write.patch.type != "apply":
        own(write, write.old_tree, ignored(write))
    mutate(write)
    return finish_update(write)


def ignored(write: Write) -> tuple[str, ...]:
    """What this write makes nobody the owner of."""
    return write.resets if write.subresource else (*write.hub.reset, *write.hub.unowned)


def check_revision(write: Write, meta: Tree) -> None:
    """The resourceVersion and uid that the client believes in, if it says so; revision 0 says nothing."""
    old = write.old
    assert old is not None
    hub = write.kind
    rev = meta.pop("resourceVersion", None) or ""
    if rev and rev != "0":
        write.rev_given = True
        if rev != str(old.rev):
            raise Conflict(hub.plural, hub.group, write.name)
    elif write.verb == "update" and not hub.unconditional_update and not write.subresource:
        raise Invalid(
            hub.kind,
            hub.group,
            write.name,
            [FieldError("FieldValueInvalid", "metadata.resourceVersion", "must be specified for an update", 0)],
        )
    uid = meta.get("uid")
    have = write.old_tree["metadata"].get("uid")
    if uid and uid != have and write.verb == "update":
        why = (
            f"StorageError: invalid object, Code: 4, Key: {hub.key(write.namespace, write.name)}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {have}"
        )
        raise Conflict(hub.plural, hub.group, write.name, why)


def finish_update(write: Write) -> Result:
    """After admission: system fields, strategy, validation."""
    hub = write.hub
    old = write.old
    assert old is not None
    tree = write.tree
    before = write.old_tree
    meta = metadata_of(tree, hub)
    old_meta = before["metadata"]
    for name in ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "uid"):
        if name in ("uid", "creationTimestamp") and meta.get(name):
            continue
        if name in old_meta:
            meta[name] = old_meta[name]
        else:
            meta.pop(name, None)
    meta.pop("selfLink", None)
    owners = meta.get("managedFields")
    for path in write.resets:
        if trees.get(tree, path) != trees.get(before, path) or hub.type is codec.Custom:
            trees.keep(tree, before, path)
    if owners is not None and tree["metadata"] is not meta:  # the whole metadata is kept, but for who owns the fields
        meta = tree["metadata"] = {**tree["metadata"], "managedFields": owners}
    if not write.subresource:
        hub.prepare_update(tree, before)
    elif write.subresource == "status":
        hub.prepare_status(tree, before)
    if write.subresource != "status" and hub.generation and _spec_differs(tree, before):
        meta["generation"] = old_meta.get("generation", 0) + 1
    tree["kind"], tree["apiVersion"] = hub.kind, hub.api_version
    kept = _kept(write, old.obj, tree, before) if has_parts(hub) else {}
    obj = codec.from_trees(hub, tree, old.obj, kept) if kept else codec.from_tree(hub, tree)
    if "metadata" in kept:
        return concluded(write, obj, check_owners(obj.metadata))
    errors = metavalidate.validate_update(obj.metadata, old.obj.metadata)
    if obj.metadata.finalizers:
        errors.extend(_finalizers(hub, obj))
    return concluded(write, obj, errors)


def check_owners(metadata: ObjectMeta) -> list[FieldError]:
    """Of metadata that has been checked before, but for managedFields."""
    return metavalidate.validate_managed_fields(metadata.managedFields, f"metadata.{OWNERS}")


def concluded(write: Write, obj: Any, errors: list[FieldError]) -> Result:
    """The struct is complete: the kind's own rules, and what is to be stored. errors: of the metadata."""
    hub = write.hub
    old = write.old
    assert old is not None
    kind, new, was = hub, obj, old.obj
    if _has_own_rules(write):
        kind, new, was = write.kind, _as_asked(write, obj), _as_asked(write, old.obj)
    if write.subresource == "status":
        errors.extend(kind.validate_status_update(new, was))
    else:
        errors.extend(kind.validate_update(new, was))
    if errors:
        raise Invalid(hub.kind, hub.group, write.name, errors)
    if hub.update_warnings is not None:
        if obj.metadata.generation != old.obj.metadata.generation and not write.subresource:
            write.warnings.extend(hub.update_warnings(obj))
    elif hub.warns_on_update and not write.subresource:
        _warn(write, hub, obj)
    return settle(write, obj)


def _kept(write: Write, old: Any, tree: Tree, before: Tree) -> dict[str, Any]:
    """The structs of what is as it is stored. Of the metadata too, where nothing but managedFields differs."""
    out = {k: getattr(old, k) for k in write.untouched if k not in _META and k in tree and tree[k] == before.get(k)}
    meta, old_meta = tree["metadata"], before["metadata"]
    owners, before_owners = meta.get(OWNERS, ()), old_meta.get(OWNERS, ())
    if len(meta) - bool(owners) != len(old_meta) - bool(before_owners):
        return out
    for name, value in meta.items():
        if name != OWNERS and (name not in old_meta or old_meta[name] != value):
            return out
    for entry in owners:
        if type(entry) is not ManagedFieldsEntry:
            return out
    out["metadata"] = replace(old.metadata, resourceVersion="", managedFields=tuple(owners))
    return out


def _spec_differs(tree: Tree, before: Tree) -> bool:
    return any(tree.get(k) != before.get(k) for k in {*tree, *before} if k not in _NOT_SPEC)


def settle(write: Write, obj: Any) -> Result:
    """Nothing to write when nothing changed; a deletion when the last finalizer of a deleted object went."""
    hub = write.hub
    assert write.old is not None
    if goes_away(hub, obj, write.old.obj):
        return Result(obj, codec.stored(hub, obj), remove=True)
    value = codec.stored(hub, obj)
    same = codec.served(hub, value, write.old.rev) == write.old.data
    return Result(obj, value, keep=same)


def goes_away(kind: Kind, obj: Any, old: Any) -> bool:
    meta = obj.metadata
    if meta.deletionTimestamp is None or meta.finalizers or old.metadata.deletionTimestamp is None:
        return False
    if kind.plural == "namespaces" and not kind.group:
        return not obj.spec.finalizers
    return not meta.deletionGracePeriodSeconds and bool(old.metadata.finalizers)


def absent(kind: Kind, name: str) -> StatusError:
    return NotFound(kind.plural, kind.group, name)
