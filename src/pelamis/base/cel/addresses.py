"""IP addresses and networks, for CEL (see values)."""

from __future__ import annotations

import ipaddress
from typing import Any

from pelamis.base.cel.values import Made, Wrong, of_kind


def parse_ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Wrong(f'IP Address "{text}" parse error during conversion from string: unable to parse IP') from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise Wrong(f'IP address "{text}" with zone value is not allowed')
        if address.ipv4_mapped is not None:
            raise Wrong(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return address


def make_ip(value: Any) -> Made:
    return {"$": "ip", "ip": str(parse_ip(value))}


def ip_of(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return parse_ip(value if isinstance(value, str) else of_kind("ip", value)["ip"])


def is_ip(text: str) -> bool:
    try:
        parse_ip(text)
    except Wrong:
        return False
    return True


def is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """As Go: neither unspecified, loopback, multicast, link-local nor the broadcast address; private ones count."""
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or str(address) == "255.255.255.255"
    )


def is_local_multicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if address.version == 4:
        return str(address).startswith("224.0.0.")
    return address.is_multicast and address.packed[1] & 0x0F == 2


def _parse_cidr(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    address, slash, bits = text.partition("/")
    if not slash or not bits.isdigit() or (len(bits) > 1 and bits[0] == "0"):
        raise Wrong(f"network address parse error during conversion from string: netip.ParsePrefix(\"{text}\"): no '/'")
    parse_ip(address)
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        raise Wrong(
            f'network address parse error during conversion from string: netip.ParsePrefix("{text}"): '
            "prefix length out of range"
        ) from None


def make_cidr(text: str) -> Made:
    found = _parse_cidr(text)
    return {"$": "cidr", "ip": str(found.ip), "bits": found.network.prefixlen}


def _cidr(value: Any) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    if isinstance(value, str):
        return _parse_cidr(value)
    made = of_kind("cidr", value)
    return ipaddress.ip_interface(f"{made['ip']}/{made['bits']}")


def is_cidr(text: str) -> bool:
    try:
        _parse_cidr(text)
    except Wrong:
        return False
    return True


def contains_ip(value: Made, other: Any) -> bool:
    network, address = _cidr(value).network, ip_of(other)
    return network.version == address.version and address in network


def contains_cidr(value: Made, other: Any) -> bool:
    network, inner = _cidr(value).network, _cidr(other).network
    return network.version == inner.version and inner.subnet_of(network)  # type: ignore[arg-type]


def masked(value: Made) -> Made:
    return make_cidr(str(_cidr(value).network))


def family(value: Made) -> int:
    return ip_of(value).version


def to_string(value: Made) -> str:
    if value.get("$") == "ip":
        return str(value["ip"])
    if value.get("$") == "cidr":
        return f"{value['ip']}/{value['bits']}"
    raise Wrong("no such overload")
