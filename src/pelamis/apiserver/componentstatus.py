"""componentstatuses: the health of the store, the controllers and the scheduler, asked when somebody reads them.

Components of this process say themselves how they are; those of another server are well while their lease is fresh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pelamis.api.core.componentstatus import KIND, ComponentCondition, ComponentStatus
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta
from pelamis.apiserver.selection import Selection
from pelamis.base.clock import parse_rfc3339
from pelamis.base.errors import NotFound

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

STORE = "etcd-0"
PARTS = {"controller-manager": ("kube-controller-manager", 10257), "scheduler": ("kube-scheduler", 10259)}
"""Name to the lease, and the port that upstream asks."""
Check = Callable[[], str]
"""Empty text = fine, else why not."""


class ComponentStatuses:
    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.checks: dict[str, Check] = {}
        """Of the components in this process."""

    async def get(self, kind: Kind, namespace: str, name: str) -> ComponentStatus:
        """Raises NotFound."""
        if name != STORE and name not in PARTS:
            raise NotFound(KIND.plural, "", name)
        return await self._status(name)

    async def list(
        self, kind: Kind, namespace: str, label_selector: str, field_selector: str
    ) -> Sequence[ComponentStatus]:
        selection = Selection(kind, "", label_selector, field_selector)
        names = [
            name
            for name in (*PARTS, STORE)
            if (selection.labels is None or selection.labels.matches({}))
            and all((name == value) is equal for _, value, equal in selection.fields.terms)
        ]
        return [await self._status(name) for name in names]

    async def _status(self, name: str) -> ComponentStatus:
        why = await self._server._store_health() if name == STORE else self._health(name)
        condition = ComponentCondition(type="Healthy", status="False" if why else "True", message=why or "ok")
        return ComponentStatus(metadata=ObjectMeta(name=name), conditions=(condition,))

    def _health(self, name: str) -> str:
        check = self.checks.get(name)
        if check is not None:
            return check()
        lease_name, port = PARTS[name]
        lease: Any = self._server.objects.get("leases.coordination.k8s.io", "kube-system", lease_name)
        if lease is not None and lease.spec.holderIdentity and lease.spec.renewTime:
            until = parse_rfc3339(lease.spec.renewTime) + (lease.spec.leaseDurationSeconds or 0)
            if self._server.clock() < until:
                return ""
        where = f"127.0.0.1:{port}"
        return f'Get "https://{where}/healthz": dial tcp {where}: connect: connection refused'
