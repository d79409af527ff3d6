"""Pods wait for what they refer to, with the kubelet's reasons and words, and cost nothing where all is at hand."""

from __future__ import annotations

from typing import Any

import pytest

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.event import KIND as EVENT
from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.core.serviceaccount import KIND as ACCOUNT
from pelamis.api.storage.csidriver import KIND as DRIVER
from pelamis.client.types import Create, Delete, Patch
from tests.kubelet.hollow.world import NODE, World, phases, play, pod


def mounted(name: str, **source: Any) -> dict[str, Any]:
    return pod("p", volumes=[{"name": name, **source}], c_volumeMounts=[{"name": name, "mountPath": "/v"}])


def env(**source: Any) -> dict[str, Any]:
    return pod("p", c_env=[{"name": "A", "valueFrom": source}])


def item(key: str) -> list[dict[str, str]]:
    return [{"key": key, "path": "x"}]


def waiting(world: World) -> tuple[str, str]:
    (told,) = world.pod("p").status.containerStatuses
    return told.state.waiting.reason, told.state.waiting.message


def events(world: World, reason: str) -> list[str]:
    found = world.server.objects.view(EVENT.resource).list()
    return [e.message for e in found if e.reason == reason and e.involvedObject.name == "p"]


def config(kind: Any, name: str, **data: str) -> Create:
    return Create(kind, {"metadata": {"name": name, "namespace": "default"}, "data": data})


OPTIONAL = {"name": "c", "optional": True}
SECRET_DATA = {"k": "dg=="}
MISSING: list[tuple[dict[str, Any], str, Create, Create | None]] = [
    (mounted("v", configMap={"name": "c"}), 'configmap "c" not found', config(CONFIGMAP, "c", k="v"), None),
    (mounted("v", secret={"secretName": "s"}), 'secret "s" not found', config(SECRET, "s"), None),
    (
        mounted("v", secret={"secretName": "s", "items": item("k")}),
        "references non-existent secret key: k",
        Create(SECRET, {"metadata": {"name": "s2", "namespace": "default"}}),
        config(SECRET, "s"),
    ),
    (
        mounted("v", configMap={"name": "c", "items": item("k")}),
        "configmap references non-existent config key: k",
        config(CONFIGMAP, "c2"),
        config(CONFIGMAP, "c"),
    ),
    (
        mounted(
            "v", projected={"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c", "optional": True}}]}
        ),
        'secret "s" not found',
        config(SECRET, "s"),
        None,
    ),
]


@pytest.mark.parametrize("tree, message, cure, before", MISSING)
def test_a_volume_waits_for_its_object(tree: Any, message: str, cure: Create, before: Create | None) -> None:
    async def scenario(world: World) -> None:
        if before is not None:
            await world.do(before)
        await world.create(tree)
        await world.sleep(1)
        assert phases(world, "p") == ["Pending"] and waiting(world)[0] == "ContainerCreating"
        assert events(world, "FailedMount") == [f'MountVolume.SetUp failed for volume "v" : {message}']
        if before is None:
            await world.do(cure)
        else:
            name, kind = before.obj["metadata"]["name"], before.kind
            data = {"k": "v"} if kind is CONFIGMAP else SECRET_DATA
            await world.do(Patch(kind, "default", name, {"data": data}))
        await world.sleep(5)
        assert phases(world, "p") == ["Running"]

    play(scenario)


@pytest.mark.parametrize(
    "tree",
    [
        mounted("v", configMap={"name": "c", "optional": True}),
        mounted("v", secret={"secretName": "s", "optional": True}),
        mounted("v", emptyDir={}),
        pod("p", volumes=[{"name": "unused", "secret": {"secretName": "s"}}]),
        env(secretKeyRef={"name": "s", "key": "k", "optional": True}),
        pod("p", c_envFrom=[{"configMapRef": {"name": "c", "optional": True}}]),
    ],
)
def test_what_is_optional_or_not_used_holds_nothing_up(tree: Any) -> None:
    async def scenario(world: World) -> None:
        await world.create(tree)
        await world.sleep(0.1)
        assert phases(world, "p") == ["Running"]

    play(scenario)


@pytest.mark.parametrize(
    "tree, message, cure",
    [
        (env(secretKeyRef={"name": "s", "key": "k"}), 'secret "s" not found', config(SECRET, "s", **SECRET_DATA)),
        (env(configMapKeyRef={"name": "c", "key": "k"}), 'configmap "c" not found', config(CONFIGMAP, "c", k="v")),
        (pod("p", c_envFrom=[{"secretRef": {"name": "s"}}]), 'secret "s" not found', config(SECRET, "s")),
        (pod("p", c_envFrom=[{"configMapRef": {"name": "c"}}]), 'configmap "c" not found', config(CONFIGMAP, "c")),
    ],
)
def test_a_container_waits_for_its_environment(tree: Any, message: str, cure: Create) -> None:
    async def scenario(world: World) -> None:
        await world.create(tree)
        await world.sleep(1)
        assert phases(world, "p") == ["Pending"]
        assert waiting(world) == ("CreateContainerConfigError", message)
        assert f"Error: {message}" in events(world, "Failed")
        await world.do(cure)
        await world.sleep(60)
        assert phases(world, "p") == ["Running"]

    play(scenario)


def test_a_key_that_is_not_there() -> None:
    async def scenario(world: World) -> None:
        await world.do(config(CONFIGMAP, "c", other="v"))
        await world.create(env(configMapKeyRef={"name": "c", "key": "k"}))
        await world.sleep(1)
        assert waiting(world) == ("CreateContainerConfigError", "couldn't find key k in ConfigMap default/c")

    play(scenario)


def test_the_token_of_a_service_account() -> None:
    async def scenario(world: World) -> None:
        await world.do(Create(ACCOUNT, {"metadata": {"name": "robot", "namespace": "default"}}))
        gated = pod("p", serviceAccountName="robot", schedulingGates=[{"name": "g"}])
        del gated["spec"]["nodeName"]
        await world.create(gated)
        await world.do(Delete(ACCOUNT, "default", "robot"))
        await world.do(Patch(POD, "default", "p", {"spec": {"schedulingGates": None}}))
        binding = {"metadata": {"name": "p", "namespace": "default"}, "target": {"kind": "Node", "name": "n1"}}
        await world.do(Create(POD, binding, "binding", "p"))
        await world.sleep(0.2)
        (text,) = events(world, "FailedMount")
        assert text.endswith(': failed to fetch token: serviceaccounts "robot" not found')
        await world.do(Create(ACCOUNT, {"metadata": {"name": "robot", "namespace": "default"}}))
        await world.sleep(3)
        assert phases(world, "p") == ["Running"]

    play(scenario)


CLAIMED = mounted("data", persistentVolumeClaim={"claimName": "c"})
UNMOUNTED = "unmounted volumes=[data], unattached volumes=[data], failed to process volumes=[data]"
SIZE = {"storage": "1Gi"}


def claim(**spec: Any) -> Create:
    body = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": SIZE}, "storageClassName": "", **spec}
    return Create(CLAIM, {"metadata": {"name": "c", "namespace": "default"}, "spec": body})


def volume(uid: str, **source: Any) -> Create:
    ref = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "c", "uid": uid}
    spec = {"capacity": SIZE, "accessModes": ["ReadWriteOnce"], "claimRef": ref, **source}
    return Create(VOLUME, {"metadata": {"name": "v"}, "spec": spec})


async def bind(world: World, **source: Any) -> None:
    found = world.server.objects.get("persistentvolumeclaims", "default", "c")
    await world.do(volume(found.metadata.uid, **source))
    await world.do(Patch(CLAIM, "default", "c", {"spec": {"volumeName": "v"}}))
    await world.do(Patch(CLAIM, "default", "c", {"status": {"phase": "Bound"}}, "merge", "status"))


def test_a_claim_must_be_bound() -> None:
    async def scenario(world: World) -> None:
        await world.do(claim())
        await world.create(CLAIMED)
        await world.sleep(1)
        why = "error processing PVC default/c: PVC is not bound"
        assert events(world, "FailedMount") == [f"Unable to attach or mount volumes: {UNMOUNTED}: {why}"]
        assert (phases(world, "p"), waiting(world)[0]) == (["Pending"], "ContainerCreating")
        await bind(world, hostPath={"path": "/x"})
        await world.sleep(5)
        assert phases(world, "p") == ["Running"]
        assert world.node().status.volumesInUse == ()

    play(scenario)


CSI = {"csi": {"driver": "disk.example.com", "volumeHandle": "h"}}
NAME = "kubernetes.io/csi/disk.example.com^h"


@pytest.mark.parametrize("attach", [True, False])
def test_a_volume_that_must_be_attached_first(attach: bool) -> None:
    async def scenario(world: World) -> None:
        driver = {"metadata": {"name": "disk.example.com"}, "spec": {"attachRequired": attach}}
        await world.do(claim(), Create(DRIVER, driver))
        await bind(world, **CSI)
        await world.create(CLAIMED)
        await world.sleep(100)
        if attach:
            assert phases(world, "p") == ["Pending"] and not events(world, "FailedMount")
            assert world.node().status.volumesInUse == (NAME,)
            given = {"status": {"volumesAttached": [{"name": NAME, "devicePath": ""}]}}
            await world.do(Patch(NODE, "", "n1", given, "strategic", "status"))
        await world.sleep(0.01)
        assert phases(world, "p") == ["Running"]
        await world.delete("p", 0)
        await world.sleep(1)
        assert world.node().status.volumesInUse == ()

    play(scenario)


def test_a_pod_that_waits_can_be_deleted_and_a_node_comes_back_to_it() -> None:
    async def scenario(world: World) -> None:
        await world.create(mounted("v", configMap={"name": "c"}))
        await world.sleep(1)
        world.nodes.stop_node("n1")
        await world.do(config(CONFIGMAP, "c"))
        await world.sleep(100)
        assert phases(world, "p") == ["Pending"]
        world.nodes.start_node("n1")
        await world.sleep(0.1)
        assert phases(world, "p") == ["Running"]
        await world.delete("p")
        await world.do(Delete(CONFIGMAP, "default", "c"))
        await world.sleep(60)
        await world.create(mounted("v", configMap={"name": "c"}))
        await world.sleep(1)
        await world.delete("p")
        await world.sleep(40)
        assert world.pod("p") is None

    play(scenario)
