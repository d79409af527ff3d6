"""What may change in a pod once it exists: through the pod itself, its status, and its other subresources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from pelamis.api.core.difference import difference
from pelamis.api.core.nodeselector import NodeSelectorTerm
from pelamis.api.core.pod.affinity import Affinity, NodeAffinity, Toleration
from pelamis.api.core.pod.container import Container, ResourceRequirements
from pelamis.api.core.pod.pod import Pod
from pelamis.api.core.pod.qos import qos_class, qos_of_spec
from pelamis.api.core.pod.spec import PodSchedulingGate, PodSpec
from pelamis.api.core.pod.status import ContainerStatus, LinuxContainerUser, PodStatus
from pelamis.api.core.pod.validate import APP_ARMOR, MIRROR, check_pod, check_pod_annotations
from pelamis.api.core.pod.validate_affinity import check_tolerations
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required

Errors = list[FieldError]
_MAX_INT32 = 2147483647
_UPDATABLE = (
    "`spec.containers[*].image`,"
    "`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_RESIZABLE = ("cpu", "memory")


def validate_pod_update(pod: Pod, old: Pod) -> list[FieldError]:
    errors: Errors = []
    spec, before = pod.spec, old.spec
    if spec is before:  # it has been checked when it was written
        if pod.metadata.annotations:
            check_pod_annotations(pod.metadata.annotations, spec, "metadata.annotations", errors)
        _check_annotation_changes(pod, old, errors)
        return errors
    check_pod(pod, errors)
    _check_annotation_changes(pod, old, errors)
    for field in ("containers", "initContainers"):
        new, was = getattr(spec, field), getattr(before, field)
        if len(new) != len(was):
            errors.append(forbidden(f"spec.{field}", "pod updates may not add or remove containers"))
            return errors
        for i, container in enumerate(new):
            if not container.image:
                errors.append(required(f"spec.{field}[{i}].image"))
            elif container.image.strip() != container.image:
                detail = "must not have leading or trailing whitespace"
                errors.append(invalid(f"spec.{field}[{i}].image", container.image, detail))
    if not _check_deadline(spec.activeDeadlineSeconds, before.activeDeadlineSeconds, errors):
        return errors
    _check_only_added_tolerations(spec.tolerations, before.tolerations, "spec.tolerations", errors)
    _check_only_removed_gates(spec.schedulingGates, before.schedulingGates, "spec.schedulingGates", errors)
    if spec == before:
        return errors
    munged = replace(
        spec,
        containers=_with_images(spec.containers, before.containers),
        initContainers=_with_images(spec.initContainers, before.initContainers),
        activeDeadlineSeconds=before.activeDeadlineSeconds,
        schedulingGates=before.schedulingGates,
        tolerations=before.tolerations,
    )
    grace = before.terminationGracePeriodSeconds
    if grace is not None and grace < 0 and munged.terminationGracePeriodSeconds == 1:
        munged = replace(munged, terminationGracePeriodSeconds=grace)
    if before.schedulingGates:
        munged = _without_gated_changes(munged, before, errors)
    if munged != before:
        detail = f"pod updates may not change fields other than {_UPDATABLE}\n{difference(before, munged)}"
        errors.append(forbidden("spec", detail))
    return errors


def _with_images(new: Sequence[Container], old: Sequence[Container]) -> tuple[Container, ...]:
    """The new containers with the old images."""
    return tuple(a if a.image == b.image else replace(a, image=b.image) for a, b in zip(new, old, strict=True))


def _check_deadline(new: int | None, old: int | None, errors: Errors) -> bool:
    """It may be set, and then only be shortened. False: no further check makes sense."""
    at = "spec.activeDeadlineSeconds"
    if new is None:
        if old is not None:
            errors.append(invalid(at, None, "must not update from a positive integer to nil value"))
        return True
    if not 0 <= new <= _MAX_INT32:
        errors.append(invalid(at, new, names.within(0, _MAX_INT32)))
        return False
    if old is not None and old < new:
        errors.append(invalid(at, new, "must be less than or equal to previous value"))
        return False
    return True


def _check_only_added_tolerations(
    new: Sequence[Toleration], old: Sequence[Toleration], path: str, errors: Errors
) -> None:
    if new == old:
        return
    kept = {(t.key, t.operator, t.value, t.effect) for t in new}
    if any((t.key, t.operator, t.value, t.effect) not in kept for t in old):
        errors.append(forbidden(path, "existing toleration can not be modified except its tolerationSeconds"))
        return
    check_tolerations(new, path, errors)


def _check_only_removed_gates(
    new: Sequence[PodSchedulingGate], old: Sequence[PodSchedulingGate], path: str, errors: Errors
) -> None:
    before = {gate.name for gate in old}
    for i, gate in enumerate(new):
        if gate.name not in before:
            detail = f"only deletion is allowed, but found new scheduling gate '{gate.name}'"
            errors.append(forbidden(f"{path}[{i}].name", detail))


def _without_gated_changes(munged: PodSpec, before: PodSpec, errors: Errors) -> PodSpec:
    """A pod that is gated may still get stricter about its node; takes such changes back for the comparison."""
    if munged.nodeSelector != before.nodeSelector:
        if any(munged.nodeSelector.get(k) != v for k, v in before.nodeSelector.items()):
            detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            errors.append(invalid("spec.nodeSelector", munged.nodeSelector, detail))
        munged = replace(munged, nodeSelector=before.nodeSelector)
    old = before.affinity.nodeAffinity if before.affinity is not None else None
    new = munged.affinity.nodeAffinity if munged.affinity is not None else None
    if new == old:
        return munged
    _check_node_affinity_change(new, old, errors)
    affinity = munged.affinity
    if affinity is None:
        affinity = Affinity(nodeAffinity=old)
    elif before.affinity is None and affinity.podAffinity is None and affinity.podAntiAffinity is None:
        affinity = None
    else:
        affinity = replace(affinity, nodeAffinity=old)
    return replace(munged, affinity=affinity)


def _check_node_affinity_change(new: NodeAffinity | None, old: NodeAffinity | None, errors: Errors) -> None:
    needed = old.requiredDuringSchedulingIgnoredDuringExecution if old is not None else None
    if needed is None or not needed.nodeSelectorTerms:
        return
    wanted = new.requiredDuringSchedulingIgnoredDuringExecution if new is not None else None
    terms = wanted.nodeSelectorTerms if wanted is not None else ()
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    if len(terms) != len(needed.nodeSelectorTerms):
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        errors.append(invalid(path, terms, detail))
        return
    for i, (term, was) in enumerate(zip(terms, needed.nodeSelectorTerms, strict=True)):
        if not _only_adds(term, was):
            detail = "only additions are allowed (no mutations or deletions)"
            errors.append(invalid(f"{path}[{i}]", term, detail))


def _only_adds(new: NodeSelectorTerm, old: NodeSelectorTerm) -> bool:
    if not old.matchExpressions and not old.matchFields:
        return not new.matchExpressions and not new.matchFields
    return (
        new.matchExpressions[: len(old.matchExpressions)] == old.matchExpressions
        and new.matchFields[: len(old.matchFields)] == old.matchFields
    )


def _check_annotation_changes(pod: Pod, old: Pod, errors: Errors) -> None:
    new, was = pod.metadata.annotations, old.metadata.annotations
    if new == was:
        return
    path = "metadata.annotations"
    for key, value in was.items():
        if new.get(key) == value:
            continue
        if key.startswith(APP_ARMOR):
            errors.append(forbidden(f"{path}[{key}]", "may not remove or update AppArmor annotations"))
        if key == MIRROR:
            errors.append(forbidden(f"{path}[{key}]", "may not remove or update mirror pod annotation"))
    for key in new:
        if key in was:
            continue
        if key.startswith(APP_ARMOR):
            errors.append(forbidden(f"{path}[{key}]", "may not add AppArmor annotations"))
        if key == MIRROR:
            errors.append(forbidden(f"{path}[{key}]", "may not add mirror pod annotation"))


def validate_pod_status_update(pod: Pod, old: Pod) -> list[FieldError]:
    errors: Errors = []
    _check_annotation_changes(pod, old, errors)
    if pod.metadata.annotations:
        check_pod_annotations(pod.metadata.annotations, pod.spec, "metadata.annotations", errors)
    status, before = pod.status, old.status
    for i, condition in enumerate(status.conditions):
        if condition.type not in ("PodScheduled", "Ready", "Initialized"):
            messages = names.is_qualified_name(condition.type)
            errors.extend(invalid(f"metadata.conditions[{i}].Type", condition.type, m) for m in messages)
    if pod.spec.nodeName != old.spec.nodeName:
        errors.append(forbidden("status.nodeName", "may not be changed directly"))
    nominated = status.nominatedNodeName
    if nominated and nominated != before.nominatedNodeName:
        messages = names.is_dns1123_subdomain(nominated)
        errors.extend(invalid("status.nominatedNodeName", nominated, m) for m in messages)
    if status.qosClass != before.qosClass:
        errors.append(invalid("status.qosClass", status.qosClass, "field is immutable"))
    _check_transitions(pod, old, errors)
    _check_claim_statuses(pod, errors)
    _check_addresses(status, errors)
    system = pod.spec.os.name if pod.spec.os is not None else "linux"
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        _check_users(getattr(status, field), system, f"status.{field}", errors)
    _check_allocated(status.containerStatuses, pod.spec.containers, "status.containerStatuses", errors)
    _check_allocated(status.initContainerStatuses, pod.spec.initContainers, "status.initContainerStatuses", errors)
    for i, container in enumerate(status.ephemeralContainerStatuses):
        if container.allocatedResourcesStatus:
            at = f"status.ephemeralContainerStatuses[{i}].allocatedResourcesStatus"
            errors.append(forbidden(at, "must not be specified in container status"))
    return errors


def _check_transitions(pod: Pod, old: Pod, errors: Errors) -> None:
    """A container that has ended for good stays ended."""
    spec, status, before = old.spec, pod.status, old.status
    at = "status.ephemeralContainerStatuses"
    _check_ended(status.ephemeralContainerStatuses, before.ephemeralContainerStatuses, spec, (), at, errors)
    everyone = (*spec.containers, *spec.initContainers)
    if any(rule.action == "RestartAllContainers" for c in everyone for rule in c.restartPolicyRules):
        return
    at = "status.containerStatuses"
    _check_ended(status.containerStatuses, before.containerStatuses, spec, spec.containers, at, errors)
    at = "status.initContainerStatuses"
    _check_ended(status.initContainerStatuses, before.initContainerStatuses, spec, spec.initContainers, at, errors)


def _check_ended(
    new: Sequence[ContainerStatus],
    old: Sequence[ContainerStatus],
    spec: PodSpec,
    containers: Sequence[Container],
    path: str,
    errors: Errors,
) -> None:
    """containers: those that may run again, if rules and policies say so."""
    now = {s.name: s for s in new}
    for i, status in enumerate(old):
        ended, current = status.state.terminated, now.get(status.name)
        if ended is None or current is None or current.state.terminated is not None:
            continue
        container = next((c for c in containers if c.name == status.name), None)
        if container is None or not _restarts(container, spec, ended.exitCode):
            errors.append(forbidden(f"{path}[{i}].state", "may not be transitioned to non-terminated state"))


def _restarts(container: Container, spec: PodSpec, code: int) -> bool:
    for rule in container.restartPolicyRules if container.restartPolicy is not None else ():
        codes = rule.exitCodes
        if codes is not None and (code in codes.values) == (codes.operator == "In"):
            if rule.action == "Restart":
                return True
            break
    policy = container.restartPolicy or spec.restartPolicy
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _check_claim_statuses(pod: Pod, errors: Errors) -> None:
    known = {claim.name for claim in pod.spec.resourceClaims}
    seen: set[str] = set()
    for i, status in enumerate(pod.status.resourceClaimStatuses):
        at = f"status.resourceClaimStatuses[{i}].name"
        if status.name not in known:
            detail = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(invalid(at, status.name, detail))
        if status.name in seen:
            errors.append(duplicate(at, status.name))
        seen.add(status.name)
        claim = status.resourceClaimName
        if claim is not None:
            errors.extend(invalid(at, claim, m) for m in names.is_dns1123_subdomain(claim))


def _check_addresses(status: PodStatus, errors: Errors) -> None:
    _check_address_list([p.ip for p in status.podIPs], "status.podIPs", errors)
    if status.hostIPs:
        first = status.hostIPs[0].ip
        if status.hostIP != first:
            errors.append(invalid("status.hostIPs[0].ip", first, "must be equal to `hostIP`"))
        _check_address_list([h.ip for h in status.hostIPs], "status.hostIPs", errors)


def _check_address_list(addresses: Sequence[str], path: str, errors: Errors) -> None:
    for i, address in enumerate(addresses):
        errors.extend(invalid(f"{path}[{i}]", address, m) for m in names.is_ip(address))
    if len(addresses) < 2:
        return
    if len(addresses) > 2 or {names.ip_family(a) for a in addresses} != {4, 6}:
        shown = [{"ip": a} for a in addresses]
        errors.append(invalid(path, shown, "may specify no more than one IP for each IP family"))
    for i, address in enumerate(addresses):
        if address in addresses[:i]:
            errors.append(duplicate(f"{path}[{i}]", {"ip": address}))


def _check_users(statuses: Sequence[ContainerStatus], system: str, path: str, errors: Errors) -> None:
    for i, status in enumerate(statuses):
        user = status.user.linux if status.user is not None else None
        if user is None:
            continue
        if system == "windows":
            errors.append(forbidden(f"{path}[{i}].linux", "cannot be set for a windows pod"))
        elif system == "linux":
            _check_user(user, f"{path}[{i}].linux", errors)


def _check_user(user: LinuxContainerUser, path: str, errors: Errors) -> None:
    ids = [("uid", user.uid), ("gid", user.gid)]
    ids += [(f"supplementalGroups[{i}]", gid) for i, gid in enumerate(user.supplementalGroups)]
    for name, value in ids:
        errors.extend(invalid(f"{path}.{name}", value, m) for m in names.is_id(value))


_HEALTH = ("Healthy", "Unhealthy", "Unknown")


def _check_allocated(
    statuses: Sequence[ContainerStatus], containers: Sequence[Container], path: str, errors: Errors
) -> None:
    by_name = {c.name: c for c in containers}
    for i, status in enumerate(statuses):
        for j, allocated in enumerate(status.allocatedResourcesStatus):
            at = f"{path}[{i}].allocatedResourcesStatus[{j}]"
            container = by_name.get(status.name)
            if container is not None:
                resources = container.resources
                if allocated.name.startswith("claim:"):
                    found = {f"claim:{c.name}/{c.request}".removesuffix("/") for c in resources.claims}
                    detail = (
                        "must match one of the container's resource claims in a format "
                        "'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
                    )
                else:
                    found = set(resources.requests)
                    detail = "must match one of the container's resource requests"
                if allocated.name not in found:
                    errors.append(invalid(f"{at}.name", allocated.name, detail))
            seen: set[str] = set()
            for k, resource in enumerate(allocated.resources):
                if resource.health not in _HEALTH:
                    errors.append(not_supported(f"{at}.resources[{k}].health", resource.health, _HEALTH))
                if resource.resourceID in seen:
                    errors.append(duplicate(f"{at}.resources[{k}].resourceID", resource.resourceID))
                seen.add(resource.resourceID)


def validate_ephemeral_containers_update(pod: Pod, old: Pod) -> list[FieldError]:
    """Debug containers can be added, and neither changed nor removed."""
    if MIRROR in old.metadata.annotations:
        return [forbidden("", "static pods do not support ephemeral containers")]
    errors: Errors = []
    check_pod(pod, errors)
    _check_annotation_changes(pod, old, errors)
    now = {c.name: c for c in pod.spec.ephemeralContainers}
    for container in old.spec.ephemeralContainers:
        current = now.get(container.name)
        at = "spec.ephemeralContainers"
        if current is None:
            detail = f'existing ephemeral containers "{container.name}" may not be removed\n'
            errors.append(forbidden(at, detail))
        elif current != container:
            shown = difference(container, current)
            detail = f'existing ephemeral containers "{container.name}" may not be changed\n{shown}'
            errors.append(forbidden(at, detail))
    return errors


def validate_resize(pod: Pod, old: Pod) -> list[FieldError]:
    """Cpu and memory of containers and of the pod as a whole may change as long as the QoS class stays."""
    if MIRROR in old.metadata.annotations:
        return [forbidden("", "static pods cannot be resized")]
    if old.spec.os is not None and old.spec.os.name == "windows":
        return [forbidden("", "windows pods cannot be resized")]
    errors: Errors = []
    check_pod(pod, errors)
    spec, before = pod.spec, old.spec
    if qos_class(old) != qos_of_spec(spec):
        detail = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", pod.status.qosClass, detail))
    if not _supports_resize(old):
        errors.append(forbidden("spec", "Pod running on node without support for resize"))
    whole = _check_whole(spec.resources, before.resources, errors)
    if old.status.nodeAllocatableResourceClaimStatuses:
        errors.append(forbidden("spec", "pods with node allocatable resource claims cannot be resized"))
    ordered = True
    for field, new, was in (
        ("containers", spec.containers, before.containers),
        ("initContainers", spec.initContainers, before.initContainers),
    ):
        ordered = _check_order(field, new, was, errors) and ordered
    if not ordered:
        return errors
    for field, new, was in (
        ("initContainers", spec.initContainers, before.initContainers),
        ("containers", spec.containers, before.containers),
    ):
        for i, (container, previous) in enumerate(zip(new, was, strict=True)):
            _check_not_removed(container.resources, previous.resources, f"spec.{field}[{i}].resources", "", errors)
    munged = replace(
        spec,
        resources=whole,
        containers=tuple(_without_resize(a, b) for a, b in zip(spec.containers, before.containers, strict=True)),
        initContainers=tuple(
            _without_resize(a, b) for a, b in zip(spec.initContainers, before.initContainers, strict=True)
        ),
    )
    for new_container, was_container in zip(munged.containers, before.containers, strict=True):
        if new_container != was_container:
            errors.append(forbidden("spec", "only cpu and memory resources are mutable"))
    for i, (given, container, was_container) in enumerate(
        zip(spec.initContainers, munged.initContainers, before.initContainers, strict=True)
    ):
        at = f"spec.initContainers[{i}]"
        if container != was_container:
            errors.append(forbidden(at, "only cpu and memory resources for init or sidecar containers are mutable"))
        if given != was_container and given.restartPolicy != "Always":
            detail = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
            errors.extend(forbidden(at, detail) for p in given.resizePolicy if p.restartPolicy == "RestartContainer")
    if not errors and munged != before:
        errors.append(forbidden("spec", "only cpu and memory resources are mutable"))
    return errors


def _check_whole(
    new: ResourceRequirements | None, old: ResourceRequirements | None, errors: Errors
) -> ResourceRequirements | None:
    """Pod-level resources: what is left of the new ones when cpu and memory are as before."""
    if old is not None and (old.requests or old.limits) and new is None:
        errors.append(forbidden("spec.resources", "pod-level resources cannot be removed"))
        return new
    if new is None:
        return new
    _check_not_removed(new, old or ResourceRequirements(), "spec.resources", "pod-level ", errors)
    left = _mixed(new, old or ResourceRequirements())
    whole = None if old is None and not (left.requests or left.limits or left.claims) else left
    if whole != old:
        errors.append(forbidden("spec", "only cpu and memory resources are mutable at pod-level"))
    return whole


def _check_order(field: str, new: Sequence[Container], old: Sequence[Container], errors: Errors) -> bool:
    if len(new) != len(old):
        errors.append(forbidden(f"spec.{field}", f"{field} may not be added or removed on resize"))
        return False
    moved = [i for i, (a, b) in enumerate(zip(new, old, strict=True)) if a.name != b.name]
    detail = f"{field} may not be renamed or reordered on resize"
    errors.extend(forbidden(f"spec.{field}[{i}].name", detail) for i in moved)
    return not moved


def _supports_resize(pod: Pod) -> bool:
    """A kubelet that can resize reports the resources of its running containers."""
    for status in pod.status.containerStatuses:
        if status.state.running is not None:
            return status.resources is not None
    return True


def _check_not_removed(
    new: ResourceRequirements, old: ResourceRequirements, path: str, what: str, errors: Errors
) -> None:
    if old.requests.keys() - new.requests.keys():
        errors.append(forbidden(f"{path}.requests", f"{what}resource requests cannot be removed"))
    if old.limits.keys() - new.limits.keys():
        errors.append(forbidden(f"{path}.limits", f"{what}resource limits cannot be removed"))


def _mixed(new: ResourceRequirements, old: ResourceRequirements) -> ResourceRequirements:
    """The new resources with the old cpu and memory."""

    def mix(new: Mapping[str, str], was: Mapping[str, str]) -> dict[str, str]:
        out = {name: text for name, text in new.items() if name not in _RESIZABLE}
        out.update((name, was[name]) for name in _RESIZABLE if name in was)
        return out

    return ResourceRequirements(
        limits=mix(new.limits, old.limits), requests=mix(new.requests, old.requests), claims=new.claims
    )


def _without_resize(container: Container, old: Container) -> Container:
    return replace(container, resources=_mixed(container.resources, old.resources))
