"""What the cluster's DNS answers, by the Kubernetes DNS specification (version 1.1.0). Pure: views in, records out.

Names: ``<service>.<ns>.svc.<domain>`` (A, AAAA; a CNAME for ExternalName; all ready endpoints for a headless Service),
``_<port>._<protocol>.<service>.<ns>.svc.<domain>`` (SRV), ``<hostname>.<service>.<ns>.svc.<domain>`` (one endpoint),
``<a-b-c-d>.<ns>.pod.<domain>`` (the address that it spells), and PTR for Service and endpoint addresses. A name that is
there without the record asked for gives an empty answer; one that is not, NXDOMAIN; a name of another zone, None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from pelamis.api.core.service import Service
from pelamis.api.core.wellknown import SERVICE_NAME
from pelamis.api.discovery.endpointslice import EndpointSlice
from pelamis.client.types import View
from pelamis.dns.message import (
    AAAA,
    ANY,
    CNAME,
    NOERROR,
    NXDOMAIN,
    PTR,
    SRV,
    TXT,
    A,
    Record,
    a,
    aaaa,
    cname,
    ptr,
    soa,
    srv,
    txt,
)

TTL_S = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """code: NOERROR or NXDOMAIN. chase: a CNAME target outside the zone that the server should resolve too."""

    code: int
    answers: tuple[Record, ...] = ()
    extra: tuple[Record, ...] = ()
    chase: str = ""


_EMPTY, _NONE = Answer(NOERROR), Answer(NXDOMAIN)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    ip: str
    host: str
    """Its name below the Service: the hostname, or the address with dashes."""
    ports: tuple[tuple[str, str, int], ...]
    """(name, protocol in lower case, number)"""


class Zone:
    """The cluster's zone over two live views; it must see their changes for the reverse look-ups."""

    def __init__(self, domain: str, services: View[Service], slices: View[EndpointSlice]) -> None:
        self.domain = domain.strip(".").lower()
        self.services = services
        self.slices = slices
        self.by_ip: dict[str, str] = {}
        """Address to the name that PTR gives."""

    def service_changed(self, old: Any, new: Any) -> None:
        for service, present in ((old, False), (new, True)):
            if service is None:
                continue
            name = f"{service.metadata.name}.{service.metadata.namespace}.svc.{self.domain}"
            for ip in _cluster_ips(service):
                if present:
                    self.by_ip[ip] = name
                elif self.by_ip.get(ip) == name:
                    del self.by_ip[ip]

    def slice_changed(self, old: Any, new: Any) -> None:
        for part, present in ((old, False), (new, True)):
            if part is None:
                continue
            service = part.metadata.labels.get(SERVICE_NAME, "")
            for endpoint in part.endpoints:
                if not endpoint.hostname:
                    continue
                name = f"{endpoint.hostname}.{service}.{part.metadata.namespace}.svc.{self.domain}"
                for ip in endpoint.addresses:
                    if present:
                        self.by_ip.setdefault(ip, name)
                    elif self.by_ip.get(ip) == name:
                        del self.by_ip[ip]

    def soa(self, serial: int) -> Record:
        return soa(self.domain, serial, TTL_S)

    def answer(self, name: str, kind: int) -> Answer | None:
        """name: lower case without the last dot. None: not ours, ask upstream."""
        if name.endswith((".in-addr.arpa", ".ip6.arpa")):
            return self._reverse(name, kind)
        if name == self.domain:
            return _EMPTY
        if not name.endswith("." + self.domain):
            return None
        labels = name[: -len(self.domain) - 1].split(".")
        if labels == ["dns-version"]:
            return Answer(NOERROR, (txt(name, "1.1.0", TTL_S),)) if kind in (TXT, ANY) else _EMPTY
        if labels[-1] == "pod":
            return self._pod(name, labels[:-1], kind)
        if labels[-1] != "svc" or len(labels) > 5:
            return _NONE
        if len(labels) < 3:
            return _EMPTY if self._namespace_known(labels[:-1]) else _NONE
        return self._service(name, labels[:-1], kind)

    def _namespace_known(self, labels: Sequence[str]) -> bool:
        return not labels or bool(self.services.keys(labels[0]))

    def _service(self, name: str, labels: Sequence[str], kind: int) -> Answer:
        service = self.services.get(labels[-1], labels[-2])
        if service is None:
            return _NONE
        before = labels[:-2]
        base = f"{labels[-2]}.{labels[-1]}.svc.{self.domain}"
        if service.spec.type == "ExternalName":
            if before:
                return _NONE
            target = service.spec.externalName.rstrip(".").lower()
            return Answer(NOERROR, (cname(name, target, TTL_S),), chase=target if kind != CNAME else "")
        headless = service.spec.clusterIP == "None"
        if not before:
            ips = [e.ip for e in self._endpoints(service)] if headless else list(_cluster_ips(service))
            if headless and not ips:
                return _NONE
            if kind == SRV:
                return self._srv(service, base, name, "", "")
            return Answer(NOERROR, tuple(_addresses(name, ips, kind)))
        if len(before) == 2:
            if not (before[0].startswith("_") and before[1].startswith("_")):
                return _NONE
            found = self._srv(service, base, name, before[0][1:], before[1][1:])
            if not found.answers:
                return _NONE
            if kind in (SRV, ANY):
                return found
            ips = [e.ip for e in self._endpoints(service)] if headless else list(_cluster_ips(service))
            return Answer(NOERROR, tuple(_addresses(name, ips, kind)))
        if len(before) == 1 and (headless or before[0]):
            endpoints = [e for e in self._endpoints(service) if e.host == before[0]]
            if not endpoints:
                return _NONE
            return Answer(NOERROR, tuple(_addresses(name, [e.ip for e in endpoints], kind)))
        return _NONE

    def _srv(self, service: Service, base: str, name: str, port: str, protocol: str) -> Answer:
        """Each record carries an equal share of the weight 100, as CoreDNS deals it out."""
        found: list[tuple[str, int]] = []
        extra: list[Record] = []
        if service.spec.clusterIP != "None":
            for item in service.spec.ports:
                if _matches(item.name, (item.protocol or "TCP").lower(), port, protocol):
                    found.append((base, item.port))
            if found:
                extra += _addresses(base, list(_cluster_ips(service)), ANY)
        for endpoint in self._endpoints(service) if service.spec.clusterIP == "None" else ():
            target = f"{endpoint.host}.{base}"
            for named, proto, number in endpoint.ports:
                if _matches(named, proto, port, protocol):
                    found.append((target, number))
                    extra += _addresses(target, [endpoint.ip], ANY)
        found = list(dict.fromkeys(found))
        weight = max(100 // len(found), 1) if found else 0
        answers = tuple(srv(name, target, number, TTL_S, weight=weight) for target, number in found)
        return Answer(NOERROR, answers, tuple(dict.fromkeys(extra)))

    def _endpoints(self, service: Service) -> Iterator[_Endpoint]:
        key = f"{service.metadata.namespace}/{service.metadata.name}"
        everyone = service.spec.publishNotReadyAddresses
        for part in self.slices.by_index("service", key):
            ports = tuple((p.name or "", (p.protocol or "TCP").lower(), p.port) for p in part.ports if p.port)
            for endpoint in part.endpoints:
                if endpoint.conditions.ready is False and not everyone:
                    continue
                for ip in endpoint.addresses:
                    host = endpoint.hostname or ip.replace(".", "-").replace(":", "-")
                    yield _Endpoint(ip, host, ports)

    def _pod(self, name: str, labels: Sequence[str], kind: int) -> Answer:
        if len(labels) != 2:
            return _EMPTY if len(labels) < 2 else _NONE
        text = labels[0]
        for ip in (text.replace("-", "."), text.replace("-", ":")):
            try:
                parsed = str(ip_address(ip))
            except ValueError:
                continue
            return Answer(NOERROR, tuple(_addresses(name, [parsed], kind)))
        return _NONE

    def _reverse(self, name: str, kind: int) -> Answer | None:
        ip = _reversed(name)
        target = self.by_ip.get(ip) if ip else None
        if target is None:
            return None
        return Answer(NOERROR, (ptr(name, target, TTL_S),)) if kind in (PTR, ANY) else _EMPTY


def _matches(name: str, protocol: str, wanted: str, wanted_protocol: str) -> bool:
    return (not wanted or wanted == name) and (not wanted_protocol or wanted_protocol == protocol)


def _cluster_ips(service: Service) -> tuple[str, ...]:
    ips = service.spec.clusterIPs or ((service.spec.clusterIP,) if service.spec.clusterIP else ())
    return tuple(ip for ip in ips if ip != "None")


def _addresses(name: str, ips: Sequence[str], kind: int) -> Iterator[Record]:
    for ip in dict.fromkeys(ips):
        if ":" in ip:
            if kind in (AAAA, ANY):
                yield aaaa(name, ip, TTL_S)
        elif kind in (A, ANY):
            yield a(name, ip, TTL_S)


def _reversed(name: str) -> str:
    """The address of a reverse name, "" when it is not one."""
    try:
        if name.endswith(".in-addr.arpa"):
            return str(IPv4Address(".".join(reversed(name[:-13].split(".")))))
        digits = "".join(reversed(name[:-9].split(".")))
        return str(IPv6Address(":".join(digits[i : i + 4] for i in range(0, 32, 4)))) if len(digits) == 32 else ""
    except ValueError:
        return ""
