"""What steers a pod to nodes: node and pod affinity, tolerations, topology spread."""

from __future__ import annotations

from typing import Annotated

from pelamis.api.core.nodeselector import NodeSelector, NodeSelectorTerm
from pelamis.api.field import F, Int32, Int64, Struct, always
from pelamis.api.meta import LabelSelector


class PreferredSchedulingTerm(Struct, frozen=True):
    """A wish about nodes."""

    weight: Annotated[Int32, F(1, "1 to 100, added to the score of nodes that match.", required=True)] = always(int)
    preference: Annotated[NodeSelectorTerm, F(2, "What the node should be like.", required=True)] = always(
        NodeSelectorTerm
    )


class NodeAffinity(Struct, frozen=True):
    """Rules about the node's labels and fields."""

    requiredDuringSchedulingIgnoredDuringExecution: Annotated[
        NodeSelector | None, F(1, "Must hold when the pod is placed.")
    ] = None
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[
        tuple[PreferredSchedulingTerm, ...], F(2, "Better if it holds.", list="atomic")
    ] = ()


class PodAffinityTerm(Struct, frozen=True):
    """A set of pods, and the topology in which to look for them."""

    labelSelector: Annotated[LabelSelector | None, F(1, "The pods; null matches none.")] = None
    namespaces: Annotated[
        tuple[str, ...], F(2, "Where to look, besides namespaceSelector; both empty: the pod's own.", list="atomic")
    ] = ()
    topologyKey: Annotated[str, F(3, "Node label whose equal values mean the same place.", required=True)] = always(str)
    namespaceSelector: Annotated[LabelSelector | None, F(4, "Namespaces by label; {} matches all.")] = None
    matchLabelKeys: Annotated[
        tuple[str, ...], F(5, "Keys whose values the pod shares with those it looks for.", list="atomic")
    ] = ()
    mismatchLabelKeys: Annotated[
        tuple[str, ...], F(6, "Keys whose values differ from those it looks for.", list="atomic")
    ] = ()


class WeightedPodAffinityTerm(Struct, frozen=True):
    """A wish about other pods."""

    weight: Annotated[Int32, F(1, "1 to 100.", required=True)] = always(int)
    podAffinityTerm: Annotated[PodAffinityTerm, F(2, "The pods and the topology.", required=True)] = always(
        PodAffinityTerm
    )


class PodAffinity(Struct, frozen=True):
    """Rules for being close to other pods."""

    requiredDuringSchedulingIgnoredDuringExecution: Annotated[
        tuple[PodAffinityTerm, ...], F(1, "All must hold when the pod is placed.", list="atomic")
    ] = ()
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[
        tuple[WeightedPodAffinityTerm, ...], F(2, "Better if they hold.", list="atomic")
    ] = ()


class PodAntiAffinity(Struct, frozen=True):
    """Rules for being apart from other pods."""

    requiredDuringSchedulingIgnoredDuringExecution: Annotated[
        tuple[PodAffinityTerm, ...], F(1, "All must hold when the pod is placed.", list="atomic")
    ] = ()
    preferredDuringSchedulingIgnoredDuringExecution: Annotated[
        tuple[WeightedPodAffinityTerm, ...], F(2, "Better if they hold.", list="atomic")
    ] = ()


class Affinity(Struct, frozen=True):
    """Where a pod wants to be."""

    nodeAffinity: Annotated[NodeAffinity | None, F(1, "About nodes.")] = None
    podAffinity: Annotated[PodAffinity | None, F(2, "Close to which pods.")] = None
    podAntiAffinity: Annotated[PodAntiAffinity | None, F(3, "Apart from which pods.")] = None


class Toleration(Struct, frozen=True):
    """A taint that does not keep the pod away."""

    key: Annotated[str, F(1, "Taint key; empty with Exists: all taints.")] = ""
    operator: Annotated[
        str,
        F(
            2,
            "Exists or Equal (default); Lt and Gt compare numbers.",
            enum=(
                "Exists",
                "Equal",
                "Lt",
                "Gt",
            ),
        ),
    ] = ""
    value: Annotated[str, F(3, "Taint value, for Equal.")] = ""
    effect: Annotated[
        str,
        F(
            4,
            "Taint effect; empty: all.",
            enum=(
                "NoSchedule",
                "PreferNoSchedule",
                "NoExecute",
            ),
        ),
    ] = ""
    tolerationSeconds: Annotated[
        Int64 | None, F(5, "Seconds the pod stays after a NoExecute taint appears; null: forever.")
    ] = None


class TopologySpreadConstraint(Struct, frozen=True):
    """How evenly pods are spread."""

    maxSkew: Annotated[
        Int32, F(1, "The most by which two places may differ in matching pods; at least 1.", required=True)
    ] = always(int)
    topologyKey: Annotated[str, F(2, "Node label whose values are the places.", required=True)] = always(str)
    whenUnsatisfiable: Annotated[
        str,
        F(
            3,
            "DoNotSchedule or ScheduleAnyway.",
            enum=(
                "DoNotSchedule",
                "ScheduleAnyway",
            ),
            required=True,
        ),
    ] = always(str)
    labelSelector: Annotated[LabelSelector | None, F(4, "The pods to count.")] = None
    minDomains: Annotated[Int32 | None, F(5, "The least number of places; with DoNotSchedule only.")] = None
    nodeAffinityPolicy: Annotated[
        str | None,
        F(
            6,
            "Honor (default) or Ignore the pod's node affinity when counting places.",
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
            "Honor or Ignore (default) taints when counting places.",
            enum=(
                "Ignore",
                "Honor",
            ),
        ),
    ] = None
    matchLabelKeys: Annotated[
        tuple[str, ...], F(8, "Keys whose values the counted pods share with this one.", list="atomic")
    ] = ()
