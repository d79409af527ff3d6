"""The arguments of plugins, as a KubeSchedulerConfiguration gives them. Pure data; ``config`` reads and checks them.

Attribute names are the names in the file, defaults are upstream's.
"""

from __future__ import annotations

import msgspec

from pelamis.api.core.pod.affinity import NodeAffinity, TopologySpreadConstraint


class Args(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Of a plugin that takes none. kind, apiVersion: may be left out in a profile's pluginConfig."""

    kind: str = ""
    apiVersion: str = ""


class ResourceSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A resource that is looked at, and how much it counts; 0 in the file means 1."""

    name: str = ""
    weight: int = 1


CPU_AND_MEMORY = (ResourceSpec("cpu"), ResourceSpec("memory"))


class ShapePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """utilization: 0 to 100. score: 0 to 10."""

    utilization: int = 0
    score: int = 0


class RatioParam(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shape: tuple[ShapePoint, ...] = ()


class ScoringStrategy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """type: LeastAllocated, MostAllocated or RequestedToCapacityRatio; the last one needs a shape."""

    type: str = "LeastAllocated"
    resources: tuple[ResourceSpec, ...] = CPU_AND_MEMORY
    requestedToCapacityRatio: RatioParam | None = None


class NodeResourcesFitArgs(Args, frozen=True):
    """ignoredResources and ignoredResourceGroups: extended resources that the filter does not look at."""

    ignoredResources: tuple[str, ...] = ()
    ignoredResourceGroups: tuple[str, ...] = ()
    scoringStrategy: ScoringStrategy = ScoringStrategy()


class NodeResourcesBalancedAllocationArgs(Args, frozen=True):
    resources: tuple[ResourceSpec, ...] = CPU_AND_MEMORY


class InterPodAffinityArgs(Args, frozen=True):
    """hardPodAffinityWeight: what a required term of a running pod adds to the score of a pod that it selects."""

    hardPodAffinityWeight: int = 1
    ignorePreferredTermsOfExistingPods: bool = False


class PodTopologySpreadArgs(Args, frozen=True):
    """defaultingType: System (over hosts and zones, softly) or List (defaultConstraints, for pods without any)."""

    defaultConstraints: tuple[TopologySpreadConstraint, ...] = ()
    defaultingType: str = "System"


class NodeAffinityArgs(Args, frozen=True):
    """addedAffinity: holds for every pod of the profile, besides its own."""

    addedAffinity: NodeAffinity | None = None


class VolumeBindingArgs(Args, frozen=True):
    """bindTimeoutSeconds: how long a pod waits for its volumes. shape: of the score by how full the volumes get."""

    bindTimeoutSeconds: int = 600
    shape: tuple[ShapePoint, ...] = ()


class DynamicResourcesArgs(Args, frozen=True):
    """filterTimeout: how long devices are looked for on one node; here the steps of a search are counted instead.

    bindingTimeout: how long devices may take to become ready for a pod.
    """

    filterTimeout: str = "10s"
    bindingTimeout: str = "10m"


class DefaultPreemptionArgs(Args, frozen=True):
    """How many nodes to try: at least so many percent, and at least so many."""

    minCandidateNodesPercentage: int = 10
    minCandidateNodesAbsolute: int = 100
