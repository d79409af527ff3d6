"""Volumes of a pod. Exactly one source is set; a volume with none becomes an emptyDir."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaimSpec
from pelamis.api.core.reference import LocalObjectReference
from pelamis.api.field import F, Int32, Int64, Quantity, Struct, always
from pelamis.api.meta import LabelSelector, ObjectMeta

if TYPE_CHECKING:
    from pelamis.api.core.pod.pod import Pod


class GCEPersistentDiskVolumeSource(Struct, frozen=True):
    """A Google disk; served by its CSI driver."""

    pdName: Annotated[str, F(1, "Name of the disk.", required=True)] = always(str)
    fsType: Annotated[str, F(2, "File system type; the runtime's default if empty.")] = ""
    partition: Annotated[Int32, F(3, "Partition number; 0: the whole disk.")] = 0
    readOnly: Annotated[bool, F(4, "Whether writes are refused.")] = False


class AWSElasticBlockStoreVolumeSource(Struct, frozen=True):
    """An Amazon disk; served by its CSI driver."""

    volumeID: Annotated[str, F(1, "Id of the volume.", required=True)] = always(str)
    fsType: Annotated[str, F(2, "File system type; the runtime's default if empty.")] = ""
    partition: Annotated[Int32, F(3, "Partition number; 0: the whole disk.")] = 0
    readOnly: Annotated[bool, F(4, "Whether writes are refused.")] = False


class HostPathVolumeSource(Struct, frozen=True):
    """A file or directory of the node."""

    path: Annotated[str, F(1, "Path on the node.", required=True)] = always(str)
    type: Annotated[
        str | None,
        F(
            2,
            "What must be there or is made: Directory, FileOrCreate, Socket, ...; empty: no check.",
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
    """A directory of an NFS server."""

    server: Annotated[str, F(1, "Host name or address.", required=True)] = always(str)
    path: Annotated[str, F(2, "Exported path, absolute.", required=True)] = always(str)
    readOnly: Annotated[bool, F(3, "Whether writes are refused.")] = False


class FCVolumeSource(Struct, frozen=True):
    """A Fibre Channel disk."""

    targetWWNs: Annotated[tuple[str, ...], F(1, "World wide names of targets.", list="atomic")] = ()
    lun: Annotated[Int32 | None, F(2, "Unit number, 0 to 255; with targetWWNs.")] = None
    fsType: Annotated[str, F(3, "File system type; the runtime's default if empty.")] = ""
    readOnly: Annotated[bool, F(4, "Whether writes are refused.")] = False
    wwids: Annotated[tuple[str, ...], F(5, "World wide ids; instead of targetWWNs and lun.", list="atomic")] = ()


class FlockerVolumeSource(Struct, frozen=True):
    """Without function since v1.25."""

    datasetName: Annotated[str, F(1, "Name of the dataset.")] = ""
    datasetUUID: Annotated[str, F(2, "Id of the dataset.")] = ""


class VsphereVirtualDiskVolumeSource(Struct, frozen=True):
    """A vSphere disk; served by its CSI driver."""

    volumePath: Annotated[str, F(1, "Path of the disk.", required=True)] = always(str)
    fsType: Annotated[str, F(2, "File system type; the runtime's default if empty.")] = ""
    storagePolicyName: Annotated[str, F(3, "Name of the storage policy.")] = ""
    storagePolicyID: Annotated[str, F(4, "Id of the storage policy.")] = ""


class QuobyteVolumeSource(Struct, frozen=True):
    """Without function since v1.25."""

    registry: Annotated[str, F(1, "Host and port pairs.", required=True)] = always(str)
    volume: Annotated[str, F(2, "Name of the volume.", required=True)] = always(str)
    readOnly: Annotated[bool, F(3, "Whether writes are refused.")] = False
    user: Annotated[str, F(4, "User to access as.")] = ""
    group: Annotated[str, F(5, "Group to access as.")] = ""
    tenant: Annotated[str, F(6, "Tenant of the volume.")] = ""


class AzureDiskVolumeSource(Struct, frozen=True):
    """An Azure disk; served by its CSI driver."""

    diskName: Annotated[str, F(1, "Name of the disk.", required=True)] = always(str)
    diskURI: Annotated[str, F(2, "URI of the disk.", required=True)] = always(str)
    cachingMode: Annotated[
        str | None,
        F(
            3,
            "None, ReadOnly or ReadWrite.",
            enum=(
                "None",
                "ReadOnly",
                "ReadWrite",
            ),
            default="ReadWrite",
        ),
    ] = None
    fsType: Annotated[str | None, F(4, "File system type; the runtime's default if empty.", default="ext4")] = None
    readOnly: Annotated[bool | None, F(5, "Whether writes are refused.", default=False)] = None
    kind: Annotated[
        str | None,
        F(
            6,
            "Shared, Dedicated or Managed.",
            enum=(
                "Shared",
                "Dedicated",
                "Managed",
            ),
            default="Shared",
        ),
    ] = None


class PhotonPersistentDiskVolumeSource(Struct, frozen=True):
    """Without function since v1.16."""

    pdID: Annotated[str, F(1, "Id of the disk.", required=True)] = always(str)
    fsType: Annotated[str, F(2, "File system type; the runtime's default if empty.")] = ""


class PortworxVolumeSource(Struct, frozen=True):
    """A Portworx volume; served by its CSI driver."""

    volumeID: Annotated[str, F(1, "Id of the volume.", required=True)] = always(str)
    fsType: Annotated[str, F(2, "File system type; the runtime's default if empty.")] = ""
    readOnly: Annotated[bool, F(3, "Whether writes are refused.")] = False


class EmptyDirVolumeSource(Struct, frozen=True):
    """A directory that lives as long as the pod."""

    medium: Annotated[str, F(1, "Empty (disk), Memory (tmpfs), HugePages or HugePages-<size>.")] = ""
    sizeLimit: Annotated[Quantity | None, F(2, "The most it may hold, in bytes; the pod is evicted beyond it.")] = None
    mode: Annotated[Int32 | None, F(3, "Permission bits of the directory.")] = None


class GitRepoVolumeSource(Struct, frozen=True):
    """A cloned repository; deprecated, use an init container."""

    repository: Annotated[str, F(1, "URL.", required=True)] = always(str)
    revision: Annotated[str, F(2, "Commit.")] = ""
    directory: Annotated[str, F(3, "Target directory, relative and without '..'.")] = ""


class KeyToPath(Struct, frozen=True):
    """A key as a file."""

    key: Annotated[str, F(1, "The key.", required=True)] = always(str)
    path: Annotated[str, F(2, "Path of the file, relative and without '..'.", required=True)] = always(str)
    mode: Annotated[Int32 | None, F(3, "Permission bits, 0 to 511 (0777 octal); default: defaultMode.")] = None
    user: Annotated[Int64 | None, F(4, "User id that owns the file.")] = None


class SecretVolumeSource(Struct, frozen=True):
    """A Secret as files."""

    secretName: Annotated[str, F(1, "Name of the Secret.")] = ""
    items: Annotated[
        tuple[KeyToPath, ...], F(2, "Keys to show and where; empty: all by their names.", list="atomic")
    ] = ()
    defaultMode: Annotated[Int32 | None, F(3, "Permission bits of files; default 420 (0644 octal).", default=420)] = (
        None
    )
    optional: Annotated[bool | None, F(4, "Whether the Secret or keys may be missing.")] = None
    defaultUser: Annotated[Int64 | None, F(5, "User id that owns files.")] = None


class ISCSIVolumeSource(Struct, frozen=True):
    """An iSCSI disk."""

    targetPortal: Annotated[str, F(1, "Address of the target, with port if it is not 3260.", required=True)] = always(
        str
    )
    iqn: Annotated[str, F(2, "Name of the target: iqn., eui. or naa. notation.", required=True)] = always(str)
    lun: Annotated[Int32, F(3, "Unit number, 0 to 255.", required=True)] = always(int)
    iscsiInterface: Annotated[str, F(4, "Name of the interface.", default="default")] = ""
    fsType: Annotated[str, F(5, "File system type; the runtime's default if empty.")] = ""
    readOnly: Annotated[bool, F(6, "Whether writes are refused.")] = False
    portals: Annotated[tuple[str, ...], F(7, "Further addresses of the target.", list="atomic")] = ()
    chapAuthDiscovery: Annotated[bool, F(8, "Whether discovery authenticates with CHAP.")] = False
    chapAuthSession: Annotated[bool, F(11, "Whether sessions authenticate with CHAP.")] = False
    secretRef: Annotated[LocalObjectReference | None, F(10, "Secret with credentials.")] = None
    initiatorName: Annotated[str | None, F(12, "Name of the initiator instead of the node's.")] = None


class GlusterfsVolumeSource(Struct, frozen=True):
    """Without function since v1.26."""

    endpoints: Annotated[str, F(1, "Name of the Endpoints.", required=True)] = always(str)
    path: Annotated[str, F(2, "Path of the volume.", required=True)] = always(str)
    readOnly: Annotated[bool, F(3, "Whether writes are refused.")] = False


class PersistentVolumeClaimVolumeSource(Struct, frozen=True):
    """A claim in the pod's namespace."""

    claimName: Annotated[str, F(1, "Name of the claim.", required=True)] = always(str)
    readOnly: Annotated[bool, F(2, "Whether writes are refused.")] = False


class RBDVolumeSource(Struct, frozen=True):
    """Without function since v1.31."""

    monitors: Annotated[tuple[str, ...], F(1, "Addresses of Ceph monitors.", list="atomic", required=True)] = always(
        tuple
    )
    image: Annotated[str, F(2, "Name of the image.", required=True)] = always(str)
    fsType: Annotated[str, F(3, "File system type; the runtime's default if empty.")] = ""
    pool: Annotated[str, F(4, "Name of the pool.", default="rbd")] = ""
    user: Annotated[str, F(5, "User to access as.", default="admin")] = ""
    keyring: Annotated[str, F(6, "Path of the keyring.", default="/etc/ceph/keyring")] = ""
    secretRef: Annotated[LocalObjectReference | None, F(7, "Secret with credentials.")] = None
    readOnly: Annotated[bool, F(8, "Whether writes are refused.")] = False


class FlexVolumeSource(Struct, frozen=True):
    """A volume of a driver program on the node; use CSI instead."""

    driver: Annotated[str, F(1, "Name of the driver.", required=True)] = always(str)
    fsType: Annotated[str, F(2, "File system type; the runtime's default if empty.")] = ""
    secretRef: Annotated[LocalObjectReference | None, F(3, "Secret with credentials.")] = None
    readOnly: Annotated[bool, F(4, "Whether writes are refused.")] = False
    options: Annotated[dict[str, str], F(5, "Options for the driver.")] = {}


class CinderVolumeSource(Struct, frozen=True):
    """An OpenStack disk; served by its CSI driver."""

    volumeID: Annotated[str, F(1, "Id of the volume.", required=True)] = always(str)
    fsType: Annotated[str, F(2, "File system type; the runtime's default if empty.")] = ""
    readOnly: Annotated[bool, F(3, "Whether writes are refused.")] = False
    secretRef: Annotated[LocalObjectReference | None, F(4, "Secret with credentials.")] = None


class CephFSVolumeSource(Struct, frozen=True):
    """Without function since v1.31."""

    monitors: Annotated[tuple[str, ...], F(1, "Addresses of Ceph monitors.", list="atomic", required=True)] = always(
        tuple
    )
    path: Annotated[str, F(2, "Path in the file system.")] = ""
    user: Annotated[str, F(3, "User to access as.")] = ""
    secretFile: Annotated[str, F(4, "Path of the key.")] = ""
    secretRef: Annotated[LocalObjectReference | None, F(5, "Secret with credentials.")] = None
    readOnly: Annotated[bool, F(6, "Whether writes are refused.")] = False


class ObjectFieldSelector(Struct, frozen=True):
    """A field of the pod."""

    apiVersion: Annotated[str, F(1, "Version of the path; v1.", default="v1")] = ""
    fieldPath: Annotated[str, F(2, "Path, such as metadata.name or metadata.labels['app'].", required=True)] = always(
        str
    )


class ResourceFieldSelector(Struct, frozen=True):
    """A resource of a container."""

    containerName: Annotated[str, F(1, "The container; needed in volumes.")] = ""
    resource: Annotated[str, F(2, "limits or requests, a dot, and the resource.", required=True)] = always(str)
    divisor: Annotated[Quantity, F(3, "Unit of the output; default 1.")] = always(lambda: "0")


class DownwardAPIVolumeFile(Struct, frozen=True):
    """A fact about the pod as a file. Exactly one reference is set."""

    path: Annotated[str, F(1, "Path of the file, relative and without '..'.", required=True)] = always(str)
    fieldRef: Annotated[ObjectFieldSelector | None, F(2, "A field of the pod.")] = None
    resourceFieldRef: Annotated[ResourceFieldSelector | None, F(3, "A resource of a container.")] = None
    mode: Annotated[Int32 | None, F(4, "Permission bits of the file.")] = None
    user: Annotated[Int64 | None, F(5, "User id that owns the file.")] = None


class DownwardAPIVolumeSource(Struct, frozen=True):
    """Facts about the pod as files."""

    items: Annotated[tuple[DownwardAPIVolumeFile, ...], F(1, "The files.", list="atomic")] = ()
    defaultMode: Annotated[Int32 | None, F(2, "Permission bits of files; default 420 (0644 octal).", default=420)] = (
        None
    )
    defaultUser: Annotated[Int64 | None, F(3, "User id that owns files.")] = None


class AzureFileVolumeSource(Struct, frozen=True):
    """An Azure share; served by its CSI driver."""

    secretName: Annotated[str, F(1, "Secret with credentials.", required=True)] = always(str)
    shareName: Annotated[str, F(2, "Name of the share.", required=True)] = always(str)
    readOnly: Annotated[bool, F(3, "Whether writes are refused.")] = False


class ConfigMapVolumeSource(Struct, frozen=True):
    """A ConfigMap as files."""

    name: Annotated[str, F(1, "Name of the ConfigMap.", within=(1,), default="", shown=True)] = ""
    items: Annotated[
        tuple[KeyToPath, ...], F(2, "Keys to show and where; empty: all by their names.", list="atomic")
    ] = ()
    defaultMode: Annotated[Int32 | None, F(3, "Permission bits of files; default 420 (0644 octal).", default=420)] = (
        None
    )
    optional: Annotated[bool | None, F(4, "Whether the ConfigMap or keys may be missing.")] = None
    defaultUser: Annotated[Int64 | None, F(5, "User id that owns files.")] = None


class SecretProjection(Struct, frozen=True):
    """A Secret in a projected volume."""

    name: Annotated[str, F(1, "Name of the Secret.", within=(1,), default="", shown=True)] = ""
    items: Annotated[tuple[KeyToPath, ...], F(2, "Keys to show and where; empty: all.", list="atomic")] = ()
    optional: Annotated[bool | None, F(4, "Whether it may be missing.")] = None


class DownwardAPIProjection(Struct, frozen=True):
    """Facts about the pod in a projected volume."""

    items: Annotated[tuple[DownwardAPIVolumeFile, ...], F(1, "The files.", list="atomic")] = ()


class ConfigMapProjection(Struct, frozen=True):
    """A ConfigMap in a projected volume."""

    name: Annotated[str, F(1, "Name of the ConfigMap.", within=(1,), default="", shown=True)] = ""
    items: Annotated[tuple[KeyToPath, ...], F(2, "Keys to show and where; empty: all.", list="atomic")] = ()
    optional: Annotated[bool | None, F(4, "Whether it may be missing.")] = None


class ServiceAccountTokenProjection(Struct, frozen=True):
    """A token of the pod's service account; renewed in time."""

    audience: Annotated[str, F(1, "Who the token is for; default the API server.")] = ""
    expirationSeconds: Annotated[Int64 | None, F(2, "Lifetime, at least 600 seconds.", default=3600)] = None
    path: Annotated[str, F(3, "Path of the file.", required=True)] = always(str)
    user: Annotated[Int64 | None, F(4, "User id that owns the file.")] = None


class ClusterTrustBundleProjection(Struct, frozen=True):
    """Root certificates; by name or by signer."""

    name: Annotated[str | None, F(1, "Name of one ClusterTrustBundle.")] = None
    signerName: Annotated[str | None, F(2, "Signer whose bundles are put together.")] = None
    labelSelector: Annotated[LabelSelector | None, F(3, "Which bundles of the signer; null: none, empty: all.")] = None
    optional: Annotated[bool | None, F(5, "Whether they may be missing.")] = None
    path: Annotated[str, F(4, "Path of the file.", required=True)] = always(str)
    user: Annotated[Int64 | None, F(6, "User id that owns the file.")] = None


class PodCertificateProjection(Struct, frozen=True):
    """A certificate for the pod; renewed in time."""

    signerName: Annotated[str, F(1, "Signer that issues it.", required=True)] = ""
    keyType: Annotated[str, F(2, "RSA3072, RSA4096, ECDSAP256, ECDSAP384, ECDSAP521 or ED25519.", required=True)] = ""
    maxExpirationSeconds: Annotated[Int32 | None, F(3, "Longest lifetime, at least 3600 seconds.")] = None
    credentialBundlePath: Annotated[str, F(4, "File with key and certificates.")] = ""
    keyPath: Annotated[str, F(5, "File with the key.")] = ""
    certificateChainPath: Annotated[str, F(6, "File with the certificates.")] = ""
    userAnnotations: Annotated[dict[str, str], F(7, "Further information for the signer.")] = {}
    user: Annotated[Int64 | None, F(8, "User id that owns the files.")] = None


class VolumeProjection(Struct, frozen=True):
    """One part of a projected volume. Exactly one field is set."""

    secret: Annotated[SecretProjection | None, F(1, "A Secret.")] = None
    downwardAPI: Annotated[DownwardAPIProjection | None, F(2, "Facts about the pod.")] = None
    configMap: Annotated[ConfigMapProjection | None, F(3, "A ConfigMap.")] = None
    serviceAccountToken: Annotated[ServiceAccountTokenProjection | None, F(4, "A token.")] = None
    clusterTrustBundle: Annotated[ClusterTrustBundleProjection | None, F(5, "Root certificates.")] = None
    podCertificate: Annotated[PodCertificateProjection | None, F(6, "A certificate.")] = None


class ProjectedVolumeSource(Struct, frozen=True):
    """Several sources in one directory."""

    sources: Annotated[tuple[VolumeProjection, ...], F(1, "The parts; their paths may not collide.", list="atomic")] = (
        always(tuple)
    )
    defaultMode: Annotated[Int32 | None, F(2, "Permission bits of files; default 420 (0644 octal).", default=420)] = (
        None
    )
    defaultUser: Annotated[Int64 | None, F(3, "User id that owns files.")] = None


class ScaleIOVolumeSource(Struct, frozen=True):
    """Without function since v1.22."""

    gateway: Annotated[str, F(1, "Address of the gateway.", required=True)] = always(str)
    system: Annotated[str, F(2, "Name of the system.", required=True)] = always(str)
    secretRef: Annotated[LocalObjectReference | None, F(3, "Secret with credentials.", required=True)] = None
    sslEnabled: Annotated[bool, F(4, "Whether to use TLS.")] = False
    protectionDomain: Annotated[str, F(5, "Name of the protection domain.")] = ""
    storagePool: Annotated[str, F(6, "Name of the pool.")] = ""
    storageMode: Annotated[str, F(7, "ThickProvisioned or ThinProvisioned.", default="ThinProvisioned")] = ""
    volumeName: Annotated[str, F(8, "Name of the volume.")] = ""
    fsType: Annotated[str, F(9, "File system type; the runtime's default if empty.", default="xfs")] = ""
    readOnly: Annotated[bool, F(10, "Whether writes are refused.")] = False


class StorageOSVolumeSource(Struct, frozen=True):
    """Without function since v1.25."""

    volumeName: Annotated[str, F(1, "Name of the volume.")] = ""
    volumeNamespace: Annotated[str, F(2, "Scope of the volume.")] = ""
    fsType: Annotated[str, F(3, "File system type; the runtime's default if empty.")] = ""
    readOnly: Annotated[bool, F(4, "Whether writes are refused.")] = False
    secretRef: Annotated[LocalObjectReference | None, F(5, "Secret with credentials.")] = None


class CSIVolumeSource(Struct, frozen=True):
    """A volume that a CSI driver makes for the pod."""

    driver: Annotated[str, F(1, "Name of the driver.", required=True)] = always(str)
    readOnly: Annotated[bool | None, F(2, "Whether writes are refused.")] = None
    fsType: Annotated[str | None, F(3, "File system type; the runtime's default if empty.")] = None
    volumeAttributes: Annotated[dict[str, str], F(4, "Attributes for the driver.")] = {}
    nodePublishSecretRef: Annotated[LocalObjectReference | None, F(5, "Secret with credentials.")] = None


class PersistentVolumeClaimTemplate(Struct, frozen=True):
    """A claim to make."""

    metadata: Annotated[ObjectMeta, F(1, "Labels and annotations of the claim.")] = always(ObjectMeta)
    spec: Annotated[PersistentVolumeClaimSpec, F(2, "What the claim asks for.", required=True)] = always(
        PersistentVolumeClaimSpec
    )


class EphemeralVolumeSource(Struct, frozen=True):
    """A claim that lives as long as the pod."""

    volumeClaimTemplate: Annotated[
        PersistentVolumeClaimTemplate | None, F(1, "The claim, called by the pod's and the volume's name.")
    ] = None


class ImageVolumeSource(Struct, frozen=True):
    """The contents of an image, read-only."""

    reference: Annotated[str, F(1, "Image reference.")] = ""
    pullPolicy: Annotated[
        str,
        F(
            2,
            "Always, Never or IfNotPresent; default by the tag.",
            enum=(
                "Always",
                "Never",
                "IfNotPresent",
            ),
        ),
    ] = ""


class Volume(Struct, frozen=True):
    """A volume. Exactly one source is set."""

    name: Annotated[str, F(1, "DNS label, unique in the pod.", required=True)] = always(str)
    hostPath: Annotated[HostPathVolumeSource | None, F(1, "A file or directory of the node.", within=(2,))] = None
    emptyDir: Annotated[
        EmptyDirVolumeSource | None, F(2, "A directory that lives as long as the pod.", within=(2,))
    ] = None
    gcePersistentDisk: Annotated[GCEPersistentDiskVolumeSource | None, F(3, "A Google disk.", within=(2,))] = None
    awsElasticBlockStore: Annotated[AWSElasticBlockStoreVolumeSource | None, F(4, "An Amazon disk.", within=(2,))] = (
        None
    )
    gitRepo: Annotated[GitRepoVolumeSource | None, F(5, "A cloned repository.", within=(2,))] = None
    secret: Annotated[SecretVolumeSource | None, F(6, "A Secret.", within=(2,))] = None
    nfs: Annotated[NFSVolumeSource | None, F(7, "A directory of an NFS server.", within=(2,))] = None
    iscsi: Annotated[ISCSIVolumeSource | None, F(8, "An iSCSI disk.", within=(2,))] = None
    glusterfs: Annotated[GlusterfsVolumeSource | None, F(9, "A Gluster volume.", within=(2,))] = None
    persistentVolumeClaim: Annotated[PersistentVolumeClaimVolumeSource | None, F(10, "A claim.", within=(2,))] = None
    rbd: Annotated[RBDVolumeSource | None, F(11, "A Ceph block image.", within=(2,))] = None
    flexVolume: Annotated[FlexVolumeSource | None, F(12, "A volume of a driver program.", within=(2,))] = None
    cinder: Annotated[CinderVolumeSource | None, F(13, "An OpenStack disk.", within=(2,))] = None
    cephfs: Annotated[CephFSVolumeSource | None, F(14, "A Ceph file system.", within=(2,))] = None
    flocker: Annotated[FlockerVolumeSource | None, F(15, "A Flocker dataset.", within=(2,))] = None
    downwardAPI: Annotated[DownwardAPIVolumeSource | None, F(16, "Facts about the pod.", within=(2,))] = None
    fc: Annotated[FCVolumeSource | None, F(17, "A Fibre Channel disk.", within=(2,))] = None
    azureFile: Annotated[AzureFileVolumeSource | None, F(18, "An Azure share.", within=(2,))] = None
    configMap: Annotated[ConfigMapVolumeSource | None, F(19, "A ConfigMap.", within=(2,))] = None
    vsphereVolume: Annotated[VsphereVirtualDiskVolumeSource | None, F(20, "A vSphere disk.", within=(2,))] = None
    quobyte: Annotated[QuobyteVolumeSource | None, F(21, "A Quobyte volume.", within=(2,))] = None
    azureDisk: Annotated[AzureDiskVolumeSource | None, F(22, "An Azure disk.", within=(2,))] = None
    photonPersistentDisk: Annotated[PhotonPersistentDiskVolumeSource | None, F(23, "A Photon disk.", within=(2,))] = (
        None
    )
    projected: Annotated[ProjectedVolumeSource | None, F(26, "Several sources in one directory.", within=(2,))] = None
    portworxVolume: Annotated[PortworxVolumeSource | None, F(24, "A Portworx volume.", within=(2,))] = None
    scaleIO: Annotated[ScaleIOVolumeSource | None, F(25, "A ScaleIO volume.", within=(2,))] = None
    storageos: Annotated[StorageOSVolumeSource | None, F(27, "A StorageOS volume.", within=(2,))] = None
    csi: Annotated[CSIVolumeSource | None, F(28, "A volume of a CSI driver.", within=(2,))] = None
    ephemeral: Annotated[EphemeralVolumeSource | None, F(29, "A claim that lives as long as the pod.", within=(2,))] = (
        None
    )
    image: Annotated[ImageVolumeSource | None, F(30, "The contents of an image.", within=(2,))] = None


def claim_name(volume: Volume, pod_name: str) -> str:
    """Of the PersistentVolumeClaim behind the volume, a generic ephemeral one's included; "" for other volumes."""
    if volume.persistentVolumeClaim is not None:
        return volume.persistentVolumeClaim.claimName
    return ephemeral_claim(volume, pod_name) if volume.ephemeral is not None else ""


def ephemeral_claim(volume: Volume, pod_name: str) -> str:
    """Name of the claim that is made for a generic ephemeral volume."""
    return f"{pod_name}-{volume.name}"


def claim_names(pod: Pod) -> list[str]:
    """Of the PersistentVolumeClaims behind the pod's volumes, in their order."""
    return [name for volume in pod.spec.volumes if (name := claim_name(volume, pod.metadata.name))]
