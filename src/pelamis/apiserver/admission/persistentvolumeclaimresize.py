"""PersistentVolumeClaimResize: only claims of classes that allow it may grow, and only once they are bound."""

from __future__ import annotations

from typing import Any

from pelamis.api.core.persistentvolumeclaim import storage_class
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write
from pelamis.base import quantity


def _validate(write: Write, obj: Any, objects: Objects) -> None:
    if write.operation != "UPDATE" or write.old is None:
        return
    old = write.old.obj
    have, wanted = old.spec.resources.requests.get("storage"), obj.spec.resources.requests.get("storage")
    if not wanted or quantity.parse(wanted).nano <= (quantity.parse(have).nano if have else 0):
        return
    if old.status.phase != "Bound":
        raise write.forbid("Only bound persistent volume claims can be expanded")
    name = storage_class(obj)
    found = objects.get("storageclasses.storage.k8s.io", "", name) if name else None
    if found is None or not found.allowVolumeExpansion:
        raise write.forbid(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
            "support resize"
        )


PLUGIN = Plugin("PersistentVolumeClaimResize", frozenset(("persistentvolumeclaims",)), validate=_validate)
