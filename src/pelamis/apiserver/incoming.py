"""What a request brings, as a tree in normal form: the object that it carries, or the stored one after its patch.

``patched`` makes the tree of a patch; ``normal`` brings any tree to the form that is stored, with all defaults.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pelamis.api import codec, loosen
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.patchschema import schema
from pelamis.apiserver.ownership import converter, manager_of
from pelamis.apiserver.write import Patch, Write
from pelamis.base import gotext, jsonpatch, mergepatch, smp, ssa
from pelamis.base import tree as trees
from pelamis.base.errors import BadRequest, Conflict, FieldError, Invalid, StatusError, TooLarge

OWNERS = "managedFields"
_HEAD = frozenset(("kind", "apiVersion", "metadata"))


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


def has_parts(kind: Kind) -> bool:
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
        if patch is None and write.old is not None and has_parts(kind):
            problems, write.untouched = codec.clean_update(kind, tree, write.old.obj, write.old_tree, write.resets)
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
    if has_parts(kind):
        # Normal form is built anew. What the patch leaves alone has it; it is copied where it may yet be changed.
        names = kind.type.__struct_fields__
        same = [k for k, v in new.items() if k not in _HEAD and k in names and v is live.get(k)]
        resets = write.resets
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
