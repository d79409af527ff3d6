"""persistentVolumeClaim and ephemeral: the bound PersistentVolume of kind hostPath, local or nfs.

A local volume may be a directory or a block device. A device is handed to the container as it is (volumeMode Block), or
mounted, and formatted before if nothing is on it. Volumes of other kinds are refused with a message that names theirs.
"""

from __future__ import annotations

import asyncio
import os
import stat
from typing import Any

from pelamis.api.core.pod.volume import claim_name
from pelamis.kubelet.volumes import hostpath, mount
from pelamis.kubelet.volumes.context import Context
from pelamis.kubelet.volumes.ownership import apply_group
from pelamis.kubelet.volumes.payload import VolumeError


async def setup(context: Context, volume: Any) -> str:
    pod = context.pod
    namespace = pod.metadata.namespace
    name = claim_name(volume, pod.metadata.name)
    read_only = volume.ephemeral is None and volume.persistentVolumeClaim.readOnly
    claim = context.claim(namespace, name)
    if claim is None:
        raise VolumeError(f'persistentvolumeclaim "{name}" not found')
    if volume.ephemeral is not None and not any(
        owner.uid == pod.metadata.uid and owner.controller for owner in claim.metadata.ownerReferences
    ):
        where = f"{namespace}/{pod.metadata.name}"
        raise VolumeError(f"PVC {namespace}/{name} was not created for pod {where} (pod is not owner)")
    if claim.metadata.deletionTimestamp:
        raise VolumeError("can't start pod because PVC is being deleted")
    if claim.status.phase != "Bound" or not claim.spec.volumeName:
        raise VolumeError(f"PVC {namespace}/{name} is not bound")
    found = context.volume("", claim.spec.volumeName)
    if found is None:
        raise VolumeError(f'persistentvolume "{claim.spec.volumeName}" not found')
    ref = found.spec.claimRef
    if ref is None or ref.uid != claim.metadata.uid:
        raise VolumeError(f"PersistentVolume {found.metadata.name} is not bound to claim {namespace}/{name}")
    block = found.spec.volumeMode == "Block"
    everyone = (*pod.spec.initContainers, *pod.spec.containers, *pod.spec.ephemeralContainers)
    if block and any(one.name == volume.name for container in everyone for one in container.volumeMounts):
        raise VolumeError(f"volume {volume.name} has volumeMode Block, but is specified in volumeMounts")
    if not block and any(one.name == volume.name for container in everyone for one in container.volumeDevices):
        raise VolumeError(f"volume {volume.name} has volumeMode Filesystem, but is specified in volumeDevices")
    if block and found.spec.local is not None:
        return _device(found.spec.local.path)
    return await _persistent(context, volume, found, read_only)


async def _persistent(context: Context, volume: Any, found: Any, read_only: bool) -> str:
    spec = found.spec
    if spec.hostPath is not None:
        hostpath.check(spec.hostPath.path, spec.hostPath.type or "")
        return str(spec.hostPath.path)
    if spec.local is not None:
        return await _local(context, found, read_only)
    if spec.nfs is not None:
        return nfs(context, volume.name, spec.nfs.server, spec.nfs.path, read_only or spec.nfs.readOnly)
    kind = next((name for name in spec.__struct_fields__ if name != "claimRef" and _is_source(spec, name)), "unknown")
    raise VolumeError(f"volumes of kind {kind} are not supported by this node")


async def _local(context: Context, found: Any, read_only: bool) -> str:
    """Mounted in a place of the pod's own, so that links are followed once and read-only holds for subpaths too."""
    path = found.spec.local.path
    if not _is_folder(path) and not _is_device(path):
        raise VolumeError(f'local volume path "{path}" does not exist')
    target = context.path("local-volume", found.metadata.name)
    if not mount.is_mounted(target):
        target.mkdir(parents=True, exist_ok=True)
        if _is_device(path):
            kind = await _formatted(path, found.spec.local.fsType or "ext4", read_only)
            mount.filesystem(_real(path), target, kind, "", mount.READ_ONLY if read_only else 0)
        else:
            mount.bind(_real(path), target)
            if read_only:
                mount.filesystem("", target, "", "", mount.REMOUNT_READ_ONLY)
    if context.fs_group is not None and not read_only:
        policy = context.pod.spec.securityContext.fsGroupChangePolicy == "OnRootMismatch"
        await apply_group(target, context.fs_group, read_only=False, on_root_mismatch=policy)
    return str(target)


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return False


def _device(path: str) -> str:
    if not _is_device(path):
        raise VolumeError(f'local volume path "{path}" is not a block device')
    return _real(path)


async def _formatted(device: str, wanted: str, read_only: bool) -> str:
    """The file system of a block device, made if there is none."""
    code, found = await _run("blkid", "-p", "-s", "TYPE", "-o", "value", device)
    if code == 0 and found.strip():
        return found.strip()
    if code != 2:
        raise VolumeError(f"the file system of {device} could not be told: {found.strip()}")
    if read_only:
        raise VolumeError(f"cannot mount unformatted disk {device} as we are manipulating it in read-only mode")
    options = ("-F", "-m0") if wanted.startswith("ext") else ()
    code, text = await _run(f"mkfs.{wanted}", *options, device)
    if code:
        raise VolumeError(f"formatting {device} with {wanted} failed: {text.strip()}")
    return wanted


async def _run(*command: str) -> tuple[int, str]:
    made = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await made.communicate()
    return made.returncode or 0, out.decode("utf-8", "replace")


def _real(path: str) -> str:
    return os.path.realpath(path)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)


def _is_source(spec: Any, name: str) -> bool:
    plain = ("capacity", "accessModes", "mountOptions", "nodeAffinity", "volumeMode", "storageClassName")
    return name not in plain and name != "persistentVolumeReclaimPolicy" and bool(getattr(spec, name))


def nfs(context: Context, name: str, server: str, path: str, read_only: bool) -> str:
    target = context.path("nfs", name)
    target.mkdir(parents=True, exist_ok=True)
    if not mount.is_mounted(target):
        options = f"addr={server},vers=4.2,clientaddr=0.0.0.0"
        try:
            mount.filesystem(f"{server}:{path}", target, "nfs4", options, mount.READ_ONLY if read_only else 0)
        except OSError as error:
            raise VolumeError(f"MountVolume.SetUp failed for volume {name!r}: {error}") from error
    return str(target)
