"""Validation of a pod's volumes. Each function appends what is wrong with one source to ``errors``.

Where upstream's field paths are odd (``persistentDisk``, ``downwarAPI``), ours are too: clients match on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pelamis.api.core.persistentvolumeclaim import validate_claim_template
from pelamis.api.core.pod import volume as v
from pelamis.api.core.pod.validate_env import check_field_ref, check_resource_ref
from pelamis.api.metavalidate import validate_label_selector
from pelamis.base import names
from pelamis.base.errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_long
from pelamis.base.quantity import sign

Errors = list[FieldError]
Check = Callable[[Any, str, Errors], None]
_ONE = "may not specify more than 1 volume type"
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_PARTITION = names.within(1, 255)
_DUPLICATE_PATHS = "conflicting duplicate paths"
ISCSI_TOO_LONG = (
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
    "if iscsi.initiatorName is specified."
)
_ISCSI = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)"),
    "eui": re.compile(r"eui\.[A-Za-z0-9]{16}"),
    "naa": re.compile(r"naa\.[A-Za-z0-9]{32}"),
}
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_KEY_TYPES = ("ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096")
_DOWNWARD_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")


def has_backstep(path: str) -> bool:
    return ".." in path and ".." in path.split("/")


def check_no_backsteps(value: str, path: str, errors: Errors) -> None:
    if has_backstep(value):
        errors.append(invalid(path, value, "must not contain '..'"))


def check_descending_path(value: str, path: str, errors: Errors) -> None:
    """A relative path that stays below where it starts."""
    if value.startswith("/"):
        errors.append(invalid(path, value, "must be a relative path"))
    check_no_backsteps(value, path, errors)


def check_local_path(value: str, path: str, errors: Errors) -> None:
    """A descending path that does not start with two dots, which volume writers use themselves."""
    check_descending_path(value, path, errors)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(invalid(path, value, "must not start with '..'"))


def _need(value: Any, path: str, errors: Errors) -> None:
    if not value:
        errors.append(required(path))


def _mode(value: int | None, path: str, errors: Errors) -> None:
    if value is not None and not 0 <= value <= 0o777:
        errors.append(invalid(path, value, _MODE))


def _label(value: str, path: str, errors: Errors) -> None:
    errors.extend(invalid(path, value, m) for m in names.is_dns1123_label(value))


def check_host_path(source: v.HostPathVolumeSource, path: str, errors: Errors) -> None:
    if not source.path:
        errors.append(required(f"{path}.path"))
        return
    check_no_backsteps(source.path, f"{path}.path", errors)
    if source.type is not None and source.type not in _HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", source.type, _HOST_PATH_TYPES))


def _git_repo(source: v.GitRepoVolumeSource, path: str, errors: Errors) -> None:
    _need(source.repository, f"{path}.repository", errors)
    check_descending_path(source.directory, f"{path}.directory", errors)


def check_gce(source: v.GCEPersistentDiskVolumeSource, path: str, errors: Errors) -> None:
    _need(source.pdName, f"{path}.pdName", errors)
    if not 0 <= source.partition <= 255:
        errors.append(invalid(f"{path}.partition", source.partition, _PARTITION))


def check_aws(source: v.AWSElasticBlockStoreVolumeSource, path: str, errors: Errors) -> None:
    _need(source.volumeID, f"{path}.volumeID", errors)
    if not 0 <= source.partition <= 255:
        errors.append(invalid(f"{path}.partition", source.partition, _PARTITION))


def _items(items: Sequence[v.KeyToPath], path: str, errors: Errors) -> None:
    for i, item in enumerate(items):
        at = f"{path}[{i}]"
        _need(item.key, f"{at}.key", errors)
        _need(item.path, f"{at}.path", errors)
        check_local_path(item.path, f"{at}.path", errors)
        _mode(item.mode, f"{at}.mode", errors)


def _secret(source: v.SecretVolumeSource, path: str, errors: Errors) -> None:
    _need(source.secretName, f"{path}.secretName", errors)
    _mode(source.defaultMode, f"{path}.defaultMode", errors)
    _items(source.items, f"{path}.items", errors)


def _config_map(source: v.ConfigMapVolumeSource, path: str, errors: Errors) -> None:
    _need(source.name, f"{path}.name", errors)
    _mode(source.defaultMode, f"{path}.defaultMode", errors)
    _items(source.items, f"{path}.items", errors)


def check_nfs(source: v.NFSVolumeSource, path: str, errors: Errors) -> None:
    _need(source.server, f"{path}.server", errors)
    _need(source.path, f"{path}.path", errors)
    if not source.path.startswith("/"):
        errors.append(invalid(f"{path}.path", source.path, "must be an absolute path"))


def check_initiator(value: str, path: str, errors: Errors, prefix_detail: str) -> None:
    """An iSCSI name: ``iqn.``, ``eui.`` or ``naa.`` notation."""
    pattern = _ISCSI.get(value[:3])
    if pattern is None:
        errors.append(invalid(path, value, prefix_detail))
    elif not pattern.fullmatch(value):
        errors.append(invalid(path, value, "must be valid format"))


def _iscsi(source: v.ISCSIVolumeSource, path: str, errors: Errors) -> None:
    _need(source.targetPortal, f"{path}.targetPortal", errors)
    detail = "must be valid format starting with iqn, eui, or naa"
    if not source.iqn:
        errors.append(required(f"{path}.iqn"))
    else:
        check_initiator(source.iqn, f"{path}.iqn", errors, detail)
    if not 0 <= source.lun <= 255:
        errors.append(invalid(f"{path}.lun", source.lun, names.within(0, 255)))
    if (source.chapAuthDiscovery or source.chapAuthSession) and source.secretRef is None:
        errors.append(required(f"{path}.secretRef"))
    if source.initiatorName is not None:
        check_initiator(source.initiatorName, f"{path}.initiatorname", errors, detail)


def _glusterfs(source: v.GlusterfsVolumeSource, path: str, errors: Errors) -> None:
    _need(source.endpoints, f"{path}.endpoints", errors)
    _need(source.path, f"{path}.path", errors)


def check_flocker(source: v.FlockerVolumeSource, path: str, errors: Errors) -> None:
    if not source.datasetName and not source.datasetUUID:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if source.datasetName and source.datasetUUID:
        detail = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(invalid(path, "resource", detail))
    if "/" in source.datasetName:
        errors.append(invalid(f"{path}.datasetName", source.datasetName, "must not contain '/'"))


def _claim(source: v.PersistentVolumeClaimVolumeSource, path: str, errors: Errors) -> None:
    _need(source.claimName, f"{path}.claimName", errors)


def check_rbd(source: Any, path: str, errors: Errors) -> None:
    _need(source.monitors, f"{path}.monitors", errors)
    _need(source.image, f"{path}.image", errors)


def _cinder(source: v.CinderVolumeSource, path: str, errors: Errors) -> None:
    _need(source.volumeID, f"{path}.volumeID", errors)
    if source.secretRef is not None:
        _need(source.secretRef.name, f"{path}.secretRef.name", errors)


def check_cephfs(source: Any, path: str, errors: Errors) -> None:
    _need(source.monitors, f"{path}.monitors", errors)


def check_quobyte(source: v.QuobyteVolumeSource, path: str, errors: Errors) -> None:
    detail = "must be a host:port pair or multiple pairs separated by commas"
    if not source.registry:
        errors.append(required(f"{path}.registry", detail))
    elif len(source.tenant) >= 65:
        errors.append(required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        for pair in source.registry.split(","):
            host, colon, _port = pair.rpartition(":")
            if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
                errors.append(invalid(f"{path}.registry", source.registry, detail))
    _need(source.volume, f"{path}.volume", errors)


def _downward_file(file: v.DownwardAPIVolumeFile, path: str, errors: Errors) -> None:
    _need(file.path, f"{path}.path", errors)
    check_local_path(file.path, f"{path}.path", errors)
    if file.fieldRef is not None:
        check_field_ref(file.fieldRef, _DOWNWARD_FIELDS, f"{path}.fieldRef", errors)
        if file.resourceFieldRef is not None:
            detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid(path, "resource", detail))
    elif file.resourceFieldRef is not None:
        check_resource_ref(file.resourceFieldRef, f"{path}.resourceFieldRef", True, errors)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    _mode(file.mode, f"{path}.mode", errors)


def _downward(source: v.DownwardAPIVolumeSource, path: str, errors: Errors) -> None:
    _mode(source.defaultMode, f"{path}.defaultMode", errors)
    for file in source.items:
        _downward_file(file, path, errors)


def check_fc(source: v.FCVolumeSource, path: str, errors: Errors) -> None:
    at = f"{path}.targetWWNs"
    if not source.targetWWNs and not source.wwids:
        errors.append(required(at, "must specify either targetWWNs or wwids, but not both"))
    if source.targetWWNs and source.wwids:
        errors.append(invalid(at, source.targetWWNs, "targetWWNs and wwids can not be specified simultaneously"))
    if source.targetWWNs:
        if source.lun is None:
            errors.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= source.lun <= 255:
            errors.append(invalid(f"{path}.lun", source.lun, names.within(0, 255)))


def check_flex(source: Any, path: str, errors: Errors) -> None:
    _need(source.driver, f"{path}.driver", errors)
    for key in source.options:
        namespace = key.partition("/")[0] if "/" in key else key
        normal = "." + namespace.lower()
        if normal.endswith((".kubernetes.io", ".k8s.io")):
            detail = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid(f"{path}.options[{key}]", key, detail))


def _azure_file(source: v.AzureFileVolumeSource, path: str, errors: Errors) -> None:
    _need(source.secretName, f"{path}.secretName", errors)
    _need(source.shareName, f"{path}.shareName", errors)


def check_azure_disk(source: v.AzureDiskVolumeSource, path: str, errors: Errors) -> None:
    _need(source.diskName, f"{path}.diskName", errors)
    _need(source.diskURI, f"{path}.diskURI", errors)
    modes, kinds = ("None", "ReadOnly", "ReadWrite"), ("Dedicated", "Managed", "Shared")
    if source.cachingMode is not None and source.cachingMode not in modes:
        errors.append(not_supported(f"{path}.cachingMode", source.cachingMode, modes))
    if source.kind is None:
        return
    if source.kind not in kinds:
        errors.append(not_supported(f"{path}.kind", source.kind, kinds))
    if source.kind == "Managed" and not source.diskURI.startswith("/subscriptions/"):
        form = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
        errors.append(not_supported(f"{path}.diskURI", source.diskURI, (form,)))
    if source.kind != "Managed" and not source.diskURI.startswith("https://"):
        form = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
        errors.append(not_supported(f"{path}.diskURI", source.diskURI, (form,)))


def check_vsphere(source: v.VsphereVirtualDiskVolumeSource, path: str, errors: Errors) -> None:
    _need(source.volumePath, f"{path}.volumePath", errors)


def check_photon(source: v.PhotonPersistentDiskVolumeSource, path: str, errors: Errors) -> None:
    _need(source.pdID, f"{path}.pdID", errors)


def check_portworx(source: v.PortworxVolumeSource, path: str, errors: Errors) -> None:
    _need(source.volumeID, f"{path}.volumeID", errors)


def check_storageos(source: Any, path: str, errors: Errors) -> None:
    if not source.volumeName:
        errors.append(required(f"{path}.volumeName"))
    else:
        _label(source.volumeName, f"{path}.volumeName", errors)
    if source.volumeNamespace:
        _label(source.volumeNamespace, f"{path}.volumeNamespace", errors)
    if source.secretRef is not None:
        _need(source.secretRef.name, f"{path}.secretRef.name", errors)


def check_scaleio(source: Any, path: str, errors: Errors) -> None:
    _need(source.gateway, f"{path}.gateway", errors)
    _need(source.system, f"{path}.system", errors)
    _need(source.volumeName, f"{path}.volumeName", errors)


def check_csi_driver_name(name: str, path: str, errors: Errors) -> None:
    _need(name, path, errors)
    if len(name) > 63:
        errors.append(too_long(path, 63))
    errors.extend(invalid(path, name, m) for m in names.is_dns1123_subdomain(name.lower()))


def _csi(source: v.CSIVolumeSource, path: str, errors: Errors) -> None:
    check_csi_driver_name(source.driver, f"{path}.driver", errors)
    ref = source.nodePublishSecretRef
    if ref is not None:
        if not ref.name:
            errors.append(required(f"{path}.nodePublishSecretRef.name"))
        else:
            errors.extend(invalid(f"{path}.name", ref.name, m) for m in names.is_dns1123_subdomain(ref.name))


def _ephemeral(source: v.EphemeralVolumeSource, path: str, errors: Errors) -> None:
    if source.volumeClaimTemplate is None:
        errors.append(required(f"{path}.volumeClaimTemplate"))
    else:
        template = source.volumeClaimTemplate
        errors.extend(validate_claim_template(template.metadata, template.spec, f"{path}.volumeClaimTemplate"))


def check_pull_policy(value: str, path: str, errors: Errors) -> None:
    if value not in ("IfNotPresent", "Always", "Never"):
        if value:
            errors.append(not_supported(path, value, ("Always", "IfNotPresent", "Never")))
        else:
            errors.append(required(path))


def _image(source: v.ImageVolumeSource, path: str, errors: Errors) -> None:
    check_pull_policy(source.pullPolicy, f"{path}.pullPolicy", errors)


def _projected(source: v.ProjectedVolumeSource, path: str, errors: Errors) -> None:
    _mode(source.defaultMode, f"{path}.defaultMode", errors)
    seen: set[str] = set()

    def once(target: str, shown: str) -> None:
        if target in seen:
            errors.append(invalid(path, shown, _DUPLICATE_PATHS))
        seen.add(target)

    for i, part in enumerate(source.sources):
        at = f"{path}.sources[{i}]"
        count = 0
        for name, keyed in (("secret", part.secret), ("configMap", part.configMap)):
            if keyed is None:
                continue
            count += 1
            _need(keyed.name, f"{at}.{name}.name", errors)
            _items(keyed.items, f"{at}.{name}.items", errors)
            for item in keyed.items:
                if item.path:
                    once(item.path, keyed.name)
        if part.downwardAPI is not None:
            count += 1
            for file in part.downwardAPI.items:
                _downward_file(file, f"{at}.downwardAPI", errors)
                if file.path:
                    once(file.path, file.path)
        if part.serviceAccountToken is not None:
            count += 1
            _token(part.serviceAccountToken, path, f"{at}.serviceAccountToken", errors)
        if part.clusterTrustBundle is not None:
            count += 1
            _trust_bundle(part.clusterTrustBundle, f"{at}.clusterTrustBundle", errors)
            once(part.clusterTrustBundle.path, part.clusterTrustBundle.path)
        if part.podCertificate is not None:
            count += 1
            certificate = part.podCertificate
            _certificate(certificate, f"{at}.podCertificate", errors)
            for target in (
                certificate.credentialBundlePath,
                certificate.keyPath,
                certificate.certificateChainPath,
            ):
                if target:
                    once(target, target)
        if count > 1:
            errors.append(forbidden(at, "may not specify more than 1 volume type per source"))


def _token(source: v.ServiceAccountTokenProjection, path: str, at: str, errors: Errors) -> None:
    seconds = source.expirationSeconds or 0
    if seconds < 600:
        detail = "may not specify a duration less than 10 minutes"
        errors.append(invalid(f"{at}.expirationSeconds", seconds, detail))
    if seconds > 1 << 32:
        detail = "may not specify a duration larger than 2^32 seconds"
        errors.append(invalid(f"{at}.expirationSeconds", seconds, detail))
    if not source.path:
        errors.append(required(f"{path}.path"))
    else:
        check_local_path(source.path, f"{path}.path", errors)


def _trust_bundle(source: v.ClusterTrustBundleProjection, at: str, errors: Errors) -> None:
    if source.name is not None and source.signerName is not None:
        errors.append(invalid(at, source, "only one of name and signerName may be used"))
    elif source.name is not None:
        _need_detail(source.name, f"{at}.name", "must be a valid object name", errors)
        bare = source.name.rpartition(":")[2]
        for message in names.is_dns1123_subdomain(bare):
            detail = f"not a valid clustertrustbundlename: {message}"
            errors.append(invalid(f"{at}.name", source.name, detail))
        if source.labelSelector is not None:
            detail = "labelSelector must be unset if name is specified"
            errors.append(invalid(f"{at}.labelSelector", source.labelSelector, detail))
    elif source.signerName is not None:
        _need_detail(source.signerName, f"{at}.signerName", "must be a valid signer name", errors)
        check_signer_name(source.signerName, f"{at}.signerName", errors)
        if source.labelSelector is not None:
            errors.extend(validate_label_selector(source.labelSelector, f"{at}.labelSelector"))
    else:
        errors.append(required(at, "either name or signerName must be specified"))
    _need(source.path, f"{at}.path", errors)
    check_local_path(source.path, f"{at}.path", errors)


def _need_detail(value: str, path: str, detail: str, errors: Errors) -> None:
    if not value:
        errors.append(required(path, detail))


def check_signer_name(value: str, path: str, errors: Errors) -> None:
    """``domain/name``, as certificate signers are called."""
    if not value:
        errors.append(required(path))
        return
    domain, slash, rest = value.partition("/")
    if not slash or "/" in rest:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        errors.append(invalid(path, value, detail))
        return
    if domain.count(".") < 1:
        detail = "should be a domain with at least two segments separated by dots"
        errors.append(invalid(path, domain, detail))
    errors.extend(invalid(path, domain, f"validating signer domain: {m}") for m in names.is_dns1123_subdomain(domain))
    errors.extend(invalid(path, rest, f"validating signer name: {m}") for m in names.is_dns1123_subdomain(rest))
    if len(value) > 571:
        errors.append(too_long(path, 571))


def _certificate(source: v.PodCertificateProjection, at: str, errors: Errors) -> None:
    check_signer_name(source.signerName, f"{at}.signerName", errors)
    if source.keyType not in _KEY_TYPES:
        errors.append(not_supported(f"{at}.keyType", source.keyType, _KEY_TYPES))
    seconds = source.maxExpirationSeconds
    if seconds is not None:
        longest = 86400 if source.signerName.startswith("kubernetes.io/") else 91 * 86400
        if seconds < 3600:
            errors.append(
                invalid(f"{at}.maxExpirationSeconds", seconds, "if provided, maxExpirationSeconds must be >= 3600")
            )
        if seconds > longest:
            detail = f"if provided, maxExpirationSeconds must be <= {longest}"
            errors.append(invalid(f"{at}.maxExpirationSeconds", seconds, detail))
    targets = (
        ("credentialBundlePath", source.credentialBundlePath),
        ("keyPath", source.keyPath),
        ("certificateChainPath", source.certificateChainPath),
    )
    if not any(value for _, value in targets):
        detail = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        errors.append(required(at, detail))
    for name, value in targets:
        if value:
            check_local_path(value, f"{at}.{name}", errors)


# attribute, name in the path of "more than 1", name in the path of the source, check; in upstream's order
_SOURCES: tuple[tuple[str, str, str, Check], ...] = (
    ("hostPath", "hostPath", "hostPath", check_host_path),
    ("gitRepo", "gitRepo", "gitRepo", _git_repo),
    ("gcePersistentDisk", "gcePersistentDisk", "persistentDisk", check_gce),
    ("awsElasticBlockStore", "awsElasticBlockStore", "awsElasticBlockStore", check_aws),
    ("secret", "secret", "secret", _secret),
    ("nfs", "nfs", "nfs", check_nfs),
    ("iscsi", "iscsi", "iscsi", _iscsi),
    ("glusterfs", "glusterfs", "glusterfs", _glusterfs),
    ("flocker", "flocker", "flocker", check_flocker),
    ("persistentVolumeClaim", "persistentVolumeClaim", "persistentVolumeClaim", _claim),
    ("rbd", "rbd", "rbd", check_rbd),
    ("cinder", "cinder", "cinder", _cinder),
    ("cephfs", "cephFS", "cephfs", check_cephfs),
    ("quobyte", "quobyte", "quobyte", check_quobyte),
    ("downwardAPI", "downwarAPI", "downwardAPI", _downward),
    ("fc", "fc", "fc", check_fc),
    ("flexVolume", "flexVolume", "flexVolume", check_flex),
    ("configMap", "configMap", "configMap", _config_map),
    ("azureFile", "azureFile", "azureFile", _azure_file),
    ("vsphereVolume", "vsphereVolume", "vsphereVolume", check_vsphere),
    ("photonPersistentDisk", "photonPersistentDisk", "photonPersistentDisk", check_photon),
    ("portworxVolume", "portworxVolume", "portworxVolume", check_portworx),
    ("azureDisk", "azureDisk", "azureDisk", check_azure_disk),
    ("storageos", "storageos", "storageos", check_storageos),
    ("projected", "projected", "projected", _projected),
    ("scaleIO", "scaleIO", "scaleIO", check_scaleio),
    ("csi", "csi", "csi", _csi),
    ("ephemeral", "ephemeral", "ephemeral", _ephemeral),
    ("image", "image", "image", _image),
)


def _check_source(volume: v.Volume, path: str, pod_name: str, is_pod: bool, errors: Errors) -> None:
    found = 0
    empty = volume.emptyDir
    if empty is not None:
        found = 1
        if empty.sizeLimit is not None and sign(empty.sizeLimit) < 0:
            detail = "SizeLimit field must be a valid resource quantity"
            errors.append(forbidden(f"{path}.emptyDir.sizeLimit", detail))
        _mode(empty.mode, f"{path}.emptyDir.mode", errors)
    for attribute, shown, at, check in _SOURCES:
        source = getattr(volume, attribute)
        if source is None:
            continue
        if found:
            errors.append(forbidden(f"{path}.{shown}", _ONE))
        else:
            found = 1
            check(source, f"{path}.{at}", errors)
        if attribute == "iscsi" and source.initiatorName is not None:
            if len(f"{volume.name}:{source.targetPortal}") > 64:
                errors.append(invalid(f"{path}.name", volume.name, ISCSI_TOO_LONG))
        elif attribute == "ephemeral" and pod_name and volume.name:
            claim = v.ephemeral_claim(volume, pod_name)
            for message in names.is_dns1123_subdomain(claim):
                errors.append(invalid(f"{path}.name", volume.name, f'PVC name "{claim}": {message}'))
        elif attribute == "image" and is_pod and not source.reference:
            errors.append(required(f"{path}.image.reference"))
    if not found:
        errors.append(required(path, "must specify a volume type"))


def check_volumes(
    volumes: Sequence[v.Volume], pod_name: str, is_pod: bool, path: str, errors: Errors
) -> Mapping[str, v.Volume]:
    """Appends what is wrong; gives the volumes that are valid, by name. ``pod_name``: "" when it is not known."""
    if not volumes:
        return {}
    made = {v.ephemeral_claim(x, pod_name) for x in volumes if x.ephemeral is not None} if pod_name else ()
    valid: dict[str, v.Volume] = {}
    for i, volume in enumerate(volumes):
        at = f"{path}[{i}]"
        wrong: Errors = []
        _check_source(volume, at, pod_name, is_pod, wrong)
        name = volume.name
        if not name:
            wrong.append(required(f"{at}.name"))
        elif messages := names.is_dns1123_label(name):
            wrong.extend(invalid(f"{at}.name", name, m) for m in messages)
        if name in valid:
            wrong.append(duplicate(f"{at}.name", name))
        if wrong:
            errors.extend(wrong)
        else:
            valid[name] = volume
        claim = volume.persistentVolumeClaim
        if claim is not None and claim.claimName in made:
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid(f"{at}.persistentVolumeClaim.claimName", claim.claimName, detail))
    return valid
