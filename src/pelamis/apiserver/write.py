"""One write on its way through the server, and the read access that admission and strategies have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver.authz.attributes import Attributes, Decision
from pelamis.apiserver.request import DeleteOptions, WriteOptions
from pelamis.apiserver.user import User
from pelamis.base.errors import Forbidden, StatusError
from pelamis.cache.entry import Entry

_OPTIONS, _DELETION = WriteOptions(), DeleteOptions()
"""What is asked for when nothing is; shared, and never changed."""


@dataclass(slots=True)
class Patch:
    """type: json, merge, strategic, apply. body: the decoded patch. problems: members that its text has twice."""

    type: str
    body: Any
    problems: Sequence[str] = ()


@dataclass(slots=True)
class Write:
    """``tree`` is the new object, changed in place by every step; ``old`` the stored one (None on create).

    verb: create, update, patch, delete. ``operation``: CREATE, UPDATE or DELETE, what admission sees. ``kind``: as
    addressed; ``hub``: as stored. ``undo``: run when the write is not carried out (allocations). ``warnings``: texts
    for the client.
    """

    verb: str
    kind: Kind
    user: User
    namespace: str
    name: str
    subresource: str = ""
    tree: Tree = field(default_factory=dict)
    patch: Patch | None = None
    options: WriteOptions = field(default_factory=lambda: _OPTIONS)
    deletion: DeleteOptions = field(default_factory=lambda: _DELETION)
    user_agent: str = ""
    old: Entry | None = None
    operation: str = ""
    now: float = 0.0
    warnings: list[str] = field(default_factory=list)
    audit: dict[str, str] = field(default_factory=dict)
    """Annotations for the audit log, from admission."""
    mutated: set[tuple[str, str]] = field(default_factory=set)
    """The mutating policies (with their bindings) that have been applied in this plan."""
    shown: tuple[Kind, Tree] | None = None
    """What admission sees in place of the object: the body of a subresource of another type (Scale, Binding)."""
    undo: list[Callable[[], None]] = field(default_factory=list)
    chosen: set[Any] = field(default_factory=set)
    """Addresses and ports that the server chose itself: others may be chosen instead."""
    prepared: bool = False
    """The tree is already complete and checked (made by the server itself): no decoding of input."""
    source: bytes = b""
    """What ``tree`` was before the first attempt, for an update that may be tried again."""
    untouched: tuple[str, ...] = ()
    """Members of ``tree`` that a patch or an update left as they are stored: in normal form already."""
    model: Any = None
    """The struct that is to be created: ``tree`` is made of it when it is needed, and is empty before."""
    attempts: int = 0
    refreshed: bool = False
    """Planned from what was the newest state when it was asked."""
    waited: bool = False
    """Admission has waited once for what the write needs; it does not wait again."""
    generated: bool = False
    rev_given: bool = False
    refusal: StatusError | None = None
    """What the store would say; admission speaks first."""
    commit_s: float = 0.0
    """How long the store took."""
    served: Callable[[str, str], Kind | None] | None = None
    """(apiVersion, kind) to the Kind of that name: managers may speak others, even unserved ones."""
    hub: Kind = field(init=False)
    _old_tree: Tree | None = None

    def __post_init__(self) -> None:
        self.hub = self.kind.hub or self.kind

    def meet(self, old: Entry | None) -> None:
        """What is stored under the name at the time of this plan."""
        self.old = old
        self._old_tree = None

    @property
    def old_tree(self) -> Tree:
        """The stored object, without its revision; empty when there is none. Read when first asked for.

        Its managedFields are structs, where the kind has a struct (``codec.parse_stored``).
        """
        tree = self._old_tree
        if tree is None:
            tree = {}
            old = self.old
            if old is not None:
                has_struct = self.hub.type is not codec.Custom
                tree = codec.parse_stored(old.data, old.obj.metadata) if has_struct else codec.parse(old.data)
                tree["metadata"].pop("resourceVersion", None)
            self._old_tree = tree
        return tree

    @old_tree.setter
    def old_tree(self, tree: Tree) -> None:
        self._old_tree = tree

    @property
    def resets(self) -> tuple[str, ...]:
        """Dotted paths that this endpoint leaves as they are stored, whatever the request says."""
        sub = self.hub.subresource(self.subresource) if self.subresource else None
        return sub.reset if sub is not None else self.hub.reset

    @property
    def dry_run(self) -> bool:
        return self.options.dry_run or self.deletion.dry_run

    @property
    def resource(self) -> str:
        return self.kind.plural

    def forbid(self, why: str) -> StatusError:
        """What admission answers when it refuses: ``pods "x" is forbidden: why``."""
        name = self.name or (self.tree.get("metadata") or {}).get("name") or ""
        return Forbidden(self.kind.plural, self.kind.group, name or "Unknown", why)

    def cancel(self) -> None:
        while self.undo:
            self.undo.pop()()


class Contended(Exception):
    """Another server was faster with what this one had chosen: plan the write again."""


class Suspended(Exception):
    """Raised by admission in the middle of a plan: ``work`` must be done before the plan can go on."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.work = work


class Again(Suspended):
    """As Suspended, but the plan is to be made from the start once ``work`` is done."""


class Objects(Protocol):
    """Synchronous reads for those who decide. ``resource``: ``pods``, ``deployments.apps``."""

    def get(self, resource: str, namespace: str, name: str) -> Any: ...

    def list(self, resource: str, namespace: str = "") -> Sequence[Any]: ...

    def view(self, resource: str) -> Any: ...

    def entropy(self, size: int) -> bytes: ...

    def authorize(self, user: User, a: Attributes) -> Decision: ...
