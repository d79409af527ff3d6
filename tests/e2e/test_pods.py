"""What one pod can ask for, through the whole system: files, order, probes, hooks, endings, and honest failures."""

from __future__ import annotations

import time

import pytest

from tests.e2e.lab import (
    Lab,
    Tree,
    config_map,
    container,
    container_status,
    is_ready,
    metadata,
    pod,
    secret,
    until,
)

pytestmark = pytest.mark.e2e


def waiting(lab: Lab, name: str, container_name: str = "") -> Tree:
    found: Tree = container_status(lab.get("pods", name), container_name)["state"].get("waiting", {})
    return found


def events(lab: Lab, name: str) -> list[tuple[str, str]]:
    items = lab.call("GET", f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D{name}")["items"]
    return [(item["reason"], item["message"]) for item in items]


def test_volumes_follow_their_sources(lab: Lab) -> None:
    volumes = [
        {"name": "cm", "configMap": {"name": "settings"}},
        {"name": "secret", "secret": {"secretName": "hidden"}},
        {"name": "empty", "emptyDir": {}},
        {"name": "host", "hostPath": {"path": "/etc/hostname", "type": "File"}},
        {"name": "down", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {
            "name": "all",
            "projected": {
                "sources": [
                    {"configMap": {"name": "settings", "items": [{"key": "color", "path": "c/color"}]}},
                    {"secret": {"name": "hidden"}},
                    {"serviceAccountToken": {"path": "token", "audience": "someone", "expirationSeconds": 3600}},
                    {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                ]
            },
        },
    ]
    mounts = [{"name": v["name"], "mountPath": f"/v/{v['name']}"} for v in volumes]
    lab.apply(config_map("settings", color="red"), secret("hidden", word="psst"))
    lab.apply(pod("files", container(volumeMounts=mounts), volumes=volumes))
    lab.ready("files")
    read = "cat /v/cm/color /v/secret/word /v/all/c/color /v/all/word /v/all/name; echo; cat /v/down/labels"
    assert lab.sh("files", read) == 'redpsstredpsstfiles\napp="files"'
    assert len(lab.sh("files", "cat /v/all/token").split(".")) == 3
    assert lab.sh("files", "echo kept > /v/empty/x; cat /v/empty/x /v/host | wc -l").strip() == "2"
    lab.patch("configmaps", "settings", {"data": {"color": "blue"}})
    lab.patch("secrets", "hidden", {"stringData": {"word": "hush"}})
    lab.patch("pods", "files", {"metadata": {"labels": {"app": "changed"}}})
    new = 'bluehushbluehushfiles\napp="changed"'
    until(lambda: lab.sh("files", read) == new, "the files follow", 20)
    lab.kubectl("delete", "pod/files", "configmap/settings", "secret/hidden")


def test_init_containers_and_sidecar(lab: Lab) -> None:
    share = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    lab.apply(
        pod(
            "steps",
            container("cat /v/log; exit 0", **share),
            restartPolicy="Never",
            volumes=[{"name": "v", "emptyDir": {}}],
            initContainers=[
                container("echo one >> /v/log", name="one", **share),
                container("echo side >> /v/log; sleep 1000 & wait", name="side", restartPolicy="Always", **share),
                container("sleep 0.2; echo two >> /v/log", name="two", **share)
                | {"command": ["sh", "-c", "sleep 0.2; echo two >> /v/log"]},
            ],
        )
    )
    found = until(lambda: (p := lab.get("pods", "steps"))["status"].get("phase") == "Succeeded" and p, "it succeeds")
    assert lab.kubectl("logs", "steps") == "one\nside\ntwo\n"
    states = {c["name"]: c["state"] for c in found["status"]["initContainerStatuses"]}
    assert all("terminated" in state for state in states.values())
    assert states["one"]["terminated"]["exitCode"] == 0
    lab.kubectl("delete", "pod", "steps")


def test_probes_and_hooks(lab: Lab) -> None:
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo started > /tmp/hook"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /proc/1/fd/1; sleep 0.5"]}},
    }
    alive = {"exec": {"command": ["test", "!", "-e", "/tmp/dead"]}, "periodSeconds": 1, "failureThreshold": 1}
    startup = {"exec": {"command": ["test", "-e", "/tmp/hook"]}, "periodSeconds": 1, "failureThreshold": 30}
    ready = {"tcpSocket": {"port": 80}, "periodSeconds": 1}
    script = "trap 'echo asked; exit 0' TERM; httpd -p 80 -h /tmp; while true; do sleep 0.1; done"
    lab.apply(
        pod(
            "probed",
            container(script, lifecycle=hooks, livenessProbe=alive, startupProbe=startup, readinessProbe=ready),
        )
    )
    lab.ready("probed")
    lab.sh("probed", "touch /tmp/dead")

    def again() -> bool:
        found = lab.get("pods", "probed")
        return container_status(found)["restartCount"] == 1 and is_ready(found)

    until(again, "the liveness probe has it started anew")
    assert [text for reason, text in events(lab, "probed") if reason == "Killing"] == [
        "Container main failed liveness probe, will be restarted"
    ]
    assert any(reason == "Unhealthy" and "Liveness probe failed" in text for reason, text in events(lab, "probed"))
    follow = lab.start_kubectl("logs", "-f", "probed")
    lab.kubectl("delete", "pod", "probed", "--wait=true")
    out, _ = follow.communicate(timeout=20)
    assert out.decode().split() == ["stopping", "asked"]


def test_termination_grace(lab: Lab) -> None:
    deaf = container("trap '' TERM; while true; do sleep 0.1; done")
    lab.apply(pod("deaf", deaf, terminationGracePeriodSeconds=2))
    lab.ready("deaf")
    began = time.monotonic()
    lab.kubectl("delete", "pod", "deaf", "--wait=false")
    found = lab.get("pods", "deaf")
    assert found["metadata"]["deletionGracePeriodSeconds"] == 2
    lab.gone("pods", "deaf")
    assert 1.5 < time.monotonic() - began < 15
    lab.apply(pod("deaf", deaf, terminationGracePeriodSeconds=600))
    lab.ready("deaf")
    lab.kubectl("delete", "pod", "deaf", "--grace-period=0", "--force")
    lab.gone("pods", "deaf", seconds=10)


def test_crash_loop(lab: Lab) -> None:
    lab.apply(pod("crash", container("echo dying; exit 3")))
    until(lambda: waiting(lab, "crash").get("reason") == "CrashLoopBackOff", "CrashLoopBackOff")
    found = lab.get("pods", "crash")
    uid = found["metadata"]["uid"]
    message = waiting(lab, "crash")["message"]
    assert message == f"back-off 10s restarting failed container=main pod=crash_default({uid})"
    last = container_status(found)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (3, "Error")
    assert lab.kubectl("logs", "crash", "--previous") == "dying\n"
    assert lab.kubectl("get", "pod", "crash", "--no-headers").split()[1:3] == ["0/1", "CrashLoopBackOff"]
    assert ("BackOff", f"Back-off restarting failed container main in pod crash_default({uid})") in events(lab, "crash")
    lab.kubectl("delete", "pod", "crash", "--wait=false")


def test_image_that_does_not_exist(lab: Lab) -> None:
    lab.apply(pod("noimage", container(image="127.0.0.1:1/nothing:here")))
    until(lambda: waiting(lab, "noimage").get("reason") == "ErrImagePull", "ErrImagePull")
    until(lambda: waiting(lab, "noimage").get("reason") == "ImagePullBackOff", "ImagePullBackOff")
    assert waiting(lab, "noimage")["message"].startswith('Back-off pulling image "127.0.0.1:1/nothing:here"')
    reasons = [reason for reason, _ in events(lab, "noimage")]
    assert {"Pulling", "Failed", "BackOff"} <= set(reasons)
    lab.apply(pod("never", container(image="absent:1", imagePullPolicy="Never")))
    until(lambda: waiting(lab, "never").get("reason") == "ErrImageNeverPull", "ErrImageNeverPull")
    assert waiting(lab, "never")["message"] == 'Container image "absent:1" is not present with pull policy of Never'
    lab.kubectl("delete", "pod", "noimage", "never", "--wait=false")


def test_missing_config(lab: Lab) -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "a"}}}]
    lab.apply(pod("wants", container(env=env)))
    until(lambda: waiting(lab, "wants").get("reason") == "CreateContainerConfigError", "it says what it lacks")
    assert waiting(lab, "wants")["message"] == 'configmap "later" not found'
    lab.apply(config_map("later", a="1"))
    lab.ready("wants")
    lab.kubectl("delete", "pod/wants", "configmap/later")


def test_pod_larger_than_the_node(lab: Lab) -> None:
    lab.apply(pod("huge", container(resources={"requests": {"cpu": "900", "memory": "9000Gi"}})))

    def condition() -> Tree | None:
        conditions = lab.get("pods", "huge").get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == "PodScheduled"), None)

    found = until(condition, "it is refused")
    assert (found["status"], found["reason"]) == ("False", "Unschedulable")
    text = "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."
    assert found["message"].startswith(text)
    until(lambda: any(r == "FailedScheduling" and m.startswith(text) for r, m in events(lab, "huge")), "the event")
    lab.kubectl("delete", "pod", "huge")


def test_job_with_backoff(lab: Lab) -> None:
    lab.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata("sum"),
            "spec": {
                "completions": 3,
                "parallelism": 2,
                "template": {"spec": {"restartPolicy": "Never", "containers": [container("expr 1 + 1")]}},
            },
        }
    )
    lab.kubectl("wait", "--for=condition=complete", "job/sum", "--timeout=60s")
    assert lab.get("batch/v1/jobs", "sum")["status"]["succeeded"] == 3
    assert lab.kubectl("logs", "job/sum") == "2\n"
    lab.kubectl("delete", "job", "sum")
