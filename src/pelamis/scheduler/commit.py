"""What a turn's decisions lead to: bindings, and what comes before them; conditions, evictions and events.

All bindings of a turn are one commit. A pod whose volumes or devices are to be made ready first, or that an extender
binds, is bound by itself. When a binding is refused the pod is forgotten where it was assumed, and comes back with
back-off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.persistentvolumeclaim import SELECTED_NODE, is_bound
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.pod.pod import Pod
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Client, Key, Outcome, Patch
from pelamis.reconcile.events import record
from pelamis.reconcile.eventseries import Series
from pelamis.reconcile.plan import EventNote
from pelamis.scheduler.core import NO_NODES, Decision
from pelamis.scheduler.devicebinding import DeviceBinder, Reservation, undo
from pelamis.scheduler.extender import Extender, ExtenderError
from pelamis.scheduler.intake import Intake
from pelamis.scheduler.metrics import ERROR, SCHEDULED, Measures
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.preemption import Preemption
from pelamis.scheduler.profile import Profile
from pelamis.scheduler.queue import Waiting
from pelamis.scheduler.volumes import Binding
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


@dataclass(frozen=True, slots=True)
class Placed:
    """A pod for which a node was found, and what is to be done besides binding it.

    pod: as it was decided. binder: the extender that binds it in the scheduler's place. began: of the attempt, by the
    cpu's clock.
    """

    waiting: Waiting
    info: PodInfo
    pod: Pod
    node: str
    volumes: Sequence[Binding]
    devices: Reservation | None
    binder: Extender | None
    began: float

    @property
    def who(self) -> str:
        """The scheduler's name."""
        return self.pod.spec.schedulerName

    @property
    def takes_time(self) -> bool:
        """Something is to be made ready first, so that it is worth telling where the pod will go."""
        return bool(self.volumes) or self.devices is not None


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A pod for which no node was found. decision None: the attempt itself went wrong, as ``error`` says."""

    waiting: Waiting
    decision: Decision | None = None
    preemption: Preemption | None = None
    error: str = ""
    freeing: Sequence[Action] = ()
    freed: str = ""
    """What is done for the pod's claims, and how users read that."""


class Commits:
    """Carries decisions out. profiles: by the scheduler's name. wake: called when there may be something to decide."""

    def __init__(
        self,
        client: Client,
        intake: Intake,
        devices: DeviceBinder,
        measures: Measures,
        profiles: Mapping[str, Profile],
        *,
        clock: Callable[[], float],
        cpu: Callable[[], float],
        host: str,
        wake: Callable[[], None],
    ) -> None:
        self._client = client
        self._intake = intake
        self._snapshot = intake.snapshot
        self._queue = intake.queue
        self._devices = devices
        self._measures = measures
        self._profiles = profiles
        self._clock = clock
        self._cpu = cpu
        self._wake = wake
        self._correlators = {name: Series(name, f"{name}-{host}") for name in profiles}
        self._claim_waiters: dict[Key, list[asyncio.Event]] = {}

    async def carry_out(self, bound: Sequence[Placed], failed: Sequence[Unplaced]) -> None:
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

    def _is_bound(self, item: Placed, notes: dict[str, list[EventNote]]) -> None:
        self._queue.done(item.waiting)
        namespace, name = item.info.key
        text = f"Successfully assigned {namespace}/{name} to {item.node}"
        who = item.who
        notes.setdefault(who, []).append(EventNote(item.pod, "Normal", "Scheduled", text, action="Binding"))
        self._measures.attempt(SCHEDULED, who, self._cpu() - item.began)
        self._measures.bound(item.waiting.attempts, max(0.0, self._clock() - item.waiting.added))

    async def _report(self, actions: Sequence[Action], notes: dict[str, list[EventNote]]) -> None:
        """The last things of a commit: conditions of what went wrong, and events by scheduler name."""
        self._wake()
        try:
            if actions:
                await self._client.commit(actions)
            for who, own in notes.items():
                await record(self._client, self._correlators[who], own, self._clock())
        except Exception as error:
            log.warning("%d events were lost: %s", sum(map(len, notes.values())), error)

    async def bind_alone(self, item: Placed) -> None:
        """Ask for the volumes, wait until the claims are bound, then bind the pod, or have it bound by an extender."""
        trouble = ""
        if item.takes_time:
            await self._expect(item)
        if item.volumes:
            limit = self._profiles[item.who].volumes_s
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
            await self.carry_out([item], ())
            return
        for promised in item.volumes:
            if promised.volume is not None:
                self._snapshot.storage.assumed.pop(promised.volume.metadata.name, None)
        more = self._unbound(item, trouble, None, notes)
        await self._report(more, notes)

    async def _expect(self, item: Placed) -> None:
        """Not worth giving up for."""
        try:
            await self._client.commit([expectation(item.info, item.node)])
        except OSError as error:
            log.warning("where %s/%s goes could not be told: %s", *item.info.key, error)

    async def _make_ready(self, item: Placed, kept: Reservation) -> str:
        trouble = await self._devices.bind(kept)
        if trouble or not self._devices.must_wait(kept):
            return trouble
        profile = self._profiles[item.who]
        text = f"waiting for binding conditions for device on node {item.node}"
        await self._report(
            (), {profile.name: [EventNote(item.pod, "Normal", "BindingConditionsPending", text, "Scheduling")]}
        )
        there = lambda: self._snapshot.pods.get(item.info.uid) is item.info  # noqa: E731
        return await self._devices.wait(kept, profile.devices_s or 0.0, there)

    async def _ask_for_volumes(self, item: Placed) -> str:
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
                if self._snapshot.pods.get(item.info.uid) is not item.info:
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

    def claim_changed(self, key: Key, old: Any, new: Any) -> None:
        for waiter in self._claim_waiters.get(key, ()):
            waiter.set()

    def _failure(self, failed: Unplaced, now: float, notes: dict[str, list[EventNote]]) -> list[Action]:
        """Of a pod for which no node was found: what to write, and its way back into the queue."""
        waiting, decision, preemption = failed.waiting, failed.decision, failed.preemption
        info = waiting.info
        who = info.pod.spec.schedulerName
        own = notes.setdefault(who, [])
        out: list[Action] = []
        if decision is None:
            self._queue.failed(waiting, (), now, error=True)
            self._wake()
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
        self._queue.failed(waiting, set(why.plugins), now)
        own.append(failed_scheduling(info, message))
        told = condition(info, "Unschedulable", message, now, nominated)
        if told is not None:
            out.append(told)
        return out

    def _unbound(
        self,
        item: Placed,
        text: str,
        error: StatusError | None,
        notes: dict[str, list[EventNote]],
        *,
        unknown: bool = False,
    ) -> list[Action]:
        """A binding was refused, or (unknown) nobody knows what became of it."""
        now = self._clock()
        who = item.who
        self._measures.attempt(ERROR, who, self._cpu() - item.began)
        out: list[Action] = []
        if item.devices is not None and not unknown:  # who is bound after all keeps its claims
            out = undo(self._snapshot.devices, item.devices)
            self._devices.settle(item.devices)
        if self._snapshot.pods.get(item.info.uid) is item.info and not item.info.bound:
            self._snapshot.remove_pod(item.info.uid)
            self._intake.left(item.info, now)
        if error is not None and error.reason == "NotFound":
            self._queue.done(item.waiting)  # the view will say so, or has said it
            return out
        if self._queue.get(item.info.key) is None:
            return out  # gone, or bound by somebody else
        self._queue.failed(item.waiting, (), now, error=True)
        notes.setdefault(who, []).append(failed_scheduling(item.info, text))
        wrong = condition(item.info, "SchedulerError", text, now, None)
        if wrong is not None:
            out.append(wrong)
        if item.takes_time:
            out.append(expectation(item.info, ""))
        return out
