"""What an Event of the kubelet is about."""

from __future__ import annotations

from typing import Any

from pelamis.api.core.reference import ObjectReference


def to_pod(pod: Any, container: str) -> ObjectReference:
    """With a container, that part of the pod."""
    path = ""
    if container:
        for group in ("containers", "initContainers", "ephemeralContainers"):
            if any(c.name == container for c in getattr(pod.spec, group)):
                path = f"spec.{group}{{{container}}}"
    meta = pod.metadata
    return ObjectReference(
        kind="Pod",
        apiVersion="v1",
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
        fieldPath=path,
    )


def to_node(name: str) -> ObjectReference:
    """Events about a node carry its name as uid, as upstream's do."""
    return ObjectReference(kind="Node", apiVersion="v1", name=name, uid=name)
