"""What a cluster has from its first second, brought in line at every start.

System namespaces, default roles and bindings (with upstream's reconciliation: roles that carry the autoupdate
annotation get the missing rules back, bindings the missing subjects), priority classes, the Service ``kubernetes``
with its endpoints, and the ConfigMap that extension servers read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.apiserver.authz.escalation import uncovered
from pelamis.apiserver.presence import Presence
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.apiserver.write import Write
from pelamis.base import labels
from pelamis.base.clock import rfc3339
from pelamis.base.errors import StatusError, is_reason
from pelamis.cache.view import View
from pelamis.client.types import Key

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

log = logging.getLogger("pelamis.apiserver")
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
TOKEN_TRACKING = "kube-apiserver-legacy-service-account-token-tracking"
"""Since when the use of tokens in Secrets is noted."""
_AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_RBAC = "rbac.authorization.k8s.io"
_PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "RoleBinding": "rolebindings",
}
_PRIORITY = (
    ("system-cluster-critical", 2_000_000_000, "Used for system critical pods that must run in the cluster."),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)


def policy() -> list[Tree]:
    """The default roles and bindings, as trees."""
    text = resources.files("pelamis.apiserver.authz").joinpath("bootstrap.json").read_text()
    out: list[Tree] = []
    for o in json.loads(text):
        meta: Tree = {"name": o["name"]}
        for name in ("namespace", "labels", "annotations"):
            if o.get(name):
                meta[name] = o[name]
        tree: Tree = {"kind": o["kind"], "apiVersion": f"{_RBAC}/v1", "metadata": meta}
        for name in ("aggregationRule", "rules", "roleRef", "subjects"):
            if name in o and (o[name] or name == "rules"):
                tree[name] = o[name]
        out.append(tree)
    return out


def aggregated(role: Any, roles: Sequence[Any]) -> list[Tree]:
    """The rules that an aggregated ClusterRole collects, by name of the roles, without repetition."""
    out: list[Tree] = []
    for other in sorted(roles, key=lambda r: r.metadata.name):
        if other.metadata.name == role.metadata.name:
            continue
        for selector in role.aggregationRule.clusterRoleSelectors:
            if labels.from_label_selector(selector).matches(other.metadata.labels):
                for rule in other.rules:
                    tree = codec.to_tree(rule)
                    if tree not in out:
                        out.append(tree)
                break
    return out


class Bootstrap:
    """Run once at start; ``stop`` takes the server's address out of the endpoints."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._presence: Presence | None = None
        self._restoring = False
        self._stopped = False

    async def run(self) -> None:
        await self._namespaces()
        await self._policy()
        await self._aggregate()
        await self._priority_classes()
        await self._server.upkeep.start()
        await self._ensure(
            "configmaps",
            {
                "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
                "data": self._extension_data(),
            },
            sync="data",
        )
        await self._ensure(
            "configmaps",
            {
                "metadata": {"name": TOKEN_TRACKING, "namespace": "kube-system"},
                "data": {"since": rfc3339(self._server.clock())[:10]},
            },
        )
        await self._kubernetes_service()
        await self.endpoints()
        for resource in ("services", "endpoints", "endpointslices.discovery.k8s.io"):
            collection = self._server.objects.collection(self._server.objects.kind(resource))
            View(collection, namespace="default").subscribe(self._changed, replay=False)

    # -- what comes back when somebody deletes it

    def _changed(self, key: Key, old: Any, new: Any) -> None:
        if new is None and key == ("default", "kubernetes") and not (self._restoring or self._stopped):
            self._restoring = True
            self._server._spawn(self._restore(), "restoring the Service kubernetes")

    async def _restore(self) -> None:
        """Pods find the API by this Service: without it none that starts later can."""
        try:
            for wait_s in (0.0, 0.1, 1.0, 5.0):
                await asyncio.sleep(wait_s)  # the first address is given back a moment after the Service is gone
                try:
                    await self._kubernetes_service()
                    await self.endpoints()
                    return
                except StatusError as error:
                    log.warning("the Service kubernetes cannot be made again yet: %s", error)
        finally:
            self._restoring = False

    # -- pieces

    def _write(self, verb: str, resource: str, tree: Tree) -> Write:
        kind = self._server.objects.kind(resource)
        meta = tree["metadata"]
        tree = {"kind": kind.kind, "apiVersion": kind.api_version, **tree}
        namespace = meta.get("namespace", "") if kind.namespaced else ""
        write = Write(verb, kind, LOOPBACK_USER, namespace, meta["name"] if verb != "create" else "", tree=tree)
        write.user_agent = "kube-apiserver"
        return write

    async def _execute(self, writes: Sequence[Write]) -> None:
        for answer in await self._server.rest.execute(writes):
            if answer.error is not None and not is_reason(answer.error, "AlreadyExists"):
                raise answer.error

    async def _ensure(self, resource: str, tree: Tree, sync: str = "") -> Any:
        """Create if absent; ``sync``: a top-level field to keep as given."""
        objects = self._server.objects
        meta = tree["metadata"]
        namespace = meta.get("namespace", "")
        found = objects.get(resource, namespace, meta["name"])
        if found is None:
            await self._execute([self._write("create", resource, tree)])
        elif sync:
            have = codec.to_tree(found)
            if have.get(sync) != tree.get(sync):
                have[sync] = tree.get(sync)
                have["metadata"].pop("resourceVersion", None)
                await self._execute([self._write("update", resource, have)])
        return objects.get(resource, namespace, meta["name"])

    async def _namespaces(self) -> None:
        objects = self._server.objects
        missing = [n for n in NAMESPACES if objects.get("namespaces", "", n) is None]
        await self._execute([self._write("create", "namespaces", {"metadata": {"name": n}}) for n in missing])

    async def _policy(self) -> None:
        objects = self._server.objects
        wanted = policy()
        writes: list[Write] = []
        for tree in wanted:
            resource = f"{_PLURALS[tree['kind']]}.{_RBAC}"
            meta = tree["metadata"]
            found = objects.get(resource, meta.get("namespace", ""), meta["name"])
            if found is None:
                writes.append(self._write("create", resource, tree))
                continue
            changed = self._reconciled(tree, found)
            if changed is not None:
                writes.append(self._write("update", resource, changed))
        await self._execute(writes)

    def _reconciled(self, tree: Tree, found: Any) -> Tree | None:
        """The stored object with what it lacks; None = nothing to do, or it opted out."""
        if found.metadata.annotations.get(_AUTOUPDATE) != "true":
            return None
        kind = self._server.registry.body(_RBAC, "v1", tree["kind"])
        assert kind is not None
        have = codec.to_tree(found)
        changed = False
        if "Binding" in tree["kind"]:
            if have.get("roleRef") != tree.get("roleRef"):
                return None
            subjects = have.get("subjects") or []
            missing = [s for s in tree.get("subjects", ()) if s not in subjects]
            if missing:
                have["subjects"] = subjects + missing
                changed = True
        elif "aggregationRule" not in tree:
            wanted = codec.from_tree(kind, {**tree})
            if uncovered(found.rules, wanted.rules):
                extra = [codec.to_tree(r) for r in wanted.rules if uncovered(found.rules, [r])]
                have["rules"] = (have.get("rules") or []) + extra
                changed = True
        have["metadata"].pop("resourceVersion", None)
        return have if changed else None

    async def _aggregate(self) -> None:
        """admin, edit and view have their rules from the start; later changes are the aggregation controller's."""
        objects = self._server.objects
        resource = f"clusterroles.{_RBAC}"
        # view before edit before admin: each is part of the next.
        for _ in range(3):
            roles = objects.list(resource)
            writes: list[Write] = []
            for role in roles:
                if role.aggregationRule is None:
                    continue
                rules = aggregated(role, roles)
                tree = codec.to_tree(role)
                if (tree.get("rules") or []) != rules:
                    tree["rules"] = rules
                    tree["metadata"].pop("resourceVersion", None)
                    writes.append(self._write("update", resource, tree))
            if not writes:
                return
            await self._execute(writes)

    async def _priority_classes(self) -> None:
        for name, value, description in _PRIORITY:
            await self._ensure(
                "priorityclasses.scheduling.k8s.io",
                {"metadata": {"name": name}, "value": value, "globalDefault": False, "description": description},
            )

    def _extension_data(self) -> dict[str, str]:
        config = self._server.config
        data: dict[str, str] = {}
        if config.client_ca:
            data["client-ca-file"] = config.client_ca.decode()
        if config.front_proxy_ca:
            data["requestheader-client-ca-file"] = config.front_proxy_ca.decode()
            data["requestheader-allowed-names"] = '["front-proxy-client"]'
            data["requestheader-extra-headers-prefix"] = '["X-Remote-Extra-"]'
            data["requestheader-group-headers"] = '["X-Remote-Group"]'
            data["requestheader-username-headers"] = '["X-Remote-User"]'
        return data

    async def _kubernetes_service(self) -> None:
        server = self._server
        await self._ensure(
            "services",
            {
                "metadata": {
                    "name": "kubernetes",
                    "namespace": "default",
                    "labels": {"component": "apiserver", "provider": "kubernetes"},
                },
                "spec": {
                    "clusterIP": server.allocator.first_ip(),
                    "type": "ClusterIP",
                    "sessionAffinity": "None",
                    "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": server.advertise_port}],
                },
            },
        )

    async def endpoints(self, *, present: bool = True) -> None:
        """Endpoints and EndpointSlice of the Service ``kubernetes``: this server's address, with those of others."""
        server = self._server
        address = server.advertise_address
        if not address or ipaddress.ip_address(address).is_loopback:
            return
        others: set[str] = set()
        if server.shared:
            if self._presence is None and present:
                self._presence = Presence(server.store, address, self.endpoints)
                await self._presence.start()
            if self._presence is not None:
                others = self._presence.addresses - {address}
        addresses = sorted({*others, *([address] if present else [])})
        port = server.advertise_port
        subsets: list[Tree] = []
        if addresses:
            subsets = [
                {
                    "addresses": [{"ip": a} for a in addresses],
                    "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
                }
            ]
        meta = {"name": "kubernetes", "namespace": "default"}
        await self._ensure(
            "endpoints",
            {
                "metadata": {**meta, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
                **({"subsets": subsets} if subsets else {}),
            },
            sync="subsets",
        )
        slice_tree: Tree = {
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv6" if ipaddress.ip_address(address).version == 6 else "IPv4",
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses],
        }
        await self._ensure("endpointslices.discovery.k8s.io", slice_tree, sync="endpoints")
        have = server.objects.get("endpointslices.discovery.k8s.io", "default", "kubernetes")
        if have is not None and have.ports and have.ports[0].port != port:
            await self._ensure("endpointslices.discovery.k8s.io", slice_tree, sync="ports")

    async def stop(self) -> None:
        """Take our address out, so that nobody is sent to a server that is gone; only where others remain."""
        self._stopped = True
        if self._presence is not None:
            try:
                async with asyncio.timeout(2):
                    await self._presence.stop()
                    await self.endpoints(present=False)
            except (StatusError, TimeoutError):
                return
