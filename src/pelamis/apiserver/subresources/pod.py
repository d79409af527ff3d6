"""``pods/ephemeralcontainers`` and ``pods/resize``: the parts of a running pod that may change, and nothing else."""

from __future__ import annotations

from typing import Any

from pelamis.api import codec, metavalidate
from pelamis.api.patchschema import schema
from pelamis.apiserver import verbs
from pelamis.apiserver.verbs import Result
from pelamis.apiserver.write import Write
from pelamis.base import ssa
from pelamis.base.errors import FieldError, Invalid, forbidden, invalid


def _wanted(write: Write) -> dict[str, Any]:
    """The pod as the client wants it, in normal form."""
    if write.verb == "patch":
        verbs.patched(write)
    else:
        write.tree = codec.to_tree(write.tree)
    verbs.normal(write)
    verbs.check_revision(write, write.tree["metadata"])
    return write.tree


def _finish(write: Write, tree: dict[str, Any], errors: list[FieldError]) -> Result:
    hub = write.hub
    assert write.old is not None
    before = write.old_tree
    write.tree = tree
    if tree.get("spec") != before.get("spec") and hub.generation:
        tree["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1
    applied = write.patch is not None and write.patch.type == "apply"
    ssa.update_managed(
        before,
        tree,
        verbs.manager_of(write),
        schema=schema(hub),
        api_version=hub.api_version,
        now=write.now,
        operation="Apply" if applied else "Update",
        subresource=write.subresource,
    )
    obj = codec.from_tree(hub, tree)
    errors.extend(metavalidate.validate_update(obj.metadata, write.old.obj.metadata))
    errors.extend(hub.validate(obj))
    if errors:
        raise Invalid(hub.kind, hub.group, write.name, errors)
    return verbs.settle(write, obj)


def ephemeral_containers(write: Write) -> Result:
    """Ephemeral containers are added, never changed or removed."""
    write.operation = "UPDATE"
    wanted = _wanted(write)
    new = wanted.get("spec", {}).get("ephemeralContainers") or []
    tree = codec.to_tree(write.old_tree)
    old = tree["spec"].get("ephemeralContainers") or []
    errors: list[FieldError] = []
    by_name = {c.get("name"): c for c in new}
    for container in old:
        found = by_name.get(container["name"])
        if found is None:
            errors.append(
                forbidden(
                    "spec.ephemeralContainers",
                    f'existing ephemeral containers "{container["name"]}" may not be removed',
                )
            )
        elif found != container:
            errors.append(
                forbidden(
                    "spec.ephemeralContainers",
                    f'existing ephemeral containers "{container["name"]}" may not be changed',
                )
            )
    if new:
        tree["spec"]["ephemeralContainers"] = new
    return _finish(write, tree, errors)


def resize(write: Write) -> Result:
    """Requests and limits of the containers, and their resize policy."""
    write.operation = "UPDATE"
    wanted = _wanted(write)
    tree = codec.to_tree(write.old_tree)
    errors: list[FieldError] = []
    for group in ("containers", "initContainers"):
        new = {c.get("name"): c for c in wanted.get("spec", {}).get(group) or ()}
        for i, container in enumerate(tree["spec"].get(group) or ()):
            found = new.get(container["name"])
            if found is None:
                errors.append(invalid(f"spec.{group}[{i}].name", container["name"], "containers may not be removed"))
                continue
            for field in ("resources", "resizePolicy"):
                if field in found:
                    container[field] = found[field]
                else:
                    container.pop(field, None)
    before = write.old.obj.status.qosClass if write.old is not None else ""
    result = _finish(write, tree, errors)
    after = _qos(result.obj)
    if before and after and before != after:
        raise Invalid(
            write.hub.kind,
            "",
            write.name,
            [invalid("metadata", after, "Pod QOS Class may not change as a result of resizing")],
        )
    return result


def _qos(pod: Any) -> str:
    """Guaranteed, Burstable or BestEffort, from cpu and memory of all containers."""
    some = False
    guaranteed = True
    for container in (*pod.spec.initContainers, *pod.spec.containers):
        resources = container.resources
        for name in ("cpu", "memory"):
            request = resources.requests.get(name)
            limit = resources.limits.get(name)
            some = some or bool(request) or bool(limit)
            if not limit or (request and request != limit):
                guaranteed = False
    return "Guaranteed" if some and guaranteed else "Burstable" if some else "BestEffort"
