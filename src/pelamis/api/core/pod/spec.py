"""What a pod should run, and under which conditions."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.pod.affinity import Affinity, Toleration, TopologySpreadConstraint
from pelamis.api.core.pod.container import (
    AppArmorProfile,
    Container,
    EphemeralContainer,
    EvictionResponder,
    ResourceRequirements,
    SeccompProfile,
    SELinuxOptions,
    WindowsSecurityContextOptions,
)
from pelamis.api.core.pod.volume import Volume
from pelamis.api.core.reference import LocalObjectReference
from pelamis.api.field import F, Int32, Int64, Quantity, Struct, always


class Sysctl(Struct, frozen=True):
    """A kernel parameter."""

    name: Annotated[str, F(1, "Name, with dots or slashes.", required=True)] = always(str)
    value: Annotated[str, F(2, "Value to set.", required=True)] = always(str)


class PodSecurityContext(Struct, frozen=True):
    """Security settings of all containers of a pod."""

    seLinuxOptions: Annotated[SELinuxOptions | None, F(1, "SELinux context.")] = None
    windowsOptions: Annotated[WindowsSecurityContextOptions | None, F(8, "Settings for Windows.")] = None
    runAsUser: Annotated[Int64 | None, F(2, "User id of first processes.")] = None
    runAsGroup: Annotated[Int64 | None, F(6, "Group id of first processes.")] = None
    runAsNonRoot: Annotated[bool | None, F(3, "Refuse to start as user 0.")] = None
    supplementalGroups: Annotated[tuple[Int64, ...], F(4, "Further group ids of first processes.", list="atomic")] = ()
    supplementalGroupsPolicy: Annotated[
        str | None,
        F(
            12,
            "Merge (with the image's groups, default) or Strict.",
            enum=(
                "Merge",
                "Strict",
            ),
        ),
    ] = None
    fsGroup: Annotated[Int64 | None, F(5, "Group that owns the files of volumes that can change their owner.")] = None
    sysctls: Annotated[tuple[Sysctl, ...], F(7, "Kernel parameters in the pod's namespaces.", list="atomic")] = ()
    fsGroupChangePolicy: Annotated[
        str | None,
        F(
            9,
            "Always (default) or OnRootMismatch: when owners are changed.",
            enum=(
                "OnRootMismatch",
                "Always",
            ),
        ),
    ] = None
    seccompProfile: Annotated[SeccompProfile | None, F(10, "Filter of system calls.")] = None
    appArmorProfile: Annotated[AppArmorProfile | None, F(11, "AppArmor profile.")] = None
    seLinuxChangePolicy: Annotated[
        str | None, F(13, "MountOption (default) or Recursive: how volumes get their label.")
    ] = None


class HostAlias(Struct, frozen=True):
    """Names for an address, in the pod's hosts file."""

    ip: Annotated[str, F(1, "The address.", required=True)] = always(str)
    hostnames: Annotated[tuple[str, ...], F(2, "The names.", list="atomic")] = ()


class PodDNSConfigOption(Struct, frozen=True):
    """An option of the resolver."""

    name: Annotated[str, F(1, "Option name.")] = ""
    value: Annotated[str | None, F(2, "Option value.")] = None


class PodDNSConfig(Struct, frozen=True):
    """Resolver settings, added to those of dnsPolicy."""

    nameservers: Annotated[tuple[str, ...], F(1, "At most 3 addresses.", list="atomic")] = ()
    searches: Annotated[
        tuple[str, ...], F(2, "At most 32 search domains, 2048 characters together.", list="atomic")
    ] = ()
    options: Annotated[tuple[PodDNSConfigOption, ...], F(3, "Options of the resolver.", list="atomic")] = ()


class PodReadinessGate(Struct, frozen=True):
    """A condition that must hold for the pod to be ready."""

    conditionType: Annotated[str, F(1, "Type of a condition in the pod's status.", required=True)] = always(str)


class PodOS(Struct, frozen=True):
    """The operating system."""

    name: Annotated[str, F(1, "linux or windows.", required=True)] = always(str)


class PodSchedulingGate(Struct, frozen=True):
    """Something that must be cleared before the pod is placed."""

    name: Annotated[str, F(1, "Qualified name, unique in the pod.", required=True)] = always(str)


class PodResourceClaim(Struct, frozen=True):
    """A resource claim of the pod. Exactly one of the two names is set."""

    name: Annotated[str, F(1, "Name by which containers refer to it.", required=True)] = always(str)
    resourceClaimName: Annotated[str | None, F(3, "An existing claim.")] = None
    resourceClaimTemplateName: Annotated[str | None, F(4, "A template from which a claim is made for this pod.")] = None


class PodSchedulingGroup(Struct, frozen=True):
    """The group that is placed together."""

    podGroupName: Annotated[str | None, F(1, "Name of the PodGroup.")] = None


class PodSpec(Struct, frozen=True):
    """What a pod should run."""

    volumes: Annotated[
        tuple[Volume, ...],
        F(1, "Volumes that containers can mount.", merge="merge,retainKeys", key="name", list="map", keys=("name",)),
    ] = ()
    initContainers: Annotated[
        tuple[Container, ...],
        F(
            20,
            "Run one after the other to completion before the others; with restartPolicy Always, beside them.",
            merge="merge",
            key="name",
            list="map",
            keys=("name",),
        ),
    ] = ()
    containers: Annotated[
        tuple[Container, ...],
        F(2, "At least one.", merge="merge", key="name", list="map", keys=("name",), required=True),
    ] = always(tuple)
    ephemeralContainers: Annotated[
        tuple[EphemeralContainer, ...],
        F(
            34,
            "Added for debugging through the ephemeralcontainers subresource only.",
            merge="merge",
            key="name",
            list="map",
            keys=("name",),
        ),
    ] = ()
    restartPolicy: Annotated[
        str,
        F(
            3,
            "Always, OnFailure or Never.",
            enum=(
                "Always",
                "OnFailure",
                "Never",
            ),
            default="Always",
        ),
    ] = ""
    terminationGracePeriodSeconds: Annotated[
        Int64 | None, F(4, "Seconds between asking to end and killing; default 30.", default=30)
    ] = None
    activeDeadlineSeconds: Annotated[Int64 | None, F(5, "Seconds after the start when the pod is failed.")] = None
    dnsPolicy: Annotated[
        str,
        F(
            6,
            "ClusterFirst, ClusterFirstWithHostNet, Default or None.",
            enum=(
                "ClusterFirstWithHostNet",
                "ClusterFirst",
                "Default",
                "None",
            ),
            default="ClusterFirst",
        ),
    ] = ""
    nodeSelector: Annotated[dict[str, str], F(7, "Labels that the node must have.", map="atomic")] = {}
    serviceAccountName: Annotated[str, F(8, "Identity of the pod.")] = ""
    serviceAccount: Annotated[str, F(9, "Old name of serviceAccountName; kept equal to it.")] = ""
    automountServiceAccountToken: Annotated[
        bool | None, F(21, "Whether a token of the service account is mounted.")
    ] = None
    nodeName: Annotated[str, F(10, "The node; set by the scheduler.")] = ""
    hostNetwork: Annotated[bool, F(11, "Whether to use the node's network.")] = False
    hostPID: Annotated[bool, F(12, "Whether to use the node's process ids.")] = False
    hostIPC: Annotated[bool, F(13, "Whether to use the node's IPC namespace.")] = False
    shareProcessNamespace: Annotated[bool | None, F(27, "Whether containers see each other's processes.")] = None
    securityContext: Annotated[PodSecurityContext | None, F(14, "Security settings of all containers.", default={})] = (
        None
    )
    imagePullSecrets: Annotated[
        tuple[LocalObjectReference, ...],
        F(15, "Secrets with credentials for registries.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()
    hostname: Annotated[str, F(16, "Host name; default the pod's name.")] = ""
    subdomain: Annotated[str, F(17, "With hostname, the name in the headless service of this name.")] = ""
    affinity: Annotated[Affinity | None, F(18, "Where the pod wants to be.")] = None
    schedulerName: Annotated[str, F(19, "Scheduler that places the pod.", default="default-scheduler")] = ""
    tolerations: Annotated[tuple[Toleration, ...], F(22, "Taints that do not keep the pod away.", list="atomic")] = ()
    hostAliases: Annotated[
        tuple[HostAlias, ...], F(23, "Entries of the hosts file.", merge="merge", key="ip", list="map", keys=("ip",))
    ] = ()
    priorityClassName: Annotated[str, F(24, "Name of a PriorityClass.")] = ""
    priority: Annotated[Int32 | None, F(25, "Set from the class; higher goes first.")] = None
    dnsConfig: Annotated[PodDNSConfig | None, F(26, "Resolver settings.")] = None
    readinessGates: Annotated[
        tuple[PodReadinessGate, ...], F(28, "Further conditions of readiness.", list="atomic")
    ] = ()
    runtimeClassName: Annotated[str | None, F(29, "Name of the RuntimeClass.")] = None
    enableServiceLinks: Annotated[
        bool | None, F(30, "Whether services appear as environment variables; default true.")
    ] = None
    preemptionPolicy: Annotated[
        str | None,
        F(
            31,
            "PreemptLowerPriority (default) or Never.",
            enum=(
                "PreemptLowerPriority",
                "Never",
            ),
        ),
    ] = None
    overhead: Annotated[dict[str, Quantity], F(32, "Resources that the runtime class itself needs.")] = {}
    topologySpreadConstraints: Annotated[
        tuple[TopologySpreadConstraint, ...],
        F(
            33,
            "How evenly pods are spread; all must hold.",
            merge="merge",
            key="topologyKey",
            list="map",
            keys=(
                "topologyKey",
                "whenUnsatisfiable",
            ),
        ),
    ] = ()
    setHostnameAsFQDN: Annotated[bool | None, F(35, "Whether the kernel's host name is the full DNS name.")] = None
    os: Annotated[PodOS | None, F(36, "Operating system of the containers.")] = None
    hostUsers: Annotated[bool | None, F(37, "false: a user namespace of its own.")] = None
    schedulingGates: Annotated[
        tuple[PodSchedulingGate, ...],
        F(
            38,
            "The pod is not placed while there are any; they can only be removed.",
            merge="merge",
            key="name",
            list="map",
            keys=("name",),
        ),
    ] = ()
    resourceClaims: Annotated[
        tuple[PodResourceClaim, ...],
        F(39, "Resource claims that containers use.", merge="merge,retainKeys", key="name", list="map", keys=("name",)),
    ] = ()
    resources: Annotated[
        ResourceRequirements | None, F(40, "Requests and limits of the pod as a whole: cpu, memory, hugepages.")
    ] = None
    hostnameOverride: Annotated[
        str | None, F(41, "Host name instead of the one from name and subdomain; at most 64 characters.")
    ] = None
    schedulingGroup: Annotated[PodSchedulingGroup | None, F(43, "Group that is placed together.")] = None
    evictionResponders: Annotated[
        tuple[EvictionResponder, ...],
        F(44, "Who takes part in moving the pod away.", merge="merge", key="name", list="map", keys=("name",)),
    ] = ()
