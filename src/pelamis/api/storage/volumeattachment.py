"""VolumeAttachment: the wish to have a volume attached to a node, and whether it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.check import Errors, check_immutable, check_text
from pelamis.api.core.persistentvolume import PersistentVolumeSpec
from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.storage.driver import check_driver_name
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import forbidden, invalid, required, too_long


class VolumeAttachmentSource(Struct, frozen=True):
    persistentVolumeName: Annotated[str | None, F(1, "The PersistentVolume.")] = None
    inlineVolumeSpec: Annotated[
        PersistentVolumeSpec | None, F(2, "A volume without a PersistentVolume, for migration.")
    ] = None


class VolumeAttachmentSpec(Struct, frozen=True):
    attacher: Annotated[str, F(1, "The driver that attaches.", required=True)] = always(str)
    source: Annotated[VolumeAttachmentSource, F(2, "The volume.", required=True)] = always(VolumeAttachmentSource)
    nodeName: Annotated[str, F(3, "The node.", required=True)] = always(str)


class VolumeError(Struct, frozen=True):
    time: Annotated[Time, F(1, "When it happened.")] = ""
    message: Annotated[str, F(2, "What happened; no secrets.")] = ""
    errorCode: Annotated[Int32 | None, F(3, "Code of the call that failed.")] = None


class VolumeAttachmentStatus(Struct, frozen=True):
    attached: Annotated[bool, F(1, "Whether it is attached.", required=True)] = always(bool)
    attachmentMetadata: Annotated[dict[str, str], F(2, "What the driver needs for the next step.")] = {}
    attachError: Annotated[VolumeError | None, F(3, "The last failure to attach.")] = None
    detachError: Annotated[VolumeError | None, F(4, "The last failure to detach.")] = None


class VolumeAttachment(Struct, frozen=True):
    """The wish to have a volume attached to a node, and whether it is."""

    kind: str = always(lambda: "VolumeAttachment")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[VolumeAttachmentSpec, F(2, "What is wanted.", required=True)] = always(VolumeAttachmentSpec)
    status: Annotated[VolumeAttachmentStatus, F(3, "What was observed; written by the system.")] = always(
        VolumeAttachmentStatus
    )


_LARGEST_METADATA, _LONGEST_MESSAGE = 256 * 1024, 1024
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def _validate_source(source: VolumeAttachmentSource, path: str) -> Errors:
    volume = source.persistentVolumeName
    if source.inlineVolumeSpec is None and volume is None:
        return [required(path, _ONE_SOURCE)]
    if source.inlineVolumeSpec is not None and volume is not None:
        return [forbidden(path, _ONE_SOURCE)]
    if volume == "":
        return [required(f"{path}.persistentVolumeName", "must specify non empty persistentVolumeName")]
    if source.inlineVolumeSpec is not None and source.inlineVolumeSpec.csi is None:
        return [required(f"{path}.inlineVolumeSpec", "must specify a volume type")]
    return []


def _validate_error(error: VolumeError | None, path: str) -> Errors:
    if error is None:
        return []
    errors: Errors = []
    if len(error.message.encode()) > _LONGEST_MESSAGE:
        errors.append(too_long(f"{path}.message", _LONGEST_MESSAGE))
    if error.errorCode is not None and error.errorCode < 0:
        errors.append(invalid(f"{path}.errorCode", error.errorCode, names.within(0, 2147483647)))
    return errors


def _validate_status(status: VolumeAttachmentStatus) -> Errors:
    errors: Errors = []
    if sum(len(k.encode()) + len(v.encode()) for k, v in status.attachmentMetadata.items()) > _LARGEST_METADATA:
        errors.append(too_long("status.attachmentMetadata", _LARGEST_METADATA))
    errors += _validate_error(status.attachError, "status.attachError")
    return errors + _validate_error(status.detachError, "status.detachError")


def _validate_common(obj: VolumeAttachment) -> Errors:
    spec = obj.spec
    errors: Errors = [] if spec.attacher else [required("spec.attacher")]
    errors += _validate_source(spec.source, "spec.source")
    errors += check_text(names.is_dns1123_subdomain, spec.nodeName, "spec.nodeName")
    return errors + _validate_status(obj.status)


def validate(obj: VolumeAttachment) -> Errors:
    errors = _validate_common(obj)
    if obj.spec.attacher:
        errors += check_driver_name(obj.spec.attacher, "spec.attacher")
    volume = obj.spec.source.persistentVolumeName
    if volume is not None:
        errors += check_text(names.is_dns1123_subdomain, volume, "spec.source.persistentVolumeName")
    return errors


def validate_update(obj: VolumeAttachment, old: VolumeAttachment) -> Errors:
    return _validate_common(obj) + check_immutable(obj.spec, old.spec, "spec")


def validate_status_update(obj: VolumeAttachment, old: VolumeAttachment) -> Errors:
    return validate_update(obj, old)


def cells(obj: VolumeAttachment, now: float) -> Sequence[Any]:
    return (
        obj.metadata.name,
        obj.spec.attacher,
        obj.spec.source.persistentVolumeName or "",
        obj.spec.nodeName,
        obj.status.attached,
        age(obj.metadata.creationTimestamp, now),
    )


KIND = Kind(
    group="storage.k8s.io",
    version="v1",
    type=VolumeAttachment,
    plural="volumeattachments",
    singular="volumeattachment",
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(
            "status", "storage.k8s.io", "v1", "VolumeAttachment", ("get", "patch", "update"), reset=("metadata", "spec")
        ),
    ),
    reset=("status",),
    unconditional_update=False,
    columns=(
        Column("Name", "string", format="name"),
        Column("Attacher", "string", format="name"),
        Column("PV", "string"),
        Column("Node", "string"),
        Column("Attached", "boolean"),
        Column("Age", "string"),
    ),
    storage_hash="tJx/ezt6UDU=",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    indexes={
        "node": lambda obj: (obj.spec.nodeName,),
        "volume": lambda obj: (obj.spec.source.persistentVolumeName or "",),
    },
)
