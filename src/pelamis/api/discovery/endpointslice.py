"""EndpointSlice: part of the endpoints of a Service, at most a thousand of one address family.

The label ``kubernetes.io/service-name`` names the Service; the index ``service`` is over it.
``deprecatedTopology`` can no longer be written: it is dropped unless the endpoints stay as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pelamis.api.cell import format_list
from pelamis.api.check import Errors, check_choice, check_immutable, check_text
from pelamis.api.core.iptext import check_not_special, warn_ip
from pelamis.api.core.reference import ObjectReference
from pelamis.api.core.wellknown import SERVICE_NAME
from pelamis.api.field import F, Int32, Struct, Tree, always
from pelamis.api.kind import Column, Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.table import age
from pelamis.base import names
from pelamis.base.errors import duplicate, invalid, required, too_many


class EndpointConditions(Struct, frozen=True):
    ready: Annotated[bool | None, F(1, "Take new connections; unset counts as true.")] = None
    serving: Annotated[bool | None, F(2, "As ready, also while it terminates.")] = None
    terminating: Annotated[bool | None, F(3, "It is going away.")] = None


class ForZone(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the zone.", required=True)] = always(str)


class ForNode(Struct, frozen=True):
    name: Annotated[str, F(1, "Name of the node.", required=True)] = always(str)


class EndpointHints(Struct, frozen=True):
    forZones: Annotated[tuple[ForZone, ...], F(1, "Zones that should use it; at most 8.", list="atomic")] = ()
    forNodes: Annotated[tuple[ForNode, ...], F(2, "Nodes that should use it; at most 8.", list="atomic")] = ()


class Endpoint(Struct, frozen=True):
    addresses: Annotated[tuple[str, ...], F(1, "Addresses; users take the first one.", list="set", required=True)] = (
        always(tuple)
    )
    conditions: Annotated[EndpointConditions, F(2, "Whether it can be used.")] = always(EndpointConditions)
    hostname: Annotated[str | None, F(3, "Its host name within the service, for DNS.")] = None
    targetRef: Annotated[ObjectReference | None, F(4, "The object behind it, mostly a pod.")] = None
    deprecatedTopology: Annotated[dict[str, str], F(5, "Old topology labels; read-only.")] = {}
    nodeName: Annotated[str | None, F(6, "Node that it is on.")] = None
    zone: Annotated[str | None, F(7, "Zone that it is in.")] = None
    hints: Annotated[EndpointHints | None, F(8, "Who should use it.")] = None


class EndpointPort(Struct, frozen=True):
    name: Annotated[str | None, F(1, "Name, unique in the slice.", default="")] = None
    protocol: Annotated[
        str | None,
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
    ] = None
    port: Annotated[Int32 | None, F(3, "Port number.")] = None
    appProtocol: Annotated[str | None, F(4, "Protocol of the application, such as https or kubernetes.io/h2c.")] = None


class EndpointSlice(Struct, frozen=True):
    """Part of the endpoints of a Service, at most a thousand of one address family."""

    kind: str = always(lambda: "EndpointSlice")
    apiVersion: str = always(lambda: "discovery.k8s.io/v1")
    metadata: Annotated[ObjectMeta, F(1)] = always(ObjectMeta)
    addressType: Annotated[
        str,
        F(
            4,
            "IPv4, IPv6 or FQDN; fixed.",
            enum=(
                "IPv4",
                "IPv6",
                "FQDN",
            ),
            required=True,
        ),
    ] = always(str)
    endpoints: Annotated[tuple[Endpoint, ...], F(2, "The endpoints, at most 1000.", list="atomic")] = always(tuple)
    ports: Annotated[
        tuple[EndpointPort, ...],
        F(3, "The ports of each endpoint, at most 100; none means none, or all.", list="atomic"),
    ] = always(tuple)


_MOST_ENDPOINTS, _MOST_ADDRESSES, _MOST_PORTS, _MOST_TOPOLOGY, _MOST_HINTS = 1000, 100, 20000, 16, 8


def _drop_topology(tree: Tree) -> None:
    for endpoint in tree.get("endpoints") or ():
        endpoint.pop("deprecatedTopology", None)


def prepare_create(tree: Tree) -> None:
    _drop_topology(tree)


def prepare_update(tree: Tree, old: Tree) -> None:
    if tree.get("endpoints") != old.get("endpoints"):
        _drop_topology(tree)


def _validate_address(text: str, address_type: str, path: str) -> Errors:
    if address_type == "FQDN":
        return check_text(names.is_fully_qualified_domain_name, text, path)
    if address_type in ("IPv4", "IPv6"):
        if not names.ip_family(text):
            return [invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
        if names.ip_family(text) != int(address_type[-1]):
            return [invalid(path, text, f"must be a valid {address_type} address")]
        errors: Errors = []
        check_not_special(text, path, errors)
        return errors
    return []


def _validate_hints(hints: EndpointHints, path: str) -> Errors:
    errors: Errors = []
    hinted: tuple[tuple[str, Sequence[ForZone | ForNode]], ...] = (
        ("forZones", hints.forZones),
        ("forNodes", hints.forNodes),
    )
    for field, what in hinted:
        where = f"{path}.{field}"
        if len(what) > _MOST_HINTS:
            return [*errors, too_many(where, len(what), _MOST_HINTS)]
        seen: set[str] = set()
        for i, entry in enumerate(what):
            if entry.name in seen:
                errors.append(duplicate(f"{where}[{i}]", entry.name))
            seen.add(entry.name)
            check = names.is_valid_label_value if field == "forZones" else names.is_dns1123_subdomain
            errors += check_text(check, entry.name, f"{where}[{i}].name")
    return errors


def _validate_endpoint(endpoint: Endpoint, address_type: str, path: str) -> Errors:
    errors: Errors = []
    where = f"{path}.addresses"
    if not endpoint.addresses:
        errors.append(required(where, "must contain at least 1 address"))
    elif len(endpoint.addresses) > _MOST_ADDRESSES:
        errors.append(too_many(where, len(endpoint.addresses), _MOST_ADDRESSES))
    for i, address in enumerate(endpoint.addresses):
        errors += _validate_address(address, address_type, f"{where}[{i}]")
    if endpoint.nodeName is not None:
        errors += check_text(names.is_dns1123_subdomain, endpoint.nodeName, f"{path}.nodeName")
    if len(endpoint.deprecatedTopology) > _MOST_TOPOLOGY:
        errors.append(too_many(f"{path}.deprecatedTopology", len(endpoint.deprecatedTopology), _MOST_TOPOLOGY))
    for key, value in sorted(endpoint.deprecatedTopology.items()):
        errors += check_text(names.is_qualified_name, key, f"{path}.deprecatedTopology")
        errors += check_text(names.is_valid_label_value, value, f"{path}.deprecatedTopology")
    if endpoint.hostname is not None:
        errors += check_text(names.is_dns1123_label, endpoint.hostname, f"{path}.hostname")
    if endpoint.hints is not None:
        errors += _validate_hints(endpoint.hints, f"{path}.hints")
    return errors


def _validate_ports(ports: tuple[EndpointPort, ...]) -> Errors:
    if len(ports) > _MOST_PORTS:
        return [too_many("ports", len(ports), _MOST_PORTS)]
    errors: Errors = []
    seen: set[str | None] = set()
    for i, port in enumerate(ports):
        path = f"ports[{i}]"
        if port.name:
            errors += check_text(names.is_dns1123_label, port.name, f"{path}.name")
        if port.name in seen:
            errors.append(duplicate(f"{path}.name", port.name))
        seen.add(port.name)
        if port.protocol is None:
            errors.append(required(f"{path}.protocol"))
        else:
            errors += check_choice(port.protocol, f"{path}.protocol", ("SCTP", "TCP", "UDP"))
        if port.appProtocol is not None:
            errors += check_text(names.is_qualified_name, port.appProtocol, f"{path}.appProtocol")
    return errors


def validate(obj: EndpointSlice) -> Errors:
    errors: Errors = []
    if not obj.addressType:
        errors.append(required("addressType"))
    else:
        errors += check_choice(obj.addressType, "addressType", ("FQDN", "IPv4", "IPv6"))
    if len(obj.endpoints) > _MOST_ENDPOINTS:
        errors.append(too_many("endpoints", len(obj.endpoints), _MOST_ENDPOINTS))
    else:
        for i, endpoint in enumerate(obj.endpoints):
            errors += _validate_endpoint(endpoint, obj.addressType, f"endpoints[{i}]")
    return errors + _validate_ports(obj.ports)


def validate_update(obj: EndpointSlice, old: EndpointSlice) -> Errors:
    return validate(obj) + check_immutable(obj.addressType, old.addressType, "addressType")


MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER, MIRRORING = "endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"
"""What it says of the slices that the controllers make."""


def _address_warnings(obj: EndpointSlice) -> list[str]:
    """Controllers write addresses as they should be written."""
    if obj.metadata.labels.get(MANAGED_BY) in (CONTROLLER, MIRRORING):
        return []
    return [
        warning
        for i, endpoint in enumerate(obj.endpoints)
        for k, address in enumerate(endpoint.addresses)
        for warning in warn_ip(f"endpoints[{i}].addresses[{k}]", address)
    ]


def warnings(obj: EndpointSlice) -> list[str]:
    old = ["spec.addressType: FQDN endpoints are deprecated"] if obj.addressType == "FQDN" else []
    return old + _address_warnings(obj)


def cells(obj: EndpointSlice, now: float) -> Sequence[Any]:
    ports = [str(p.port) if p.port is not None else "*" if p.name is None else p.name for p in obj.ports]
    addresses = [address for endpoint in obj.endpoints for address in endpoint.addresses]
    return (
        obj.metadata.name,
        obj.addressType,
        format_list(ports),
        format_list(addresses),
        age(obj.metadata.creationTimestamp, now),
    )


def _service(obj: EndpointSlice) -> Sequence[str]:
    name = obj.metadata.labels.get(SERVICE_NAME)
    return (f"{obj.metadata.namespace}/{name}",) if name else ()


KIND = Kind(
    group="discovery.k8s.io",
    version="v1",
    type=EndpointSlice,
    plural="endpointslices",
    singular="endpointslice",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    generation=True,
    columns=(
        Column("Name", "string", format="name"),
        Column("AddressType", "string"),
        Column("Ports", "string"),
        Column("Endpoints", "string"),
        Column("Age", "string"),
    ),
    storage_hash="qgS0xkrxYAI=",
    cells=cells,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    warnings=warnings,
    validate_update=validate_update,
    indexes={"service": _service},
)
