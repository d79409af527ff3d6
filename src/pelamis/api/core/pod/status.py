"""What was last seen of a pod: phase, conditions, addresses, and the state of each container."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.persistentvolumeclaim import VolumeHealthCondition
from pelamis.api.core.pod.container import ResourceRequirements
from pelamis.api.field import F, Int32, Int64, Quantity, Struct, Time, always


class PodCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    observedGeneration: Annotated[Int64, F(7)] = 0
    status: Annotated[str, F(2, required=True)] = always(str)
    lastProbeTime: Annotated[Time, F(3)] = ""
    lastTransitionTime: Annotated[Time, F(4)] = ""
    reason: Annotated[str, F(5)] = ""
    message: Annotated[str, F(6)] = ""


class HostIP(Struct, frozen=True):
    ip: Annotated[str, F(1, required=True)] = always(str)


class PodIP(Struct, frozen=True):
    ip: Annotated[str, F(1, required=True)] = always(str)


class ContainerStateWaiting(Struct, frozen=True):
    reason: Annotated[str, F(1)] = ""
    message: Annotated[str, F(2)] = ""


class ContainerStateRunning(Struct, frozen=True):
    startedAt: Annotated[Time, F(1)] = ""


class ContainerStateTerminated(Struct, frozen=True):
    exitCode: Annotated[Int32, F(1, required=True)] = always(int)
    signal: Annotated[Int32, F(2)] = 0
    reason: Annotated[str, F(3)] = ""
    message: Annotated[str, F(4)] = ""
    startedAt: Annotated[Time, F(5)] = ""
    finishedAt: Annotated[Time, F(6)] = ""
    containerID: Annotated[str, F(7)] = ""


class ContainerState(Struct, frozen=True):
    waiting: Annotated[ContainerStateWaiting | None, F(1)] = None
    running: Annotated[ContainerStateRunning | None, F(2)] = None
    terminated: Annotated[ContainerStateTerminated | None, F(3)] = None


class ImageVolumeStatus(Struct, frozen=True):
    imageRef: Annotated[str, F(1, required=True)] = ""


class VolumeStatus(Struct, frozen=True):
    image: Annotated[ImageVolumeStatus | None, F(1)] = None


class VolumeMountStatus(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    mountPath: Annotated[str, F(2, required=True)] = always(str)
    readOnly: Annotated[bool, F(3)] = False
    recursiveReadOnly: Annotated[str | None, F(4)] = None
    volumeStatus: Annotated[VolumeStatus | None, F(5)] = None


class LinuxContainerUser(Struct, frozen=True):
    uid: Annotated[Int64, F(1, required=True)] = always(int)
    gid: Annotated[Int64, F(2, required=True)] = always(int)
    supplementalGroups: Annotated[tuple[Int64, ...], F(3, list="atomic")] = ()


class ContainerUser(Struct, frozen=True):
    linux: Annotated[LinuxContainerUser | None, F(1)] = None


class ResourceHealth(Struct, frozen=True):
    resourceID: Annotated[str, F(1, required=True)] = always(str)
    health: Annotated[str, F(2)] = ""
    message: Annotated[str | None, F(6)] = None


class ResourceStatus(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    resources: Annotated[tuple[ResourceHealth, ...], F(2, list="map", keys=("resourceID",))] = ()


class ContainerStatus(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    state: Annotated[ContainerState, F(2)] = always(ContainerState)
    lastState: Annotated[ContainerState, F(3)] = always(ContainerState)
    ready: Annotated[bool, F(4, required=True)] = always(bool)
    restartCount: Annotated[Int32, F(5, required=True)] = always(int)
    image: Annotated[str, F(6, required=True)] = always(str)
    imageID: Annotated[str, F(7, required=True)] = always(str)
    containerID: Annotated[str, F(8)] = ""
    started: Annotated[bool | None, F(9)] = None
    allocatedResources: Annotated[dict[str, Quantity], F(10)] = {}
    resources: Annotated[ResourceRequirements | None, F(11)] = None
    volumeMounts: Annotated[
        tuple[VolumeMountStatus, ...], F(12, merge="merge", key="mountPath", list="map", keys=("mountPath",))
    ] = ()
    user: Annotated[ContainerUser | None, F(13)] = None
    allocatedResourcesStatus: Annotated[
        tuple[ResourceStatus, ...], F(14, merge="merge", key="name", list="map", keys=("name",))
    ] = ()
    stopSignal: Annotated[
        str | None,
        F(
            15,
            enum=(
                "SIGABRT",
                "SIGALRM",
                "SIGBUS",
                "SIGCHLD",
                "SIGCLD",
                "SIGCONT",
                "SIGFPE",
                "SIGHUP",
                "SIGILL",
                "SIGINT",
                "SIGIO",
                "SIGIOT",
                "SIGKILL",
                "SIGPIPE",
                "SIGPOLL",
                "SIGPROF",
                "SIGPWR",
                "SIGQUIT",
                "SIGSEGV",
                "SIGSTKFLT",
                "SIGSTOP",
                "SIGSYS",
                "SIGTERM",
                "SIGTRAP",
                "SIGTSTP",
                "SIGTTIN",
                "SIGTTOU",
                "SIGURG",
                "SIGUSR1",
                "SIGUSR2",
                "SIGVTALRM",
                "SIGWINCH",
                "SIGXCPU",
                "SIGXFSZ",
                "SIGRTMIN",
                "SIGRTMIN+1",
                "SIGRTMIN+2",
                "SIGRTMIN+3",
                "SIGRTMIN+4",
                "SIGRTMIN+5",
                "SIGRTMIN+6",
                "SIGRTMIN+7",
                "SIGRTMIN+8",
                "SIGRTMIN+9",
                "SIGRTMIN+10",
                "SIGRTMIN+11",
                "SIGRTMIN+12",
                "SIGRTMIN+13",
                "SIGRTMIN+14",
                "SIGRTMIN+15",
                "SIGRTMAX-14",
                "SIGRTMAX-13",
                "SIGRTMAX-12",
                "SIGRTMAX-11",
                "SIGRTMAX-10",
                "SIGRTMAX-9",
                "SIGRTMAX-8",
                "SIGRTMAX-7",
                "SIGRTMAX-6",
                "SIGRTMAX-5",
                "SIGRTMAX-4",
                "SIGRTMAX-3",
                "SIGRTMAX-2",
                "SIGRTMAX-1",
                "SIGRTMAX",
            ),
        ),
    ] = None


class PodResourceClaimStatus(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    resourceClaimName: Annotated[str | None, F(2)] = None


class ContainerExtendedResourceRequest(Struct, frozen=True):
    containerName: Annotated[str, F(1, required=True)] = always(str)
    resourceName: Annotated[str, F(2, required=True)] = always(str)
    requestName: Annotated[str, F(3, required=True)] = always(str)


class PodExtendedResourceClaimStatus(Struct, frozen=True):
    requestMappings: Annotated[tuple[ContainerExtendedResourceRequest, ...], F(1, list="atomic", required=True)] = (
        always(tuple)
    )
    resourceClaimName: Annotated[str, F(2, required=True)] = always(str)


class NodeAllocatableMappedResources(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    quantity: Annotated[Quantity | None, F(2, required=True)] = None


class NodeAllocatableOverheadResources(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    perPod: Annotated[Quantity | None, F(2)] = None
    perContainer: Annotated[Quantity | None, F(3)] = None


class NodeAllocatableResourceClaimStatus(Struct, frozen=True):
    resourceClaimName: Annotated[str, F(1, required=True)] = always(str)
    containers: Annotated[tuple[str, ...], F(2, list="set")] = ()
    mapping: Annotated[
        tuple[NodeAllocatableMappedResources, ...], F(4, merge="merge", key="name", list="map", keys=("name",))
    ] = ()
    overhead: Annotated[
        tuple[NodeAllocatableOverheadResources, ...], F(5, merge="merge", key="name", list="map", keys=("name",))
    ] = ()


class PodVolumeHealth(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    healthConditions: Annotated[
        tuple[VolumeHealthCondition, ...],
        F(
            2,
            merge="merge",
            key="status",
            list="map",
            keys=(
                "status",
                "reason",
            ),
        ),
    ] = ()
    lastTransitionTime: Annotated[Time, F(3)] = ""


class PodStatus(Struct, frozen=True):
    observedGeneration: Annotated[Int64, F(17)] = 0
    phase: Annotated[
        str,
        F(
            1,
            enum=(
                "Pending",
                "Running",
                "Succeeded",
                "Failed",
                "Unknown",
            ),
        ),
    ] = ""
    conditions: Annotated[tuple[PodCondition, ...], F(2, merge="merge", key="type", list="map", keys=("type",))] = ()
    message: Annotated[str, F(3)] = ""
    reason: Annotated[str, F(4)] = ""
    nominatedNodeName: Annotated[str, F(11)] = ""
    hostIP: Annotated[str, F(5)] = ""
    hostIPs: Annotated[tuple[HostIP, ...], F(16, merge="merge", key="ip", list="atomic")] = ()
    podIP: Annotated[str, F(6)] = ""
    podIPs: Annotated[tuple[PodIP, ...], F(12, merge="merge", key="ip", list="map", keys=("ip",))] = ()
    startTime: Annotated[Time | None, F(7)] = None
    initContainerStatuses: Annotated[tuple[ContainerStatus, ...], F(10, list="atomic")] = ()
    containerStatuses: Annotated[tuple[ContainerStatus, ...], F(8, list="atomic")] = ()
    qosClass: Annotated[
        str,
        F(
            9,
            enum=(
                "Guaranteed",
                "Burstable",
                "BestEffort",
            ),
        ),
    ] = ""
    ephemeralContainerStatuses: Annotated[tuple[ContainerStatus, ...], F(13, list="atomic")] = ()
    resize: Annotated[str, F(14)] = ""
    resourceClaimStatuses: Annotated[
        tuple[PodResourceClaimStatus, ...], F(15, merge="merge,retainKeys", key="name", list="map", keys=("name",))
    ] = ()
    extendedResourceClaimStatus: Annotated[PodExtendedResourceClaimStatus | None, F(18)] = None
    allocatedResources: Annotated[dict[str, Quantity], F(19)] = {}
    resources: Annotated[ResourceRequirements | None, F(20)] = None
    nodeAllocatableResourceClaimStatuses: Annotated[
        tuple[NodeAllocatableResourceClaimStatus, ...],
        F(21, merge="merge", key="resourceClaimName", list="map", keys=("resourceClaimName",)),
    ] = ()
    volumeHealth: Annotated[tuple[PodVolumeHealth, ...], F(22, list="map", keys=("name",))] = ()
