"""In-place resizes: what the node grants, the steps of the machine, and what the status tells meanwhile."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from pelamis.api.core.pod.container import ResourceRequirements
from pelamis.kubelet import actions as a
from pelamis.kubelet import resources, status
from pelamis.kubelet.allocation import Allocations
from tests.kubelet.pods import make
from tests.kubelet.test_podsync import HOST, T0, Driver, changed


def _container(name: str = "c", cpu: str = "1", memory: str = "100Mi", **more: Any) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": memory}
    return {"name": name, "image": "i", "resources": {"limits": amounts, "requests": amounts}, **more}


def _pod(*containers: dict[str, Any], generation: int = 1, **spec: Any) -> Any:
    return changed(make(containers=list(containers), **spec), generation=generation)


class _Driver(Driver):
    error = ""

    def answer(self, i: Any) -> Any:
        if isinstance(i, a.Resize):
            return a.Resized((), self.error) if self.error else a.Resized(tuple(name for name, _ in i.containers))
        return super().answer(i)

    def conditions(self) -> dict[str, Any]:
        return {c.type: c for c in self.old.conditions}

    def resizes(self) -> list[a.Resize]:
        return [i for i in self.log if isinstance(i, a.Resize)]


def _texts(driver: Driver) -> list[str]:
    return [i.reason for i in driver.log if isinstance(i, a.Note) and i.reason.startswith("Resize")]


def test_resources_change_in_place_and_the_status_follows() -> None:
    d = _Driver(_pod(_container()), hold=(a.Resize,))
    d.feed(a.PodChanged(_pod(_container(cpu="2"), generation=2)))
    (order,) = d.resizes()
    assert order.containers == (("c", d.runs["c"].id),)
    assert (order.before["quota"], order.after["quota"]) == (100_000, 200_000)
    told = d.main()
    assert told.resources.limits["cpu"] == "1" and told.allocatedResources["cpu"] == "2", "granted, not yet in effect"
    assert d.conditions()["PodResizeInProgress"].observedGeneration == 2
    d.feed(a.Resized(("c",)))
    assert d.main().resources.limits["cpu"] == "2"
    assert not {"PodResizeInProgress", "PodResizePending"} & set(d.conditions())
    assert _texts(d) == ["ResizeStarted", "ResizeCompleted"] and d.started() == ["c"]
    body = status.patch("u", {"conditions": [{"type": "PodResizeInProgress"}]}, {"conditions": []})
    assert body["status"]["conditions"] == [{"$patch": "delete", "type": "PodResizeInProgress"}]


def test_a_policy_restarts_the_container_after_the_cgroup_is_right() -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    d = _Driver(_pod(_container(resizePolicy=policy)))
    d.feed(a.PodChanged(_pod(_container(cpu="2", resizePolicy=policy), generation=2)))
    assert d.stopped() == []
    d.log.clear()
    d.feed(a.PodChanged(_pod(_container(cpu="2", memory="200Mi", resizePolicy=policy), generation=3)))
    steps = [type(i).__name__ for i in d.log if isinstance(i, a.StopContainer | a.Resize | a.StartContainer)]
    assert steps == ["StopContainer", "Resize", "StartContainer"]
    assert d.resizes()[-1].containers == () and d.resizes()[-1].after["memory"] == 200 << 20
    assert d.main().restartCount == 1 and d.main().resources.limits["memory"] == "200Mi"
    assert "PodResizeInProgress" not in d.conditions()


def test_a_failed_attempt_is_told_and_repeated() -> None:
    d = _Driver(_pod(_container()))
    d.error = "cannot decrease memory limits"
    d.feed(a.PodChanged(_pod(_container(memory="1Mi"), generation=2)))
    condition = d.conditions()["PodResizeInProgress"]
    assert (condition.reason, condition.message) == ("Error", d.error)
    assert d.main().resources.limits["memory"] == "100Mi"
    d.tick(T0 + 10)
    assert len(d.resizes()) == 2 and _texts(d) == ["ResizeStarted", "ResizeError"]
    d.error = ""
    d.feed(a.PodChanged(_pod(_container(), generation=3)))
    assert "PodResizeInProgress" not in d.conditions() and d.main().resources.limits["memory"] == "100Mi"


def test_what_waits_is_told() -> None:
    d = _Driver(_pod(_container()))
    d.feed(a.ResizeWaits(a.Pending("Deferred", "no cpu", 2)))
    assert d.conditions()["PodResizePending"].reason == "Deferred" and _texts(d) == ["ResizeDeferred"]
    d.feed(a.ResizeWaits(None))
    assert "PodResizePending" not in d.conditions()


def test_an_agent_that_comes_back_goes_on() -> None:
    d = _Driver(_pod(_container()), hold=(a.Resize,))
    wanted = _pod(_container(cpu="2"), generation=2)
    d.feed(a.PodChanged(wanted))
    again = msgspec.structs.replace(wanted, status=d.old)
    fresh = _Driver(again)
    fresh.runs = d.runs
    fresh.machine = type(fresh.machine)(again, T0)
    fresh.log.clear()
    sandbox = a.Sandbox("s0", 0, True, ("10.1.0.1",), T0)
    fresh.feed(a.Adopted((sandbox,), (d.runs["c"],)))
    (order,) = fresh.resizes()
    assert order.before == {} and order.containers == (("c", d.runs["c"].id),)
    assert "PodResizeInProgress" not in fresh.conditions() and fresh.main().resources.limits["cpu"] == "2"


def test_the_node_grants_what_fits_in_order() -> None:
    """Room for 4 CPUs: who needs no more comes first, then by priority."""
    pods: dict[str, Any] = {}
    held: dict[str, str] = {}

    def fits(pod: Any) -> str:
        others = sum(int(cpu) for uid, cpu in held.items() if uid != pod.metadata.uid)
        return "" if others + int(pod.spec.containers[0].resources.requests["cpu"]) <= 4 else "no cpu"

    granted = Allocations(fits)

    def declare(uid: str, cpu: str, generation: int, priority: int = 0) -> None:
        pods[uid] = changed(make(containers=[_container(cpu=cpu)], priority=priority), uid=uid, generation=generation)

    def settle() -> None:
        for pod in chain(pods.values(), granted.settle()):
            held[pod.metadata.uid] = granted.apply(pod).spec.containers[0].resources.requests["cpu"]

    for uid, cpu, priority in (("a", "2", 0), ("b", "1", 0), ("c", "1", 5)):
        declare(uid, cpu, 1, priority)
        granted.begin(pods[uid])
    settle()
    for uid, priority in (("b", 0), ("c", 5)):
        declare(uid, "2", 2, priority)
        assert granted.declare(pods[uid], 1.0)
        settle()
        assert held[uid] == "1" and granted.pending(uid) == a.Pending("Deferred", "no cpu", 2)
    declare("a", "1", 2)
    granted.declare(pods["a"], 2.0)
    settle()
    assert held == {"a": "1", "b": "1", "c": "2"} and granted.pending("c") is None
    del pods["a"], held["a"]
    assert granted.forget("a")
    settle()
    assert held == {"b": "2", "c": "2"} and not granted.waiting


def test_a_restarted_agent_reads_grants_from_the_status() -> None:
    pod = _pod(_container())
    d = _Driver(pod)
    d.feed(a.ResizeWaits(a.Pending("Deferred", "no cpu", 2)))
    asked = msgspec.structs.replace(_pod(_container(cpu="8"), generation=2), status=d.old)
    granted = Allocations(lambda _: "no cpu")
    granted.begin(asked)
    assert granted.apply(asked).spec.containers[0].resources.limits["cpu"] == "1"
    assert granted.pending(asked.metadata.uid) == a.Pending("Deferred", "no cpu", 2)


def test_pod_level_limits_hold_for_containers_without_their_own() -> None:
    whole = {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "512Mi"}}
    pod = make(containers=[{"name": "c", "image": "i"}, _container("d")], resources=whole)
    free, own = pod.spec.containers
    assert resources.for_container(pod, free, 1 << 33).memory_limit_in_bytes == 1 << 30
    assert resources.for_container(pod, own, 1 << 33).memory_limit_in_bytes == 100 << 20
    built = status.build(Driver(pod).machine.state, HOST, T0)
    assert built.resources is not None and built.resources.limits == whole["limits"]
    assert built.allocatedResources == whole["requests"]
    sums = Driver(_pod(_container(), _container("d"))).machine.state
    told = status.build(sums, status.Host(totals=True), T0)
    assert told.resources is not None and told.resources.limits == told.allocatedResources == {
        "cpu": "2",
        "memory": "200Mi",
    }
    assert status.build(sums, HOST, T0).resources is None
    assert built.containerStatuses[0].resources == ResourceRequirements()


def test_the_wider_of_two_settings() -> None:
    one, other = {"shares": 10, "quota": 0, "memory": 5}, {"shares": 20, "quota": 7, "memory": 3}
    assert resources.most(one, other) == {"shares": 20, "quota": 0, "memory": 5}
    assert resources.most({}, other) == {"shares": 20, "quota": 0, "memory": 0}
