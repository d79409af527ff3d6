"""DefaultStorageClass: a claim that names no class gets the default one, the newest if there are several."""

from __future__ import annotations

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write

_ANNOTATIONS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    spec = write.tree.setdefault("spec", {})
    if spec.get("storageClassName") is not None or _OLD_CLASS in (write.tree["metadata"].get("annotations") or {}):
        return
    defaults = [
        c
        for c in objects.list("storageclasses.storage.k8s.io")
        if any(c.metadata.annotations.get(a) == "true" for a in _ANNOTATIONS)
    ]
    if defaults:
        newest = max(c.metadata.creationTimestamp for c in defaults)
        best = min((c for c in defaults if c.metadata.creationTimestamp == newest), key=lambda c: c.metadata.name)
        spec["storageClassName"] = best.metadata.name


PLUGIN = Plugin("DefaultStorageClass", frozenset(("persistentvolumeclaims",)), mutate=_mutate)
