"""All kinds that the server knows: the built-in ones in upstream's discovery order, and those that CRDs add.

``Registry`` is also the lookup for types that are never stored: the bodies of subresources (Scale, Eviction, ...), the
review requests, and the types of ``meta.k8s.io``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pelamis.api.kind import Kind

_STABILITY = {"": 2, "beta": 1, "alpha": 0}


def _packages() -> Iterator[tuple[str, int, tuple[Kind, ...]]]:
    """(group, priority, kinds) in order of priority, as upstream's APIServices have it."""
    from pelamis.api import (
        admissionregistration,
        apiextensions,
        apiregistration,
        apps,
        authentication,
        authorization,
        autoscaling,
        batch,
        certificates,
        coordination,
        core,
        discovery,
        events,
        flowcontrol,
        networking,
        node,
        policy,
        rbac,
        resource,
        scheduling,
        storage,
        storagemigration,
    )

    yield "", 18000, core.KINDS
    yield "apiregistration.k8s.io", 20001, apiregistration.KINDS
    yield "apps", 17800, apps.KINDS
    yield "events.k8s.io", 17750, events.KINDS
    yield "authentication.k8s.io", 17700, authentication.KINDS
    yield "authorization.k8s.io", 17600, authorization.KINDS
    yield "autoscaling", 17500, autoscaling.KINDS
    yield "batch", 17400, batch.KINDS
    yield "certificates.k8s.io", 17300, certificates.KINDS
    yield "networking.k8s.io", 17200, networking.KINDS
    yield "policy", 17100, policy.KINDS
    yield "rbac.authorization.k8s.io", 17000, rbac.KINDS
    yield "storage.k8s.io", 16800, storage.KINDS
    yield "admissionregistration.k8s.io", 16700, admissionregistration.KINDS
    yield "apiextensions.k8s.io", 16700, apiextensions.KINDS
    yield "scheduling.k8s.io", 16600, scheduling.KINDS
    yield "coordination.k8s.io", 16500, coordination.KINDS
    yield "node.k8s.io", 16300, node.KINDS
    yield "discovery.k8s.io", 16200, discovery.KINDS
    yield "flowcontrol.apiserver.k8s.io", 16100, flowcontrol.KINDS
    yield "resource.k8s.io", 16000, resource.KINDS
    yield "storagemigration.k8s.io", 15900, storagemigration.KINDS


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
    """Lookups by group, version and resource or kind. Iteration and ``groups`` follow the discovery order."""

    def __init__(self, kinds: Iterable[tuple[str, int, tuple[Kind, ...]]] = (), bodies: Iterable[Kind] = ()) -> None:
        self._priority: dict[str, int] = {}
        self._by_resource: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str, str], Kind] = {}
        self._bodies = {(k.group, k.version, k.kind): k for k in bodies}
        self._subscribers: list[Callable[[Kind, bool], None]] = []
        self._all: tuple[Kind, ...] | None = None
        self._groups: tuple[Group, ...] | None = None
        self.revision = 0
        for group, priority, members in kinds:
            self._priority[group] = priority
            for kind in members:
                self._insert(kind)

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
        """A served kind, or a type that comes only as a body."""
        return self._by_kind.get((group, version, kind)) or self._bodies.get((group, version, kind))

    def types(self) -> tuple[Kind, ...]:
        """Every served kind, and the types that come only as a body."""
        return (*self.all(), *self._bodies.values())

    def by_api_version(self, api_version: str, kind: str) -> Kind | None:
        """``apps/v1`` and ``Deployment``, as an owner reference has them."""
        group, _, version = api_version.rpartition("/")
        return self.by_kind(group, version, kind)

    def preferred(self, group: str, plural: str) -> Kind | None:
        """The kind of a resource in the most preferred version that has it."""
        for version in self.versions(group):
            kind = self._by_resource.get((group, version, plural))
            if kind is not None:
                return kind
        return None

    def preferred_kind(self, group: str, kind: str) -> Kind | None:
        for version in self.versions(group):
            found = self._by_kind.get((group, version, kind))
            if found is not None:
                return found
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
        """The kinds that are stored as themselves: one per resource, the hubs of all served versions."""
        return tuple(k for k in self.all() if k.hub is None and "list" in k.verbs)

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


def builtin() -> Registry:
    """A new registry with every built-in kind."""
    return Registry(_packages(), _bodies())
