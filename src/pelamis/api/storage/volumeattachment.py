"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.persistentvolume import PersistentVolumeSpec
from pelamis.api.field import F, Int32, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class VolumeAttachmentSource(Struct, frozen=True):
    persistentVolumeName: Annotated[str | None, F(1)] = None
    inlineVolumeSpec: Annotated[PersistentVolumeSpec | None, F(2)] = None


class VolumeAttachmentSpec(Struct, frozen=True):
    attacher: Annotated[str, F(1, required=True)] = always(str)
    source: Annotated[VolumeAttachmentSource, F(2, required=True)] = always(VolumeAttachmentSource)
    nodeName: Annotated[str, F(3, required=True)] = always(str)


class VolumeError(Struct, frozen=True):
    time: Annotated[Time, F(1)] = ""
    message: Annotated[str, F(2)] = ""
    errorCode: Annotated[Int32 | None, F(3)] = None


class VolumeAttachmentStatus(Struct, frozen=True):
    attached: Annotated[bool, F(1, required=True)] = always(bool)
    attachmentMetadata: Annotated[dict[str, str], F(2)] = {}
    attachError: Annotated[VolumeError | None, F(3)] = None
    detachError: Annotated[VolumeError | None, F(4)] = None


class VolumeAttachment(Struct, frozen=True):
    kind: str = always(lambda: "VolumeAttachment")
    apiVersion: str = always(lambda: "storage.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[VolumeAttachmentSpec, F(2, required=True)] = always(VolumeAttachmentSpec)
    status: Annotated[VolumeAttachmentStatus, F(3)] = always(VolumeAttachmentStatus)


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
)
