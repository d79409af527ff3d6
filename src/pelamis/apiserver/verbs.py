"""What each verb does to an object: the stored object and the request in, the new object out. Pure.

``create``, ``update`` and ``patched`` work on a ``Write`` (``deletion`` has the rest), whose tree they change in place,
in upstream's order: normal form and defaults, managedFields, mutating admission (passed in), system fields, strategy,
validation. They return what to store; nothing here waits or writes. Ids and times come in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from pelamis.api import codec, loosen, metavalidate
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import ManagedFieldsEntry, ObjectMeta
from pelamis.api.patchschema import schema
from pelamis.apiserver.ownership import converter, manager_of, own
from pelamis.apiserver.write import Patch, Write
from pelamis.base import gotext, ids, jsonpatch, mergepatch, smp, ssa
from pelamis.base import tree as trees
from pelamis.base.clock import rfc3339
from pelamis.base.errors import (
    BadRequest,
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    StatusError,
    TooLarge,
)

OWNERS = "managedFields"
_META = frozenset(("metadata", OWNERS))
_HEAD = frozenset(("kind", "apiVersion", "metadata"))
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


def report(write: Write, problems: list[str]) -> None:
    """Strict problems: an error, a warning each, or nothing, as fieldValidation says."""
    if not problems:
        return
    if write.options.validation == "Strict":
        raise codec.strict_error(write.kind, problems)
    if write.options.validation == "Warn":
        write.warnings.extend(problems)


def metadata_of(tree: Tree, kind: Kind) -> Tree:
    found = tree.get("metadata")
    if found is None:
        found = tree["metadata"] = {}
    if not isinstance(found, dict):
        raise BadRequest(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: metadata is not an object'
        )
    return found


def place(write: Write, tree: Tree) -> None:
    """The object's namespace and name must be those of the request."""
    meta = metadata_of(tree, write.kind)
    namespace = meta.get("namespace") or ""
    if namespace != write.namespace:
        if not write.kind.namespaced:
            meta.pop("namespace", None)
        elif not namespace:
            meta["namespace"] = write.namespace
        else:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    if write.name and write.operation == "UPDATE":
        check_name(write, meta.get("name") or "")


def check_name(write: Write, name: str) -> None:
    if not name:
        why = f"the name of the object ({write.name} based on URL) was undeterminable: name must be provided"
        raise BadRequest(why)
    if name != write.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({write.name})")


def _clean(kind: Kind, tree: Tree, untouched: tuple[str, ...]) -> list[str]:
    """``codec.clean`` of the members that may need it."""
    if not untouched:
        return codec.clean(kind, tree)
    kept = {name: tree.pop(name) for name in untouched if name != OWNERS}
    owners = None
    if OWNERS in untouched and "metadata" in tree:
        owners = tree["metadata"][OWNERS]
        tree["metadata"] = {k: v for k, v in tree["metadata"].items() if k != OWNERS}
    problems = codec.clean(kind, tree)
    tree.update(kept)
    if owners is not None:
        tree["metadata"][OWNERS] = owners
    return problems


def _has_parts(kind: Kind) -> bool:
    """What a write leaves as it is stored need not be looked at again: the struct of each member is there."""
    return kind.hub is None and kind.type is not codec.Custom


def _clean_patched(write: Write, patch: Patch) -> None:
    before = dict(write.tree)
    try:
        problems = _clean(write.kind, write.tree, write.untouched)
        report(write, [*patch.problems, *problems])
    except StatusError as error:
        if error.reason != "BadRequest":
            raise
        raise _undecodable(write, before, error) from None


def normal(write: Write) -> None:
    """Input tree to normal form with all defaults, in the stored version."""
    kind = write.kind
    tree = write.tree
    if not write.prepared:
        cleared = ssa.resets(tree)
        patch = write.patch
        if patch is None and write.old is not None and _has_parts(kind):
            problems, write.untouched = codec.clean_update(kind, tree, write.old.obj, write.old_tree, _resets(write))
            report(write, problems)
        elif patch is None or patch.type == "apply":
            report(write, _clean(kind, tree, write.untouched))
        else:
            _clean_patched(write, patch)
        if cleared:
            tree["metadata"]["managedFields"] = [{}]  # an empty list is a demand, and normal form drops it
    place(write, tree)
    kind.default(tree)
    if kind.hub is not None:
        codec.to_hub(kind, tree)
        codec.clean(kind.hub, tree)
        kind.hub.default(tree)


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
    return _resets(write) if write.subresource else (*write.hub.reset, *write.hub.unowned)


def _resets(write: Write) -> tuple[str, ...]:
    sub = write.hub.subresource(write.subresource) if write.subresource else None
    return sub.reset if sub is not None else write.hub.reset


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
    for path in _resets(write):
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
    kept = _kept(write, old.obj, tree, before) if _has_parts(hub) else {}
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


# -- patch ------------------------------------------------------------------------------------------------------------

_MAX_JSON_PATCH = jsonpatch.MAX_OPERATIONS


def patched(write: Write) -> None:
    """``write.tree`` becomes the stored object with the patch applied, in the version of the request."""
    patch = write.patch
    assert patch is not None
    kind = write.kind
    base: Tree = write.old_tree
    if kind.hub is not None and base:
        base = codec.parse(codec.to_version(kind, write.old.data if write.old else b""))
        base.get("metadata", {}).pop("resourceVersion", None)
    if patch.type == "apply":
        _apply(write, patch, base)
        return
    assert write.old is not None
    # Patches share what they leave alone with the object that they are applied to, and change nothing of it.
    live = dict(base)
    # Clients see the revision in what they patch, so they may test or send it.
    live["metadata"] = {**live["metadata"], "resourceVersion": str(write.old.rev)}
    if OWNERS in live["metadata"] and _looks_at_owners(patch):
        live["metadata"][OWNERS] = trees.copy(live["metadata"][OWNERS])
    try:
        if patch.type == "json":
            if isinstance(patch.body, list) and len(patch.body) > _MAX_JSON_PATCH:
                raise TooLarge(
                    f"The allowed maximum operations in a JSON patch is {_MAX_JSON_PATCH}, got {len(patch.body)}"
                )
            new = jsonpatch.apply(live, jsonpatch.decode(patch.body))
        elif patch.type == "merge":
            new = mergepatch.apply(live, _object(patch.body, "error decoding patch: "))
        else:
            new = smp.apply(live, _object(patch.body), schema(kind))
    except jsonpatch.PatchFormatError as error:
        raise BadRequest(str(error)) from None
    except jsonpatch.PatchError as error:
        raise _rejected(str(error)) from None
    except smp.PatchError as error:
        raise _unmergeable(error) from None
    if not isinstance(new, dict):
        raise BadRequest("the result of the patch is not an object")
    tree: Tree
    if _has_parts(kind):
        # Normal form is built anew. What the patch leaves alone has it; it is copied where it may yet be changed.
        names = kind.type.__struct_fields__
        same = [k for k, v in new.items() if k not in _HEAD and k in names and v is live.get(k)]
        resets = _resets(write)
        tree = {**new, **{k: trees.copy(new[k]) for k in same if k not in resets}}
        given = tree.get("metadata")
        if isinstance(given, dict):
            if _only_says(patch) and given == live["metadata"]:
                same.append("metadata")
                tree["metadata"] = codec.own_metadata(given)
            else:
                tree["metadata"] = dict(given)
                if OWNERS in given and given[OWNERS] is live["metadata"].get(OWNERS):
                    same.append(OWNERS)
        write.untouched = tuple(same)
    else:
        tree = trees.copy(new)
    meta = metadata_of(tree, kind)
    # The revision that the patch leaves unchanged is not a demand.
    if meta.get("resourceVersion") == str(write.old.rev) and not _names_revision(patch):
        meta.pop("resourceVersion")
    try:
        codec.check_type(kind, tree)
    except StatusError as error:
        raise _undecodable(write, tree, error) from None
    write.tree = tree


def _looks_at_owners(patch: Patch) -> bool:
    """The patch may see or change managedFields, and not only replace them."""
    if patch.type == "json":
        return True
    meta = patch.body.get("metadata") if isinstance(patch.body, dict) else None
    return isinstance(meta, dict) and any(OWNERS in name for name in meta)


def _only_says(patch: Patch) -> bool:
    """What the patch has in its metadata, if anything, are texts, such as the uid that it is meant for."""
    meta = patch.body.get("metadata") if isinstance(patch.body, dict) else None
    return meta is None or (isinstance(meta, dict) and all(type(v) is str for v in meta.values()))


def _undecodable(write: Write, tree: Tree, error: StatusError) -> StatusError:
    """What a patch made is no object of the kind: 422, with what was made, or the patch if it was a strategic one."""
    assert write.patch is not None
    _, _, why = error.message.partition(f" cannot be handled as a {write.kind.kind}: ")
    why = why or error.message
    if write.patch.type != "strategic":
        shown = msgspec.json.encode(tree).decode()
    else:
        shown = gotext.plain(write.patch.body)
        found = re.match(r"json: cannot unmarshal (\w+).* of type (.*)", why)
        if found:
            given = {"object": "map"}.get(found[1], found[1])
            shapes = (("[]", "slice"), ("map[", "map"), (".", "struct"))
            what = next((name for mark, name in shapes if mark in found[2]), "")
            why = f"cannot restore {what} from {given}" if what else f"unrecognized type: {found[2]}"
    return Invalid("", "", "", [FieldError("FieldValueInvalid", "patch", why, shown)])


def _names_revision(patch: Patch) -> bool:
    if isinstance(patch.body, dict):
        meta = patch.body.get("metadata")
        return isinstance(meta, dict) and bool(meta.get("resourceVersion"))
    return any(isinstance(op, dict) and op.get("path") == "/metadata/resourceVersion" for op in patch.body)


def _object(body: Any, said: str = "") -> Tree:
    if body is None and said:
        raise BadRequest("Invalid JSON Patch")
    if not isinstance(body, dict):
        what = loosen.json_name(body)
        raise BadRequest(f"{said}json: cannot unmarshal {what} into Go value of type map[string]interface {{}}")
    return body


def _rejected(message: str) -> StatusError:
    return StatusError(
        422, "Invalid", f"the server rejected our request due to an error in our request: {message}", details={}
    )


def _unmergeable(error: smp.PatchError) -> StatusError:
    if error.code == 400:
        return BadRequest(str(error))
    return _rejected(str(error)) if error.code == 422 else StatusError(500, "", str(error))


def _apply(write: Write, patch: Patch, base: Tree) -> None:
    kind = write.kind
    applied = trees.copy(_object(patch.body))
    meta = metadata_of(applied, kind)
    name = meta.get("name") or ""
    if name != write.name:
        if name:
            raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({write.name})")
        meta["name"] = write.name
    if kind.namespaced:
        namespace = meta.get("namespace") or write.namespace
        if namespace != write.namespace:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    given = str(applied.get("apiVersion") or ""), str(applied.get("kind") or "")
    if given != (kind.api_version, kind.kind):
        group, _, version = given[0].rpartition("/")
        raise BadRequest(f"invalid object type: {group}/{version}, Kind={given[1]}")
    rev = meta.pop("resourceVersion", None)
    rev = "" if rev == "0" else rev
    if rev and (write.old is None or rev != str(write.old.rev)):
        raise Conflict(kind.plural, kind.group, write.name)
    write.rev_given = bool(rev)
    uid = meta.get("uid")
    if write.old is None and uid:
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise Conflict(kind.plural, kind.group, write.name, why)
    sub = kind.subresource(write.subresource) if write.subresource else None
    resets = sub.reset if sub is not None else (*kind.reset, *kind.unowned)
    write.tree = trees.copy(
        ssa.apply(
            base or None,
            _canonical(write, applied),
            manager_of(write),
            schema=schema(kind),
            force=bool(write.options.force),
            api_version=kind.api_version,
            now=write.now,
            subresource=write.subresource,
            ignored=resets,
            convert=converter(write),
        )
    )


def _canonical(write: Write, applied: Tree) -> Tree:
    """Quantities and times as they are stored, so that ``1000m`` over ``1`` is no change; unknown fields stay."""
    kind = write.kind
    out = trees.copy(applied)
    try:
        problems = codec.clean(kind, out, defaults=False)
    except StatusError:
        return applied  # the schema says what is wrong with it
    if problems:
        if kind.hub is None and write.options.validation == "Strict":
            raise codec.strict_error(kind, problems)
        return applied
    cut: Tree = _only(applied, out)
    return cut


def _only(given: Any, normal_form: Any) -> Any:
    """``normal_form`` cut down to the members that were given: zero values written by the struct are not applied."""
    if isinstance(given, dict) and isinstance(normal_form, dict):
        return {k: _only(v, normal_form[k]) if k in normal_form else v for k, v in given.items() if v is not None}
    if isinstance(given, list) and isinstance(normal_form, list) and len(given) == len(normal_form):
        return [_only(g, n) for g, n in zip(given, normal_form, strict=True)]
    return normal_form


def absent(kind: Kind, name: str) -> StatusError:
    return NotFound(kind.plural, kind.group, name)
