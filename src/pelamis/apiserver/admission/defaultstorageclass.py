"""DefaultStorageClass: a claim that names no class gets the default one, the newest if there are several."""

from __future__ import annotations

from pelamis.api.core.persistentvolumeclaim import BETA_CLASS
from pelamis.api.storage.storageclass import default_class
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    spec = write.tree.setdefault("spec", {})
    if spec.get("storageClassName") is not None or BETA_CLASS in (write.tree["metadata"].get("annotations") or {}):
        return
    name = default_class(objects.list("storageclasses.storage.k8s.io"))
    if name:
        spec["storageClassName"] = name


PLUGIN = Plugin("DefaultStorageClass", frozenset(("persistentvolumeclaims",)), mutate=_mutate)
