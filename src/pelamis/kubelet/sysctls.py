"""Which kernel settings a pod may ask for: those of its own namespaces that cannot harm another pod. Pure."""

from __future__ import annotations

from typing import Any

_IPC = frozenset({"kernel.shm_rmid_forced"})
_NET = frozenset(
    f"net.ipv4.{name}"
    for name in (
        "ip_local_port_range",
        "tcp_syncookies",
        "ping_group_range",
        "ip_unprivileged_port_start",
        "ip_local_reserved_ports",
        "tcp_keepalive_time",
        "tcp_keepalive_intvl",
        "tcp_keepalive_probes",
        "tcp_fin_timeout",
        "tcp_rmem",
        "tcp_wmem",
    )
)


def dotted(name: str) -> str:
    """``net/ipv4/conf/eth0.100/mtu`` is ``net.ipv4.conf.eth0/100.mtu``: the first separator decides which is meant."""
    first = next((c for c in name if c in "./"), ".")
    return name if first == "." else name.translate(str.maketrans("./", "/."))


def forbidden(pod: Any) -> str:
    """Why the pod's settings are refused; "" if they are not."""
    context = pod.spec.securityContext
    for wanted in context.sysctls if context is not None else ():
        name = dotted(wanted.name)
        if name not in _IPC and name not in _NET:
            return f'forbidden sysctl: "{name}" not allowlisted'
        if name in _IPC and pod.spec.hostIPC:
            return f'forbidden sysctl: "{name}" not allowed with host ipc enabled'
        if name in _NET and pod.spec.hostNetwork:
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
    return ""
