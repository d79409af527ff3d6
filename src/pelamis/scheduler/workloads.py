"""Which pods belong together by default: those that the Services and the owner of a pod select."""

from __future__ import annotations

from typing import Any

from pelamis.base import labels
from pelamis.base.labels import EQUAL, EVERYTHING, Requirement, Selector, SelectorError
from pelamis.scheduler.podinfo import PodInfo

_OWNERS = {"ReplicationController": "v1", "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1"}


class Workloads:
    """Kept up to date by the executor. services: namespace to the Services in it, by name.

    version: grows when pods may belong to others than before; not with an owner's status.
    """

    def __init__(self) -> None:
        self.services: dict[str, dict[str, Any]] = {}
        self.owners: dict[tuple[str, str, str], Any] = {}
        self.version = 0

    def set_service(self, namespace: str, name: str, service: Any | None) -> None:
        table = self.services.setdefault(namespace, {})
        self.version += not _same_selector(table.get(name), service)
        if service is None:
            table.pop(name, None)
            if not table:
                del self.services[namespace]
        else:
            table[name] = service

    def set_owner(self, kind: str, namespace: str, name: str, owner: Any | None) -> None:
        key = (kind, namespace, name)
        self.version += not _same_selector(self.owners.get(key), owner)
        if owner is None:
            self.owners.pop(key, None)
        else:
            self.owners[key] = owner

    def selector(self, info: PodInfo) -> Selector:
        """Selects everything when the pod belongs to nothing."""
        own = info.labels
        wanted: dict[str, str] = {}
        for service in self.services.get(info.namespace, {}).values():
            selector = service.spec.selector
            if selector and all(own.get(k) == v for k, v in selector.items()):
                wanted.update(selector)
        requirements = [Requirement(k, EQUAL, (v,)) for k, v in wanted.items()]
        for ref in info.pod.metadata.ownerReferences:
            if not ref.controller or _OWNERS.get(ref.kind) != ref.apiVersion:
                continue
            owner = self.owners.get((ref.kind, info.namespace, ref.name))
            if owner is None:
                break
            if ref.kind == "ReplicationController":
                requirements += [Requirement(k, EQUAL, (v,)) for k, v in owner.spec.selector.items()]
            else:
                try:
                    requirements += labels.from_label_selector(owner.spec.selector).requirements
                except SelectorError:
                    break
            break
        return Selector(dict.fromkeys(requirements)) if requirements else EVERYTHING


def _same_selector(old: Any | None, new: Any | None) -> bool:
    return old is not None and new is not None and bool(old.spec.selector == new.spec.selector)
