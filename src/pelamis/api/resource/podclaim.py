"""How pods and their ResourceClaims find each other: names, owners, reservations; what a toleration tolerates. Pure.

A pod names a claim directly, or a template: then the claim that was made for it is found by the pod's status, and must
be owned by the pod.
"""

from __future__ import annotations

from typing import Any

from pelamis.api.resource.device import DeviceTaint, DeviceToleration
from pelamis.api.resource.resourceclaim import ResourceClaim, ResourceClaimConsumerReference

FINALIZER = "resource.kubernetes.io/delete-protection"
CLAIM_OF = "resource.kubernetes.io/pod-claim-name"
"""Annotation of a claim that was made of a template: which entry of the pod's resourceClaims it is for."""
EXTENDED = "resource.kubernetes.io/extended-resource-claim"
"""Annotation of a claim that the scheduler made for a pod's extended resources."""
CLASS_RESOURCE = "deviceclass.resource.kubernetes.io/"
"""Prefix of the extended resource that each DeviceClass has without being told."""
MOST_RESULTS = 32
MOST_CONSUMERS = 256
MOST_ALTERNATIVES = 8


class Unresolved(ValueError):
    """The claim that an entry of a pod means is not known; ``missing``: it has not been made yet."""

    def __init__(self, message: str, missing: bool) -> None:
        super().__init__(message)
        self.missing = missing


def claim_name(pod: Any, entry: Any) -> tuple[str | None, bool]:
    """(name, whether the claim must be the pod's own). None: no claim is needed. Raises Unresolved."""
    meta = pod.metadata
    if entry.resourceClaimName is not None:
        return entry.resourceClaimName, False
    if entry.resourceClaimTemplateName is not None:
        for status in pod.status.resourceClaimStatuses:
            if status.name == entry.name:
                return status.resourceClaimName, True
        raise Unresolved(f'pod "{meta.namespace}/{meta.name}": ResourceClaim not created yet', True)
    where = f'pod "{meta.namespace}/{meta.name}", spec.resourceClaim "{entry.name}"'
    raise Unresolved(f"{where}: none of the supported fields are set", False)


def not_for_pod(pod: Any, claim: ResourceClaim) -> str:
    """Why a claim is not the one that was made for the pod; "" = it is."""
    mine, its = pod.metadata, claim.metadata
    if its.namespace != mine.namespace:
        theirs = f"is not in the same namespace as Pod {mine.namespace}/{mine.name}"
        return f"ResourceClaim {its.namespace}/{its.name} {theirs}"
    if any(ref.controller and ref.uid == mine.uid for ref in its.ownerReferences):
        return ""
    whose = f"was not created for Pod {mine.namespace}/{mine.name} (Pod is not owner)"
    return f"ResourceClaim {its.namespace}/{its.name} {whose}"


def claim_names(pod: Any) -> list[str]:
    """Of the claims that are known, in order."""
    out = []
    for entry in pod.spec.resourceClaims:
        try:
            name, _ = claim_name(pod, entry)
        except Unresolved:
            continue
        if name is not None:
            out.append(name)
    return out


def is_reserved(claim: ResourceClaim, uid: str) -> bool:
    return any(consumer.uid == uid for consumer in claim.status.reservedFor)


def consumer_of(pod: Any) -> ResourceClaimConsumerReference:
    return ResourceClaimConsumerReference(resource="pods", name=pod.metadata.name, uid=pod.metadata.uid)


def is_pod(consumer: ResourceClaimConsumerReference) -> bool:
    return not consumer.apiGroup and consumer.resource == "pods"


def owning_pod(claim: ResourceClaim) -> tuple[str, str]:
    """(name, uid) of the pod that it was made for; ("", "") = none."""
    for ref in claim.metadata.ownerReferences:
        if ref.controller and ref.apiVersion == "v1" and ref.kind == "Pod":
            return ref.name, ref.uid
    return "", ""


def tolerates(toleration: DeviceToleration, taint: DeviceTaint) -> bool:
    """Whether a taint has an effect at all is looked at elsewhere."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator in ("", "Equal"):
        return toleration.value == taint.value
    return toleration.operator == "Exists"
