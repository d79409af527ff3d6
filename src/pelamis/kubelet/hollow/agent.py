"""What all hollow nodes of one process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pelamis.kubelet import reference
from pelamis.kubelet.hollow.rest import Packer
from pelamis.kubelet.hollow.timer import Timers
from pelamis.kubelet.hollow.usage import Loads
from pelamis.reconcile.events import EventLimit

if TYPE_CHECKING:
    from pelamis.kubelet.agent import Recorder
    from pelamis.kubelet.hollow.kubelet import HollowKubelet
    from pelamis.kubelet.hollow.lookup import Lookups
    from pelamis.kubelet.hollow.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds that steps of a pod's start take, beside what its annotations say."""

    sandbox: float = 0.0
    pull: float = 0.0
    start: float = 0.0


@dataclass(slots=True)
class Agent:
    """now: seconds since the epoch. exists(reference): whether an image can be had. record None: no Events.

    report(kubelet): its status has changed.
    """

    now: Callable[[], float]
    timers: Timers
    outbox: Outbox
    exists: Callable[[str], bool]
    delays: Delays
    record: Recorder | None
    lookups: Lookups
    report: Callable[[HollowKubelet], None]
    limit: EventLimit | None = None
    loads: Loads = field(default_factory=Loads)
    packer: Packer = field(default_factory=Packer)

    def tell(self, node: str, type_: str, reason: str, message: str) -> None:
        """An Event about a node."""
        if self.record is not None and (self.limit is None or self.limit.take(type_, self.now())):
            self.record(reference.to_node(node), type_, reason, message)

    def note(self, pod: Any, container: str, type_: str, reason: str, message: str) -> None:
        """An Event about a pod; with a container, about that part of it."""
        if self.record is None or (self.limit is not None and not self.limit.take(type_, self.now())):
            return
        self.record(reference.to_pod(pod, container), type_, reason, message)
