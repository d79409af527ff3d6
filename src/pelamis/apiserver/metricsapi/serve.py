"""metrics.k8s.io: ``kubectl top`` and the HorizontalPodAutoscaler ask it what nodes and pods use.

The kinds are served like all others (discovery, OpenAPI, RBAC, tables); their objects are made when they are asked for,
from samples of the nodes concerned. Selectors are those of the nodes and pods themselves. Once an APIService sends the
group to another server (metrics-server), ours give way, and come back when it is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pelamis.api.core.node import Node
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta
from pelamis.api.metrics import KINDS
from pelamis.api.metrics.nodemetrics import KIND as NODE_METRICS
from pelamis.api.metrics.nodemetrics import NodeMetrics
from pelamis.api.metrics.podmetrics import ContainerMetrics, PodMetrics
from pelamis.apiserver.metricsapi.sampler import Sampler
from pelamis.apiserver.metricsapi.summary import KubeletSummaries, Summaries
from pelamis.apiserver.metricsapi.usage import NodeUsage, PodUsage, Usage, node_usage, pod_usage
from pelamis.apiserver.selection import Selection
from pelamis.base import quantity
from pelamis.base.clock import rfc3339
from pelamis.base.duration import format_nanos
from pelamis.base.errors import NotFound
from pelamis.cache.entry import Entry

if TYPE_CHECKING:
    from pelamis.apiserver.server import ApiServer

GROUP, VERSION = NODE_METRICS.group, NODE_METRICS.version


def amounts(usage: Usage) -> dict[str, str]:
    return {"cpu": quantity.format(usage.cpu), "memory": quantity.from_int(usage.memory, "BinarySI")}


def _window(seconds: float) -> str:
    return format_nanos(round(seconds * 1000) * 1_000_000)


def node_metrics(name: str, labels: dict[str, str], found: NodeUsage, now: float) -> NodeMetrics:
    return NodeMetrics(
        metadata=ObjectMeta(name=name, creationTimestamp=rfc3339(now), labels=labels),
        timestamp=rfc3339(found.at),
        window=_window(found.window_s),
        usage=amounts(found.usage),
    )


def pod_metrics(namespace: str, name: str, labels: dict[str, str], found: PodUsage, now: float) -> PodMetrics:
    return PodMetrics(
        metadata=ObjectMeta(name=name, namespace=namespace, creationTimestamp=rfc3339(now), labels=labels),
        timestamp=rfc3339(found.at),
        window=_window(found.window_s),
        containers=tuple(
            ContainerMetrics(name=container, usage=amounts(usage)) for container, usage in found.containers.items()
        ),
    )


class MetricsApi:
    """``summaries``: where samples come from; None = the kubelets."""

    def __init__(self, server: ApiServer, summaries: Summaries | None) -> None:
        self._server = server
        self._summaries = summaries
        self._sampler: Sampler | None = None
        self._shown = False
        self.give_way(False)

    def give_way(self, replaced: bool) -> None:
        """replaced: another server provides the group."""
        if self._shown is not replaced:
            return
        self._shown = not replaced
        for kind in KINDS:
            if replaced:
                self._server.registry.remove(kind)
            else:
                self._server.registry.add(kind)

    async def close(self) -> None:
        if self._sampler is not None:
            await self._sampler.close()

    @property
    def sampler(self) -> Sampler:
        if self._sampler is None:
            source = self._summaries or KubeletSummaries(self._server.kubelets)
            self._sampler = Sampler(source, self._server.clock)
        return self._sampler

    async def list(self, kind: Kind, namespace: str, label_selector: str, field_selector: str) -> Sequence[Any]:
        """The objects of one of the kinds, in order of their names. Raises BadRequest."""
        found = self._entries("nodes" if kind is NODE_METRICS else "pods", namespace, label_selector, field_selector)
        return await self._measured(kind, list(found))

    async def get(self, kind: Kind, namespace: str, name: str) -> Any:
        """Raises NotFound, also while there are no samples."""
        nodes = kind is NODE_METRICS
        objects = self._server.objects
        entry = objects.collection(objects.kind("nodes" if nodes else "pods")).get(namespace, name)
        found = await self._measured(kind, [entry]) if entry is not None else ()
        if not found:
            raise NotFound("nodemetrics" if nodes else "podmetrics", GROUP, name if nodes else f"{namespace}/{name}")
        return found[0]

    def _entries(self, resource: str, namespace: str, labels: str, fields: str) -> Iterator[Entry]:
        objects = self._server.objects
        kind = objects.kind(resource)
        selection = Selection(kind, namespace, labels, fields)
        everything = selection.everything
        for entry in objects.collection(kind).range(namespace)[0]:
            if everything or selection.matches(entry):
                yield entry

    async def _measured(self, kind: Kind, entries: Sequence[Entry]) -> Sequence[Any]:
        nodes = kind is NODE_METRICS
        where = [e.key[1] if nodes else e.field("spec.nodeName") for e in entries]
        await self.sampler.fresh(name for name in dict.fromkeys(where) if name and self._reachable(name))
        now = self._server.clock()
        out: list[Any] = []
        for entry, node in zip(entries, where, strict=True):
            pair = self.sampler.pair(node) if node else None
            if pair is None:
                continue
            if nodes:
                usage = node_usage(*pair)
                if usage is not None:
                    out.append(node_metrics(node, entry.labels, usage, now))
            else:
                used = pod_usage(*pair, entry.key)
                if used is not None:
                    out.append(pod_metrics(*entry.key, entry.labels, used, now))
        return out

    def _reachable(self, name: str) -> bool:
        """A node that was not heard of for a while is not waited for."""
        node: Node | None = self._server.objects.get("nodes", "", name)
        return node is not None and not any(c.type == "Ready" and c.status == "Unknown" for c in node.status.conditions)
