"""All kinds that the server knows: the built-in ones in upstream's discovery order, and those that CRDs add.

``Registry`` is also the lookup for types that are never stored: the bodies of subresources (Scale, Eviction, ...), the
review requests, and the types of ``meta.k8s.io``.

Which of the built-in kinds are *served* is chosen when the registry is made (``api.enablement``). What is not served
does not exist for clients: no path, no discovery, no schema. The generally available kinds are stored all the same, and
so is the hub of every version that is served, since the server's own parts rely on them; ``stored``, ``held`` and
``body`` find those too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pelamis.api.kind import Kind

_STABILITY = {"": 2, "beta": 1, "alpha": 0}


GROUPS: tuple[tuple[str, str, int], ...] = (
    ("", "core", 18000),
    ("apiregistration.k8s.io", "apiregistration", 20001),
    ("apps", "apps", 17800),
    ("events.k8s.io", "events", 17750),
    ("authentication.k8s.io", "authentication", 17700),
    ("authorization.k8s.io", "authorization", 17600),
    ("autoscaling", "autoscaling", 17500),
    ("batch", "batch", 17400),
    ("certificates.k8s.io", "certificates", 17300),
    ("networking.k8s.io", "networking", 17200),
    ("policy", "policy", 17100),
    ("rbac.authorization.k8s.io", "rbac", 17000),
    ("storage.k8s.io", "storage", 16800),
    ("admissionregistration.k8s.io", "admissionregistration", 16700),
    ("apiextensions.k8s.io", "apiextensions", 16700),
    ("scheduling.k8s.io", "scheduling", 16600),
    ("coordination.k8s.io", "coordination", 16500),
    ("node.k8s.io", "node", 16300),
    ("discovery.k8s.io", "discovery", 16200),
    ("flowcontrol.apiserver.k8s.io", "flowcontrol", 16100),
    ("internal.apiserver.k8s.io", "apiserverinternal", 16000),
    ("resource.k8s.io", "resource", 15900),
    ("storagemigration.k8s.io", "storagemigration", 15800),
    ("lifecycle.k8s.io", "lifecycle", 15700),
)
"""(group, package, ``groupPriorityMinimum``) of the built-in groups; the order of those with one priority counts."""

GA: frozenset[str] = frozenset(g for g, _, _ in GROUPS) - {"internal.apiserver.k8s.io", "lifecycle.k8s.io"}
"""Groups that have a version which is served without being asked for."""
EARLY: Mapping[str, tuple[str, ...]] = {
    "admissionregistration.k8s.io": ("v1beta1", "v1alpha1"),
    "certificates.k8s.io": ("v1beta1",),
    "coordination.k8s.io": ("v1beta1", "v1alpha2"),
    "internal.apiserver.k8s.io": ("v1alpha1",),
    "lifecycle.k8s.io": ("v1alpha1",),
    "resource.k8s.io": ("v1beta2", "v1beta1", "v1alpha3"),
    "scheduling.k8s.io": ("v1beta1", "v1alpha3"),
    "storagemigration.k8s.io": ("v1beta1",),
}
"""Beta and alpha versions, off by default. Their kinds are made when one of them is asked for."""


def _kinds(package: str) -> tuple[Kind, ...]:
    kinds: tuple[Kind, ...] = importlib.import_module(f"pelamis.api.{package}").KINDS
    return kinds


def general() -> Iterator[Kind]:
    """The built-in kinds that are served by default."""
    for group, package, _ in GROUPS:
        if group in GA:
            yield from _kinds(package)


def early(groups: Iterable[str] = tuple(EARLY)) -> Iterator[Kind]:
    """The built-in kinds of groups in versions that are off by default."""
    for group, package, _ in GROUPS:
        if group in EARLY and group in groups:
            yield from _kinds(f"{package}.early" if group in GA else package)


_declared: dict[tuple[str, str], Kind] = {}
_loaded: set[str] = set()


def declared(api_version: str, kind: str) -> Kind | None:
    """The built-in kind of that name, be it served or not."""
    group = api_version.partition("/")[0]
    if not _declared:
        _declared.update({(k.api_version, k.kind): k for k in general()})
    found = _declared.get((api_version, kind))
    if found is None and group in EARLY and group not in _loaded:
        _loaded.add(group)
        _declared.update({(k.api_version, k.kind): k for k in early((group,))})
        found = _declared.get((api_version, kind))
    return found


def _bodies() -> Iterator[Kind]:
    """Types that come only as the body of a request or an answer."""
    from pelamis.api import meta
    from pelamis.api.authentication.tokenrequest import TokenRequest
    from pelamis.api.autoscaling.scale import Scale
    from pelamis.api.policy.eviction import Eviction

    for group, version, cls in (
        ("autoscaling", "v1", Scale),
        ("policy", "v1", Eviction),
        ("authentication.k8s.io", "v1", TokenRequest),
        ("", "v1", meta.Status),
        ("", "v1", meta.DeleteOptions),
        ("", "v1", meta.CreateOptions),
        ("", "v1", meta.UpdateOptions),
        ("", "v1", meta.PatchOptions),
        ("", "v1", meta.GetOptions),
        ("", "v1", meta.ListOptions),
        ("", "v1", meta.APIVersions),
        ("", "v1", meta.APIGroup),
        ("", "v1", meta.APIGroupList),
        ("", "v1", meta.APIResourceList),
        ("meta.k8s.io", "v1", meta.Table),
        ("meta.k8s.io", "v1", meta.PartialObjectMetadata),
        ("meta.k8s.io", "v1", meta.PartialObjectMetadataList),
    ):
        yield Kind(group=group, version=version, type=cls, plural="", singular="", namespaced=True, verbs=())


@dataclass(frozen=True, slots=True)
class Group:
    """versions in order of preference, the preferred one first."""

    name: str
    versions: tuple[str, ...]

    @property
    def preferred(self) -> str:
        return self.versions[0]


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sort key: GA before beta before alpha, newer before older, then names that are no versions."""
    head = version.removeprefix("v")
    digits = head[: len(head) - len(head.lstrip("0123456789"))]
    rest = head[len(digits) :]
    word = rest.rstrip("0123456789")
    minor = rest[len(word) :]
    if (
        not version.startswith("v")
        or not digits
        or word not in _STABILITY
        or (word and not minor)
        or (rest and not word)
    ):
        return (1, 0, 0, version)
    return (0, -_STABILITY[word] * 1000 - int(digits), -int(minor or 0), version)


class Registry:
    """Lookups by group, version and resource or kind. Iteration and ``groups`` follow the discovery order.

    kinds: what is served. hidden: kinds that are stored, but not served. priority: of the built-in groups.
    """

    def __init__(
        self,
        kinds: Iterable[Kind] = (),
        bodies: Iterable[Kind] = (),
        *,
        hidden: Iterable[Kind] = (),
        priority: Mapping[str, int] | None = None,
    ) -> None:
        self._priority: dict[str, int] = dict(priority or {})
        self._by_resource: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str, str], Kind] = {}
        self._bodies = {(k.group, k.version, k.kind): k for k in bodies}
        self._subscribers: list[Callable[[Kind, bool], None]] = []
        self._all: tuple[Kind, ...] | None = None
        self._groups: tuple[Group, ...] | None = None
        self.revision = 0
        for kind in kinds:
            self._insert(kind)
        self._hidden: dict[tuple[str, str], Kind] = {}
        for kind in hidden:
            self._hidden[kind.group, kind.plural] = kind.hub or kind
            self._bodies[kind.group, kind.version, kind.kind] = kind

    def _insert(self, kind: Kind) -> None:
        self._by_resource[kind.group, kind.version, kind.plural] = kind
        self._by_kind[kind.group, kind.version, kind.kind] = kind
        self._all = self._groups = None
        self.revision += 1

    def by_resource(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_resource.get((group, version, plural))

    def by_kind(self, group: str, version: str, kind: str) -> Kind | None:
        """A served kind."""
        return self._by_kind.get((group, version, kind))

    def body(self, group: str, version: str, kind: str) -> Kind | None:
        """A served kind, a hidden one, or a type that comes only as a body."""
        return self._by_kind.get((group, version, kind)) or self._bodies.get((group, version, kind))

    def types(self) -> tuple[Kind, ...]:
        """Every served kind, the hidden ones, and the types that come only as a body."""
        return (*self.all(), *self._bodies.values())

    def by_api_version(self, api_version: str, kind: str) -> Kind | None:
        """``apps/v1`` and ``Deployment``, as an owner reference has them."""
        group, _, version = api_version.rpartition("/")
        return self.by_kind(group, version, kind)

    def known(self, api_version: str, kind: str) -> Kind | None:
        """A served kind, or a built-in one that is not served: objects may still name it."""
        return self.by_api_version(api_version, kind) or declared(api_version, kind)

    def held(self, group: str, plural: str) -> Kind | None:
        """The kind that a resource is stored as, whether or not it is served."""
        found = self.preferred(group, plural) or self._hidden.get((group, plural))
        return (found.hub or found) if found is not None else None

    def preferred(self, group: str, plural: str) -> Kind | None:
        """The kind of a resource in the most preferred version that has it."""
        for version in self.versions(group):
            kind = self._by_resource.get((group, version, plural))
            if kind is not None:
                return kind
        return None

    def versions(self, group: str) -> tuple[str, ...]:
        return next((g.versions for g in self.groups() if g.name == group), ())

    def all(self) -> tuple[Kind, ...]:
        """Every served kind, in discovery order."""
        if self._all is None:
            order = {g.name: i for i, g in enumerate(self.groups())}
            kinds = self._by_resource.values()
            self._all = tuple(sorted(kinds, key=lambda k: (order[k.group], version_order(k.version), k.plural)))
        return self._all

    def stored(self) -> tuple[Kind, ...]:
        """The kinds that are stored as themselves, one per resource: the hubs of served versions, and hidden ones."""
        kinds = dict.fromkeys(k.hub or k for k in self.all() if "list" in k.verbs and not k.computed)
        hidden = (k for k in self._hidden.values() if "list" in k.verbs)
        return tuple(kinds | dict.fromkeys(hidden))

    def of(self, group: str, version: str) -> tuple[Kind, ...]:
        """The kinds of one group and version, by plural."""
        return tuple(k for k in self.all() if k.group == group and k.version == version)

    def groups(self) -> tuple[Group, ...]:
        """By falling priority, as discovery lists them; the core group first; groups of CRDs last, by name."""
        if self._groups is None:
            versions: dict[str, set[str]] = {}
            for kind in self._by_resource.values():
                versions.setdefault(kind.group, set()).add(kind.version)
            names = sorted(versions, key=lambda g: (g != "", -self._priority.get(g, 1000), g))
            self._groups = tuple(Group(n, tuple(sorted(versions[n], key=version_order))) for n in names)
        return self._groups

    def priority(self, group: str) -> int:
        """``groupPriorityMinimum`` of the group's APIServices."""
        return self._priority.get(group, 1000)

    def is_builtin(self, group: str) -> bool:
        return group in self._priority

    def find(self, word: str) -> Kind | None:
        """What a user means by ``po``, ``pods``, ``deployments.apps`` or ``Deployment``; the first in order wins."""
        word, _, group = word.lower().partition(".")
        for exact in (True, False):
            for kind in self.all():
                if group and kind.group != group and f"{kind.version}.{kind.group}" != group:
                    continue
                names = (kind.plural, kind.singular, kind.kind.lower()) if exact else kind.short_names
                if word in names:
                    return self.preferred(kind.group, kind.plural) or kind
        return None

    def add(self, kind: Kind) -> None:
        """Adds a kind, or replaces the one of the same group, version and resource."""
        old = self._by_resource.get((kind.group, kind.version, kind.plural))
        if old is not None:
            self._by_kind.pop((old.group, old.version, old.kind), None)
        self._insert(kind)
        self._tell(kind, True)

    def remove(self, kind: Kind) -> None:
        if self._by_resource.pop((kind.group, kind.version, kind.plural), None) is None:
            return
        self._by_kind.pop((kind.group, kind.version, kind.kind), None)
        self._all = self._groups = None
        self.revision += 1
        self._tell(kind, False)

    def subscribe(self, fn: Callable[[Kind, bool], None]) -> Callable[[], None]:
        """fn(kind, added) on every change; a replacement is one call with added True. Returns the cancel."""
        self._subscribers.append(fn)
        return lambda: self._subscribers.remove(fn) if fn in self._subscribers else None

    def _tell(self, kind: Kind, added: bool) -> None:
        for fn in list(self._subscribers):
            fn(kind, added)


def builtin(served: Callable[[Kind], bool] | None = None, groups: Iterable[str] = ()) -> Registry:
    """A new registry of the built-in kinds.

    served: in place of what is served by default. groups: those of which the early versions are considered too.
    """
    stable = tuple(general())
    shown = dict.fromkeys(stable if served is None else (k for k in (*stable, *early(groups)) if served(k)))
    hidden = [k for k in stable if k not in shown]
    return Registry(shown, _bodies(), hidden=hidden, priority={group: p for group, _, p in GROUPS})
