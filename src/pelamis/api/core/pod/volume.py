"""Volumes of a pod. Exactly one source is set; a volume with none becomes an emptyDir."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaimSpec
from pelamis.api.core.reference import LocalObjectReference
from pelamis.api.field import F, Int32, Int64, Quantity, Struct, always
from pelamis.api.meta import LabelSelector, ObjectMeta


class GCEPersistentDiskVolumeSource(Struct, frozen=True):
    pdName: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str, F(2)] = ""
    partition: Annotated[Int32, F(3)] = 0
    readOnly: Annotated[bool, F(4)] = False


class AWSElasticBlockStoreVolumeSource(Struct, frozen=True):
    volumeID: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str, F(2)] = ""
    partition: Annotated[Int32, F(3)] = 0
    readOnly: Annotated[bool, F(4)] = False


class HostPathVolumeSource(Struct, frozen=True):
    path: Annotated[str, F(1, required=True)] = always(str)
    type: Annotated[
        str | None,
        F(
            2,
            enum=(
                "",
                "DirectoryOrCreate",
                "Directory",
                "FileOrCreate",
                "File",
                "Socket",
                "CharDevice",
                "BlockDevice",
            ),
            default="",
        ),
    ] = None


class NFSVolumeSource(Struct, frozen=True):
    server: Annotated[str, F(1, required=True)] = always(str)
    path: Annotated[str, F(2, required=True)] = always(str)
    readOnly: Annotated[bool, F(3)] = False


class FCVolumeSource(Struct, frozen=True):
    targetWWNs: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    lun: Annotated[Int32 | None, F(2)] = None
    fsType: Annotated[str, F(3)] = ""
    readOnly: Annotated[bool, F(4)] = False
    wwids: Annotated[tuple[str, ...], F(5, list="atomic")] = ()


class FlockerVolumeSource(Struct, frozen=True):
    datasetName: Annotated[str, F(1)] = ""
    datasetUUID: Annotated[str, F(2)] = ""


class VsphereVirtualDiskVolumeSource(Struct, frozen=True):
    volumePath: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str, F(2)] = ""
    storagePolicyName: Annotated[str, F(3)] = ""
    storagePolicyID: Annotated[str, F(4)] = ""


class QuobyteVolumeSource(Struct, frozen=True):
    registry: Annotated[str, F(1, required=True)] = always(str)
    volume: Annotated[str, F(2, required=True)] = always(str)
    readOnly: Annotated[bool, F(3)] = False
    user: Annotated[str, F(4)] = ""
    group: Annotated[str, F(5)] = ""
    tenant: Annotated[str, F(6)] = ""


class AzureDiskVolumeSource(Struct, frozen=True):
    diskName: Annotated[str, F(1, required=True)] = always(str)
    diskURI: Annotated[str, F(2, required=True)] = always(str)
    cachingMode: Annotated[
        str | None,
        F(
            3,
            enum=(
                "None",
                "ReadOnly",
                "ReadWrite",
            ),
            default="ReadWrite",
        ),
    ] = None
    fsType: Annotated[str | None, F(4, default="ext4")] = None
    readOnly: Annotated[bool | None, F(5, default=False)] = None
    kind: Annotated[
        str | None,
        F(
            6,
            enum=(
                "Shared",
                "Dedicated",
                "Managed",
            ),
            default="Shared",
        ),
    ] = None


class PhotonPersistentDiskVolumeSource(Struct, frozen=True):
    pdID: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str, F(2)] = ""


class PortworxVolumeSource(Struct, frozen=True):
    volumeID: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str, F(2)] = ""
    readOnly: Annotated[bool, F(3)] = False


class EmptyDirVolumeSource(Struct, frozen=True):
    medium: Annotated[str, F(1)] = ""
    sizeLimit: Annotated[Quantity | None, F(2)] = None
    mode: Annotated[Int32 | None, F(3)] = None


class GitRepoVolumeSource(Struct, frozen=True):
    repository: Annotated[str, F(1, required=True)] = always(str)
    revision: Annotated[str, F(2)] = ""
    directory: Annotated[str, F(3)] = ""


class KeyToPath(Struct, frozen=True):
    key: Annotated[str, F(1, required=True)] = always(str)
    path: Annotated[str, F(2, required=True)] = always(str)
    mode: Annotated[Int32 | None, F(3)] = None
    user: Annotated[Int64 | None, F(4)] = None


class SecretVolumeSource(Struct, frozen=True):
    secretName: Annotated[str, F(1)] = ""
    items: Annotated[tuple[KeyToPath, ...], F(2, list="atomic")] = ()
    defaultMode: Annotated[Int32 | None, F(3, default=420)] = None
    optional: Annotated[bool | None, F(4)] = None
    defaultUser: Annotated[Int64 | None, F(5)] = None


class ISCSIVolumeSource(Struct, frozen=True):
    targetPortal: Annotated[str, F(1, required=True)] = always(str)
    iqn: Annotated[str, F(2, required=True)] = always(str)
    lun: Annotated[Int32, F(3, required=True)] = always(int)
    iscsiInterface: Annotated[str, F(4, default="default")] = ""
    fsType: Annotated[str, F(5)] = ""
    readOnly: Annotated[bool, F(6)] = False
    portals: Annotated[tuple[str, ...], F(7, list="atomic")] = ()
    chapAuthDiscovery: Annotated[bool, F(8)] = False
    chapAuthSession: Annotated[bool, F(11)] = False
    secretRef: Annotated[LocalObjectReference | None, F(10)] = None
    initiatorName: Annotated[str | None, F(12)] = None


class GlusterfsVolumeSource(Struct, frozen=True):
    endpoints: Annotated[str, F(1, required=True)] = always(str)
    path: Annotated[str, F(2, required=True)] = always(str)
    readOnly: Annotated[bool, F(3)] = False


class PersistentVolumeClaimVolumeSource(Struct, frozen=True):
    claimName: Annotated[str, F(1, required=True)] = always(str)
    readOnly: Annotated[bool, F(2)] = False


class RBDVolumeSource(Struct, frozen=True):
    monitors: Annotated[tuple[str, ...], F(1, list="atomic", required=True)] = always(tuple)
    image: Annotated[str, F(2, required=True)] = always(str)
    fsType: Annotated[str, F(3)] = ""
    pool: Annotated[str, F(4, default="rbd")] = ""
    user: Annotated[str, F(5, default="admin")] = ""
    keyring: Annotated[str, F(6, default="/etc/ceph/keyring")] = ""
    secretRef: Annotated[LocalObjectReference | None, F(7)] = None
    readOnly: Annotated[bool, F(8)] = False


class FlexVolumeSource(Struct, frozen=True):
    driver: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str, F(2)] = ""
    secretRef: Annotated[LocalObjectReference | None, F(3)] = None
    readOnly: Annotated[bool, F(4)] = False
    options: Annotated[dict[str, str], F(5)] = {}


class CinderVolumeSource(Struct, frozen=True):
    volumeID: Annotated[str, F(1, required=True)] = always(str)
    fsType: Annotated[str, F(2)] = ""
    readOnly: Annotated[bool, F(3)] = False
    secretRef: Annotated[LocalObjectReference | None, F(4)] = None


class CephFSVolumeSource(Struct, frozen=True):
    monitors: Annotated[tuple[str, ...], F(1, list="atomic", required=True)] = always(tuple)
    path: Annotated[str, F(2)] = ""
    user: Annotated[str, F(3)] = ""
    secretFile: Annotated[str, F(4)] = ""
    secretRef: Annotated[LocalObjectReference | None, F(5)] = None
    readOnly: Annotated[bool, F(6)] = False


class ObjectFieldSelector(Struct, frozen=True):
    apiVersion: Annotated[str, F(1, default="v1")] = ""
    fieldPath: Annotated[str, F(2, required=True)] = always(str)


class ResourceFieldSelector(Struct, frozen=True):
    containerName: Annotated[str, F(1)] = ""
    resource: Annotated[str, F(2, required=True)] = always(str)
    divisor: Annotated[Quantity, F(3)] = always(lambda: "0")


class DownwardAPIVolumeFile(Struct, frozen=True):
    path: Annotated[str, F(1, required=True)] = always(str)
    fieldRef: Annotated[ObjectFieldSelector | None, F(2)] = None
    resourceFieldRef: Annotated[ResourceFieldSelector | None, F(3)] = None
    mode: Annotated[Int32 | None, F(4)] = None
    user: Annotated[Int64 | None, F(5)] = None


class DownwardAPIVolumeSource(Struct, frozen=True):
    items: Annotated[tuple[DownwardAPIVolumeFile, ...], F(1, list="atomic")] = ()
    defaultMode: Annotated[Int32 | None, F(2, default=420)] = None
    defaultUser: Annotated[Int64 | None, F(3)] = None


class AzureFileVolumeSource(Struct, frozen=True):
    secretName: Annotated[str, F(1, required=True)] = always(str)
    shareName: Annotated[str, F(2, required=True)] = always(str)
    readOnly: Annotated[bool, F(3)] = False


class ConfigMapVolumeSource(Struct, frozen=True):
    name: Annotated[str, F(1, within=(1,), default="", shown=True)] = ""
    items: Annotated[tuple[KeyToPath, ...], F(2, list="atomic")] = ()
    defaultMode: Annotated[Int32 | None, F(3, default=420)] = None
    optional: Annotated[bool | None, F(4)] = None
    defaultUser: Annotated[Int64 | None, F(5)] = None


class SecretProjection(Struct, frozen=True):
    name: Annotated[str, F(1, within=(1,), default="", shown=True)] = ""
    items: Annotated[tuple[KeyToPath, ...], F(2, list="atomic")] = ()
    optional: Annotated[bool | None, F(4)] = None


class DownwardAPIProjection(Struct, frozen=True):
    items: Annotated[tuple[DownwardAPIVolumeFile, ...], F(1, list="atomic")] = ()


class ConfigMapProjection(Struct, frozen=True):
    name: Annotated[str, F(1, within=(1,), default="", shown=True)] = ""
    items: Annotated[tuple[KeyToPath, ...], F(2, list="atomic")] = ()
    optional: Annotated[bool | None, F(4)] = None


class ServiceAccountTokenProjection(Struct, frozen=True):
    audience: Annotated[str, F(1)] = ""
    expirationSeconds: Annotated[Int64 | None, F(2, default=3600)] = None
    path: Annotated[str, F(3, required=True)] = always(str)
    user: Annotated[Int64 | None, F(4)] = None


class ClusterTrustBundleProjection(Struct, frozen=True):
    name: Annotated[str | None, F(1)] = None
    signerName: Annotated[str | None, F(2)] = None
    labelSelector: Annotated[LabelSelector | None, F(3)] = None
    optional: Annotated[bool | None, F(5)] = None
    path: Annotated[str, F(4, required=True)] = always(str)
    user: Annotated[Int64 | None, F(6)] = None


class PodCertificateProjection(Struct, frozen=True):
    signerName: Annotated[str, F(1, required=True)] = ""
    keyType: Annotated[str, F(2, required=True)] = ""
    maxExpirationSeconds: Annotated[Int32 | None, F(3)] = None
    credentialBundlePath: Annotated[str, F(4)] = ""
    keyPath: Annotated[str, F(5)] = ""
    certificateChainPath: Annotated[str, F(6)] = ""
    userAnnotations: Annotated[dict[str, str], F(7)] = {}
    user: Annotated[Int64 | None, F(8)] = None


class VolumeProjection(Struct, frozen=True):
    secret: Annotated[SecretProjection | None, F(1)] = None
    downwardAPI: Annotated[DownwardAPIProjection | None, F(2)] = None
    configMap: Annotated[ConfigMapProjection | None, F(3)] = None
    serviceAccountToken: Annotated[ServiceAccountTokenProjection | None, F(4)] = None
    clusterTrustBundle: Annotated[ClusterTrustBundleProjection | None, F(5)] = None
    podCertificate: Annotated[PodCertificateProjection | None, F(6)] = None


class ProjectedVolumeSource(Struct, frozen=True):
    sources: Annotated[tuple[VolumeProjection, ...], F(1, list="atomic")] = always(tuple)
    defaultMode: Annotated[Int32 | None, F(2, default=420)] = None
    defaultUser: Annotated[Int64 | None, F(3)] = None


class ScaleIOVolumeSource(Struct, frozen=True):
    gateway: Annotated[str, F(1, required=True)] = always(str)
    system: Annotated[str, F(2, required=True)] = always(str)
    secretRef: Annotated[LocalObjectReference | None, F(3, required=True)] = None
    sslEnabled: Annotated[bool, F(4)] = False
    protectionDomain: Annotated[str, F(5)] = ""
    storagePool: Annotated[str, F(6)] = ""
    storageMode: Annotated[str, F(7, default="ThinProvisioned")] = ""
    volumeName: Annotated[str, F(8)] = ""
    fsType: Annotated[str, F(9, default="xfs")] = ""
    readOnly: Annotated[bool, F(10)] = False


class StorageOSVolumeSource(Struct, frozen=True):
    volumeName: Annotated[str, F(1)] = ""
    volumeNamespace: Annotated[str, F(2)] = ""
    fsType: Annotated[str, F(3)] = ""
    readOnly: Annotated[bool, F(4)] = False
    secretRef: Annotated[LocalObjectReference | None, F(5)] = None


class CSIVolumeSource(Struct, frozen=True):
    driver: Annotated[str, F(1, required=True)] = always(str)
    readOnly: Annotated[bool | None, F(2)] = None
    fsType: Annotated[str | None, F(3)] = None
    volumeAttributes: Annotated[dict[str, str], F(4)] = {}
    nodePublishSecretRef: Annotated[LocalObjectReference | None, F(5)] = None


class PersistentVolumeClaimTemplate(Struct, frozen=True):
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[PersistentVolumeClaimSpec, F(2, required=True)] = always(PersistentVolumeClaimSpec)


class EphemeralVolumeSource(Struct, frozen=True):
    volumeClaimTemplate: Annotated[PersistentVolumeClaimTemplate | None, F(1)] = None


class ImageVolumeSource(Struct, frozen=True):
    reference: Annotated[str, F(1)] = ""
    pullPolicy: Annotated[
        str,
        F(
            2,
            enum=(
                "Always",
                "Never",
                "IfNotPresent",
            ),
        ),
    ] = ""


class Volume(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    hostPath: Annotated[HostPathVolumeSource | None, F(1, within=(2,))] = None
    emptyDir: Annotated[EmptyDirVolumeSource | None, F(2, within=(2,))] = None
    gcePersistentDisk: Annotated[GCEPersistentDiskVolumeSource | None, F(3, within=(2,))] = None
    awsElasticBlockStore: Annotated[AWSElasticBlockStoreVolumeSource | None, F(4, within=(2,))] = None
    gitRepo: Annotated[GitRepoVolumeSource | None, F(5, within=(2,))] = None
    secret: Annotated[SecretVolumeSource | None, F(6, within=(2,))] = None
    nfs: Annotated[NFSVolumeSource | None, F(7, within=(2,))] = None
    iscsi: Annotated[ISCSIVolumeSource | None, F(8, within=(2,))] = None
    glusterfs: Annotated[GlusterfsVolumeSource | None, F(9, within=(2,))] = None
    persistentVolumeClaim: Annotated[PersistentVolumeClaimVolumeSource | None, F(10, within=(2,))] = None
    rbd: Annotated[RBDVolumeSource | None, F(11, within=(2,))] = None
    flexVolume: Annotated[FlexVolumeSource | None, F(12, within=(2,))] = None
    cinder: Annotated[CinderVolumeSource | None, F(13, within=(2,))] = None
    cephfs: Annotated[CephFSVolumeSource | None, F(14, within=(2,))] = None
    flocker: Annotated[FlockerVolumeSource | None, F(15, within=(2,))] = None
    downwardAPI: Annotated[DownwardAPIVolumeSource | None, F(16, within=(2,))] = None
    fc: Annotated[FCVolumeSource | None, F(17, within=(2,))] = None
    azureFile: Annotated[AzureFileVolumeSource | None, F(18, within=(2,))] = None
    configMap: Annotated[ConfigMapVolumeSource | None, F(19, within=(2,))] = None
    vsphereVolume: Annotated[VsphereVirtualDiskVolumeSource | None, F(20, within=(2,))] = None
    quobyte: Annotated[QuobyteVolumeSource | None, F(21, within=(2,))] = None
    azureDisk: Annotated[AzureDiskVolumeSource | None, F(22, within=(2,))] = None
    photonPersistentDisk: Annotated[PhotonPersistentDiskVolumeSource | None, F(23, within=(2,))] = None
    projected: Annotated[ProjectedVolumeSource | None, F(26, within=(2,))] = None
    portworxVolume: Annotated[PortworxVolumeSource | None, F(24, within=(2,))] = None
    scaleIO: Annotated[ScaleIOVolumeSource | None, F(25, within=(2,))] = None
    storageos: Annotated[StorageOSVolumeSource | None, F(27, within=(2,))] = None
    csi: Annotated[CSIVolumeSource | None, F(28, within=(2,))] = None
    ephemeral: Annotated[EphemeralVolumeSource | None, F(29, within=(2,))] = None
    image: Annotated[ImageVolumeSource | None, F(30, within=(2,))] = None
