"""CSIDriver: what a CSI driver can do and what it needs from the cluster; named after the driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import NONE, UNSET
from pelamis.api.check import Errors, check_choice, check_immutable
from pelamis.api.field import F, Int64, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base.errors import duplicate, forbidden, invalid, required


class TokenRequest(Struct, frozen=True):
    audience: Annotated[str, F(1, "Who the token is for; the API server if empty.", required=True)] = always(str)
    expirationSeconds: Annotated[Int64 | None, F(2, "Life of the token, in seconds.")] = None


class CSIDriverSpec(Struct, frozen=True):
    attachRequired: Annotated[
        bool | None, F(1, "Whether volumes must be attached to a node; true if unset.", default=True)
    ] = None
    podInfoOnMount: Annotated[
        bool | None, F(2, "Whether the driver is told about the pod on mount.", default=False)
    ] = None
    volumeLifecycleModes: Annotated[
        tuple[str, ...], F(3, "Persistent, Ephemeral or both.", list="set", default=["Persistent"])
    ] = ()
    storageCapacity: Annotated[
        bool | None, F(4, "Whether the scheduler looks at CSIStorageCapacity objects.", default=False)
    ] = None
    fsGroupPolicy: Annotated[
        str | None,
        F(
            5,
            "ReadWriteOnceWithFSType, File or None: when volumes get the group of the pod.",
            default="ReadWriteOnceWithFSType",
        ),
    ] = None
    tokenRequests: Annotated[
        tuple[TokenRequest, ...], F(6, "Service account tokens that the driver is given on mount.", list="atomic")
    ] = ()
    requiresRepublish: Annotated[
        bool | None, F(7, "Whether volumes are published again and again while mounted.", default=False)
    ] = None
    seLinuxMount: Annotated[bool | None, F(8, "Whether volumes can be mounted with an SELinux context.")] = None
    nodeAllocatableUpdatePeriodSeconds: Annotated[
        Int64 | None, F(9, "Seconds, at least 10, after which the count of attachable volumes is read again.")
    ] = None
    serviceAccountTokenInSecrets: Annotated[bool | None, F(10, "Whether tokens are passed as secrets of the call.")] = (
        None
    )
    preventPodSchedulingIfMissing: Annotated[
        bool | None, F(11, "Whether pods are kept off nodes without the driver.")
    ] = None


class CSIDriver(Struct, frozen=True):
    """What a CSI driver can do and what it needs from the cluster; named after the driver."""

    kind: str = always(lambda: "CSIDriver")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[CSIDriverSpec, F(2, "What is wanted.", required=True)] = always(CSIDriverSpec)


_SHORTEST_TOKEN_S, _LONGEST_TOKEN_S, _SHORTEST_PERIOD_S = 600, 1 << 32, 10


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if spec.get("seLinuxMount") is None:
        spec["seLinuxMount"] = False


def _validate_token_requests(requests: tuple[TokenRequest, ...], path: str) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for i, request in enumerate(requests):
        where, lifetime = f"{path}[{i}].expirationSeconds", request.expirationSeconds
        if request.audience in seen:
            errors.append(duplicate(f"{path}[{i}].audience", request.audience))
            continue
        seen.add(request.audience)
        if lifetime is not None and lifetime < _SHORTEST_TOKEN_S:
            errors.append(invalid(where, lifetime, "may not specify a duration less than 10 minutes"))
        if lifetime is not None and lifetime > _LONGEST_TOKEN_S:
            errors.append(invalid(where, lifetime, "may not specify a duration larger than 2^32 seconds"))
    return errors


def validate(obj: CSIDriver) -> Errors:
    spec = obj.spec
    errors: Errors = []
    for name, shown in (
        ("attachRequired", "attachedRequired"),
        ("podInfoOnMount", "podInfoOnMount"),
        ("storageCapacity", "storageCapacity"),
    ):
        if getattr(spec, name) is None:
            errors.append(required(f"spec.{shown}"))
    if spec.fsGroupPolicy is not None:
        choices = ("File", "None", "ReadWriteOnceWithFSType")
        errors += check_choice(spec.fsGroupPolicy, "spec.fsGroupPolicy", choices)
    errors += _validate_token_requests(spec.tokenRequests, "spec.tokenRequests")
    for mode in spec.volumeLifecycleModes:
        errors += check_choice(mode, "spec.volumeLifecycleModes", ("Persistent", "Ephemeral"))
    if spec.seLinuxMount is None:
        errors.append(required("spec.seLinuxMount"))
    period = spec.nodeAllocatableUpdatePeriodSeconds
    if period is not None and period < _SHORTEST_PERIOD_S:
        detail = "must be greater than or equal to 10 seconds"
        errors.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, detail))
    if spec.serviceAccountTokenInSecrets is not None and not spec.tokenRequests:
        detail = "may not be set when tokenRequests is empty"
        errors.append(forbidden("spec.serviceAccountTokenInSecrets", detail))
    return errors


def validate_update(obj: CSIDriver, old: CSIDriver) -> Errors:
    errors = validate(obj)
    errors += check_immutable(obj.spec.attachRequired, old.spec.attachRequired, "spec.attachedRequired")
    errors += check_immutable(obj.spec.volumeLifecycleModes, old.spec.volumeLifecycleModes, "spec.volumeLifecycleModes")
    return errors


_SECRETS = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible "
    "logging of tokens in volume attributes"
)


def warnings(obj: CSIDriver) -> list[str]:
    return [_SECRETS] if obj.spec.tokenRequests and obj.spec.serviceAccountTokenInSecrets is None else []


def cells(obj: CSIDriver, now: float) -> Sequence[Any]:
    spec = obj.spec
    return (
        obj.metadata.name,
        spec.attachRequired is not False,
        bool(spec.podInfoOnMount),
        bool(spec.storageCapacity),
        ",".join(r.audience for r in spec.tokenRequests) if spec.tokenRequests else UNSET,
        bool(spec.requiresRepublish),
        ",".join(spec.volumeLifecycleModes) or NONE,
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="storage.k8s.io",
    version="v1",
    type=CSIDriver,
    plural="csidrivers",
    singular="csidriver",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("AttachRequired", "boolean"),
        Column("PodInfoOnMount", "boolean"),
        Column("StorageCapacity", "boolean"),
        Column("TokenRequests", "string"),
        Column("RequiresRepublish", "boolean"),
        Column("Modes", "string"),
        Column("Age", "string"),
    ),
    storage_hash="hL6j/rwBV5w=",
    cells=cells,
    default=default,
    validate=validate,
    warnings=warnings,
    validate_update=validate_update,
)
