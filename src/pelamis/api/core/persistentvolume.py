"""PersistentVolume: a piece of storage in the cluster. Its source is fixed once made."""

from __future__ import annotations

import posixpath
from typing import Annotated, Any

from msgspec.structs import replace

from pelamis.api.core.amount import check_not_negative_whole, check_positive
from pelamis.api.core.difference import difference
from pelamis.api.core.nodeselector import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from pelamis.api.core.persistentvolumeclaim import BETA_CLASS, check_access_modes, short_modes
from pelamis.api.core.persistentvolumesource import (
    SOURCES,
    AzureFilePersistentVolumeSource,
    CephFSPersistentVolumeSource,
    CinderPersistentVolumeSource,
    CSIPersistentVolumeSource,
    FlexPersistentVolumeSource,
    GlusterfsPersistentVolumeSource,
    ISCSIPersistentVolumeSource,
    LocalVolumeSource,
    RBDPersistentVolumeSource,
    ScaleIOPersistentVolumeSource,
    StorageOSPersistentVolumeSource,
    check_source,
)
from pelamis.api.core.pod.validate_affinity import check_node_selector
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
from pelamis.api.core.pod.warnings import node_term_warnings
from pelamis.api.core.reference import ObjectReference
from pelamis.api.core.wellknown import BETA_REGION, BETA_ZONE, REGION, ZONE
from pelamis.api.field import F, Quantity, Struct, Time, Tree, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, forbidden, invalid, not_supported, required
from pelamis.base.quantity import parse


class VolumeNodeAffinity(Struct, frozen=True):
    """Which nodes reach the volume."""

    required: Annotated[NodeSelector | None, F(1, "What the node must be like.")] = None


class PersistentVolumeSpec(Struct, frozen=True):
    """A piece of storage. Exactly one source is set."""

    capacity: Annotated[dict[str, Quantity], F(1, "Size; storage, in bytes.")] = {}
    gcePersistentDisk: Annotated[GCEPersistentDiskVolumeSource | None, F(1, "A Google disk.", within=(2,))] = None
    awsElasticBlockStore: Annotated[AWSElasticBlockStoreVolumeSource | None, F(2, "An Amazon disk.", within=(2,))] = (
        None
    )
    hostPath: Annotated[
        HostPathVolumeSource | None, F(3, "A directory of the node; for tests on one node.", within=(2,))
    ] = None
    glusterfs: Annotated[GlusterfsPersistentVolumeSource | None, F(4, "A Gluster volume.", within=(2,))] = None
    nfs: Annotated[NFSVolumeSource | None, F(5, "A directory of an NFS server.", within=(2,))] = None
    rbd: Annotated[RBDPersistentVolumeSource | None, F(6, "A Ceph block image.", within=(2,))] = None
    iscsi: Annotated[ISCSIPersistentVolumeSource | None, F(7, "An iSCSI disk.", within=(2,))] = None
    cinder: Annotated[CinderPersistentVolumeSource | None, F(8, "An OpenStack disk.", within=(2,))] = None
    cephfs: Annotated[CephFSPersistentVolumeSource | None, F(9, "A Ceph file system.", within=(2,))] = None
    fc: Annotated[FCVolumeSource | None, F(10, "A Fibre Channel disk.", within=(2,))] = None
    flocker: Annotated[FlockerVolumeSource | None, F(11, "A Flocker dataset.", within=(2,))] = None
    flexVolume: Annotated[FlexPersistentVolumeSource | None, F(12, "A volume of a driver program.", within=(2,))] = None
    azureFile: Annotated[AzureFilePersistentVolumeSource | None, F(13, "An Azure share.", within=(2,))] = None
    vsphereVolume: Annotated[VsphereVirtualDiskVolumeSource | None, F(14, "A vSphere disk.", within=(2,))] = None
    quobyte: Annotated[QuobyteVolumeSource | None, F(15, "A Quobyte volume.", within=(2,))] = None
    azureDisk: Annotated[AzureDiskVolumeSource | None, F(16, "An Azure disk.", within=(2,))] = None
    photonPersistentDisk: Annotated[PhotonPersistentDiskVolumeSource | None, F(17, "A Photon disk.", within=(2,))] = (
        None
    )
    portworxVolume: Annotated[PortworxVolumeSource | None, F(18, "A Portworx volume.", within=(2,))] = None
    scaleIO: Annotated[ScaleIOPersistentVolumeSource | None, F(19, "A ScaleIO volume.", within=(2,))] = None
    local: Annotated[LocalVolumeSource | None, F(20, "A disk or directory of one node.", within=(2,))] = None
    storageos: Annotated[StorageOSPersistentVolumeSource | None, F(21, "A StorageOS volume.", within=(2,))] = None
    csi: Annotated[CSIPersistentVolumeSource | None, F(22, "A volume of a CSI driver.", within=(2,))] = None
    accessModes: Annotated[
        tuple[str, ...],
        F(
            3,
            "How it can be mounted.",
            list="atomic",
            enum=(
                "ReadWriteOnce",
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOncePod",
            ),
        ),
    ] = ()
    claimRef: Annotated[ObjectReference | None, F(4, "The claim it is bound to, or kept for.", struct="granular")] = (
        None
    )
    persistentVolumeReclaimPolicy: Annotated[
        str,
        F(
            5,
            "What happens when its claim goes: Retain, Delete or Recycle.",
            enum=(
                "Recycle",
                "Delete",
                "Retain",
            ),
        ),
    ] = ""
    storageClassName: Annotated[str, F(6, "Class; empty: none.")] = ""
    mountOptions: Annotated[tuple[str, ...], F(7, "Options of the mount.", list="atomic")] = ()
    volumeMode: Annotated[
        str | None,
        F(
            8,
            "Filesystem or Block.",
            enum=(
                "Block",
                "Filesystem",
            ),
        ),
    ] = None
    nodeAffinity: Annotated[VolumeNodeAffinity | None, F(9, "Which nodes reach it.")] = None
    volumeAttributesClassName: Annotated[str | None, F(10, "Class of attributes that can change.")] = None


class PersistentVolumeStatus(Struct, frozen=True):
    """State of a volume."""

    phase: Annotated[
        str,
        F(
            1,
            "Pending, Available, Bound, Released or Failed.",
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
    message: Annotated[str, F(2, "Text for people.")] = ""
    reason: Annotated[str, F(3, "One word in CamelCase.")] = ""
    lastPhaseTransitionTime: Annotated[Time | None, F(4, "When phase last changed.")] = None


class PersistentVolume(Struct, frozen=True):
    """A piece of storage in the cluster."""

    kind: str = always(lambda: "PersistentVolume")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    spec: Annotated[PersistentVolumeSpec, F(2, "What it is.")] = always(PersistentVolumeSpec)
    status: Annotated[PersistentVolumeStatus, F(3, "Its state.")] = always(PersistentVolumeStatus)


_BETA_TO_GA = {
    BETA_ZONE: ZONE,
    BETA_REGION: REGION,
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if not spec.get("persistentVolumeReclaimPolicy"):
        spec["persistentVolumeReclaimPolicy"] = "Retain"
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = "Filesystem"


def prepare_create(tree: Tree) -> None:
    tree["status"] = {"phase": "Pending"}
    if created := tree["metadata"].get("creationTimestamp"):
        tree["status"]["lastPhaseTransitionTime"] = created


def validate_volume_spec(
    spec: PersistentVolumeSpec, path: str, name: str = "", *, inline: bool = False
) -> list[FieldError]:
    """inline: the spec is part of a VolumeAttachment and not of a volume of its own."""
    errors: list[FieldError] = []
    detail = "may not be specified in the context of inline volumes"
    if inline:
        if spec.claimRef is not None:
            errors.append(forbidden(f"{path}.claimRef", detail))
        if spec.capacity:
            errors.append(forbidden(f"{path}.capacity", detail))
        if spec.csi is None:
            errors.append(required(f"{path}.csi", "has to be specified in the context of inline volumes"))
    if not spec.accessModes:
        errors.append(required(f"{path}.accessModes"))
    check_access_modes(spec.accessModes, f"{path}.accessModes", errors)
    if not inline:
        at = f"{path}.capacity"
        if not spec.capacity:
            errors.append(required(at))
        if spec.capacity.keys() != {"storage"}:
            errors.append(not_supported(at, spec.capacity or None, ("storage",)))
        for resource, text in spec.capacity.items():
            check_not_negative_whole(text, f"{at}[{resource}]", errors)
            check_positive(text, f"{at}[{resource}]", errors)
    policy = spec.persistentVolumeReclaimPolicy
    at = f"{path}.persistentVolumeReclaimPolicy"
    if policy and inline and policy != "Retain":
        errors.append(forbidden(at, "may only be Retain in the context of inline volumes"))
    elif policy not in ("", "Delete", "Recycle", "Retain"):
        errors.append(not_supported(at, policy, ("Delete", "Recycle", "Retain")))
    affinity = spec.nodeAffinity
    if affinity is not None:
        if inline:
            errors.append(forbidden(f"{path}.nodeAffinity", detail))
        elif affinity.required is None:
            errors.append(required(f"{path}.nodeAffinity.required", "must specify required node constraints"))
        else:
            check_node_selector(affinity.required, f"{path}.nodeAffinity.required", errors)
    check_source(spec, path, name, errors)
    if spec.hostPath is not None and policy == "Recycle" and posixpath.normpath(spec.hostPath.path) in ("/", "//"):
        errors.append(forbidden(at, "may not be 'recycle' for a hostPath mount of '/'"))
    if spec.storageClassName:
        if inline:
            errors.append(forbidden(f"{path}.storageClassName", detail))
        else:
            messages = names.is_dns1123_subdomain(spec.storageClassName)
            errors.extend(invalid(f"{path}.storageClassName", spec.storageClassName, m) for m in messages)
    mode = spec.volumeMode
    if mode is not None and inline and mode != "Filesystem":
        shown = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        errors.append(forbidden(f"{path}.volumeMode", shown))
    elif mode not in (None, "Block", "Filesystem"):
        errors.append(not_supported(f"{path}.volumeMode", mode or "", ("Block", "Filesystem")))
    attributes = spec.volumeAttributesClassName
    if attributes is not None:
        at = f"{path}.volumeAttributesClassName"
        if not attributes:
            errors.append(required(at, "an empty string is disallowed"))
        else:
            errors.extend(invalid(at, attributes, m) for m in names.is_dns1123_subdomain(attributes))
        if spec.csi is None:
            errors.append(required(f"{path}.csi", "has to be specified when using volumeAttributesClassName"))
    return errors


def validate(obj: PersistentVolume) -> list[FieldError]:
    return validate_volume_spec(obj.spec, "spec", obj.metadata.name)


def validate_update(obj: PersistentVolume, old: PersistentVolume) -> list[FieldError]:
    errors = validate(obj)
    new, was = obj.spec, old.spec
    if was.csi is not None and was.csi.controllerExpandSecretRef is None and new.csi is not None:
        new = replace(new, csi=replace(new.csi, controllerExpandSecretRef=None))
    sources = {name: getattr(new, name) for name in SOURCES}
    before = {name: getattr(was, name) for name in SOURCES}
    if sources != before:
        detail = f"spec.persistentvolumesource is immutable after creation\n{difference(before, sources)}"
        errors.append(forbidden("spec.persistentvolumesource", detail))
    if new.volumeMode != was.volumeMode:
        errors.append(invalid("volumeMode", new.volumeMode, "field is immutable"))
    if was.nodeAffinity is not None and not _same_affinity(new.nodeAffinity, was.nodeAffinity):
        detail = "field is immutable, except for updating from beta label to GA"
        errors.append(invalid("nodeAffinity", new.nodeAffinity, detail))
    if was.volumeAttributesClassName is not None and new.volumeAttributesClassName is None:
        detail = "update from non-nil value to nil is forbidden"
        errors.append(forbidden("spec.volumeAttributesClassName", detail))
    return errors


def _same_affinity(new: VolumeNodeAffinity | None, old: VolumeNodeAffinity) -> bool:
    """Equal, or differing only in that a beta label gave way to the one that replaced it."""
    if new == old:
        return True
    if new is None or new.required is None or old.required is None:
        return False
    return len(new.required.nodeSelectorTerms) == len(old.required.nodeSelectorTerms) and all(
        _same_term(a, b) for a, b in zip(new.required.nodeSelectorTerms, old.required.nodeSelectorTerms, strict=True)
    )


def _same_term(new: NodeSelectorTerm, old: NodeSelectorTerm) -> bool:
    def same(a: NodeSelectorRequirement, b: NodeSelectorRequirement) -> bool:
        keys = (b.key, _BETA_TO_GA.get(b.key, b.key))
        return a.key in keys and (a.operator, a.values) == (b.operator, b.values)

    return all(
        len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
        for a, b in ((new.matchExpressions, old.matchExpressions), (new.matchFields, old.matchFields))
    )


def warnings(obj: PersistentVolume) -> list[str]:
    out: list[str] = []
    spec = obj.spec
    if BETA_CLASS in obj.metadata.annotations:
        at = f"metadata.annotations[{BETA_CLASS}]"
        out.append(f'{at}: deprecated since v1.8; use "storageClassName" attribute instead')
    if spec.persistentVolumeReclaimPolicy == "Recycle":
        out.append(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
            "Instead, the recommended approach is to use dynamic provisioning."
        )
    if spec.nodeAffinity is not None and spec.nodeAffinity.required is not None:
        for i, term in enumerate(spec.nodeAffinity.required.nodeSelectorTerms):
            out += node_term_warnings(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{i}]")
    for name, since in (
        ("photonPersistentDisk", "v1.11, non-functional in v1.16+"),
        ("scaleIO", "v1.16, non-functional in v1.22+"),
        ("storageos", "v1.22, non-functional in v1.25+"),
        ("glusterfs", "v1.25, non-functional in v1.26+"),
        ("cephfs", "v1.28, non-functional in v1.31+"),
        ("rbd", "v1.28, non-functional in v1.31+"),
    ):
        if getattr(spec, name) is not None:
            out.append(f"spec.{'storageOS' if name == 'storageos' else name}: deprecated in {since}")
    return out


PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def volume_class(volume: PersistentVolume) -> str:
    """The name of the class, wherever it is given; "" for none."""
    return volume.metadata.annotations.get(BETA_CLASS) or volume.spec.storageClassName


def size(volume: PersistentVolume) -> int:
    """Billionths of a byte."""
    return parse(volume.spec.capacity.get("storage", "0")).nano


def cells(obj: PersistentVolume, now: float) -> tuple[Any, ...]:
    spec = obj.spec
    claim = f"{spec.claimRef.namespace}/{spec.claimRef.name}" if spec.claimRef is not None else ""
    attributes = spec.volumeAttributesClassName
    return (
        obj.metadata.name,
        spec.capacity.get("storage", "0"),
        short_modes(spec.accessModes),
        spec.persistentVolumeReclaimPolicy,
        "Terminating" if obj.metadata.deletionTimestamp else obj.status.phase,
        claim,
        volume_class(obj),
        "<unset>" if attributes is None else attributes,
        obj.status.reason,
        age(obj.metadata.creationTimestamp, now),
        "<unset>" if spec.volumeMode is None else spec.volumeMode,
    )


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
    cells=cells,
    default=default,
    prepare_create=prepare_create,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    indexes={
        "claim": lambda volume: (
            (f"{volume.spec.claimRef.namespace}/{volume.spec.claimRef.name}",)
            if volume.spec.claimRef is not None
            else ()
        ),
        "free": lambda volume: (volume_class(volume),) if volume.spec.claimRef is None else (),
    },
)
