from __future__ import annotations

from typing import Any

import pytest

from pelamis.api import codec
from pelamis.api.core import POD
from pelamis.api.core.pod import strategy
from pelamis.api.core.pod.image import tag
from pelamis.api.core.pod.qos import qos_of_spec
from pelamis.api.core.pod.resources import pod_limits, pod_requests, write_amount
from pelamis.api.core.pod.strategy import grace_period
from pelamis.base.errors import StatusError
from pelamis.base.tree import copy
from tests.api.core.build import make, merge, tree_of

POD_TREE: dict[str, Any] = {"spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}


def with_spec(**spec: Any) -> dict[str, Any]:
    return merge(POD_TREE, {"spec": spec})


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", "latest"),
        ("nginx:1.25", "1.25"),
        ("localhost:5000/a/b", "latest"),
        ("localhost:5000/a/b:v1", "v1"),
        ("a@sha256:" + "0" * 64, ""),
        ("a:v@sha256:" + "0" * 64, "v"),
        ("UPPER", ""),
        ("", ""),
    ],
)
def test_image_tag(image: str, expected: str) -> None:
    assert tag(image) == expected


def test_defaults() -> None:
    tree = tree_of(
        POD,
        with_spec(
            serviceAccountName="sa",
            hostNetwork=True,
            volumes=[{"name": "v"}],
            containers=[
                {
                    "name": "c",
                    "image": "x",
                    "ports": [{"containerPort": 80}],
                    "resources": {"limits": {"cpu": "0.5"}},
                    "livenessProbe": {"httpGet": {"port": 80}},
                }
            ],
        ),
        create=False,
    )
    spec = tree["spec"]
    container = spec["containers"][0]
    assert spec["serviceAccount"] == "sa"
    assert spec["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert spec["enableServiceLinks"] is True
    assert (spec["restartPolicy"], spec["dnsPolicy"], spec["terminationGracePeriodSeconds"]) == (
        "Always",
        "ClusterFirst",
        30,
    )
    assert container["imagePullPolicy"] == "Always"
    assert container["ports"][0]["hostPort"] == 80
    assert container["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "500m"}}
    probe = container["livenessProbe"]
    assert probe["httpGet"] == {"path": "/", "port": 80, "scheme": "HTTP"}
    assert [probe[n] for n in ("timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")] == [
        1,
        10,
        1,
        3,
    ]
    again = copy(tree)
    codec.clean(POD, again)
    POD.default(again)
    assert again == tree


def test_pod_level_defaults() -> None:
    tree = tree_of(POD, with_spec(resources={"limits": {"cpu": "4", "memory": "1Gi"}}), create=False)
    assert tree["spec"]["resources"]["requests"] == {"cpu": "4", "memory": "1Gi"}
    inner = [
        {"name": "c", "image": "x", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "8Mi"}}}
    ]
    tree = tree_of(POD, with_spec(containers=inner, resources={"limits": {"cpu": "4"}}), create=False)
    assert tree["spec"]["resources"] == {"limits": {"cpu": "4"}, "requests": {"cpu": "1", "memory": "8Mi"}}
    tree = tree_of(POD, with_spec(containers=inner, resources={"requests": {"cpu": "1"}}), create=False)
    assert tree["spec"]["resources"]["limits"] == {"cpu": "2", "memory": "8Mi"}


def test_addresses_follow_each_other() -> None:
    tree = tree_of(POD, merge(POD_TREE, {"status": {"podIP": "10.0.0.1"}}), create=False)
    assert tree["status"]["podIPs"] == [{"ip": "10.0.0.1"}]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}], "Burstable"),
        ([{"requests": {"ephemeral-storage": "1Gi"}}], "BestEffort"),
    ],
)
def test_qos(resources: list[dict[str, Any]], expected: str) -> None:
    containers = [{"name": f"c{i}", "image": "x", "resources": r} for i, r in enumerate(resources)]
    pod = make(POD, with_spec(containers=containers))
    assert qos_of_spec(pod.spec) == pod.status.qosClass == expected


def test_requests_add_up() -> None:
    def container(name: str, cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "image": "x", "resources": {"requests": {"cpu": cpu}}, **more}

    pod = make(
        POD,
        with_spec(
            containers=[container("a", "100m"), container("b", "200m")],
            initContainers=[
                container("first", "350m"),
                container("side", "50m", restartPolicy="Always"),
                container("last", "320m"),
            ],
            overhead={"cpu": "10m"},
        ),
    )
    # running: 300m + sidecar 50m = 350m; starting: last 320m + sidecar 50m = 370m is more
    assert write_amount("cpu", pod_requests(pod)["cpu"]) == "380m"
    assert write_amount("cpu", pod_requests(pod, overhead=False)["cpu"]) == "370m"
    assert pod_limits(pod) == {}


def test_requests_follow_what_a_resize_has_given() -> None:
    status = {
        "name": "c",
        "resources": {"requests": {"cpu": "2"}},
        "ready": True,
        "restartCount": 0,
        "image": "",
        "imageID": "",
    }
    tree = merge(POD_TREE, {"status": {"containerStatuses": [status]}})
    tree["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    pod = make(POD, tree, create=False)
    assert write_amount("cpu", pod_requests(pod)["cpu"]) == "1"
    assert write_amount("cpu", pod_requests(pod, use_status=True)["cpu"]) == "2"


# -- strategy ---------------------------------------------------------------------------------------------------------


def test_create_resets_status() -> None:
    tree = tree_of(POD, merge(with_spec(schedulingGates=[{"name": "g"}]), {"status": {"phase": "Running"}}))
    assert tree["metadata"]["generation"] == 1
    assert tree["status"] == {
        "phase": "Pending",
        "qosClass": "BestEffort",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ],
    }


def test_label_keys_become_expressions() -> None:
    rule = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "matchLabelKeys": ["hash", "absent"],
    }
    pod = make(POD, merge(with_spec(topologySpreadConstraints=[rule]), {"metadata": {"labels": {"hash": "1"}}}))
    expression = pod.spec.topologySpreadConstraints[0].labelSelector.matchExpressions[0]
    assert (expression.key, expression.operator, expression.values) == ("hash", "In", ("1",))
    assert POD.validate(pod) == []


def test_app_armor_annotation_is_adopted() -> None:
    annotations = {"container.apparmor.security.beta.kubernetes.io/c": "localhost/p"}
    pod = make(POD, merge(POD_TREE, {"metadata": {"annotations": annotations}}))
    profile = pod.spec.containers[0].securityContext.appArmorProfile
    assert (profile.type, profile.localhostProfile) == ("Localhost", "p")


def test_generation_counts_changes_of_the_spec() -> None:
    old = tree_of(POD, POD_TREE)
    same, changed = copy(old), copy(old)
    changed["spec"]["activeDeadlineSeconds"] = 5
    POD.prepare_update(same, old)
    POD.prepare_update(changed, old)
    assert (same["metadata"]["generation"], changed["metadata"]["generation"]) == (1, 2)


def test_status_write_keeps_the_rest() -> None:
    old = tree_of(POD, POD_TREE)
    old["status"].update(
        observedGeneration=3, conditions=[{"type": "Ready", "status": "True", "observedGeneration": 3}]
    )
    new = copy(old)
    new["spec"] = {"containers": []}
    new["metadata"]["ownerReferences"] = [{"uid": "x"}]
    new["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
    strategy.prepare_status(new, old)
    assert new["spec"] == old["spec"]
    assert "ownerReferences" not in new["metadata"]
    assert new["status"]["qosClass"] == "BestEffort"
    assert new["status"]["observedGeneration"] == 3
    assert new["status"]["conditions"][0]["observedGeneration"] == 3


def test_subresource_writes_touch_their_part_only() -> None:
    old = tree_of(POD, POD_TREE)
    new = merge(
        copy(old), {"metadata": {"labels": {"a": "b"}}, "spec": {"hostname": "h"}, "status": {"phase": "Failed"}}
    )
    debug = copy(new)
    debug["spec"]["ephemeralContainers"] = [{"name": "d", "image": "x"}]
    strategy.prepare_ephemeral_containers(debug, old)
    expected = merge(
        old, {"metadata": {"generation": 2}, "spec": {"ephemeralContainers": [{"name": "d", "image": "x"}]}}
    )
    assert debug == expected
    resized = copy(new)
    resized["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    strategy.prepare_resize(resized, old)
    assert resized["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}}
    assert "hostname" not in resized["spec"]
    assert resized["metadata"] == {**old["metadata"], "generation": 2}


def test_bind() -> None:
    pod = tree_of(POD, POD_TREE)
    strategy.bind(pod, "n1", {"metadata": {"annotations": {"a": "b"}}}, "2026-01-01T00:00:00Z")
    assert pod["spec"]["nodeName"] == "n1"
    assert pod["metadata"]["annotations"] == {"a": "b"}
    condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    assert pod["status"]["conditions"] == [condition]
    with pytest.raises(StatusError, match='pod x is already assigned to node "n1"'):
        strategy.bind(pod, "n2", {}, "2026-01-01T00:00:00Z")
    gated = tree_of(POD, with_spec(schedulingGates=[{"name": "g"}]))
    with pytest.raises(StatusError, match=r"pod x has non-empty \.spec\.schedulingGates"):
        strategy.bind(gated, "n2", {}, "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("spec", "phase", "requested", "expected"),
    [
        ({}, "Pending", None, 0),
        ({"nodeName": "n"}, "Running", None, 30),
        ({"nodeName": "n"}, "Running", 0, 0),
        ({"nodeName": "n"}, "Running", -5, 1),
        ({"nodeName": "n"}, "Succeeded", 9, 0),
        ({"nodeName": "n", "terminationGracePeriodSeconds": 7}, "Running", None, 7),
    ],
)
def test_grace_period(spec: dict[str, Any], phase: str, requested: int | None, expected: int) -> None:
    pod = make(POD, merge(with_spec(**spec), {"status": {"phase": phase}}), create=False)
    assert grace_period(pod, requested) == expected


# -- columns ----------------------------------------------------------------------------------------------------------

NOW = 1_767_225_900.0  # 2026-01-01T00:05:00Z


def state(name: str = "c", *, restarts: int = 0, ready: bool = False, last: str = "", **fields: Any) -> dict[str, Any]:
    out = {"name": name, "ready": ready, "restartCount": restarts, "image": "", "imageID": "", "state": fields}
    if last:
        out["lastState"] = {"terminated": {"exitCode": 1, "finishedAt": last}}
    return out


INIT = with_spec(initContainers=[{"name": "i0", "image": "x"}, {"name": "i1", "image": "x"}])
SIDE = with_spec(initContainers=[{"name": "s", "image": "x", "restartPolicy": "Always"}])
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("tree", "status", "expected"),
    [
        (POD_TREE, {"phase": "Pending"}, ("0/1", "Pending", "0")),
        (POD_TREE, {"phase": "Running", "containerStatuses": [state(ready=True, running={})]}, ("1/1", "Running", "0")),
        (
            POD_TREE,
            {"phase": "Pending", "containerStatuses": [state(waiting={"reason": "ContainerCreating"})]},
            ("0/1", "ContainerCreating", "0"),
        ),
        (
            POD_TREE,
            {
                "phase": "Running",
                "containerStatuses": [
                    state(restarts=3, last="2026-01-01T00:03:00Z", waiting={"reason": "CrashLoopBackOff"})
                ],
            },
            ("0/1", "CrashLoopBackOff", "3 (2m ago)"),
        ),
        (
            POD_TREE,
            {"phase": "Succeeded", "containerStatuses": [state(terminated={"exitCode": 0, "reason": "Completed"})]},
            ("0/1", "Completed", "0"),
        ),
        (
            POD_TREE,
            {"phase": "Failed", "containerStatuses": [state(terminated={"exitCode": 3})]},
            ("0/1", "ExitCode:3", "0"),
        ),
        (
            POD_TREE,
            {"phase": "Failed", "containerStatuses": [state(terminated={"exitCode": 137, "signal": 9})]},
            ("0/1", "Signal:9", "0"),
        ),
        (POD_TREE, {"phase": "Failed", "reason": "Evicted"}, ("0/1", "Evicted", "0")),
        (INIT, {"phase": "Pending", "initContainerStatuses": [state("i0", running={})]}, ("0/1", "Init:0/2", "0")),
        (
            INIT,
            {
                "phase": "Pending",
                "initContainerStatuses": [
                    state("i0", terminated={"exitCode": 0}),
                    state("i1", waiting={"reason": "PodInitializing"}),
                ],
            },
            ("0/1", "Init:1/2", "0"),
        ),
        (
            INIT,
            {
                "phase": "Pending",
                "initContainerStatuses": [state("i0", restarts=2, terminated={"exitCode": 1, "reason": "Error"})],
            },
            ("0/1", "Init:Error", "2"),
        ),
        (
            INIT,
            {"phase": "Pending", "initContainerStatuses": [state("i0", waiting={"reason": "ImagePullBackOff"})]},
            ("0/1", "Init:ImagePullBackOff", "0"),
        ),
        (
            SIDE,
            {
                "phase": "Running",
                "initContainerStatuses": [{**state("s", ready=True, restarts=1, running={}), "started": True}],
                "containerStatuses": [state(ready=True, running={})],
            },
            ("2/2", "Running", "1"),
        ),
        (
            POD_TREE,
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            },
            ("0/1", "SchedulingGated", "0"),
        ),
        (merge(POD_TREE, {"metadata": DELETED}), {"phase": "Running"}, ("0/1", "Terminating", "0")),
        (merge(POD_TREE, {"metadata": DELETED}), {"phase": "Running", "reason": "NodeLost"}, ("0/1", "Unknown", "0")),
        (merge(POD_TREE, {"metadata": DELETED}), {"phase": "Succeeded"}, ("0/1", "Succeeded", "0")),
    ],
)
def test_columns(tree: dict[str, Any], status: dict[str, Any], expected: tuple[str, ...]) -> None:
    pod = make(POD, merge(tree, {"status": status}), create=False)
    assert POD.cells is not None
    cells = POD.cells(pod, NOW)
    assert tuple(cells[1:4]) == expected
    assert len(cells) == len(POD.columns)


def test_wide_columns() -> None:
    tree = merge(
        with_spec(nodeName="n1", readinessGates=[{"conditionType": "a"}, {"conditionType": "b"}]),
        {
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"podIP": "10.0.0.9", "conditions": [{"type": "a", "status": "True"}]},
        },
    )
    assert POD.cells is not None
    cells = POD.cells(make(POD, tree, create=False), NOW)
    assert cells == ("x", "0/1", "", "0", "5m", "10.0.0.9", "n1", "<none>", "1/2")


def test_selectable_and_indexes() -> None:
    pod = make(POD, with_spec(nodeName="n1"))
    assert POD.selectable is not None and POD.indexes is not None
    assert POD.selectable["spec.nodeName"](pod) == "n1"
    assert POD.selectable["spec.hostNetwork"](pod) == "false"
    assert POD.indexes["node"](pod) == ("n1",)
    assert POD.prefix == "/registry/pods/"


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (POD_TREE, []),
        (
            with_spec(nodeSelector={"beta.kubernetes.io/os": "linux"}),
            ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
        ),
        (
            with_spec(
                containers=[
                    {"name": "c", "image": "x", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
                ]
            ),
            ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        (
            with_spec(containers=[{"name": "c", "image": "x", "ports": [{"containerPort": 1}, {"containerPort": 1}]}]),
            ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
        ),
        (with_spec(imagePullSecrets=[{"name": ""}]), ['spec.imagePullSecrets[0].name: invalid empty name ""']),
        (
            with_spec(terminationGracePeriodSeconds=-1),
            [],  # it is a second by now
        ),
    ],
)
def test_warnings(tree: dict[str, Any], expected: list[str]) -> None:
    assert POD.warnings is not None
    assert POD.warnings(make(POD, tree)) == expected
