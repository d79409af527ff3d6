"""What the server knows of one API kind, declared once in the kind's file and derived from everywhere.

Life of a write: input bytes become a ``Tree`` (a plain JSON dict), and everything that changes the object works on the
tree, in this order: strict check and normalisation (codec), ``default``, mutating admission, ``prepare_create`` or
``prepare_update``, managedFields. Then the tree becomes the kind's frozen struct once, ``validate`` or
``validate_update`` reads the struct, and the struct's canonical JSON bytes are stored. Reading needs bytes only; who
wants the object gets the shared struct.

A CustomResourceDefinition yields a ``Kind`` too; its objects are ``Custom`` structs, so ``obj.metadata`` works alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.field import Struct, Tree
from pelamis.api.meta import ObjectMeta
from pelamis.base.errors import FieldError


class Object(Struct, frozen=True):
    """The part that all stored kinds share; only for typing, never instantiated."""

    kind: str = ""
    apiVersion: str = ""
    metadata: ObjectMeta = ObjectMeta()


@dataclass(frozen=True, slots=True)
class Column:
    """One Table column. priority 0 is always shown, 1 only with ``-o wide``."""

    name: str
    type: str
    format: str = ""
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class Subresource:
    """``reset``: field paths that a write through this subresource may not change (they keep their old value)."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]
    reset: tuple[str, ...] = ()


def _nothing(tree: Tree) -> None:
    return None


def _keep(tree: Tree, old: Tree) -> None:
    return None


def _valid(obj: Any) -> Sequence[FieldError]:
    return ()


def _valid_update(obj: Any, old: Any) -> Sequence[FieldError]:
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """All callables are pure. ``type`` is the root struct class; ``(group, version, plural)`` identifies the kind.

    default(tree): computed defaults, in place; constant ones are declared on the fields with ``F(default=...)`` and
    are already there when it runs. prepare_create(tree), prepare_update(tree, old): the upstream strategy beyond
    ``reset`` and ``generation``, in place; prepare_status(tree, old): as prepare_update, for a write of the status
    subresource. validate(obj), validate_update(obj, old): field errors, metadata excluded
    (the server checks ObjectMeta for all kinds, with ``validate_name`` for the name; it returns messages). cells(obj,
    now): one value per column, ``now`` in seconds since the epoch. selectable: field label to getter returning a
    string, besides metadata.name and metadata.namespace. indexes: index name to a function giving the index values of
    an object, for views. status_default: what a created object's status becomes where it is not empty.
    prune: for custom resources, drops the fields that the schema does not know, in place, and returns upstream's strict
    problems (``unknown field "spec.x"``); built-in kinds leave it to the codec.
    deprecated: the warning that every request for this version gets.
    warns_on_update: whether an update is answered with ``warnings`` too; writes of subresources never are.
    update_warnings: in place of ``warnings`` for updates that move the generation of a kind that has one.
    names_itself: an object that comes without a name is given one.
    unowned: fields, besides ``reset``, that no manager is noted for.
    own_rules: a further version is held to its own rules in place of the hub's.
    computed: made when it is asked for; nothing is stored, no cache holds it.
    hub, to_hub, from_hub: for a served version that is stored as another Kind: tree conversions, in place of storage.
    overlays: subresource ("": none) to a member of the object and a function: plain patches through it may be laid over
    that member's struct, and function(new, old) tells whether ``default`` and the ``prepare_*`` would leave the outcome
    as it is.
    retired: apiVersions that nobody serves any more but upstream still stores in: tree conversions to this one.
    """

    group: str
    version: str
    type: type[Any]
    plural: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    reset: tuple[str, ...] = ()
    generation: bool = False
    create_on_update: bool = False
    unconditional_update: bool = True
    gc_policy: str = "DeleteDependents"
    columns: tuple[Column, ...] = (Column("Name", "string", format="name"), Column("Age", "date"))
    cells: Callable[[Any, float], Sequence[Any]] | None = None
    default: Callable[[Tree], None] = _nothing
    prepare_create: Callable[[Tree], None] = _nothing
    prepare_update: Callable[[Tree, Tree], None] = _keep
    prepare_status: Callable[[Tree, Tree], None] = _keep
    validate: Callable[[Any], Sequence[FieldError]] = _valid
    validate_update: Callable[[Any, Any], Sequence[FieldError]] = _valid_update
    validate_status_update: Callable[[Any, Any], Sequence[FieldError]] = _valid_update
    validate_name: Callable[[str], Sequence[str]] | None = None
    warnings: Callable[[Any], Sequence[str]] | None = None
    warns_on_update: bool = True
    update_warnings: Callable[[Any], Sequence[str]] | None = None
    own_rules: bool = False
    unowned: tuple[str, ...] = ()
    names_itself: bool = False
    selectable: Mapping[str, Callable[[Any], str]] | None = None
    indexes: Mapping[str, Callable[[Any], Sequence[str]]] | None = None
    storage: str = ""
    storage_hash: str = ""
    grace_period: Callable[[Any, int | None], int] | None = None
    prune: Callable[[Tree], Sequence[str]] | None = None
    overlays: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] | None = None
    hub: Kind | None = None
    to_hub: Callable[[Tree], None] = _nothing
    from_hub: Callable[[Tree], None] = _nothing
    retired: Mapping[str, Callable[[Tree], None]] | None = None
    deprecated: str = ""
    computed: bool = False

    def __post_init__(self) -> None:
        if not self.kind:
            object.__setattr__(self, "kind", self.type.__name__)
        if not self.storage:
            object.__setattr__(self, "storage", self.plural)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """``deployments.apps``; for the core group the bare plural."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def prefix(self) -> str:
        """Store key prefix with a trailing slash, laid out as upstream does: ``/registry/pods/``."""
        return f"/registry/{self.storage}/"

    def key(self, namespace: str, name: str) -> str:
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else f"{self.prefix}{name}"

    def subresource(self, name: str) -> Subresource | None:
        for found in self.subresources:
            if found.name == name:
                return found
        return None

    def __repr__(self) -> str:
        return f"<Kind {self.api_version} {self.kind}>"
