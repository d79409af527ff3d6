"""Server-side apply: merging a partial object and settling who owns what."""

from __future__ import annotations

import msgspec

from pelamis.base import fieldpath
from pelamis.base.errors import BadRequest, StatusError
from pelamis.base.fieldpath import SELF, Path, Set, difference, intersection, recursive_difference, union
from pelamis.base.shape import Node
from pelamis.base.ssa import check, managed, reconcile
from pelamis.base.ssa.managed import Convert, Entry, Tree
from pelamis.base.ssa.update import Changes, added_set, without_stripped
from pelamis.base.ssa.walk import STRIPPED, bare, compare, fields_of, merge, remove, with_parents

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ANNOTATION_LIMIT = 256 * 1024


class ApplyError(StatusError):
    """An applied object that does not fit its type: as upstream, a plain 500 without a reason."""

    def __init__(self, message: str) -> None:
        super().__init__(500, "", message)


class _Conflicts(Exception):
    def __init__(self, found: list[tuple[Entry, Path]]) -> None:
        super().__init__()
        self.found = found


def _conflict_error(found: list[tuple[Entry, Path]]) -> StatusError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {entry.shown()}",
            "field": fieldpath.show(path),
        }
        for entry, path in found
    ]
    if len(found) == 1:
        entry, path = found[0]
        message = f"Apply failed with 1 conflict: conflict with {entry.shown()}: {fieldpath.show(path)}"
    else:
        lines: list[str] = []
        last: Entry | None = None
        for entry, path in found:
            if entry is not last:
                lines.append(f"conflicts with {entry.shown()}:")
                last = entry
            lines.append(f"- {fieldpath.show(path)}")
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, details={"causes": causes})


def apply(
    live: Tree | None,
    applied: Tree,
    manager: str,
    *,
    schema: Node,
    force: bool,
    api_version: str,
    now: float,
    subresource: str = "",
    ignored: tuple[str, ...] = (),
    convert: Convert | None = None,
) -> Tree:
    """The object that results: ``live`` (None: it is created) with ``applied`` merged in, managedFields set.

    Raises StatusError: a Conflict naming each field and manager, BadRequest for managedFields in the applied object or
    another apiVersion, ApplyError for an object that the schema does not know. See ``update_managed`` for the rest.
    """
    version = applied.get("apiVersion", "")
    if version != api_version:
        raise BadRequest(
            f"Incorrect version specified in apply patch. Specified patch version: {version}, expected: {api_version}"
        )
    metadata = applied.get("metadata") or {}
    if metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    problems = check.problems(applied, schema)
    if problems:
        text = problems[0] if len(problems) == 1 else "errors:\n" + "".join(f"  {p}\n" for p in problems)
        raise ApplyError(f"failed to create typed patch object ({_describe(applied)}): {text}")
    try:
        entries = managed.decode((live.get("metadata") or {}).get("managedFields")) if live else []
    except (ValueError, TypeError, AttributeError) as error:
        raise ApplyError(f"failed to decode managed fields: {error}") from None
    if schema.evolving and live is not None:
        reconcile.entries_under(entries, schema, api_version)
    before = live if live is not None else {"apiVersion": applied.get("apiVersion"), "kind": applied.get("kind")}
    if not entries and live is not None:
        fields = added_set(live, schema)
        if fields:
            entries = [
                Entry(managed.BEFORE_FIRST_APPLY, "Update", api_version, subresource, fields, managed.stamp(now))
            ]
    operation = _Apply(before, applied, manager or "unknown", entries, schema, api_version, subresource)
    operation.ignored = managed.reset_fields(ignored) if ignored else SELF
    operation.convert = convert
    try:
        out, kept, changed = operation.run(force)
    except _Conflicts as conflicts:
        found = conflicts.found
        if manager == "kubectl" and live is not None:
            allowed = _allowed_by_annotation(live, schema, api_version)
            found = [(e, p) for e, p in found if not fieldpath.has(allowed, p)]
        if found:
            raise _conflict_error(found) from None
        out, kept, changed = operation.run(True)
    mine = operation.mine
    if mine is not None and changed:
        mine.time = managed.stamp(now)
    managed.store(out, kept)
    if manager == "kubectl":
        _sync_annotation(out, applied)
    return out


def _describe(tree: Tree) -> str:
    metadata = tree.get("metadata") or {}
    group, _, version = str(tree.get("apiVersion", "")).rpartition("/")
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {group}/{version}, Kind={tree.get('kind', '')}"


class _Apply:
    """One apply; ``run`` may be called twice, the second time with force."""

    ignored: Set = SELF
    convert: Convert | None = None
    mine: Entry | None = None

    def __init__(
        self,
        live: Tree,
        applied: Tree,
        manager: str,
        entries: list[Entry],
        schema: Node,
        api_version: str,
        subresource: str,
    ) -> None:
        self.live = live
        self.applied = applied
        self.manager = manager
        self.entries = entries
        self.schema = schema
        self.api_version = api_version
        self.subresource = subresource

    def run(self, force: bool) -> tuple[Tree, list[Entry], bool]:
        """(new tree, entries, whether the object changed)."""
        out: Tree = merge(self.live, self.applied, self.schema)
        if out is self.live:
            out = dict(out)
        given = _given(self.applied, self.schema)
        if self.ignored:
            given = recursive_difference(given, self.ignored)
        last: Entry | None = None
        others: list[Entry] = []
        for entry in self.entries:
            if entry.is_from(self.manager, "Apply", "", self.subresource):
                last = entry
            else:
                others.append(entry)
        if last is not None and last.fields:
            pruned = self._prune(out, given, last, others)
            if pruned is not out:
                # a parent that lost its last member is gone; if it is applied as empty it comes back
                out = merge(pruned, self.applied, self.schema)
        changes = Changes(self.live, out, self.schema, self.api_version, self.ignored, self.convert)
        conflicts: list[tuple[Entry, Set]] = []
        kept: list[Entry] = []
        for entry in others:
            seen = changes.at(entry.api_version)
            if seen is None:
                continue
            changed, removed = seen
            fields = entry.fields
            if changed:
                both = intersection(fields, changed)
                if both:
                    conflicts.append((entry, both))
                    fields = difference(fields, both)
            if removed:
                fields = difference(fields, removed)
            if fields is not entry.fields:
                if not fields:
                    continue
                entry = Entry(entry.manager, entry.operation, entry.api_version, entry.subresource, fields, entry.time)
            kept.append(entry)
        if conflicts and not force:
            ordered = sorted(
                conflicts, key=lambda c: (c[0].manager, c[0].operation, c[0].api_version, c[0].subresource)
            )
            raise _Conflicts([(entry, path) for entry, both in ordered for path in fieldpath.paths(both)])
        if given:
            self.mine = Entry(
                self.manager, "Apply", self.api_version, self.subresource, given, last.time if last else ""
            )
            kept.append(self.mine)
        else:
            self.mine = None
        own = changes.at(self.api_version)
        differs = bool(own and (own[0] or own[1])) or self._metadata_differs(out)
        return out, kept, differs

    def _metadata_differs(self, out: Tree) -> bool:
        """A new name or namespace: the object is being created by this apply."""
        a, b = self.live.get("metadata") or {}, out.get("metadata") or {}
        return a.get("name") != b.get("name") or a.get("namespace") != b.get("namespace")

    def _prune(self, merged: Tree, given: Set, last: Entry, others: list[Entry]) -> Tree:
        """Takes away what the manager applied last time and nobody applies any more."""
        tree, schema = merged, self.schema
        version = last.api_version
        if version != self.api_version and self.convert is not None:
            converted = self.convert(merged, version)
            if converted is None:
                return merged
            tree, schema = converted
        gone = with_parents(last.fields, schema)
        applied = given
        for entry in others:
            if entry.operation == "Apply":
                applied = union(applied, entry.fields)
        applied = with_parents(applied, schema)
        if not difference(gone, applied):
            return merged
        pruned = _object(remove(tree, gone, schema))
        all_fields = with_parents(_given(tree, schema), schema)
        left = with_parents(_given(pruned, schema), schema)
        pruned = _object(remove(tree, difference(all_fields, union(left, applied)), schema))
        left = with_parents(_given(pruned, schema), schema)
        out = _object(remove(tree, intersection(difference(all_fields, left), gone), schema))
        if tree is not merged and self.convert is not None:
            back = self.convert(out, self.api_version)
            return back[0] if back is not None else merged
        return out


def _object(value: object) -> Tree:
    return value if isinstance(value, dict) else {}


def _given(tree: Tree, schema: Node) -> Set:
    return without_stripped(fields_of(bare(tree), schema))


def _allowed_by_annotation(live: Tree, schema: Node, api_version: str) -> Set:
    """Fields that client-side apply set last and that still have that value: ``kubectl apply --server-side`` may take
    them over without a conflict."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return {}
    try:
        last = msgspec.json.decode(text)
    except (msgspec.DecodeError, TypeError):
        return {}
    if not isinstance(last, dict) or last.get("apiVersion") != api_version or check.problems(last, schema):
        return {}
    changed: Set = {}
    removed: Set = {}
    compare(bare(last), bare(live), schema, changed, removed)
    return difference(difference(_given(last, schema), changed), removed)


def _sync_annotation(out: Tree, applied: Tree) -> None:
    """Keeps the annotation of client-side apply true, so that users can go back; only where it exists."""
    metadata = out["metadata"]
    annotations = metadata.get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return
    shown = dict(applied)
    inner = {k: v for k, v in (applied.get("metadata") or {}).items() if k != "managedFields"}
    kept = {k: v for k, v in (inner.get("annotations") or {}).items() if k != LAST_APPLIED}
    if "annotations" in inner:
        inner["annotations"] = kept
    shown["metadata"] = inner
    text = msgspec.json.encode(shown, order="sorted").decode() + "\n"
    annotations = dict(annotations)
    annotations[LAST_APPLIED] = text
    if sum(len(k) + len(v) for k, v in annotations.items()) > _ANNOTATION_LIMIT:
        del annotations[LAST_APPLIED]
    metadata["annotations"] = annotations


__all__ = ["STRIPPED", "ApplyError", "apply"]
