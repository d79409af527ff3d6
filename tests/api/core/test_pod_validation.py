from __future__ import annotations

from typing import Any

import pytest

from pelamis.api import codec
from pelamis.api.core import POD
from pelamis.api.core.pod.validate import validate_pod_template
from pelamis.api.core.pod.validate_update import (
    validate_ephemeral_containers_update,
    validate_pod_status_update,
    validate_resize,
)
from tests.api.core.build import errors, make, merge, update_errors

POD_TREE: dict[str, Any] = {"spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def with_spec(**spec: Any) -> dict[str, Any]:
    return merge(POD_TREE, {"spec": spec})


def with_container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "image": "nginx:1", **fields}]}}


def with_volume(**source: Any) -> dict[str, Any]:
    return with_spec(volumes=[{"name": "v", **source}])


VALID = [
    POD_TREE,
    with_spec(restartPolicy="Never", dnsPolicy="Default", hostNetwork=True, nodeName="n1"),
    with_container(
        ports=[{"containerPort": 80, "hostPort": 8080, "name": "http"}, {"containerPort": 80, "protocol": "UDP"}]
    ),
    with_container(
        env=[{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    ),
    with_container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]),
    with_container(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}]),
    with_container(resources={"limits": {"cpu": "1", "example.com/gpu": "1", "hugepages-2Mi": "4Mi"}}),
    with_container(lifecycle={"preStop": {"sleep": {"seconds": 5}}}),
    with_container(restartPolicy="OnFailure"),
    with_container(
        restartPolicy="Never",
        restartPolicyRules=[{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
    ),
    with_spec(
        initContainers=[
            {"name": "i", "image": "x", "restartPolicy": "Always", "readinessProbe": {"tcpSocket": {"port": 1}}}
        ]
    ),
    with_volume(projected={"sources": [{"configMap": {"name": "a"}}, {"secret": {"name": "b"}}]}),
    with_volume(image={"reference": "quay.io/x/y:1"}),
    with_spec(tolerations=[{"operator": "Exists"}, {"key": "k", "effect": "NoExecute", "tolerationSeconds": 5}]),
    with_spec(dnsPolicy="None", dnsConfig={"nameservers": ["1.1.1.1"], "searches": ["a_b.c", "."]}),
    with_spec(schedulingGates=[{"name": "example.com/wait"}]),
    with_spec(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]),
    with_spec(os={"name": "windows"}),
    with_spec(resources={"limits": {"cpu": "1", "memory": "1Gi"}}),
]


@pytest.mark.parametrize("tree", VALID)
def test_accepts(tree: dict[str, Any]) -> None:
    assert errors(POD, tree) == []


INVALID: list[tuple[dict[str, Any], list[str]]] = [
    ({"spec": {"containers": []}}, ["spec.containers: Required value"]),
    (with_container(name="A_b"), [f'spec.containers[0].name: Invalid value: "A_b": {LABEL}']),
    (with_container(image=""), ["spec.containers[0].image: Required value"]),
    (
        with_container(image=" x"),
        ['spec.containers[0].image: Invalid value: " x": must not have leading or trailing whitespace'],
    ),
    (
        {"spec": {"containers": [{"name": "c", "image": "x"}, {"name": "c", "image": "x"}]}},
        ['spec.containers[1].name: Duplicate value: "c"'],
    ),
    (
        with_container(ports=[{"containerPort": 70000}, {"containerPort": 0}]),
        [
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.containers[0].ports[1].containerPort: Required value",
        ],
    ),
    (
        with_container(ports=[{"containerPort": 80, "protocol": "FTP"}]),
        ['spec.containers[0].ports[0].protocol: Unsupported value: "FTP": supported values: "SCTP", "TCP", "UDP"'],
    ),
    (
        with_container(ports=[{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]),
        ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//9"'],
    ),
    (
        with_container(volumeMounts=[{"name": "no", "mountPath": "/x"}]),
        ['spec.containers[0].volumeMounts[0].name: Not found: "no"'],
    ),
    (
        with_container(imagePullPolicy="Sometimes"),
        [
            'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": '
            'supported values: "Always", "IfNotPresent", "Never"'
        ],
    ),
    (
        with_container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ),
    (
        with_container(resources={"limits": {"example.com/gpu": "1500m"}}),
        [
            'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
            'spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "1500m": must be an integer',
        ],
    ),
    (
        with_container(resources={"requests": {"example.com/gpu": "1"}}),
        ["spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"],
    ),
    (
        with_container(resources={"limits": {"cpus": "1"}}),
        [
            f'spec.containers[0].resources.{field}[cpus]: Invalid value: "cpus": must be a standard resource {what}'
            for field in ("limits", "requests")
            for what in ("type or fully qualified", "for containers")
        ],
    ),
    (
        with_container(livenessProbe={}),
        ["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
    ),
    (
        with_container(livenessProbe={"tcpSocket": {"port": 1}, "successThreshold": 2}),
        ["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
    ),
    (
        with_container(livenessProbe={"exec": {"command": ["x"]}, "httpGet": {"port": 1}}),
        ["spec.containers[0].livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type"],
    ),
    (
        with_container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}]),
        [
            'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nope": '
            "error converting fieldPath: field label not supported: spec.nope"
        ],
    ),
    (
        with_container(securityContext={"allowPrivilegeEscalation": False, "privileged": True}),
        [
            'spec.containers[0].securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: '
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        ],
    ),
    (
        with_spec(initContainers=[{"name": "i", "image": "x", "lifecycle": {}}]),
        [
            "spec.initContainers[0].lifecycle: Forbidden: "
            "may not be set for init containers without restartPolicy=Always"
        ],
    ),
    (
        with_spec(ephemeralContainers=[{"name": "d", "image": "x"}]),
        ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    ),
    (
        with_spec(restartPolicy="Perhaps"),
        ['spec.restartPolicy: Unsupported value: "Perhaps": supported values: "Always", "OnFailure", "Never"'],
    ),
    (
        with_spec(volumes=[{"name": "v", "hostPath": {"path": "/a/../b"}, "secret": {"secretName": "s"}}]),
        [
            "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type",
        ],
    ),
    (with_volume(secret={}), ["spec.volumes[0].secret.secretName: Required value"]),
    (
        with_volume(nfs={"server": "s", "path": "rel"}),
        ['spec.volumes[0].nfs.path: Invalid value: "rel": must be an absolute path'],
    ),
    (
        with_spec(tolerations=[{"key": "a", "operator": "Exists", "value": "v"}]),
        [
            "spec.tolerations[0].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists'",
        ],
    ),
    (
        with_spec(nodeName="n", schedulingGates=[{"name": "g"}]),
        ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"],
    ),
    (
        with_spec(activeDeadlineSeconds=0),
        ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
    ),
    (
        with_spec(
            affinity={
                "podAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}, "topologyKey": ""}]
                }
            }
        ),
        [
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: "
            "Required value: can not be empty",
        ],
    ),
    (
        with_spec(hostUsers=False, hostPID=True),
        ["spec.HostPID: Forbidden: when `pod.Spec.HostUsers` is false"],
    ),
    (with_spec(os={"name": "plan9"}), ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"']),
    (
        merge(POD_TREE, {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "+5"}}}),
        [
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: "
            'Invalid value: "+5": must be a 32bit integer'
        ],
    ),
]


@pytest.mark.parametrize(("tree", "expected"), INVALID)
def test_refuses(tree: dict[str, Any], expected: list[str]) -> None:
    found = errors(POD, tree)
    assert found[: len(expected)] == expected


def test_templates_are_checked_without_what_only_pods_have() -> None:
    template = make(POD, with_container(image=" x")).spec
    from pelamis.api.core.pod.template import PodTemplateSpec

    assert validate_pod_template(PodTemplateSpec(spec=template), "spec.template") == []
    empty = validate_pod_template(PodTemplateSpec(), "spec.template")
    assert "spec.template.spec.containers: Required value" in [str(e) for e in empty]


# -- updates ----------------------------------------------------------------------------------------------------------

IMMUTABLE = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)
GATED = with_spec(schedulingGates=[{"name": "g"}], nodeSelector={"a": "1"})


@pytest.mark.parametrize(
    ("old", "changes", "expected"),
    [
        (POD_TREE, {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}, []),
        (POD_TREE, {"spec": {"activeDeadlineSeconds": 9}}, []),
        (POD_TREE, {"spec": {"tolerations": [{"key": "k", "operator": "Exists"}]}}, []),
        (with_spec(terminationGracePeriodSeconds=-1), {"spec": {"terminationGracePeriodSeconds": 1}}, []),
        (GATED, {"spec": {"schedulingGates": None}}, []),
        (GATED, {"spec": {"nodeSelector": {"b": "2"}}}, []),
        (
            GATED,
            {"spec": {"nodeSelector": {"a": "2"}}},
            [
                'spec.nodeSelector: Invalid value: {"a":"2"}: '
                "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            ],
        ),
        (POD_TREE, {"spec": {"nodeSelector": {"a": "1"}}}, [IMMUTABLE + '+ nodeSelector: {"a":"1"}']),
        (POD_TREE, {"spec": {"hostname": "h"}}, [IMMUTABLE + '+ hostname: "h"']),
        (
            POD_TREE,
            {"spec": {"containers": [{"name": "c", "image": "x"}, {"name": "d", "image": "x"}]}},
            ["spec.containers: Forbidden: pod updates may not add or remove containers"],
        ),
        (
            with_spec(activeDeadlineSeconds=5),
            {"spec": {"activeDeadlineSeconds": 6}},
            ["spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"],
        ),
        (
            with_spec(tolerations=[{"key": "k", "operator": "Exists"}]),
            {"spec": {"tolerations": []}},
            ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"],
        ),
        (
            POD_TREE,
            {"spec": {"schedulingGates": [{"name": "n"}]}},
            ["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'n'"],
        ),
        (
            POD_TREE,
            {"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}},
            [
                'metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": '
                "must set spec.nodeName if mirror pod annotation is set",
                "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation",
            ],
        ),
    ],
)
def test_update(old: dict[str, Any], changes: dict[str, Any], expected: list[str]) -> None:
    assert update_errors(POD, old, changes) == expected


def status(**fields: Any) -> dict[str, Any]:
    return merge(with_spec(restartPolicy="Never"), {"status": {"qosClass": "BestEffort", **fields}})


def container(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "c", "state": state, "ready": False, "restartCount": 0, "image": "", "imageID": ""}]


@pytest.mark.parametrize(
    ("old", "changes", "expected"),
    [
        (status(), {"status": {"phase": "Running", "podIP": "10.0.0.1"}}, []),
        (
            status(),
            {"status": {"qosClass": "Guaranteed"}},
            ['status.qosClass: Invalid value: "Guaranteed": field is immutable'],
        ),
        (
            status(containerStatuses=container({"terminated": {"exitCode": 1}})),
            {"status": {"containerStatuses": container({"running": {}})}},
            ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"],
        ),
        (
            status(),
            {"status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}},
            [
                'status.podIPs: Invalid value: [{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}]: '
                "may specify no more than one IP for each IP family"
            ],
        ),
        (
            status(),
            {"status": {"hostIP": "1.1.1.1", "hostIPs": [{"ip": "2.2.2.2"}]}},
            ['status.hostIPs[0].ip: Invalid value: "2.2.2.2": must be equal to `hostIP`'],
        ),
    ],
)
def test_status_update(old: dict[str, Any], changes: dict[str, Any], expected: list[str]) -> None:
    assert update_errors(POD, old, changes, status=True) == expected


def pod(**spec: Any) -> Any:
    return make(POD, with_spec(**spec), create=False)


def test_debug_containers_are_only_added() -> None:
    one = {"name": "d", "image": "busybox"}
    old, new = pod(ephemeralContainers=[one]), pod(ephemeralContainers=[one, {"name": "e", "image": "x"}])
    assert validate_ephemeral_containers_update(new, old) == []
    gone = [str(e) for e in validate_ephemeral_containers_update(pod(), old)]
    assert gone == ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "d" may not be removed\n']
    forbidden = pod(ephemeralContainers=[{**one, "ports": [{"containerPort": 1}], "targetContainerName": "no"}])
    assert [str(e) for e in validate_ephemeral_containers_update(forbidden, pod())] == [
        'spec.ephemeralContainers[0].targetContainerName: Not found: "no"',
        "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
    ]


def sized(**resources: Any) -> Any:
    return codec.from_tree(POD, codec.to_tree(make(POD, with_container(resources=resources), create=False)))


def test_resize() -> None:
    old = sized(requests={"cpu": "1", "memory": "1Gi"})
    assert validate_resize(sized(requests={"cpu": "2", "memory": "512Mi"}), old) == []
    cases = [
        (
            sized(requests={"cpu": "1"}),
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
        ),
        (
            sized(limits={"cpu": "1", "memory": "1Gi"}),
            'spec: Invalid value: "": Pod QOS Class may not change as a result of resizing',
        ),
        (
            sized(requests={"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}),
            "spec: Forbidden: only cpu and memory resources are mutable",
        ),
    ]
    for new, expected in cases:
        assert expected in [str(e) for e in validate_resize(new, old)]


def test_resize_of_the_pod_as_a_whole() -> None:
    def whole(cpu: str, **more: str) -> Any:
        return pod(resources={"requests": {"cpu": cpu, "memory": "1Gi", **more}})

    old = whole("1")
    assert validate_resize(whole("2"), old) == []
    cases = [
        (pod(), "spec.resources: Forbidden: pod-level resources cannot be removed"),
        (
            pod(resources={"requests": {"cpu": "1"}}),
            "spec.resources.requests: Forbidden: pod-level resource requests cannot be removed",
        ),
        (
            whole("1", **{"hugepages-2Mi": "2Mi"}),
            "spec: Forbidden: only cpu and memory resources are mutable at pod-level",
        ),
    ]
    for new, expected in cases:
        assert expected in [str(e) for e in validate_resize(new, old)]


def test_a_resize_does_not_move_containers() -> None:
    def two(*names: str) -> Any:
        return pod(containers=[{"name": name, "image": "i"} for name in names])

    assert [str(e) for e in validate_resize(two("b", "a"), two("a", "b"))] == [
        f"spec.containers[{i}].name: Forbidden: containers may not be renamed or reordered on resize" for i in (0, 1)
    ]
    assert [str(e) for e in validate_resize(two("a"), two("a", "b"))] == [
        "spec.containers: Forbidden: containers may not be added or removed on resize"
    ]


def test_a_negative_grace_period_of_a_pod_is_a_second() -> None:
    assert pod(terminationGracePeriodSeconds=-1).spec.terminationGracePeriodSeconds == 1


def test_what_may_run_again() -> None:
    def told(code: int | None, **container: Any) -> Any:
        ended = {"terminated": {"exitCode": code}} if code is not None else {"running": {}}
        one = {"name": "c", "image": "i", **container}
        status = {"containerStatuses": [{"name": "c", "image": "", "imageID": "", "restartCount": 0, "state": ended}]}
        tree = {"spec": {"containers": [one], "restartPolicy": "Never"}, "status": status}
        return codec.from_tree(POD, codec.to_tree(make(POD, tree, create=False)))

    def rule(action: str) -> dict[str, Any]:
        return {"action": action, "exitCodes": {"operator": "In", "values": [42]}}

    cases: list[tuple[int, dict[str, Any], bool]] = [
        (42, {}, False),
        (42, {"restartPolicy": "Always"}, True),
        (0, {"restartPolicy": "OnFailure"}, False),
        (42, {"restartPolicy": "Never", "restartPolicyRules": [rule("Restart")]}, True),
        (1, {"restartPolicy": "Never", "restartPolicyRules": [rule("Restart")]}, False),
        (1, {"restartPolicy": "Never", "restartPolicyRules": [rule("RestartAllContainers")]}, True),
    ]
    for code, container, allowed in cases:
        errors = [str(e) for e in validate_pod_status_update(told(None, **container), told(code, **container))]
        assert any("non-terminated" in e for e in errors) is not allowed, (code, container)
