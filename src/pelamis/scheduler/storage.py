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
