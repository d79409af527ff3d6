"""Endpoints: the addresses behind a Service in one object. EndpointSlices have taken its place since v1.33."""

from __future__ import annotations

from typing import Annotated, Any

from pelamis.api.core.iptext import check_ip, check_not_special, warn_ip
from pelamis.api.core.reference import ObjectReference
from pelamis.api.field import F, Int32, Struct, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import FieldError, invalid, not_supported, required


class EndpointAddress(Struct, frozen=True):
    """One pod behind a service."""

    ip: Annotated[str, F(1, "Its address.", required=True)] = always(str)
    hostname: Annotated[str, F(3, "Its name in DNS.")] = ""
    nodeName: Annotated[str | None, F(4, "Its node.")] = None
    targetRef: Annotated[ObjectReference | None, F(2, "The pod.")] = None


class EndpointPort(Struct, frozen=True):
    """A port of all addresses of a subset."""

    name: Annotated[str, F(1, "Name of the service's port.")] = ""
    port: Annotated[Int32, F(2, "Port number.", required=True)] = always(int)
    protocol: Annotated[
        str,
        F(
            3,
            "TCP, UDP or SCTP.",
            enum=(
                "TCP",
                "UDP",
                "SCTP",
            ),
            default="TCP",
        ),
    ] = ""
    appProtocol: Annotated[str | None, F(4, "Protocol on top.")] = None


class EndpointSubset(Struct, frozen=True):
    """Addresses that share ports."""

    addresses: Annotated[tuple[EndpointAddress, ...], F(1, "Those that are ready.", list="atomic")] = ()
    notReadyAddresses: Annotated[tuple[EndpointAddress, ...], F(2, "Those that are not.", list="atomic")] = ()
    ports: Annotated[tuple[EndpointPort, ...], F(3, "Ports of each.", list="atomic")] = ()


class Endpoints(Struct, frozen=True):
    """All addresses behind a service."""

    kind: str = always(lambda: "Endpoints")
    apiVersion: str = always(lambda: "v1")
    metadata: Annotated[ObjectMeta, F(1, "Name, labels and other metadata.")] = always(ObjectMeta)
    subsets: Annotated[tuple[EndpointSubset, ...], F(2, "Addresses by their ports.", list="atomic")] = ()


MANAGED_BY, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
DEPRECATION = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
_PROTOCOLS = ("SCTP", "TCP", "UDP")


def validate(obj: Endpoints) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, subset in enumerate(obj.subsets):
        at = f"subsets[{i}]"
        if not subset.addresses and not subset.notReadyAddresses:
            errors.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
        for field in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(getattr(subset, field)):
                _check_address(address, f"{at}.{field}[{j}]", errors)
        for j, port in enumerate(subset.ports):
            _check_port(port, len(subset.ports) > 1, f"{at}.ports[{j}]", errors)
    return errors


def _check_address(address: EndpointAddress, path: str, errors: list[FieldError]) -> None:
    check_ip(address.ip, f"{path}.ip", errors)
    if address.hostname:
        errors.extend(
            invalid(f"{path}.hostname", address.hostname, m) for m in names.is_dns1123_label(address.hostname)
        )
    node = address.nodeName
    if node is not None:
        errors.extend(invalid(f"{path}.nodeName", node, m) for m in names.is_dns1123_subdomain(node))
    check_not_special(address.ip, f"{path}.ip", errors)


def _check_port(port: EndpointPort, named: bool, path: str, errors: list[FieldError]) -> None:
    if named and not port.name:
        errors.append(required(f"{path}.name"))
    elif port.name:
        errors.extend(invalid(f"{path}.name", port.name, m) for m in names.is_dns1123_label(port.name))
    errors.extend(invalid(f"{path}.port", port.port, m) for m in names.is_port_num(port.port))
    if not port.protocol:
        errors.append(required(f"{path}.protocol"))
    elif port.protocol not in _PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", port.protocol, _PROTOCOLS))
    protocol = port.appProtocol
    if protocol is not None:
        errors.extend(invalid(f"{path}.appProtocol", protocol, m) for m in names.is_qualified_name(protocol))


def validate_update(obj: Endpoints, old: Endpoints) -> list[FieldError]:
    return validate(obj)


def warnings(obj: Endpoints) -> list[str]:
    """The controller writes addresses as they should be written."""
    if obj.metadata.labels.get(MANAGED_BY) == MANAGER:
        return []
    return [
        warning
        for i, subset in enumerate(obj.subsets)
        for name, addresses in (("addresses", subset.addresses), ("notReadyAddresses", subset.notReadyAddresses))
        for k, address in enumerate(addresses)
        for warning in warn_ip(f"subsets[{i}].{name}[{k}].ip", address.ip)
    ]


def format_endpoints(obj: Endpoints, most: int = 3) -> str:
    """``10.0.0.1:80,10.0.0.2:80 + 3 more...``; addresses alone where there are no ports."""
    shown: list[str] = []
    for subset in obj.subsets:
        for port in subset.ports or (None,):
            for address in subset.addresses:
                ip = f"[{address.ip}]" if port is not None and ":" in address.ip else address.ip
                shown.append(ip if port is None else f"{ip}:{port.port}")
    if not obj.subsets:
        return "<none>"
    text = ",".join(shown[:most])
    return f"{text} + {len(shown) - most} more..." if len(shown) > most else text


def cells(obj: Endpoints, now: float) -> tuple[Any, ...]:
    return obj.metadata.name, format_endpoints(obj), age(obj.metadata.creationTimestamp, now)


KIND = Kind(
    group="",
    version="v1",
    type=Endpoints,
    plural="endpoints",
    singular="endpoints",
    short_names=("ep",),
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    create_on_update=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("Endpoints", "string"),
        Column("Age", "string"),
    ),
    storage_hash="fWeeMqaN/OA=",
    storage="services/endpoints",
    cells=cells,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    deprecated=DEPRECATION,
)
