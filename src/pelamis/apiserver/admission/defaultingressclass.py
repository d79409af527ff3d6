"""DefaultIngressClass: an Ingress that names no class gets the default one."""

from __future__ import annotations

from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.write import Objects, Write

_IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_OLD = "kubernetes.io/ingress.class"


def _mutate(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    spec = write.tree.setdefault("spec", {})
    if spec.get("ingressClassName") is not None or _OLD in (write.tree["metadata"].get("annotations") or {}):
        return
    defaults = [
        c for c in objects.list("ingressclasses.networking.k8s.io") if c.metadata.annotations.get(_IS_DEFAULT) == "true"
    ]
    if defaults:
        newest = max(c.metadata.creationTimestamp for c in defaults)
        best = min((c for c in defaults if c.metadata.creationTimestamp == newest), key=lambda c: c.metadata.name)
        spec["ingressClassName"] = best.metadata.name


PLUGIN = Plugin("DefaultIngressClass", frozenset(("ingresses.networking.k8s.io",)), mutate=_mutate)
