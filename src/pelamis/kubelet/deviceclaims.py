"""Whether a pod may use the devices that its resource claims have, as the kubelet looks at it before the pod's sandbox
is made: each claim is there, is the pod's own where it must be, has its devices, and names the pod as its user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from typing import Any

from pelamis.api.resource.podclaim import Unresolved, claim_name, is_reserved, not_for_pod
from pelamis.api.resource.resourceclaim import ResourceClaim
from pelamis.base.errors import StatusError

FAILED = "FailedPrepareDynamicResources"
Read = Callable[[str], Awaitable[ResourceClaim]]


class Hindered(Exception):
    """A pod cannot have its devices, for the reason that is the text."""


def uses(pod: Any) -> bool:
    return bool(pod.spec.resourceClaims) or pod.status.extendedResourceClaimStatus is not None


def names(pod: Any) -> list[tuple[str, bool]]:
    """(claim, whether it must be the pod's own). Raises Unresolved."""
    out: list[tuple[str, bool]] = []
    for entry in pod.spec.resourceClaims:
        name, own = claim_name(pod, entry)
        if name is not None:
            out.append((name, own))
    if pod.status.extendedResourceClaimStatus is not None:
        out.append((pod.status.extendedResourceClaimStatus.resourceClaimName, False))
    return out


async def resolve(pod: Any, read: Read, drivers: Container[str] | None) -> list[ResourceClaim]:
    """The pod's claims, if it may use their devices. Raises Hindered.

    read: gets a claim of the pod's namespace; raises StatusError. drivers: those that serve the node; None = any.
    """
    meta = pod.metadata
    out: list[ResourceClaim] = []
    try:
        for name, own in names(pod):
            try:
                claim = await read(name)
            except StatusError as error:
                raise Hindered(f"fetch ResourceClaim {name}: {error.message}") from error
            foreign = not_for_pod(pod, claim) if own else ""
            if foreign:
                raise Hindered(foreign)
            if not is_reserved(claim, meta.uid):
                raise Hindered(
                    f"pod {meta.name} ({meta.uid}) is not allowed to use ResourceClaim {name} ({claim.metadata.uid})"
                )
            if claim.status.allocation is None:
                raise Hindered(f"ResourceClaim {name}: claim not allocated")
            for result in claim.status.allocation.devices.results:
                if drivers is not None and result.driver not in drivers:
                    raise Hindered(f"DRA driver {result.driver} is not registered")
            out.append(claim)
    except Unresolved as missing:
        raise Hindered(str(missing)) from missing
    return out


async def hindrance(pod: Any, read: Read, drivers: Container[str] | None) -> str:
    """Why the devices cannot be used, "" = they can."""
    try:
        await resolve(pod, read, drivers)
    except Hindered as why:
        return str(why)
    return ""


def told(why: str) -> str:
    """As the pod's event says it."""
    return f"Failed to prepare dynamic resources: prepare dynamic resources: {why}"
