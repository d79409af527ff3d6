"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.field import F, Int32, IntOrString, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta


class ServicePort(Struct, frozen=True):
    name: Annotated[str, F(1)] = ""
    protocol: Annotated[
        str,
        F(
            2,
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            default="TCP",
        ),
    ] = ""
    appProtocol: Annotated[str | None, F(6)] = None
    port: Annotated[Int32, F(3, required=True)] = always(int)
    targetPort: Annotated[IntOrString, F(4)] = always(lambda: 0)
    nodePort: Annotated[Int32, F(5)] = 0


class ClientIPConfig(Struct, frozen=True):
    timeoutSeconds: Annotated[Int32 | None, F(1)] = None


class SessionAffinityConfig(Struct, frozen=True):
    clientIP: Annotated[ClientIPConfig | None, F(1)] = None


class ServiceSpec(Struct, frozen=True):
    ports: Annotated[
        tuple[ServicePort, ...],
        F(
            1,
            merge="merge",
            key="port",
            list="map",
            keys=(
                "port",
                "protocol",
            ),
        ),
    ] = ()
    selector: Annotated[dict[str, str], F(2, map="atomic")] = {}
    clusterIP: Annotated[str, F(3)] = ""
    clusterIPs: Annotated[tuple[str, ...], F(18, list="atomic")] = ()
    type: Annotated[
        str,
        F(
            4,
            enum=(
                "ClusterIP",
                "NodePort",
                "LoadBalancer",
                "ExternalName",
            ),
            default="ClusterIP",
        ),
    ] = ""
    externalIPs: Annotated[tuple[str, ...], F(5, list="atomic")] = ()
    sessionAffinity: Annotated[
        str,
        F(
            7,
            enum=(
                "ClientIP",
                "None",
            ),
            default="None",
        ),
    ] = ""
    loadBalancerIP: Annotated[str, F(8)] = ""
    loadBalancerSourceRanges: Annotated[tuple[str, ...], F(9, list="atomic")] = ()
    externalName: Annotated[str, F(10)] = ""
    externalTrafficPolicy: Annotated[
        str,
        F(
            11,
            enum=(
                "Cluster",
                "Local",
            ),
        ),
    ] = ""
    healthCheckNodePort: Annotated[Int32, F(12)] = 0
    publishNotReadyAddresses: Annotated[bool, F(13)] = False
    sessionAffinityConfig: Annotated[SessionAffinityConfig | None, F(14)] = None
    ipFamilies: Annotated[
        tuple[str, ...],
        F(
            19,
            list="atomic",
            enum=(
                "IPv4",
                "IPv6",
                "",
            ),
        ),
    ] = ()
    ipFamilyPolicy: Annotated[
        str | None,
        F(
            17,
            enum=(
                "SingleStack",
                "PreferDualStack",
                "RequireDualStack",
            ),
        ),
    ] = None
    allocateLoadBalancerNodePorts: Annotated[bool | None, F(20)] = None
    loadBalancerClass: Annotated[str | None, F(21)] = None
    internalTrafficPolicy: Annotated[
        str | None,
        F(
            22,
            enum=(
                "Cluster",
                "Local",
            ),
        ),
    ] = None
    trafficDistribution: Annotated[str | None, F(23)] = None


class PortStatus(Struct, frozen=True):
    port: Annotated[Int32, F(1, required=True)] = always(int)
    protocol: Annotated[
        str,
        F(
            2,
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            required=True,
        ),
    ] = always(str)
    error: Annotated[str | None, F(3)] = None


class LoadBalancerIngress(Struct, frozen=True):
    ip: Annotated[str, F(1)] = ""
    hostname: Annotated[str, F(2)] = ""
    ipMode: Annotated[str | None, F(3)] = None
    ports: Annotated[tuple[PortStatus, ...], F(4, list="atomic")] = ()


class LoadBalancerStatus(Struct, frozen=True):
    ingress: Annotated[tuple[LoadBalancerIngress, ...], F(1, list="atomic")] = ()


class ServiceStatus(Struct, frozen=True):
    loadBalancer: Annotated[LoadBalancerStatus, F(1)] = always(LoadBalancerStatus)
    conditions: Annotated[tuple[Condition, ...], F(2, merge="merge", key="type", list="map", keys=("type",))] = ()


class Service(Struct, frozen=True):
    kind: str = always(lambda: "Service")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[ServiceSpec, F(2)] = always(ServiceSpec)
    status: Annotated[ServiceStatus, F(3)] = always(ServiceStatus)


KIND = Kind(
    group="",
    version="v1",
    type=Service,
    plural="services",
    singular="service",
    short_names=("svc",),
    categories=("all",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("proxy", "", "v1", "ServiceProxyOptions", ("create", "delete", "get", "patch", "update")),
        Subresource("status", "", "v1", "Service", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    create_on_update=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Type", "string"),
        Column("Cluster-IP", "string"),
        Column("External-IP", "string"),
        Column("Port(s)", "string"),
        Column("Age", "string"),
        Column("Selector", "string", priority=1),
    ),
    storage_hash="0/CO1lhkEBI=",
)
