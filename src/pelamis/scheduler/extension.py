"""What a plugin is: a record of pure functions over the snapshot, all of them optional.

``filter`` judges many rows at once: it yields masks of the rows it rejects, each with the reason that users read. A
rejection that no eviction on the node could lift is not *resolvable*; preemption leaves such nodes alone. ``score``
gives 0 to 100 for each row, already normalised over the rows given; None = the plugin has no opinion on this pod.
``before`` looks at the pod and the cluster as a whole first: it may reject the pod, or name the only nodes that can be
considered. ``helps`` says which changes of the cluster may make a pod schedulable that the plugin has rejected; the
hint, where given, looks closer. A plugin that says nothing about it is asked again after every change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from pelamis.scheduler.args import Args
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.snapshot import Ints, Mask, Snapshot

MAX_SCORE = 100
NODE, PODS_OF_ROW, CLUSTER = "node", "pods of the row", "cluster"
"""What a row's verdict and raw score are made of besides the pod: see ``Plugin.reads``."""
Rows = Ints | slice
"""Row numbers; a slice when all rows are meant."""

NODE_ADD = "NodeAdd"
NODE_DELETE = "NodeDelete"
NODE_ALLOCATABLE = "NodeUpdateAllocatable"
NODE_LABEL = "NodeUpdateLabel"
NODE_TAINT = "NodeUpdateTaint"
POD_ADD = "AssignedPodAdd"
POD_LABEL = "AssignedPodUpdateLabel"
POD_SCALE_DOWN = "AssignedPodScaleDown"
POD_DELETE = "AssignedPodDelete"
OWN_LABEL = "TargetPodUpdateLabel"
OWN_SCALE_DOWN = "TargetPodScaleDown"
OWN_TOLERATION = "TargetPodUpdateToleration"
CLAIM_ADD = "PersistentVolumeClaimAdd"
CLAIM_UPDATE = "PersistentVolumeClaimUpdate"
VOLUME_ADD = "PersistentVolumeAdd"
VOLUME_UPDATE = "PersistentVolumeUpdate"
CLASS_ADD = "StorageClassAdd"
CLASS_UPDATE = "StorageClassUpdate"
CSI_NODE_ADD = "CSINodeAdd"
CSI_NODE_UPDATE = "CSINodeUpdate"
ATTACHMENT_DELETE = "VolumeAttachmentDelete"
DRIVER_UPDATE = "CSIDriverUpdate"
CAPACITY_ADD = "CSIStorageCapacityAdd"
CAPACITY_UPDATE = "CSIStorageCapacityUpdate"
NAMESPACE_LABEL = "NamespaceUpdateLabel"
DEVICE_CLAIM_ADD = "ResourceClaimAdd"
DEVICE_CLAIM_UPDATE = "ResourceClaimUpdate"
DEVICE_CLAIM_DELETE = "ResourceClaimDelete"
DEVICE_CLASS_ADD = "DeviceClassAdd"
DEVICE_CLASS_UPDATE = "DeviceClassUpdate"
SLICE_ADD = "ResourceSliceAdd"
SLICE_UPDATE = "ResourceSliceUpdate"
OWN_CLAIMS = "TargetPodUpdateGeneratedResourceClaim"


class PluginError(Exception):
    """A plugin failed, and with it the attempt; the message names it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change of the cluster. old and new: Node structs, PodInfos, or other API objects, as the kind says.

    snapshot: with the change; only where a hint has to look further than at these.
    """

    kind: str
    old: Any = None
    new: Any = None
    snapshot: Any = None


Hint = Callable[[PodInfo, Event], bool]


class Rejection(NamedTuple):
    """mask is over the rows that were asked about."""

    mask: Mask
    reason: str
    resolvable: bool = True


class Verdict(NamedTuple):
    """Of ``before``. message: the pod cannot be scheduled at all; nodes: only these can be considered."""

    message: str = ""
    resolvable: bool = True
    nodes: frozenset[str] | None = None


Filter = Callable[[Snapshot, PodInfo, Rows], Iterable[Rejection]]
Score = Callable[[Snapshot, PodInfo, Rows], "Ints | None"]


class Bands(Protocol):
    """A score that is the same for many rows: of a row it reads the *band* alone, and of the others which bands occur.

    A row's band changes with its node and the pods on it alone, while the plugin gives the same object.
    """

    def of(self, snapshot: Snapshot) -> Ints:
        """The band of each row, 0 or more."""
        ...

    def one(self, snapshot: Snapshot, row: int) -> int:
        """The band of a row."""
        ...

    def points(self, snapshot: Snapshot, bands: Sequence[int], number: int) -> Sequence[int] | None:
        """What ``score`` gives the rows of each of the bands, all that the feasible rows (``number`` of them) have."""
        ...


@dataclass(frozen=True, slots=True)
class Plugin:
    name: str
    filter: Filter | None = None
    before: Callable[[Snapshot, PodInfo], Verdict | None] | None = None
    score: Score | None = None
    weight: int = 0
    helps: Mapping[str, Hint | None] | None = None
    reads: str = CLUSTER
    """NODE: a row's answers change with its node alone; PODS_OF_ROW: also with the pods on it; CLUSTER: with anything.

    What reads less is worked out less often: answers are kept per kind of pod, see ``sheet``.
    """
    demands_only: bool = False
    """Of the pod it reads ``PodInfo.demands`` alone, so that pods of several templates share its answers."""
    idle: Callable[[Snapshot, PodInfo], bool] | None = None
    """Whether the filter lets the pod pass everywhere, whatever pods come and go; asked when it reads the cluster."""
    gate: Callable[[Snapshot, PodInfo], str] | None = None
    """Why the pod need not be looked at yet, "" = it may; while it says so, the pod stays out of the queues."""
    dear: bool = False
    """The filter looks at rows one by one: it is asked about those alone that other plugins leave."""
    raw: Score | None = None
    normalize: Callable[[Ints], Ints | None] | None = None
    """``score`` in two halves, for plugins whose raw scores do not depend on which rows are feasible."""
    passes: Callable[[Snapshot, PodInfo, int], bool] | None = None
    points: Callable[[Snapshot, PodInfo, int], int] | None = None
    """``filter`` and ``score`` of one row without arrays, where pods of a row are read; no opinion is 0."""
    silent: Callable[[Snapshot, PodInfo], bool] | None = None
    """Whether the score has no opinion on the pod, whatever rows are feasible; asked when it reads the cluster."""
    bands: Callable[[Snapshot, PodInfo], Bands | None] | None = None
    """``score`` by bands, for plugins that read the cluster; None = not for this pod."""

    @property
    def by_arrays(self) -> Plugin:
        """Without what says the same as ``filter`` and ``score`` otherwise: for who puts others in their places."""
        return replace(self, passes=None, points=None, silent=None, bands=None)


@dataclass(frozen=True, slots=True)
class Factory:
    """What makes a plugin of its arguments. args: their type; see ``scheduler/args.py``."""

    make: Callable[[Any], Plugin]
    args: type[Args] = Args


def rows_of(snapshot: Snapshot, rows: Rows) -> range | list[int]:
    """As plain numbers."""
    return range(snapshot.size) if isinstance(rows, slice) else [int(r) for r in rows]
