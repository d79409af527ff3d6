"""The pod machine, event by event. A driver plays a runtime that does at once what it is told."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pelamis.kubelet import actions as a
from pelamis.kubelet import status
from pelamis.kubelet.podsync import PodMachine
from tests.kubelet.pods import make

T0 = 1_700_000_000.0
HOST = status.Host(("10.0.0.1",))


class Driver:
    """Answers instructions: sandboxes and containers start, stops succeed. ``hold`` keeps some kinds unanswered."""

    def __init__(self, pod: Any, hold: tuple[type, ...] = ()) -> None:
        self.now = T0
        self.machine = PodMachine(pod, T0)
        self.hold = hold
        self.log: list[Any] = []
        self.held: list[Any] = []
        self.serial = 0
        self.runs: dict[str, a.Run] = {}
        self.wake: float | None = None
        self.old: Any = pod.status
        self.feed(a.PodChanged(pod))

    def feed(self, event: Any) -> None:
        queue = [event]
        while queue:
            for instruction in self.machine.step(queue.pop(0), self.now):
                if isinstance(instruction, a.Publish):
                    self.old = status.build(self.machine.state, HOST, self.now, self.old)
                    continue
                if isinstance(instruction, a.Wake):
                    self.wake = instruction.at
                    continue
                self.log.append(instruction)
                if isinstance(instruction, self.hold):
                    self.held.append(instruction)
                elif (answer := self.answer(instruction)) is not None:
                    queue.append(answer)

    def answer(self, i: Any) -> Any:
        self.serial += 1
        match i:
            case a.MountVolumes():
                return a.VolumesReady()
            case a.RunSandbox(attempt):
                return a.SandboxStarted(a.Sandbox(f"s{attempt}", attempt, True, ("10.1.0.1",), self.now))
            case a.StopSandbox(id_):
                return a.SandboxStopped(id_)
            case a.EnsureImage(name):
                return a.ImageReady(name, "ref")
            case a.StartContainer():
                run = a.Run(f"{i.name}-{self.serial}", i.name, i.attempt, "running", self.now, self.now)
                run.sandbox_id = i.sandbox_id
                self.runs[i.name] = run
                return a.ContainerStarted(i.name, run)
            case a.StopContainer(name, id_):
                return a.ContainerStopped(name, id_, self.ended(name, 143))
            case a.CleanUp(remove):
                return a.CleanedUp(remove)
        return None

    def ended(self, name: str, code: int) -> a.Run:
        run = self.runs[name]
        return a.Run(
            run.id,
            name,
            run.attempt,
            "exited",
            run.created_at,
            run.started_at,
            self.now,
            code,
            sandbox_id=run.sandbox_id,
        )

    def exit(self, name: str, code: int = 0) -> None:
        self.feed(a.ContainerExited(self.ended(name, code)))

    def tick(self, at: float) -> None:
        self.now = at
        self.wake = None
        self.feed(a.Tick())

    def started(self) -> list[str]:
        return [i.name for i in self.log if isinstance(i, a.StartContainer)]

    def stopped(self) -> list[str]:
        return [i.name for i in self.log if isinstance(i, a.StopContainer)]

    def notes(self) -> list[str]:
        return [i.reason for i in self.log if isinstance(i, a.Note)]

    def main(self) -> Any:
        return self.old.containerStatuses[0]


def changed(pod: Any, **meta: Any) -> Any:
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, **meta))


def test_a_plain_pod_runs_and_is_ready() -> None:
    d = Driver(make())
    assert [type(i).__name__ for i in d.log] == ["MountVolumes", "RunSandbox", "EnsureImage", "StartContainer"]
    assert (d.old.phase, d.old.podIP, d.main().ready) == ("Running", "10.1.0.1", True)
    assert {c.type: c.status for c in d.old.conditions} == dict.fromkeys(status.OWNED, "True")


def test_crash_loop_waits_longer_each_time_and_forgets() -> None:
    d = Driver(make())
    waits = []
    for _ in range(8):
        d.exit("c", 1)
        before = len(d.started())
        if d.wake is None or len(d.started()) > before:
            waits.append(0.0)
        while d.machine.state.slots["c"].exited:
            assert d.wake is not None
            waits.append(d.wake - d.now)
            assert d.main().state.waiting.reason == "CrashLoopBackOff"
            d.tick(d.wake)
    assert [w for w in waits if w] == [10, 20, 40, 80, 160, 300, 300]
    assert d.main().restartCount == 8 and d.notes().count("BackOff") == 7
    d.now += 601
    d.exit("c", 1)
    assert d.main().restartCount == 9


def test_restart_policies() -> None:
    for policy, code, again, phase in (
        ("Always", 0, True, "Running"),
        ("OnFailure", 1, True, "Running"),
        ("OnFailure", 0, False, "Succeeded"),
        ("Never", 1, False, "Failed"),
        ("Never", 0, False, "Succeeded"),
    ):
        d = Driver(make(restartPolicy=policy))
        d.exit("c", code)
        assert (len(d.started()) == 2, d.old.phase) == (again, phase), policy
        if not again:
            assert any(isinstance(i, a.CleanUp) and not i.remove for i in d.log)


def test_init_containers_sidecars_and_the_end_in_order() -> None:
    probe = {"exec": {"command": ["x"]}}
    inits = [
        {"name": "one", "image": "i"},
        {"name": "side", "image": "i", "restartPolicy": "Always", "startupProbe": probe},
        {"name": "side2", "image": "i", "restartPolicy": "Always"},
        {"name": "two", "image": "i"},
    ]
    d = Driver(make(initContainers=inits, containers=[{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]))
    assert d.started() == ["one"] and d.old.phase == "Pending"
    d.exit("one")
    assert d.started() == ["one", "side"]
    d.feed(a.Probed("side", d.runs["side"].id, "startup", True))
    assert d.started()[2:] == ["side2", "two"]
    d.exit("two", 1)
    assert d.started()[4:] == ["two"]  # failed once: again at once
    d.exit("two", 0)
    assert d.started()[5:] == ["a", "b"] and d.old.phase == "Running"
    d.exit("side2", 0)
    assert d.started()[7:] == ["side2"]  # a sidecar always comes back
    pod = changed(d.machine.state.pod, deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=5)
    d.feed(a.PodChanged(pod))
    assert d.stopped() == ["a", "b", "side2", "side"]
    tail = [type(i).__name__ for i in d.log[-3:]]
    assert tail == ["StopSandbox", "CleanUp", "ConfirmDeletion"]
    d.feed(a.PodGone())
    assert isinstance(d.log[-2], a.CleanUp) and d.log[-2].remove and isinstance(d.log[-1], a.Forget)


def test_liveness_failure_replaces_the_container_and_readiness_does_not() -> None:
    probe = {"exec": {"command": ["x"]}}
    d = Driver(make(containers=[{"name": "c", "image": "i", "livenessProbe": probe, "readinessProbe": probe}]))
    assert not d.main().ready
    d.feed(a.Probed("c", d.runs["c"].id, "readiness", True))
    assert d.main().ready
    d.feed(a.Probed("c", d.runs["c"].id, "readiness", False))
    assert not d.main().ready and d.stopped() == []
    d.feed(a.Probed("c", d.runs["c"].id, "liveness", False))
    assert d.stopped() == ["c"] and d.started() == ["c", "c"] and d.main().restartCount == 1


def test_pull_back_off_is_shown_after_the_error() -> None:
    d = Driver(make(), hold=(a.EnsureImage,))
    d.feed(a.ImageFailed("c", "ErrImagePull", "no such image"))
    assert d.main().state.waiting.reason == "ErrImagePull"
    d.tick(d.now + 1)
    waiting = d.main().state.waiting
    assert (waiting.reason, waiting.message) == (
        "ImagePullBackOff",
        'Back-off pulling image "i": ErrImagePull: no such image',
    )
    assert len(d.held) == 1
    d.tick(T0 + 10)
    assert len(d.held) == 2
    d.feed(a.ImageReady("c", "ref"))
    assert d.old.phase == "Running"


def test_an_image_volume_that_cannot_be_pulled_shows_where_it_is_mounted() -> None:
    d = Driver(make(), hold=(a.EnsureImage,))
    d.feed(a.ImageFailed("c", "ErrImagePull", "no such image", "files:1"))
    assert d.main().state.waiting.reason == "ErrImagePull"
    d.tick(d.now + 1)
    waiting = d.main().state.waiting
    wanted = 'Back-off pulling image "files:1": ErrImagePull: no such image'
    assert (waiting.reason, waiting.message) == ("ImagePullBackOff", wanted)
    assert [(n.reason, n.message, n.container) for n in d.log if isinstance(n, a.Note)] == [
        ("Failed", 'Failed to pull image "files:1": no such image', ""),
        ("Failed", "Error: ErrImagePull", "c"),
        ("BackOff", 'Back-off pulling image "files:1"', ""),
        ("Failed", "Error: ImagePullBackOff", "c"),
    ]


def test_a_dead_sandbox_is_replaced_and_init_runs_again() -> None:
    d = Driver(make(initContainers=[{"name": "init", "image": "i"}]))
    d.exit("init")
    d.exit("c", 137)
    d = Driver(make(initContainers=[{"name": "init", "image": "i"}]))
    d.exit("init")
    d.feed(a.SandboxDied("s0"))
    assert "SandboxChanged" in d.notes()
    assert [i.attempt for i in d.log if isinstance(i, a.RunSandbox)] == [0, 1]
    assert d.started()[2:] == ["init"]


def test_deadline_and_eviction_fail_the_pod() -> None:
    d = Driver(make(activeDeadlineSeconds=60))
    assert d.wake == T0 + 60
    d.tick(T0 + 60)
    assert (d.old.phase, d.old.reason, d.stopped()) == ("Failed", "DeadlineExceeded", ["c"])
    d = Driver(make())
    d.feed(a.Evicted("Evicted", "low", 0, ("DisruptionTarget", "TerminationByKubelet", "low")))
    assert (d.old.phase, d.old.reason) == ("Failed", "Evicted")
    assert any(c.type == "DisruptionTarget" for c in d.old.conditions)


def test_adoption_starts_nothing_that_runs() -> None:
    first = Driver(make())
    pod = msgspec.structs.replace(first.machine.state.pod, status=first.old)
    machine = PodMachine(pod, T0 + 50)
    out = machine.step(a.Adopted((first.machine.state.sandbox,), (first.runs["c"],)), T0 + 50)
    names = [type(i).__name__ for i in out]
    assert names == ["MountVolumes", "Publish"]
    assert status.build(machine.state, HOST, T0 + 50) == first.old


def test_a_restart_rule_lets_all_containers_begin_anew() -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    source = {"name": "source", "image": "i", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    pod = make(
        containers=[source, {"name": "other", "image": "i"}],
        initContainers=[{"name": "side", "image": "i", "restartPolicy": "Always"}, {"name": "init", "image": "i"}],
        restartPolicy="Never",
    )
    d = Driver(pod)
    d.exit("init")
    assert d.started() == ["side", "init", "source", "other"]
    condition = "AllContainersRestarting"
    assert {c.type: c.status for c in d.old.conditions}[condition] == "False"
    d.log.clear()
    d.hold = (a.StopContainer,)
    d.exit("source", 42)
    assert {c.type: c.reason for c in d.old.conditions}[condition] == "RestartAllContainersStarted"
    assert {(i.name, i.grace_s) for i in d.held} == {("other", 0), ("side", 0)} and d.started() == []
    for order in d.held:
        d.feed(a.ContainerStopped(order.name, order.id, d.ended(order.name, 137)))
    assert d.started() == ["side", "init"]
    d.exit("init")
    assert d.started() == ["side", "init", "source", "other"]
    assert {c.name: c.restartCount for c in (*d.old.initContainerStatuses, *d.old.containerStatuses)} == dict.fromkeys(
        ("side", "init", "source", "other"), 1
    )
    assert d.old.phase == "Running" and all(c.lastState.terminated for c in d.old.containerStatuses)
    assert {c.type: c.status for c in d.old.conditions}[condition] == "False"
    d.exit("source", 1)
    d.hold = ()
    d.exit("other", 0)
    assert d.old.phase == "Failed"


def test_a_sidecar_may_let_all_containers_begin_anew() -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    side = {"name": "side", "image": "i", "restartPolicy": "Always", "restartPolicyRules": [rule]}
    d = Driver(make(initContainers=[side], restartPolicy="Never"))
    d.log.clear()
    d.exit("side", 42)
    assert d.stopped() == ["c"] and d.started() == ["side", "c"] and d.old.phase == "Running"


def test_a_rule_that_fires_early_waits_for_the_others_to_have_started() -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    source = {"name": "source", "image": "i", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    d = Driver(make(containers=[source, {"name": "other", "image": "i"}], restartPolicy="Never"), (a.StartContainer,))
    first = d.held.pop()
    over = a.Run("source-1", "source", 0, "exited", d.now, d.now, d.now, 42, sandbox_id="s0")
    d.runs["source"] = over
    d.feed(a.ContainerStarted(first.name, over))
    assert [i.name for i in d.held] == ["other"] and d.stopped() == []
    run = a.Run("other-1", "other", 0, "running", d.now, d.now, sandbox_id="s0")
    d.runs["other"] = run
    d.hold = ()
    d.feed(a.ContainerStarted("other", run))
    assert d.stopped() == ["other"] and d.started() == ["source", "other", "source", "other"]
    assert {c.restartCount for c in d.old.containerStatuses} == {1}


def test_a_changed_image_replaces_the_container() -> None:
    d = Driver(make())
    d.runs["c"].hash = "other"
    d.tick(d.now + 1)
    assert d.stopped() == ["c"] and d.started() == ["c", "c"]


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("exit"), st.sampled_from(["i", "s", "c", "d"]), st.integers(0, 1)),
        st.tuples(st.just("probe"), st.sampled_from(["s", "c"]), st.booleans()),
        st.tuples(st.just("tick"), st.floats(0.1, 400), st.just(0)),
        st.tuples(st.just("sandbox"), st.just(""), st.just(0)),
        st.tuples(st.just("volumes"), st.just(""), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.sampled_from(["Always", "OnFailure", "Never"]))
def test_every_pod_can_be_deleted_whatever_happened(events: Any, policy: str) -> None:
    """Properties: nothing starts twice at a time, nothing starts once the pod ends, and the end is always reached."""
    probe = {"exec": {"command": ["x"]}}
    pod = make(
        restartPolicy=policy,
        initContainers=[{"name": "i", "image": "i"}, {"name": "s", "image": "i", "restartPolicy": "Always"}],
        containers=[{"name": "c", "image": "i", "livenessProbe": probe}, {"name": "d", "image": "i"}],
    )
    d = Driver(pod)
    for what, arg, more in events:
        if what == "exit" and arg in d.runs and d.machine.state.slots[arg].alive:
            d.exit(arg, more)
        elif what == "probe" and arg in d.runs:
            d.feed(a.Probed(arg, d.runs[arg].id, "liveness", bool(more)))
        elif what == "tick":
            d.tick(d.now + arg)
        elif what == "sandbox" and d.machine.state.sandbox is not None:
            d.feed(a.SandboxDied(d.machine.state.sandbox.id))
        elif what == "volumes":
            d.feed(a.VolumesReady())
        assert d.old.phase in ("Pending", "Running", "Succeeded", "Failed")
    begun = len(d.started())
    gone = changed(pod, deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=5)
    d.feed(a.PodChanged(gone))
    for _ in range(3):
        d.tick(d.now + 30)
    assert len(d.started()) == begun
    assert isinstance(d.log[-1], a.ConfirmDeletion)
    assert d.old.phase in ("Succeeded", "Failed")
