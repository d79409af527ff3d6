"""TODO-DOC"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pelamis.api.field import F, Int32, IntOrString, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import LabelSelector, ObjectMeta


class NetworkPolicyPort(Struct, frozen=True):
    protocol: Annotated[
        str | None,
        F(
            1,
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            default="TCP",
        ),
    ] = None
    port: Annotated[IntOrString | None, F(2)] = None
    endPort: Annotated[Int32 | None, F(3)] = None


class IPBlock(Struct, frozen=True):
    cidr: Annotated[str, F(1, required=True)] = always(str)
    except_: Annotated[tuple[str, ...], F(2, list="atomic")] = msgspec.field(default=(), name="except")


class NetworkPolicyPeer(Struct, frozen=True):
    podSelector: Annotated[LabelSelector | None, F(1)] = None
    namespaceSelector: Annotated[LabelSelector | None, F(2)] = None
    ipBlock: Annotated[IPBlock | None, F(3)] = None


class NetworkPolicyIngressRule(Struct, frozen=True):
    ports: Annotated[tuple[NetworkPolicyPort, ...], F(1, list="atomic")] = ()
    from_: Annotated[tuple[NetworkPolicyPeer, ...], F(2, list="atomic")] = msgspec.field(default=(), name="from")


class NetworkPolicyEgressRule(Struct, frozen=True):
    ports: Annotated[tuple[NetworkPolicyPort, ...], F(1, list="atomic")] = ()
    to: Annotated[tuple[NetworkPolicyPeer, ...], F(2, list="atomic")] = ()


class NetworkPolicySpec(Struct, frozen=True):
    podSelector: Annotated[LabelSelector, F(1)] = always(LabelSelector)
    ingress: Annotated[tuple[NetworkPolicyIngressRule, ...], F(2, list="atomic")] = ()
    egress: Annotated[tuple[NetworkPolicyEgressRule, ...], F(3, list="atomic")] = ()
    policyTypes: Annotated[
        tuple[str, ...],
        F(
            4,
            list="atomic",
            enum=(
                "Ingress",
                "Egress",
            ),
        ),
    ] = ()


class NetworkPolicy(Struct, frozen=True):
    kind: str = always(lambda: "NetworkPolicy")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    spec: Annotated[NetworkPolicySpec, F(2)] = always(NetworkPolicySpec)


KIND = Kind(
    group="networking.k8s.io",
    version="v1",
    type=NetworkPolicy,
    plural="networkpolicies",
    singular="networkpolicy",
    short_names=("netpol",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Pod-Selector", "string"),
        Column("Age", "string"),
    ),
    storage_hash="YpfwF18m1G8=",
)
