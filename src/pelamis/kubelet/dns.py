"""What goes into a pod's /etc/resolv.conf, by DNS policy. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARS = 2048


@dataclass(frozen=True, slots=True)
class Resolver:
    """The content of a resolv.conf."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(slots=True)
class Limits:
    """What did not fit; each text is the message of a DNSConfigForming event."""

    notes: list[str] = field(default_factory=list)


def parse(text: str) -> Resolver:
    """Read a resolv.conf; the last ``search`` or ``domain`` line counts, as for the C library."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = tuple(word.rstrip(".") if word != "." else word for word in words[1:])
        elif words[0] == "options":
            options.extend(words[1:])
    return Resolver(tuple(servers), searches, tuple(options))


def for_pod(
    pod: Any, cluster_dns: tuple[str, ...], cluster_domain: str, host: Resolver, limits: Limits | None = None
) -> Resolver:
    """ClusterFirst on the host network is Default, as the host could not reach the cluster's DNS by name otherwise."""
    spec = pod.spec
    policy = spec.dnsPolicy or "ClusterFirst"
    limits = limits or Limits()
    if policy == "None":
        result = Resolver()
    elif (policy == "ClusterFirst" and not spec.hostNetwork) or policy == "ClusterFirstWithHostNet":
        if cluster_dns:
            namespace = pod.metadata.namespace
            own = (f"{namespace}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain)
            result = Resolver(cluster_dns, _unique(own + host.searches), ("ndots:5",))
        else:
            limits.notes.append(
                f"pod: {pod.metadata.name!r}. kubelet does not have ClusterDNS IP configured and cannot create Pod"
                f' using "{policy}" policy. Falling back to "Default" policy.'
            )
            result = host
    else:
        result = host
    if spec.dnsConfig is not None:
        extra = spec.dnsConfig
        options = {option.partition(":")[0]: option for option in result.options}
        for option in extra.options:
            options[option.name] = f"{option.name}:{option.value}" if option.value else option.name
        result = Resolver(
            _unique(result.servers + extra.nameservers),
            _unique(result.searches + extra.searches),
            tuple(options.values()),
        )
    return _fit(result, limits)


def _unique(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _fit(resolver: Resolver, limits: Limits) -> Resolver:
    servers, searches = resolver.servers[:MAX_NAMESERVERS], resolver.searches[:MAX_SEARCHES]
    if len(servers) < len(resolver.servers):
        limits.notes.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
            + " ".join(servers)
        )
    while len(" ".join(searches)) > MAX_SEARCH_CHARS:
        searches = searches[:-1]
    if len(searches) < len(resolver.searches):
        limits.notes.append(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
            + " ".join(searches)
        )
    return Resolver(servers, searches, resolver.options)


def hostname(pod: Any, cluster_domain: str) -> tuple[str, str]:
    """(hostname, domain) of the pod; the domain is "" unless it has a subdomain. Raises ValueError if too long."""
    if pod.spec.hostnameOverride:
        return pod.spec.hostnameOverride, ""
    name = pod.spec.hostname or pod.metadata.name[:63].rstrip("-.")
    domain = ""
    if pod.spec.subdomain:
        domain = f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"
    if pod.spec.setHostnameAsFQDN and domain:
        full = f"{name}.{domain}"
        if len(full) > 64:
            raise ValueError(
                f"Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long (64 characters"
                f" is the max, {len(full)} characters requested)"
            )
        return full, domain
    return name, domain


def hosts_file(pod: Any, ips: tuple[str, ...], cluster_domain: str, host_file: str) -> str:
    """The pod's /etc/hosts. host_file: the node's own, used on the host network."""
    if pod.spec.hostNetwork:
        text = "# Kubernetes-managed hosts file (host network).\n" + host_file
    else:
        lines = [
            "# Kubernetes-managed hosts file.",
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "fe00::0\tip6-mcastprefix",
            "fe00::1\tip6-allnodes",
            "fe00::2\tip6-allrouters",
        ]
        name, domain = hostname(pod, cluster_domain)
        for ip in ips:
            if domain and not name.endswith(domain):
                lines.append(f"{ip}\t{name}.{domain}\t{name}")
            else:
                lines.append(f"{ip}\t{name}")
        text = "\n".join(lines) + "\n"
    if pod.spec.hostAliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join("\t".join((alias.ip, *alias.hostnames)) + "\n" for alias in pod.spec.hostAliases)
    return text
