"""--feature-gates: upstream's names, defaults, locks and words; what switches here does."""

from __future__ import annotations

import pytest

from pelamis.api import gates, registry
from pelamis.api.enablement import Enablement
from pelamis.api.gatelist import NEEDS, STAGES
from pelamis.api.gates import Gates, GatesError


@pytest.mark.parametrize(
    "text, said",
    [
        ("Nonsense=true", "unrecognized feature gate: Nonsense"),
        ("WatchList", "missing bool value for WatchList"),
        ("WatchList=maybe", 'invalid value of WatchList=maybe, err: strconv.ParseBool: parsing "maybe"'),
        (
            "DynamicResourceAllocation=false",
            "cannot set feature gate DynamicResourceAllocation to false, feature is locked to true",
        ),
        ("CompositePodGroup=true", "CompositePodGroup is enabled, but depends on features that are disabled: [Gen"),
    ],
)  # fmt: skip
def test_refuses(text: str, said: str) -> None:
    with pytest.raises(GatesError) as error:
        Gates(text)
    assert str(error.value).startswith(said)


def test_defaults_and_families() -> None:
    plain, alpha = Gates(), Gates("AllAlpha=true, kube:EvictionRequestAPI=false,GenericWorkload=true")
    assert plain.enabled("WatchList")
    assert not plain.enabled("EvictionRequestAPI") and not plain.enabled("GenericWorkload")
    assert alpha.enabled("CompositePodGroup") and not alpha.enabled("EvictionRequestAPI")
    assert not Gates("AllBeta=false,DynamicResourceAllocation=true").enabled("WatchList")


def test_the_list_is_whole() -> None:
    names = [name for text in STAGES.values() for name in text.split()]
    assert len(names) == len(set(names)) > 200
    assert set(NEEDS) | {n for needs in NEEDS.values() for n in needs} <= set(names)
    assert set(names) >= gates.EFFECTIVE


def test_what_is_said_about_them() -> None:
    said = Gates("WatchList=false,ClusterTrustBundle=true,EvictionRequestAPI=true").remarks()
    assert said == [
        "ClusterTrustBundle: setting GA feature gate; it will be removed in a future release",
        "WatchList: accepted, and without effect here (docs/feature-gates.md)",
    ]


def test_a_kind_needs_its_gate_too() -> None:
    text = "lifecycle.k8s.io/v1alpha1=true"
    without, withal = Enablement(text, Gates()), Enablement(text, Gates("EvictionRequestAPI=true"))
    assert without.registry().by_resource("lifecycle.k8s.io", "v1alpha1", "evictionrequests") is None
    assert withal.registry().by_resource("lifecycle.k8s.io", "v1alpha1", "evictionrequests") is not None
    assert without.kept_back() == [
        "lifecycle.k8s.io/v1alpha1 evictions needs --feature-gates EvictionRequestAPI=true",
        "lifecycle.k8s.io/v1alpha1 evictionrequests needs --feature-gates EvictionRequestAPI=true",
    ]
    off = Enablement("", Gates("StorageVersionMigrator=false")).registry()
    assert off.by_resource("storagemigration.k8s.io", "v1", "storageversionmigrations") is None
    known = {(k.group, k.plural) for k in (*registry.general(), *registry.early())}
    assert set(gates.KINDS) <= known
