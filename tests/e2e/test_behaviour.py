"""What workloads, scheduling, services and volumes are promised, as upstream's conformance tests look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e import lab as kit
from tests.e2e.lab import Lab, Missing, Refused, Tree, path, until

pytestmark = pytest.mark.e2e
MERGE = "application/merge-patch+json"


def create(lab: Lab, resource: str, body: Tree, query: str = "", namespace: str = "default") -> Tree:
    return lab.call("POST", path(resource, "", namespace) + query, body)


def replace(lab: Lab, resource: str, name: str, body: Tree, sub: str = "") -> Tree:
    return lab.call("PUT", path(resource, name) + sub, body)


def delete(lab: Lab, resource: str, name: str, policy: str = "Background", grace: int | None = None) -> Tree:
    options: Tree = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    return lab.call("DELETE", path(resource, name), options)


def refused(call: Callable[[], Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value


def phase(lab: Lab, name: str, *wanted: str) -> Tree:
    def look() -> Tree | None:
        pod = lab.get("pods", name)
        return pod if pod["status"].get("phase") in wanted else None

    found: Tree = until(look, f"pod {name} is {' or '.join(wanted)}")
    return found


def condition(tree: Tree, kind: str) -> Tree:
    return next((c for c in tree.get("status", {}).get("conditions", ()) if c["type"] == kind), {})


def replicated(kind: str, name: str, replicas: int, *containers: Tree, **spec: Any) -> Tree:
    """A Deployment, ReplicaSet, StatefulSet or the like with one app label."""
    tree = kit.deployment(name, replicas, *(containers or (kit.container(),)))
    tree["kind"] = kind
    tree["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 0
    if kind == "ReplicationController":
        tree["apiVersion"] = "v1"
        tree["spec"]["selector"] = tree["spec"]["selector"]["matchLabels"]
    if kind == "DaemonSet":
        del tree["spec"]["replicas"]
    tree["spec"].update(spec)
    return tree


def job(name: str, script: str, *, restart: str = "Never", template: Tree | None = None, **spec: Any) -> Tree:
    pod = {
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": 0,
        "containers": [kit.container(script, name="c")],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": kit.metadata(name),
        "spec": {"template": {"spec": {**pod, **(template or {})}}, **spec},
    }


def running(lab: Lab, selector: str, count: int) -> list[Tree]:
    def look() -> list[Tree] | bool:
        pods = [p for p in lab.pods(selector) if "deletionTimestamp" not in p["metadata"]]
        return (pods or True) if len(pods) == count and all(map(kit.is_ready, pods)) else False

    found = until(look, f"{count} pods of {selector} are ready")
    return found if isinstance(found, list) else []


def owners(lab: Lab, name: str) -> list[str]:
    return [o["kind"] for o in lab.get("pods", name)["metadata"].get("ownerReferences", ()) if o.get("controller")]


# pods


def test_init_containers(lab: Lab) -> None:
    ok, bad = kit.container("true", name="a"), kit.container("false", name="b")
    lab.apply(
        kit.pod("i-never", kit.container("exit 0"), initContainers=[ok, {**ok, "name": "b"}], restartPolicy="Never"),
        kit.pod("i-always", initContainers=[ok, {**ok, "name": "b"}]),
        kit.pod("i-fails-never", initContainers=[ok, bad], restartPolicy="Never"),
        kit.pod("i-fails-always", initContainers=[bad, {**ok, "name": "z"}]),
    )
    done = phase(lab, "i-never", "Succeeded")
    assert condition(done, "Initialized")["status"] == "True"
    assert [s["state"]["terminated"]["exitCode"] for s in done["status"]["initContainerStatuses"]] == [0, 0]
    assert all(s["ready"] for s in lab.ready("i-always")["status"]["initContainerStatuses"])
    failed = phase(lab, "i-fails-never", "Failed")
    assert condition(failed, "Initialized") | {"lastTransitionTime": ""} == {
        "type": "Initialized",
        "status": "False",
        "reason": "ContainersNotInitialized",
        "message": "containers with incomplete status: [b]",
        "lastTransitionTime": "",
    } or condition(failed, "Initialized")["message"].startswith("containers with incomplete status: [b]")
    assert failed["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    again = until(
        lambda: (
            kit.container_status(lab.get("pods", "i-fails-always"), "b")["restartCount"] >= 2
            and lab.get("pods", "i-fails-always")
        ),
        "the init container ran three times",
    )
    assert again["status"]["phase"] == "Pending"
    assert "running" not in kit.container_status(again, "main")["state"]
    assert condition(again, "Initialized")["message"] == "containers with incomplete status: [b z]"


def test_pod_lifecycle(lab: Lab) -> None:
    lab.apply(kit.pod("p-life"), kit.pod("p-deadline"), kit.pod("p-status"))
    seen = lab.ready("p-life")
    assert seen["status"]["hostIP"] and seen["status"]["podIP"] and seen["status"]["qosClass"] == "BestEffort"
    assert lab.patch("pods", "p-life", {"metadata": {"labels": {"time": "now"}}})["metadata"]["labels"]["time"] == "now"
    lab.ready("p-deadline")
    lab.patch("pods", "p-deadline", {"spec": {"activeDeadlineSeconds": 1}})
    over = phase(lab, "p-deadline", "Failed")
    assert over["status"]["reason"] == "DeadlineExceeded"
    assert over["status"]["message"] == "Pod was active on the node longer than the specified deadline"
    lab.ready("p-status")
    status = {"status": {"message": "Patched by e2e test", "reason": "E2E"}}
    patched = lab.call("PATCH", path("pods", "p-status") + "/status", status, MERGE)
    assert (patched["status"]["message"], patched["status"]["reason"]) == ("Patched by e2e test", "E2E")
    image = lab.patch("pods", "p-life", {"metadata": {"annotations": {"a": "b"}}})
    assert refused(lambda: lab.patch("pods", "p-life", {"spec": {"hostNetwork": True}})).code == 422
    assert image["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]
    delete(lab, "pods", "p-life", grace=1)
    lab.gone("pods", "p-life")


def test_pods_that_must_not_run(lab: Lab) -> None:
    sysctls = lambda *names: {"securityContext": {"sysctls": [{"name": n, "value": "1"} for n in names]}}  # noqa: E731
    error = refused(lambda: create(lab, "pods", kit.pod("n-sysctl", **sysctls("foo-", "kernel.shmmax", "bar.."))))
    assert error.code == 422
    assert 'spec.securityContext.sysctls[0].name: Invalid value: "foo-"' in str(json.loads(str(error)[4:])["message"])
    create(lab, "pods", kit.pod("n-unsafe", **sysctls("kernel.msgmax")))
    assert phase(lab, "n-unsafe", "Failed")["status"]["reason"] == "SysctlForbidden"
    error = refused(lambda: create(lab, "pods", kit.pod("n-class", runtimeClassName="none")))
    assert error.code == 403 and 'RuntimeClass \\"none\\" not found' in str(error)
    overhead = {"podFixed": {"cpu": "10m", "memory": "1Mi"}}
    body = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "runc", "overhead": overhead}
    create(lab, "node.k8s.io/v1/runtimeclasses", {**body, "metadata": {"name": "n-heavy"}}, namespace="")
    assert (
        create(lab, "pods", kit.pod("n-heavy", runtimeClassName="n-heavy"))["spec"]["overhead"] == overhead["podFixed"]
    )
    until(lambda: lab.get("pods", "n-heavy")["spec"].get("nodeName"), "it is scheduled")


def test_sub_path_expressions_that_fail(lab: Lab) -> None:
    def of(name: str, expression: str, *, note: bool = False) -> Tree:
        mount = {"name": "v", "mountPath": "/v", "subPathExpr": expression}
        source = {"fieldRef": {"fieldPath": "metadata.annotations['dir']"}}
        main = kit.container(volumeMounts=[mount], env=[{"name": "DIR", "valueFrom": source}])
        tree = kit.pod(name, main, volumes=[{"name": "v", "emptyDir": {}}])
        if note:
            tree["metadata"]["annotations"] = {"dir": "/absolute"}
        return tree

    lab.apply(
        of("s-ticks", "`echo x`/$(NONE)"), of("s-absolute", "$(DIR)", note=True), of("s-later", "$(DIR)/$(LATER)")
    )
    for name in ("s-ticks", "s-absolute", "s-later"):
        waiting = until(lambda name=name: kit.container_status(lab.get("pods", name))["state"]["waiting"], name)
        until(
            lambda name=name: (
                kit.container_status(lab.get("pods", name))["state"]["waiting"]["reason"]
                == "CreateContainerConfigError"
            ),
            f"{name} says so: {waiting}",
        )
    create(lab, "pods", of("s-mended", "$(DIR)", note=True))
    until(lambda: "waiting" in kit.container_status(lab.get("pods", "s-mended"))["state"], "it fails")
    lab.patch("pods", "s-mended", {"metadata": {"annotations": {"dir": "mypath"}}})
    lab.ready("s-mended")


def test_ephemeral_containers(lab: Lab) -> None:
    lab.apply(kit.pod("e-main"))
    lab.ready("e-main")
    for number in (1, 2):
        added = {"name": f"debugger-{number}", "image": kit.BUSYBOX, "command": ["sh", "-c", "sleep 1000"]}
        change = {"spec": {"ephemeralContainers": [added]}}
        target = path("pods", "e-main") + "/ephemeralcontainers"
        lab.call("PATCH", target, change, "application/strategic-merge-patch+json")
        until(lambda n=number: kit.container_status(lab.get("pods", "e-main"), f"debugger-{n}")["state"]["running"], "")
    assert len(lab.get("pods", "e-main")["spec"]["ephemeralContainers"]) == 2


# workloads


@pytest.mark.parametrize("kind", ["ReplicaSet", "ReplicationController"])
def test_adoption_and_release(lab: Lab, kind: str) -> None:
    name = f"adopt-{kind.lower()}"
    resource = "apps/v1/replicasets" if kind == "ReplicaSet" else "replicationcontrollers"
    create(lab, "pods", kit.pod(name))
    create(lab, resource, replicated(kind, name, 1))
    until(lambda: owners(lab, name) == [kind], "it is adopted")
    lab.patch("pods", name, {"metadata": {"labels": {"app": "other"}}})
    until(lambda: owners(lab, name) == [], "it is released")
    running(lab, f"app={name}", 1)
    scale = lab.call("GET", path(resource, name) + "/scale")
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    scale["spec"]["replicas"] = 2
    assert replace(lab, resource, name, scale, "/scale")["spec"]["replicas"] == 2
    running(lab, f"app={name}", 2)
    lab.call("PATCH", path(resource, name) + "/scale", {"spec": {"replicas": 1}}, MERGE)
    running(lab, f"app={name}", 1)
    status = lab.call("GET", path(resource, name) + "/status")
    status["status"].setdefault("conditions", []).append(
        {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    )
    assert condition(replace(lab, resource, name, status, "/status"), "StatusUpdate")["reason"] == "E2E"
    delete(lab, resource, name)
    until(lambda: not lab.pods(f"app={name}"), "its pods are gone")


@pytest.mark.parametrize("kind", ["ReplicaSet", "ReplicationController"])
def test_quota_is_told_and_mended(lab: Lab, kind: str) -> None:
    name = f"quota-{kind.lower()}"
    resource = "apps/v1/replicasets" if kind == "ReplicaSet" else "replicationcontrollers"
    lab.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    quota = {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}}
    create(lab, "resourcequotas", quota, namespace=name)
    until(lambda: lab.get("resourcequotas", "two", name)["status"]["hard"] == {"pods": "2"}, "the quota is counted")
    until(lambda: lab.get("serviceaccounts", "default", name), "the account is there")
    tree = replicated(kind, name, 3)
    tree["metadata"]["namespace"] = name
    create(lab, resource, tree, namespace=name)
    told = until(lambda: condition(lab.get(resource, name, name), "ReplicaFailure"), "the failure is told")
    assert told["status"] == "True" and told["reason"] == "FailedCreate" and "exceeded quota: two" in told["message"]
    lab.patch(resource, name, {"spec": {"replicas": 2}}, name)
    until(lambda: not condition(lab.get(resource, name, name), "ReplicaFailure"), "it is over")
    lab.call("DELETE", f"/api/v1/namespaces/{name}")
    lab.gone("namespaces", name, "")


def test_deployment_recreate_rollover_and_history(lab: Lab) -> None:
    resource = "apps/v1/deployments"
    tree = replicated("Deployment", "d-recreate", 1, strategy={"type": "Recreate"}, revisionHistoryLimit=0)
    create(lab, resource, tree)
    lab.rolled_out("d-recreate")
    (old,) = running(lab, "app=d-recreate", 1)
    change = {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}}
    lab.patch(resource, "d-recreate", change)
    lab.rolled_out("d-recreate")
    (new,) = running(lab, "app=d-recreate", 1)
    assert new["metadata"]["name"] != old["metadata"]["name"]
    sets = lambda: lab.call("GET", path("apps/v1/replicasets") + "?labelSelector=app%3Dd-recreate")["items"]  # noqa: E731
    until(lambda: len(sets()) == 1, "the old set is cleaned up")
    # proportional scaling: a rollout stuck on an image that is not there, then more replicas
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    create(lab, resource, replicated("Deployment", "d-prop", 10, strategy=rolling))
    lab.rolled_out("d-prop")
    container = {**kit.container(), "image": "localhost/none:404", "imagePullPolicy": "Never"}
    lab.patch(resource, "d-prop", {"spec": {"template": {"spec": {"containers": [container]}}}})

    def sizes() -> list[tuple[int, int]]:
        items = lab.call("GET", path("apps/v1/replicasets") + "?labelSelector=app%3Dd-prop")["items"]
        return sorted((i["spec"]["replicas"], i["status"].get("availableReplicas", 0)) for i in items)

    until(lambda: sizes() == [(5, 0), (8, 8)], "8 stay, 5 are tried")
    lab.patch(resource, "d-prop", {"spec": {"replicas": 30}})
    until(lambda: [n for n, _ in sizes()] == [13, 20], "the 33 are shared out as 20 and 13")
    # rollover
    lab.patch(resource, "d-prop", {"spec": {"replicas": 4, "template": {"spec": {"containers": [kit.container()]}}}})
    lab.rolled_out("d-prop")
    orphaned = lab.call("GET", path("apps/v1/replicasets") + "?labelSelector=app%3Dd-prop")["items"]
    delete(lab, resource, "d-prop", "Orphan")
    lab.gone(resource, "d-prop")
    for item in orphaned:
        left = lab.get("apps/v1/replicasets", item["metadata"]["name"])
        assert "ownerReferences" not in left["metadata"] and "deletionTimestamp" not in left["metadata"]
        delete(lab, "apps/v1/replicasets", item["metadata"]["name"])
    delete(lab, resource, "d-recreate")


def test_stateful_set_order_canary_and_rollback(lab: Lab) -> None:
    resource, name = "apps/v1/statefulsets", "ss"
    probe = {"exec": {"command": ["test", "-e", "/tmp/ok"]}, "periodSeconds": 1}
    main = kit.container("touch /tmp/ok; trap 'exit 0' TERM; sleep 100000 & wait", readinessProbe=probe)
    lab.apply(kit.service("ss", clusterIP="None"))
    created = create(lab, resource, replicated("StatefulSet", name, 3, main, serviceName="ss"))
    assert created["spec"]["podManagementPolicy"] == "OrderedReady"
    pods = {p["metadata"]["name"]: p for p in running(lab, "app=ss", 3)}
    assert sorted(pods) == ["ss-0", "ss-1", "ss-2"]
    starts = [pods[f"ss-{i}"]["metadata"]["creationTimestamp"] for i in range(3)]
    assert starts == sorted(starts)
    first = lab.get(resource, name)["status"]["currentRevision"]
    # unhealthy pods halt scaling
    lab.sh("ss-1", "rm /tmp/ok")
    until(lambda: not kit.is_ready(lab.get("pods", "ss-1")), "ss-1 is not ready")
    lab.call("PATCH", path(resource, name) + "/scale", {"spec": {"replicas": 4}}, MERGE)
    until(lambda: lab.get(resource, name)["status"]["observedGeneration"] == 2, "it is seen")
    with pytest.raises(Missing):
        lab.get("pods", "ss-3")
    lab.sh("ss-1", "touch /tmp/ok")
    running(lab, "app=ss", 4)
    lab.patch(resource, name, {"spec": {"replicas": 3}})
    running(lab, "app=ss", 3)
    # canary, then phased
    change = {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}}
    change["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    lab.patch(resource, name, change)
    revision = lambda pod: lab.get("pods", pod)["metadata"]["labels"]["controller-revision-hash"]  # noqa: E731
    second = until(lambda: (r := lab.get(resource, name)["status"]["updateRevision"]) != first and r, "a new revision")
    until(lambda: revision("ss-2") == second and running(lab, "app=ss", 3), "the canary is out")
    assert [revision("ss-0"), revision("ss-1")] == [first, first]
    delete(lab, "pods", "ss-0", grace=0)
    delete(lab, "pods", "ss-2", grace=0)
    until(lambda: [revision(f"ss-{i}") for i in range(3)] == [first, first, second], "restored by partition")
    running(lab, "app=ss", 3)
    lab.patch(resource, name, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    until(lambda: lab.get(resource, name)["status"]["currentRevision"] == second, "all are updated")
    lab.patch(resource, name, {"spec": {"template": {"metadata": {"annotations": {"v": None}}}}})
    until(lambda: lab.get(resource, name)["status"]["currentRevision"] == first, "rolled back to the first revision")
    # evicted pods come back
    uid = lab.get("pods", "ss-0")["metadata"]["uid"]
    body = {"status": {"phase": "Failed", "reason": "Evicted"}}
    lab.call("PATCH", path("pods", "ss-0") + "/status", body, MERGE)
    until(lambda: lab.get("pods", "ss-0")["metadata"]["uid"] != uid, "the failed pod is made anew")
    lab.patch(resource, name, {"spec": {"replicas": 0}})
    running(lab, "app=ss", 0)
    delete(lab, resource, name)


def test_stateful_set_bursts_through_unhealthy_pods(lab: Lab) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    tree = replicated("StatefulSet", "burst", 3, kit.container(readinessProbe=probe), podManagementPolicy="Parallel")
    create(lab, "apps/v1/statefulsets", tree)
    until(lambda: len(lab.pods("app=burst")) == 3, "all are made though none is ready")
    lab.patch("apps/v1/statefulsets", "burst", {"spec": {"replicas": 0}})
    until(lambda: not lab.pods("app=burst"), "and all go")
    delete(lab, "apps/v1/statefulsets", "burst")


def test_daemon_set(lab: Lab) -> None:
    resource, name = "apps/v1/daemonsets", "ds"
    node = lab.call("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    create(lab, resource, replicated("DaemonSet", name, 1))
    (pod,) = running(lab, "app=ds", 1)
    lab.call("PATCH", path("pods", pod["metadata"]["name"]) + "/status", {"status": {"phase": "Failed"}}, MERGE)
    lab.gone("pods", pod["metadata"]["name"])
    (pod,) = running(lab, "app=ds", 1)
    revisions = lambda: sorted(  # noqa: E731
        r["revision"] for r in lab.call("GET", path("apps/v1/controllerrevisions") + "?labelSelector=app%3Dds")["items"]
    )
    assert revisions() == [1]
    # a bad update is taken back without touching what runs
    lab.patch(resource, name, {"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1}}}})
    bad = {**kit.container(), "image": "localhost/foo:non-existent", "imagePullPolicy": "Never"}
    lab.patch(resource, name, {"spec": {"template": {"spec": {"containers": [bad]}}}})
    until(lambda: any("localhost" in p["spec"]["containers"][0]["image"] for p in lab.pods("app=ds")), "it is tried")
    assert revisions() == [1, 2]
    lab.patch(resource, name, {"spec": {"template": {"spec": {"containers": [kit.container()]}}}})
    running(lab, "app=ds", 1)
    until(lambda: revisions() == [2, 3], "the old revision counts again")
    # node selection
    lab.patch(resource, name, {"spec": {"template": {"spec": {"nodeSelector": {"color": "blue"}}}}})
    until(lambda: not lab.pods("app=ds"), "no node is blue")
    lab.patch("nodes", node, {"metadata": {"labels": {"color": "blue"}}}, "")
    running(lab, "app=ds", 1)
    lab.patch("nodes", node, {"metadata": {"labels": {"color": "green"}}}, "")
    until(lambda: not lab.pods("app=ds"), "the node is not blue any more")
    lab.patch("nodes", node, {"metadata": {"labels": {"color": None}}}, "")
    delete(lab, resource, name)


def test_jobs(lab: Lab) -> None:
    resource = "batch/v1/jobs"
    policy = {
        "rules": [
            {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [1]}},
        ]
    }
    ignore = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
    create(lab, resource, job("j-adopt", "sleep 100000", parallelism=2, completions=2))
    create(
        lab,
        resource,
        job(
            "j-index", '[ "$JOB_COMPLETION_INDEX" ] && hostname', completionMode="Indexed", completions=3, parallelism=2
        ),
    )
    create(lab, resource, job("j-early", "exit 1", backoffLimit=6, podFailurePolicy=policy))
    create(
        lab,
        resource,
        job("j-evict", "trap 'exit 1' TERM; sleep 100000 & wait", backoffLimit=0, podFailurePolicy=ignore),
    )
    local = job("j-local", "[ -e /v/f ] || { touch /v/f; exit 1; }", restart="OnFailure", completions=2, parallelism=2)
    local["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    local["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    create(lab, resource, local)
    suspended = create(lab, resource, job("j-later", "true", suspend=True))
    assert suspended["spec"]["suspend"] is True

    pods = running(lab, "job-name=j-adopt", 2)
    victim = pods[0]["metadata"]["name"]
    lab.patch("pods", victim, {"metadata": {"ownerReferences": None}})
    until(lambda: owners(lab, victim) == ["Job"], "the orphan is adopted again")
    lab.patch("pods", victim, {"metadata": {"labels": None}})
    until(lambda: owners(lab, victim) == [], "the pod without labels is released")
    delete(lab, resource, "j-adopt")

    finished = until(lambda: condition(lab.get(resource, "j-index"), "Complete") and lab.get(resource, "j-index"), "")
    assert finished["status"]["completedIndexes"] == "0-2" and finished["status"]["succeeded"] == 3
    indexed = lab.pods("job-name=j-index")
    found = {p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]: p for p in indexed}
    assert sorted(found) == ["0", "1", "2"]
    for index, pod in found.items():
        assert pod["spec"]["hostname"] == f"j-index-{index}"
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == index
        assert lab.kubectl("logs", pod["metadata"]["name"]).strip() == f"j-index-{index}"

    early = until(lambda: condition(lab.get(resource, "j-early"), "Failed"), "the job fails at once")
    assert early["reason"] == "PodFailurePolicy"
    assert "exit code 1 matching FailJob rule at index 0" in early["message"]
    until(lambda: condition(lab.get(resource, "j-local"), "Complete"), "restarted in place, it completes")
    assert [kit.container_status(p)["restartCount"] for p in lab.pods("job-name=j-local")] == [1, 1]

    (pod,) = running(lab, "job-name=j-evict", 1)
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    lab.call("POST", path("pods", name) + "/eviction", eviction)
    until(lambda: [p for p in lab.pods("job-name=j-evict") if p["metadata"]["name"] != name], "another pod follows")
    assert not condition(lab.get(resource, "j-evict"), "Failed")
    lab.patch(resource, "j-later", {"spec": {"suspend": False}})
    until(lambda: condition(lab.get(resource, "j-later"), "Complete"), "resumed, it completes")
    lab.call("PATCH", path(resource, "j-evict") + "/status", {"metadata": {"annotations": {"p": "s"}}}, MERGE)
    delete(lab, resource, "j-evict", "Foreground")
    lab.gone(resource, "j-evict")


def test_disruption_budget(lab: Lab) -> None:
    create(lab, "apps/v1/replicasets", replicated("ReplicaSet", "pdb", 2))
    pods = running(lab, "app=pdb", 2)
    budget = {"metadata": {"name": "pdb"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "pdb"}}}}
    create(lab, "policy/v1/poddisruptionbudgets", budget)
    until(lambda: lab.get("policy/v1/poddisruptionbudgets", "pdb")["status"]["currentHealthy"] == 2, "it is counted")
    name = pods[0]["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    error = refused(lambda: lab.call("POST", path("pods", name) + "/eviction", eviction))
    assert error.code == 429 and '"DisruptionBudget"' in str(error)
    lab.patch("policy/v1/poddisruptionbudgets", "pdb", {"spec": {"minAvailable": 1}})
    until(lambda: lab.get("policy/v1/poddisruptionbudgets", "pdb")["status"]["disruptionsAllowed"] == 1, "one may go")
    lab.call("POST", path("pods", name) + "/eviction", eviction)
    lab.gone("pods", name)
    delete(lab, "policy/v1/poddisruptionbudgets", "pdb")
    delete(lab, "apps/v1/replicasets", "pdb")


# garbage collection


def test_garbage_collection(lab: Lab) -> None:
    rc, names = "replicationcontrollers", ["gc-one", "gc-two"]
    for name in names:
        create(lab, rc, replicated("ReplicationController", name, 4 if name == "gc-one" else 0))
    pods = running(lab, "app=gc-one", 4)
    other = lab.get(rc, "gc-two")["metadata"]
    second = {"apiVersion": "v1", "kind": "ReplicationController", "name": "gc-two", "uid": other["uid"]}
    kept = sorted(p["metadata"]["name"] for p in pods[:2])
    for name in kept:
        mine = lab.get("pods", name)["metadata"]["ownerReferences"]
        lab.patch("pods", name, {"metadata": {"ownerReferences": [*mine, second]}})
    delete(lab, rc, "gc-one", "Foreground")
    lab.gone(rc, "gc-one")
    left = lab.pods("app=gc-one")
    assert sorted(p["metadata"]["name"] for p in left) == kept
    assert not any("deletionTimestamp" in p["metadata"] for p in left)
    delete(lab, rc, "gc-two")
    until(lambda: not lab.pods("app=gc-one"), "the last owner took them along")
    # a circle of owners
    uids = {n: create(lab, "pods", kit.pod(f"gc-{n}"))["metadata"]["uid"] for n in "abc"}
    for mine, owner in ("ac", "ba", "cb"):
        reference = {"apiVersion": "v1", "kind": "Pod", "name": f"gc-{owner}", "uid": uids[owner]}
        reference |= {"controller": True, "blockOwnerDeletion": True}
        lab.patch("pods", f"gc-{mine}", {"metadata": {"ownerReferences": [reference]}})
    delete(lab, "pods", "gc-a", "Foreground")
    for name in "abc":
        lab.gone("pods", f"gc-{name}")


# scheduling


def test_preemption_and_ports(lab: Lab) -> None:
    node = lab.call("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    address = lab.get("nodes", node, "")["status"]["addresses"][0]["address"]
    resource = "scheduling.k8s.io/foo"
    for kind in ("capacity", "allocatable"):
        lab.call("PATCH", f"/api/v1/nodes/{node}/status", {"status": {kind: {resource: "5"}}}, MERGE)
    for name, value in (("t-low", 1), ("t-high", 1000)):
        body = {"metadata": {"name": name}, "value": value}
        create(lab, "scheduling.k8s.io/v1/priorityclasses", body, namespace="")
    error = refused(lambda: lab.patch("scheduling.k8s.io/v1/priorityclasses", "t-low", {"value": 2}, ""))
    assert error.code == 422 and "may not be changed in an update" in str(error)

    def greedy(name: str, level: str, count: str = "5", **more: Any) -> Tree:
        tree = kit.pod(name, kit.container(resources={"limits": {resource: count}}), priorityClassName=level)
        tree["metadata"].update(more)
        return tree

    create(lab, "pods", greedy("t-victim", "t-low", finalizers=["example.com/test-finalizer"]))
    lab.ready("t-victim")
    create(lab, "pods", greedy("t-winner", "t-high"))
    hit = until(lambda: condition(lab.get("pods", "t-victim"), "DisruptionTarget"), "the victim is told")
    assert (hit["status"], hit["reason"]) == ("True", "PreemptionByScheduler")
    assert hit["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
    lab.patch("pods", "t-victim", {"metadata": {"finalizers": None}})
    lab.ready("t-winner")
    create(lab, "pods", greedy("t-too-much", "t-low", "9"))
    told = until(lambda: condition(lab.get("pods", "t-too-much"), "PodScheduled").get("message"), "it is told")
    assert told.startswith(f"0/1 nodes are available: 1 Insufficient {resource}.")
    create(lab, "pods", kit.pod("t-selector", nodeSelector={"label": "nonempty"}))
    told = until(lambda: condition(lab.get("pods", "t-selector"), "PodScheduled").get("message"), "it is told")
    assert told.startswith("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")

    def ported(name: str, ip: str, protocol: str = "TCP") -> Tree:
        port = {"containerPort": 80, "hostPort": 54323, "protocol": protocol, **({"hostIP": ip} if ip else {})}
        return kit.pod(name, kit.container(ports=[port]))

    for name, ip, protocol in (("t-p1", "127.0.0.1", "TCP"), ("t-p2", address, "TCP"), ("t-p3", address, "UDP")):
        create(lab, "pods", ported(name, ip, protocol))
        lab.ready(name)
    create(lab, "pods", ported("t-p4", ""))
    told = until(lambda: condition(lab.get("pods", "t-p4"), "PodScheduled").get("message"), "it is told")
    assert told.startswith("0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.")
    for name in ("winner", "too-much", "selector", "p1", "p2", "p3", "p4"):
        delete(lab, "pods", f"t-{name}", grace=0)
    for kind in ("capacity", "allocatable"):
        lab.call("PATCH", f"/api/v1/nodes/{node}/status", {"status": {kind: {resource: None}}}, MERGE)
