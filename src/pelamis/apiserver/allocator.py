"""Cluster IPs and node ports of Services: never handed out twice.

What is in use is what the cached Services hold, followed event by event, plus what writes under way have reserved. So
nothing needs to be repaired after a crash: the Services themselves are the record.

A number that the server chooses comes at random from the upper part of its range, so that the lower part stays free for
those who choose themselves, as upstream does.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pelamis.api.field import Tree
from pelamis.apiserver.write import Write
from pelamis.base.errors import FieldError, Internal, Invalid, invalid

Key = tuple[str, str]
DEFAULT_RANGE = "kubernetes"
"""The ServiceCIDR of the ranges that the server was started with."""


@dataclass(frozen=True, slots=True)
class Range:
    """Whole numbers from ``first`` to ``last``; the server itself chooses from ``dynamic`` on, if it can."""

    first: int
    last: int
    dynamic: int

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last


class Pool:
    """Numbers of a range and of further ones, which come and go: what is used is remembered whatever range it is of."""

    def __init__(self, own: Range, entropy: Callable[[int], bytes]) -> None:
        self._own = own
        self._further: dict[str, Range] = {}
        self._entropy = entropy
        self._used: Counter[int] = Counter()
        self._reserved: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return number in self._own or any(number in one for one in self._further.values())

    def add(self, name: str, found: Range | None) -> None:
        """A further range of this name; None: no longer."""
        if found is None:
            self._further.pop(name, None)
        else:
            self._further[name] = found

    def taken(self, number: int) -> bool:
        return number in self._reserved or self._used[number] > 0

    def used(self, number: int) -> None:
        """A Service holds it now."""
        self._used[number] += 1
        self._reserved.discard(number)

    def released(self, number: int) -> None:
        self._used[number] -= 1
        if self._used[number] <= 0:
            del self._used[number]

    def reserve(self, number: int) -> bool:
        if self.taken(number):
            return False
        self._reserved.add(number)
        return True

    def cancel(self, number: int) -> None:
        self._reserved.discard(number)

    def choose(self) -> int | None:
        """Reserve any free number; None = full."""
        parts = [p for one in (self._own, *self._further.values()) for p in _parts(one)]
        for low, high in parts:
            size = high - low + 1
            if size <= 0:
                continue
            start = int.from_bytes(self._entropy(8), "big") % size
            free = len(self._used) + len(self._reserved)
            for step in range(min(size, free + 1)):
                number = low + (start + step) % size
                if self.reserve(number):
                    return number
        return None


def _parts(one: Range) -> tuple[tuple[int, int], tuple[int, int]]:
    """What the server chooses from first, and what it leaves to others while it can."""
    return (one.dynamic, one.last), (one.first, one.dynamic - 1)


def _range_of(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Range:
    """The addresses of Services in a network: not the first of all, nor IPv4's last."""
    first = int(network.network_address) + 1
    last = int(network.broadcast_address) - (1 if network.version == 4 else 0)
    last = max(first, min(last, first + (1 << 24)))
    return Range(first, last, min(first + _offset(last - first + 1, 16, 256, 16), last))


def _offset(size: int, least: int, most: int, step: int) -> int:
    """Where the part for the server's own choice begins."""
    return 0 if size < least else min(max(least, size // step), most)


class ServiceAllocator:
    """cidrs: one per IP family, the cluster's first family first. ``pools`` follow ``services`` (a view)."""

    def __init__(self, cidrs: Sequence[str], ports: tuple[int, int], entropy: Callable[[int], bytes]) -> None:
        self._networks = [ipaddress.ip_network(c) for c in cidrs]
        self.families = ["IPv6" if n.version == 6 else "IPv4" for n in self._networks]
        self._ips: dict[str, Pool] = {}
        for family, network in zip(self.families, self._networks, strict=True):
            self._ips[family] = Pool(_range_of(network), entropy)
        low, high = ports
        self._ports = Pool(Range(low, high, low + _offset(high - low + 1, 16, 128, 32)), entropy)
        self._range = f"{low}-{high}"

    # -- what is in use

    def follow(self, services: Any, ranges: Any) -> None:
        """Views of the Services and of the ServiceCIDRs."""
        services.subscribe(self._on_service)
        ranges.subscribe(self._on_range)

    def _on_range(self, key: Key, old: Any, new: Any) -> None:
        """Addresses come from a ServiceCIDR while it is ready and stays."""
        if key[1] == DEFAULT_RANGE:
            return  # what the server was started with
        usable = new is not None and new.metadata.deletionTimestamp is None
        usable = usable and any(c.type == "Ready" and c.status == "True" for c in new.status.conditions)
        networks = [ipaddress.ip_network(c) for c in new.spec.cidrs] if usable else []
        for family, pool in self._ips.items():
            mine = next((n for n in networks if n.version == (6 if family == "IPv6" else 4)), None)
            pool.add(key[1], _range_of(mine) if mine is not None else None)

    def _on_service(self, key: Key, old: Any, new: Any) -> None:
        # The new state first: a number that stays is never free in between.
        if new is not None:
            self._each(new, used=True)
        if old is not None:
            self._each(old, used=False)

    def _each(self, service: Any, *, used: bool) -> None:
        for ip in _ips_of(service.spec.clusterIP, service.spec.clusterIPs):
            pool = self._family(ip)
            if pool is not None:
                number = int(ipaddress.ip_address(ip))
                pool.used(number) if used else pool.released(number)
        for port in {p.nodePort for p in service.spec.ports if p.nodePort} | {service.spec.healthCheckNodePort}:
            if port:
                self._ports.used(port) if used else self._ports.released(port)

    def _family(self, ip: str) -> Pool | None:
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            return None
        return self._ips.get("IPv6" if address.version == 6 else "IPv4")

    def _pool(self, ip: str) -> Pool | None:
        pool = self._family(ip)
        return pool if pool is not None and int(ipaddress.ip_address(ip)) in pool else None

    def owns(self, ip: str) -> bool:
        """The address is one of those that are handed out here."""
        return self._pool(ip) is not None

    def first_ip(self) -> str:
        """The address of the Service ``kubernetes``."""
        return str(self._networks[0].network_address + 1)

    # -- admission

    def mutate(self, write: Write) -> None:
        """Completes a Service before it is checked. Raises StatusError."""
        if write.operation == "DELETE":
            return
        tree = write.tree
        spec: Tree = tree.setdefault("spec", {})
        old: Tree = write.old_tree.get("spec", {}) if write.operation == "UPDATE" else {}
        if old:
            _carry_over(spec, old)
        errors: list[FieldError] = []
        self._addresses(write, spec, old, errors)
        self._node_ports(write, spec, old, errors)
        if errors:
            raise Invalid("Service", "", write.name or tree.get("metadata", {}).get("name", ""), errors)

    def _addresses(self, write: Write, spec: Tree, old: Tree, errors: list[FieldError]) -> None:
        if spec.get("type") == "ExternalName":
            return
        policy = spec.get("ipFamilyPolicy")
        families: list[str] = list(spec.get("ipFamilies") or ())
        given = list(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []))
        headless = given[:1] == ["None"]
        if policy == "RequireDualStack" and len(self.families) < 2 and not (headless and not spec.get("selector")):
            why = "this cluster is not configured for dual-stack services"
            errors.append(invalid("spec.ipFamilyPolicy", policy, why))
            return
        if not families:
            families = [("IPv6" if ":" in ip else "IPv4") for ip in given if ip != "None"] or [self.families[0]]
        for i, family in enumerate(families):
            if family not in self._ips and not (headless and not spec.get("selector")):
                errors.append(invalid(f"spec.ipFamilies[{i}]", family, "not configured on this cluster"))
                return
        if policy in ("PreferDualStack", "RequireDualStack") and len(families) == 1 and len(self.families) > 1:
            families.append(next(f for f in self.families if f not in families))
        if policy is None:
            policy = "RequireDualStack" if len(families) > 1 else "SingleStack"
        spec["ipFamilyPolicy"] = policy
        spec["ipFamilies"] = families[:1] if policy == "SingleStack" else families
        if headless:
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return
        keep = set(_ips_of(old.get("clusterIP", ""), old.get("clusterIPs", ())))
        out: list[str] = []
        for i, family in enumerate(spec["ipFamilies"]):
            wanted = given[i] if i < len(given) else ""
            if wanted in keep and wanted:
                out.append(wanted)
            elif wanted:
                problem = self._take(write, wanted)
                if problem:
                    why = f"failed to allocate IP {wanted}: {problem}"
                    errors.append(invalid("spec.clusterIPs", given, why))
                    return
                out.append(wanted)
            else:
                out.append(self._any(write, family))
        spec["clusterIPs"] = out
        spec["clusterIP"] = out[0]

    def _take(self, write: Write, ip: str) -> str:
        pool = self._pool(ip)
        if pool is None:
            return "the provided network does not match the current range"
        number = int(ipaddress.ip_address(ip))
        if not pool.reserve(number):
            return "provided IP is already allocated"
        write.undo.append(lambda: pool.cancel(number))
        return ""

    def _any(self, write: Write, family: str) -> str:
        pool = self._ips[family]
        number = pool.choose()
        if number is None:
            raise Internal("failed to allocate a serviceIP: range is full")
        ip = str(ipaddress.IPv6Address(number) if family == "IPv6" else ipaddress.IPv4Address(number))
        _note(write, pool, number, ip)
        return ip

    def _node_ports(self, write: Write, spec: Tree, old: Tree, errors: list[FieldError]) -> None:
        ports: list[Tree] = spec.get("ports") or []
        had = {p["nodePort"] for p in old.get("ports") or () if p.get("nodePort")}
        chosen: dict[tuple[str, int], int] = {}
        mine: set[int] = set()
        if _has_node_ports(spec):
            for i, port in enumerate(ports):
                number = port.get("nodePort")
                if number:
                    # One number may serve several protocols of one Service.
                    if number not in had and number not in mine:
                        problem = self._take_port(write, number)
                        if problem:
                            errors.append(invalid(f"spec.ports[{i}].nodePort", number, problem))
                            return
                    mine.add(number)
                    chosen.setdefault((str(port.get("name", "")), port.get("port", 0)), number)
            for port in ports:
                if port.get("nodePort"):
                    continue
                port["nodePort"] = _shared(ports, port) or self._any_port(write)
        self._health_port(write, spec, old, errors)

    def _health_port(self, write: Write, spec: Tree, old: Tree, errors: list[FieldError]) -> None:
        needed = spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
        if not needed:
            return
        number = spec.get("healthCheckNodePort")
        if number and number == old.get("healthCheckNodePort"):
            return
        if number:
            problem = self._take_port(write, number)
            if problem:
                errors.append(
                    invalid(
                        "spec.healthCheckNodePort",
                        number,
                        f"failed to allocate requested HealthCheck NodePort {number}: {problem}",
                    )
                )
            return
        spec["healthCheckNodePort"] = old.get("healthCheckNodePort") or self._any_port(write)

    def _take_port(self, write: Write, number: int) -> str:
        if number not in self._ports:
            return f"provided port is not in the valid range. The range of valid ports is {self._range}"
        if not self._ports.reserve(number):
            return "provided port is already allocated"
        write.undo.append(lambda: self._ports.cancel(number))
        return ""

    def _any_port(self, write: Write) -> int:
        number = self._ports.choose()
        if number is None:
            raise Internal("failed to allocate a nodePort: range is full")
        _note(write, self._ports, number, number)
        return number


def _note(write: Write, pool: Pool, number: int, shown: str | int) -> None:
    """The server's own choice; a write that is planned again chooses anew."""

    def undo() -> None:
        pool.cancel(number)
        write.chosen.discard(shown)
        spec = write.tree.get("spec") or {}
        if shown in (spec.get("clusterIPs") or ()):
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
        for port in spec.get("ports") or ():
            if port.get("nodePort") == shown:
                port.pop("nodePort")
        if spec.get("healthCheckNodePort") == shown:
            spec.pop("healthCheckNodePort")

    write.chosen.add(shown)
    write.undo.append(undo)


def _ips_of(first: str, rest: Sequence[str]) -> Iterator[str]:
    """The addresses of a Service, without "None"."""
    yield from dict.fromkeys(ip for ip in (first, *rest) if ip and ip != "None")


def _shared(ports: Sequence[Tree], port: Tree) -> int:
    """The node port of the same port under another protocol: one number serves both."""
    for other in ports:
        if (
            other.get("nodePort")
            and other.get("port") == port.get("port")
            and other.get("protocol") != port.get("protocol")
        ):
            return int(other["nodePort"])
    return 0


def _has_node_ports(spec: Tree) -> bool:
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def _carry_over(spec: Tree, old: Tree) -> None:
    """What the client left out of an update but the server had allocated; what the new type has no use for goes."""
    external = spec.get("type") == "ExternalName"
    if external:
        for name in ("clusterIP", "clusterIPs"):
            if spec.get(name) == old.get(name):
                spec.pop(name, None)
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if spec.get(name) == old.get(name):
                spec.pop(name, None)
    elif old.get("type") != "ExternalName":
        if not spec.get("clusterIP") and not spec.get("clusterIPs"):
            for name in ("clusterIP", "clusterIPs"):
                if old.get(name):
                    spec[name] = old[name]
        if spec.get("clusterIP") and spec.get("clusterIP") == old.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = old.get("clusterIPs", [])
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if name not in spec and old.get(name):
                spec[name] = old[name]
    before: dict[tuple[Any, Any], int] = {
        (p.get("protocol", "TCP"), p.get("port")): p["nodePort"] for p in old.get("ports") or () if p.get("nodePort")
    }
    if _has_node_ports(spec):
        taken = {p["nodePort"] for p in spec.get("ports") or () if p.get("nodePort")}
        for port in spec.get("ports") or ():
            number = before.get((port.get("protocol", "TCP"), port.get("port")))
            if not port.get("nodePort") and number and number not in taken:
                port["nodePort"] = number
    elif _has_node_ports(old):
        held = set(before.values())
        for port in spec.get("ports") or ():
            if port.get("nodePort") in held:
                port.pop("nodePort")
    if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
        if spec.get("healthCheckNodePort") == old.get("healthCheckNodePort"):
            spec.pop("healthCheckNodePort", None)
    elif not spec.get("healthCheckNodePort") and old.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = old["healthCheckNodePort"]
