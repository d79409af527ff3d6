"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, Int64, Quantity, Struct, Time, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class Taint(Struct, frozen=True):
    key: Annotated[str, F(1, required=True)] = always(str)
    value: Annotated[str, F(2)] = ""
    effect: Annotated[
        str,
        F(
            3,
            enum=(
                "NoSchedule",
                "PreferNoSchedule",
                "NoExecute",
            ),
            required=True,
        ),
    ] = always(str)
    timeAdded: Annotated[Time | None, F(4)] = None


class ConfigMapNodeConfigSource(Struct, frozen=True):
    namespace: Annotated[str, F(1, required=True)] = always(str)
    name: Annotated[str, F(2, required=True)] = always(str)
    uid: Annotated[str, F(3)] = ""
    resourceVersion: Annotated[str, F(4)] = ""
    kubeletConfigKey: Annotated[str, F(5, required=True)] = always(str)


class NodeConfigSource(Struct, frozen=True):
    configMap: Annotated[ConfigMapNodeConfigSource | None, F(2)] = None


class NodePodPreemptionPolicy(Struct, frozen=True):
    disableResizePreemption: Annotated[tuple[str, ...], F(1, list="set")] = ()


class NodeSpec(Struct, frozen=True):
    podCIDR: Annotated[str, F(1)] = ""
    podCIDRs: Annotated[tuple[str, ...], F(7, merge="merge", list="set")] = ()
    providerID: Annotated[str, F(3)] = ""
    unschedulable: Annotated[bool, F(4)] = False
    taints: Annotated[tuple[Taint, ...], F(5, list="atomic")] = ()
    configSource: Annotated[NodeConfigSource | None, F(6)] = None
    externalID: Annotated[str, F(2)] = ""
    podPreemptionPolicy: Annotated[NodePodPreemptionPolicy | None, F(8)] = None


class NodeCondition(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    status: Annotated[str, F(2, required=True)] = always(str)
    lastHeartbeatTime: Annotated[Time, F(3)] = ""
    lastTransitionTime: Annotated[Time, F(4)] = ""
    reason: Annotated[str, F(5)] = ""
    message: Annotated[str, F(6)] = ""


class NodeAddress(Struct, frozen=True):
    type: Annotated[str, F(1, required=True)] = always(str)
    address: Annotated[str, F(2, required=True)] = always(str)


class DaemonEndpoint(Struct, frozen=True):
    Port: Annotated[Int32, F(1, required=True)] = always(int)


class NodeDaemonEndpoints(Struct, frozen=True):
    kubeletEndpoint: Annotated[DaemonEndpoint, F(1)] = always(DaemonEndpoint)


class NodeSwapStatus(Struct, frozen=True):
    capacity: Annotated[Int64 | None, F(1)] = None


class NodeSystemInfo(Struct, frozen=True):
    machineID: Annotated[str, F(1, required=True)] = always(str)
    systemUUID: Annotated[str, F(2, required=True)] = always(str)
    bootID: Annotated[str, F(3, required=True)] = always(str)
    kernelVersion: Annotated[str, F(4, required=True)] = always(str)
    osImage: Annotated[str, F(5, required=True)] = always(str)
    containerRuntimeVersion: Annotated[str, F(6, required=True)] = always(str)
    kubeletVersion: Annotated[str, F(7, required=True)] = always(str)
    kubeProxyVersion: Annotated[str, F(8, required=True)] = always(str)
    operatingSystem: Annotated[str, F(9, required=True)] = always(str)
    architecture: Annotated[str, F(10, required=True)] = always(str)
    swap: Annotated[NodeSwapStatus | None, F(11)] = None
    runningInUserNamespace: Annotated[bool | None, F(None)] = None


class ContainerImage(Struct, frozen=True):
    names: Annotated[tuple[str, ...], F(1, list="atomic")] = always(tuple)
    sizeBytes: Annotated[Int64, F(2)] = 0


class AttachedVolume(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    devicePath: Annotated[str, F(2, required=True)] = always(str)


class NodeConfigStatus(Struct, frozen=True):
    assigned: Annotated[NodeConfigSource | None, F(1)] = None
    active: Annotated[NodeConfigSource | None, F(2)] = None
    lastKnownGood: Annotated[NodeConfigSource | None, F(3)] = None
    error: Annotated[str, F(4)] = ""


class NodeRuntimeHandlerFeatures(Struct, frozen=True):
    recursiveReadOnlyMounts: Annotated[bool | None, F(1)] = None
    userNamespaces: Annotated[bool | None, F(2)] = None


class NodeRuntimeHandler(Struct, frozen=True):
    name: Annotated[str, F(1)] = always(str)
    features: Annotated[NodeRuntimeHandlerFeatures | None, F(2)] = None


class NodeFeatures(Struct, frozen=True):
    supplementalGroupsPolicy: Annotated[bool | None, F(1)] = None


class NodeStatus(Struct, frozen=True):
    capacity: Annotated[dict[str, Quantity], F(1)] = {}
    allocatable: Annotated[dict[str, Quantity], F(2)] = {}
    phase: Annotated[
        str,
        F(
            3,
            enum=(
                "Pending",
                "Running",
                "Terminated",
            ),
        ),
    ] = ""
    conditions: Annotated[tuple[NodeCondition, ...], F(4, merge="merge", key="type", list="map", keys=("type",))] = ()
    addresses: Annotated[tuple[NodeAddress, ...], F(5, merge="merge", key="type", list="map", keys=("type",))] = ()
    daemonEndpoints: Annotated[NodeDaemonEndpoints, F(6)] = always(NodeDaemonEndpoints)
    nodeInfo: Annotated[NodeSystemInfo, F(7)] = always(NodeSystemInfo)
    images: Annotated[tuple[ContainerImage, ...], F(8, list="atomic")] = ()
    volumesInUse: Annotated[tuple[str, ...], F(9, list="atomic")] = ()
    volumesAttached: Annotated[tuple[AttachedVolume, ...], F(10, list="atomic")] = ()
    config: Annotated[NodeConfigStatus | None, F(11)] = None
    runtimeHandlers: Annotated[tuple[NodeRuntimeHandler, ...], F(12, list="atomic")] = ()
    features: Annotated[NodeFeatures | None, F(13)] = None
    declaredFeatures: Annotated[tuple[str, ...], F(14, list="atomic")] = ()


class Node(Struct, frozen=True):
    kind: str = always(lambda: "Node")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[NodeSpec, F(2)] = always(NodeSpec)
    status: Annotated[NodeStatus, F(3)] = always(NodeStatus)


KIND = Kind(
    group="",
    version="v1",
    type=Node,
    plural="nodes",
    singular="node",
    short_names=("no",),
    namespaced=False,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("proxy", "", "v1", "NodeProxyOptions", ("create", "delete", "get", "patch", "update")),
        Subresource("status", "", "v1", "Node", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    columns=(
        Column("Name", "string", format="name"),
        Column("Status", "string"),
        Column("Roles", "string"),
        Column("Age", "string"),
        Column("Version", "string"),
        Column("Internal-IP", "string", priority=1),
        Column("External-IP", "string", priority=1),
        Column("OS-Image", "string", priority=1),
        Column("Kernel-Version", "string", priority=1),
        Column("Container-Runtime", "string", priority=1),
    ),
    # selectable: spec.unschedulable
    storage_hash="XwShjMxG9Fs=",
)
