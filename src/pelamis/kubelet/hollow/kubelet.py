"""One hollow node: its pods, what they take of it, its addresses, and whether it is there at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pelamis.base import quantity
from pelamis.kubelet.admit import Claims
from pelamis.kubelet.hollow.agent import Agent
from pelamis.kubelet.hollow.node import Addresses, HollowNode
from pelamis.kubelet.hollow.outbox import Mail
from pelamis.kubelet.hollow.pod import HollowPod
from pelamis.kubelet.hollow.strain import Strain
from pelamis.kubelet.status import Host


class HollowKubelet:
    """frozen: the machine is off; what would have happened meanwhile happens when it is on again.

    obj: the Node as the API has it. cut: no word passes between node and API.
    """

    def __init__(self, spec: HollowNode, index: int, agent: Agent) -> None:
        self.spec = spec
        self.index = index
        self.agent = agent
        self.mail = Mail(spec.name)
        self.pods: dict[str, HollowPod] = {}
        self.claims = Claims()
        self.allocatable: Mapping[str, str] = spec.resources()
        self.memory = quantity.value(spec.memory)
        self.host = Host((spec.address,), "hollow")
        self.pulled: set[str] = set(spec.images)
        self.obj: Any = None
        self.registered = False
        self.reporting = False
        self.lease_known = False
        self.removed = False
        self.frozen = False
        self.cut = False
        self.status_at = 0.0
        """When the status was last written."""
        self.attaching: dict[HollowPod, None] = {}
        """Pods that wait for a volume to be attached to the node."""
        self._in_use: dict[str, set[str]] = {}
        self.strain = Strain(self)
        self.cidr = ""
        self._addresses: Addresses | None = None
        self._marked: list[str] = []
        self._waiting: list[Callable[[], None]] = []
        self._deferred: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        if spec.pod_cidr:
            self.give_range(spec.pod_cidr)

    @property
    def reachable(self) -> bool:
        return not (self.frozen or self.cut or self.removed)

    # --- the node as the API has it -----------------------------------------------------------------------------------

    def know(self, obj: Any) -> None:
        before, self.obj = self.obj, obj
        attached = self.attaching and obj is not None and obj.status.volumesAttached
        if attached and (before is None or before.status.volumesAttached != attached):
            waiting, self.attaching = self.attaching, {}
            for pod in waiting:
                pod.mount()
        if obj is not None and obj.spec.podCIDR and not self.cidr:
            self.give_range(obj.spec.podCIDR)

    @property
    def labels(self) -> Mapping[str, str] | None:
        return self.obj.metadata.labels if self.obj is not None else None

    def use(self, pod: HollowPod, volumes: Sequence[str]) -> None:
        """The pod has these attached volumes mounted, or wants to: the node's status tells that they are in use."""
        changed = False
        for name in [name for name, users in self._in_use.items() if pod.uid in users and name not in volumes]:
            self._in_use[name].discard(pod.uid)
            if not self._in_use[name]:
                del self._in_use[name]
                changed = True
        for name in volumes:
            changed |= name not in self._in_use
            self._in_use.setdefault(name, set()).add(pod.uid)
        if changed:
            self.agent.report(self)

    @property
    def volumes_in_use(self) -> list[str] | None:
        """None: the status need not say it."""
        told = self.obj.status.volumesInUse if self.obj is not None else ()
        return sorted(self._in_use) if self._in_use or told else None

    # --- addresses ----------------------------------------------------------------------------------------------------

    def give_range(self, cidr: str) -> None:
        self.cidr = cidr
        self._addresses = Addresses(cidr)
        for address in self._marked:
            self._addresses.mark(address)
        self._marked.clear()
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def take_address(self, again: Callable[[], None]) -> str | None:
        """ "" when none is free; None when the node has no range yet: ``again`` is called once it has."""
        if self._addresses is None:
            self._waiting.append(again)
            return None
        return self._addresses.take()

    def mark_address(self, address: str) -> None:
        if self._addresses is None:
            self._marked.append(address)
        else:
            self._addresses.mark(address)

    def release_address(self, address: str) -> None:
        if self._addresses is not None:
            self._addresses.release(address)

    # --- being there --------------------------------------------------------------------------------------------------

    def defer(self, fn: Callable[..., None], *args: Any) -> bool:
        """True when the machine is off: the call is made when it is on again."""
        if self.frozen:
            self._deferred.append((fn, args))
        return self.frozen

    def thaw(self) -> None:
        self.frozen = False
        deferred, self._deferred = self._deferred, []
        for fn, args in deferred:
            fn(*args)

    def forget(self, pod: HollowPod) -> None:
        self.claims.remove(pod.uid)
        self.attaching.pop(pod, None)
        self.strain.forget(pod.uid)
        if self._in_use:
            self.use(pod, ())
        if self.pods.get(pod.uid) is pod:
            del self.pods[pod.uid]

    def close(self) -> None:
        self.removed = True
        self.mail.open = False
        self.strain.close()
        for pod in list(self.pods.values()):
            pod.close()
        self.pods.clear()
