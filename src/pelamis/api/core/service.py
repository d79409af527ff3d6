"""Service: a stable address and name for a changing set of pods."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.cell import format_labels
from pelamis.api.core.serviceprepare import default, prepare_create, prepare_update
from pelamis.api.core.servicevalidation import (
    DEPRECATED_HINTS,
    TOPOLOGY_MODE,
    validate,
    validate_status_update,
    validate_update,
    warnings,
)
from pelamis.api.field import F, Int32, IntOrString, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import Condition, ObjectMeta
from pelamis.api.table import age
from pelamis.base import names


class ServicePort(Struct, frozen=True):
    """A port of a service."""

    name: Annotated[str, F(1, "DNS label; needed when there are several ports.")] = ""
    protocol: Annotated[
        str,
        F(
            2,
            "TCP, UDP or SCTP.",
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            default="TCP",
        ),
    ] = ""
    appProtocol: Annotated[str | None, F(6, "Protocol on top, for proxies and balancers.")] = None
    port: Annotated[Int32, F(3, "Port of the service.", required=True)] = always(int)
    targetPort: Annotated[IntOrString, F(4, "Port of the pods, by number or name; default port.")] = always(lambda: 0)
    nodePort: Annotated[Int32, F(5, "Port on every node, 30000 to 32767.")] = 0


class ClientIPConfig(Struct, frozen=True):
    """Settings of affinity by client address."""

    timeoutSeconds: Annotated[Int32 | None, F(1, "How long a client stays with a pod, 1 to 86400; default 10800.")] = (
        None
    )


class SessionAffinityConfig(Struct, frozen=True):
    """Settings of session affinity."""

    clientIP: Annotated[ClientIPConfig | None, F(1, "For ClientIP.")] = None


class ServiceSpec(Struct, frozen=True):
    """How a service is reached, and what is behind it."""

    ports: Annotated[
        tuple[ServicePort, ...],
        F(
            1,
            "The ports.",
            merge="merge",
            key="port",
            list="map",
            keys=(
                "port",
                "protocol",
            ),
        ),
    ] = ()
    selector: Annotated[
        dict[str, str], F(2, "Labels of the pods behind it; empty: somebody else keeps its endpoints.", map="atomic")
    ] = {}
    clusterIP: Annotated[str, F(3, "Its address; None: none, DNS gives the pods' addresses.")] = ""
    clusterIPs: Annotated[
        tuple[str, ...], F(18, "Its addresses, at most one of each family; the first is clusterIP.", list="atomic")
    ] = ()
    type: Annotated[
        str,
        F(
            4,
            "ClusterIP, NodePort, LoadBalancer or ExternalName.",
            enum=(
                "ClusterIP",
                "NodePort",
                "LoadBalancer",
                "ExternalName",
            ),
            default="ClusterIP",
        ),
    ] = ""
    externalIPs: Annotated[
        tuple[str, ...], F(5, "Addresses of nodes that take traffic for it as well; deprecated.", list="atomic")
    ] = ()
    sessionAffinity: Annotated[
        str,
        F(
            7,
            "None or ClientIP.",
            enum=(
                "ClientIP",
                "None",
            ),
            default="None",
        ),
    ] = ""
    loadBalancerIP: Annotated[str, F(8, "Wanted address of the balancer; deprecated.")] = ""
    loadBalancerSourceRanges: Annotated[tuple[str, ...], F(9, "Clients that the balancer lets in.", list="atomic")] = ()
    externalName: Annotated[str, F(10, "DNS name that the service stands for; with ExternalName.")] = ""
    externalTrafficPolicy: Annotated[
        str,
        F(
            11,
            "Cluster, or Local: traffic from outside goes to pods of the same node only.",
            enum=(
                "Cluster",
                "Local",
            ),
        ),
    ] = ""
    healthCheckNodePort: Annotated[Int32, F(12, "Port where balancers ask nodes for local pods.")] = 0
    publishNotReadyAddresses: Annotated[bool, F(13, "Whether pods that are not ready count as endpoints.")] = False
    sessionAffinityConfig: Annotated[SessionAffinityConfig | None, F(14, "Settings of session affinity.")] = None
    ipFamilies: Annotated[
        tuple[str, ...],
        F(
            19,
            "IPv4, IPv6; the first is fixed.",
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
            "SingleStack, PreferDualStack or RequireDualStack.",
            enum=(
                "SingleStack",
                "PreferDualStack",
                "RequireDualStack",
            ),
        ),
    ] = None
    allocateLoadBalancerNodePorts: Annotated[
        bool | None, F(20, "Whether a LoadBalancer gets node ports; default true.")
    ] = None
    loadBalancerClass: Annotated[str | None, F(21, "Which balancer implementation is meant.")] = None
    internalTrafficPolicy: Annotated[
        str | None,
        F(
            22,
            "Cluster, or Local: traffic from pods goes to pods of the same node only.",
            enum=(
                "Cluster",
                "Local",
            ),
        ),
    ] = None
    trafficDistribution: Annotated[
        str | None, F(23, "PreferSameZone, PreferSameNode, or PreferClose (old name of PreferSameZone).")
    ] = None


class PortStatus(Struct, frozen=True):
    """State of a port of the balancer."""

    port: Annotated[Int32, F(1, "Port number.", required=True)] = always(int)
    protocol: Annotated[
        str,
        F(
            2,
            "TCP, UDP or SCTP.",
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            required=True,
        ),
    ] = always(str)
    error: Annotated[str | None, F(3, "What is wrong, one CamelCase word.")] = None


class LoadBalancerIngress(Struct, frozen=True):
    """Where the balancer takes traffic."""

    ip: Annotated[str, F(1, "Address.")] = ""
    hostname: Annotated[str, F(2, "Name, where it has no address.")] = ""
    ipMode: Annotated[
        str | None, F(3, "VIP (default), or Proxy: traffic from inside goes through the balancer too.")
    ] = None
    ports: Annotated[tuple[PortStatus, ...], F(4, "State of its ports.", list="atomic")] = ()


class LoadBalancerStatus(Struct, frozen=True):
    """State of the balancer."""

    ingress: Annotated[tuple[LoadBalancerIngress, ...], F(1, "Where it takes traffic.", list="atomic")] = ()


class ServiceStatus(Struct, frozen=True):
    """State of a service."""

    loadBalancer: Annotated[LoadBalancerStatus, F(1, "State of the balancer.")] = always(LoadBalancerStatus)
    conditions: Annotated[
        tuple[Condition, ...], F(2, "Aspects of the state.", merge="merge", key="type", list="map", keys=("type",))
    ] = ()


class Service(Struct, frozen=True):
    """A stable address and name for a changing set of pods."""

    kind: str = always(lambda: "Service")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    spec: Annotated[ServiceSpec, F(2, "What is wanted.")] = always(ServiceSpec)
    status: Annotated[ServiceStatus, F(3, "What is.")] = always(ServiceStatus)


def external_ip(obj: Service) -> str:
    """The EXTERNAL-IP column."""
    spec = obj.spec
    if spec.type in ("ClusterIP", "NodePort"):
        return ",".join(spec.externalIPs) or "<none>"
    if spec.type == "LoadBalancer":
        given = dict.fromkeys(i.ip or i.hostname for i in obj.status.loadBalancer.ingress)
        return ",".join([g for g in given if g] + list(spec.externalIPs)) or "<pending>"
    return spec.externalName if spec.type == "ExternalName" else "<unknown>"


def port_text(port: ServicePort) -> str:
    """``80/TCP``, with a node port ``80:30080/TCP``."""
    node = f":{port.nodePort}" if port.nodePort > 0 else ""
    return f"{port.port}{node}/{port.protocol}"


def cells(obj: Service, now: float) -> tuple[Any, ...]:
    spec = obj.spec
    return (
        obj.metadata.name,
        spec.type,
        spec.clusterIPs[0] if spec.clusterIPs else "<none>",
        external_ip(obj),
        ",".join(port_text(p) for p in spec.ports) or "<none>",
        age(obj.metadata.creationTimestamp, now),
        format_labels(spec.selector),
    )


def topology_mode(obj: Service) -> str:
    """``Auto``: its endpoints are shared out among zones by the CPU of their nodes; else ""."""
    annotations = obj.metadata.annotations
    return "Auto" if annotations.get(DEPRECATED_HINTS, annotations.get(TOPOLOGY_MODE)) in ("Auto", "auto") else ""


def selector_pair(namespace: str, key: str, value: str) -> str:
    """How the index ``selector`` spells a label of its namespace."""
    return f"{namespace}/{key}={value}"


def _selector(service: Service) -> tuple[str, ...]:
    """One label that each of its pods has."""
    wanted = service.spec.selector
    if not wanted:
        return ()
    key = min(wanted)
    return (selector_pair(service.metadata.namespace, key, wanted[key]),)


def _topology(obj: Service) -> tuple[str, ...]:
    mode = topology_mode(obj)
    return (mode,) if mode else ()


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
    indexes={"topology": _topology, "selector": _selector},
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
    storage="services/specs",
    cells=cells,
    default=default,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    validate_update=validate_update,
    validate_status_update=validate_status_update,
    validate_name=names.is_dns1123_label,
    warnings=warnings,
    selectable={
        "spec.clusterIP": lambda service: service.spec.clusterIP,
        "spec.type": lambda service: service.spec.type,
    },
)
