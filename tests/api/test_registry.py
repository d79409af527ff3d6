"""Lookups, discovery order, kinds that come and go."""

from __future__ import annotations

import dataclasses

import pytest

from pelamis.api import registry
from pelamis.api.custom import Custom
from pelamis.api.kind import Kind

GROUPS = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "resource.k8s.io",
    "storagemigration.k8s.io",
)


def widget(version: str = "v1") -> Kind:
    return Kind(
        group="example.com",
        version=version,
        type=Custom,
        kind="Widget",
        plural="widgets",
        singular="widget",
        short_names=("wd",),
        namespaced=True,
        verbs=("get", "list"),
    )


def test_builtin_groups_and_lookups() -> None:
    r = registry.builtin()
    assert tuple(g.name for g in r.groups()) == GROUPS
    assert r.versions("autoscaling") == ("v2", "v1")
    pods = r.by_resource("", "v1", "pods")
    assert pods is not None
    assert pods is r.by_kind("", "v1", "Pod") is r.by_api_version("v1", "Pod") is r.body("", "v1", "Pod")
    assert r.by_kind("autoscaling", "v1", "Scale") is None
    assert r.body("autoscaling", "v1", "Scale") is not None
    assert len(r.all()) == len({(k.group, k.version, k.plural) for k in r.all()})
    assert all(k.hub is None for k in r.stored())


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("po", "Pod"),
        ("pods", "Pod"),
        ("Deployment", "Deployment"),
        ("deploy.apps", "Deployment"),
        ("deployments.v1.apps", "Deployment"),
        ("ev", "Event"),
        ("nothing", None),
        ("pods.apps", None),
    ],
)
def test_find(word: str, expected: str | None) -> None:
    found = registry.builtin().find(word)
    assert (found and found.kind) == expected


def test_kinds_come_and_go() -> None:
    r = registry.builtin()
    heard: list[tuple[str, bool]] = []
    cancel = r.subscribe(lambda k, added: heard.append((k.version, added)))
    old, new = widget("v1beta1"), widget("v1")
    r.add(old)
    r.add(new)
    assert r.groups()[-1] == registry.Group("example.com", ("v1", "v1beta1"))
    assert r.find("wd") is new
    renamed = dataclasses.replace(new, kind="Gadget")
    r.add(renamed)
    assert r.by_kind("example.com", "v1", "Widget") is None
    r.remove(renamed)
    r.remove(renamed)
    assert r.find("widgets") is old
    cancel()
    r.remove(old)
    assert r.groups()[-1].name != "example.com"
    assert heard == [("v1beta1", True), ("v1", True), ("v1", True), ("v1", False)]


def test_version_order() -> None:
    versions = ["v1", "foo1", "v2", "v10", "v1beta1", "v3beta1", "v11alpha2", "v2beta2", "foo10", "v1alpha1", "v2beta1"]
    assert sorted(versions, key=registry.version_order) == [
        "v10",
        "v2",
        "v1",
        "v3beta1",
        "v2beta2",
        "v2beta1",
        "v1beta1",
        "v11alpha2",
        "v1alpha1",
        "foo1",
        "foo10",
    ]
