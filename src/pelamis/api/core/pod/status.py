"""What was last seen of a pod: phase, conditions, addresses, and the state of each container."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.persistentvolumeclaim import VolumeHealthCondition
from pelamis.api.core.pod.container import ResourceRequirements
from pelamis.api.core.pod.signal import STOP_SIGNALS
from pelamis.api.field import F, Int32, Int64, Quantity, Struct, Time, always


class PodCondition(Struct, frozen=True):
    """One aspect of a pod's state."""

    type: Annotated[
        str, F(1, "PodScheduled, Initialized, ContainersReady, Ready, or one of one's own.", required=True)
    ] = always(str)
    observedGeneration: Annotated[Int64, F(7, "Generation of the pod that this was said of.")] = 0
    status: Annotated[str, F(2, "True, False or Unknown.", required=True)] = always(str)
    lastProbeTime: Annotated[Time, F(3, "When it was last checked.")] = ""
    lastTransitionTime: Annotated[Time, F(4, "When status last changed.")] = ""
    reason: Annotated[str, F(5, "One word in CamelCase.")] = ""
    message: Annotated[str, F(6, "Text for people.")] = ""


class HostIP(Struct, frozen=True):
    """An address of the node."""

    ip: Annotated[str, F(1, "The address.", required=True)] = always(str)


class PodIP(Struct, frozen=True):
    """An address of the pod."""

    ip: Annotated[str, F(1, "The address.", required=True)] = always(str)


class ContainerStateWaiting(Struct, frozen=True):
    """Not running yet, or not again."""

    reason: Annotated[str, F(1, "One word, such as ContainerCreating or CrashLoopBackOff.")] = ""
    message: Annotated[str, F(2, "Text for people.")] = ""


class ContainerStateRunning(Struct, frozen=True):
    """Running."""

    startedAt: Annotated[Time, F(1, "When it started.")] = ""


class ContainerStateTerminated(Struct, frozen=True):
    """Ended."""

    exitCode: Annotated[Int32, F(1, "Exit code.", required=True)] = always(int)
    signal: Annotated[Int32, F(2, "Signal that ended it; 0: none.")] = 0
    reason: Annotated[str, F(3, "One word, such as Completed, Error or OOMKilled.")] = ""
    message: Annotated[str, F(4, "The termination message.")] = ""
    startedAt: Annotated[Time, F(5, "When it started.")] = ""
    finishedAt: Annotated[Time, F(6, "When it ended.")] = ""
    containerID: Annotated[str, F(7, "Id of the ended container.")] = ""


class ContainerState(Struct, frozen=True):
    """Exactly one field is set; waiting if none."""

    waiting: Annotated[ContainerStateWaiting | None, F(1, "Not running.")] = None
    running: Annotated[ContainerStateRunning | None, F(2, "Running.")] = None
    terminated: Annotated[ContainerStateTerminated | None, F(3, "Ended.")] = None


class ImageVolumeStatus(Struct, frozen=True):
    """The image behind a volume."""

    imageRef: Annotated[str, F(1, "Digest of the image.", required=True)] = ""


class VolumeStatus(Struct, frozen=True):
    """What a mounted volume turned out to be."""

    image: Annotated[ImageVolumeStatus | None, F(1, "For an image volume.")] = None


class VolumeMountStatus(Struct, frozen=True):
    """A mount as it was made."""

    name: Annotated[str, F(1, "Name of the volume.", required=True)] = always(str)
    mountPath: Annotated[str, F(2, "Path in the container.", required=True)] = always(str)
    readOnly: Annotated[bool, F(3, "Whether it is read-only.")] = False
    recursiveReadOnly: Annotated[str | None, F(4, "Disabled or Enabled.")] = None
    volumeStatus: Annotated[VolumeStatus | None, F(5, "What the volume turned out to be.")] = None


class LinuxContainerUser(Struct, frozen=True):
    """User and groups of the first process."""

    uid: Annotated[Int64, F(1, "User id.", required=True)] = always(int)
    gid: Annotated[Int64, F(2, "Group id.", required=True)] = always(int)
    supplementalGroups: Annotated[tuple[Int64, ...], F(3, "Further group ids.", list="atomic")] = ()


class ContainerUser(Struct, frozen=True):
    """Identity of the first process."""

    linux: Annotated[LinuxContainerUser | None, F(1, "On Linux.")] = None


class ResourceHealth(Struct, frozen=True):
    """Health of one device."""

    resourceID: Annotated[str, F(1, "Id of the device.", required=True)] = always(str)
    health: Annotated[str, F(2, "Healthy, Unhealthy or Unknown.")] = ""
    message: Annotated[str | None, F(6, "Text for people.")] = None


class ResourceStatus(Struct, frozen=True):
    """Health of the devices of one resource."""

    name: Annotated[str, F(1, "Resource name, or claim: with claim and request.", required=True)] = always(str)
    resources: Annotated[tuple[ResourceHealth, ...], F(2, "The devices.", list="map", keys=("resourceID",))] = ()


class ContainerStatus(Struct, frozen=True):
    """What was last seen of a container."""

    name: Annotated[str, F(1, "Name of the container.", required=True)] = always(str)
    state: Annotated[ContainerState, F(2, "What it does now.")] = always(ContainerState)
    lastState: Annotated[ContainerState, F(3, "How it ended the last time.")] = always(ContainerState)
    ready: Annotated[bool, F(4, "Whether it passes its readiness probe.", required=True)] = always(bool)
    restartCount: Annotated[Int32, F(5, "How often it was restarted.", required=True)] = always(int)
    image: Annotated[str, F(6, "Image it runs.", required=True)] = always(str)
    imageID: Annotated[str, F(7, "Digest of the image.", required=True)] = always(str)
    containerID: Annotated[str, F(8, "Runtime and id, type://id.")] = ""
    started: Annotated[bool | None, F(9, "Whether it has passed its startup probe.")] = None
    allocatedResources: Annotated[dict[str, Quantity], F(10, "Requests that the node has set aside.")] = {}
    resources: Annotated[ResourceRequirements | None, F(11, "Requests and limits that are in effect.")] = None
    volumeMounts: Annotated[
        tuple[VolumeMountStatus, ...],
        F(12, "Mounts as they were made.", merge="merge", key="mountPath", list="map", keys=("mountPath",)),
    ] = ()
    user: Annotated[ContainerUser | None, F(13, "Identity of its first process.")] = None
    allocatedResourcesStatus: Annotated[
        tuple[ResourceStatus, ...],
        F(14, "Health of its devices.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()
    stopSignal: Annotated[
        str | None,
        F(
            15,
            "Signal that ends it.",
            enum=STOP_SIGNALS,
        ),
    ] = None


class PodResourceClaimStatus(Struct, frozen=True):
    """A claim made from a template."""

    name: Annotated[str, F(1, "Name in the spec's resourceClaims.", required=True)] = always(str)
    resourceClaimName: Annotated[str | None, F(2, "The claim; null: none was needed.")] = None


class ContainerExtendedResourceRequest(Struct, frozen=True):
    """Which request of a claim stands for an extended resource."""

    containerName: Annotated[str, F(1, "The container.", required=True)] = always(str)
    resourceName: Annotated[str, F(2, "The extended resource.", required=True)] = always(str)
    requestName: Annotated[str, F(3, "The request in the claim.", required=True)] = always(str)


class PodExtendedResourceClaimStatus(Struct, frozen=True):
    """The claim made for extended resources."""

    requestMappings: Annotated[
        tuple[ContainerExtendedResourceRequest, ...],
        F(1, "Which request is for which container.", list="atomic", required=True),
    ] = always(tuple)
    resourceClaimName: Annotated[str, F(2, "The claim.", required=True)] = always(str)


class NodeAllocatableMappedResources(Struct, frozen=True):
    """A node resource that a claim accounts for."""

    name: Annotated[str, F(1, "Resource name.", required=True)] = always(str)
    quantity: Annotated[Quantity | None, F(2, "Amount.", required=True)] = None


class NodeAllocatableOverheadResources(Struct, frozen=True):
    """What a claim costs besides."""

    name: Annotated[str, F(1, "Resource name.", required=True)] = always(str)
    perPod: Annotated[Quantity | None, F(2, "Amount for each pod.")] = None
    perContainer: Annotated[Quantity | None, F(3, "Amount for each container.")] = None


class NodeAllocatableResourceClaimStatus(Struct, frozen=True):
    """Node resources that come with a claim."""

    resourceClaimName: Annotated[str, F(1, "The claim.", required=True)] = always(str)
    containers: Annotated[tuple[str, ...], F(2, "Containers that use it.", list="set")] = ()
    mapping: Annotated[
        tuple[NodeAllocatableMappedResources, ...],
        F(4, "Resources it accounts for.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()
    overhead: Annotated[
        tuple[NodeAllocatableOverheadResources, ...],
        F(5, "Resources it costs besides.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()


class PodVolumeHealth(Struct, frozen=True):
    """Health of a volume."""

    name: Annotated[str, F(1, "Name of the volume.", required=True)] = always(str)
    healthConditions: Annotated[
        tuple[VolumeHealthCondition, ...],
        F(
            2,
            "What is wrong with it.",
            merge="merge",
            key="status",
            list="map",
            keys=(
                "status",
                "reason",
            ),
        ),
    ] = ()
    lastTransitionTime: Annotated[Time, F(3, "When that last changed.")] = ""


class PodStatus(Struct, frozen=True):
    """What was last seen of a pod."""

    observedGeneration: Annotated[Int64, F(17, "Generation of the pod that this is about.")] = 0
    phase: Annotated[
        str,
        F(
            1,
            "Pending, Running, Succeeded, Failed or Unknown.",
            enum=(
                "Pending",
                "Running",
                "Succeeded",
                "Failed",
                "Unknown",
            ),
        ),
    ] = ""
    conditions: Annotated[
        tuple[PodCondition, ...],
        F(2, "Aspects of the state, one of each type.", merge="merge", key="type", list="map", keys=("type",)),
    ] = ()
    message: Annotated[str, F(3, "Text for people on why it is in this state.")] = ""
    reason: Annotated[str, F(4, "One word, such as Evicted.")] = ""
    nominatedNodeName: Annotated[str, F(11, "Node where others make room for it.")] = ""
    hostIP: Annotated[str, F(5, "First address of the node.")] = ""
    hostIPs: Annotated[
        tuple[HostIP, ...], F(16, "Addresses of the node, one of each family.", merge="merge", key="ip", list="atomic")
    ] = ()
    podIP: Annotated[str, F(6, "First address of the pod.")] = ""
    podIPs: Annotated[
        tuple[PodIP, ...],
        F(12, "Addresses of the pod, one of each family.", merge="merge", key="ip", list="map", keys=("ip",)),
    ] = ()
    startTime: Annotated[Time | None, F(7, "When the kubelet took the pod over.")] = None
    initContainerStatuses: Annotated[
        tuple[ContainerStatus, ...], F(10, "Init containers, in the spec's order.", list="atomic")
    ] = ()
    containerStatuses: Annotated[tuple[ContainerStatus, ...], F(8, "Regular containers.", list="atomic")] = ()
    qosClass: Annotated[
        str,
        F(
            9,
            "Guaranteed, Burstable or BestEffort; fixed on creation.",
            enum=(
                "Guaranteed",
                "Burstable",
                "BestEffort",
            ),
        ),
    ] = ""
    ephemeralContainerStatuses: Annotated[tuple[ContainerStatus, ...], F(13, "Debug containers.", list="atomic")] = ()
    resize: Annotated[str, F(14, "Old report of a resize; conditions say it now.")] = ""
    resourceClaimStatuses: Annotated[
        tuple[PodResourceClaimStatus, ...],
        F(15, "Claims made from templates.", merge="merge,retainKeys", key="name", list="map", keys=("name",)),
    ] = ()
    extendedResourceClaimStatus: Annotated[
        PodExtendedResourceClaimStatus | None, F(18, "Claim made for extended resources.")
    ] = None
    allocatedResources: Annotated[dict[str, Quantity], F(19, "Pod-level requests that the node has set aside.")] = {}
    resources: Annotated[ResourceRequirements | None, F(20, "Pod-level resources in effect.")] = None
    nodeAllocatableResourceClaimStatuses: Annotated[
        tuple[NodeAllocatableResourceClaimStatus, ...],
        F(
            21,
            "Node resources that come with claims.",
            merge="merge",
            key="resourceClaimName",
            list="map",
            keys=("resourceClaimName",),
        ),
    ] = ()
    volumeHealth: Annotated[tuple[PodVolumeHealth, ...], F(22, "Health of volumes.", list="map", keys=("name",))] = ()
