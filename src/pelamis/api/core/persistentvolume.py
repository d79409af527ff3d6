"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.nodeselector import NodeSelector
from pelamis.api.core.pod.volume import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    FCVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    HostPathVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from pelamis.api.core.reference import ObjectReference, SecretReference
from pelamis.api.field import F, Int32, Quantity, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class GlusterfsPersistentVolumeSource(Struct, frozen=True):
    endpoints: Annotated[str, F(1, required=True)] = always(str)
    path: Annotated[str, F(2, required=True)] = always(str)
    readOnly: Annotated[bool, F(3)] = False
    endpointsNamespace: Annotated[str | None, F(4)] = None


class RBDPersistentVolumeSource(Struct, frozen=True):
    monitors: Annotated[tuple[str, ...], F(1, list="atomic", required=True)] = always(tuple)
    image: Annotated[str, F(2, required=True)] = always(str)
    fsType: Annotated[str, F(3)] = ""
    pool: Annotated[str, F(4, default="rbd")] = ""
    user: Annotated[str, F(5, default="admin")] = ""
    keyring: Annotated[str, F(6, default="/etc/ceph/keyring")] = ""
    secretRef: Annotated[SecretReference | None, F(7)] = None
    readOnly: Annotated[bool, F(8)] = False


class ISCSIPersistentVolumeSource(Struct, frozen=True):
    targetPortal: Annotated[str, F(1, required=True)] = always(str)
    iqn: Annotated[str, F(2, required=True)] = always(str)
    lun: Annotated[Int32, F(3, required=True)] = always(int)
    iscsiInterface: Annotated[str, F(4, default="default")] = ""
    fsType: Annotated[str, F(5)] = ""
    readOnly: Annotated[bool, F(6)] = False
    portals: Annotated[tuple[str, ...], F(7, list="atomic")] = ()
    chapAuthDiscovery: Annotated[bool, F(8)] = False
    chapAuthSession: Annotated[bool, F(11)] = False
    secretRef: Annotated[SecretReference | None, F(10)] = None
    initiatorName: Annotated[str | None, F(12)] = None


class CinderPersistentVolumeSource(Struct, frozen=True):
    volumeID: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str, F(2)] = ""
    readOnly: Annotated[bool, F(3)] = False
    secretRef: Annotated[SecretReference | None, F(4)] = None


class CephFSPersistentVolumeSource(Struct, frozen=True):
    monitors: Annotated[tuple[str, ...], F(1, list="atomic", required=True)] = always(tuple)
    path: Annotated[str, F(2)] = ""
    user: Annotated[str, F(3)] = ""
    secretFile: Annotated[str, F(4)] = ""
    secretRef: Annotated[SecretReference | None, F(5)] = None
    readOnly: Annotated[bool, F(6)] = False


class FlexPersistentVolumeSource(Struct, frozen=True):
    driver: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str, F(2)] = ""
    secretRef: Annotated[SecretReference | None, F(3)] = None
    readOnly: Annotated[bool, F(4)] = False
    options: Annotated[dict[str, str], F(5)] = {}


class AzureFilePersistentVolumeSource(Struct, frozen=True):
    secretName: Annotated[str, F(1, required=True)] = always(str)
    shareName: Annotated[str, F(2, required=True)] = always(str)
    readOnly: Annotated[bool, F(3)] = False
    secretNamespace: Annotated[str | None, F(4)] = None


class ScaleIOPersistentVolumeSource(Struct, frozen=True):
    gateway: Annotated[str, F(1, required=True)] = always(str)
    system: Annotated[str, F(2, required=True)] = always(str)
    secretRef: Annotated[SecretReference | None, F(3, required=True)] = None
    sslEnabled: Annotated[bool, F(4)] = False
    protectionDomain: Annotated[str, F(5)] = ""
    storagePool: Annotated[str, F(6)] = ""
    storageMode: Annotated[str, F(7, default="ThinProvisioned")] = ""
    volumeName: Annotated[str, F(8)] = ""
    fsType: Annotated[str, F(9, default="xfs")] = ""
    readOnly: Annotated[bool, F(10)] = False


class LocalVolumeSource(Struct, frozen=True):
    path: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str | None, F(2)] = None


class StorageOSPersistentVolumeSource(Struct, frozen=True):
    volumeName: Annotated[str, F(1)] = ""
    volumeNamespace: Annotated[str, F(2)] = ""
    fsType: Annotated[str, F(3)] = ""
    readOnly: Annotated[bool, F(4)] = False
    secretRef: Annotated[ObjectReference | None, F(5)] = None


class CSIPersistentVolumeSource(Struct, frozen=True):
    driver: Annotated[str, F(1, required=True)] = always(str)
    volumeHandle: Annotated[str, F(2, required=True)] = always(str)
    readOnly: Annotated[bool, F(3)] = False
    fsType: Annotated[str, F(4)] = ""
    volumeAttributes: Annotated[dict[str, str], F(5)] = {}
    controllerPublishSecretRef: Annotated[SecretReference | None, F(6)] = None
    nodeStageSecretRef: Annotated[SecretReference | None, F(7)] = None
    nodePublishSecretRef: Annotated[SecretReference | None, F(8)] = None
    controllerExpandSecretRef: Annotated[SecretReference | None, F(9)] = None
    nodeExpandSecretRef: Annotated[SecretReference | None, F(10)] = None


class VolumeNodeAffinity(Struct, frozen=True):
    required: Annotated[NodeSelector | None, F(1)] = None


class PersistentVolumeSpec(Struct, frozen=True):
    capacity: Annotated[dict[str, Quantity], F(1)] = {}
    gcePersistentDisk: Annotated[GCEPersistentDiskVolumeSource | None, F(1, within=(2,))] = None
    awsElasticBlockStore: Annotated[AWSElasticBlockStoreVolumeSource | None, F(2, within=(2,))] = None
    hostPath: Annotated[HostPathVolumeSource | None, F(3, within=(2,))] = None
    glusterfs: Annotated[GlusterfsPersistentVolumeSource | None, F(4, within=(2,))] = None
    nfs: Annotated[NFSVolumeSource | None, F(5, within=(2,))] = None
    rbd: Annotated[RBDPersistentVolumeSource | None, F(6, within=(2,))] = None
    iscsi: Annotated[ISCSIPersistentVolumeSource | None, F(7, within=(2,))] = None
    cinder: Annotated[CinderPersistentVolumeSource | None, F(8, within=(2,))] = None
    cephfs: Annotated[CephFSPersistentVolumeSource | None, F(9, within=(2,))] = None
    fc: Annotated[FCVolumeSource | None, F(10, within=(2,))] = None
    flocker: Annotated[FlockerVolumeSource | None, F(11, within=(2,))] = None
    flexVolume: Annotated[FlexPersistentVolumeSource | None, F(12, within=(2,))] = None
    azureFile: Annotated[AzureFilePersistentVolumeSource | None, F(13, within=(2,))] = None
    vsphereVolume: Annotated[VsphereVirtualDiskVolumeSource | None, F(14, within=(2,))] = None
    quobyte: Annotated[QuobyteVolumeSource | None, F(15, within=(2,))] = None
    azureDisk: Annotated[AzureDiskVolumeSource | None, F(16, within=(2,))] = None
    photonPersistentDisk: Annotated[PhotonPersistentDiskVolumeSource | None, F(17, within=(2,))] = None
    portworxVolume: Annotated[PortworxVolumeSource | None, F(18, within=(2,))] = None
    scaleIO: Annotated[ScaleIOPersistentVolumeSource | None, F(19, within=(2,))] = None
    local: Annotated[LocalVolumeSource | None, F(20, within=(2,))] = None
    storageos: Annotated[StorageOSPersistentVolumeSource | None, F(21, within=(2,))] = None
    csi: Annotated[CSIPersistentVolumeSource | None, F(22, within=(2,))] = None
    accessModes: Annotated[
        tuple[str, ...],
        F(
            3,
            list="atomic",
            enum=(
                "ReadWriteOnce",
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOncePod",
            ),
        ),
    ] = ()
    claimRef: Annotated[ObjectReference | None, F(4, struct="granular")] = None
    persistentVolumeReclaimPolicy: Annotated[
        str,
        F(
            5,
            enum=(
                "Recycle",
                "Delete",
                "Retain",
            ),
        ),
    ] = ""
    storageClassName: Annotated[str, F(6)] = ""
    mountOptions: Annotated[tuple[str, ...], F(7, list="atomic")] = ()
    volumeMode: Annotated[
        str | None,
        F(
            8,
            enum=(
                "Block",
                "Filesystem",
            ),
        ),
    ] = None
    nodeAffinity: Annotated[VolumeNodeAffinity | None, F(9)] = None
    volumeAttributesClassName: Annotated[str | None, F(10)] = None


class PersistentVolumeStatus(Struct, frozen=True):
    phase: Annotated[
        str,
        F(
            1,
            enum=(
                "Pending",
                "Available",
                "Bound",
                "Released",
                "Failed",
            ),
            default="Pending",
        ),
    ] = ""
    message: Annotated[str, F(2)] = ""
    reason: Annotated[str, F(3)] = ""
    lastPhaseTransitionTime: Annotated[Time | None, F(4)] = None


class PersistentVolume(Struct, frozen=True):
    kind: str = always(lambda: "PersistentVolume")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PersistentVolumeSpec, F(2)] = always(PersistentVolumeSpec)
    status: Annotated[PersistentVolumeStatus, F(3)] = always(PersistentVolumeStatus)


KIND = Kind(
    group="",
    version="v1",
    type=PersistentVolume,
    plural="persistentvolumes",
    singular="persistentvolume",
    short_names=("pv",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(Subresource("status", "", "v1", "PersistentVolume", ("get", "patch", "update"), reset=("spec",)),),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Capacity", "string"),
        Column("Access Modes", "string"),
        Column("Reclaim Policy", "string"),
        Column("Status", "string"),
        Column("Claim", "string"),
        Column("StorageClass", "string"),
        Column("VolumeAttributesClass", "string"),
        Column("Reason", "string"),
        Column("Age", "string"),
        Column("VolumeMode", "string", priority=1),
    ),
    storage_hash="HN/zwEC+JgM=",
)
