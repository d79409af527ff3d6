"""PersistentVolumeClaim: a request for storage, bound to one PersistentVolume.

The spec is fixed once made, except for what it asks of a bound volume: its size, and its attributes class.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec.structs import replace

from pelamis.api.core.amount import check_amount, check_not_negative_whole, check_positive
from pelamis.api.core.difference import difference
from pelamis.api.core.reference import TypedLocalObjectReference, TypedObjectReference
from pelamis.api.core.resourcename import is_native
from pelamis.api.field import F, Quantity, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.metavalidate import validate_annotations, validate_label_selector, validate_labels
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, forbidden, invalid, not_supported, required
from pelamis.base.quantity import NANO, canonical, parse


class VolumeResourceRequirements(Struct, frozen=True):
    """Size."""

    limits: Annotated[dict[str, Quantity], F(1, "The most; storage.")] = {}
    requests: Annotated[dict[str, Quantity], F(2, "The least; storage, in bytes.")] = {}


class PersistentVolumeClaimSpec(Struct, frozen=True):
    """What storage is asked for."""

    accessModes: Annotated[
        tuple[str, ...],
        F(
            1,
            "ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod.",
            list="atomic",
            enum=(
                "ReadWriteOnce",
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOncePod",
            ),
        ),
    ] = ()
    selector: Annotated[LabelSelector | None, F(4, "Labels that the volume must have.")] = None
    resources: Annotated[VolumeResourceRequirements, F(2, "Size; may grow once bound.")] = always(
        VolumeResourceRequirements
    )
    volumeName: Annotated[str, F(3, "The volume it is bound to.")] = ""
    storageClassName: Annotated[
        str | None, F(5, "Class; empty: volumes without class only; null: the default class.")
    ] = None
    volumeMode: Annotated[
        str | None,
        F(
            6,
            "Filesystem or Block.",
            enum=(
                "Block",
                "Filesystem",
            ),
            default="Filesystem",
        ),
    ] = None
    dataSource: Annotated[
        TypedLocalObjectReference | None, F(7, "Snapshot or claim to start from, in the same namespace.")
    ] = None
    dataSourceRef: Annotated[TypedObjectReference | None, F(8, "Any object to start from.")] = None
    volumeAttributesClassName: Annotated[str | None, F(9, "Class of attributes that can change.")] = None


class PersistentVolumeClaimCondition(Struct, frozen=True):
    """What happens to a claim."""

    type: Annotated[str, F(1, "Resizing, FileSystemResizePending, ...", required=True)] = always(str)
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    lastProbeTime: Annotated[Time, F(3, "When it was last checked.")] = ""
    lastTransitionTime: Annotated[Time, F(4, "When status last changed.")] = ""
    reason: Annotated[str, F(5, "One word in CamelCase.")] = ""
    message: Annotated[str, F(6, "Text for people.")] = ""


class ModifyVolumeStatus(Struct, frozen=True):
    """A change of attributes under way."""

    targetVolumeAttributesClassName: Annotated[str, F(1, "Class it changes to.")] = ""
    status: Annotated[
        str,
        F(
            2,
            "Pending, InProgress or Infeasible.",
            enum=(
                "Pending",
                "InProgress",
                "Infeasible",
            ),
            required=True,
        ),
    ] = always(str)


class VolumeHealthCondition(Struct, frozen=True):
    """Something wrong with a volume."""

    status: Annotated[
        str,
        F(
            1,
            "Inaccessible, DataLoss or Degraded.",
            enum=(
                "Inaccessible",
                "DataLoss",
                "Degraded",
            ),
            required=True,
        ),
    ] = always(str)
    reason: Annotated[str, F(2, "One word in CamelCase.", required=True)] = always(str)
    message: Annotated[str, F(3, "Text for people.")] = ""


class VolumeHealthStatus(Struct, frozen=True):
    """Health of a volume."""

    healthConditions: Annotated[
        tuple[VolumeHealthCondition, ...],
        F(
            1,
            "What is wrong.",
            merge="merge",
            key="status",
            list="map",
            keys=(
                "status",
                "reason",
            ),
        ),
    ] = ()
    lastTransitionTime: Annotated[Time, F(2, "When that last changed.")] = ""


class PersistentVolumeClaimStatus(Struct, frozen=True):
    """What storage was given."""

    phase: Annotated[
        str,
        F(
            1,
            "Pending, Bound or Lost.",
            enum=(
                "Pending",
                "Bound",
                "Lost",
            ),
        ),
    ] = ""
    accessModes: Annotated[
        tuple[str, ...],
        F(
            2,
            "Modes of the volume.",
            list="atomic",
            enum=(
                "ReadWriteOnce",
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOncePod",
            ),
        ),
    ] = ()
    capacity: Annotated[dict[str, Quantity], F(3, "Size of the volume.")] = {}
    conditions: Annotated[
        tuple[PersistentVolumeClaimCondition, ...],
        F(4, "What happens to it.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()
    allocatedResources: Annotated[dict[str, Quantity], F(5, "Size that is set aside while it grows.")] = {}
    allocatedResourceStatuses: Annotated[
        dict[str, str],
        F(
            7,
            "How far growing has come, by resource.",
            map="granular",
            enum=(
                "ControllerResizeInProgress",
                "ControllerResizeInfeasible",
                "NodeResizePending",
                "NodeResizeInProgress",
                "NodeResizeInfeasible",
            ),
        ),
    ] = {}
    currentVolumeAttributesClassName: Annotated[str | None, F(8, "Class of attributes in effect.")] = None
    modifyVolumeStatus: Annotated[ModifyVolumeStatus | None, F(9, "A change of attributes under way.")] = None
    healthStatus: Annotated[VolumeHealthStatus | None, F(10, "Health of the volume.")] = None


class PersistentVolumeClaim(Struct, frozen=True):
    """A request for storage."""

    kind: str = always(lambda: "PersistentVolumeClaim")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    spec: Annotated[PersistentVolumeClaimSpec, F(2, "What is asked for.")] = always(PersistentVolumeClaimSpec)
    status: Annotated[PersistentVolumeClaimStatus, F(3, "What was given.")] = always(PersistentVolumeClaimStatus)


ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
ASKED_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_ASKED_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
_SHORT_MODES = (
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
)
_RESIZE = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizePending",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
)
_OTHER_METADATA = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def default(tree: Tree) -> None:
    status = tree.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"


def prepare_create(tree: Tree) -> None:
    tree["status"] = {"phase": "Pending"}
    _align_sources(tree.get("spec") or {})


def prepare_update(tree: Tree, old: Tree) -> None:
    _align_sources(tree.get("spec") or {})


def _align_sources(spec: Tree) -> None:
    """``dataSource`` and ``dataSourceRef`` say the same where only one is given and it stays in the namespace."""
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and ref is None:
        spec["dataSourceRef"] = {k: v for k, v in source.items() if k in ("apiGroup", "kind", "name")}
    elif ref is not None and source is None and not ref.get("namespace"):
        spec["dataSource"] = {k: v for k, v in ref.items() if k in ("apiGroup", "kind", "name")}


def check_access_modes(modes: tuple[str, ...], path: str, errors: list[FieldError]) -> None:
    for mode in modes:
        if mode not in ACCESS_MODES:
            errors.append(not_supported(path, mode, ACCESS_MODES))
    if "ReadWriteOncePod" in modes and any(m in ACCESS_MODES and m != "ReadWriteOncePod" for m in modes):
        errors.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))


def validate_claim_spec(
    spec: PersistentVolumeClaimSpec, path: str, old: PersistentVolumeClaimSpec | None = None
) -> list[FieldError]:
    """``old``: what it was before an update; problems that it already had in its data source are let pass."""
    errors: list[FieldError] = []
    if not spec.accessModes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    if spec.selector is not None:
        lenient = old is not None and bool(validate_label_selector(old.selector, ""))
        at = f"{path}.selector"
        errors.extend(validate_label_selector(spec.selector, at, allow_invalid_values=lenient))
    check_access_modes(spec.accessModes, f"{path}.accessModes", errors)
    at = f"{path}.resources[storage]"
    size = spec.resources.requests.get("storage")
    if size is None:
        errors.append(required(at))
    else:
        check_positive(size, at, errors)
    if spec.storageClassName:
        _check_class(spec.storageClassName, f"{path}.storageClassName", errors)
    if spec.volumeMode is not None and spec.volumeMode not in ("Block", "Filesystem"):
        errors.append(not_supported(f"{path}.volumeMode", spec.volumeMode, ("Block", "Filesystem")))
    _check_sources(spec, path, old, errors)
    if spec.volumeAttributesClassName:
        _check_class(spec.volumeAttributesClassName, f"{path}.volumeAttributesClassName", errors)
    return errors


def _check_class(name: str, path: str, errors: list[FieldError]) -> None:
    errors.extend(invalid(path, name, m) for m in names.is_dns1123_subdomain(name))


def _check_sources(
    spec: PersistentVolumeClaimSpec, path: str, old: PersistentVolumeClaimSpec | None, errors: list[FieldError]
) -> None:
    source, ref = spec.dataSource, spec.dataSourceRef
    if source is None and ref is None:
        return
    known = old is not None and any(
        s is not None and s.apiGroup is not None for s in (old.dataSource, old.dataSourceRef)
    )
    if source is not None:
        _check_source(source, f"{path}.dataSource", known, errors)
    if ref is not None:
        _check_source(ref, f"{path}.dataSourceRef", known, errors)
        if ref.namespace:
            at = f"{path}.dataSourceRef.namespace"
            errors.extend(invalid(at, ref.namespace, m) for m in names.is_dns1123_label(ref.namespace))
            if source is not None:
                detail = "may not be specified when dataSourceRef.namespace is specified"
                errors.append(invalid(path, f"{path}.dataSource", detail))
        elif source is not None and (source.apiGroup, source.kind, source.name) != (ref.apiGroup, ref.kind, ref.name):
            errors.append(invalid(path, f"{path}.dataSource", "must match dataSourceRef"))


def _check_source(
    source: TypedLocalObjectReference | TypedObjectReference, path: str, known: bool, errors: list[FieldError]
) -> None:
    if not source.name:
        errors.append(required(f"{path}.name"))
    if not source.kind:
        errors.append(required(f"{path}.kind"))
    group = source.apiGroup or ""
    if not group and source.kind != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid(path, source.kind, detail))
    if group and not known:
        errors.extend(invalid(f"{path}.apiGroup", group, m) for m in names.is_dns1123_subdomain(group))


def validate_claim_template(metadata: ObjectMeta, spec: PersistentVolumeClaimSpec, path: str) -> list[FieldError]:
    """A claim that a pod's ephemeral volume asks for: of the metadata, labels and annotations only."""
    errors = validate_annotations(metadata.annotations, f"{path}.metadata.annotations") if metadata.annotations else []
    if metadata.labels:
        errors += validate_labels(metadata.labels, f"{path}.metadata.labels")
    errors += [forbidden(f"{path}.metadata.{n}", "cannot be set") for n in _OTHER_METADATA if getattr(metadata, n)]
    return errors + validate_claim_spec(spec, f"{path}.spec")


def validate(obj: PersistentVolumeClaim) -> list[FieldError]:
    return validate_claim_spec(obj.spec, "spec")


def validate_update(obj: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
    errors = validate_claim_spec(obj.spec, "spec", old.spec)
    new, was = obj.spec, old.spec
    if not was.volumeName:
        was = replace(was, volumeName=new.volumeName)
    annotations, before = obj.metadata.annotations, old.metadata.annotations
    beta = before.get(BETA_CLASS)
    if was.storageClassName is None and new.storageClassName is not None and new.storageClassName == beta:
        if annotations.get(BETA_CLASS, beta) == beta:
            new = replace(new, storageClassName=None)
    else:
        if annotations.get(BETA_CLASS, "") != (beta or ""):
            at = f"metadata.annotations.{BETA_CLASS}"
            errors.append(invalid(at, annotations.get(BETA_CLASS, ""), "field is immutable"))
        if new.storageClassName is not None and was.storageClassName is None and beta in (None, new.storageClassName):
            new = replace(new, storageClassName=None)
    wanted, have = new.resources.requests.get("storage", "0"), was.resources.requests.get("storage", "0")
    class_now, class_then = new.volumeAttributesClassName, was.volumeAttributesClassName
    if obj.status.phase == "Bound":
        if new.resources.requests and "storage" in was.resources.requests:
            requests = {**new.resources.requests, "storage": was.resources.requests["storage"]}
            new = replace(new, resources=replace(new.resources, requests=requests))
        if class_now is not None:
            new = replace(new, volumeAttributesClassName=class_then)
    if new != was:
        detail = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        errors.append(forbidden("spec", f"{detail}\n{difference(was, new)}"))
    # a size that the volume never reached may be taken back
    reached = old.status.capacity.get("storage", "0")
    if parse(wanted).nano < parse(have).nano and parse(wanted).nano <= parse(reached).nano:
        errors.append(forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"))
    if obj.spec.volumeMode != old.spec.volumeMode:
        errors.append(invalid("volumeMode", obj.spec.volumeMode, "field is immutable"))
    if class_then is not None and class_now != class_then:
        at = "spec.volumeAttributesClassName"
        if class_now is None:
            errors.append(forbidden(at, "update from non-nil value to nil is forbidden"))
        elif not class_now:
            errors.append(forbidden(at, "update from non-nil value to an empty string is forbidden"))
    return errors


def validate_status_update(obj: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
    errors: list[FieldError] = []
    if not obj.spec.accessModes:
        errors.append(required("Spec.accessModes"))
    status = obj.status
    for name, text in status.capacity.items():
        check_not_negative_whole(text, f"status.capacity[{name}]", errors)
    at = "status.allocatedResourceStatus"
    for name, state in status.allocatedResourceStatuses.items():
        _check_resource_key(name, at, errors)
        if state not in _RESIZE:
            errors.append(not_supported(at, name, sorted(_RESIZE)))
    at = "status.allocatedResources"
    for name, text in status.allocatedResources.items():
        if _check_resource_key(name, at, errors):
            check_amount("storage", text, f"{at}[{name}]", errors)
    return errors


def _check_resource_key(name: str, path: str, errors: list[FieldError]) -> bool:
    messages = names.is_qualified_name(name)
    errors.extend(invalid(path, name, m) for m in messages)
    if messages:
        return False
    if is_native(name) and name != "storage":
        errors.append(not_supported(path, name, ("storage",)))
        return False
    return True


def claim_spec_warnings(spec: PersistentVolumeClaimSpec, path: str) -> list[str]:
    """Sizes that are no whole number of bytes."""
    out: list[str] = []
    for kind, amounts in (("requests", spec.resources.requests), ("limits", spec.resources.limits)):
        text = amounts.get("storage")
        if text is not None and parse(text).nano % NANO:
            at = f"{path}.resources.{kind}[storage]"
            out.append(f'{at}: fractional byte value "{canonical(text)}" is invalid, must be an integer')
    return out


def warnings(obj: PersistentVolumeClaim) -> list[str]:
    out: list[str] = []
    if BETA_CLASS in obj.metadata.annotations:
        at = f"metadata.annotations[{BETA_CLASS}]"
        out.append(f'{at}: deprecated since v1.8; use "storageClassName" attribute instead')
    return out + claim_spec_warnings(obj.spec, "spec")


def short_modes(modes: tuple[str, ...]) -> str:
    """``RWO,ROX``."""
    return ",".join(short for mode, short in _SHORT_MODES if mode in modes)


def storage_class(obj: PersistentVolumeClaim) -> str:
    """The name of the class, wherever it is given; "" for none."""
    return obj.metadata.annotations.get(BETA_CLASS) or obj.spec.storageClassName or ""


def is_bound(obj: PersistentVolumeClaim) -> bool:
    return bool(obj.spec.volumeName) and BIND_COMPLETED in obj.metadata.annotations


def asked_size(obj: PersistentVolumeClaim) -> int:
    """Billionths of a byte."""
    return parse(obj.spec.resources.requests.get("storage", "0")).nano


def cells(obj: PersistentVolumeClaim, now: float) -> tuple[Any, ...]:
    spec, status = obj.spec, obj.status
    capacity = modes = ""
    if spec.volumeName:
        modes = short_modes(status.accessModes)
        capacity = status.capacity.get("storage", "0")
    attributes = spec.volumeAttributesClassName
    return (
        obj.metadata.name,
        "Terminating" if obj.metadata.deletionTimestamp else status.phase,
        spec.volumeName,
        capacity,
        modes,
        storage_class(obj),
        "<unset>" if attributes is None else attributes,
        age(obj.metadata.creationTimestamp, now),
        "<unset>" if spec.volumeMode is None else spec.volumeMode,
    )


KIND = Kind(
    group="",
    version="v1",
    type=PersistentVolumeClaim,
    plural="persistentvolumeclaims",
    singular="persistentvolumeclaim",
    short_names=("pvc",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "", "v1", "PersistentVolumeClaim", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Status", "string"),
        Column("Volume", "string"),
        Column("Capacity", "string"),
        Column("Access Modes", "string"),
        Column("StorageClass", "string"),
        Column("VolumeAttributesClass", "string"),
        Column("Age", "string"),
        Column("VolumeMode", "string", priority=1),
    ),
    storage_hash="QWTyNDq0dC4=",
    cells=cells,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    warnings=warnings,
    indexes={
        "volume": lambda claim: (claim.spec.volumeName,) if claim.spec.volumeName else (),
        "unbound": lambda claim: () if claim.spec.volumeName else (storage_class(claim),),
    },
)
