"""The containers of one hollow pod that run: when they end by themselves, take a signal, run out of memory, are probed.

All of it is timers. Of a container to which nothing will happen by itself nothing is kept here that the pod machine
does not know as well, so ``Containers`` can be thrown away (``idle``) and made anew from the machine's picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from pelamis.base import quantity
from pelamis.kubelet import actions as a
from pelamis.kubelet.hollow import script
from pelamis.kubelet.hollow.behaviour import KILLED_CODE
from pelamis.kubelet.hollow.prober import Probing
from pelamis.kubelet.hollow.timer import Timer
from pelamis.kubelet.resources import limits_of

if TYPE_CHECKING:
    from pelamis.kubelet.hollow.pod import HollowPod

MINIMUM_GRACE_S = 2.0


class Live:
    """A container that runs. exit: the timer of its own end; stop: of its end by a signal, at ``stop_at``."""

    __slots__ = ("exit", "hooked", "oom", "run", "stop", "stop_at", "stop_code")

    def __init__(self, run: a.Run) -> None:
        self.run = run
        self.exit: Timer | None = None
        self.oom: Timer | None = None
        self.stop: Timer | None = None
        self.stop_at = 0.0
        self.stop_code = 0
        self.hooked = False

    @property
    def idle(self) -> bool:
        return self.exit is None and self.oom is None and self.stop is None and not self.hooked


class Containers:
    """live: by the id of the run."""

    __slots__ = ("_pod", "_probing", "_watches", "live")

    def __init__(self, pod: HollowPod, running: Iterable[a.Run] = ()) -> None:
        self._pod = pod
        self.live: dict[str, Live] = {run.id: Live(run) for run in running}
        self._probing: dict[str, Probing] = {}
        self._watches: dict[str, list[Callable[[], object]]] = {}

    @property
    def idle(self) -> bool:
        """Nothing is known here that the machine's picture does not say."""
        if self._watches or any(not probing.idle for probing in self._probing.values()):
            return False
        return all(live.idle for live in self.live.values())

    def close(self) -> None:
        for live in self.live.values():
            for timer in (live.exit, live.oom, live.stop):
                if timer is not None:
                    timer.cancel()
        self.live.clear()
        for probing in self._probing.values():
            probing.stop(())
        self._probing.clear()

    def watch_exit(self, id_: str, call: Callable[[], object]) -> None:
        self._watches.setdefault(id_, []).append(call)

    def unwatch_exit(self, id_: str, call: Callable[[], object]) -> None:
        calls = self._watches.get(id_)
        if calls is not None and call in calls:
            calls.remove(call)
            if not calls:
                del self._watches[id_]

    # --- the start ----------------------------------------------------------------------------------------------------

    def run(self, run: a.Run, spec: Any) -> None:
        live = self.live[run.id] = Live(run)
        hook = spec.lifecycle.postStart if spec.lifecycle is not None else None
        if hook is None:
            self._started(live)
        else:
            took_s, code = _hook(hook)
            self._pod.later(took_s, self._hooked, live, code)

    def _started(self, live: Live) -> None:
        pod = self._pod
        pod.feed(a.ContainerStarted(live.run.name, live.run))
        if pod.kubelet.strain.watchful or pod.behaviour.says_usage:
            self.weigh(live)
        if live.run.id in self.live and live.exit is None and live.run.state == "running":
            lasts = pod.script(live.run.name).lasts
            if lasts is not None:
                self.exit_after(live, live.run.started_at + lasts - pod.kubelet.agent.now())

    def _hooked(self, live: Live, code: int) -> None:
        """The postStart hook has returned."""
        if live.run.id not in self.live:
            return
        if code == 0:
            self._started(live)
            return
        del self.live[live.run.id]
        pod, name = self._pod, live.run.name
        text = f"PostStartHook failed: command exited with {code}"
        pod.note(name, "Warning", "FailedPostStartHook", text)
        pod.note(name, "Normal", "Killing", "FailedPostStartHook")
        pod.feed(a.ContainerFailed(name, "PostStartHookError", text, self._ended(live, KILLED_CODE, "")))

    # --- what it uses -------------------------------------------------------------------------------------------------

    def weigh(self, *some: Live) -> None:
        """Those containers, or all, begin or use other amounts: when will they have used more than they may?"""
        pod = self._pod
        agent = pod.kubelet.agent
        now = agent.now()
        pod.kubelet.strain.changed(pod)
        for live in some or list(self.live.values()):
            if live.oom is not None:
                live.oom.cancel()
                live.oom = None
            slot = pod.machine.state.slots.get(live.run.name)
            if slot is None or pod.behaviour.plain:
                continue
            limit = limits_of(pod.pod, slot.spec).get("memory", "")
            after = pod.behaviour.oom_s(slot.spec, quantity.value(limit)) if limit else None
            if after is not None:
                delay = max(live.run.started_at + after - now, 0.0)
                live.oom = agent.timers.after(delay, self._out_of_memory, live)

    def _out_of_memory(self, live: Live) -> None:
        if not self._pod.kubelet.defer(self._out_of_memory, live):
            self.exit(live, KILLED_CODE, "OOMKilled")

    # --- the end ------------------------------------------------------------------------------------------------------

    def exit_after(self, live: Live, delay_s: float) -> None:
        agent = self._pod.kubelet.agent
        code = self._pod.script(live.run.name).code
        if delay_s <= 0.0:
            self.exit(live, code, "", finished_at=agent.now() + delay_s)
        else:
            live.exit = agent.timers.after(delay_s, self._exits, live, code)

    def _exits(self, live: Live, code: int) -> None:
        if not self._pod.kubelet.defer(self._exits, live, code):
            self.exit(live, code, "")

    def _ended(self, live: Live, code: int, reason: str, finished_at: float = 0.0) -> a.Run:
        at = finished_at or self._pod.kubelet.agent.now()
        return replace(
            live.run,
            state="exited",
            finished_at=max(at, live.run.started_at),
            exit_code=code,
            reason=reason or ("Completed" if code == 0 else "Error"),
        )

    def exit(self, live: Live, code: int, reason: str, *, finished_at: float = 0.0) -> None:
        if self.live.pop(live.run.id, None) is None:
            return
        pod = self._pod
        run, stopping = self._ended(live, code, reason, finished_at), live.stop is not None
        if pod.kubelet.strain.watchful:
            pod.kubelet.strain.changed(pod)
        for timer in (live.exit, live.oom, live.stop):
            if timer is not None:
                timer.cancel()
        for call in self._watches.pop(run.id, ()):
            call()
        pod.feed(a.ContainerStopped(run.name, run.id, run) if stopping else a.ContainerExited(run))

    def stop(self, order: a.StopContainer) -> a.ContainerStopped | None:
        """The answer, if there is nothing to stop."""
        live = self.live.get(order.id)
        pod = self._pod
        if live is None:
            slot = pod.machine.state.slots.get(order.name)
            run = slot.current if slot is not None and slot.current is not None and slot.exited else None
            return a.ContainerStopped(order.name, order.id, run)
        delay_s, code = self._stopping(order, live)
        agent = pod.kubelet.agent
        now = agent.now()
        if live.stop is not None:
            if live.stop_at <= now + delay_s:
                return None  # it ends sooner by what was asked before
            live.stop.cancel()
        live.stop_at, live.stop_code = now + delay_s, code
        live.stop = agent.timers.after(delay_s, self._stops, live)
        if delay_s <= 0.0:
            self.exit(live, code, "")
        return None

    def _stops(self, live: Live) -> None:
        if not self._pod.kubelet.defer(self._stops, live):
            self.exit(live, live.stop_code, "")

    def _stopping(self, order: a.StopContainer, live: Live) -> tuple[float, int]:
        """How many seconds the container takes to end, and its exit code."""
        grace, before = float(order.grace_s), 0.0
        if grace <= 0.0:
            return 0.0, KILLED_CODE
        pod = self._pod
        slot = pod.machine.state.slots.get(order.name)
        lifecycle = slot.spec.lifecycle if slot is not None else None
        if lifecycle is not None and lifecycle.preStop is not None and not live.hooked:
            live.hooked = True
            before, code = _hook(lifecycle.preStop)
            if before > grace:
                text = f"PreStopHook did not complete within {order.grace_s} seconds"
                pod.note(order.name, "Warning", "FailedPreStopHook", text)
                before = grace
            elif code:
                text = f"PreStopHook failed: command exited with {code}"
                pod.note(order.name, "Warning", "FailedPreStopHook", text)
            grace = max(grace - before, MINIMUM_GRACE_S)
        taken = pod.behaviour.stop(order.name)
        if taken.after_s is None or taken.after_s > grace:
            return before + grace, KILLED_CODE
        return before + taken.after_s, taken.code

    # --- probes -------------------------------------------------------------------------------------------------------

    def start_probes(self, order: a.StartProbes) -> None:
        pod = self._pod
        probing = self._probing[order.id] = Probing(
            order,
            pod.machine.state.slots[order.name].spec,
            pod.behaviour,
            pod.kubelet.agent.now,
            self._probe_after,
            pod.feed,
            lambda type_, reason, message: pod.note(order.name, type_, reason, message),
        )
        probing.run()

    def stop_probes(self, id_: str, kinds: tuple[a.ProbeKind, ...]) -> None:
        found = self._probing.get(id_)
        if found is not None and found.stop(kinds):
            del self._probing[id_]

    def _probe_after(self, delay_s: float, fn: Callable[[], None]) -> Timer:
        return self._pod.kubelet.agent.timers.after(delay_s, self._probe, fn)

    def _probe(self, fn: Callable[[], None]) -> None:
        if not self._pod.kubelet.defer(self._probe, fn):
            fn()


def _hook(handler: Any) -> tuple[float, int]:
    """(seconds that it takes, exit code) of a lifecycle hook."""
    if handler.exec is not None:
        found = script.understand(handler.exec.command)
        return found.lasts or 0.0, found.code
    if handler.sleep is not None:
        return float(handler.sleep.seconds), 0
    return 0.0, 0
