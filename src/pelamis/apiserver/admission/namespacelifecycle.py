"""NamespaceLifecycle: nothing is created in a namespace that is absent or going; three namespaces cannot be deleted."""

from __future__ import annotations

from typing import Any

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write
from pelamis.base.errors import NotFound

_IMMORTAL = frozenset(("default", "kube-system", "kube-public"))


def _mutate(write: Write, objects: Objects) -> None:
    kind = write.kind
    operation = write.operation
    if operation == "DELETE":
        if kind.plural == "namespaces" and not kind.group and write.name in _IMMORTAL:
            raise write.forbid("this namespace may not be deleted")
        return
    if not kind.namespaced:
        return
    namespace: Any = objects.get("namespaces", "", write.namespace)
    if namespace is None:
        raise NotFound("namespaces", "", write.namespace)
    if operation != "CREATE" or namespace.status.phase != "Terminating":
        return
    error = write.forbid(f"unable to create new content in namespace {write.namespace} because it is being terminated")
    details = error.details or {}
    details["causes"] = [
        {
            "reason": "NamespaceTerminating",
            "message": f"namespace {write.namespace} is being terminated",
            "field": "metadata.namespace",
        }
    ]
    error.details = details
    raise error


PLUGIN = Plugin("NamespaceLifecycle", mutate=_mutate, subresources=(), blind=lambda: True)
