"""What the volume kinds need from the agent, and what a set-up volume is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Lookup = Callable[[str, str], Any]


@dataclass(frozen=True, slots=True)
class Context:
    """One pod's volumes being set up. folder: the pod's own directory on the node.

    configmap, secret, claim, volume: (namespace, name) -> the object or None (namespace "" for volumes).
    trust_bundles(name, signer): the ClusterTrustBundle of that name, or all of the signer.
    token(pod, audience, ttl_s): a bound service account token. stamp(): text that never repeats.
    """

    pod: Any
    folder: Path
    configmap: Lookup
    secret: Lookup
    claim: Lookup
    volume: Lookup
    trust_bundles: Callable[[str, str], Sequence[Any]]
    token: Callable[[Any, str, int], Awaitable[str]]
    stamp: Callable[[], str]
    ips: tuple[str, ...]
    host_ips: tuple[str, ...]
    allocatable: Mapping[str, str]

    def path(self, plugin: str, name: str) -> Path:
        """``<pod>/volumes/kubernetes.io~<plugin>/<name>``."""
        return self.folder / "volumes" / f"kubernetes.io~{plugin}" / name

    @property
    def fs_group(self) -> int | None:
        context = self.pod.spec.securityContext
        return context.fsGroup if context is not None else None
