"""Checks of addresses and networks in the networking kinds."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from pelamis.base import names


def is_canonical_ip(value: str) -> list[str]:
    """An address in the one form that equal addresses share, as names need it."""
    wrong = names.is_ip(value)
    if wrong:
        return wrong
    address = ipaddress.ip_address(value)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return [] if str(address) == value else [f'must be in canonical form ("{address}")']


def is_canonical_cidr(value: str) -> list[str]:
    """A network without host bits, in its one form."""
    wrong = names.is_cidr(value)
    if wrong:
        return wrong
    network = ipaddress.ip_network(value, strict=False)
    host = value.partition("/")[0]
    if ipaddress.ip_address(host) != network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return [] if str(network) == value else [f'must be in canonical form ("{network}")']


def is_strict_subset(inner: str, outer: str) -> bool:
    """Both are valid; False for different families too."""
    a, b = ipaddress.ip_network(inner, strict=False), ipaddress.ip_network(outer, strict=False)
    return a.version == b.version and a.prefixlen > b.prefixlen and a.network_address in b


def families(cidrs: Sequence[str]) -> set[int]:
    return {names.cidr_family(cidr) for cidr in cidrs}
