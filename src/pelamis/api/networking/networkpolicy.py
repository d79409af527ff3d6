"""NetworkPolicy: which traffic the selected pods may receive and send; pods without one may do everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from pelamis.api.cell import format_selector
from pelamis.api.check import Errors, check_choice, check_text
from pelamis.api.core.iptext import warn_cidr
from pelamis.api.field import F, Int32, IntOrString, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import LabelSelector, ObjectMeta
from pelamis.api.metavalidate import validate_label_selector
from pelamis.api.networking.address import is_strict_subset
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import forbidden, invalid, required


class NetworkPolicyPort(Struct, frozen=True):
    protocol: Annotated[
        str | None,
        F(
            1,
            "TCP, UDP or SCTP; TCP if unset.",
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            default="TCP",
        ),
    ] = None
    port: Annotated[IntOrString | None, F(2, "Number or name of the port; every port if unset.")] = None
    endPort: Annotated[Int32 | None, F(3, "Last port of a range that starts at port.")] = None


class IPBlock(Struct, frozen=True):
    cidr: Annotated[str, F(1, "Network, such as 192.168.1.0/24.", required=True)] = always(str)
    except_: Annotated[tuple[str, ...], F(2, "Parts of the network that are left out.", list="atomic")] = msgspec.field(
        default=(), name="except"
    )


class NetworkPolicyPeer(Struct, frozen=True):
    podSelector: Annotated[
        LabelSelector | None, F(1, "Pods by label; in the own namespace unless namespaceSelector is set.")
    ] = None
    namespaceSelector: Annotated[LabelSelector | None, F(2, "Namespaces by label; empty selects all.")] = None
    ipBlock: Annotated[IPBlock | None, F(3, "A network; not together with the selectors.")] = None


class NetworkPolicyIngressRule(Struct, frozen=True):
    ports: Annotated[
        tuple[NetworkPolicyPort, ...], F(1, "Ports that may be reached; all if empty.", list="atomic")
    ] = ()
    from_: Annotated[tuple[NetworkPolicyPeer, ...], F(2, "Who may reach them; everybody if empty.", list="atomic")] = (
        msgspec.field(default=(), name="from")
    )


class NetworkPolicyEgressRule(Struct, frozen=True):
    ports: Annotated[
        tuple[NetworkPolicyPort, ...], F(1, "Ports that may be reached; all if empty.", list="atomic")
    ] = ()
    to: Annotated[tuple[NetworkPolicyPeer, ...], F(2, "What may be reached; everything if empty.", list="atomic")] = ()


class NetworkPolicySpec(Struct, frozen=True):
    podSelector: Annotated[LabelSelector, F(1, "The pods it is about; empty selects all of the namespace.")] = always(
        LabelSelector
    )
    ingress: Annotated[
        tuple[NetworkPolicyIngressRule, ...], F(2, "Traffic that is let in; none if empty.", list="atomic")
    ] = ()
    egress: Annotated[
        tuple[NetworkPolicyEgressRule, ...],
        F(3, "Traffic that is let out; none if empty and the type is Egress.", list="atomic"),
    ] = ()
    policyTypes: Annotated[
        tuple[str, ...],
        F(
            4,
            "Ingress, Egress or both; Ingress, and Egress if there are egress rules, if unset.",
            list="atomic",
            enum=(
                "Ingress",
                "Egress",
            ),
        ),
    ] = ()


class NetworkPolicy(Struct, frozen=True):
    """Which traffic the selected pods may receive and send; pods without one may do everything."""

    kind: str = always(lambda: "NetworkPolicy")
    apiVersion: str = always(lambda: "networking.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1, "Standard object metadata.")] = always(ObjectMeta)
    spec: Annotated[NetworkPolicySpec, F(2, "What is wanted.")] = always(NetworkPolicySpec)


_TYPES = ("Ingress", "Egress")


def default(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        for port in rule.get("ports") or ():
            if port.get("protocol") is None:
                port["protocol"] = "TCP"


def _validate_port(port: NetworkPolicyPort, path: str) -> Errors:
    errors: Errors = []
    if port.protocol is not None:
        errors += check_choice(port.protocol, f"{path}.protocol", ("TCP", "UDP", "SCTP"))
    end, first = port.endPort, port.port
    if first is None:
        if end is not None:
            errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    elif isinstance(first, int):
        errors += [invalid(f"{path}.port", first, m) for m in names.is_port_num(first)]
        if end is not None:
            if end < first:
                errors.append(invalid(f"{path}.endPort", end, "must be greater than or equal to `port`"))
            errors += [invalid(f"{path}.endPort", end, m) for m in names.is_port_num(end)]
    else:
        if end is not None:
            errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        errors += check_text(names.is_port_name, first, f"{path}.port")
    return errors


def _validate_block(block: IPBlock, path: str, old: frozenset[str]) -> Errors:
    if not block.cidr:
        return [required(f"{path}.cidr")]
    wrong = names.is_cidr(block.cidr)
    errors = [] if block.cidr in old else [invalid(f"{path}.cidr", block.cidr, m) for m in wrong]
    if wrong:
        return errors
    for i, cidr in enumerate(block.except_):
        where, wrong = f"{path}.except[{i}]", names.is_cidr(cidr)
        if wrong:
            errors += [] if cidr in old else [invalid(where, cidr, m) for m in wrong]
        elif not is_strict_subset(cidr, block.cidr):
            errors.append(invalid(where, cidr, "must be a strict subset of `cidr`"))
    return errors


def _validate_peer(peer: NetworkPolicyPeer, path: str, old: frozenset[str]) -> Errors:
    errors = list(validate_label_selector(peer.podSelector, f"{path}.podSelector"))
    errors += validate_label_selector(peer.namespaceSelector, f"{path}.namespaceSelector")
    if peer.ipBlock is not None:
        errors += _validate_block(peer.ipBlock, f"{path}.ipBlock", old)
    selects = peer.podSelector is not None or peer.namespaceSelector is not None
    if peer.ipBlock is None and not selects:
        errors.append(required(path, "must specify a peer"))
    elif peer.ipBlock is not None and selects:
        errors.append(forbidden(path, "may not specify both ipBlock and another peer"))
    return errors


def _validate_spec(spec: NetworkPolicySpec, old: frozenset[str]) -> Errors:
    """``old``: networks that are let pass because the object had them before."""
    errors = list(validate_label_selector(spec.podSelector, "spec.podSelector"))
    rules: list[tuple[str, str, tuple[NetworkPolicyPort, ...], tuple[NetworkPolicyPeer, ...]]] = [
        *((f"spec.ingress[{i}]", "from", r.ports, r.from_) for i, r in enumerate(spec.ingress)),
        *((f"spec.egress[{i}]", "to", r.ports, r.to) for i, r in enumerate(spec.egress)),
    ]
    for path, side, ports, peers in rules:
        for i, port in enumerate(ports):
            errors += _validate_port(port, f"{path}.ports[{i}]")
        for i, peer in enumerate(peers):
            errors += _validate_peer(peer, f"{path}.{side}[{i}]", old)
    if len(spec.policyTypes) > len(_TYPES):
        detail = "may not specify more than two policyTypes"
        return [*errors, invalid("spec.policyTypes", spec.policyTypes, detail)]
    for i, name in enumerate(spec.policyTypes):
        errors += check_choice(name, f"spec.policyTypes[{i}]", _TYPES)
    return errors


def validate(obj: NetworkPolicy) -> Errors:
    return _validate_spec(obj.spec, frozenset())


def validate_update(obj: NetworkPolicy, old: NetworkPolicy) -> Errors:
    peers = [p for r in old.spec.ingress for p in r.from_] + [p for r in old.spec.egress for p in r.to]
    blocks = [p.ipBlock for p in peers if p.ipBlock is not None]
    return _validate_spec(obj.spec, frozenset(cidr for b in blocks for cidr in (b.cidr, *b.except_)))


def warnings(obj: NetworkPolicy) -> list[str]:
    """Of networks that are not written as they are meant."""
    out: list[str] = []
    sides = [(f"spec.ingress[{i}].from", rule.from_) for i, rule in enumerate(obj.spec.ingress)]
    sides += [(f"spec.egress[{i}].to", rule.to) for i, rule in enumerate(obj.spec.egress)]
    for side, peers in sides:
        for j, peer in enumerate(peers):
            if peer.ipBlock is not None:
                path = f"{side}[{j}].ipBlock"
                out += warn_cidr(f"{path}.cidr", peer.ipBlock.cidr)
                for k, text in enumerate(peer.ipBlock.except_):
                    out += warn_cidr(f"{path}.except[{k}]", text)
    return out


def cells(obj: NetworkPolicy, now: float) -> Sequence[Any]:
    return obj.metadata.name, format_selector(obj.spec.podSelector), age(obj.metadata.creationTimestamp, now)


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
    cells=cells,
    default=default,
    validate=validate,
    warnings=warnings,
    validate_update=validate_update,
)
