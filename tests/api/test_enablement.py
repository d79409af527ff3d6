"""--runtime-config: precedence, messages, and what a registry made by it has."""

from __future__ import annotations

import pytest

from pelamis.api.enablement import Enablement, EnablementError

_BAD = {
    "api/all=false": "invalid key with only api/all=false",
    "batch": "runtime-config invalid key batch",
    "a/b/c/d=true": "runtime-config invalid key a/b/c/d",
    "api/legacy=true": "unknown api groups api",
    "foo/v1=true,bar/v2=true": "unknown api groups foo,bar",
    "apps/v7=true": "group version apps/v7 that has not been registered",
    "/v2=true": "group version v2 that has not been registered",
    "api/beta=1": "invalid value api/beta=1",
    "api/beta": "invalid value api/beta=",
    "apps/v1=maybe": 'invalid value of apps/v1: maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax',
    "apps/v1/Deployments=true": "invalid key apps/v1/Deployments: group/version/resource and resource is always "
    'lowercase plural, not "Deployments"',
}


@pytest.mark.parametrize("text", _BAD)
def test_messages(text: str) -> None:
    with pytest.raises(EnablementError) as error:
        Enablement(text)
    assert str(error.value) == _BAD[text]


@pytest.mark.parametrize(
    ("text", "on", "off"),
    [
        ("", "apps/v1 autoscaling/v2", "resource.k8s.io/v1beta1 lifecycle.k8s.io/v1alpha1"),
        ("api/beta=true", "apps/v1 resource.k8s.io/v1beta1 scheduling.k8s.io/v1beta1", "resource.k8s.io/v1alpha3"),
        ("api/all=true", "resource.k8s.io/v1alpha3 lifecycle.k8s.io/v1alpha1 internal.apiserver.k8s.io/v1alpha1", ""),
        ("api/all=true,api/alpha=false", "resource.k8s.io/v1beta1", "resource.k8s.io/v1alpha3"),
        ("api/all=false,api/ga=true", "apps/v1", "resource.k8s.io/v1beta1"),
        ("api/beta=true,resource.k8s.io/v1beta1=false", "resource.k8s.io/v1beta2", "resource.k8s.io/v1beta1"),
        ("resource.k8s.io/v1beta1=1", "resource.k8s.io/v1beta1", "resource.k8s.io/v1beta2"),
        ("resource.k8s.io/v1beta1", "resource.k8s.io/v1beta1", "resource.k8s.io/v1beta2"),
        ("batch/v1=false", "apps/v1", "batch/v1"),
        ("batch/v1=false,batch/v1/cronjobs=true", "batch/v1", ""),
        ("apps/v1beta1=true,networking.k8s.io/v1beta1=true", "apps/v1", "apps/v1beta1 networking.k8s.io/v1beta1"),
    ],
)
def test_precedence(text: str, on: str, off: str) -> None:
    registry = Enablement(text).registry()
    served = {k.api_version for k in registry.all()}
    assert set(on.split()) <= served and not set(off.split()) & served


def test_one_resource() -> None:
    registry = Enablement(
        "batch/v1=false,batch/v1/cronjobs=true,resource.k8s.io/v1beta1/resourceslices=true"
    ).registry()
    assert [k.plural for k in registry.of("batch", "v1")] == ["cronjobs"]
    assert [k.plural for k in registry.of("resource.k8s.io", "v1beta1")] == ["resourceslices"]


def test_what_is_not_served_is_still_held() -> None:
    registry = Enablement("apps/v1=false,autoscaling/v2=false,api/alpha=true").registry()
    assert registry.by_resource("apps", "v1", "deployments") is None
    assert registry.by_kind("apps", "v1", "Deployment") is None
    held = registry.held("apps", "deployments")
    assert held is not None and held in registry.stored() and registry.body("apps", "v1", "Deployment") is held
    hpa = registry.by_resource("autoscaling", "v1", "horizontalpodautoscalers")
    assert hpa is not None and hpa.hub in registry.stored()
    group = registry.by_resource("scheduling.k8s.io", "v1alpha3", "podgroups")
    assert (
        group is not None and group.hub in registry.stored() and registry.versions("scheduling.k8s.io")[1] == "v1alpha3"
    )


def test_objects_may_name_what_is_not_served() -> None:
    registry = Enablement().registry()
    assert registry.by_api_version("resource.k8s.io/v1beta1", "ResourceClaim") is None
    known = registry.known("resource.k8s.io/v1beta1", "ResourceClaim")
    assert known is not None and known.hub is registry.held("resource.k8s.io", "resourceclaims")
    assert registry.known("resource.k8s.io/v1beta9", "ResourceClaim") is None


def test_age() -> None:
    by_name = {f"{k.api_version} {k.kind}": k.deprecated for k in Enablement("api/all=true").registry().all()}
    warning = by_name["certificates.k8s.io/v1beta1 ClusterTrustBundle"]
    assert warning == (
        "certificates.k8s.io/v1beta1 ClusterTrustBundle is deprecated in v1.37+, unavailable in v1.40+; "
        "use certificates.k8s.io/v1 ClusterTrustBundle"
    )
    warning = by_name["resource.k8s.io/v1beta1 ResourceClaim"]
    assert warning == "resource.k8s.io/v1beta1 ResourceClaim is deprecated in v1.35+, unavailable in v1.38+"
    assert not by_name["resource.k8s.io/v1beta2 DeviceTaintRule"]
