"""API aggregation: group-versions that other API servers provide, and the APIService of each one that we do.

An APIService with a service sends every request for its group-version there, with the identity of the user in the
headers of a front proxy, authenticated by the server's own client certificate. Whether it is available is found out
when it, its service or its endpoints change, and every half minute while there is one; its discovery and OpenAPI are
fetched at the same time and become part of ours.

A local APIService exists for each group-version of the registry and follows it; clients list them to learn what is
served.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from pelamis.api import codec
from pelamis.api.apiregistration.apiservice import APIService
from pelamis.api.field import Tree
from pelamis.apiserver.admission.webhookclient import CallFailed, endpoint_of
from pelamis.apiserver.metricsapi import serve as metricsapi
from pelamis.apiserver.request import RequestInfo
from pelamis.apiserver.streams.proxy import pass_on
from pelamis.apiserver.user import LOOPBACK_USER, MASTERS, User
from pelamis.apiserver.write import Write
from pelamis.base.clock import rfc3339
from pelamis.base.errors import StatusError
from pelamis.net.http1 import Request, Response
from pelamis.net.httpclient import HttpPool
from pelamis.net.tls import client_context

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

log = logging.getLogger("pelamis.apiserver")

RESOURCE = "apiservices.apiregistration.k8s.io"
AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
_RECHECK_S = 30.0
_CHECK_TIMEOUT_S = 5.0
_FETCH_TIMEOUT_S = 30.0
_AGGREGATOR = User("system:kube-aggregator", (MASTERS,))
_SLICES = "endpointslices.discovery.k8s.io"
_VERSIONS = {
    ("", "v1"): 1,
    ("autoscaling", "v2"): 30,
    (metricsapi.GROUP, metricsapi.VERSION): 100,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("admissionregistration.k8s.io", "v1beta1"): 12,
    ("coordination.k8s.io", "v1beta1"): 13,
    ("coordination.k8s.io", "v1alpha2"): 12,
    ("resource.k8s.io", "v1beta2"): 12,
    ("resource.k8s.io", "v1beta1"): 11,
    ("scheduling.k8s.io", "v1beta1"): 12,
}
_GA_PRIORITY, _EARLY_PRIORITY, _CUSTOM_PRIORITY = 15, 9, 100


def _priority(group: str, version: str, builtin: bool) -> int:
    if not builtin:
        return _CUSTOM_PRIORITY
    ga = version.removeprefix("v").isdigit()
    return _VERSIONS.get((group, version), _GA_PRIORITY if ga else _EARLY_PRIORITY)


_GROUP_PRIORITIES = {metricsapi.GROUP: 100}
Condition = tuple[str, str, str]
"""(status, reason, message) of Available."""


def remote_headers(user: User) -> list[tuple[str, str]]:
    """Who the user is, as an aggregated server believes it from a front proxy."""
    out = [("X-Remote-User", user.name)]
    if user.uid:
        out.append(("X-Remote-Uid", user.uid))
    out += [("X-Remote-Group", group) for group in user.groups]
    for key, values in (user.extra or {}).items():
        out += [(f"X-Remote-Extra-{quote(key, safe='')}", value) for value in values]
    return out


def discovered(resources: list[Tree], group: str, version: str) -> list[Tree]:
    """An APIResourceList's items as those of aggregated discovery."""
    out: dict[str, Tree] = {}
    below: list[Tree] = []
    for r in resources:
        name, _, sub = str(r.get("name", "")).partition("/")
        kind = {
            "group": r.get("group") or group,
            "version": r.get("version") or version,
            "kind": r.get("kind", ""),
        }
        if sub:
            below.append({"parent": name, "subresource": sub, "responseKind": kind, "verbs": r.get("verbs") or []})
            continue
        item: Tree = {
            "resource": name,
            "responseKind": kind,
            "scope": "Namespaced" if r.get("namespaced") else "Cluster",
            "singularResource": r.get("singularName", ""),
            "verbs": r.get("verbs") or [],
        }
        for field in ("shortNames", "categories"):
            if r.get(field):
                item[field] = r[field]
        out[name] = item
    for sub_item in below:
        parent = out.get(sub_item.pop("parent"))
        if parent is not None:
            parent.setdefault("subresources", []).append(sub_item)
    return list(out.values())


class Aggregation:
    """``answer`` is the server's aggregator."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._remote: dict[tuple[str, str], APIService] = {}
        self._pools: dict[tuple[str, bytes, bool, str], HttpPool] = {}
        self._dirty: dict[str, None] = {}
        self._local_dirty = True
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._cancels: list[Callable[[], None]] = []

    # -- life

    def start(self) -> None:
        objects = self._server.objects
        self._cancels = [
            objects.view(RESOURCE).subscribe(self._changed),
            objects.view("services").subscribe(self._service_changed, replay=False),
            objects.view(_SLICES).subscribe(self._slice_changed, replay=False),
            self._server.registry.subscribe(self._kind_changed),
        ]
        self._wake.set()
        self._task = self._server._spawn(self._run(), "aggregation")

    async def stop(self) -> None:
        for cancel in self._cancels:
            cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for pool in self._pools.values():
            await pool.close()
        self._pools.clear()

    def _mark(self, name: str) -> None:
        self._dirty[name] = None
        self._wake.set()

    def _changed(self, key: Any, old: APIService | None, new: APIService | None) -> None:
        if new is not None and new.spec.service is not None:
            self._remote[new.spec.group, new.spec.version] = new
        elif old is not None and old.spec.service is not None:
            self._remote.pop((old.spec.group, old.spec.version), None)
            self._server.discovery.set_remote(old.spec.group, old.spec.version, None)
            self._server.openapi.set_remote(f"apis/{old.spec.group}/{old.spec.version}", None)
            self._server.openapi.set_remote_v2(f"apis/{old.spec.group}/{old.spec.version}", None)
        self._server.metrics_api.give_way((metricsapi.GROUP, metricsapi.VERSION) in self._remote)
        if new is None:
            self._local_dirty = True
            self._wake.set()
        elif old is None or old.spec != new.spec:
            self._mark(key[1])

    def _concerns(self, namespace: str, name: str) -> None:
        for one in self._remote.values():
            service = one.spec.service
            if service is not None and (service.namespace, service.name) == (namespace, name):
                self._mark(one.metadata.name)

    def _service_changed(self, key: Any, old: Any, new: Any) -> None:
        if self._remote:
            self._concerns(*key)

    def _slice_changed(self, key: Any, old: Any, new: Any) -> None:
        if self._remote:
            labels = (new if new is not None else old).metadata.labels
            self._concerns(key[0], labels.get("kubernetes.io/service-name", ""))

    def _kind_changed(self, kind: Any, added: bool) -> None:
        self._local_dirty = True
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                if self._local_dirty:
                    self._local_dirty = False
                    await self._register()
                while self._dirty:
                    name = next(iter(self._dirty))
                    del self._dirty[name]
                    await self._check(name)
            except Exception:
                log.exception("aggregation")
            if self._remote and self._timer is None:
                self._timer = self._server.loop.call_later(_RECHECK_S, self._recheck)

    def _recheck(self) -> None:
        self._timer = None
        for one in self._remote.values():
            self._mark(one.metadata.name)

    # -- local group-versions

    async def _register(self) -> None:
        """One APIService for each group-version that is served here; those of definitions that went are deleted."""
        registry = self._server.registry
        kind = self._server.objects.kind(RESOURCE)
        view = self._server.objects.view(RESOURCE)
        wanted: dict[str, Tree] = {}
        for group in registry.groups():
            if group.name == "apiregistration.k8s.io":
                continue
            builtin = registry.is_builtin(group.name)
            for version in group.versions:
                wanted[f"{version}.{group.name}"] = {
                    "metadata": {
                        "name": f"{version}.{group.name}",
                        "labels": {AUTOMANAGED: "onstart" if builtin else "true"},
                    },
                    "spec": {
                        "group": group.name,
                        "version": version,
                        "groupPriorityMinimum": _GROUP_PRIORITIES.get(group.name) or registry.priority(group.name),
                        "versionPriority": _priority(group.name, version, builtin),
                    },
                }
        writes: list[Write] = []
        for name, tree in wanted.items():
            if view.get("", name) is None:
                tree = {"kind": kind.kind, "apiVersion": kind.api_version, **tree}
                writes.append(Write("create", kind, LOOPBACK_USER, "", "", tree=tree, user_agent="kube-apiserver"))
        for one in view.list():
            if one.metadata.name not in wanted and AUTOMANAGED in one.metadata.labels and one.spec.service is None:
                writes.append(Write("delete", kind, LOOPBACK_USER, "", one.metadata.name))
        for answer in await self._server.rest.execute(writes) if writes else ():
            if answer.error is not None and answer.error.reason not in ("AlreadyExists", "NotFound"):
                log.warning("APIService: %s", answer.error.message)

    # -- availability

    async def _check(self, name: str) -> None:
        one: APIService | None = self._server.objects.get(RESOURCE, "", name)
        if one is None:
            return
        if one.spec.service is None:
            await self._set(one, ("True", "Local", "Local APIServices are always available"))
            return
        condition = self._reachable(one)
        if condition is None:
            condition = await self._ask(one)
        await self._set(one, condition)

    def _reachable(self, one: APIService) -> Condition | None:
        """What the Service and its endpoints say; None: nothing against it."""
        ref = one.spec.service
        assert ref is not None
        objects = self._server.objects
        where = f'service/{ref.name} in "{ref.namespace}"'
        service = objects.get("services", ref.namespace, ref.name)
        if service is None:
            return "False", "ServiceNotFound", f"{where} is not present"
        if service.spec.type == "ExternalName":
            return None
        port = next((p for p in service.spec.ports if p.port == (ref.port or 443)), None)
        if port is None:
            return "False", "ServicePortError", f"{where} is not listening on port {ref.port or 443}"
        slices = objects.view(_SLICES).by_index("service", f"{ref.namespace}/{ref.name}")
        if not slices:
            return "False", "EndpointsNotFound", f"cannot find endpointslices for {where}"
        for part in slices:
            if any((p.name or "") == (port.name or "") and p.port for p in part.ports) and any(
                e.addresses and e.conditions.ready is not False for e in part.endpoints
            ):
                return None
        return "False", "MissingEndpoints", f'endpoints for {where} have no addresses with port name "{port.name}"'

    async def _ask(self, one: APIService) -> Condition:
        spec = one.spec
        path = f"/apis/{spec.group}/{spec.version}"
        shown = f"https://{_host(one)}{path}"
        try:
            pool = self._pool(one)
            headers = [*remote_headers(_AGGREGATOR), ("Accept", "application/json")]
            status, _, data = await pool.fetch("GET", path, headers=headers, timeout_s=_CHECK_TIMEOUT_S)
        except (OSError, CallFailed) as error:
            why = f'Get "{shown}": {error or type(error).__name__}'
            self._stale(one)
            return "False", "FailedDiscoveryCheck", f"failing or missing response from {shown}: {why}"
        if status == 401 or status == 403 or 200 <= status < 300:
            await self._publish(one, pool, data if status < 300 else b"")
            return "True", "Passed", "all checks passed"
        self._stale(one)
        return (
            "False",
            "FailedDiscoveryCheck",
            f"failing or missing response from {shown}: bad status from {shown}: {status}",
        )

    def _stale(self, one: APIService) -> None:
        key = (one.spec.group, one.spec.version)
        known = self._server.discovery.remote(*key)
        self._server.discovery.set_remote(*key, known if known is not None else (), fresh=False)

    async def _publish(self, one: APIService, pool: HttpPool, data: bytes) -> None:
        """Its discovery and OpenAPI become part of ours."""
        spec = one.spec
        try:
            tree = msgspec.json.decode(data) if data else {}
        except ValueError:
            tree = {}
        resources = tree.get("resources") if isinstance(tree, dict) else None
        items = discovered(resources or [], spec.group, spec.version)
        self._server.discovery.set_remote(spec.group, spec.version, items)
        path = f"apis/{spec.group}/{spec.version}"
        try:
            status, _, body = await pool.fetch(
                "GET", f"/openapi/v3/{path}", headers=remote_headers(_AGGREGATOR), timeout_s=_CHECK_TIMEOUT_S
            )
        except OSError:
            return
        if status == 200:
            self._server.openapi.set_remote(path, body)
        headers = [*remote_headers(_AGGREGATOR), ("Accept", "application/json")]
        try:
            status, _, body = await pool.fetch("GET", "/openapi/v2", headers=headers, timeout_s=_CHECK_TIMEOUT_S)
            document = msgspec.json.decode(body) if status == 200 else None
        except (OSError, ValueError):
            return
        self._server.openapi.set_remote_v2(path, document)

    async def _set(self, one: APIService, condition: Condition) -> None:
        status, reason, message = condition
        before = next((c for c in one.status.conditions if c.type == "Available"), None)
        if before is not None and (before.status, before.reason, before.message) == condition:
            return
        since = rfc3339(self._server.clock())
        if before is not None and before.status == status:
            since = before.lastTransitionTime
        tree = codec.to_tree(one)
        others = [c for c in tree.get("status", {}).get("conditions", []) if c["type"] != "Available"]
        shown = {"type": "Available", "status": status, "lastTransitionTime": since}
        tree["status"] = {"conditions": [*others, {**shown, "reason": reason, "message": message}]}
        kind = self._server.objects.kind(RESOURCE)
        write = Write("update", kind, LOOPBACK_USER, "", one.metadata.name, "status", tree)
        write.user_agent = "kube-apiserver"
        try:
            await self._server.rest.one(write)
        except StatusError as error:
            if error.reason == "Conflict":
                self._mark(one.metadata.name)

    # -- requests

    def _pool(self, one: APIService) -> HttpPool:
        """Raises CallFailed."""
        ref = one.spec.service
        assert ref is not None
        url = "https://" + endpoint_of(self._server.objects, ref.namespace, ref.name, ref.port or 443)
        key = (url, one.spec.caBundle, one.spec.insecureSkipTLSVerify, _name(one))
        pool = self._pools.get(key)
        if pool is None:
            pair = self._server.config.front_proxy_client
            try:
                context = client_context(one.spec.caBundle, pair, verify=not one.spec.insecureSkipTLSVerify)
            except (ssl.SSLError, ValueError) as error:
                raise CallFailed(f"unable to load root certificates: {error}") from None
            pool = self._pools[key] = HttpPool(url, context, server_hostname=_name(one))
        return pool

    def answer(self, request: Request, info: RequestInfo, user: User) -> Any:
        """None: no other server provides the path."""
        if not self._remote:
            return None
        parts = request.path.strip("/").split("/")
        if len(parts) < 3 or parts[0] != "apis":
            return None
        one = self._remote.get((parts[1], parts[2]))
        if one is None:
            return None
        pool = self._open(one)
        if pool is None:
            return _unavailable()
        return pass_on(request, pool, request.raw_path, "", remote_headers(user))

    async def fetch(self, path: str, target: str, user: User) -> tuple[int, bytes] | None:
        """A GET by a component of this process; None: no other server provides the path. Raises OSError."""
        parts = path.strip("/").split("/")
        one = self._remote.get((parts[1], parts[2])) if len(parts) > 2 and parts[0] == "apis" else None
        if one is None:
            return None
        pool = self._open(one)
        if pool is None:
            return 503, b"service unavailable"
        headers = [*remote_headers(user), ("Accept", "application/json")]
        status, _, data = await pool.fetch("GET", target, headers=headers, timeout_s=_FETCH_TIMEOUT_S)
        return status, data

    def _open(self, one: APIService) -> HttpPool | None:
        """None while it is not available."""
        if not any(c.type == "Available" and c.status == "True" for c in one.status.conditions):
            return None
        try:
            return self._pool(one)
        except CallFailed as error:
            log.warning("APIService %s: %s", one.metadata.name, error)
            return None


def _unavailable() -> Response:
    return Response(503, b"service unavailable\n", "text/plain; charset=utf-8")


def _name(one: APIService) -> str:
    assert one.spec.service is not None
    return f"{one.spec.service.name}.{one.spec.service.namespace}.svc"


def _host(one: APIService) -> str:
    assert one.spec.service is not None
    return f"{_name(one)}:{one.spec.service.port or 443}"
