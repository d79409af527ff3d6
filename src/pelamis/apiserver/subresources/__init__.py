"""Subresources that are more than an update with some fields reset.

``TRANSFORMS`` change the stored object synchronously, within the write that carries them. ``SPECIALS`` wait for
several steps, or answer with another type.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pelamis.api.kind import Kind
from pelamis.api.registry import Registry
from pelamis.apiserver.rest import Answer, Transform
from pelamis.apiserver.subresources import binding, eviction, pod, scale, token
from pelamis.apiserver.write import Objects, Write

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

Special = Callable[["ApiServer", Write], Awaitable[Answer]]

SPECIALS: dict[tuple[str, str], Special] = {
    ("pods", "binding"): binding.bind,
    ("bindings", ""): binding.bind,
    ("pods", "eviction"): eviction.evict,
    ("serviceaccounts", "token"): token.request_token,
    ("deployments.apps", "scale"): scale.scale,
    ("replicasets.apps", "scale"): scale.scale,
    ("statefulsets.apps", "scale"): scale.scale,
    ("replicationcontrollers", "scale"): scale.scale,
}


def _body(registry: Registry, group: str, version: str, name: str) -> Kind:
    found = registry.body(group, version, name)
    if found is None:
        raise KeyError(name)
    return found


def transforms(registry: Registry, objects: Objects) -> dict[tuple[str, str], Transform]:
    change = scale.ScaleChange(_body(registry, "autoscaling", "v1", "Scale"))
    return {
        ("pods", "binding"): binding.Bind(_body(registry, "", "v1", "Binding"), objects),
        ("pods", "ephemeralcontainers"): pod.ephemeral_containers,
        ("pods", "resize"): pod.resize,
        ("deployments.apps", "scale"): change,
        ("replicasets.apps", "scale"): change,
        ("statefulsets.apps", "scale"): change,
        ("replicationcontrollers", "scale"): change,
    }
