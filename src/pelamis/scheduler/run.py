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
from dataclasses import dataclass
from typing import Any

from pelamis.api.core.persistentvolume import KIND as VOLUME
from pelamis.api.core.persistentvolumeclaim import KIND as CLAIM
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.base.clock import rfc3339
from pelamis.base.errors import StatusError
from pelamis.client.synced import synced
from pelamis.client.types import Action, Client, Create, Delete, Key, Outcome, Patch
from pelamis.reconcile.events import Correlator, record
from pelamis.reconcile.plan import EventNote
from pelamis.scheduler.core import NO_NODES, Decision, decide
from pelamis.scheduler.extension import Plugin
from pelamis.scheduler.intake import SOURCES, Intake
from pelamis.scheduler.plugins import PLUGINS
from pelamis.scheduler.podinfo import PodInfo
from pelamis.scheduler.preemption import Preemption, preempt
from pelamis.scheduler.queue import Queue, Waiting
from pelamis.scheduler.snapshot import Snapshot
from pelamis.scheduler.volumes import BOUND_BY_CONTROLLER, SELECTED_NODE, Binding, claims_of, is_bound, plan

log = logging.getLogger("pelamis.scheduler")
TURN_S = 0.005
BATCH = 256
COMMITS_AT_ONCE = 16
MESSAGE_LIMIT = 1024
VOLUMES_S = 600.0
"""How long a pod waits for its volumes before it looks for a node anew."""


@dataclass(slots=True)
class _Bound:
    waiting: Waiting
    info: PodInfo
    node: str
    volumes: Sequence[Binding] = ()


class Scheduler:
    """Binds the pods of ``name`` until cancelled.

    clock: seconds since the epoch. entropy: a number in [0, 1). cpu: seconds of a clock that measures a turn.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Callable[[], float],
        entropy: Callable[[], float],
        name: str = "default-scheduler",
        plugins: Sequence[Plugin] = PLUGINS,
        cpu: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._name = name
        self._plugins = plugins
        self._cpu = cpu
        self.snapshot = Snapshot()
        self.queue = Queue(plugins)
        self._intake = Intake(self.snapshot, self.queue, name)
        self._changes: deque[tuple[Callable[[Intake, Key, Any, Any, float], None], Key, Any, Any]] = deque()
        self._correlator = Correlator(name)
        self._wake = asyncio.Event()
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
            waiting = sum(1 for view in views if not view.synced)
            if waiting:
                await synced(*views)
            async with asyncio.TaskGroup() as group:
                while True:
                    if len(self._commits) < COMMITS_AT_ONCE:
                        self._turn(group)
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

    def _turn(self, group: asyncio.TaskGroup) -> None:
        started = self._cpu()
        if not self._take_in(started):
            return  # the picture is not up to date: take in the rest before deciding anything
        bound: list[_Bound] = []
        failed: list[tuple[Waiting, Decision, Preemption | None]] = []
        while len(bound) + len(failed) < BATCH:
            waiting = self.queue.pop(self._clock())
            if waiting is None:
                break
            self._decide(waiting, bound, failed)
            if self._cpu() - started > TURN_S:
                break
        for item in [b for b in bound if b.volumes]:
            bound.remove(item)
            group.create_task(self._bind_volumes(item), name="scheduler-volumes")
        if bound or failed:
            task = group.create_task(self._carry_out(bound, failed), name="scheduler-commit")
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

    def _decide(
        self, waiting: Waiting, bound: list[_Bound], failed: list[tuple[Waiting, Decision, Preemption | None]]
    ) -> None:
        info = waiting.info
        if info.uid in self.snapshot.pods or info.terminating:
            self.queue.done(waiting)
            return
        try:
            decision = decide(self.snapshot, self._plugins, info, draw=self._entropy)
            if decision.node:
                self.snapshot.denominate(info.uid)
                self.snapshot.add_pod(info, decision.node)
                bound.append(_Bound(waiting, info, decision.node, self._choose_volumes(info, decision.node)))
                return
            preemption = preempt(self.snapshot, self._plugins, info, decision, draw=self._entropy)
            if preemption is not None and preemption.nominated is not None:
                self.snapshot.nominate(info, preemption.nominated)
                for other in preemption.displaced:
                    self.snapshot.denominate(other.uid)
            failed.append((waiting, decision, preemption))
        except Exception:  # a defect in a plugin must stop neither it nor the others
            log.exception("cannot decide %s/%s", *info.key)
            self.queue.failed(waiting, (), self._clock(), error=True)
            self._wake.set()

    def _choose_volumes(self, info: PodInfo, node: str) -> Sequence[Binding]:
        """For claims that waited for a node; promised at once, so that the next pod does not get the same volume."""
        if not info.claims:
            return ()
        waiting = claims_of(self.snapshot, info).waiting
        chosen = plan(self.snapshot, waiting, self.snapshot.by_name[node].node) or ()
        for binding in chosen:
            if binding.volume is not None:
                meta = binding.claim.metadata
                self.snapshot.storage.assumed[binding.volume.metadata.name] = (meta.namespace, meta.name)
        return chosen

    # -- commits

    async def _carry_out(
        self, bound: Sequence[_Bound], failed: Sequence[tuple[Waiting, Decision, Preemption | None]]
    ) -> None:
        now = self._clock()
        notes: list[EventNote] = []
        actions: list[Action] = [_binding(b) for b in bound]
        for waiting, decision, preemption in failed:
            actions.extend(self._failure(waiting, decision, preemption, now, notes))
        outcomes: Sequence[Outcome] = ()
        problem: str = ""
        try:
            if actions:
                outcomes = await self._client.commit(actions)
        except OSError as error:
            problem = f"cannot reach the server: {error}"
        except Exception as error:
            log.exception("commit failed")
            problem = repr(error)
        errors: list[Action] = []
        for i, item in enumerate(bound):
            text = problem if problem else _problem(outcomes[i].error)
            if not text:
                self.queue.done(item.waiting)
                namespace, name = item.info.key
                text = f"Successfully assigned {namespace}/{name} to {item.node}"
                notes.append(EventNote(item.info.pod, "Normal", "Scheduled", text, action="Binding"))
            else:
                refused = outcomes[i].error if not problem else None
                errors.extend(self._unbound(item, f'running Bind plugin "DefaultBinder": {text}', refused, notes))
        self._wake.set()
        try:
            if errors:
                await self._client.commit(errors)
            if notes:
                await record(self._client, self._correlator, notes, self._clock())
        except Exception as error:
            log.warning("%d events were lost: %s", len(notes), error)

    async def _bind_volumes(self, item: _Bound) -> None:
        """Ask for the volumes, wait until the claims are bound, then bind the pod."""
        try:
            async with asyncio.timeout(VOLUMES_S):
                problem = await self._ask_for_volumes(item)
        except TimeoutError:
            problem = "binding volumes: context deadline exceeded"
        except OSError as error:
            problem = f"cannot reach the server: {error}"
        if not problem:
            await self._carry_out([item], ())
            return
        for binding in item.volumes:
            if binding.volume is not None:
                self.snapshot.storage.assumed.pop(binding.volume.metadata.name, None)
        notes: list[EventNote] = []
        more = self._unbound(item, f'running PreBind plugin "VolumeBinding": {problem}', None, notes)
        self._wake.set()
        try:
            if more:
                await self._client.commit(more)
            await record(self._client, self._correlator, notes, self._clock())
        except Exception as error:
            log.warning("%d events were lost: %s", len(notes), error)

    async def _ask_for_volumes(self, item: _Bound) -> str:
        actions = [a for binding in item.volumes if (a := _volume_action(binding, item.node)) is not None]
        view = self._client.view(CLAIM)
        changed = asyncio.Event()
        for action, outcome in zip(actions, await self._client.commit(actions) if actions else (), strict=True):
            if outcome.error is not None:
                return _problem(outcome.error)
            if action.kind is CLAIM and view.revision < outcome.rev:
                seen = asyncio.Event()
                view.when_reached(outcome.rev, seen.set)
                await seen.wait()
        cancel = view.subscribe(lambda key, old, new: changed.set())
        try:
            while True:
                changed.clear()
                claims = [view.get(b.claim.metadata.namespace, b.claim.metadata.name) for b in item.volumes]
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
            cancel()

    def _failure(
        self,
        waiting: Waiting,
        decision: Decision,
        preemption: Preemption | None,
        now: float,
        notes: list[EventNote],
    ) -> list[Action]:
        """Of a pod for which no node was found: what to write, and its way back into the queue."""
        info, why = waiting.info, decision.diagnosis
        assert why is not None
        message = NO_NODES if not why.nodes else why.text(preemption.message if preemption is not None else "")
        out: list[Action] = []
        rejected_by = set(why.plugins)
        nominated: str | None = None
        if preemption is not None:
            nominated = preemption.nominated
            for other in preemption.displaced:
                body = {"metadata": {"uid": other.uid}, "status": {"nominatedNodeName": None}}
                out.append(Patch(POD, *other.key, body, "strategic", "status"))
            for victim in preemption.victims:
                out.extend(_evict(victim, self._name, now))
                text = f"Preempted by pod {info.uid} on node {nominated}"
                notes.append(EventNote(victim.pod, "Normal", "Preempted", text, "Preempting", info.pod))
        self.queue.failed(waiting, rejected_by, now)
        notes.append(_failed_scheduling(info, message))
        condition = _condition(info, "Unschedulable", message, now, nominated)
        if condition is not None:
            out.append(condition)
        return out

    def _unbound(self, item: _Bound, text: str, error: StatusError | None, notes: list[EventNote]) -> list[Action]:
        """A binding was refused, or nobody knows what became of it."""
        now = self._clock()
        if self.snapshot.pods.get(item.info.uid) is item.info:
            self.snapshot.remove_pod(item.info.uid)
            self._intake.left(item.info, now)
        if error is not None and error.reason == "NotFound":
            self.queue.done(item.waiting)  # the view will say so, or has said it
            return []
        if self.queue.get(item.info.key) is None:
            return []  # gone, or bound by somebody else
        self.queue.failed(item.waiting, (), now, error=True)
        notes.append(_failed_scheduling(item.info, text))
        condition = _condition(item.info, "SchedulerError", text, now, None)
        return [condition] if condition is not None else []


def _problem(error: StatusError | None) -> str:
    return "" if error is None else error.message or error.reason


def _failed_scheduling(info: PodInfo, message: str) -> EventNote:
    if len(message) > MESSAGE_LIMIT:
        message = message[: MESSAGE_LIMIT - 4] + " ..."
    return EventNote(info.pod, "Warning", "FailedScheduling", message, action="Scheduling")


def _binding(item: _Bound) -> Create:
    namespace, name = item.info.key
    tree = {
        "kind": "Binding",
        "apiVersion": "v1",
        "metadata": {"namespace": namespace, "name": name, "uid": item.info.uid},
        "target": {"kind": "Node", "name": item.node},
    }
    return Create(POD, tree, "binding", name)


def _volume_action(binding: Binding, node: str) -> Action | None:
    """Promise the volume to the claim, or tell the provisioner which node it is for."""
    claim, volume = binding
    meta = claim.metadata
    if volume is None:
        if meta.annotations.get(SELECTED_NODE) == node:
            return None
        body: dict[str, Any] = {"metadata": {"annotations": {SELECTED_NODE: node}}}
        return Patch(CLAIM, meta.namespace, meta.name, body, rev=meta.resourceVersion)
    if volume.spec.claimRef is not None and volume.spec.claimRef.uid == meta.uid:
        return None
    ref = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": meta.namespace,
        "name": meta.name,
        "uid": meta.uid,
        "resourceVersion": meta.resourceVersion,
    }
    body = {"metadata": {"annotations": {BOUND_BY_CONTROLLER: "yes"}}, "spec": {"claimRef": ref}}
    return Patch(VOLUME, "", volume.metadata.name, body, rev=volume.metadata.resourceVersion)


def _condition(info: PodInfo, reason: str, message: str, now: float, nominated: str | None) -> Patch | None:
    """PodScheduled False, unless the pod says so already. nominated None = leave it as it is."""
    pod = info.pod
    old = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
    if nominated == pod.status.nominatedNodeName:
        nominated = None
    same = old is not None and old.status == "False" and old.reason == reason and old.message == message
    if same and nominated is None:
        return None
    condition: dict[str, Any] = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    if old is None or old.status != "False":
        condition["lastTransitionTime"] = rfc3339(now)
    if pod.metadata.generation:
        condition["observedGeneration"] = pod.metadata.generation
    status: dict[str, Any] = {"conditions": [condition]}
    if nominated is not None:
        status["nominatedNodeName"] = nominated or None
    return Patch(POD, *info.key, {"metadata": {"uid": info.uid}, "status": status}, "strategic", "status")


def _evict(victim: PodInfo, scheduler: str, now: float) -> list[Action]:
    """Say why, then delete with the pod's own grace."""
    condition: dict[str, Any] = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": f"{scheduler}: preempting to accommodate a higher priority pod",
        "lastTransitionTime": rfc3339(now),
    }
    if victim.pod.metadata.generation:
        condition["observedGeneration"] = victim.pod.metadata.generation
    body = {"metadata": {"uid": victim.uid}, "status": {"conditions": [condition]}}
    return [Patch(POD, *victim.key, body, "strategic", "status"), Delete(POD, *victim.key, uid=victim.uid)]
