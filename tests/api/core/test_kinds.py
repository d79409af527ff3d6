"""The core kinds other than Pod: defaults, validation with exact messages, strategies, columns."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api import codec, core
from pelamis.api.core import (
    CONFIGMAP,
    ENDPOINTS,
    EVENT,
    LIMITRANGE,
    NAMESPACE,
    NODE,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    PODTEMPLATE,
    REPLICATIONCONTROLLER,
    RESOURCEQUOTA,
    SECRET,
    SERVICE,
    SERVICEACCOUNT,
)
from pelamis.api.kind import Kind
from pelamis.base.tree import copy
from tests.api.core.build import errors, make, merge, tree_of, update_errors

Tree = dict[str, Any]
NOW = 1_767_225_900.0  # 2026-01-01T00:05:00Z
BORN = {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
SVC = {
    "spec": {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ports": [{"port": 80}], "selector": {"app": "a"}}
}
NODEPORT = merge(SVC, {"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}})
BALANCED = merge(SVC, {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]}})
CLAIM = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
BOUND = merge(CLAIM, {"spec": {"volumeName": "v"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}})
VOLUME = {"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/d"}}}
RC = {"spec": {"template": TEMPLATE}}


def endpoints(*addresses: str, **more: Any) -> Tree:
    return {"subsets": [{"addresses": [{"ip": a} for a in addresses], **more}]}


VALID: list[tuple[Kind, Tree]] = [
    (SERVICE, SVC),
    (SERVICE, NODEPORT),
    (SERVICE, BALANCED),
    (SERVICE, {"spec": {"clusterIP": "None", "clusterIPs": ["None"], "selector": {"a": "b"}}}),
    (SERVICE, {"spec": {"type": "ExternalName", "externalName": "example.com."}}),
    (SERVICE, merge(SVC, {"spec": {"sessionAffinity": "ClientIP", "trafficDistribution": "PreferSameZone"}})),
    (SERVICE, merge(SVC, {"spec": {"clusterIPs": ["10.96.0.9", "fd00::9"], "ipFamilies": ["IPv4", "IPv6"]}})),
    (NODE, {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoExecute"}]}}),
    (NAMESPACE, {}),
    (CONFIGMAP, {"data": {"a.b": "x"}, "binaryData": {"c": "eA=="}}),
    (SECRET, {"type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}),
    (SECRET, {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{}"}}),
    (PERSISTENTVOLUMECLAIM, CLAIM),
    (PERSISTENTVOLUME, VOLUME),
    (REPLICATIONCONTROLLER, RC),
    (PODTEMPLATE, {"template": TEMPLATE}),
    (RESOURCEQUOTA, {"spec": {"hard": {"pods": "5", "requests.cpu": "2", "count/jobs.batch": "1"}}}),
    (LIMITRANGE, {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}}]}}),
    (ENDPOINTS, endpoints("10.0.0.1", ports=[{"port": 80}])),
    (EVENT, {"involvedObject": {"namespace": "default", "kind": "Pod", "name": "p"}}),
    (SERVICEACCOUNT, {}),
]


@pytest.mark.parametrize(("kind", "tree"), VALID, ids=lambda x: x.kind if isinstance(x, Kind) else "")
def test_accepts(kind: Kind, tree: Tree) -> None:
    assert errors(kind, tree) == []
    assert update_errors(kind, tree, {}) == []
    once = tree_of(kind, tree, create=False)
    again = copy(once)
    codec.clean(kind, again)
    kind.default(again)
    assert again == once


INVALID: list[tuple[Kind, Tree, list[str]]] = [
    (SERVICE, {"spec": {"clusterIP": "10.96.0.9"}}, ["spec.ports: Required value"]),
    (
        SERVICE,
        merge(SVC, {"spec": {"ports": [{"port": 80}, {"port": 0}]}}),
        [
            "spec.ports[0].name: Required value",
            "spec.ports[1].name: Required value",
            "spec.ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[1].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
        ],
    ),
    (
        SERVICE,
        merge(SVC, {"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}}),
        [
            'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,'
            '"NodePort":0}'
        ],
    ),
    (
        SERVICE,
        merge(SVC, {"spec": {"ports": [{"port": 80, "nodePort": 30000}]}}),
        ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ),
    (
        SERVICE,
        merge(SVC, {"spec": {"clusterIP": "1.2", "clusterIPs": None}}),
        ['spec.clusterIPs[0]: Invalid value: "1.2": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    ),
    (SERVICE, {"spec": {"type": "ExternalName"}}, ["spec.externalName: Required value"]),
    (
        SERVICE,
        merge(SVC, {"spec": {"type": "Magic"}}),
        [
            'spec.type: Unsupported value: "Magic": '
            'supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
        ],
    ),
    (
        SERVICE,
        merge(SVC, {"spec": {"externalIPs": ["127.0.0.1"]}}),
        ['spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    ),
    (
        SERVICE,
        merge(SVC, {"spec": {"loadBalancerClass": "x"}}),
        ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    ),
    (
        SERVICE,
        merge(BALANCED, {"spec": {"externalTrafficPolicy": "Local"}}),
        ["spec.healthCheckNodePort: Required value"],
    ),
    (
        NODE,
        {"spec": {"taints": [{"key": "a", "effect": "Maybe"}]}},
        [
            'metadata.taints[0].effect: Unsupported value: "Maybe": '
            'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"'
        ],
    ),
    (
        NODE,
        {"spec": {"podCIDRs": ["10.0.0.0/24", "10.1.0.0/24"]}},
        [
            'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.1.0.0/24"]: '
            "may specify no more than one CIDR for each IP family"
        ],
    ),
    (
        NAMESPACE,
        {"spec": {"finalizers": ["odd"]}},
        ['spec.finalizers: Invalid value: "odd": name is neither a standard finalizer name nor is it fully qualified'],
    ),
    (
        CONFIGMAP,
        {"data": {"a": "x"}, "binaryData": {"a": "eA=="}},
        ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
    ),
    (CONFIGMAP, {"data": {"a": "x" * 1048577}}, [": Too long: may not be more than 1048576 bytes"]),
    (SECRET, {"type": "kubernetes.io/tls"}, ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
    (
        SECRET,
        {"type": "kubernetes.io/service-account-token"},
        ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
    ),
    (
        PERSISTENTVOLUMECLAIM,
        {"spec": {}},
        [
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
        ],
    ),
    (
        PERSISTENTVOLUMECLAIM,
        merge(CLAIM, {"spec": {"accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}}),
        ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
    ),
    (
        PERSISTENTVOLUMECLAIM,
        merge(CLAIM, {"spec": {"resources": {"requests": {"storage": "0"}}}}),
        ['spec.resources[storage]: Invalid value: "0": must be greater than zero'],
    ),
    (
        PERSISTENTVOLUME,
        merge(VOLUME, {"spec": {"hostPath": None}}),
        ["spec: Required value: must specify a volume type"],
    ),
    (
        PERSISTENTVOLUME,
        merge(VOLUME, {"spec": {"hostPath": None, "local": {"path": "/x"}}}),
        ["spec.nodeAffinity: Required value: Local volume requires node affinity"],
    ),
    (
        PERSISTENTVOLUME,
        merge(VOLUME, {"spec": {"capacity": {"cpu": "1"}}}),
        ['spec.capacity: Unsupported value: {"cpu":"1","storage":"1Gi"}: supported values: "storage"'],
    ),
    (
        REPLICATIONCONTROLLER,
        merge(RC, {"spec": {"selector": {"app": "b"}}}),
        ['spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`'],
    ),
    (
        REPLICATIONCONTROLLER,
        merge(RC, {"spec": {"template": {"spec": {"restartPolicy": "Never"}}}}),
        ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ),
    (
        RESOURCEQUOTA,
        {"spec": {"hard": {"apples": "1"}}},
        [
            'spec.hard[apples]: Invalid value: "apples": must be a standard resource type or fully qualified',
            'spec.hard[apples]: Invalid value: "apples": must be a standard resource for quota',
        ],
    ),
    (
        RESOURCEQUOTA,
        {"spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}},
        ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
    ),
    (
        LIMITRANGE,
        {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]}},
        ['spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'],
    ),
    (ENDPOINTS, {"subsets": [{}]}, ["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
    (
        ENDPOINTS,
        endpoints("169.254.1.1"),
        [
            'subsets[0].addresses[0].ip: Invalid value: "169.254.1.1": '
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        ],
    ),
    (
        EVENT,
        {"involvedObject": {"namespace": "other"}},
        ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'],
    ),
]


@pytest.mark.parametrize(("kind", "tree", "expected"), INVALID)
def test_refuses(kind: Kind, tree: Tree, expected: list[str]) -> None:
    assert errors(kind, tree) == expected


DUAL = merge(SVC, {"spec": {"clusterIPs": ["10.96.0.9", "fd00::9"], "ipFamilies": ["IPv4", "IPv6"]}})
IMMUTABLE = "field is immutable when `immutable` is set"


@pytest.mark.parametrize(
    ("kind", "old", "changes", "expected"),
    [
        # a client that does not repeat what the server gave keeps it
        (SERVICE, NODEPORT, {"spec": {"clusterIP": None, "ports": [{"port": 81}]}}, []),
        (SERVICE, NODEPORT, {"spec": {"type": "ClusterIP"}}, []),
        (SERVICE, SVC, {"spec": {"type": "ExternalName", "externalName": "e.com"}}, []),
        (
            SERVICE,
            SVC,
            {"spec": {"clusterIP": "10.96.0.10"}},
            ['spec.clusterIPs[0]: Invalid value: ["10.96.0.10"]: may not change once set'],
        ),
        (
            SERVICE,
            merge(DUAL, {"spec": {"ipFamilyPolicy": "PreferDualStack"}}),
            {"spec": {"clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv4"]}},
            [
                'spec.ipFamilyPolicy: Invalid value: "PreferDualStack": '
                "must be set to 'SingleStack' when releasing the secondary clusterIP",
                'spec.ipFamilyPolicy: Invalid value: "PreferDualStack": '
                "must be set to 'SingleStack' when releasing the secondary ipFamily",
            ],
        ),
        (
            SERVICE,
            merge(BALANCED, {"spec": {"loadBalancerClass": "a.b/c"}}),
            {"spec": {"loadBalancerClass": "a.b/d"}},
            ['spec.loadBalancerClass: Invalid value: "a.b/d": may not change once set'],
        ),
        (
            NODE,
            {"spec": {"podCIDR": "10.0.0.0/24", "providerID": "a"}},
            {"spec": {"podCIDR": "10.0.1.0/24", "podCIDRs": ["10.0.1.0/24"], "providerID": "b"}},
            [
                'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
                'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
            ],
        ),
        (NODE, {}, {"spec": {"podCIDR": "10.0.1.0/24", "unschedulable": True}}, []),
        (CONFIGMAP, {"immutable": True, "data": {"a": "1"}}, {"data": {"a": "2"}}, [f"data: Forbidden: {IMMUTABLE}"]),
        (SECRET, {"immutable": True}, {"immutable": None}, [f"immutable: Forbidden: {IMMUTABLE}"]),
        (SECRET, {"type": "a"}, {"type": "b"}, ['type: Invalid value: "b": field is immutable']),
        (SECRET, {"data": {"a": "eA=="}}, {"stringData": {"b": "y"}}, []),
        (PERSISTENTVOLUMECLAIM, CLAIM, {"spec": {"volumeName": "v"}}, []),
        (PERSISTENTVOLUMECLAIM, BOUND, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, []),
        (
            PERSISTENTVOLUMECLAIM,
            BOUND,
            {"spec": {"resources": {"requests": {"storage": "512Mi"}}}},
            ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"],
        ),
        (
            PERSISTENTVOLUMECLAIM,
            CLAIM,
            {"spec": {"accessModes": ["ReadOnlyMany"]}},
            [
                "spec: Forbidden: spec is immutable after creation except resources.requests and "
                "volumeAttributesClassName for bound claims\n"
                '- accessModes[0]: "ReadWriteOnce"\n+ accessModes[0]: "ReadOnlyMany"'
            ],
        ),
        (PERSISTENTVOLUME, VOLUME, {"spec": {"claimRef": {"name": "c", "namespace": "d"}}}, []),
        (
            PERSISTENTVOLUME,
            VOLUME,
            {"spec": {"hostPath": {"path": "/e"}}},
            [
                "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n"
                '- hostPath.path: "/d"\n+ hostPath.path: "/e"'
            ],
        ),
        (
            RESOURCEQUOTA,
            {"spec": {"scopes": ["Terminating"]}},
            {"spec": {"scopes": []}},
            ["spec.scopes: Invalid value: []: field is immutable"],
        ),
    ],
)
def test_update(kind: Kind, old: Tree, changes: Tree, expected: list[str]) -> None:
    assert update_errors(kind, old, changes) == expected


@pytest.mark.parametrize(
    ("kind", "old", "changes", "expected"),
    [
        (SERVICE, BALANCED, {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}, []),
        (
            SERVICE,
            SVC,
            {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}},
            ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
        ),
        (
            NAMESPACE,
            {},
            {"status": {"phase": "Terminating"}},
            ["status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"],
        ),
        (
            REPLICATIONCONTROLLER,
            RC,
            {"status": {"replicas": 1, "readyReplicas": 2}},
            ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"],
        ),
        (
            PERSISTENTVOLUMECLAIM,
            CLAIM,
            {"status": {"allocatedResources": {"cpu": "1"}}},
            ['status.allocatedResources: Unsupported value: "cpu": supported values: "storage"'],
        ),
        (RESOURCEQUOTA, {}, {"status": {"hard": {"pods": "1"}, "used": {"pods": "0"}}}, []),
    ],
)
def test_status_update(kind: Kind, old: Tree, changes: Tree, expected: list[str]) -> None:
    assert update_errors(kind, old, changes, status=True) == expected


# -- defaults and strategies ------------------------------------------------------------------------------------------


def test_service_defaults() -> None:
    spec = tree_of(SERVICE, merge(BALANCED, {"spec": {"clusterIPs": None}}))["spec"]
    assert spec["clusterIPs"] == ["10.96.0.9"]
    assert spec["ports"] == [{"port": 80, "nodePort": 30080, "protocol": "TCP", "targetPort": 80}]
    assert (spec["externalTrafficPolicy"], spec["internalTrafficPolicy"]) == ("Cluster", "Cluster")
    assert (spec["sessionAffinity"], spec["allocateLoadBalancerNodePorts"]) == ("None", True)
    sticky = tree_of(SERVICE, merge(SVC, {"spec": {"sessionAffinity": "ClientIP"}}))["spec"]
    assert sticky["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert "externalTrafficPolicy" not in sticky


def test_service_update_keeps_and_drops_given_values() -> None:
    old = tree_of(SERVICE, NODEPORT)
    kept = tree_of(SERVICE, {"spec": {"type": "NodePort", "ports": [{"port": 8080}]}}, create=False)
    SERVICE.prepare_update(kept, old)
    assert kept["spec"]["clusterIP"] == "10.96.0.9"
    assert kept["spec"]["ports"][0]["nodePort"] == 30080
    dropped = copy(old)
    dropped["spec"]["type"] = "ClusterIP"
    SERVICE.prepare_update(dropped, old)
    assert "nodePort" not in dropped["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in dropped["spec"]
    named = copy(old)
    named["spec"]["type"] = "ExternalName"
    SERVICE.prepare_update(named, old)
    assert not {"clusterIP", "clusterIPs"} & named["spec"].keys()


def test_namespace_lifecycle() -> None:
    tree = tree_of(NAMESPACE, {"metadata": {"name": "n"}})
    assert tree["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}
    assert (tree["spec"], tree["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    changed = copy(tree)
    changed["spec"] = {}
    NAMESPACE.prepare_update(changed, tree)
    assert changed["spec"] == {"finalizers": ["kubernetes"]}
    done = codec.from_tree(NAMESPACE, merge(tree, {"spec": {"finalizers": []}}))
    assert NAMESPACE.validate_update(done, done) == []
    wrong = codec.from_tree(NAMESPACE, merge(tree, {"spec": {"finalizers": ["kubernetes", "mine"]}}))
    (error,) = NAMESPACE.validate_update(wrong, done)
    assert (error.field, error.value) == ("spec.finalizers[1]", "mine")


def test_node_status_is_kept_on_create_and_fixed_on_update() -> None:
    assert NODE.reset == ()
    old = tree_of(NODE, {"status": NODE_STATUS})
    assert old["status"]["conditions"]
    new = merge(old, {"spec": {"unschedulable": True}, "status": None})
    NODE.prepare_update(new, old)
    assert new["status"] == old["status"]


def test_secret_folds_string_data() -> None:
    tree = tree_of(SECRET, {"data": {"a": "eA==", "b": "eA=="}, "stringData": {"b": "y"}})
    assert tree["data"] == {"a": "eA==", "b": "eQ=="}
    assert "stringData" not in tree
    assert tree["type"] == "Opaque"


def test_claims_align_their_sources() -> None:
    source = {"kind": "PersistentVolumeClaim", "name": "old"}
    spec = tree_of(PERSISTENTVOLUMECLAIM, merge(CLAIM, {"spec": {"dataSource": source}}))["spec"]
    assert spec["dataSourceRef"] == source
    spec = tree_of(PERSISTENTVOLUMECLAIM, merge(CLAIM, {"spec": {"dataSourceRef": source}}))["spec"]
    assert spec["dataSource"] == source
    assert tree_of(PERSISTENTVOLUMECLAIM, BOUND)["status"] == {"phase": "Pending"}


def test_other_defaults() -> None:
    volume = tree_of(PERSISTENTVOLUME, VOLUME)
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["spec"]["volumeMode"] == "Filesystem"
    assert volume["status"] == {"phase": "Pending"}
    rc = tree_of(REPLICATIONCONTROLLER, RC)
    assert (rc["spec"]["selector"], rc["metadata"]["labels"], rc["spec"]["replicas"]) == ({"app": "a"}, {"app": "a"}, 1)
    node = tree_of(NODE, {"spec": {"podCIDR": "10.0.0.0/24"}, "status": {"capacity": {"cpu": "4"}}})
    assert (node["spec"]["podCIDRs"], node["status"]["allocatable"]) == (["10.0.0.0/24"], {"cpu": "4"})
    limits = [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1", "memory": "1Gi"}}]
    item = tree_of(LIMITRANGE, {"spec": {"limits": limits}})["spec"]["limits"][0]
    assert item["default"] == {"cpu": "2"}
    assert item["defaultRequest"] == {"cpu": "2", "memory": "1Gi"}


# -- columns ----------------------------------------------------------------------------------------------------------

NODE_STATUS = {
    "conditions": [{"type": "Ready", "status": "True"}],
    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
    "nodeInfo": {"kubeletVersion": "v1.37.0", "osImage": "Debian", "containerRuntimeVersion": "containerd://1.6"},
}


@pytest.mark.parametrize(
    ("kind", "tree", "expected"),
    [
        (SERVICE, SVC, ("x", "ClusterIP", "10.96.0.9", "<none>", "80/TCP", "5m", "app=a")),
        (SERVICE, BALANCED, ("x", "LoadBalancer", "10.96.0.9", "<pending>", "80:30080/TCP", "5m", "app=a")),
        (
            SERVICE,
            {"spec": {"type": "ExternalName", "externalName": "e.com"}},
            ("x", "ExternalName", "<none>", "e.com", "<none>", "5m", "<none>"),
        ),
        (
            NODE,
            {
                "metadata": {"labels": {"node-role.kubernetes.io/worker": ""}},
                "spec": {"unschedulable": True},
                "status": NODE_STATUS,
            },
            (
                "x",
                "Ready,SchedulingDisabled",
                "worker",
                "5m",
                "v1.37.0",
                "10.0.0.1",
                "<none>",
                "Debian",
                "<unknown>",
                "containerd://1.6",
            ),
        ),
        (NAMESPACE, {}, ("x", "Active", "5m")),
        (CONFIGMAP, {"data": {"a": "1"}, "binaryData": {"b": "eA=="}}, ("x", 2, "5m")),
        (SECRET, {"data": {"a": "eA=="}}, ("x", "Opaque", 1, "5m")),
        (SERVICEACCOUNT, {"secrets": [{"name": "s"}]}, ("x", 1, "5m")),
        (
            PERSISTENTVOLUMECLAIM,
            merge(BOUND, {"status": {"accessModes": ["ReadWriteOnce"]}}),
            ("x", "Bound", "v", "1Gi", "RWO", "", "<unset>", "5m", "Filesystem"),
        ),
        (
            PERSISTENTVOLUME,
            merge(VOLUME, {"spec": {"claimRef": {"name": "c", "namespace": "d"}}}),
            ("x", "1Gi", "RWO", "Retain", "Pending", "d/c", "", "<unset>", "", "5m", "Filesystem"),
        ),
        (REPLICATIONCONTROLLER, RC, ("x", 1, 0, 0, "5m", "c", "x:1", "app=a")),
        (PODTEMPLATE, {"template": TEMPLATE}, ("x", "c", "x:1", "app=a")),
        (
            RESOURCEQUOTA,
            {"status": {"hard": {"pods": "5", "limits.cpu": "2"}, "used": {"pods": "1"}}},
            ("x", "5m", "pods: 1/5", "limits.cpu: 0/2"),
        ),
        (LIMITRANGE, {"spec": {"limits": []}}, ("x", "2026-01-01T00:00:00Z")),
        (
            ENDPOINTS,
            endpoints("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", ports=[{"port": 80}]),
            ("x", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...", "5m"),
        ),
        (ENDPOINTS, {}, ("x", "<none>", "5m")),
        (
            EVENT,
            {
                "involvedObject": {"kind": "Pod", "name": "p"},
                "lastTimestamp": "2026-01-01T00:04:00Z",
                "firstTimestamp": "2026-01-01T00:00:00Z",
                "type": "Normal",
                "reason": "Pulled",
                "message": " done\n",
                "source": {"component": "kubelet", "host": "n1"},
            },
            ("60s", "Normal", "Pulled", "pod/p", "", "kubelet, n1", "done", "5m", 1, "x"),
        ),
    ],
    ids=lambda x: x.kind if isinstance(x, Kind) else "",
)
def test_columns(kind: Kind, tree: Tree, expected: tuple[Any, ...]) -> None:
    assert kind.cells is not None
    cells = tuple(kind.cells(make(kind, merge(tree, BORN), create=False), NOW))
    assert cells == expected
    assert len(cells) == len(kind.columns)


@pytest.mark.parametrize(
    ("kind", "tree", "expected"),
    [
        (
            ENDPOINTS,
            {"subsets": [{"addresses": [{"ip": "1:0::1"}]}]},
            [
                'subsets[0].addresses[0].ip: IPv6 address "1:0::1" should be in RFC 5952 canonical format ("1::1")',
            ],
        ),
        (
            SERVICE,
            merge(SVC, {"spec": {"trafficDistribution": "PreferClose"}}),
            ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'],
        ),
        (
            SERVICE,
            merge(SVC, {"spec": {"externalIPs": ["fd00:0::1"]}}),
            [
                'spec.externalIPs[0]: IPv6 address "fd00:0::1" should be in RFC 5952 canonical format ("fd00::1")',
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
            ],
        ),
        (
            PERSISTENTVOLUMECLAIM,
            merge(CLAIM, {"spec": {"resources": {"requests": {"storage": "1500m"}}}}),
            [
                'spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer',
            ],
        ),
    ],
)
def test_warnings(kind: Kind, tree: Tree, expected: list[str]) -> None:
    assert kind.warnings is not None
    assert kind.warnings(make(kind, tree)) == expected


def test_store_prefixes() -> None:
    odd = {k.plural: k.storage for k in core.KINDS if k.storage != k.plural}
    assert odd == {
        "nodes": "minions",
        "services": "services/specs",
        "endpoints": "services/endpoints",
        "replicationcontrollers": "controllers",
    }
    assert SERVICE.key("ns", "a") == "/registry/services/specs/ns/a"


def test_every_stored_kind_has_columns_and_cells() -> None:
    for kind in core.KINDS:
        if "list" in kind.verbs:
            assert kind.cells is not None, kind
