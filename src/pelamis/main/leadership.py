"""Which of several servers on one etcd runs the controllers, and which the scheduler: the holders of two Leases.

The names are upstream's, so a server of ours and upstream's own components take turns too. Who loses a lease stops
that work at once and stands for election again; requests are answered all the while.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable

from pelamis.apiserver.server import ApiServer
from pelamis.apiserver.user import LOOPBACK_USER
from pelamis.base import ids
from pelamis.reconcile.leader import USUAL, Timing, keep_leading

NAMESPACE = "kube-system"
CONTROLLERS = "kube-controller-manager"


def identity(node_name: str) -> str:
    """Of this process: two servers of one machine differ, and so does the same one after a restart."""
    return f"{node_name}_{os.getpid()}-{ids.uid(os.urandom(16))}"


async def leading(
    server: ApiServer,
    name: str,
    who: str,
    work: Callable[[], Awaitable[None]],
    *,
    namespace: str = NAMESPACE,
    timing: Timing = USUAL,
) -> None:
    """Does ``work`` whenever this server holds the lease ``name``, until cancelled. It must end well when cancelled."""
    client = server.client(LOOPBACK_USER, agent=name)
    await keep_leading(client, namespace, name, who, work, clock=time.time, timing=timing)
