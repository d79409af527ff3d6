"""StorageObjectInUseProtection: claims and volumes in use are not deleted under their pods."""

from __future__ import annotations

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write

_FINALIZER = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
    "volumeattributesclasses": "kubernetes.io/vac-protection",
}


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    meta = write.tree["metadata"]
    finalizers = meta.get("finalizers") or []
    name = _FINALIZER[write.resource]
    if name not in finalizers:
        meta["finalizers"] = [*finalizers, name]


PLUGIN = Plugin(
    "StorageObjectInUseProtection",
    frozenset(("persistentvolumeclaims", "persistentvolumes", "volumeattributesclasses.storage.k8s.io")),
    mutate=_mutate,
)
