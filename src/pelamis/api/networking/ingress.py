"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.reference import TypedLocalObjectReference
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind, Subresource
from pelamis.api.meta import ObjectMeta


class ServiceBackendPort(Struct, frozen=True):
    name: Annotated[str, F(1)] = ""
    number: Annotated[Int32, F(2)] = 0


class IngressServiceBackend(Struct, frozen=True):
    name: Annotated[str, F(1, required=True)] = always(str)
    port: Annotated[ServiceBackendPort, F(2)] = always(ServiceBackendPort)


class IngressBackend(Struct, frozen=True):
    service: Annotated[IngressServiceBackend | None, F(4)] = None
    resource: Annotated[TypedLocalObjectReference | None, F(3)] = None


class IngressTLS(Struct, frozen=True):
    hosts: Annotated[tuple[str, ...], F(1, list="atomic")] = ()
    secretName: Annotated[str, F(2)] = ""


class HTTPIngressPath(Struct, frozen=True):
    path: Annotated[str, F(1)] = ""
    pathType: Annotated[
        str | None,
        F(
            3,
            enum=(
                "Exact",
                "Prefix",
                "ImplementationSpecific",
            ),
            required=True,
        ),
    ] = None
    backend: Annotated[IngressBackend, F(2, required=True)] = always(IngressBackend)


class HTTPIngressRuleValue(Struct, frozen=True):
    paths: Annotated[tuple[HTTPIngressPath, ...], F(1, list="atomic", required=True)] = always(tuple)


class IngressRule(Struct, frozen=True):
    host: Annotated[str, F(1)] = ""
    http: Annotated[HTTPIngressRuleValue | None, F(1, within=(2,))] = None


class IngressSpec(Struct, frozen=True):
    ingressClassName: Annotated[str | None, F(4)] = None
    defaultBackend: Annotated[IngressBackend | None, F(1)] = None
    tls: Annotated[tuple[IngressTLS, ...], F(2, list="atomic")] = ()
    rules: Annotated[tuple[IngressRule, ...], F(3, list="atomic")] = ()


class IngressPortStatus(Struct, frozen=True):
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


class IngressLoadBalancerIngress(Struct, frozen=True):
    ip: Annotated[str, F(1)] = ""
    hostname: Annotated[str, F(2)] = ""
    ports: Annotated[tuple[IngressPortStatus, ...], F(4, list="atomic")] = ()


class IngressLoadBalancerStatus(Struct, frozen=True):
    ingress: Annotated[tuple[IngressLoadBalancerIngress, ...], F(1, list="atomic")] = ()


class IngressStatus(Struct, frozen=True):
    loadBalancer: Annotated[IngressLoadBalancerStatus, F(1)] = always(IngressLoadBalancerStatus)


class Ingress(Struct, frozen=True):
    kind: str = always(lambda: "Ingress")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[IngressSpec, F(2)] = always(IngressSpec)
    status: Annotated[IngressStatus, F(3)] = always(IngressStatus)


KIND = Kind(
    group="networking.k8s.io",
    version="v1",
    type=Ingress,
    plural="ingresses",
    singular="ingress",
    short_names=("ing",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource("status", "networking.k8s.io", "v1", "Ingress", ("get", "patch", "update"), reset=("spec",)),
    ),
    reset=("status",),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Class", "string"),
        Column("Hosts", "string"),
        Column("Address", "string"),
        Column("Ports", "string"),
        Column("Age", "string"),
    ),
    storage_hash="39NQlfNR+bo=",
)
