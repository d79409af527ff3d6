"""Who owns which field after a write: managedFields in the version that the request speaks.

A kind may be stored as another one (HorizontalPodAutoscaler v1 as v2, events.k8s.io/v1 as core Event). A manager's
entry names the version that it wrote, and its fields are those of that version; so ownership is settled on trees of the
request's version, and other managers' entries are compared in theirs, which ``converter`` makes on demand.

``scale`` is an object of its own type whose one field belongs to the workload behind it: ``scale_entries`` shows the
workload's owners of the replicas as owners within the Scale, ``parent_entries`` takes the outcome back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import ManagedFieldsEntry
from pelamis.api.patchschema import schema
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.apiserver.write import Write
from pelamis.base import fieldpath, ssa
from pelamis.base import tree as trees
from pelamis.base.fieldpath import Path
from pelamis.base.shape import Node
from pelamis.base.ssa import managed
from pelamis.base.ssa.managed import Convert, Entry

_SCALE = "autoscaling/v1"
_REPLICAS: Path = ("f:spec", "f:replicas")
PathOf = Callable[[str], "Path | None"]
"""Where an apiVersion of the workload has its replicas; None: that version is not served."""


def manager_of(write: Write) -> str:
    agent = write.user_agent
    if write.user is LOOPBACK_USER and agent in ("", "apiserver"):
        agent = "kube-apiserver"  # what the server writes itself, as part of another request or not
    return ssa.manager_name(write.options.manager, agent)


def as_version(kind: Kind, tree: Tree) -> Tree:
    """A tree of the kind's hub as a new tree of ``kind``, in normal form."""
    if kind.hub is None:
        return tree
    out = trees.copy(tree)
    given = (out.get("metadata") or {}).get("managedFields")
    kind.from_hub(out)
    out["kind"], out["apiVersion"] = kind.kind, kind.api_version
    codec.clean(kind, out, defaults=False)
    if given is not None:
        out["metadata"]["managedFields"] = given
    return out


def converter(write: Write) -> Convert | None:
    """From the version of the request to others; None when nothing can be known of them."""
    find = write.served
    if find is None:
        return None
    kind, hub = write.kind, write.hub

    def convert(tree: Tree, api_version: str) -> tuple[Tree, Node] | None:
        if api_version == kind.api_version:
            return tree, schema(kind)
        other = find(api_version, hub.kind)
        if other is None or (other.hub or other) is not hub:
            return None
        out = trees.copy(tree)
        if kind.hub is not None:
            codec.to_hub(kind, out)
        return as_version(other, out), schema(other)

    return convert


def own(write: Write, old: Tree | None, ignored: tuple[str, ...]) -> None:
    """After create, update and patch; before admission and strategy: what the server fills in belongs to nobody.

    ``old`` and ``write.tree`` are trees of the hub.
    """
    kind = write.kind
    tree = write.tree
    if kind.hub is not None:
        tree = as_version(kind, tree)
        old = as_version(kind, old) if old is not None else None
    ssa.update_managed(
        old,
        tree,
        manager_of(write),
        schema=schema(kind),
        api_version=kind.api_version,
        now=write.now,
        subresource=write.subresource,
        ignored=ignored,
        convert=converter(write),
        make=ManagedFieldsEntry if kind.hub is None and kind.type is not codec.Custom else None,
    )
    if tree is not write.tree:
        metadata = write.tree["metadata"]
        found = tree["metadata"].get("managedFields")
        if found is None:
            metadata.pop("managedFields", None)
        else:
            metadata["managedFields"] = found


# -- scale ------------------------------------------------------------------------------------------------------------


def scale_entries(parent: Tree, path_of: PathOf) -> list[Tree]:
    """managedFields of the Scale: those of the workload's managers that own the replicas."""
    out = []
    for entry in managed.read_lenient(parent):
        path = path_of(entry.api_version)
        if path is not None and fieldpath.has(entry.fields, path):
            fields: fieldpath.Set = {}
            fieldpath.insert(fields, _REPLICAS)
            out.append(Entry(entry.manager, entry.operation, _SCALE, entry.subresource, fields, entry.time).tree())
    return out


def parent_entries(parent: Tree, scaled: Sequence[Tree], path_of: PathOf, api_version: str) -> list[Entry]:
    """managedFields of the workload after those of its Scale have become ``scaled``.

    Who lost the replicas loses them here; who has them now, through ``api_version``, gets an entry.
    """
    after = {_identity(e): e for e in managed.decode(scaled) if fieldpath.has(e.fields, _REPLICAS)}
    known: set[tuple[str, str, str]] = set()
    out: list[Entry] = []
    for entry in managed.read_lenient(parent):
        path = path_of(entry.api_version)
        if path is None:
            continue
        if fieldpath.has(entry.fields, path):
            kept = after.get(_identity(entry))
            known.add(_identity(entry))
            if kept is None:
                gone: fieldpath.Set = {}
                fieldpath.insert(gone, path)
                entry.fields = fieldpath.difference(entry.fields, gone)
                if not entry.fields:
                    continue
            else:
                entry.time = kept.time
        out.append(entry)
    path = path_of(api_version)
    for identity, entry in after.items():
        if path is None or identity in known:
            continue
        fields: fieldpath.Set = {}
        fieldpath.insert(fields, path)
        out.append(Entry(entry.manager, entry.operation, api_version, entry.subresource, fields, entry.time))
    return out


def _identity(entry: Entry) -> tuple[str, str, str]:
    return entry.manager, entry.operation, entry.subresource
