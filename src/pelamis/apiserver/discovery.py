"""Discovery: which groups, versions and resources there are, derived from the registry.

Two forms answer at the same paths. Legacy: ``/api``, ``/apis``, ``/apis/<group>``, and a resource list for each
group-version. Aggregated: everything in two documents at ``/api`` and ``/apis``, asked for by
``Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`` (or v2beta1), with an ETag, so that a
client that asks again gets 304. All answers are bytes that are made once per state of the registry.

Group-versions that an aggregated server provides are added with ``set_remote``.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pelamis.api.kind import Kind, Subresource
from pelamis.api.registry import Registry, version_order

Tree = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
"""(status, headers, body)"""

JSON = "application/json"
AGGREGATED = ("v2", "v2beta1")
GIT_VERSION = "v1.37.0+pelamis"
MAJOR, MINOR = "1", "37"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def version_info() -> Tree:
    """The body of ``/version``."""
    uname = os.uname()
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": str(int(MINOR) - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "cpython",
        "platform": f"{uname.sysname.lower()}/{_MACHINES.get(uname.machine, uname.machine)}",
    }


_READ_AND_DELETE = frozenset(("delete", "deletecollection", "get", "list", "watch"))


def _verbs(kind: Kind, ending: Collection[str]) -> list[str]:
    """Of what is being removed only those that do not bring anything into being are shown."""
    return sorted(_READ_AND_DELETE.intersection(kind.verbs) if kind.resource in ending else kind.verbs)


def _legacy_resource(kind: Kind, ending: Collection[str]) -> Tree:
    out: Tree = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": _verbs(kind, ending),
    }
    if kind.short_names:
        out["shortNames"] = list(kind.short_names)
    if kind.categories:
        out["categories"] = list(kind.categories)
    if kind.storage_hash:
        out["storageVersionHash"] = kind.storage_hash
    return out


def _legacy_subresource(kind: Kind, sub: Subresource) -> Tree:
    out: Tree = {"name": f"{kind.plural}/{sub.name}", "singularName": "", "namespaced": kind.namespaced}
    if (sub.group, sub.version) != (kind.group, kind.version):
        if sub.group:
            out["group"] = sub.group
        out["version"] = sub.version
    out["kind"] = sub.kind
    out["verbs"] = sorted(sub.verbs)
    return out


def resource_list(group: str, version: str, kinds: Iterable[Kind], ending: Collection[str] = ()) -> Tree:
    """The ``APIResourceList`` of one group-version."""
    resources: list[Tree] = []
    for kind in kinds:
        resources.append(_legacy_resource(kind, ending))
        resources += [_legacy_subresource(kind, sub) for sub in kind.subresources]
    resources.sort(key=lambda r: r["name"])
    head: Tree = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": resources}


def _gvk(group: str, version: str, kind: str) -> Tree:
    return {"group": group, "version": version, "kind": kind}


def _discovered(kind: Kind, ending: Collection[str]) -> Tree:
    """One ``APIResourceDiscovery``."""
    out: Tree = {
        "resource": kind.plural,
        "responseKind": _gvk(kind.group, kind.version, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": _verbs(kind, ending),
    }
    if kind.short_names:
        out["shortNames"] = list(kind.short_names)
    if kind.categories:
        out["categories"] = list(kind.categories)
    if kind.subresources:
        out["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _gvk(sub.group, sub.version, sub.kind),
                "verbs": sorted(sub.verbs),
            }
            for sub in sorted(kind.subresources, key=lambda s: s.name)
        ]
    return out


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha512(body).hexdigest().upper()}"'


def negotiate(accept: str) -> str:
    """Which form the Accept header asks for first: an aggregated version, or "" for the legacy one."""
    for part in accept.split(","):
        media, *params = (p.strip() for p in part.split(";"))
        if media in ("*/*", "application/*"):
            return ""
        if media != JSON:
            continue
        given = dict(p.split("=", 1) for p in params if "=" in p)
        if "as" not in given and "g" not in given:
            return ""
        if (
            given.get("g") == "apidiscovery.k8s.io"
            and given.get("as") == "APIGroupDiscoveryList"
            and given.get("v") in AGGREGATED
        ):
            return given["v"]
    return ""


class Discovery:
    """Answers for one registry. ``address``: host and port that clients are told, "" to leave it out."""

    def __init__(self, registry: Registry, address: str = "") -> None:
        self._registry = registry
        self._address = address
        self._cache: dict[tuple[str, str], Answer] = {}
        self._revision = -1
        self._remote: dict[tuple[str, str], tuple[Sequence[Tree], bool]] = {}
        self._ending: set[str] = set()
        self._hidden: set[str] = set()

    def set_hidden(self, resource: str, hidden: bool) -> None:
        """A resource that answers already, but is not to be found yet."""
        if (resource in self._hidden) != hidden:
            (self._hidden.add if hidden else self._hidden.discard)(resource)
            self._cache.clear()

    def _kinds(self, group: str, version: str) -> Sequence[Kind]:
        kinds = self._registry.of(group, version)
        return [k for k in kinds if k.resource not in self._hidden] if self._hidden else kinds

    def set_ending(self, resource: str, ending: bool) -> None:
        """Whether the definition of the resource is Terminating."""
        if (resource in self._ending) != ending:
            (self._ending.add if ending else self._ending.discard)(resource)
            self._cache.clear()

    def set_address(self, address: str) -> None:
        self._address = address
        self._cache.clear()

    def set_remote(self, group: str, version: str, resources: Sequence[Tree] | None, *, fresh: bool = True) -> None:
        """A group-version served elsewhere, as ``APIResourceDiscovery`` items; None: it is gone; not fresh: stale."""
        if resources is None:
            self._remote.pop((group, version), None)
        else:
            self._remote[group, version] = (resources, fresh)
        self._cache.clear()

    def remote(self, group: str, version: str) -> Sequence[Tree] | None:
        """What ``set_remote`` was last told."""
        found = self._remote.get((group, version))
        return found[0] if found is not None else None

    def answer(self, path: str, accept: str = "", if_none_match: str = "") -> Answer | None:
        """None: the path is not one of discovery's, or names nothing that exists."""
        if self._revision != self._registry.revision:
            self._cache.clear()
            self._revision = self._registry.revision
        path = path.rstrip("/")
        form = negotiate(accept) if path in ("/api", "/apis") else ""
        found = self._cache.get((path, form))
        if found is None:
            tree = self._aggregated(path, form) if form else self._legacy(path)
            if tree is None:
                return None
            body = msgspec.json.encode(tree) + b"\n"
            headers = {"Content-Type": JSON}
            if form:
                headers["Content-Type"] = f"{JSON};g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList"
                headers["ETag"] = _etag(body)
            if path in ("/api", "/apis"):
                headers["Vary"] = "Accept"
            found = self._cache[path, form] = (200, headers, body)
        if form and if_none_match and found[1]["ETag"] in [t.strip() for t in if_none_match.split(",")]:
            return 304, {k: v for k, v in found[1].items() if k != "Content-Type"}, b""
        return found

    def _versions(self) -> Mapping[str, Sequence[str]]:
        """Group to versions, in order of preference, groups in order of priority."""
        out: dict[str, list[str]] = {g.name: list(g.versions) for g in self._registry.groups()}
        if self._hidden:
            out = {name: shown for name, vs in out.items() if (shown := [v for v in vs if self._kinds(name, v)])}
        for group, version in self._remote:
            versions = out.setdefault(group, [])
            if version not in versions:
                versions.append(version)
                versions.sort(key=version_order)
        return out

    def _group(self, name: str, versions: Sequence[str]) -> Tree:
        shown = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
        return {"name": name, "versions": shown, "preferredVersion": shown[0]}

    def _legacy(self, path: str) -> Tree | None:
        versions = self._versions()
        if path == "/version":
            return version_info()
        if path == "/api":
            out: Tree = {"kind": "APIVersions", "versions": list(versions.get("", ("v1",)))}
            address = {"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}
            return {**out, "serverAddressByClientCIDRs": [address] if self._address else []}
        if path == "/apis":
            groups = [self._group(name, vs) for name, vs in versions.items() if name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        parts = path.split("/")[1:] or [""]
        if parts[0] == "api" and len(parts) == 2:
            return self._resources("", parts[1])
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in versions and parts[1]:
            return {"kind": "APIGroup", "apiVersion": "v1", **self._group(parts[1], versions[parts[1]])}
        if parts[0] == "apis" and len(parts) == 3 and parts[1]:
            return self._resources(parts[1], parts[2])
        return None

    def _resources(self, group: str, version: str) -> Tree | None:
        kinds = self._kinds(group, version)
        return resource_list(group, version, kinds, self._ending) if kinds else None

    def _aggregated(self, path: str, form: str) -> Tree:
        items: list[Tree] = []
        for name, versions in self._versions().items():
            if (name == "") is not (path == "/api"):
                continue
            shown = []
            for version in versions:
                remote = self._remote.get((name, version))
                if remote is not None:
                    resources: list[Tree] = list(remote[0])
                else:
                    kinds = self._kinds(name, version)
                    resources = [_discovered(k, self._ending) for k in sorted(kinds, key=lambda k: k.plural)]
                stale = remote is not None and not remote[1]
                shown.append({"version": version, "resources": resources, "freshness": "Stale" if stale else "Current"})
            metadata: Tree = {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None}
            items.append({"metadata": metadata, "versions": shown})
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{form}",
            "metadata": {},
            "items": items,
        }


_known: weakref.WeakKeyDictionary[Registry, Discovery] = weakref.WeakKeyDictionary()


def discovery(registry: Registry) -> Discovery:
    """The one Discovery of a registry."""
    found = _known.get(registry)
    if found is None:
        found = _known[registry] = Discovery(registry)
    return found
