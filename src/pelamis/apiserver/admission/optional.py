"""Plugins that are off unless asked for: AlwaysPullImages, DenyServiceExternalIPs, ExtendedResourceToleration,
NamespaceExists, PodTolerationRestriction. EventRateLimit has a file of its own, because it keeps state."""

from __future__ import annotations

from typing import Any

import msgspec

from pelamis.api.field import Tree
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.admission.tolerations import all_within, merged
from pelamis.apiserver.write import Objects, Write
from pelamis.base.errors import Internal, NotFound

_PODS = frozenset(("pods",))
_TOLERATIONS = "scheduler.alpha.kubernetes.io/defaultTolerations"
_WHITELIST = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"


def _containers(spec: Tree) -> list[Tree]:
    return [c for group in ("initContainers", "containers", "ephemeralContainers") for c in spec.get(group) or ()]


def _always_pull(write: Write, objects: Objects) -> None:
    if write.operation == "DELETE":
        return
    spec = write.tree.get("spec") or {}
    before = {c.get("image") for c in _containers(write.old_tree.get("spec") or {})}
    if write.operation == "UPDATE" and all(c.get("image") in before for c in _containers(spec)):
        return
    for container in _containers(spec):
        container["imagePullPolicy"] = "Always"
    for volume in spec.get("volumes") or ():
        if volume.get("image"):
            volume["image"]["pullPolicy"] = "Always"


def _no_external_ips(write: Write, obj: Any, objects: Objects) -> None:
    if write.operation == "DELETE":
        return
    allowed = set(write.old.obj.spec.externalIPs) if write.old is not None else set()
    if any(ip not in allowed for ip in obj.spec.externalIPs):
        raise write.forbid("Use of external IPs is denied by admission control.")


def _extended_resources(write: Write, objects: Objects) -> None:
    if write.operation == "DELETE":
        return
    spec = write.tree.get("spec") or {}
    names = set()
    for container in _containers(spec):
        for name in (container.get("resources") or {}).get("requests") or {}:
            if "/" in name and "kubernetes.io/" not in name and not name.startswith("requests."):
                names.add(name)
    have = list(spec.get("tolerations") or ())
    for name in sorted(names):
        toleration = {"key": name, "operator": "Exists"}
        if toleration not in have:
            have.append(toleration)
    if have:
        spec["tolerations"] = have


def _exists(write: Write, objects: Objects) -> None:
    namespaced = write.kind.namespaced and write.operation != "DELETE"
    if namespaced and objects.get("namespaces", "", write.namespace) is None:
        raise NotFound("namespaces", "", write.namespace)


def _of_namespace(write: Write, objects: Objects, name: str) -> list[Tree] | None:
    namespace = objects.get("namespaces", "", write.namespace)
    text = namespace.metadata.annotations.get(name) if namespace is not None else None
    if not text:
        return None
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Internal(f"{name} of namespace {write.namespace}: {error}") from None
    return found if isinstance(found, list) else None


def _restrict_tolerations(write: Write, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    spec = write.tree.setdefault("spec", {})
    given = list(spec.get("tolerations") or ())
    defaults = _of_namespace(write, objects, _TOLERATIONS) or []
    if defaults:
        clash = [
            d
            for d in defaults
            for g in given
            if d.get("key") == g.get("key") and d.get("effect", "") == g.get("effect", "") and d != g
        ]
        if clash:
            raise write.forbid("namespace tolerations and pod tolerations conflict")
        given = merged(given, defaults)
    given = _memory_pressure(spec, given)
    if given:
        spec["tolerations"] = given


def _memory_pressure(spec: Tree, given: list[Tree]) -> list[Tree]:
    """Pods that have a request keep running on a node that is short of memory."""
    guaranteed = any((c.get("resources") or {}).get(f) for c in _containers(spec) for f in ("requests", "limits"))
    if not guaranteed:
        return given
    more = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}
    return merged(given, [more])


def _check_tolerations(write: Write, obj: Any, objects: Objects) -> None:
    if write.operation != "CREATE":
        return
    allowed = _of_namespace(write, objects, _WHITELIST)
    given = msgspec.json.decode(msgspec.json.encode(obj.spec.tolerations))
    if allowed and not all_within(given, allowed):
        raise write.forbid(
            "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist"
        )


NAMESPACE_EXISTS = Plugin("NamespaceExists", mutate=_exists)
ALWAYS_PULL_IMAGES = Plugin("AlwaysPullImages", _PODS, mutate=_always_pull, subresources=("ephemeralcontainers",))
POD_TOLERATION_RESTRICTION = Plugin(
    "PodTolerationRestriction", _PODS, mutate=_restrict_tolerations, validate=_check_tolerations
)
EXTENDED_RESOURCE_TOLERATION = Plugin("ExtendedResourceToleration", _PODS, mutate=_extended_resources)
DENY_SERVICE_EXTERNAL_IPS = Plugin("DenyServiceExternalIPs", frozenset(("services",)), validate=_no_external_ips)
