"""The executor of all controllers: from a change in a view to a commit. The only part of them that awaits.

A turn takes the keys that are ready, runs ``gather`` and ``reconcile`` for each (synchronous, pure), and commits the
actions of all plans of the turn in one call, so that they share a group commit. While that call is out, further turns
run for other keys; a key itself is never run twice at a time. When the outcomes are in, a plan that asked for it is
continued with them, events are recorded, failures are retried with back-off, and a key that wrote is held until its
views show its own writes (see queue). A turn that used 5 ms of CPU commits what it has and lets the loop go on.

A key that is dear (a thousand pods to count, a status to write) rests after a run, so that the changes of that time are
looked at together: for a multiple of what it cost, and then, while the loop is late with everything, until all dear
runs of the controller have had no more than their share of the time, however many keys there are. The first dear run
of a key does not count: it may have been the first of its code. Creating and deleting is work that has to be done: it
is not counted.

Nothing polls: views wake keys, one ``call_at`` timer serves the earliest key with a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from pelamis.api.kind import Kind
from pelamis.base.errors import StatusError
from pelamis.client.types import Action, Client, Key, Outcome, Patch, Update, View
from pelamis.reconcile.changes import sieve
from pelamis.reconcile.events import Correlator, record
from pelamis.reconcile.plan import KEEP, EventNote, Found, Plan, Read, failure
from pelamis.reconcile.queue import Queue
from pelamis.reconcile.spec import Controller, Kinds, Watch

log = logging.getLogger("pelamis.reconcile")
TURN_S = 0.005
COMMITS_AT_ONCE = 16
DEAR_S = 0.0005
STATUS_S = 0.0003
"""About what it costs the server to write a status, and to tell everybody."""
SHARE = 0.2
"""How much of the loop's time a dear key may take; of a loop that is late, how much all of a controller together."""
TICK_S = 0.01
LATE_S = 0.003
"""A loop that is later than that with a timer has more to do than it can."""


class _Views:
    def __init__(self, client: Client, kinds: Kinds | None, clock: Callable[[], float]) -> None:
        self._client = client
        self._kinds = kinds
        self._clock = clock
        self.by_kind: dict[Kind, View[Any]] = {}
        self.memos: dict[Key, Any] = {}
        self.touches: dict[Key, float] = {}

    def __call__(self, kind: Kind) -> View[Any]:
        view = self.by_kind.get(kind)
        if view is None:
            view = self.by_kind[kind] = self._client.view(kind)
        return view

    def every(self) -> Sequence[Kind]:
        return () if self._kinds is None else self._kinds.current()

    def memo(self, key: Key) -> Any:
        return self.memos.get(key)

    def touch(self, key: Key) -> None:
        self.touches[key] = self._clock()

    def touched(self, key: Key) -> float:
        return self.touches.get(key, 0.0)


class Runner:
    """Runs one controller with the client of its identity, until cancelled.

    clock: seconds since the epoch. kinds: needed by controllers with ``every``. cpu: seconds of some clock that
    measures how long a turn took.
    """

    def __init__(
        self,
        controller: Controller,
        client: Client,
        *,
        clock: Callable[[], float],
        kinds: Kinds | None = None,
        cpu: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._controller = controller
        self._client = client
        self._clock = clock
        self._cpu = cpu
        self._kinds = kinds
        self._views = _Views(client, kinds, clock)
        self._queue: Queue[Key] = Queue()
        self._correlator = Correlator(controller.component or f"{controller.name}-controller")
        self._wake = asyncio.Event()
        self._commits: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._cancels: list[Callable[[], None]] = []
        self._every: dict[Kind, Callable[[], None]] = {}
        self._dear: dict[Key, float] = {}
        self._paid_at = 0.0
        """When the dear runs so far will have had no more than their share; of the loop's clock, as all of these."""
        self._resting: dict[Key, tuple[float, float, float]] = {}
        """Until when at least, until when at most, and what the last run cost; in the order of the second."""
        self._tick: asyncio.TimerHandle | None = None

    @property
    def depth(self) -> int:
        """Keys that want to run now."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Nothing to do until something changes or the time of a key comes."""
        return not self._commits and not self._queue.ready(self._clock())

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._listen()
            await self._synced()
            for key in self._controller.start:
                self._queue.add(key)
            async with asyncio.TaskGroup() as group:
                while True:
                    if len(self._commits) < COMMITS_AT_ONCE:
                        self._turn(group)
                    self._arm(loop)
                    if self._queue.ready(self._clock()) and len(self._commits) < COMMITS_AT_ONCE:
                        await asyncio.sleep(0)
                    else:
                        await self._wake.wait()
                    self._wake.clear()
        finally:
            for cancel in (*self._cancels, *self._every.values()):
                cancel()
            for timer in (self._timer, self._tick):
                if timer is not None:
                    timer.cancel()

    def _listen(self) -> None:
        for kind in self._controller.kinds:
            self._views(kind)
        for watch in self._controller.watches:
            view, wanted = self._views(watch.kind), sieve(watch.kind, watch.needs)
            self._cancels.append(view.subscribe(self._on_change(watch), sieve=wanted))
        if self._controller.every is not None and self._kinds is not None:
            self._cancels.append(self._kinds.subscribe(self._kind_changed))

    async def _synced(self) -> None:
        """Before the first full lists are there, what is missing cannot be told from what is not there."""
        waiting = [view for view in self._views.by_kind.values() if not view.synced]
        if waiting:
            loop = asyncio.get_running_loop()
            done: list[asyncio.Future[None]] = []
            for view in waiting:
                future: asyncio.Future[None] = loop.create_future()
                done.append(future)
                view.when_reached(1, lambda f=future: None if f.done() else f.set_result(None))  # type: ignore[misc]
            await asyncio.gather(*done)

    def _on_change(self, watch: Watch) -> Callable[[Key, Any, Any], None]:
        keys_of, views = watch.keys, self._views

        def changed(key: Key, old: Any, new: Any) -> None:
            keys = keys_of(views, old, new)
            if keys:
                self._add(keys)

        return changed

    def _kind_changed(self, kind: Kind, served: bool) -> None:
        every = self._controller.every
        assert every is not None
        if served and kind not in self._every:
            views = self._views

            def changed(key: Key, old: Any, new: Any) -> None:
                keys = every(views, kind, old, new)
                if keys:
                    self._add(keys)

            wanted = sieve(kind, self._controller.every_needs(kind))
            self._every[kind] = views(kind).subscribe(changed, sieve=wanted)
        elif not served:
            cancel = self._every.pop(kind, None)
            self._views.by_kind.pop(kind, None)
            if cancel is not None:
                cancel()

    def _add(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self._queue.add(key)
        self._wake.set()

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """One timer for the earliest key; a clock that was stepped only makes it fire early or late once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self._queue.next_at()
        if at is not None:
            self._timer = loop.call_at(loop.time() + max(0.0, at - self._clock()), self._wake.set)

    def _turn(self, group: asyncio.TaskGroup) -> None:
        started = self._cpu()
        batch: list[tuple[Key, Plan]] = []
        while (key := self._queue.pop(self._clock())) is not None:
            began = self._cpu()
            plan = self._plan(key)
            self._weigh(key, self._cpu() - began, plan)
            if plan is not None and plan.on_reads is not None:
                self._start(group, [(key, plan)])  # nobody else waits for what it reads
            elif plan is not None and (plan.actions or plan.then or plan.events or plan.on_outcomes is not None):
                batch.append((key, plan))
            else:
                self._settle(key, plan)
            if self._cpu() - started > TURN_S:
                break
        if batch:
            self._start(group, batch)

    def _weigh(self, key: Key, cost: float, plan: Plan | None) -> None:
        """Lets a dear key rest."""
        cost += plan.echo_s if plan is not None else 0.0
        for action in plan.actions if plan is not None else ():
            if isinstance(action, Update | Patch) and action.subresource == "status":
                cost += STATUS_S
        if cost < DEAR_S:
            self._dear.pop(key, None)
            return
        before = self._dear.get(key, 0.0)
        self._dear[key] = cost
        if before:
            pay = min(cost, before) / SHARE
            now = asyncio.get_running_loop().time()
            self._paid_at = max(self._paid_at, now) + pay
            self._queue.hold(key)
            self._resting[key] = now + pay, self._paid_at, pay
            if self._tick is None:
                self._arm_tick()

    def _arm_tick(self) -> None:
        self._tick = asyncio.get_running_loop().call_later(TICK_S, self._wake_rested, self._cpu() + TICK_S)

    def _wake_rested(self, due: float) -> None:
        now, late = asyncio.get_running_loop().time(), self._cpu() - due > LATE_S
        for key, (least, most, pay) in tuple(self._resting.items()):
            if most > now:
                if late:
                    break
                if least > now:
                    continue
                self._paid_at -= pay
            del self._resting[key]
            self._release(key)
        self._tick = None
        if self._resting:
            self._arm_tick()

    def _start(self, group: asyncio.TaskGroup, batch: Sequence[tuple[Key, Plan]]) -> None:
        task = group.create_task(self._carry_out(batch), name=f"{self._controller.name}-commit")
        self._commits.add(task)
        task.add_done_callback(self._committed)

    def _committed(self, task: asyncio.Task[None]) -> None:
        self._commits.discard(task)
        self._wake.set()

    def _plan(self, key: Key) -> Plan | None:
        """None = there is nothing to reconcile. A defect in a controller must stop neither it nor the others."""
        try:
            world = self._controller.gather(self._views, key)
            if world is None:
                return None
            return self._controller.reconcile(world, self._clock())
        except Exception as error:
            log.exception("%s: cannot reconcile %s", self._controller.name, "/".join(key))
            return Plan(error=repr(error))

    async def _carry_out(self, batch: Sequence[tuple[Key, Plan]]) -> None:
        """Commit plan after continuation until every plan of the batch has ended."""
        final: dict[Key, list[Plan]] = {key: [] for key, _ in batch}
        written: dict[Key, dict[Kind, int]] = {}
        events: list[EventNote] = []
        open_plans = list(batch)
        try:
            while open_plans:
                actions = [action for _, plan in open_plans for action in plan.actions]
                outcomes = await self._client.commit(actions) if actions else ()
                following: list[tuple[Key, Plan]] = []
                at = 0
                for key, plan in open_plans:
                    mine = outcomes[at : at + len(plan.actions)]
                    at += len(plan.actions)
                    _note_revisions(written.setdefault(key, {}), plan.actions, mine)
                    events.extend(plan.events)
                    judged, more = _judge(plan, mine)
                    if more is plan and plan.on_reads is not None:
                        more = plan.on_reads(await self._read(plan.reads))
                    final[key].append(judged)
                    if more is not None:
                        following.append((key, more))
                open_plans = following
        except OSError as error:
            for key, _ in batch:
                final[key].append(Plan(error=f"cannot reach the server: {error}"))
        except Exception as error:
            log.exception("%s: commit failed", self._controller.name)
            for key, _ in batch:
                final[key].append(Plan(error=repr(error)))
        for key, plans in final.items():
            self._hold(key, written.get(key, {}))
            self._settle(key, _merged(plans))
        self._wake.set()
        if events:
            try:
                await record(self._client, self._correlator, events, self._clock())
            except Exception as error:
                log.warning("%s: %d events were lost: %s", self._controller.name, len(events), error)

    async def _read(self, reads: Sequence[Read]) -> Sequence[Found]:
        return await asyncio.gather(*map(self._read_one, reads))

    async def _read_one(self, read: Read) -> Found:
        try:
            if read.body is not None:
                return Found(await self._client.post(read.path, read.body, query=dict(read.query)))
            return Found(await self._client.fetch(read.path, query=dict(read.query)))
        except StatusError as error:
            return Found(None, error.message or error.reason)
        except OSError as error:
            return Found(None, f"cannot reach the server: {error}")

    def _hold(self, key: Key, written: dict[Kind, int]) -> None:
        for kind, rev in written.items():
            view = self._views.by_kind.get(kind)
            if view is not None and view.revision < rev:
                self._queue.hold(key)
                view.when_reached(rev, lambda: self._release(key))

    def _release(self, key: Key) -> None:
        self._queue.release(key)
        self._wake.set()

    def _settle(self, key: Key, plan: Plan | None) -> None:
        queue = self._queue
        if plan is None:
            self._views.memos.pop(key, None)
            self._views.touches.pop(key, None)
            queue.succeeded(key)
            queue.requeue(key, None)
            queue.done(key)
            return
        if plan.memo is None:
            self._views.memos.pop(key, None)
        elif plan.memo is not KEEP:
            self._views.memos[key] = plan.memo
        for kind, rev in plan.wait:
            self._views(kind).when_reached(rev, lambda: self._add((key,)))
        queue.requeue(key, plan.requeue_at)
        if plan.error:
            at = queue.retry(key, self._clock())
            log.info(
                "%s: %s is retried in %.3f s: %s",
                self._controller.name,
                "/".join(key),
                at - self._clock(),
                plan.error,
            )
        else:
            queue.succeeded(key)
        queue.done(key)


def _note_revisions(into: dict[Kind, int], actions: Sequence[Action], outcomes: Sequence[Outcome]) -> None:
    for action, outcome in zip(actions, outcomes, strict=True):
        if outcome.rev:
            into[action.kind] = max(into.get(action.kind, 0), outcome.rev)


def _judge(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[Plan, Plan | None]:
    """The plan with the error that it ended in, and what follows it: itself, while its reads are to be made."""
    if plan.on_outcomes is not None:
        return plan, plan.on_outcomes(outcomes)
    error = failure(plan.actions, outcomes)
    if error is not None:
        text = plan.error or error.message or error.reason
        return Plan(requeue_at=plan.requeue_at, error=text, memo=plan.memo, wait=plan.wait), None
    if plan.on_reads is not None:
        return plan, plan
    return plan, Plan(actions=plan.then) if plan.then else None


def _merged(plans: Sequence[Plan]) -> Plan:
    """What a plan and its continuations ask for together."""
    times = [p.requeue_at for p in plans if p.requeue_at is not None]
    memos = [p.memo for p in plans if p.memo is not KEEP]
    return Plan(
        requeue_at=min(times) if times else None,
        error=next((p.error for p in plans if p.error), ""),
        memo=memos[-1] if memos else KEEP,
        wait=tuple(w for p in plans for w in p.wait),
    )


async def run_all(
    controllers: Sequence[Controller],
    client_for: Callable[[str], Client],
    *,
    clock: Callable[[], float],
    kinds: Kinds | None = None,
    cpu: Callable[[], float] = time.perf_counter,
) -> None:
    """Run controllers together, each with the client of its own identity, until cancelled. cpu: as for Runner."""
    async with asyncio.TaskGroup() as group:
        for controller in controllers:
            runner = Runner(controller, client_for(controller.user), clock=clock, kinds=kinds, cpu=cpu)
            group.create_task(runner.run(), name=f"controller-{controller.name}")
