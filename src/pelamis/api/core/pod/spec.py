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
    name: Annotated[str, F(1, required=True)] = always(str)
    value: Annotated[str, F(2, required=True)] = always(str)


class PodSecurityContext(Struct, frozen=True):
    seLinuxOptions: Annotated[SELinuxOptions | None, F(1)] = None
    windowsOptions: Annotated[WindowsSecurityContextOptions | None, F(8)] = None
    runAsUser: Annotated[Int64 | None, F(2)] = None
    runAsGroup: Annotated[Int64 | None, F(6)] = None
    runAsNonRoot: Annotated[bool | None, F(3)] = None
    supplementalGroups: Annotated[tuple[Int64, ...], F(4, list="atomic")] = ()
    supplementalGroupsPolicy: Annotated[
        str | None,
        F(
            12,
            enum=(
                "Merge",
                "Strict",
            ),
        ),
    ] = None
    fsGroup: Annotated[Int64 | None, F(5)] = None
    sysctls: Annotated[tuple[Sysctl, ...], F(7, list="atomic")] = ()
    fsGroupChangePolicy: Annotated[
        str | None,
        F(
            9,
            enum=(
                "OnRootMismatch",
                "Always",
            ),
        ),
    ] = None
    seccompProfile: Annotated[SeccompProfile | None, F(10)] = None
    appArmorProfile: Annotated[AppArmorProfile | None, F(11)] = None
    seLinuxChangePolicy: Annotated[str | None, F(13)] = None


class HostAlias(Struct, frozen=True):
    ip: Annotated[str, F(1, required=True)] = always(str)
    hostnames: Annotated[tuple[str, ...], F(2, list="atomic")] = ()


class PodDNSConfigOption(Struct, frozen=True):
    name: Annotated[str, F(1)] = ""
    value: Annotated[str | None, F(2)] = None


class PodDNSConfig(Struct, frozen=True):
    nameservers: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    searches: Annotated[tuple[str, ...], F(2, list="atomic")] = ()
    options: Annotated[tuple[PodDNSConfigOption, ...], F(3, list="atomic")] = ()


class PodReadinessGate(Struct, frozen=True):
    conditionType: Annotated[str, F(1, required=True)] = always(str)


class PodOS(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)


class PodSchedulingGate(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)


class PodResourceClaim(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    resourceClaimName: Annotated[str | None, F(3)] = None
    resourceClaimTemplateName: Annotated[str | None, F(4)] = None


class PodSchedulingGroup(Struct, frozen=True):
    podGroupName: Annotated[str | None, F(1)] = None


class PodSpec(Struct, frozen=True):
    volumes: Annotated[tuple[Volume, ...], F(1, merge="merge,retainKeys", key="name", list="map", keys=("name",))] = ()
    initContainers: Annotated[tuple[Container, ...], F(20, merge="merge", key="name", list="map", keys=("name",))] = ()
    containers: Annotated[
        tuple[Container, ...], F(2, merge="merge", key="name", list="map", keys=("name",), required=True)
    ] = always(tuple)
    ephemeralContainers: Annotated[
        tuple[EphemeralContainer, ...], F(34, merge="merge", key="name", list="map", keys=("name",))
    ] = ()
    restartPolicy: Annotated[
        str,
        F(
            3,
            enum=(
                "Always",
                "OnFailure",
                "Never",
            ),
            default="Always",
        ),
    ] = ""
    terminationGracePeriodSeconds: Annotated[Int64 | None, F(4, default=30)] = None
    activeDeadlineSeconds: Annotated[Int64 | None, F(5)] = None
    dnsPolicy: Annotated[
        str,
        F(
            6,
            enum=(
                "ClusterFirstWithHostNet",
                "ClusterFirst",
                "Default",
                "None",
            ),
            default="ClusterFirst",
        ),
    ] = ""
    nodeSelector: Annotated[dict[str, str], F(7, map="atomic")] = {}
    serviceAccountName: Annotated[str, F(8)] = ""
    serviceAccount: Annotated[str, F(9)] = ""
    automountServiceAccountToken: Annotated[bool | None, F(21)] = None
    nodeName: Annotated[str, F(10)] = ""
    hostNetwork: Annotated[bool, F(11)] = False
    hostPID: Annotated[bool, F(12)] = False
    hostIPC: Annotated[bool, F(13)] = False
    shareProcessNamespace: Annotated[bool | None, F(27)] = None
    securityContext: Annotated[PodSecurityContext | None, F(14, default={})] = None
    imagePullSecrets: Annotated[
        tuple[LocalObjectReference, ...], F(15, merge="merge", key="name", list="map", keys=("name",))
    ] = ()
    hostname: Annotated[str, F(16)] = ""
    subdomain: Annotated[str, F(17)] = ""
    affinity: Annotated[Affinity | None, F(18)] = None
    schedulerName: Annotated[str, F(19, default="default-scheduler")] = ""
    tolerations: Annotated[tuple[Toleration, ...], F(22, list="atomic")] = ()
    hostAliases: Annotated[tuple[HostAlias, ...], F(23, merge="merge", key="ip", list="map", keys=("ip",))] = ()
    priorityClassName: Annotated[str, F(24)] = ""
    priority: Annotated[Int32 | None, F(25)] = None
    dnsConfig: Annotated[PodDNSConfig | None, F(26)] = None
    readinessGates: Annotated[tuple[PodReadinessGate, ...], F(28, list="atomic")] = ()
    runtimeClassName: Annotated[str | None, F(29)] = None
    enableServiceLinks: Annotated[bool | None, F(30)] = None
    preemptionPolicy: Annotated[
        str | None,
        F(
            31,
            enum=(
                "PreemptLowerPriority",
                "Never",
            ),
        ),
    ] = None
    overhead: Annotated[dict[str, Quantity], F(32)] = {}
    topologySpreadConstraints: Annotated[
        tuple[TopologySpreadConstraint, ...],
        F(
            33,
            merge="merge",
            key="topologyKey",
            list="map",
            keys=(
                "topologyKey",
                "whenUnsatisfiable",
            ),
        ),
    ] = ()
    setHostnameAsFQDN: Annotated[bool | None, F(35)] = None
    os: Annotated[PodOS | None, F(36)] = None
    hostUsers: Annotated[bool | None, F(37)] = None
    schedulingGates: Annotated[
        tuple[PodSchedulingGate, ...], F(38, merge="merge", key="name", list="map", keys=("name",))
    ] = ()
    resourceClaims: Annotated[
        tuple[PodResourceClaim, ...], F(39, merge="merge,retainKeys", key="name", list="map", keys=("name",))
    ] = ()
    resources: Annotated[ResourceRequirements | None, F(40)] = None
    hostnameOverride: Annotated[str | None, F(41)] = None
    schedulingGroup: Annotated[PodSchedulingGroup | None, F(43)] = None
    evictionResponders: Annotated[
        tuple[EvictionResponder, ...], F(44, merge="merge", key="name", list="map", keys=("name",))
    ] = ()
