"""Pods of every shape on a real containerd: what a user sees in the status, in the logs and inside the containers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.core.serviceaccount import KIND as ACCOUNT
from pelamis.api.resource.resourceclaim import KIND as CLAIM
from pelamis.client.types import Create, Patch
from pelamis.kubelet.dra.messages import DeviceHealth, DeviceIdentifier
from tests.kubelet import rig
from tests.kubelet.dra.driver import FakeDriver
from tests.kubelet.live import Live, pod, running

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(rig.missing()), reason=f"needs {rig.missing()}")]
SLEEP = {"command": ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.05; done"]}
HOLD = {"command": ["sleep", "3600"]}


def run(scenario: Any) -> None:
    async def main() -> None:
        async with Live() as live:
            await scenario(live)

    asyncio.run(main())


def status_of(found: Any, name: str = "main") -> Any:
    everything = (*found.status.initContainerStatuses, *found.status.containerStatuses)
    return next(c for c in everything if c.name == name)


def test_environment_volumes_and_files() -> None:
    async def scenario(live: Live) -> None:
        data = {"greeting": "hello", "other": "x"}
        await live.server.do(
            Create(
                CONFIGMAP,
                {
                    "kind": "ConfigMap",
                    "apiVersion": "v1",
                    "metadata": {"name": "cm", "namespace": "default"},
                    "data": data,
                },
            ),
            Create(
                SECRET,
                {
                    "kind": "Secret",
                    "apiVersion": "v1",
                    "metadata": {"name": "s", "namespace": "default"},
                    "data": {"key": base64.b64encode(b"hidden").decode()},
                },
            ),
        )
        container = {
            **HOLD,
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "value": "$(A)-$(NOPE)-$$(A)"},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "cm"}, "prefix": "CM_"}],
            "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"cpu": "100m"}},
            "volumeMounts": [
                {"name": "cm", "mountPath": "/cm"},
                {"name": "cm", "mountPath": "/one", "subPath": "greeting"},
                {"name": "s", "mountPath": "/s", "readOnly": True},
                {"name": "e", "mountPath": "/e"},
                {"name": "m", "mountPath": "/m"},
                {"name": "d", "mountPath": "/d"},
            ],
        }
        volumes = [
            {"name": "cm", "configMap": {"name": "cm", "defaultMode": 420}},
            {"name": "s", "secret": {"secretName": "s", "defaultMode": 256}},
            {"name": "e", "emptyDir": {}},
            {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {
                "name": "d",
                "downwardAPI": {
                    "defaultMode": 420,
                    "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}],
                },
            },
        ]
        tree = pod(
            "all",
            container,
            volumes=volumes,
            hostAliases=[{"ip": "1.2.3.4", "hostnames": ["friend"]}],
            securityContext={"fsGroup": 2000},
        )
        tree["metadata"]["labels"] = {"app": "x"}
        await live.create(tree)
        found = await live.until("all", running)
        env = dict(line.split("=", 1) for line in (await live.exec("all", "env")).splitlines() if "=" in line)
        assert (env["A"], env["B"], env["IP"]) == ("1", "1-$(NOPE)-$(A)", found.status.podIP)
        assert (env["CPU"], env["KEY"], env["CM_greeting"]) == ("250", "hidden", "hello")
        assert await live.exec("all", "cat", "/cm/greeting", "/one", "/s/key", "/d/labels") == 'hellohellohiddenapp="x"'
        assert "friend" in await live.exec("all", "cat", "/etc/hosts")
        resolv = await live.exec("all", "cat", "/etc/resolv.conf")
        assert "nameserver 10.96.0.10" in resolv and "options ndots:5" in resolv
        assert "search default.svc.cluster.local svc.cluster.local cluster.local" in resolv
        assert "tmpfs" in await live.exec("all", "df", "/m") and "1024" in await live.exec("all", "df", "-k", "/m")
        assert (await live.exec("all", "stat", "-c", "%g %a", "/e")).strip() == "2000 2777"
        assert found.status.qosClass == "Burstable"
        await live.server.do(
            Patch(CONFIGMAP, "default", "cm", {"data": {"greeting": "bye"}}, "merge"),
            Patch(POD, "default", "all", {"metadata": {"labels": {"app": "y"}}}, "merge"),
        )
        for _ in range(100):
            if await live.exec("all", "cat", "/cm/greeting", "/d/labels") == 'byeapp="y"':
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("the files did not follow")
        assert await live.exec("all", "cat", "/one") == "hello"
        await live.delete("all", 1)
        await live.until("all", lambda p: p is None)

    run(scenario)


def test_image_volumes_come_with_the_containers_that_mount_them() -> None:
    async def scenario(live: Live) -> None:
        def mounts(name: str) -> dict[str, Any]:
            return {"volumeMounts": [{"name": name, "mountPath": "/v"}]}

        volumes = [
            {"name": "good", "image": {"reference": rig.BUSYBOX, "pullPolicy": "IfNotPresent"}},
            {"name": "bad", "image": {"reference": "127.0.0.1:1/none:1", "pullPolicy": "IfNotPresent"}},
            {"name": "never", "image": {"reference": "localhost/none:1", "pullPolicy": "Never"}},
        ]
        containers = (
            {**HOLD, **mounts("good")},
            {**HOLD, **mounts("bad"), "name": "bad"},
            {**HOLD, **mounts("never"), "name": "never"},
        )
        await live.create(pod("views", *containers, volumes=volumes))

        def settled(found: Any) -> bool:
            if found is None or len(found.status.containerStatuses) < 3:
                return False
            states = {c.name: c.state for c in found.status.containerStatuses}
            waiting = [states[n].waiting.reason if states[n].waiting else "" for n in ("bad", "never")]
            return states["main"].running is not None and waiting == ["ImagePullBackOff", "ErrImageNeverPull"]

        found = await live.until("views", settled)
        assert "busybox" in await live.exec("views", "ls", "/v/bin")
        waiting = status_of(found, "bad").state.waiting
        assert waiting.message.startswith('Back-off pulling image "127.0.0.1:1/none:1": ErrImagePull: ')
        assert status_of(found, "never").state.waiting.message == (
            'Container image "localhost/none:1" is not present with pull policy of Never'
        )
        told = [(reason, message) for who, _, reason, message in live.events if who == "views"]
        assert ("Pulling", 'Pulling image "127.0.0.1:1/none:1"') in told
        assert ("Failed", "Error: ErrImagePull") in told and "FailedMount" not in live.reasons("views")
        await live.delete("views", 1)
        await live.until("views", lambda p: p is None)

    run(scenario)


def test_devices_of_a_driver() -> None:
    async def scenario(live: Live) -> None:
        driver = FakeDriver(versions=("v1.DRAPlugin", "v1.DRAResourceHealth"))
        driver.cdi = {"": (f"pelamis.test/{live.rig.tag}=0",)}
        edits = {"env": ["DEVICE=gpu-0"], "deviceNodes": [{"path": "/dev/gpu0", "hostPath": "/dev/null"}]}
        spec = {"cdiVersion": "0.6.0", "kind": f"pelamis.test/{live.rig.tag}"}
        path = Path(f"/var/run/cdi/pelamis-test-{live.rig.tag}.json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**spec, "devices": [{"name": "0", "containerEdits": edits}]}))
        try:
            result = {"request": "r", "driver": driver.name, "pool": "p", "device": "d"}
            request = {"name": "r", "exactly": {"deviceClassName": "gpu"}}
            claims = [{"name": "gpu", "resourceClaimName": "x"}]
            with_it = {**HOLD, "resources": {"claims": [{"name": "gpu"}]}}
            await live.create(pod("dev", with_it, {**HOLD, "name": "without"}, resourceClaims=claims))
            tree = {
                "metadata": {"name": "x", "namespace": "default"},
                "spec": {"devices": {"requests": [request]}},
                "status": {
                    "allocation": {"devices": {"results": [result]}},
                    "reservedFor": [{"resource": "pods", "name": "dev", "uid": live.get("dev").metadata.uid}],
                },
            }
            await live.server.put(CLAIM, tree)
            await driver.start(Path(live.config().root_dir, "plugins_registry"))
            await live.until("dev", running)
            assert "DEVICE=gpu-0" in await live.exec("dev", "env")
            assert (await live.exec("dev", "stat", "-c", "%t:%T", "/dev/gpu0")).strip() == "1:3"
            assert "DEVICE" not in await live.exec("dev", "env", container="without")
            device = DeviceIdentifier(pool_name="p", device_name="d")
            driver.health.put_nowait((DeviceHealth(device=device, health=1),))

            def healthy(found: Any) -> bool:
                told = [s.allocatedResourcesStatus for s in found.status.containerStatuses if s.name == "main"]
                return [(s.name, s.resources[0].health) for s in told[0]] == [("claim:gpu", "Healthy")]

            await live.until("dev", healthy)
            await live.stop()
            await live.start()  # the claim is known from the file
            await live.until("dev", running)
            await live.delete("dev", 1)
            await live.until("dev", lambda p: p is None)
            assert driver.calls == [("prepare", ["x"]), ("unprepare", ["x"])]
        finally:
            path.unlink()
            with contextlib.suppress(OSError):
                path.parent.rmdir()
            await driver.stop()

    run(scenario)


def test_init_sidecar_order_and_completion() -> None:
    async def scenario(live: Live) -> None:
        share = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
        await live.create(
            pod(
                "job",
                {**share, "command": ["sh", "-c", "echo main >> /v/log; cat /v/log; exit 0"]},
                restartPolicy="Never",
                volumes=[{"name": "v", "emptyDir": {}}],
                initContainers=[
                    {"name": "one", "image": rig.BUSYBOX, **share, "command": ["sh", "-c", "echo one >> /v/log"]},
                    {
                        "name": "side",
                        "image": rig.BUSYBOX,
                        "restartPolicy": "Always",
                        **share,
                        "command": [
                            "sh",
                            "-c",
                            "trap 'exit 0' TERM; echo side >> /v/log; while true; do sleep 0.05; done",
                        ],
                        "startupProbe": {"exec": {"command": ["grep", "side", "/v/log"]}, "periodSeconds": 1},
                    },
                    {"name": "two", "image": rig.BUSYBOX, **share, "command": ["sh", "-c", "echo two >> /v/log"]},
                ],
            )
        )
        found = await live.until("job", lambda p: p.status.phase == "Succeeded")
        assert [line.split()[-1] for line in live.log_of("job").splitlines()] == ["one", "side", "two", "main"]
        assert status_of(found, "side").state.terminated is not None
        conditions = {c.type: (c.status, c.reason) for c in found.status.conditions}
        assert conditions["Initialized"] == ("True", "PodCompleted")
        assert conditions["Ready"] == ("False", "PodCompleted")

    run(scenario)


def test_failures_restarts_and_messages() -> None:
    async def scenario(live: Live) -> None:
        await live.create(pod("crash", {"command": ["sh", "-c", "echo bad > /dev/termination-log; exit 3"]}))
        await live.create(pod("never", {"image": "localhost/nope:1", "imagePullPolicy": "Never"}))
        await live.create(pod("pull", {"image": "127.0.0.1:1/nope:1"}))
        await live.create(pod("name", {"image": "Not A Name"}))
        await live.create(pod("noenv", {**HOLD, "envFrom": [{"configMapRef": {"name": "gone"}}]}))
        await live.create(pod("root", {**HOLD, "securityContext": {"runAsNonRoot": True}}))
        await live.create(pod("binary", {"command": ["/nope"]}))
        await live.create(
            pod(
                "novol",
                {**HOLD, "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
                volumes=[{"name": "v", "secret": {"secretName": "gone"}}],
            )
        )

        def waits(reason: str) -> Any:
            def test(found: Any) -> bool:
                states = [c.state.waiting for c in found.status.containerStatuses]
                return any(w is not None and w.reason == reason for w in states)

            return test

        found = await live.until("crash", waits("CrashLoopBackOff"))
        state = status_of(found)
        assert state.restartCount == 1 and found.status.phase == "Running"
        assert (state.lastState.terminated.exitCode, state.lastState.terminated.message) == (3, "bad\n")
        assert state.state.waiting.message.startswith(
            "back-off 10s restarting failed container=main pod=crash_default("
        )
        await live.until("never", waits("ErrImageNeverPull"))
        await live.until("pull", waits("ErrImagePull"))
        found = await live.until("pull", waits("ImagePullBackOff"))
        assert status_of(found).state.waiting.message.startswith(
            'Back-off pulling image "127.0.0.1:1/nope:1": ErrImagePull: '
        )
        await live.until("name", waits("InvalidImageName"))
        found = await live.until("noenv", waits("CreateContainerConfigError"))
        assert status_of(found).state.waiting.message == 'configmap "gone" not found'
        await live.server.do(
            Create(
                CONFIGMAP,
                {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "gone", "namespace": "default"}},
            )
        )
        await live.until("noenv", running, 5)
        found = await live.until("root", waits("CreateContainerConfigError"))
        assert "container has runAsNonRoot and image will run as root" in status_of(found).state.waiting.message
        found = await live.until("binary", waits("CrashLoopBackOff"))
        assert status_of(found).lastState.terminated.reason == "StartError"
        assert "FailedMount" in live.reasons("novol")
        for name in ("crash", "never", "pull", "name", "noenv", "root", "binary", "novol"):
            await live.delete(name, 1)
        for name in ("crash", "never", "pull", "name", "noenv", "root", "binary", "novol"):
            await live.until(name, lambda p: p is None)

    run(scenario)


def test_probes_and_hooks() -> None:
    async def scenario(live: Live) -> None:
        server = "touch /tmp/ok; trap 'exit 0' TERM; httpd -p 8080 -h /tmp; while true; do sleep 0.05; done"
        await live.create(
            pod(
                "probed",
                {
                    "command": ["sh", "-c", server],
                    "ports": [{"name": "web", "containerPort": 8080}],
                    "readinessProbe": {
                        "httpGet": {"path": "/ok", "port": "web"},
                        "periodSeconds": 1,
                        "failureThreshold": 1,
                    },
                    "livenessProbe": {
                        "tcpSocket": {"port": 8080},
                        "periodSeconds": 1,
                        "failureThreshold": 1,
                        "initialDelaySeconds": 1,
                    },
                    "lifecycle": {
                        "postStart": {"exec": {"command": ["sh", "-c", "echo started > /tmp/hook"]}},
                        "preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /proc/1/fd/1"]}},
                    },
                },
            )
        )
        await live.until("probed", running)
        assert await live.exec("probed", "cat", "/tmp/hook") == "started\n"
        await live.exec("probed", "rm", "/tmp/ok")
        await live.until("probed", lambda p: not p.status.containerStatuses[0].ready)
        await live.exec("probed", "touch", "/tmp/ok")
        await live.until("probed", running)
        await live.exec("probed", "killall", "httpd")
        found = await live.until("probed", lambda p: p.status.containerStatuses[0].restartCount == 1 and running(p))
        assert found.status.containerStatuses[0].lastState.terminated is not None
        assert "Container main failed liveness probe, will be restarted" in [m for *_, m in live.events]
        await live.create(pod("badhook", {**SLEEP, "lifecycle": {"postStart": {"exec": {"command": ["false"]}}}}))
        await live.until(
            "badhook", lambda p: p.status.containerStatuses and p.status.containerStatuses[0].restartCount >= 1
        )
        assert "FailedPostStartHook" in live.reasons("badhook")

    run(scenario)


def test_the_agent_adopts_what_runs() -> None:
    async def scenario(live: Live) -> None:
        ready = {"exec": {"command": ["true"]}, "periodSeconds": 1}
        await live.create(pod("stay", {**SLEEP, "readinessProbe": ready}))
        await live.create(pod("go", SLEEP))
        await live.create(pod("die", SLEEP))
        before = await live.until("stay", running)
        for name in ("go", "die"):
            await live.until(name, running)
        worker = live.kubelet.find("default", "die")
        assert worker is not None
        dying = worker.machine.state.slots["main"].current
        await live.stop()
        await live.delete("go", 0)
        await live.rig.ctr("task", "kill", "-s", "KILL", dying.id)
        await live.start()
        found = await live.until("die", lambda p: p.status.containerStatuses[0].restartCount == 1 and running(p))
        assert found.status.containerStatuses[0].lastState.terminated.exitCode == 137
        after = live.get("stay")
        assert after.status == before.status, (before.status, after.status)
        await asyncio.sleep(1.0)
        labels = {s.labels["io.kubernetes.pod.name"] for s in await live.runtime.list_sandboxes()}
        assert labels == {"stay", "die"}

    run(scenario)


def test_deadline_deletion_grace_and_host_network() -> None:
    async def scenario(live: Live) -> None:
        await live.create(pod("late", HOLD, activeDeadlineSeconds=1, terminationGracePeriodSeconds=1))
        await live.create(
            pod(
                "host",
                {"command": ["sh", "-c", "hostname; sleep 3600"]},
                hostNetwork=True,
                terminationGracePeriodSeconds=1,
            )
        )
        await live.create(
            pod("stubborn", {"command": ["sh", "-c", "trap '' TERM; sleep 3600"]}, terminationGracePeriodSeconds=30)
        )
        found = await live.until("host", running)
        assert found.status.podIP == found.status.hostIP
        found = await live.until("late", lambda p: p.status.phase == "Failed")
        assert found.status.reason == "DeadlineExceeded"
        await live.until("stubborn", running)
        await live.delete("stubborn", 1)
        await live.until("stubborn", lambda p: p is None, 8)
        await live.delete("host")
        await live.until("host", lambda p: p is None, 8)

    run(scenario)


def test_tokens_debug_containers_resize_and_oom() -> None:
    async def scenario(live: Live) -> None:
        robot = {"metadata": {"name": "robot", "namespace": "default"}, "automountServiceAccountToken": False}
        await live.server.put(ACCOUNT, robot)
        projected = {
            "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600, "audience": "a"}}]
        }
        tree = pod(
            "many",
            {
                **HOLD,
                "volumeMounts": [{"name": "t", "mountPath": "/t", "readOnly": True}],
                "resources": {"limits": {"memory": "32Mi"}, "requests": {"cpu": "100m"}},
            },
            volumes=[{"name": "t", "projected": {"defaultMode": 420, **projected}}],
            serviceAccountName="robot",
        )
        await live.create(tree)
        await live.until("many", running)
        body = (await live.exec("many", "cat", "/t/token")).split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        assert (claims["sub"], claims["aud"]) == ("system:serviceaccount:default:robot", ["a"])
        assert claims["kubernetes.io"]["pod"]["name"] == "many" and claims["exp"] - claims["iat"] == 3600
        debug = {"name": "dbg", "image": rig.BUSYBOX, "imagePullPolicy": "IfNotPresent", "targetContainerName": "main"}
        debug["command"] = ["sh", "-c", "ps; sleep 1000"]  # type: ignore[assignment]
        await live.server.do(
            Patch(POD, "default", "many", {"spec": {"ephemeralContainers": [debug]}}, subresource="ephemeralcontainers")
        )
        await live.until("many", lambda p: any(c.state.running for c in p.status.ephemeralContainerStatuses))
        await asyncio.sleep(0.2)
        assert "sleep 3600" in live.log_of("many", "dbg")
        container = {**tree["spec"]["containers"][0]}
        container["resources"] = {"limits": {"memory": "48Mi"}, "requests": {"cpu": "100m"}}
        await live.server.do(Patch(POD, "default", "many", {"spec": {"containers": [container]}}, subresource="resize"))
        found = await live.until("many", lambda p: p.status.containerStatuses[0].resources.limits["memory"] == "48Mi")
        assert found.status.containerStatuses[0].restartCount == 0
        for _ in range(50):
            if "ResizeCompleted" in live.reasons("many"):
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError(live.events[-5:])
        await live.create(
            pod(
                "oom",
                {
                    "command": ["sh", "-c", "x=a; while true; do x=$x$x; done"],
                    "resources": {"limits": {"memory": "16Mi"}},
                },
                restartPolicy="Never",
            )
        )
        found = await live.until("oom", lambda p: p.status.phase == "Failed")
        assert status_of(found).state.terminated.reason == "OOMKilled"
        await live.delete("many", 1)
        await live.until("many", lambda p: p is None)

    run(scenario)
