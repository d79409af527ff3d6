"""The executor of the scheduler: from changes in views to commits of bindings. It and ``commit`` are what awaits.

A turn takes in the changes that views have noted, decides pod after pod on the columns (each sees what the ones before
it took, as assumed pods), and commits all bindings of the turn at once, so that they share a group commit. While that
is out (see ``commit``), further turns run. An assumed pod stays counted until the view shows its node. A turn that used
5 ms of CPU commits what it has and lets the loop go on.

Nothing polls: views wake the loop, one timer serves the earliest pod with a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.resource.resourceclaim import KIND as DEVICE_CLAIM
from pelamis.base.ids import uid
from pelamis.client.synced import synced
from pelamis.client.types import Action, Client, Key
from pelamis.scheduler import extender as x
from pelamis.scheduler.commit import Commits, Placed, Unplaced
from pelamis.scheduler.core import Decision, choose, decide, find
from pelamis.scheduler.devicebinding import DeviceBinder, claims_to_free, reserve
from pelamis.scheduler.extender import Extender, ExtenderError
from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.intake import SOURCES, Intake
from pelamis.scheduler.metrics import ERROR, SAMPLE, UNSCHEDULED, Measures
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.preemption import Preemption, search, settle
from pelamis.scheduler.profile import Profile, Settings
from pelamis.scheduler.queue import Queue, Waiting
from pelamis.scheduler.snapshot import Snapshot
from pelamis.scheduler.userplugin import PluginError
from pelamis.scheduler.volumes import Binding, claims_of, plan

log = logging.getLogger("pelamis.scheduler")
TURN_S = 0.005
BATCH = 256
COMMITS_AT_ONCE = 16
NO_CANDIDATE = "preemption: no candidate node for preemption"


@dataclass(slots=True)
class _Batch:
    """What a turn has decided."""

    bound: list[Placed]
    failed: list[Unplaced]


class Scheduler:
    """Binds the pods of the profiles until cancelled.

    clock: seconds since the epoch. entropy: a number in [0, 1). cpu: seconds of a clock that measures a turn. Raises
    ConfigError when an extender's certificates cannot be read.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Callable[[], float],
        entropy: Callable[[], float],
        settings: Settings = Settings(),
        cpu: Callable[[], float] = time.perf_counter,
        host: str = "localhost",
    ) -> None:
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._cpu = cpu
        self._profiles = {p.name: p for p in settings.profiles}
        self._extenders = [Extender(e, Path(settings.home)) for e in settings.extenders]
        self.snapshot = Snapshot()
        self.queue = Queue(
            {p.name: p.plugins for p in settings.profiles},
            initial_backoff_s=settings.initial_backoff_s,
            max_backoff_s=settings.max_backoff_s,
            gate=self._gate,
        )
        self._gates = {p.name: [(q.name, q.gate) for q in p.plugins if q.gate is not None] for p in settings.profiles}
        self._devices = DeviceBinder(client, self.snapshot.devices, clock)
        self.measures = Measures(self.queue, self.snapshot)
        self._timed = {p.name: self.measures.timed(p.plugins, cpu) for p in settings.profiles}
        self._decisions = 0
        self._intake = Intake(self.snapshot, self.queue, self._profiles, client.view(POD).get)
        self._changes: deque[tuple[Callable[[Intake, Key, Any, Any, float], None], Key, Any, Any]] = deque()
        self._wake = asyncio.Event()
        self._outcomes = Commits(
            client,
            self._intake,
            self._devices,
            self.measures,
            self._profiles,
            clock=clock,
            cpu=cpu,
            host=host,
            wake=self._wake.set,
        )
        self._commits: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Nothing to do until something changes or the time of a pod comes."""
        return not self._commits and not self._changes and not self.queue.ready(self._clock())

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        cancels: list[Callable[[], None]] = []
        try:
            views = [self._client.view(kind) for kind, _ in SOURCES]
            for view, (_, take) in zip(views, SOURCES, strict=True):
                cancels.append(view.subscribe(self._on_change(take)))
            cancels.append(self._client.view(CLAIM).subscribe(self._outcomes.claim_changed, replay=False))
            cancels.append(self._client.view(DEVICE_CLAIM).subscribe(self._devices.changed, replay=False))
            waiting = sum(1 for view in views if not view.synced)
            if waiting:
                await synced(*views)
            async with asyncio.TaskGroup() as group:
                while True:
                    if len(self._commits) < COMMITS_AT_ONCE:
                        await self._turn(group)
                    self._arm(loop)
                    if self._may_go_on():
                        await asyncio.sleep(0)
                    else:
                        await self._wake.wait()
                    self._wake.clear()
        finally:
            for cancel in cancels:
                cancel()
            if self._timer is not None:
                self._timer.cancel()
            self._devices.close()
            for extender in self._extenders:
                await extender.close()

    def _may_go_on(self) -> bool:
        if len(self._commits) >= COMMITS_AT_ONCE:
            return False
        return bool(self._changes) or self.queue.ready(self._clock())

    def _on_change(self, take: Callable[[Intake, Key, Any, Any, float], None]) -> Callable[[Key, Any, Any], None]:
        changes, wake = self._changes, self._wake

        def note(key: Key, old: Any, new: Any) -> None:
            changes.append((take, key, old, new))
            wake.set()

        return note

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self.queue.next_at()
        if at is not None:
            self._timer = loop.call_later(max(0.0, at - self._clock()), self._wake.set)

    # -- a turn

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        """Awaits extenders alone; nothing is taken in meanwhile, so that a decision sees one state of the nodes."""
        started = self._cpu()
        if not self._take_in(started):
            return  # the picture is not up to date: take in the rest before deciding anything
        batch = _Batch([], [])
        while len(batch.bound) + len(batch.failed) < BATCH:
            waiting = self.queue.pop(self._clock())
            if waiting is None:
                break
            await self._decide(waiting, batch)
            if self._cpu() - started > TURN_S:
                break
        alone = [b for b in batch.bound if b.volumes or b.devices is not None or b.binder is not None]
        for item in alone:
            group.create_task(self._outcomes.bind_alone(item), name="scheduler-bind")
        bound = [b for b in batch.bound if b not in alone] if alone else batch.bound
        if bound or batch.failed:
            task = group.create_task(self._outcomes.carry_out(bound, batch.failed), name="scheduler-commit")
            self._commits.add(task)
            task.add_done_callback(self._committed)

    def _take_in(self, started: float) -> bool:
        changes, intake, now = self._changes, self._intake, self._clock()
        count = 0
        while changes:
            take, key, old, new = changes.popleft()
            take(intake, key, old, new, now)
            count += 1
            if not count % 32 and self._cpu() - started > TURN_S:
                return not changes
        return True

    def _committed(self, task: asyncio.Task[None]) -> None:
        self._commits.discard(task)
        self._wake.set()

    async def _decide(self, waiting: Waiting, batch: _Batch) -> None:
        info = waiting.info
        if info.uid in self.snapshot.pods or info.terminating:
            self.queue.done(waiting)
            return
        began = self._cpu()
        pod = info.pod
        profile = self._profiles[pod.spec.schedulerName]
        self.snapshot.devices.now = self._clock()
        plugins = profile.plugins if self._decisions % SAMPLE else self._timed[profile.name]
        self._decisions += 1
        asked = [e for e in self._extenders if x.interested(e.config, info)] if self._extenders else ()
        try:
            decision = await self._find(profile, plugins, info, asked)
            self.measures.algorithm.observe((), self._cpu() - began)
            if decision.node:
                devices = None
                if profile.devices_s is not None:
                    devices = reserve(self.snapshot, info, decision.node, profile.devices_s, self._new_id)
                self.snapshot.denominate(info.uid)
                self.snapshot.add_pod(info, decision.node)
                volumes = self._choose_volumes(info, decision.node)
                binder = next((e for e in asked if e.config.bindVerb), None)
                batch.bound.append(Placed(waiting, info, pod, decision.node, volumes, devices, binder, began))
                return
            freeing, freed = self._free(profile, info, decision)
            preemption = None
            if profile.preemption is not None:
                preemption = await self._preempt(profile, info, decision, asked)
            batch.failed.append(Unplaced(waiting, decision, preemption, freeing=freeing, freed=freed))
            self.measures.attempt(UNSCHEDULED, profile.name, self._cpu() - began)
        except Exception as error:  # a defect in a plugin must stop neither it nor the others
            if not isinstance(error, PluginError | ExtenderError):
                log.exception("cannot decide %s/%s", *info.key)
            elif isinstance(error, PluginError):
                log.error("cannot decide %s/%s: %s", *info.key, error, exc_info=error.__cause__)
            text = str(error) if isinstance(error, PluginError | ExtenderError) else repr(error)
            batch.failed.append(Unplaced(waiting, error=text))
            self.measures.attempt(ERROR, profile.name, self._cpu() - began)
        finally:
            info.forget()

    async def _find(
        self, profile: Profile, plugins: Sequence[Plugin], info: PodInfo, asked: Sequence[Extender]
    ) -> Decision:
        snapshot, measures = self.snapshot, self.measures
        began = self._cpu()
        if not asked:
            decision = decide(snapshot, plugins, info, draw=self._entropy)
            outcome = "Success" if decision.node else "Unschedulable"
            measures.points.observe(("Filter", outcome, profile.name), self._cpu() - began)
            return decision
        found, why = find(snapshot, plugins, info)
        measures.points.observe(
            ("Filter", "Success" if len(found) else "Unschedulable", profile.name), self._cpu() - began
        )
        for extender in asked:
            if not len(found):
                break
            config = extender.config
            if config.filterVerb:
                try:
                    body = x.nodes_body(config, snapshot, info, found)
                    found = x.kept(config, snapshot, found, await extender.ask(config.filterVerb, body), why)
                except ExtenderError as error:
                    if not config.ignorable:
                        raise
                    log.warning("skipping extender %s: %s", config.urlPrefix, error)
        if not len(found):
            return Decision("", why)
        more = None
        for extender in asked if len(found) > 1 else ():
            config = extender.config
            if config.prioritizeVerb:
                try:
                    body = x.nodes_body(config, snapshot, info, found)
                    points = x.scores(config, snapshot, found, await extender.ask(config.prioritizeVerb, body))
                    more = points if more is None else more + points
                except ExtenderError as error:  # its opinion is not necessary
                    log.warning("extender %s gave no scores: %s", config.urlPrefix, error)
        began = self._cpu()
        decision = choose(snapshot, plugins, info, found, draw=self._entropy, more=more)
        measures.points.observe(("Score", "Success", profile.name), self._cpu() - began)
        return decision

    async def _preempt(
        self, profile: Profile, info: PodInfo, decision: Decision, asked: Sequence[Extender]
    ) -> Preemption | None:
        assert profile.preemption is not None
        snapshot = self.snapshot
        began = self._cpu()
        found = search(snapshot, profile.plugins, info, decision, draw=self._entropy, args=profile.preemption)
        if isinstance(found, list):
            for extender in asked:
                config = extender.config
                if not config.preemptVerb or not found:
                    continue
                try:
                    body = x.preempt_body(config, info, found)
                    found = x.narrowed(config, snapshot, await extender.ask(config.preemptVerb, body))
                except ExtenderError as error:
                    if not config.ignorable:
                        raise
                    log.warning("skipping extender %s: %s", config.urlPrefix, error)
            found = settle(snapshot, info, found) if found else Preemption(NO_CANDIDATE, nominated="")
        ok = found is not None and bool(found.nominated)
        self.measures.points.observe(
            ("PostFilter", "Success" if ok else "Unschedulable", profile.name), self._cpu() - began
        )
        if found is not None:
            self.measures.preempted(len(found.victims))
            if found.nominated is not None:
                snapshot.nominate(info, found.nominated)
                for other in found.displaced:
                    snapshot.denominate(other.uid)
        return found

    def _free(self, profile: Profile, info: PodInfo, decision: Decision) -> tuple[Sequence[Action], str]:
        why = decision.diagnosis
        if profile.devices_s is None or why is None or not why.nodes:
            return (), ""
        return claims_to_free(self.snapshot, info, profile.devices_s, list(why.reasons))

    def _gate(self, info: PodInfo) -> str:
        for name, gate in self._gates.get(info.pod.spec.schedulerName, ()):
            try:
                if gate(self.snapshot, info):
                    return name
            except Exception:  # a defect in a plugin: the pod is looked at, then
                log.exception('running PreEnqueue plugin "%s" for %s/%s', name, *info.key)
        return ""

    def _new_id(self) -> str:
        return uid(b"".join(int(self._entropy() * 2**32).to_bytes(4, "big") for _ in range(4)))

    def _choose_volumes(self, info: PodInfo, node: str) -> Sequence[Binding]:
        """For claims that waited for a node; promised at once, so that the next pod does not get the same volume."""
        if not info.claims:
            return ()
        waiting = claims_of(self.snapshot, info).waiting
        chosen = plan(self.snapshot, waiting, self.snapshot.by_name[node].node) or ()
        for each in chosen:
            if each.volume is not None:
                meta = each.claim.metadata
                self.snapshot.storage.assumed[each.volume.metadata.name] = (meta.namespace, meta.name)
        return chosen
