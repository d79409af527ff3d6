"""Where the storage of a PersistentVolume is: the sources, of which exactly one is set, and what each may say.

Many are those of a pod's volume with a reference that names a namespace too: a PersistentVolume has none of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pelamis.api.core.pod import validate_volume as v
from pelamis.api.core.pod.volume import (
    AzureFileVolumeSource,
    CephFSVolumeSource,
    CinderVolumeSource,
    FlexVolumeSource,
    GlusterfsVolumeSource,
    ISCSIVolumeSource,
    RBDVolumeSource,
    ScaleIOVolumeSource,
    StorageOSVolumeSource,
)
from pelamis.api.core.reference import ObjectReference, SecretReference
from pelamis.api.field import F, Struct, always
from pelamis.base import names
from pelamis.base.errors import FieldError, forbidden, invalid, required

if TYPE_CHECKING:
    from pelamis.api.core.persistentvolume import PersistentVolumeSpec


class GlusterfsPersistentVolumeSource(GlusterfsVolumeSource, frozen=True):
    """Without function since v1.26."""

    endpointsNamespace: Annotated[str | None, F(4, "Namespace of the Endpoints; null: the claim's.")] = None


class RBDPersistentVolumeSource(RBDVolumeSource, frozen=True):
    """Without function since v1.31."""

    secretRef: Annotated[SecretReference | None, F(7, "Secret with credentials.")] = None  # type: ignore[assignment]


class ISCSIPersistentVolumeSource(ISCSIVolumeSource, frozen=True):
    """An iSCSI disk."""

    secretRef: Annotated[SecretReference | None, F(10, "Secret with credentials.")] = None  # type: ignore[assignment]


class CinderPersistentVolumeSource(CinderVolumeSource, frozen=True):
    """An OpenStack disk; served by its CSI driver."""

    secretRef: Annotated[SecretReference | None, F(4, "Secret with credentials.")] = None  # type: ignore[assignment]


class CephFSPersistentVolumeSource(CephFSVolumeSource, frozen=True):
    """Without function since v1.31."""

    secretRef: Annotated[SecretReference | None, F(5, "Secret with credentials.")] = None  # type: ignore[assignment]


class FlexPersistentVolumeSource(FlexVolumeSource, frozen=True):
    """A volume of a driver program on the node; use CSI instead."""

    secretRef: Annotated[SecretReference | None, F(3, "Secret with credentials.")] = None  # type: ignore[assignment]


class AzureFilePersistentVolumeSource(AzureFileVolumeSource, frozen=True):
    """An Azure share; served by its CSI driver."""

    secretNamespace: Annotated[str | None, F(4, "Namespace of the Secret; null: the claim's.")] = None


class ScaleIOPersistentVolumeSource(ScaleIOVolumeSource, frozen=True):
    """Without function since v1.22."""

    secretRef: Annotated[SecretReference | None, F(3, "Secret with credentials.", required=True)] = None  # type: ignore[assignment]


class LocalVolumeSource(Struct, frozen=True):
    """A disk or directory of one node; needs nodeAffinity."""

    path: Annotated[str, F(1, "Path on the node.", required=True)] = always(str)
    fsType: Annotated[str | None, F(2, "File system type; the runtime's default if empty.")] = None


class StorageOSPersistentVolumeSource(StorageOSVolumeSource, frozen=True):
    """Without function since v1.25."""

    secretRef: Annotated[ObjectReference | None, F(5, "Secret with credentials.")] = None  # type: ignore[assignment]


class CSIPersistentVolumeSource(Struct, frozen=True):
    """A volume of a CSI driver."""

    driver: Annotated[str, F(1, "Name of the driver.", required=True)] = always(str)
    volumeHandle: Annotated[str, F(2, "Id of the volume, given by the driver.", required=True)] = always(str)
    readOnly: Annotated[bool, F(3, "Whether writes are refused.")] = False
    fsType: Annotated[str, F(4, "File system type; the runtime's default if empty.")] = ""
    volumeAttributes: Annotated[dict[str, str], F(5, "Attributes of the volume.")] = {}
    controllerPublishSecretRef: Annotated[SecretReference | None, F(6, "Credentials for attaching.")] = None
    nodeStageSecretRef: Annotated[SecretReference | None, F(7, "Credentials for staging.")] = None
    nodePublishSecretRef: Annotated[SecretReference | None, F(8, "Credentials for mounting.")] = None
    controllerExpandSecretRef: Annotated[SecretReference | None, F(9, "Credentials for growing.")] = None
    nodeExpandSecretRef: Annotated[SecretReference | None, F(10, "Credentials for growing on the node.")] = None


_Errors = list[FieldError]
_ONE = "may not specify more than 1 volume type"


def _need(value: Any, path: str, errors: _Errors) -> None:
    if not value:
        errors.append(required(path))


def _glusterfs(source: GlusterfsPersistentVolumeSource, path: str, errors: _Errors) -> None:
    _need(source.endpoints, f"{path}.endpoints", errors)
    _need(source.path, f"{path}.path", errors)
    namespace = source.endpointsNamespace
    if namespace is not None:
        at = f"{path}.endpointsNamespace"
        if not namespace:
            detail = "if the endpointnamespace is set, it must be a valid namespace name"
            errors.append(invalid(at, namespace, detail))
        else:
            errors.extend(invalid(at, namespace, m) for m in names.is_dns1123_label(namespace))


def _iscsi(source: ISCSIPersistentVolumeSource, path: str, errors: _Errors) -> None:
    _need(source.targetPortal, f"{path}.targetPortal", errors)
    if not source.iqn:
        errors.append(required(f"{path}.iqn"))
    else:
        v.check_initiator(source.iqn, f"{path}.iqn", errors, "must be valid format")
    if not 0 <= source.lun <= 255:
        errors.append(invalid(f"{path}.lun", source.lun, names.within(0, 255)))
    if (source.chapAuthDiscovery or source.chapAuthSession) and source.secretRef is None:
        errors.append(required(f"{path}.secretRef"))
    if source.secretRef is not None:
        _need(source.secretRef.name, f"{path}.secretRef.name", errors)
    if source.initiatorName is not None:
        v.check_initiator(source.initiatorName, f"{path}.initiatorname", errors, "must be valid format")


def _cinder(source: CinderPersistentVolumeSource, path: str, errors: _Errors) -> None:
    _need(source.volumeID, f"{path}.volumeID", errors)
    if source.secretRef is not None:
        _need(source.secretRef.name, f"{path}.secretRef.name", errors)
        _need(source.secretRef.namespace, f"{path}.secretRef.namespace", errors)


def _azure_file(source: AzureFilePersistentVolumeSource, path: str, errors: _Errors) -> None:
    _need(source.secretName, f"{path}.secretName", errors)
    _need(source.shareName, f"{path}.shareName", errors)
    if source.secretNamespace is not None:
        _need(source.secretNamespace, f"{path}.secretNamespace", errors)


def _local(source: LocalVolumeSource, path: str, errors: _Errors) -> None:
    if not source.path:
        errors.append(required(f"{path}.path"))
    else:
        v.check_no_backsteps(source.path, f"{path}.path", errors)


def _storageos(source: StorageOSPersistentVolumeSource, path: str, errors: _Errors) -> None:
    v.check_storageos(source, path, errors)
    if source.secretRef is not None:
        _need(source.secretRef.namespace, f"{path}.secretRef.namespace", errors)


def _csi(source: CSIPersistentVolumeSource, path: str, errors: _Errors) -> None:
    v.check_csi_driver_name(source.driver, f"{path}.driver", errors)
    _need(source.volumeHandle, f"{path}.volumeHandle", errors)
    for name in (
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ):
        ref = getattr(source, name)
        if ref is None:
            continue
        at = f"{path}.{name}"
        for field, check in (("name", names.is_dns1123_subdomain), ("namespace", names.is_dns1123_label)):
            value = getattr(ref, field)
            if not value:
                errors.append(required(f"{at}.{field}"))
            else:
                errors.extend(invalid(f"{at}.{field}", value, m) for m in check(value))


# attribute, name in the path of "more than 1", name in the path of the source, check; in upstream's order
_CHECKS: tuple[tuple[str, str, str, v.Check], ...] = (
    ("hostPath", "hostPath", "hostPath", v.check_host_path),
    ("gcePersistentDisk", "gcePersistentDisk", "persistentDisk", v.check_gce),
    ("awsElasticBlockStore", "awsElasticBlockStore", "awsElasticBlockStore", v.check_aws),
    ("glusterfs", "glusterfs", "glusterfs", _glusterfs),
    ("flocker", "flocker", "flocker", v.check_flocker),
    ("nfs", "nfs", "nfs", v.check_nfs),
    ("rbd", "rbd", "rbd", v.check_rbd),
    ("quobyte", "quobyte", "quobyte", v.check_quobyte),
    ("cephfs", "cephFS", "cephfs", v.check_cephfs),
    ("iscsi", "iscsi", "iscsi", _iscsi),
    ("cinder", "cinder", "cinder", _cinder),
    ("fc", "fc", "fc", v.check_fc),
    ("flexVolume", "flexVolume", "flexVolume", v.check_flex),
    ("azureFile", "azureFile", "azureFile", _azure_file),
    ("vsphereVolume", "vsphereVolume", "vsphereVolume", v.check_vsphere),
    ("photonPersistentDisk", "photonPersistentDisk", "photonPersistentDisk", v.check_photon),
    ("portworxVolume", "portworxVolume", "portworxVolume", v.check_portworx),
    ("azureDisk", "azureDisk", "azureDisk", v.check_azure_disk),
    ("scaleIO", "scaleIO", "scaleIO", v.check_scaleio),
    ("local", "local", "local", _local),
    ("storageos", "storageos", "storageos", _storageos),
    ("csi", "csi", "csi", _csi),
)
SOURCES = tuple(entry[0] for entry in _CHECKS)
"""Names of the fields of which exactly one is set."""


def check_source(spec: PersistentVolumeSpec, path: str, name: str, errors: _Errors) -> None:
    found = False
    for attribute, shown, at, check in _CHECKS:
        source = getattr(spec, attribute)
        if source is None:
            continue
        if found and attribute != "flexVolume":
            errors.append(forbidden(f"{path}.{shown}", _ONE))
            continue
        found = True
        check(source, f"{path}.{at}", errors)
        if attribute == "local" and spec.nodeAffinity is None:
            errors.append(required(f"{path}.nodeAffinity", "Local volume requires node affinity"))
        elif attribute == "iscsi" and source.initiatorName is not None and len(f"{name}:{source.targetPortal}") > 64:
            errors.append(invalid(f"{path}.{at}.targetportal", source.targetPortal, v.ISCSI_TOO_LONG))
    if not found:
        errors.append(required(path, "must specify a volume type"))
