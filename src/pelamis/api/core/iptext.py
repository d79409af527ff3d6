"""IP addresses and networks as texts in objects: which are special, and which are written in a way to warn about."""

from __future__ import annotations

import ipaddress

from pelamis.base import names
from pelamis.base.errors import FieldError, invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_ip(text: str) -> Address | None:
    """The address; an IPv4 address mapped into IPv6 as the IPv4 one; None for other texts."""
    if not names.ip_family(text):
        return None
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def check_ip(text: str, path: str, errors: list[FieldError]) -> bool:
    messages = names.is_ip(text)
    errors.extend(invalid(path, text, m) for m in messages)
    return not messages


def check_not_special(text: str, path: str, errors: list[FieldError]) -> None:
    """Endpoints and external addresses may not be unspecified, loopback or link-local."""
    address = parse_ip(text)
    if address is None:
        errors.append(invalid(path, text, "must be a valid IP address"))
        return
    if address.is_unspecified:
        errors.append(invalid(path, text, f"may not be unspecified ({text})"))
    if address.is_loopback:
        errors.append(invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        errors.append(invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if is_link_local_multicast(address):
        detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        errors.append(invalid(path, text, detail))


def is_link_local_multicast(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.packed[:3] == b"\xe0\x00\x00"
    return address.packed[0] == 0xFF and address.packed[1] & 0x0F == 0x02


def warn_ip(path: str, text: str) -> list[str]:
    """Addresses that clients read differently: leading zeros, mapped IPv4, IPv6 that is not in its shortest form."""
    if not names.ip_family(text):
        return []
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            shown = str(address.ipv4_mapped)
            advice = f'will be considered invalid in a future Kubernetes release: use "{shown}"'
            return [f'{path}: non-standard IP address "{text}" {advice}']
        if str(address) != text:
            return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")']
    return []


def warn_cidr(path: str, text: str) -> list[str]:
    """Networks with host bits set, or IPv6 that is not in its shortest form."""
    if not names.cidr_family(text):
        return []
    network = ipaddress.ip_network(text, strict=False)
    host, _, _ = text.partition("/")
    if ipaddress.ip_address(host) != network.network_address:
        advice = f'(should be "{network}" or "{host}/{network.max_prefixlen}"?)'
        return [f'{path}: CIDR value "{text}" is ambiguous in this context {advice}']
    if network.version == 6 and str(network) != text:
        return [f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")']
    return []
