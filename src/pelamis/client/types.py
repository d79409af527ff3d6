"""The client seam: how every component reads and writes API objects.

``client.http.HttpClient`` talks to a server; ``apiserver.local.LocalClient`` enters the same request pipeline in the
process that holds the cache. Reading is synchronous through views; writing is a list of actions in one ``commit``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.base.errors import StatusError
from pelamis.cache.sieve import Sieve

T = TypeVar("T")
F = TypeVar("F")
T_co = TypeVar("T_co", covariant=True)
Key = tuple[str, str]
"""(namespace, name); the namespace is "" for cluster-scoped kinds."""


@dataclass(frozen=True, slots=True)
class Create:
    """obj: a struct of the kind, or a tree. The namespace is taken from its metadata."""

    kind: Kind
    obj: Any
    subresource: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """Full replacement; fails with Conflict unless obj.metadata.resourceVersion is current (or empty)."""

    kind: Kind
    obj: Any
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """body: a tree (merge, strategic, apply) or a list of operations (json).

    rev: when set, the patch applies only to this resourceVersion, else Conflict. manager: the name in managedFields
    where it is not the client's own.
    """

    kind: Kind
    namespace: str
    name: str
    body: Any
    type: Literal["json", "merge", "strategic", "apply"] = "merge"
    subresource: str = ""
    rev: str = ""
    force: bool = False
    manager: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """Preconditions uid and rev are checked when not empty. grace_s None = the kind's own."""

    kind: Kind
    namespace: str
    name: str
    uid: str = ""
    rev: str = ""
    grace_s: int | None = None
    propagation: Literal["", "Background", "Foreground", "Orphan"] = ""


Action = Create | Update | Patch | Delete


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action. ``rev`` is the revision of the write, 0 if nothing was written.

    ``obj`` is the object after the write (the last state for a deletion); ``error`` is set when refused.
    """

    rev: int
    obj: Any
    error: StatusError | None = None

    @property
    def name(self) -> str:
        """The object's, which a create may have made."""
        name: str = self.obj.metadata.name
        return name


class Answered(Outcome):
    """Of a write that was made. Most writers want to know no more: the object is ``make(*of)`` when it is asked for.

    name: of the object, where it is known without.
    """

    __slots__ = ("_make", "_name", "_obj", "_of")

    def __init__(self, rev: int, make: Callable[..., Any], *of: Any, name: str = "") -> None:
        put = object.__setattr__
        put(self, "rev", rev)
        put(self, "error", None)
        put(self, "_make", make)
        put(self, "_name", name)
        put(self, "_of", of)

    @property
    def obj(self) -> Any:
        if self._make is not None:
            put = object.__setattr__
            put(self, "_obj", self._make(*self._of))
            put(self, "_make", None)
            put(self, "_of", ())
        return self._obj

    @property
    def name(self) -> str:
        return self._name or super().name

    _make: Callable[..., Any] | None
    _name: str
    _obj: Any
    _of: tuple[Any, ...]


class View(Protocol, Generic[T_co]):
    """A live, ordered, synchronous picture of the objects of one kind (and selector).

    Reads are cheap and consistent with ``revision``; the objects are shared and immutable.
    """

    @property
    def revision(self) -> int:
        """Every change up to this revision of the store is in the view."""
        ...

    @property
    def synced(self) -> bool:
        """False until the first full list has arrived (always True in process)."""
        ...

    def get(self, namespace: str, name: str) -> T_co | None: ...

    def list(self, namespace: str = "") -> Sequence[T_co]:
        """In order of (namespace, name); "" = all namespaces."""
        ...

    def keys(self, namespace: str = "") -> Sequence[Key]: ...

    def revisions(self) -> Sequence[tuple[Key, int]]:
        """The keys with the revision of each object, undecoded."""
        ...

    def __len__(self) -> int:
        """How many objects there are; of a whole kind, known without counting."""
        ...

    def by_index(self, index: str, value: str) -> Sequence[T_co]:
        """``index`` is one of kind.indexes, or the built-in ``owner``: the uid of the controller owner reference.

        ``owner`` of ``/<namespace>`` gives the labelled objects that have no controller: what may be adopted.
        """
        ...

    def facts(self, index: str, value: str, make: Callable[[Any, Mapping[str, str]], F]) -> Sequence[F]:
        """make(object, its labels) of each object that ``by_index`` gives, in no particular order.

        Made once for each version of an object and kept while the object itself may be forgotten: for walks over
        thousands of objects. make must depend on nothing else; a kind's objects keep the facts of one maker. Equal
        label maps are mostly the same dict.
        """
        ...

    def when_reached(self, rev: int, fn: Callable[[], None]) -> None:
        """Call fn once ``revision >= rev``: at once if it already is."""
        ...

    def subscribe(
        self, fn: Callable[[Key, Any, Any], None], *, replay: bool = True, sieve: Sieve | None = None
    ) -> Callable[[], None]:
        """fn(key, old, new) on every change, in order; old None = added, new None = deleted. Returns the cancel.

        fn must only note the key and return: no I/O, no long work. replay: existing objects first, as added.
        sieve: what of the changes is all that matters to fn; it may be told of the others too.
        """
        ...


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """type: ADDED, MODIFIED, DELETED, BOOKMARK. obj: the struct (or Custom) of the kind."""

    type: str
    obj: Any


class Client(Protocol):
    """One identity's access to the API."""

    def view(self, kind: Kind, *, namespace: str = "", label_selector: str = "", field_selector: str = "") -> View[Any]:
        """Shared: asking twice for the same gives the same view."""
        ...

    def release(self, view: View[Any]) -> None:
        """Nobody here wants the view any longer: what keeps it up to date may end."""
        ...

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Any: ...

    async def list(
        self, kind: Kind, namespace: str = "", *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[Sequence[Any], int]:
        """The objects and the revision of the list."""
        ...

    def watch(
        self, kind: Kind, namespace: str = "", *, rev: int = 0, label_selector: str = "", field_selector: str = ""
    ) -> AsyncIterator[WatchEvent]: ...

    async def commit(self, actions: Sequence[Action]) -> Sequence[Outcome]:
        """Never raises for a refused action: the outcome carries the error. Raises OSError when out of reach."""
        ...

    async def fetch(self, path: str, *, query: Mapping[str, str] | None = None) -> Tree:
        """A raw GET of a resource, such as one of the metrics APIs. Raises StatusError, OSError."""
        ...

    async def post(self, path: str, body: Tree, *, query: Mapping[str, str] | None = None) -> Tree:
        """A raw POST (reviews, TokenRequest). Raises StatusError."""
        ...
