"""Services and their endpoints as nftables elements and chains. Pure: objects in, text for ``nft -f`` out.

Every packet costs a fixed number of map look-ups, however many Services there are: the maps lead from (address,
protocol, port) to a chain of the Service's port, and that chain picks an endpoint by a random number and rewrites the
destination. A change of one Service touches only its own elements and chains, in one transaction.

A ``Part`` is what one Service (or one pod with host ports) contributes; ``Table`` holds all parts, counts what several
of them share, and turns the step from an old part to a new one into commands.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pelamis.api.core.pod.kind import Pod
from pelamis.api.core.service import Service
from pelamis.api.core.wellknown import HEADLESS, OTHER_PROXY
from pelamis.api.discovery.endpointslice import EndpointSlice

Element = tuple[str, str, str]
"""(map or set, key, verdict); the verdict is "" for a set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """table: nftables table (family ip). pod_cidrs: all pods of the cluster. node: this node's name.

    zone: where the node is, by its label; "" while nobody said. service_cidrs: the range of Services.
    """

    table: str
    node: str
    bridge: str
    pod_cidrs: tuple[str, ...]
    node_pod_cidr: str
    zone: str = ""
    service_cidrs: tuple[str, ...] = ()


Hints = tuple[frozenset[str], frozenset[str]]
"""(nodes, zones) that an endpoint is meant for."""


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint of a Service's port."""

    ip: str
    port: int
    local: bool


@dataclass(frozen=True, slots=True)
class Part:
    """chains: name to rules. affinity: set name to timeout in seconds. udp: (address, port) pairs that were UDP."""

    elements: frozenset[Element] = frozenset()
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    affinity: Mapping[str, int] = field(default_factory=dict)
    udp: Mapping[tuple[str, int], frozenset[str]] = field(default_factory=dict)
    """UDP address and port to endpoint addresses: what connection tracking must forget when endpoints leave."""


EMPTY = Part()


def base(settings: Settings) -> str:
    """The whole table without any Service; replaces what a former run left.

    Nothing leaves for an address of the Service range that no Service has. The machine's own connections are not looked
    at for that: one of its networks may have such addresses.
    """
    t = settings.table
    pods = ", ".join(settings.pod_cidrs)
    ranges = ", ".join(settings.service_cidrs)
    services = f"elements = {{ {ranges} }}" if ranges else ""
    return f"""add table ip {t}
delete table ip {t}
table ip {t} {{
  set cluster-ips {{ type ipv4_addr; }}
  set hairpin {{ type ipv4_addr . ipv4_addr; }}
  set service-range {{ type ipv4_addr; flags interval; {services} }}
  set pods {{ type ipv4_addr; flags interval; elements = {{ {pods} }} }}
  map service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map node-ports {{ type inet_proto . inet_service : verdict; }}
  map host-ports {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map any-host-ports {{ type inet_proto . inet_service : verdict; }}
  map refused-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map refused-node-ports {{ type inet_proto . inet_service : verdict; }}
  chain mark-masq {{ meta mark set meta mark or 0x4000; }}
  chain refuse {{
    meta l4proto tcp reject with tcp reset
    reject
  }}
  chain services {{
    ip daddr . meta l4proto . th dport vmap @service-ips
    fib daddr type local meta l4proto . th dport vmap @node-ports
    fib daddr type local ip daddr . meta l4proto . th dport vmap @host-ports
    fib daddr type local meta l4proto . th dport vmap @any-host-ports
  }}
  chain unanswered {{
    ip daddr . meta l4proto . th dport vmap @refused-ips
    fib daddr type local meta l4proto . th dport vmap @refused-node-ports
    ip daddr @cluster-ips meta l4proto {{ tcp, udp, sctp }} goto refuse
  }}
  chain unallocated {{
    ip daddr @cluster-ips reject
    ip daddr @service-range drop
  }}
  chain nat-prerouting {{ type nat hook prerouting priority dstnat; policy accept; jump services; }}
  chain nat-output {{ type nat hook output priority -100; policy accept; jump services; }}
  chain nat-postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0x4000 meta mark set meta mark & 0xffffbfff masquerade
    ct status dnat ip saddr . ip daddr @hairpin masquerade
    ip saddr {settings.node_pod_cidr} ip daddr != @pods oifname != "{settings.bridge}" masquerade
  }}
  chain martians {{
    type filter hook prerouting priority raw; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 drop
  }}
  chain filter-input {{ type filter hook input priority filter; policy accept; ct state new jump unanswered; }}
  chain filter-forward {{
    type filter hook forward priority filter; policy accept;
    ct state new jump unanswered
    ct state new jump unallocated
  }}
  chain filter-output {{ type filter hook output priority filter; policy accept; ct state new jump unanswered; }}
}}
"""


def _short(*words: object) -> str:
    return hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()[:12]


def _near(ready: Mapping[Target, Hints], node: str, zone: str) -> set[Target]:
    """The endpoints that hints keep for this node or its zone; all of them, where hints are missing or help nobody."""
    if node and all(nodes for nodes, _ in ready.values()):
        found = {target for target, (nodes, _) in ready.items() if node in nodes}
        if found:
            return found
    if zone and all(zones for _, zones in ready.values()):
        found = {target for target, (_, zones) in ready.items() if zone in zones}
        if found:
            return found
    return set(ready)


def counts(part: EndpointSlice) -> bool:
    """Whether a service proxy looks at it: not if it is marked as a headless Service's."""
    return part.addressType == "IPv4" and HEADLESS not in part.metadata.labels


def targets(
    service: Service, port_name: str, slices: Iterable[EndpointSlice], node: str, zone: str = "", *, hints: bool = False
) -> list[Target]:
    """The endpoints that should get traffic: the ready ones, or, where none is, those still serving while they end.

    hints: only those that are meant for this node or its zone. Sorted, so that the same endpoints always give the same
    rules.
    """
    ready: dict[Target, Hints] = {}
    ending: set[Target] = set()
    for part in slices:
        if not counts(part):
            continue
        number = next((port.port for port in part.ports if (port.name or "") == port_name and port.port), None)
        if number is None:
            continue
        for endpoint in part.endpoints:
            conditions = endpoint.conditions
            target = Target(endpoint.addresses[0], number, endpoint.nodeName == node)
            if conditions.ready or conditions.ready is None:
                given = endpoint.hints
                nodes = frozenset(n.name for n in given.forNodes) if given is not None else frozenset()
                zones = frozenset(z.name for z in given.forZones) if given is not None else frozenset()
                ready[target] = (nodes, zones)
            elif conditions.serving and conditions.terminating:
                ending.add(target)
    near = _near(ready, node, zone) if hints and ready else set(ready)
    found = near or ending
    if service.spec.publishNotReadyAddresses:
        found = near | ending
    return sorted(found, key=lambda target: (target.ip, target.port))


def _pick(chain: str, found: Sequence[Target], affinity_s: int, part: _Building, proto: str) -> None:
    """The chain that chooses one of ``found`` at random; with affinity, a client stays with its endpoint."""
    if not affinity_s:
        if len(found) == 1:
            rule = f"meta l4proto {proto} dnat to {found[0].ip}:{found[0].port}"
        else:
            choice = ", ".join(f"{i} : {t.ip} . {t.port}" for i, t in enumerate(found))
            rule = f"meta l4proto {proto} dnat to numgen random mod {len(found)} map {{ {choice} }}"
        part.chains[chain] = (rule,)
        return
    rules = []
    ends = []
    for target in found:
        end = f"{chain}-{_short(target.ip, target.port)}"
        part.affinity[end] = affinity_s
        part.chains[end] = (
            f"update @{end} {{ ip saddr }}",
            f"meta l4proto {proto} dnat to {target.ip}:{target.port}",
        )
        rules.append(f"ip saddr @{end} goto {end}")
        ends.append(end)
    choice = ", ".join(f"{i} : goto {end}" for i, end in enumerate(ends))
    part.chains[chain] = (*rules, f"numgen random mod {len(ends)} vmap {{ {choice} }}")


@dataclass(slots=True)
class _Building:
    elements: set[Element] = field(default_factory=set)
    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    affinity: dict[str, int] = field(default_factory=dict)
    udp: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)

    def done(self) -> Part:
        return Part(frozenset(self.elements), self.chains, self.affinity, self.udp)


def service_part(service: Service | None, slices: Sequence[EndpointSlice], settings: Settings) -> Part:
    """What one Service contributes. None, headless and ExternalName Services contribute nothing."""
    if service is None or service.spec.type == "ExternalName":
        return EMPTY
    spec = service.spec
    cluster_ip = spec.clusterIP
    if not cluster_ip or cluster_ip == "None" or ":" in cluster_ip:
        return EMPTY
    if OTHER_PROXY in service.metadata.labels:
        return EMPTY
    part = _Building()
    part.elements.add(("cluster-ips", cluster_ip, ""))
    affinity_s = 0
    if spec.sessionAffinity == "ClientIP":
        config = spec.sessionAffinityConfig
        timeout = config.clientIP.timeoutSeconds if config and config.clientIP else None
        affinity_s = timeout or 10800
    ingress = service.status.loadBalancer.ingress if spec.type == "LoadBalancer" else ()
    balancer = [i.ip for i in ingress if i.ip and (i.ipMode or "VIP") == "VIP" and ":" not in i.ip]
    allowed = [cidr.strip() for cidr in spec.loadBalancerSourceRanges if ":" not in cidr]
    guarded = set(balancer) - set(spec.externalIPs) if allowed else set()
    outside = [ip for ip in dict.fromkeys((*spec.externalIPs, *balancer)) if ":" not in ip]
    for port in spec.ports:
        proto = (port.protocol or "TCP").lower()
        everyone = targets(service, port.name, slices, settings.node)
        found = targets(service, port.name, slices, settings.node, settings.zone, hints=True)
        for target in everyone:
            part.elements.add(("hairpin", f"{target.ip} . {target.ip}", ""))
        local = [target for target in everyone if target.local]
        inner = local if spec.internalTrafficPolicy == "Local" else found
        outer = local if spec.externalTrafficPolicy == "Local" else found
        name = f"svc-{_short(service.metadata.namespace, service.metadata.name, port.name, proto)}"
        where = f"{cluster_ip} . {proto} . {port.port}"
        if proto == "udp":
            for ip in (cluster_ip, *outside):
                part.udp[ip, port.port] = frozenset(target.ip for target in found)
        if inner:
            _pick(name, inner, affinity_s, part, proto)
            part.chains[f"{name}-in"] = ("ip saddr != @pods jump mark-masq", f"goto {name}")
            part.elements.add(("service-ips", where, f"goto {name}-in"))
        else:
            verdict = "drop" if found else "goto refuse"
            part.elements.add(("refused-ips", where, verdict))
        reached = [(f"{ip} . {proto} . {port.port}", "service-ips", "refused-ips") for ip in outside]
        if port.nodePort:
            reached.append((f"{proto} . {port.nodePort}", "node-ports", "refused-node-ports"))
            if proto == "udp":
                part.udp["", port.nodePort] = frozenset(target.ip for target in found)
        if reached and outer:
            entry = f"{name}-ext"
            if spec.externalTrafficPolicy == "Local":
                # Pods and this node itself may use any endpoint; only traffic from outside stays local, unmasked.
                _pick(f"{name}-loc", outer, affinity_s, part, proto)
                if name not in part.chains:
                    _pick(name, found, affinity_s, part, proto)
                part.chains[entry] = (
                    f"ip saddr @pods goto {name}",
                    "fib saddr type local jump mark-masq",
                    f"fib saddr type local goto {name}",
                    f"goto {name}-loc",
                )
            else:
                if name not in part.chains:
                    _pick(name, found, affinity_s, part, proto)
                part.chains[entry] = ("jump mark-masq", f"goto {name}")
            if guarded:  # who is not let in gets no answer
                ranges = ", ".join(allowed)
                part.chains[f"{name}-fw"] = (f"ip saddr {{ {ranges} }} goto {entry}", "drop")
            for key, table, _ in reached:
                fenced = key.partition(" ")[0] in guarded
                part.elements.add((table, key, f"goto {name}-fw" if fenced else f"goto {entry}"))
        else:
            for key, _, table in reached:
                part.elements.add((table, key, "drop" if found else "goto refuse"))
    return part.done()


def pod_part(pod: Pod | None) -> Part:
    """The host ports of one pod of this node."""
    if pod is None or pod.spec.hostNetwork or not pod.status.podIP or pod.status.phase in ("Succeeded", "Failed"):
        return EMPTY
    part = _Building()
    for container in (*pod.spec.containers, *(c for c in pod.spec.initContainers if c.restartPolicy == "Always")):
        for port in container.ports:
            if not port.hostPort or ":" in port.hostIP:
                continue
            proto = (port.protocol or "TCP").lower()
            chain = f"host-{_short(pod.metadata.uid, port.hostIP, proto, port.hostPort)}"
            part.chains[chain] = (
                "ip saddr 127.0.0.0/8 jump mark-masq",
                f"meta l4proto {proto} dnat to {pod.status.podIP}:{port.containerPort}",
            )
            part.elements.add(("hairpin", f"{pod.status.podIP} . {pod.status.podIP}", ""))
            if port.hostIP and port.hostIP != "0.0.0.0":
                part.elements.add(("host-ports", f"{port.hostIP} . {proto} . {port.hostPort}", f"goto {chain}"))
            else:
                part.elements.add(("any-host-ports", f"{proto} . {port.hostPort}", f"goto {chain}"))
    return part.done()


class Table:
    """All parts by key, and the commands that lead from one state to the next.

    ``change`` returns text for one transaction and takes the new state as given: when applying it fails, use ``full``.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.parts: dict[object, Part] = {}
        self.shared: Counter[Element] = Counter()

    def full(self) -> str:
        """The whole table, from nothing."""
        parts = self.parts
        self.parts, self.shared = {}, Counter()
        return base(self.settings) + self.change(parts)

    def change(self, new: Mapping[object, Part]) -> str:
        """Commands for these parts' new states; "" when nothing differs."""
        t = self.settings.table
        first: list[str] = []
        middle: list[str] = []
        last: list[str] = []
        gained: Counter[Element] = Counter()
        for key, part in new.items():
            old = self.parts.get(key, EMPTY)
            if part == EMPTY:
                self.parts.pop(key, None)
            else:
                self.parts[key] = part
            if part == old:
                continue
            for name, timeout in part.affinity.items():
                if old.affinity.get(name) != timeout:
                    if name in old.affinity:
                        first.append(f"flush chain ip {t} {name}")
                        middle.append(f"flush set ip {t} {name}")
                    first.append(
                        f"add set ip {t} {name} {{ type ipv4_addr; flags dynamic, timeout; timeout {timeout}s; }}"
                    )
            first += [f"add chain ip {t} {name}" for name in part.chains if name not in old.chains]
            for name, rules in part.chains.items():
                if old.chains.get(name) == rules:
                    continue
                if name in old.chains:
                    middle.append(f"flush chain ip {t} {name}")
                middle += [f"add rule ip {t} {name} {rule}" for rule in rules]
            for name in old.chains:
                if name not in part.chains:
                    middle.append(f"flush chain ip {t} {name}")
                    last.append(f"delete chain ip {t} {name}")
            last += [f"delete set ip {t} {name}" for name in old.affinity if name not in part.affinity]
            gained.update(part.elements - old.elements)
            gained.subtract(old.elements - part.elements)
        removed: list[Element] = []
        added: list[Element] = []
        for element, count in gained.items():
            before = self.shared[element]
            self.shared[element] = before + count
            if before and not self.shared[element]:
                removed.append(element)
            elif not before and self.shared[element]:
                added.append(element)
            if not self.shared[element]:
                del self.shared[element]
        lines = first + middle
        lines += [f"delete element ip {t} {name} {{ {key} }}" for name, key, _ in removed]
        lines += [
            f"add element ip {t} {name} {{ {key}{' : ' + verdict if verdict else ''} }}" for name, key, verdict in added
        ]
        lines += sorted(last, key=lambda line: line.startswith("delete set"))
        return "\n".join(lines) + "\n" if lines else ""


def stale_udp(old: Part, new: Part) -> list[tuple[str, int, str]]:
    """(address or "" for a node port, port, endpoint address) whose tracked UDP connections must be forgotten.

    Includes endpoint "" where a Service got its first endpoint: packets seen before were tracked without translation.
    """
    out = []
    for where, before in old.udp.items():
        now = new.udp.get(where, frozenset())
        out += [(where[0], where[1], ip) for ip in sorted(before - now)]
    for where, now in new.udp.items():
        if now and not old.udp.get(where):
            out.append((where[0], where[1], ""))
    return out
