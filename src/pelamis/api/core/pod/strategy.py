"""What the server itself sets in a pod when it is written: on create, on update, and through each subresource.

All functions work on trees, in place. ``prepare_ephemeral_containers`` and ``prepare_resize`` are for the subresources
of these names (with the ``validate_*`` functions of ``validate_update``), ``bind`` is for the binding subresource.
"""

from __future__ import annotations

from typing import Any

from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.qos import qos_of_tree
from pelamis.api.core.pod.validate import APP_ARMOR
from pelamis.api.field import Tree
from pelamis.base.errors import Conflict, FieldError, StatusError, not_supported, required
from pelamis.base.tree import copy

_GIVEN_METADATA = ("name", "namespace", "uid", "resourceVersion", "managedFields")
"""Of the metadata, a write through a subresource brings no more than these; the rest stays."""


def prepare_create(pod: Tree) -> None:
    spec = pod.setdefault("spec", {})
    pod.setdefault("metadata", {})["generation"] = 1
    pod["status"] = {"phase": "Pending", "qosClass": qos_of_tree(spec)}
    if spec.get("schedulingGates"):
        pod["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]
    labels = pod["metadata"].get("labels") or {}
    _merge_label_keys(spec, labels)
    annotations = pod["metadata"].get("annotations")
    if annotations:
        _adopt_app_armor(spec, annotations)


def prepare_update(pod: Tree, old: Tree) -> None:
    """``status`` is the old one already (the kind's ``reset``)."""
    _count_generation(pod, old)


def _count_generation(pod: Tree, old: Tree) -> None:
    generation = old["metadata"].get("generation", 0)
    if pod.get("spec") != old.get("spec"):
        generation += 1
    if generation:
        pod["metadata"]["generation"] = generation


def prepare_status(pod: Tree, old: Tree) -> None:
    """A write of ``pods/status``: spec and owners stay, and what an older kubelet leaves out is kept."""
    spec = old.get("spec") or {}
    if pod.get("spec") is not spec:
        pod["spec"] = copy(spec)
    metadata, before = pod["metadata"], old["metadata"]
    for name in ("deletionTimestamp", "ownerReferences"):
        _keep(metadata, before, name)
    status, was = pod.setdefault("status", {}), old.get("status") or {}
    for name in ("qosClass", "observedGeneration"):
        if not status.get(name) and was.get(name):
            status[name] = was[name]
    generations: dict[str, list[int]] = {}
    for condition in was.get("conditions") or ():
        generations.setdefault(condition.get("type", ""), []).append(condition.get("observedGeneration", 0))
    for condition in status.get("conditions") or ():
        known = generations.get(condition.get("type", ""))
        generation = known.pop(0) if known else 0
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def status_settles(new: Pod, old: Pod) -> bool:
    """Whether defaults and ``prepare_status`` have nothing to change in the status."""
    status, was = new.status, old.status
    addresses = status.podIPs
    if (addresses[0].ip if addresses else "") != status.podIP:
        return False
    if (was.qosClass and not status.qosClass) or (was.observedGeneration and not status.observedGeneration):
        return False
    known = {c.type for c in was.conditions if c.observedGeneration}
    return not known or all(c.observedGeneration or c.type not in known for c in status.conditions)


def prepare_ephemeral_containers(pod: Tree, old: Tree) -> None:
    """A write of ``pods/ephemeralcontainers``: nothing but the list of debug containers changes."""
    given = (pod.get("spec") or {}).get("ephemeralContainers")
    _restore(pod, old)
    if given:
        pod["spec"]["ephemeralContainers"] = given
    else:
        pod["spec"].pop("ephemeralContainers", None)
    _count_generation(pod, old)


def prepare_resize(pod: Tree, old: Tree) -> None:
    """A write of ``pods/resize``: only the resources of containers and pod change.

    Where containers were added, removed, renamed or moved, the spec is left as given, for validation to refuse.
    """
    given = pod.get("spec") or {}
    merged: dict[str, Any] = {}
    for field in ("containers", "initContainers"):
        new, was = given.get(field) or [], (old.get("spec") or {}).get(field) or []
        if [c.get("name") for c in new] != [c.get("name") for c in was]:
            return
        merged[field] = [_with_resources(copy(b), a) for a, b in zip(new, was, strict=True)]
    _restore(pod, old)
    for field, containers in merged.items():
        if containers:
            pod["spec"][field] = containers
    _keep(pod["spec"], given, "resources")
    _count_generation(pod, old)


def _with_resources(container: Tree, given: Tree) -> Tree:
    for name in ("resources", "resizePolicy"):
        _keep(container, given, name)
    return container


def _keep(tree: Tree, old: Tree, name: str) -> None:
    if name in old:
        tree[name] = copy(old[name]) if isinstance(old[name], dict | list) else old[name]
    else:
        tree.pop(name, None)


def _restore(pod: Tree, old: Tree) -> None:
    for name in ("spec", "status"):
        _keep(pod, old, name)
    pod.setdefault("spec", {})
    given = {name: pod["metadata"][name] for name in _GIVEN_METADATA if pod["metadata"].get(name)}
    pod["metadata"] = {**copy(old["metadata"]), **given}


# -- on create --------------------------------------------------------------------------------------------------------


def _merge_label_keys(spec: Tree, labels: dict[str, str]) -> None:
    """``matchLabelKeys`` become expressions with the pod's own values, so that nobody else has to know of them."""
    affinity = spec.get("affinity") or {}
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        for term in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            _merge_term(term.get("podAffinityTerm") or {}, labels)
        for term in rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            _merge_term(term, labels)
    for rule in spec.get("topologySpreadConstraints") or ():
        _merge_term(rule, labels)


def _merge_term(term: Tree, labels: dict[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in term.get(field) or ():
            if key in labels:
                rule = {"key": key, "operator": operator, "values": [labels[key]]}
                selector.setdefault("matchExpressions", []).append(rule)


def app_armor_of(annotation: str) -> Tree | None:
    """The field that stands for the value of an AppArmor annotation; None if the value is not valid."""
    if annotation == "unconfined":
        return {"type": "Unconfined"}
    if annotation == "runtime/default":
        return {"type": "RuntimeDefault"}
    if annotation.startswith("localhost/"):
        profile = annotation.removeprefix("localhost/")
        if profile and profile.strip() == profile and len(profile) <= 4095:
            return {"type": "Localhost", "localhostProfile": profile}
    return None


def _adopt_app_armor(spec: Tree, annotations: dict[str, str]) -> None:
    """Copies profiles from the old annotations to the fields of containers that state none."""
    if (spec.get("os") or {}).get("name") == "windows":
        return
    pod_profile = (spec.get("securityContext") or {}).get("appArmorProfile")
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            annotation = annotations.get(APP_ARMOR + container.get("name", ""))
            if annotation is None or (container.get("securityContext") or {}).get("appArmorProfile"):
                continue
            profile = app_armor_of(annotation)
            if profile is not None and profile != pod_profile:
                container.setdefault("securityContext", {})["appArmorProfile"] = profile


# -- binding and deletion ---------------------------------------------------------------------------------------------


def validate_binding(binding: Tree) -> list[FieldError]:
    """Errors of a Binding tree."""
    target = binding.get("target") or {}
    errors: list[FieldError] = []
    if target.get("kind") not in (None, "", "Node"):
        errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors


def bind(pod: Tree, node: str, binding: Tree, now: str) -> None:
    """Assigns the pod to a node, in place. ``now``: RFC 3339. Raises Conflict as upstream words it."""
    metadata, spec = pod["metadata"], pod["spec"]
    name = metadata.get("name", "")
    wanted = binding.get("metadata") or {}
    for field, shown in (("uid", "UID"), ("resourceVersion", "resource version")):
        given, have = wanted.get(field), metadata.get(field)
        if given and have and given != have:
            raise _refuse(
                name, f"Precondition failed: {shown} in precondition: {given}, {shown} in object meta: {have}"
            )
    if metadata.get("deletionTimestamp"):
        raise _refuse(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _refuse(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refuse(name, f"pod {name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = node
    annotations = wanted.get("annotations")
    if annotations:
        metadata.setdefault("annotations", {}).update(annotations)
    labels = wanted.get("labels")
    if labels:
        metadata.setdefault("labels", {}).update(labels)
    status = pod.setdefault("status", {})
    conditions = status.setdefault("conditions", [])
    found = next((c for c in conditions if c.get("type") == "PodScheduled"), None)
    if found is None:
        found = {"type": "PodScheduled"}
        conditions.append(found)
    if found.get("status") != "True":
        found["lastTransitionTime"] = now
    found["status"] = "True"
    for field in ("reason", "message"):
        found.pop(field, None)
    status.pop("nominatedNodeName", None)


def _refuse(name: str, why: str) -> StatusError:
    return Conflict("pods/binding", "", name, why)


def grace_period(pod: Pod, requested: int | None) -> int:
    """Seconds that the pod gets to end: none before it runs anywhere or after it has finished."""
    if not pod.spec.nodeName or pod.status.phase in ("Succeeded", "Failed"):
        return 0
    period = requested
    if period is None:
        period = pod.spec.terminationGracePeriodSeconds or 0
    return 1 if period < 0 else period
