"""What is broken heals: killed containers, deleted pods, killed processes of the cluster itself, in any order."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.lab import (
    BUSYBOX,
    Lab,
    Missing,
    Refused,
    Tree,
    config_map,
    container,
    container_status,
    deployment,
    fetch,
    is_ready,
    path,
    pod,
    service,
    until,
)

pytestmark = pytest.mark.e2e
STORM_S = float(os.environ.get("PELAMIS_STORM_S") or (90 if os.environ.get("CI") == "true" else 60))
"""How long processes are killed at random; set 300 for the long run."""


def ids(lab: Lab, selector: str = "") -> dict[str, tuple[str, int]]:
    """Name to (container id, restarts) of the pods."""
    return {
        p["metadata"]["name"]: (container_status(p)["containerID"], container_status(p)["restartCount"])
        for p in lab.pods(selector)
    }


def pid_of(container_id: str) -> int:
    """The first process of a container, found by its cgroup."""
    wanted = container_id.removeprefix("containerd://")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in (entry / "cgroup").read_text():
                    return int(entry.name)
    raise LookupError(container_id)


def test_killed_container_runs_again(lab: Lab) -> None:
    lab.apply(deployment("heal", 1))
    lab.rolled_out("heal")
    (name,) = (p["metadata"]["name"] for p in lab.pods("app=heal"))
    before, _ = ids(lab, "app=heal")[name]
    os.kill(pid_of(before), signal.SIGKILL)

    def healed() -> bool:
        found = lab.get("pods", name)
        status = container_status(found)
        return status["restartCount"] == 1 and status["ready"] and is_ready(found)

    until(healed, "running and Ready again with restartCount 1")
    last = container_status(lab.get("pods", name))["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["containerID"]) == (137, "Error", before)
    lab.kubectl("delete", "deployment", "heal")


def test_deleted_pod_is_replaced(lab: Lab) -> None:
    lab.apply(deployment("again", 3))
    lab.rolled_out("again")
    victim = lab.pods("app=again")[0]["metadata"]["name"]
    lab.kubectl("delete", "pod", victim)
    lab.rolled_out("again")
    names = {p["metadata"]["name"] for p in lab.pods("app=again")}
    assert victim not in names and len(names) == 3
    lab.kubectl("delete", "deployment", "again")


def test_killed_agent_server_and_supervisor_keep_the_pods(fresh: Lab) -> None:
    """Containers go on through the death of each process; whoever comes back adopts them as they are."""
    lab = fresh
    lab.apply(deployment("stay", 2), service("stay"))
    lab.rolled_out("stay")
    url = f"http://{lab.get('services', 'stay')['spec']['clusterIP']}/"
    until(lambda: fetch(url)[0] == 200, url)
    before = ids(lab)
    for component in ("agent", "server", "containerd"):
        old = lab.pid(component)
        os.kill(old, signal.SIGKILL)
        assert fetch(url)[0] == 200  # traffic does not notice
        until(lambda old=old, component=component: lab.pid(component) != old, f"{component} is started again")
        # A new pod proves that the whole chain works again.
        lab.kubectl("run", f"after-{component}", f"--image={BUSYBOX}", "--command", "--", "sleep", "1000")
        lab.ready(f"after-{component}")
        lab.kubectl("delete", "pod", f"after-{component}", "--force", "--grace-period=0")
        assert {name: ids(lab)[name] for name in before} == before
    children = [lab.pid(component) for component in ("agent", "server", "containerd")]
    os.kill(lab.pid("supervisor"), signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "the kernel ends the children")
    assert fetch(url)[0] == 200
    assert lab.pelamis("status", ok=False).returncode == 3
    lab.up()
    lab.rolled_out("stay")
    assert {name: ids(lab)[name] for name in before} == before
    assert not [p for p in lab.pods() if not is_ready(p) and not p["metadata"]["name"].startswith("after-")]


def test_down_and_up_go_on_from_the_data(fresh: Lab) -> None:
    lab = fresh
    lab.apply(deployment("kept", 2), service("kept"), config_map("kept", a="1"))
    lab.rolled_out("kept")
    marks = lab.marks()
    uid = lab.get("apps/v1/deployments", "kept")["metadata"]["uid"]
    names = {p["metadata"]["name"] for p in lab.pods()}
    lab.down()
    kept = {str(lab.data / "containerd")}
    assert [line for line in marks.left() if line.removeprefix("path ") not in kept] == []
    lab.up()
    lab.rolled_out("kept")
    assert lab.get("apps/v1/deployments", "kept")["metadata"]["uid"] == uid
    assert lab.get("configmaps", "kept")["data"] == {"a": "1"}
    url = f"http://{lab.get('services', 'kept')['spec']['clusterIP']}/"
    until(lambda: fetch(url)[1].strip() in names, "the same pods answer again")


class Writer(threading.Thread):
    """Creates and deletes ConfigMaps and pods, and remembers every answer that acknowledged something."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        # a connection of its own
        self.lab = Lab(lab.folder, name=lab.name)
        self.lab.port = lab.port
        self.random = random.Random(7)
        self.there: dict[tuple[str, str], str] = {}
        """(resource, name) to uid of what must exist."""
        self.unsure: set[tuple[str, str]] = set()
        """Asked for without an answer: may or may not exist."""
        self.deleted: set[str] = set()
        """Names of ConfigMaps whose deletion was acknowledged."""
        self.stop = threading.Event()
        self.trouble: list[str] = []

    def run(self) -> None:
        number = 0
        while not self.stop.wait(0.01):
            number += 1
            try:
                if number % 40 == 0:
                    self.create("pods", pod(f"storm-{number}", container(), terminationGracePeriodSeconds=1))
                elif number % 3 == 0 and self.there:
                    self.delete(self.random.choice(sorted(self.there)))
                else:
                    self.create("configmaps", config_map(f"storm-{number}", number=str(number)))
            except Refused as error:
                if error.code not in (429, 500, 503, 504):
                    self.trouble.append(str(error))
            except Exception as error:
                self.trouble.append(repr(error))

    def create(self, resource: str, body: Tree) -> None:
        key = (resource, body["metadata"]["name"])
        try:
            self.there[key] = self.lab.call("POST", path(resource), body)["metadata"]["uid"]
        except OSError:
            self.unsure.add(key)
        except Exception as error:
            if "RemoteDisconnected" not in repr(error) and "IncompleteRead" not in repr(error):
                raise
            self.unsure.add(key)

    def delete(self, key: tuple[str, str]) -> None:
        del self.there[key]
        try:
            self.lab.call("DELETE", path(key[0], key[1]))
            if key[0] == "configmaps":
                self.deleted.add(key[1])
        except Missing as error:
            self.trouble.append(f"{key} was missing: {error}")
        except OSError:
            self.unsure.add(key)
        except Exception as error:
            if "RemoteDisconnected" not in repr(error) and "IncompleteRead" not in repr(error):
                raise
            self.unsure.add(key)


@pytest.mark.slow
def test_storm_of_kills_loses_nothing(fresh: Lab) -> None:
    lab = fresh
    lab.apply(deployment("crowd", 3))
    lab.rolled_out("crowd")
    dice = random.Random(os.environ.get("PELAMIS_STORM_SEED", "1"))
    writer = Writer(lab)
    writer.start()
    end = time.monotonic() + STORM_S
    kills = 0
    while time.monotonic() < end:
        time.sleep(dice.uniform(0.5, 4.0))
        with contextlib.suppress(OSError, ValueError):
            os.kill(lab.pid(dice.choice(("server", "server", "agent"))), signal.SIGKILL)
            kills += 1
        replicas = dice.randint(1, 4)
        with contextlib.suppress(OSError, AssertionError, subprocess.TimeoutExpired):
            lab.kubectl("scale", "deployment", "crowd", f"--replicas={replicas}", ok=False, timeout=20)
    writer.stop.set()
    writer.join()
    assert not writer.trouble, writer.trouble[:5]
    assert kills > STORM_S / 10 and len(writer.there) > 20
    lab.kubectl("scale", "deployment", "crowd", "--replicas=3")
    lab.rolled_out("crowd", 90)

    found = {
        (resource, item["metadata"]["name"]): item["metadata"]
        for resource in ("configmaps", "pods")
        for item in lab.get(resource)["items"]
    }
    lost = {key: uid for key, uid in writer.there.items() if key not in found or found[key]["uid"] != uid}
    assert not lost
    back = [key for key in found if key[0] == "configmaps" and key[1] in writer.deleted and key not in writer.unsure]
    assert not back
    extra = {key for key in found if "storm-" in key[1]} - set(writer.there) - writer.unsure
    assert not [key for key in extra if key[0] == "configmaps"]

    def settled() -> bool:
        pods = lab.pods()
        assert all(is_ready(p) for p in pods), [p["metadata"]["name"] for p in pods if not is_ready(p)]
        running = {p["metadata"]["uid"] for p in pods}
        folders = {entry.name for entry in (lab.data / "kubelet" / "pods").iterdir()}
        assert folders == running, folders ^ running
        return True

    until(settled, "every declared pod runs, and nothing else is left on the node", 90)
