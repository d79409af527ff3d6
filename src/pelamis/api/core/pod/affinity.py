"""What steers a pod to nodes: node and pod affinity, tolerations, topology spread."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.nodeselector import NodeSelector, NodeSelectorTerm
from pelamis.api.field import F, Int32, Int64, Struct, always
from pelamis.api.meta import LabelSelector


class PreferredSchedulingTerm(Struct, frozen=True):
    weight: Annotated[Int32, F(1, required=True)] = always(int)
    preference: Annotated[NodeSelectorTerm, F(2, required=True)] = always(NodeSelectorTerm)


class NodeAffinity(Struct, frozen=True):
    requiredDuringSchedulingIgnoredDuringExecution: Annotated[NodeSelector | None, F(1)] = None
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[
        tuple[PreferredSchedulingTerm, ...], F(2, list="atomic")
    ] = ()


class PodAffinityTerm(Struct, frozen=True):
    labelSelector: Annotated[LabelSelector | None, F(1)] = None
    namespaces: Annotated[tuple[str, ...], F(2, list="atomic")] = ()
    topologyKey: Annotated[str, F(3, required=True)] = always(str)
    namespaceSelector: Annotated[LabelSelector | None, F(4)] = None
    matchLabelKeys: Annotated[tuple[str, ...], F(5, list="atomic")] = ()
    mismatchLabelKeys: Annotated[tuple[str, ...], F(6, list="atomic")] = ()


class WeightedPodAffinityTerm(Struct, frozen=True):
    weight: Annotated[Int32, F(1, required=True)] = always(int)
    podAffinityTerm: Annotated[PodAffinityTerm, F(2, required=True)] = always(PodAffinityTerm)


class PodAffinity(Struct, frozen=True):
    requiredDuringSchedulingIgnoredDuringExecution: Annotated[tuple[PodAffinityTerm, ...], F(1, list="atomic")] = ()
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[
        tuple[WeightedPodAffinityTerm, ...], F(2, list="atomic")
    ] = ()


class PodAntiAffinity(Struct, frozen=True):
    requiredDuringSchedulingIgnoredDuringExecution: Annotated[tuple[PodAffinityTerm, ...], F(1, list="atomic")] = ()
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[
        tuple[WeightedPodAffinityTerm, ...], F(2, list="atomic")
    ] = ()


class Affinity(Struct, frozen=True):
    nodeAffinity: Annotated[NodeAffinity | None, F(1)] = None
    podAffinity: Annotated[PodAffinity | None, F(2)] = None
    podAntiAffinity: Annotated[PodAntiAffinity | None, F(3)] = None


class Toleration(Struct, frozen=True):
    key: Annotated[str, F(1)] = ""
    operator: Annotated[
        str,
        F(
            2,
            enum=(
                "Exists",
                "Equal",
                "Lt",
                "Gt",
            ),
        ),
    ] = ""
    value: Annotated[str, F(3)] = ""
    effect: Annotated[
        str,
        F(
            4,
            enum=(
                "NoSchedule",
                "PreferNoSchedule",
                "NoExecute",
            ),
        ),
    ] = ""
    tolerationSeconds: Annotated[Int64 | None, F(5)] = None


class TopologySpreadConstraint(Struct, frozen=True):
    maxSkew: Annotated[Int32, F(1, required=True)] = always(int)
    topologyKey: Annotated[str, F(2, required=True)] = always(str)
    whenUnsatisfiable: Annotated[
        str,
        F(
            3,
            enum=(
                "DoNotSchedule",
                "ScheduleAnyway",
            ),
            required=True,
        ),
    ] = always(str)
    labelSelector: Annotated[LabelSelector | None, F(4)] = None
    minDomains: Annotated[Int32 | None, F(5)] = None
    nodeAffinityPolicy: Annotated[
        str | None,
        F(
            6,
            enum=(
                "Ignore",
                "Honor",
            ),
        ),
    ] = None
    nodeTaintsPolicy: Annotated[
        str | None,
        F(
            7,
            enum=(
                "Ignore",
                "Honor",
            ),
        ),
    ] = None
    matchLabelKeys: Annotated[tuple[str, ...], F(8, list="atomic")] = ()
