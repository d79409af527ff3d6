"""What the workers of all pods share: the agent's settings, seams and registers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pelamis.client.types import Client, View
from pelamis.kubelet import dns, reference
from pelamis.kubelet.cgroups import Cgroups
from pelamis.kubelet.cri.runtime import Runtime
from pelamis.kubelet.dra.devices import Devices
from pelamis.kubelet.images import Images
from pelamis.kubelet.prober import Prober
from pelamis.kubelet.publish import Publisher
from pelamis.kubelet.references import References
from pelamis.kubelet.settings import KubeletConfig
from pelamis.kubelet.status import Host
from pelamis.kubelet.tokens import Tokens


class Recorder(Protocol):
    """Records an Event about an object (or a reference); must not block."""

    def __call__(self, regarding: Any, type_: str, reason: str, message: str) -> None: ...


@dataclass(slots=True)
class Agent:
    """stamp(): text that never repeats. runtime_class(name): the RuntimeClass, or None.
    knows_cdi(): whether the runtime gives containers their devices by CDI names.
    withdrawn(namespace, uid): returns once this node's service proxy sends the pod no new connections.

    owners: container or sandbox id to (pod uid, container name or "").
    """

    config: KubeletConfig
    client: Client
    runtime: Runtime
    now: Callable[[], float]
    tasks: asyncio.TaskGroup
    references: References
    tokens: Tokens
    images: Images
    prober: Prober
    publisher: Publisher
    record: Recorder
    services: View[Any]
    cgroups: Cgroups | None
    host: Host
    resolver: dns.Resolver
    memory_capacity: int
    allocatable: Callable[[], Mapping[str, str]]
    stamp: Callable[[], str]
    runtime_class: Callable[[str], Any]
    devices: Devices
    knows_cdi: Callable[[], bool]
    withdrawn: Callable[[str, str], Awaitable[None]] | None = None
    owners: dict[str, tuple[str, str]] = field(default_factory=dict)

    def pod_folder(self, uid: str) -> Path:
        return Path(self.config.root_dir) / "pods" / uid

    def note(self, pod: Any, container: str, type_: str, reason: str, message: str) -> None:
        """An Event about a pod; with a container, about that part of it."""
        self.record(reference.to_pod(pod, container), type_, reason, message)
