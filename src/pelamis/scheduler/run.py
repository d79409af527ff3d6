"""The executor of the scheduler: from changes in views to commits of bindings. The only part of it that awaits.

A turn takes in the changes that views have noted, decides pod after pod on the columns (each sees what the ones before
it took, as assumed pods), and commits all bindings of the turn at once, so that they share a group commit. While that
is out, further turns run. An assumed pod stays counted until the view shows its node; when its binding is refused it
is forgotten and comes back with back-off. A turn that used 5 ms of CPU commits what it has and lets the loop go on.

Nothing polls: views wake the loop, one timer serves the earliest pod with a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.persistentvolumeclaim import SELECTED_NODE, is_bound
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.resource.resourceclaim import KIND as DEVICE_CLAIM
from pelamis.base.errors import StatusError
from pelamis.base.ids import uid
from pelamis.client.synced import synced
from pelamis.client.types import Action, Client, Key, Outcome, Patch
from pelamis.reconcile.events import record
from pelamis.reconcile.eventseries import Series
from pelamis.reconcile.plan import EventNote
from pelamis.scheduler import extender as x
from pelamis.scheduler.core import NO_NODES, Decision, choose, decide, find
from pelamis.scheduler.devicebinding import DeviceBinder, Reservation, claims_to_free, reserve, undo
from pelamis.scheduler.extender import Extender, ExtenderError
from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.intake import SOURCES, Intake
from pelamis.scheduler.metrics import ERROR, SAMPLE, SCHEDULED, UNSCHEDULED, Measures
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.preemption import Preemption, search, settle
from pelamis.scheduler.profile import Profile, Settings
from pelamis.scheduler.queue import Queue, Waiting
from pelamis.scheduler.snapshot import Snapshot
from pelamis.scheduler.userplugin import PluginError
from pelamis.scheduler.volumes import Binding, claims_of, plan
from pelamis.scheduler.writes import (
    binding,
    condition,
    evict,
    expectation,
    failed_scheduling,
    problem,
    volume_action,
)

log = logging.getLogger("pelamis.scheduler")
TURN_S = 0.005
BATCH = 256
COMMITS_AT_ONCE = 16
NO_CANDIDATE = "preemption: no candidate node for preemption"


@dataclass(frozen=True, slots=True)
class _Bound:
    """binder: the extender that binds the pod in the scheduler's place. began: of the attempt, by the cpu's clock."""

    waiting: Waiting
    info: PodInfo
    node: str
    volumes: Sequence[Binding]
    devices: Reservation | None
    binder: Extender | None
    began: float

    @property
    def takes_time(self) -> bool:
        """Something is to be made ready first, so that it is worth telling where the pod will go."""
        return bool(self.volumes) or self.devices is not None


@dataclass(frozen=True, slots=True)
class _Failed:
    """decision None: the attempt itself went wrong, as ``error`` says."""

    waiting: Waiting
    decision: Decision | None = None
    preemption: Preemption | None = None
    error: str = ""
    freeing: Sequence[Action] = ()
    freed: str = ""
    """What is done for the pod's claims, and how users read that."""


@dataclass(slots=True)
class _Batch:
    """What a turn has decided."""

    bound: list[_Bound]
    failed: list[_Failed]


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
        self._correlators = {name: Series(name, f"{name}-{host}") for name in self._profiles}
        self._wake = asyncio.Event()
        self._commits: set[asyncio.Task[None]] = set()
        self._claim_waiters: dict[Key, list[asyncio.Event]] = {}
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
            cancels.append(self._client.view(CLAIM).subscribe(self._claim_changed, replay=False))
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
            group.create_task(self._bind_alone(item), name="scheduler-bind")
        bound = [b for b in batch.bound if b not in alone] if alone else batch.bound
        if bound or batch.failed:
            task = group.create_task(self._carry_out(bound, batch.failed), name="scheduler-commit")
            self._commits.add(task)
            task.add_done_callback(self._committed)

    def _take_in(self, started: float) -> bool:
        changes = self._changes
        count = 0
        while changes:
            take, key, old, new = changes.popleft()
            take(self._intake, key, old, new, self._clock())
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
        profile = self._profiles[info.pod.spec.schedulerName]
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
                batch.bound.append(_Bound(waiting, info, decision.node, volumes, devices, binder, began))
                return
            freeing, freed = self._free(profile, info, decision)
            preemption = None
            if profile.preemption is not None:
                preemption = await self._preempt(profile, info, decision, asked)
            batch.failed.append(_Failed(waiting, decision, preemption, freeing=freeing, freed=freed))
            self.measures.attempt(UNSCHEDULED, profile.name, self._cpu() - began)
        except Exception as error:  # a defect in a plugin must stop neither it nor the others
            if not isinstance(error, PluginError | ExtenderError):
                log.exception("cannot decide %s/%s", *info.key)
            elif isinstance(error, PluginError):
                log.error("cannot decide %s/%s: %s", *info.key, error, exc_info=error.__cause__)
            text = str(error) if isinstance(error, PluginError | ExtenderError) else repr(error)
            batch.failed.append(_Failed(waiting, error=text))
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

    # -- commits

    async def _carry_out(self, bound: Sequence[_Bound], failed: Sequence[_Failed]) -> None:
        now = self._clock()
        notes: dict[str, list[EventNote]] = {}
        actions: list[Action] = [binding(b.info, b.node) for b in bound]
        for each in failed:
            actions.extend(self._failure(each, now, notes))
        outcomes: Sequence[Outcome] = ()
        trouble = ""
        try:
            if actions:
                outcomes = await self._client.commit(actions)
        except OSError as error:
            trouble = f"cannot reach the server: {error}"
        except Exception as error:
            log.exception("commit failed")
            trouble = repr(error)
        errors: list[Action] = []
        for i, item in enumerate(bound):
            text = trouble if trouble else problem(outcomes[i].error)
            if not text:
                self._is_bound(item, notes)
            else:
                refused = outcomes[i].error if not trouble else None
                what = f'running Bind plugin "DefaultBinder": {text}'
                errors.extend(self._unbound(item, what, refused, notes, unknown=bool(trouble)))
        await self._report(errors, notes)

    def _is_bound(self, item: _Bound, notes: dict[str, list[EventNote]]) -> None:
        self.queue.done(item.waiting)
        namespace, name = item.info.key
        text = f"Successfully assigned {namespace}/{name} to {item.node}"
        who = item.info.pod.spec.schedulerName
        notes.setdefault(who, []).append(EventNote(item.info.pod, "Normal", "Scheduled", text, action="Binding"))
        self.measures.attempt(SCHEDULED, who, self._cpu() - item.began)
        self.measures.bound(item.waiting.attempts, max(0.0, self._clock() - item.waiting.added))

    async def _report(self, actions: Sequence[Action], notes: dict[str, list[EventNote]]) -> None:
        """The last things of a commit: conditions of what went wrong, and events by scheduler name."""
        self._wake.set()
        try:
            if actions:
                await self._client.commit(actions)
            for who, own in notes.items():
                await record(self._client, self._correlators[who], own, self._clock())
        except Exception as error:
            log.warning("%d events were lost: %s", sum(map(len, notes.values())), error)

    async def _bind_alone(self, item: _Bound) -> None:
        """Ask for the volumes, wait until the claims are bound, then bind the pod, or have it bound by an extender."""
        trouble = ""
        if item.takes_time:
            await self._expect(item)
        if item.volumes:
            limit = self._profiles[item.info.pod.spec.schedulerName].volumes_s
            try:
                async with asyncio.timeout(limit):
                    trouble = await self._ask_for_volumes(item)
            except TimeoutError:
                trouble = "binding volumes: context deadline exceeded"
            except OSError as error:
                trouble = f"cannot reach the server: {error}"
            if trouble:
                trouble = f'running PreBind plugin "VolumeBinding": {trouble}'
        notes: dict[str, list[EventNote]] = {}
        if not trouble and item.devices is not None:
            try:
                trouble = await self._make_ready(item, item.devices)
            except OSError as error:
                trouble = f"cannot reach the server: {error}"
            if trouble:
                trouble = f'running PreBind plugin "DynamicResources": {trouble}'
        if not trouble and item.binder is not None:
            try:
                await item.binder.bind(item.info, item.node)
            except ExtenderError as error:
                if item.binder.config.ignorable:
                    log.warning("skipping extender %s: %s", item.binder.config.urlPrefix, error)
                    item = replace(item, binder=None)
                else:
                    trouble = str(error)
            else:
                self._is_bound(item, notes)
                await self._report((), notes)
                return
        if not trouble:
            await self._carry_out([item], ())
            return
        for promised in item.volumes:
            if promised.volume is not None:
                self.snapshot.storage.assumed.pop(promised.volume.metadata.name, None)
        more = self._unbound(item, trouble, None, notes)
        await self._report(more, notes)

    async def _expect(self, item: _Bound) -> None:
        """Not worth giving up for."""
        try:
            await self._client.commit([expectation(item.info, item.node)])
        except OSError as error:
            log.warning("where %s/%s goes could not be told: %s", *item.info.key, error)

    async def _make_ready(self, item: _Bound, kept: Reservation) -> str:
        trouble = await self._devices.bind(kept)
        if trouble or not self._devices.must_wait(kept):
            return trouble
        profile = self._profiles[item.info.pod.spec.schedulerName]
        text = f"waiting for binding conditions for device on node {item.node}"
        await self._report(
            (), {profile.name: [EventNote(item.info.pod, "Normal", "BindingConditionsPending", text, "Scheduling")]}
        )
        there = lambda: self.snapshot.pods.get(item.info.uid) is item.info  # noqa: E731
        return await self._devices.wait(kept, profile.devices_s or 0.0, there)

    async def _ask_for_volumes(self, item: _Bound) -> str:
        actions = [a for each in item.volumes if (a := volume_action(each, item.node)) is not None]
        view = self._client.view(CLAIM)
        changed = asyncio.Event()
        for action, outcome in zip(actions, await self._client.commit(actions) if actions else (), strict=True):
            if outcome.error is not None:
                return problem(outcome.error)
            if action.kind is CLAIM and view.revision < outcome.rev:
                seen = asyncio.Event()
                view.when_reached(outcome.rev, seen.set)
                await seen.wait()
        keys = [(b.claim.metadata.namespace, b.claim.metadata.name) for b in item.volumes]
        for key in keys:
            self._claim_waiters.setdefault(key, []).append(changed)
        try:
            while True:
                changed.clear()
                claims = [view.get(*key) for key in keys]
                if self.snapshot.pods.get(item.info.uid) is not item.info:
                    return "pod is gone"
                for binding, claim in zip(item.volumes, claims, strict=True):
                    if claim is None or claim.metadata.uid != binding.claim.metadata.uid:
                        return f'persistentvolumeclaim "{binding.claim.metadata.name}" not found'
                    selected = claim.metadata.annotations.get(SELECTED_NODE, "")
                    if binding.volume is None and not is_bound(claim) and selected not in (item.node,):
                        return f'provisioning failed for PVC "{claim.metadata.name}"'
                if all(claim is not None and is_bound(claim) for claim in claims):
                    return ""
                await changed.wait()
        finally:
            for key in keys:
                self._claim_waiters[key].remove(changed)
                if not self._claim_waiters[key]:
                    del self._claim_waiters[key]

    def _claim_changed(self, key: Key, old: Any, new: Any) -> None:
        for waiter in self._claim_waiters.get(key, ()):
            waiter.set()

    def _failure(self, failed: _Failed, now: float, notes: dict[str, list[EventNote]]) -> list[Action]:
        """Of a pod for which no node was found: what to write, and its way back into the queue."""
        waiting, decision, preemption = failed.waiting, failed.decision, failed.preemption
        info = waiting.info
        who = info.pod.spec.schedulerName
        own = notes.setdefault(who, [])
        out: list[Action] = []
        if decision is None:
            self.queue.failed(waiting, (), now, error=True)
            self._wake.set()
            own.append(failed_scheduling(info, failed.error))
            wrong = condition(info, "SchedulerError", failed.error, now, None)
            return [wrong] if wrong is not None else []
        why = decision.diagnosis
        assert why is not None
        after = [failed.freed, preemption.message if preemption is not None else ""]
        message = NO_NODES if not why.nodes else why.text(", ".join(text for text in after if text))
        out.extend(failed.freeing)
        nominated: str | None = None
        if preemption is not None:
            nominated = preemption.nominated
            for other in preemption.displaced:
                body = {"metadata": {"uid": other.uid}, "status": {"nominatedNodeName": None}}
                out.append(Patch(POD, *other.key, body, "strategic", "status"))
            for victim in preemption.victims:
                out.extend(evict(victim, who, now))
                text = f"Preempted by pod {info.uid} on node {nominated}"
                own.append(EventNote(victim.pod, "Normal", "Preempted", text, "Preempting", info.pod))
        self.queue.failed(waiting, set(why.plugins), now)
        own.append(failed_scheduling(info, message))
        told = condition(info, "Unschedulable", message, now, nominated)
        if told is not None:
            out.append(told)
        return out

    def _unbound(
        self,
        item: _Bound,
        text: str,
        error: StatusError | None,
        notes: dict[str, list[EventNote]],
        *,
        unknown: bool = False,
    ) -> list[Action]:
        """A binding was refused, or (unknown) nobody knows what became of it."""
        now = self._clock()
        who = item.info.pod.spec.schedulerName
        self.measures.attempt(ERROR, who, self._cpu() - item.began)
        out: list[Action] = []
        if item.devices is not None and not unknown:  # who is bound after all keeps its claims
            out = undo(self.snapshot.devices, item.devices)
            self._devices.settle(item.devices)
        if self.snapshot.pods.get(item.info.uid) is item.info and not item.info.pod.spec.nodeName:
            self.snapshot.remove_pod(item.info.uid)
            self._intake.left(item.info, now)
        if error is not None and error.reason == "NotFound":
            self.queue.done(item.waiting)  # the view will say so, or has said it
            return out
        if self.queue.get(item.info.key) is None:
            return out  # gone, or bound by somebody else
        self.queue.failed(item.waiting, (), now, error=True)
        notes.setdefault(who, []).append(failed_scheduling(item.info, text))
        wrong = condition(item.info, "SchedulerError", text, now, None)
        if wrong is not None:
            out.append(wrong)
        if item.takes_time:
            out.append(expectation(item.info, ""))
        return out
