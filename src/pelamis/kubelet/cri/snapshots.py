"""Root file systems of images as read-only views: containerd's own snapshot service, on the socket of CRI.

CRI can mount an image into a container only from containerd 2.1 on; its snapshots are there in every version. A view
keeps the image's layers on the disk for as long as it exists.
"""

from __future__ import annotations

from typing import Annotated

from pelamis.kubelet.cri.wire import Message

SERVICE = "/containerd.services.snapshots.v1.Snapshots"
NAMESPACE = {"containerd-namespace": "k8s.io"}
KEPT = "containerd.io/gc.root"
"""A label that keeps containerd's own collection away; the value is a time and does not matter."""


class Mount(Message, frozen=True):
    """As mount(8) has it; options such as ``ro`` and ``lowerdir=…``."""

    type: Annotated[str, 1] = ""
    source: Annotated[str, 2] = ""
    target: Annotated[str, 3] = ""
    options: Annotated[tuple[str, ...], 4] = ()


class ViewSnapshotRequest(Message, frozen=True):
    snapshotter: Annotated[str, 1] = ""
    key: Annotated[str, 2] = ""
    parent: Annotated[str, 3] = ""
    labels: Annotated[dict[str, str], 4] = {}


class MountsRequest(Message, frozen=True):
    snapshotter: Annotated[str, 1] = ""
    key: Annotated[str, 2] = ""


class MountsResponse(Message, frozen=True):
    mounts: Annotated[tuple[Mount, ...], 1] = ()


class RemoveSnapshotRequest(Message, frozen=True):
    snapshotter: Annotated[str, 1] = ""
    key: Annotated[str, 2] = ""


class Empty(Message, frozen=True):
    pass
