"""Admission plugins on single writes: what they change, and the exact words in which they refuse."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pelamis.api import codec
from pelamis.api.registry import builtin
from pelamis.apiserver import admission
from pelamis.apiserver.admission import eventratelimit, optional, persistentvolumeclaimresize, runtimeclass
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.admission.tolerations import all_within, covers, merged
from pelamis.apiserver.user import User
from pelamis.apiserver.write import Write
from pelamis.base.errors import StatusError
from tests.apiserver.harness import Harness
from tests.apiserver.test_server import run

REGISTRY = builtin()


class World:
    """The objects that plugins read."""

    def __init__(self, *trees: dict[str, Any]) -> None:
        self._objects: dict[tuple[str, str, str], Any] = {}
        for tree in trees:
            kind = REGISTRY.by_api_version(tree["apiVersion"], tree["kind"])
            assert kind is not None
            meta = tree["metadata"]
            self._objects[kind.resource, meta.get("namespace", ""), meta["name"]] = struct(tree)

    def get(self, resource: str, namespace: str, name: str) -> Any:
        return self._objects.get((resource, namespace, name))

    def list(self, resource: str, namespace: str = "") -> list[Any]:
        return [o for (r, ns, _), o in self._objects.items() if r == resource and namespace in ("", ns)]


def struct(tree: dict[str, Any]) -> Any:
    kind = REGISTRY.by_api_version(tree["apiVersion"], tree["kind"])
    assert kind is not None
    tree = codec.to_tree(tree)
    codec.clean(kind, tree)
    kind.default(tree)
    return codec.from_tree(kind, tree)


def admit(plugin: Plugin, world: World, tree: dict[str, Any], old: dict[str, Any] | None = None, **more: Any) -> Any:
    """The tree after the plugin, or the message of its refusal."""
    kind = REGISTRY.by_api_version(tree["apiVersion"], tree["kind"])
    assert kind is not None
    tree = codec.to_tree(tree)
    write = Write("create", kind, User("u"), "default", tree["metadata"]["name"], tree=tree, **more)
    write.operation = "CREATE"
    if old is not None:
        write.operation = "UPDATE"
        write.old = SimpleNamespace(obj=struct(old))  # type: ignore[assignment]
        write.old_tree = codec.to_tree(old)
    try:
        if plugin.mutate is not None:
            plugin.mutate(write, world)  # type: ignore[arg-type]
        if plugin.validate is not None:
            plugin.validate(write, struct(write.tree), world)  # type: ignore[arg-type]
    except StatusError as error:
        return f"{error.code} {error.message}"
    return write.tree


def pod(**spec: Any) -> dict[str, Any]:
    spec.setdefault("containers", [{"name": "c", "image": "i"}])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": spec}


RUNTIME = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "vm"},
    "handler": "vm",
    "overhead": {"podFixed": {"cpu": "250m"}},
    "scheduling": {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]},
}


def test_runtime_class() -> None:
    world = World(RUNTIME, {**RUNTIME, "metadata": {"name": "bare"}, "overhead": None, "scheduling": None})

    def asked(**spec: Any) -> Any:
        return admit(runtimeclass.PLUGIN, world, pod(**spec))

    spec = asked(runtimeClassName="vm", nodeSelector={"a": "b"}, tolerations=[{"key": "x"}])["spec"]
    assert spec["overhead"] == {"cpu": "250m"} and spec["nodeSelector"] == {"a": "b", "vm": "yes"}
    assert [t["key"] for t in spec["tolerations"]] == ["x", "vm"]
    head = '403 pods "p" is forbidden: '
    assert asked(runtimeClassName="no") == f'{head}pod rejected: RuntimeClass "no" not found'
    differs = f"{head}pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
    assert asked(runtimeClassName="vm", overhead={"cpu": "1"}) == differs
    assert isinstance(asked(runtimeClassName="vm", overhead={"cpu": "0.25"}), dict)
    without = f"{head}pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
    assert asked(overhead={"cpu": "1"}) == without == asked(runtimeClassName="bare", overhead={"cpu": "1"})
    assert asked(runtimeClassName="vm", nodeSelector={"vm": "no"}) == (
        f"{head}conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no"
    )


def test_claims_grow_where_they_may() -> None:
    grows = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "g"}, "provisioner": "x"}
    world = World({**grows, "allowVolumeExpansion": True}, {**grows, "metadata": {"name": "s"}})

    def claim(size: str, name: str, phase: str = "Bound") -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "c", "namespace": "default"},
            "spec": {"storageClassName": name, "resources": {"requests": {"storage": size}}},
            "status": {"phase": phase},
        }

    def change(size: str, name: str, phase: str = "Bound") -> Any:
        return admit(persistentvolumeclaimresize.PLUGIN, world, claim(size, name), claim("1Gi", name, phase))

    assert isinstance(change("2Gi", "g"), dict) and isinstance(change("1024Mi", "s"), dict)
    head = '403 persistentvolumeclaims "c" is forbidden: '
    assert change("2Gi", "g", "Pending") == f"{head}Only bound persistent volume claims can be expanded"
    assert (
        change("2Gi", "s")
        == change("2Gi", "none")
        == (
            f"{head}only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
            "support resize"
        )
    )


def test_optional_plugins() -> None:
    world = World()
    spec = admit(optional.ALWAYS_PULL_IMAGES, world, pod(initContainers=[{"name": "i", "image": "x"}]))["spec"]
    assert {c["imagePullPolicy"] for c in (*spec["containers"], *spec["initContainers"])} == {"Always"}
    container = {"name": "c", "image": "i", "resources": {"requests": {"gpu.example/a": "1", "cpu": "1"}}}
    spec = admit(optional.EXTENDED_RESOURCE_TOLERATION, world, pod(containers=[container]))["spec"]
    assert spec["tolerations"] == [{"key": "gpu.example/a", "operator": "Exists"}]
    meta = {"name": "s", "namespace": "default"}

    def service(*ips: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"externalIPs": list(ips)}}

    deny = optional.DENY_SERVICE_EXTERNAL_IPS
    denied = '403 services "s" is forbidden: Use of external IPs is denied by admission control.'
    assert (
        admit(deny, world, service("1.2.3.4")) == denied == admit(deny, world, service("5.5.5.5"), service("1.1.1.1"))
    )
    assert isinstance(admit(deny, world, service("1.1.1.1"), service("1.1.1.1", "2.2.2.2")), dict)
    assert admit(optional.NAMESPACE_EXISTS, world, pod()) == '404 namespaces "default" not found'
    notes = {
        "scheduler.alpha.kubernetes.io/defaultTolerations": '[{"key":"a","operator":"Exists"}]',
        "scheduler.alpha.kubernetes.io/tolerationsWhitelist": '[{"key":"a","operator":"Exists"}]',
    }
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "annotations": notes}}
    restrict = optional.POD_TOLERATION_RESTRICTION
    assert admit(restrict, World(space), pod())["spec"]["tolerations"] == [{"key": "a", "operator": "Exists"}]
    assert admit(restrict, World(space), pod(tolerations=[{"key": "b"}])) == (
        '403 pods "p" is forbidden: pod tolerations (possibly merged with namespace default tolerations) conflict with '
        "its namespace whitelist"
    )


def test_event_rate_limit() -> None:
    plugin = eventratelimit.plugin((eventratelimit.Limit("Namespace", 1, 2),))
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}}
    event["involvedObject"] = {"kind": "Pod", "name": "p", "namespace": "default"}  # type: ignore[assignment]
    answers = [admit(plugin, World(), event, now=now) for now in (0.0, 0.0, 0.5, 1.6, 1.7)]
    assert [isinstance(a, dict) for a in answers] == [True, True, False, True, False]
    assert answers[2].startswith("429 ")


def test_which_plugins_run() -> None:
    names = [p.name for p in admission.PLUGINS]
    assert not admission.OFF & set(names)
    assert names.index("Priority") < names.index("PersistentVolumeClaimResize") < names.index("RuntimeClass")
    names = [p.name for p in admission.chosen(("AlwaysPullImages",), ("LimitRanger",))]
    assert "AlwaysPullImages" in names and "LimitRanger" not in names
    with pytest.raises(ValueError, match="unknown admission plugin: Odd"):
        admission.chosen(("Odd",))


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ({"operator": "Exists"}, {"key": "a", "value": "b"}, True),
        ({"key": "a", "operator": "Exists"}, {"key": "a", "effect": "NoSchedule"}, True),
        ({"key": "a", "effect": "NoSchedule"}, {"key": "a"}, False),
        ({"key": "a", "value": "x"}, {"key": "a", "value": "y"}, False),
        (
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9},
            False,
        ),
    ],
)
def test_tolerations(wide: dict[str, Any], narrow: dict[str, Any], expected: bool) -> None:
    assert covers(wide, narrow) is expected
    both = [narrow] if covers(narrow, wide) else [narrow, wide]
    assert merged([narrow], [wide]) == ([wide] if expected else both)
    assert all_within([narrow], [wide]) is expected and all_within([narrow], [])


RANGE = "/api/v1/namespaces/default/limitranges"
PODS = "/api/v1/namespaces/default/pods"


def resources(**given: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i", "resources": given}]}}


def test_limit_ranger() -> None:
    async def scenario(h: Harness) -> None:
        limit = {
            "type": "Container",
            "default": {"cpu": "500m"},
            "defaultRequest": {"cpu": "100m"},
            "min": {"cpu": "50m"},
            "max": {"cpu": "1"},
            "maxLimitRequestRatio": {"cpu": "10"},
        }
        await h.request("POST", RANGE, {"metadata": {"name": "l"}, "spec": {"limits": [limit]}})
        head = 'pods "p" is forbidden: '
        for given, message in (
            ({"limits": {"cpu": "2"}}, "maximum cpu usage per Container is 1, but limit is 2"),
            (
                {"requests": {"cpu": "10m"}, "limits": {"cpu": "100m"}},
                "minimum cpu usage per Container is 50m, but request is 10m",
            ),
            (
                {"requests": {"cpu": "50m"}, "limits": {"cpu": "1"}},
                "cpu max limit to request ratio per Container is 10, but provided ratio is 20.000000",
            ),
            (
                {"requests": {"cpu": "60m"}, "limits": {"cpu": "1200m"}},
                "[maximum cpu usage per Container is 1, but limit is 1200m, "
                "cpu max limit to request ratio per Container is 10, but provided ratio is 20.000000]",
            ),
        ):
            status, error = await h.request("POST", PODS, resources(**given))
            assert (status, error["message"]) == (403, head + message)
        status, made = await h.request("POST", PODS, resources())
        assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}
        assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
            "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
        )

    run(scenario)


def quota(name: str, hard: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"hard": hard, **spec}}


def selector(scope: str, operator: str = "Exists", *values: str) -> dict[str, Any]:
    term = {"scopeName": scope, "operator": operator, **({"values": list(values)} if values else {})}
    return {"scopeSelector": {"matchExpressions": [term]}}


def test_a_quota_of_an_extended_resource_counts_claims_of_its_class() -> None:
    async def scenario(h: Harness) -> None:
        classes = "/apis/resource.k8s.io/v1/deviceclasses"
        claims = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
        implicit = "requests.deviceclass.resource.kubernetes.io/gpu"
        gpu = {"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}}
        assert (await h.request("POST", classes, gpu))[0] == 201
        body = quota("q", {"requests.example.com/gpu": "3", implicit: "9"})
        assert (await h.request("POST", "/api/v1/namespaces/default/resourcequotas", body))[0] == 201

        def claim(name: str) -> dict[str, Any]:
            request = {"name": "r", "exactly": {"deviceClassName": "gpu", "count": 2}}
            return {"metadata": {"name": name}, "spec": {"devices": {"requests": [request]}}}

        used = lambda: h.server.quotas.used("default", "q")  # noqa: E731
        assert (await h.request("POST", claims, claim("a")))[0] == 201
        status, refused = await h.request("POST", claims, claim("b"))
        assert (status, refused["message"]) == (
            403,
            'resourceclaims.resource.k8s.io "b" is forbidden: exceeded quota: q, requested: requests.example.com/gpu=2,'
            " used: requests.example.com/gpu=2, limited: requests.example.com/gpu=3",
        )
        assert used() == {"requests.example.com/gpu": "2", implicit: "2"}
        merge = {"Content-Type": "application/merge-patch+json"}
        await h.request("PATCH", f"{classes}/gpu", {"spec": {"extendedResourceName": None}}, headers=merge)
        assert used() == {"requests.example.com/gpu": "0", implicit: "2"}
        assert (await h.request("POST", claims, claim("b")))[0] == 201
        await h.request("PATCH", f"{classes}/gpu", {"spec": {"extendedResourceName": "example.com/gpu"}}, headers=merge)
        assert used() == {"requests.example.com/gpu": "4", implicit: "4"}
        await h.request("DELETE", f"{claims}/a")
        assert used() == {"requests.example.com/gpu": "2", implicit: "2"}

    run(scenario)


AFFINITY = {
    "podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "k", "namespaces": ["x"], "labelSelector": {"matchLabels": {"a": "b"}}}
        ]
    }
}
CPU = {"resources": {"requests": {"cpu": "1"}}}


@pytest.mark.parametrize(
    ("spec", "inside", "outside"),
    [
        ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 5}, {}),
        ({"scopes": ["NotTerminating"]}, {}, {"activeDeadlineSeconds": 5}),
        ({"scopes": ["BestEffort"]}, {}, {"container": CPU}),
        ({"scopes": ["NotBestEffort"]}, {"container": CPU}, {}),
        (
            selector("PriorityClass", "In", "system-node-critical"),
            {"priorityClassName": "system-node-critical"},
            {},
        ),
        (selector("CrossNamespacePodAffinity"), {"affinity": AFFINITY}, {}),
    ],
)
def test_quota_scopes(spec: dict[str, Any], inside: dict[str, Any], outside: dict[str, Any]) -> None:
    def body(name: str, given: dict[str, Any]) -> dict[str, Any]:
        given = dict(given)
        container = {"name": "c", "image": "i", **given.pop("container", {})}
        return {"metadata": {"name": name}, "spec": {"containers": [container], **given}}

    async def scenario(h: Harness) -> None:
        quotas = "/api/v1/namespaces/default/resourcequotas"
        status, made = await h.request("POST", quotas, quota("q", {"pods": "1"}, **spec))
        assert status == 201, made
        assert (await h.request("POST", PODS, body("a", inside)))[0] == 201
        assert (await h.request("POST", PODS, body("b", outside)))[0] == 201
        status, error = await h.request("POST", PODS, body("c", inside))
        assert (status, error["message"]) == (
            403,
            'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
        )

    run(scenario)


def test_quota_messages() -> None:
    async def scenario(h: Harness) -> None:
        quotas = "/api/v1/namespaces/default/resourcequotas"
        hard = {"requests.cpu": "1", "limits.memory": "1Gi", "count/deployments.apps": "0", "services.nodeports": "1"}
        await h.request("POST", quotas, quota("q", hard))
        status, error = await h.request("POST", PODS, resources(requests={"cpu": "1"}))
        assert (status, error["message"]) == (
            403,
            'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c',
        )
        given = {"requests": {"cpu": "1500m", "memory": "1Mi"}, "limits": {"memory": "2Gi"}}
        status, error = await h.request("POST", PODS, resources(**given))
        assert error["message"] == (
            'pods "p" is forbidden: exceeded quota: q, requested: limits.memory=2Gi,requests.cpu=1500m, '
            "used: limits.memory=0,requests.cpu=0, limited: limits.memory=1Gi,requests.cpu=1"
        )
        deployment = {
            "metadata": {"name": "d"},
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": resources()["spec"]},
            },
        }
        status, error = await h.request("POST", "/apis/apps/v1/namespaces/default/deployments", deployment)
        assert error["message"] == (
            'deployments.apps "d" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, '
            "used: count/deployments.apps=0, limited: count/deployments.apps=0"
        )
        service = {
            "metadata": {"name": "s"},
            "spec": {"type": "NodePort", "ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]},
        }
        status, error = await h.request("POST", "/api/v1/namespaces/default/services", service)
        assert error["message"].endswith(
            "requested: services.nodeports=2, used: services.nodeports=0, limited: services.nodeports=1"
        )

    run(scenario)
