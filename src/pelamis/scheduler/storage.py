"""What the volume plugins look up: claims, volumes, classes, drivers. Tables that the executor keeps up to date."""

from __future__ import annotations

from pelamis.api.core.persistentvolume import PersistentVolume
from pelamis.api.core.persistentvolumeclaim import PersistentVolumeClaim
from pelamis.api.storage.csinode import CSINode
from pelamis.api.storage.storageclass import StorageClass
from pelamis.api.storage.volumeattachment import VolumeAttachment


class Storage:
    """assumed: volume name to the claim that a decision has promised it to, until the view shows it."""

    def __init__(self) -> None:
        self.claims: dict[tuple[str, str], PersistentVolumeClaim] = {}
        self.volumes: dict[str, PersistentVolume] = {}
        self.classes: dict[str, StorageClass] = {}
        self.csi_nodes: dict[str, CSINode] = {}
        self.assumed: dict[str, tuple[str, str]] = {}
        self.attachments: dict[str, VolumeAttachment] = {}

    def attached(self, node: str) -> set[tuple[str, str]]:
        """(driver, handle) of the volumes that are attached to the node, whether or not a pod there still uses them."""
        out: set[tuple[str, str]] = set()
        for attachment in self.attachments.values():
            name = attachment.spec.source.persistentVolumeName
            volume = self.volumes.get(name) if attachment.spec.nodeName == node and name else None
            if volume is not None and volume.spec.csi is not None:
                out.add((volume.spec.csi.driver, volume.spec.csi.volumeHandle))
        return out
