"""The answer for each kind of trouble: what it says, and what it advises."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.custom import Custom
from pelamis.api.kind import Kind
from pelamis.why.answer import ANALYSES, answer
from pelamis.why.cause import Cause, render, roots
from pelamis.why.cause import tree as as_json
from pelamis.why.overview import overview
from pelamis.why.world import NotLoaded, World

from .make import HOUR_AGO, MINUTE_AGO, event, node, pod, tree, why, world


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error", **more: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": HOUR_AGO, "finishedAt": HOUR_AGO, **more}}


def crash(code: int, reason: str = "Error", **more: Any) -> dict[str, Any]:
    return pod("p", ready=False, state=waiting("CrashLoopBackOff"), last=ended(code, reason), restarts=4, **more)


BIG = {"resources": {"requests": {"cpu": "8"}}}
PROBE = {"readinessProbe": {"httpGet": {"path": "/ok", "port": 80}}}
LIMIT = {"resources": {"limits": {"memory": "64Mi"}}}
WEB = {"app": "web"}


def deployment(replicas: int = 2, available: int = 1, updated: int = 2, **more: Any) -> dict[str, Any]:
    status = {
        "observedGeneration": 1,
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": available,
        "availableReplicas": available,
        "conditions": more.pop("conditions", []),
    }
    template = {"metadata": {"labels": WEB}, "spec": {"containers": []}}
    spec = {"replicas": replicas, "selector": {"matchLabels": WEB}, "template": template, **more.pop("spec", {})}
    return tree("deployment", "web", meta={"generation": more.pop("generation", 1)}, spec=spec, status=status)


def replicaset(
    replicas: int = 2, ready: int = 1, revision: str = "1", name: str = "web-1", **more: Any
) -> dict[str, Any]:
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": WEB},
        "template": {"metadata": {}, "spec": {"containers": []}},
    }
    status = {"replicas": replicas, "readyReplicas": ready, "availableReplicas": ready, **more.pop("status", {})}
    meta = {"annotations": {"deployment.kubernetes.io/revision": revision}}
    return tree("replicaset", name, owner="Deployment/web", meta=meta, spec=spec, status=status)


def claim(name: str = "data", phase: str = "Pending", **spec: Any) -> dict[str, Any]:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}, **spec}
    return tree("persistentvolumeclaim", name, spec=wanted, status={"phase": phase})


def volume(name: str, size: str = "5Gi", of: str = "", **spec: Any) -> dict[str, Any]:
    own = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": of, **spec}
    return tree("persistentvolume", name, spec=own, status={"phase": "Available"})


def service(selector: dict[str, str], port: Any = 80, **spec: Any) -> dict[str, Any]:
    return tree("service", "web", spec={"selector": selector, "ports": [{"port": 80, "targetPort": port}], **spec})


def endpoints(*addresses: str) -> dict[str, Any]:
    found = [{"addresses": [a], "conditions": {"ready": True}} for a in addresses]
    labels = {"kubernetes.io/service-name": "web"}
    return tree("endpointslice", "web-x", labels=labels, addressType="IPv4", endpoints=found)


def job(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return tree("job", "j", spec={"template": {"spec": {"containers": []}}, **spec}, status=status)


N = node()
CASES: dict[str, tuple[str, list[Any], list[str]]] = {
    "pod: well": ("pod/p", [N, pod("p")], ["pod/p: runs on n1 and is ready for 60m", "the only node of 1 that fits"]),
    "pod: no room": (
        "pod/p",
        [N, pod("p", "", container=BIG)],
        ["pod/p: the only node does not fit", "Insufficient cpu", "→ lower requests.cpu of container c from 8 to 4"],
    ),
    "pod: no nodes": ("pod/p", [pod("p", "")], ["the cluster has no nodes"]),
    "pod: gates": (
        "pod/p",
        [N, pod("p", "", spec={"schedulingGates": [{"name": "a/b"}]})],
        ["its scheduling gates hold it: a/b", "kubectl patch pod p -n shop"],
    ),
    "pod: another scheduler": (
        "pod/p",
        [N, pod("p", "", spec={"schedulerName": "mine"})],
        ['asks for the scheduler "mine"', "(default-scheduler)"],
    ),
    "pod: no claim": (
        "pod/p",
        [N, pod("p", "", spec={"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]})],
        ["→ create the PersistentVolumeClaim data", "└ pvc/data: does not exist"],
    ),
    "pod: claim without class": (
        "pod/p",
        [
            N,
            claim(storageClassName="fast"),
            pod("p", "", spec={"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}),
        ],
        ["create the StorageClass fast", '└ pvc/data: its StorageClass "fast" does not exist'],
    ),
    "pod: its node is gone": ("pod/p", [pod("p", "n9")], ["its node n9 does not exist", "--force"]),
    "pod: its node is not ready": (
        "pod/p",
        [node(ready="Unknown"), pod("p")],
        ["its node n1 is not ready", "node/n1: has not been heard of for 60m: kubelet stopped"],
    ),
    "pod: image": (
        "pod/p",
        [
            N,
            pod("p", ready=False, state=waiting("ImagePullBackOff", 'Back-off pulling image "img"')),
            event("pod/p", "Failed", 'Failed to pull image "img": not found'),
        ],
        ['its image "img" cannot be pulled (ImagePullBackOff)', "not found", "there is no such image or tag"],
    ),
    "pod: registry": (
        "pod/p",
        [N, pod("p", ready=False, state=waiting("ErrImagePull", "dial tcp: lookup x: no such host"))],
        ["the node does not reach the registry", "pelamis image load"],
    ),
    "pod: secret": (
        "pod/p",
        [N, pod("p", ready=False, state=waiting("CreateContainerConfigError", 'secret "s" not found'))],
        ['cannot be made (CreateContainerConfigError): secret "s" not found', "kubectl get secret -n shop"],
    ),
    "pod: mount": (
        "pod/p",
        [
            N,
            pod("p", ready=False, state=waiting("ContainerCreating")),
            event("pod/p", "FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "m" not found'),
        ],
        ["its node cannot set it up: FailedMount", "kubectl get configmap -n shop"],
    ),
    "pod: crash": (
        "pod/p",
        [N, crash(127)],
        [
            "ends again and again: 4 restarts",
            "the command is not in the image",
            "kubectl logs p -n shop -c c --previous",
        ],
    ),
    "pod: memory": (
        "pod/p",
        [N, crash(137, "OOMKilled", container=LIMIT)],
        ["more memory than its limit of 64Mi", "raise limits.memory"],
    ),
    "pod: ends well": ("pod/p", [N, crash(0, "Completed")], ["ended well (exit code 0)", "use a Job"]),
    "pod: signal": ("pod/p", [N, crash(138)], ["ended by signal 10"]),
    "pod: probe": (
        "pod/p",
        [
            N,
            pod("p", ready=False, container=PROBE),
            event("pod/p", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
        ],
        ["its readiness probe does not succeed (GET /ok on port 80)", "statuscode: 503"],
    ),
    "pod: init": (
        "pod/p",
        [
            N,
            pod(
                "p",
                ready=False,
                state=waiting("PodInitializing"),
                spec={"initContainers": [{"name": "i", "image": "img"}]},
                status={
                    "initContainerStatuses": [
                        {
                            "name": "i",
                            "state": {"running": {"startedAt": MINUTE_AGO}},
                            "lastState": {},
                            "ready": False,
                            "restartCount": 0,
                            "image": "img",
                            "imageID": "",
                        }
                    ]
                },
            ),
        ],
        ["init container i: has been running for 60s"],
    ),
    "pod: evicted": (
        "pod/p",
        [N, pod("p", phase="Failed", status={"reason": "Evicted", "message": "low on memory"})],
        ["has failed: Evicted: low on memory", "request what the pod really uses"],
    ),
    "pod: finalizers": (
        "pod/p",
        [N, pod("p", meta={"deletionTimestamp": MINUTE_AGO, "finalizers": ["a/b"]})],
        ["is being deleted and waits for its finalizers: a/b"],
    ),
    "deployment: well": (
        "deployment/web",
        [N, deployment(2, 2), replicaset(2, 2)],
        ["deployment/web: all 2 replicas are available"],
    ),
    "deployment: down to the image": (
        "deployment/web",
        [
            N,
            deployment(3, 1, 3),
            replicaset(3, 1),
            pod("web-1-a", owner="ReplicaSet/web-1"),
            pod("web-1-b", ready=False, owner="ReplicaSet/web-1", state=waiting("ErrImagePull", "not found")),
            pod("web-1-c", ready=False, owner="ReplicaSet/web-1", state=waiting("ErrImagePull", "not found")),
        ],
        [
            "deployment/web: 1 of 3 replicas are available",
            "└ replicaset/web-1: 1 of 3 pods are ready",
            "└ pod/web-1-b (and web-1-c): 0 of 1 containers are ready",
            "kubectl edit deployment web -n shop",
        ],
    ),
    "deployment: deadline": (
        "deployment/web",
        [
            N,
            deployment(
                2,
                1,
                1,
                conditions=[{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
                spec={"progressDeadlineSeconds": 600},
            ),
            replicaset(2, 2),
            replicaset(1, 0, "2", "web-2"),
        ],
        ["no progress within 600 s", "kubectl rollout undo deployment web -n shop"],
    ),
    "deployment: paused": (
        "deployment/web",
        [deployment(2, 2, spec={"paused": True}), replicaset(2, 2)],
        ["it is paused", "kubectl rollout resume"],
    ),
    "deployment: nobody looked": ("deployment/web", [deployment(generation=2)], ["has not been looked at"]),
    "deployment: quota": (
        "deployment/web",
        [
            N,
            deployment(2, 0, 0),
            replicaset(
                2,
                0,
                status={
                    "replicas": 0,
                    "conditions": [
                        {
                            "type": "ReplicaFailure",
                            "status": "True",
                            "reason": "FailedCreate",
                            "message": 'pods "x" is forbidden: exceeded quota: q, requested: pods=1',
                        }
                    ],
                },
            ),
            tree("resourcequota", "q", status={"hard": {"pods": "1"}, "used": {"pods": "1"}}),
        ],
        ["quota: pods", "pods: 1 of 1 used", "kubectl describe quota -n shop"],
    ),
    "statefulset": (
        "statefulset/db",
        [
            N,
            tree(
                "statefulset",
                "db",
                spec={"replicas": 3, "serviceName": "db", "selector": {}, "template": {"spec": {"containers": []}}},
                status={"replicas": 2, "readyReplicas": 1},
            ),
            pod("db-0", owner="StatefulSet/db"),
            pod("db-1", ready=False, owner="StatefulSet/db", state=waiting("ErrImagePull", "not found")),
        ],
        ["statefulset/db: 1 of 3 pods are ready", "those after db-1 wait for it", "└ pod/db-1"],
    ),
    "daemonset without nodes": (
        "daemonset/d",
        [
            N,
            tree(
                "daemonset",
                "d",
                spec={"selector": {}, "template": {"spec": {"containers": [], "nodeSelector": {"gpu": "yes"}}}},
            ),
        ],
        ["none of the 1 nodes should have a pod of it", "its nodeSelector gpu=yes selects 0 nodes"],
    ),
    "job: failed": (
        "job/j",
        [
            N,
            job({"failed": 1, "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}),
            pod("j-a", owner="Job/j", phase="Failed", state=ended(3)),
        ],
        ["has failed: its pods failed more often", "container c: exit code 3", "kubectl logs j-a -n shop -c c"],
    ),
    "job: suspended": ("job/j", [job({}, suspend=True)], ["is suspended", '{"spec":{"suspend":false}}']),
    "job: complete": (
        "job/j",
        [job({"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]})],
        ["has completed"],
    ),
    "cronjob": (
        "cronjob/c",
        [tree("cronjob", "c", spec={"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {}})],
        ["is suspended", 'its schedule is "0 3 * * *"'],
    ),
    "claim: no default class": (
        "pvc/data",
        [claim()],
        ["names no StorageClass, and there is no default one", "is-default-class=true"],
    ),
    "claim: volumes that do not fit": (
        "pvc/data",
        [claim(storageClassName=""), volume("small", "1Gi"), volume("other", "9Gi", "slow")],
        ["pv/small: does not fit: it has 1Gi of 5Gi", 'pv/other: does not fit: its class is "slow"'],
    ),
    "claim: first consumer": (
        "pvc/data",
        [
            claim(storageClassName="local"),
            tree("storageclass", "local", provisioner="x", volumeBindingMode="WaitForFirstConsumer"),
        ],
        ["waits for a pod that uses it"],
    ),
    "claim: provisioner": (
        "pvc/data",
        [
            claim(storageClassName="fast"),
            tree("storageclass", "fast", provisioner="disks.example.com"),
            event("persistentvolumeclaim/data", "ProvisioningFailed", "quota of disks"),
        ],
        ['waits for the provisioner "disks.example.com"', "event ProvisioningFailed: quota of disks"],
    ),
    "claim: lost": ("pvc/data", [claim(phase="Lost", volumeName="v")], ["its volume v is gone"]),
    "service: well": (
        "service/web",
        [N, service(WEB), pod("p", labels=WEB), endpoints("10.0.0.1")],
        ["leads to 1 of the 1 pods that app=web selects"],
    ),
    "service: somebody else's": (
        "service/dns",
        [tree("service", "dns", labels={"service.kubernetes.io/service-proxy-name": "agents"}, spec={})],
        ["is answered by somebody else than service proxies: agents"],
    ),
    "service: nearest labels": (
        "service/web",
        [N, service({"app": "wep"}), pod("p", labels=WEB)],
        ["its selector app=wep selects no pod", "pod/p: comes near, but app=web"],
    ),
    "service: another namespace": (
        "service/web",
        [N, service(WEB), pod("p", labels=WEB, namespace="other")],
        ["there are such pods in other"],
    ),
    "service: not ready": (
        "service/web",
        [N, service(WEB), pod("p", ready=False, labels=WEB, container=PROBE)],
        ["none of the 1 pods that app=web selects is ready", "its readiness probe"],
    ),
    "service: port name": (
        "service/web",
        [
            N,
            service(WEB, "htp"),
            pod("p", labels=WEB, container={"ports": [{"name": "http", "containerPort": 80}]}),
            endpoints(),
        ],
        ['its targetPort "htp" is no name of a container port of the pods (there are: http)'],
    ),
    "service: port number": (
        "service/web",
        [
            N,
            service(WEB, 8080),
            pod("p", labels=WEB, container={"ports": [{"containerPort": 80}]}),
            endpoints("1.1.1.1"),
        ],
        ["it leads to port 8080, and the containers declare 80"],
    ),
    "node: cordoned": (
        "node/n1",
        [node(spec={"unschedulable": True})],
        ["is ready but cordoned", "kubectl uncordon n1"],
    ),
    "node: pressure": (
        "node/n1",
        [
            node(
                conditions=[
                    {"type": "DiskPressure", "status": "True", "reason": "Full", "lastTransitionTime": HOUR_AGO}
                ]
            )
        ],
        ["short of something", "DiskPressure since 60m: Full", "free disk space"],
    ),
    "anything": (
        "namespace/shop",
        [
            tree(
                "namespace",
                "shop",
                meta={"deletionTimestamp": MINUTE_AGO},
                spec={"finalizers": ["kubernetes"]},
                status={"conditions": [{"type": "NamespaceContentRemaining", "status": "True", "message": "2 left"}]},
            )
        ],
        ["is being deleted, and waits for its finalizers kubernetes"],
    ),
}


@pytest.mark.parametrize("target,objects,expected", CASES.values(), ids=list(CASES))
def test_answers(target: str, objects: list[Any], expected: list[str]) -> None:
    shown = render(why(target, *objects))
    for text in expected:
        assert text in shown, shown


def test_well_means_ok() -> None:
    assert why("pod/p", N, pod("p")).ok
    assert not why("pod/p", N, pod("p", "", container=BIG)).ok
    assert why("service/web", N, service(WEB), pod("p", labels=WEB), endpoints("10.0.0.1")).ok


def test_many_nodes_stay_readable() -> None:
    nodes = [node(f"n{i:04}") for i in range(300)]
    shown = render(why("pod/p", *nodes, pod("p", "", container=BIG)))
    assert len(shown.splitlines()) < 12 and "300  n0000, n0001 … n0299" in shown


def test_json_has_every_node() -> None:
    found = as_json(why("pod/p", N, node("n2", cpu="16"), pod("p", "", container=BIG)))
    nodes = {n["name"]: n for n in found["data"]["nodes"]}
    assert not nodes["n1"]["fits"] and nodes["n1"]["objections"][0]["plugin"] == "NodeResourcesFit"
    assert nodes["n2"]["fits"] and {s["plugin"] for s in nodes["n2"]["scores"]} >= {"NodeResourcesFit", "ImageLocality"}


def test_overview_tells_what_is_wrong_and_only_that() -> None:
    objects = [N, deployment(2, 2), replicaset(2, 2), claim(), pod("p"), service(WEB)]
    found = overview(world(*objects), "shop")
    assert [c.about for c in found.deeper] == ["pvc/data", "service/web"]
    assert overview(world(N, pod("p")), "shop").ok


def test_an_api_on_loopback_is_missed_by_containers_alone() -> None:
    api = tree("service", "kubernetes", namespace="default", spec={})
    assert overview(world(node(labels={"hollow.pelamis.dev/node": "true"}), api), "default").ok
    shown = render(overview(world(N, api), "default"))
    assert "the API server listens where only this machine reaches it" in shown and "--advertise-address" in shown


def test_what_is_not_loaded_is_asked_for() -> None:
    empty = World(0.0)
    with pytest.raises(NotLoaded) as need:
        empty.get(POD, "shop", "p")
    assert (need.value.kind, need.value.namespace) == (POD, "shop")
    empty.load(POD, "shop", [])
    assert empty.get(POD, "shop", "p") is None
    with pytest.raises(NotLoaded):
        empty.all(POD)


def test_a_custom_resource() -> None:
    data = b'{"kind":"Tap","apiVersion":"a.b/v1","metadata":{"name":"t","namespace":"shop"},"status":{"conditions":'
    data += b'[{"type":"Ready","status":"False","message":"no water"}]}}'
    kind = Kind("a.b", "v1", Custom, "taps", "tap", True, ("get",), kind="Tap")
    shown = render(answer(world(), kind, Custom(data)))
    assert "tap/t: says that something is not" in shown and "Ready is False: no water" in shown


def test_roots() -> None:
    deep = Cause("a", "x", deeper=(Cause("b", "y"), Cause("c", "z", deeper=(Cause("d", "w"),))))
    assert [c.about for c in roots(deep)] == ["b", "d"]


def test_each_kind_has_a_case() -> None:
    covered = {name.partition(":")[0].split()[0] for name in CASES} | {"replicaset", "persistentvolumeclaim"}
    assert {k.singular for k in ANALYSES} <= covered


def test_devices_that_a_claim_does_not_find() -> None:
    asked = {"name": "gpu", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}}
    claim = tree("resourceclaim", "c", spec={"devices": {"requests": [asked]}})
    pool = {"name": "n1", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "d.example.com", "nodeName": "n1", "pool": pool, "devices": [{"name": "a"}, {"name": "b"}]}
    taken = {"request": "r", "driver": "d.example.com", "pool": "n1", "device": "a"}
    other = tree("resourceclaim", "other", status={"allocation": {"devices": {"results": [taken]}}})
    waits = pod("p", where="", meta={})
    waits["spec"]["resourceClaims"] = [{"name": "x", "resourceClaimName": "c"}]
    around = [node(), tree("deviceclass", "gpu"), tree("resourceslice", "s", spec=spec), other]
    found = render(why("pod/p", waits, claim, *around))
    assert "cannot allocate all claims (request gpu wants 2, 1 of 2 that match are free)" in found
    found = render(why("pod/p", waits, *around))
    assert 'no node is looked at: could not find ResourceClaim "shop/c" (DynamicResources)' in found
