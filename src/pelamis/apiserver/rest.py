"""Carrying out writes: plan against the cache, commit, answer; again when somebody else was faster.

``execute`` takes any number of writes, plans each synchronously, and gives all of them to the store in one commit, so
they share one durable group; a great many are handed over in parts (see pace). A plan that expected a revision which is
no longer current is made anew from the new object, unless the client named that revision itself. HTTP and the
in-process client both end here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pelamis.api import codec
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.apiserver import deletion, incoming, overlay, verbs
from pelamis.apiserver.objects import Objects
from pelamis.apiserver.pace import SMALL, Pace
from pelamis.apiserver.verbs import Made, Result
from pelamis.apiserver.write import Again, Contended, Suspended, Write
from pelamis.base.errors import (
    AlreadyExists,
    Conflict,
    Internal,
    MethodNotAllowed,
    StatusError,
    TooLarge,
    Unavailable,
)
from pelamis.base.tree import get as tree_get
from pelamis.cache.collection import Collection
from pelamis.cache.entry import Entry
from pelamis.store.types import Closed, Delete, Done, Missed, Op, Put, Store, StoreFull
from pelamis.store.types import Unavailable as Unreachable

log = logging.getLogger("pelamis.apiserver")

_ATTEMPTS = 8
_CONVERSIONS = 16
"""Conversions by webhook that one plan may need."""
_CONTENDED = 50
"""Attempts for writes that name no revision: somebody always wins, so this ends."""
EVENT_TTL_S = 3600
LEASE_PATIENCE_S = 0.01
"""Of renewals, which come by the hundred each second and for whose end nobody waits."""
OBJECT_LIMIT = 1536 * 1024
"""Bytes of one object: what etcd takes by default, so that every store takes the same."""
_STALE = frozenset(("NotFound", "AlreadyExists", "Conflict", "Forbidden"))
"""Refusals that another server's write may have made wrong."""
_RETURNED = frozenset(
    (
        "pods",
        "services",
        "persistentvolumes",
        "persistentvolumeclaims",
        "serviceaccounts",
        "resourcequotas",
        "podtemplates",
        "storageclasses.storage.k8s.io",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "csistoragecapacities.storage.k8s.io",
        "deviceclasses.resource.k8s.io",
        "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io",
        "resourceslices.resource.k8s.io",
    )
)
"""Resources whose deletion answers with the object rather than a Status."""


@dataclass(slots=True)
class Answer:
    """What became of one write. data: the served bytes of ``kind`` (None when ``tree`` is the answer, a Status say).

    rev: the revision of the write, 0 when nothing was written. obj: the struct of the stored kind. entry: the object as
    the cache holds it now, where that is what was written.
    """

    code: int = 200
    data: bytes | None = None
    tree: Tree | None = None
    rev: int = 0
    obj: Any = None
    kind: Kind | None = None
    error: StatusError | None = None
    entry: Entry | None = None


def _refused(error: StatusError) -> Answer:
    """The frames that an error knows hold the answer, which holds the error: nothing of them would go without a search
    for cycles, and they hold the whole write."""
    return Answer(error=error.with_traceback(None))


class Admission(Protocol):
    def mutate(self, write: Write) -> None: ...

    def blind(self, write: Write) -> bool:
        """Whether ``mutate`` neither looks at ``write.tree`` nor waits."""
        ...

    def validate(self, write: Write, obj: Any) -> None: ...

    def reserve(self, write: Write, obj: Any, *, changed: bool = True) -> Awaitable[None] | None:
        """What has to wait (quota, webhooks); None = nothing to wait for. changed: there is something to write."""
        ...


Transform = Callable[[Write], Result]
"""How a write to a subresource changes the object: ``write.old_tree`` and ``write.tree`` in, the new object out."""


class Rest:
    """``transforms``: (resource, subresource) to the Transform; others are plain updates with the fields they reset."""

    def __init__(
        self,
        store: Store,
        objects: Objects,
        admission: Admission,
        *,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes],
        transforms: dict[tuple[str, str], Transform] | None = None,
        observe: Callable[[str, float], None] = lambda operation, seconds: None,
    ) -> None:
        """observe(operation, seconds): how long the store took."""
        self._observe = observe
        self.trouble = ""
        """Why the last commit failed."""
        self._store = store
        self._pace = Pace()
        self._made: Made | None = None
        """What was planned last in this turn of the loop of a model."""
        self._objects = objects
        self._admission = admission
        self._clock = clock
        self._entropy = entropy
        self.transforms = transforms or {}
        self.refresh: Callable[[], Awaitable[bool]] | None = None
        """Where others write to the store too: brings the cache up to date, and tells whether that changed it."""
        self.settled: Callable[[Write, Any], Awaitable[None]] | None = None
        """Called after each write of a Service that was carried out, with the new object (None: removed)."""

    async def one(self, write: Write) -> Answer:
        """Raises StatusError."""
        answer = (await self.execute((write,)))[0]
        error = answer.error
        if error is None:
            return answer
        del answer
        try:
            raise error
        finally:
            del error  # this frame is part of what the error knows: see ``_refused``

    async def execute(self, writes: Sequence[Write]) -> list[Answer]:
        answers: list[Answer] = [Answer()] * len(writes)
        waiting = await self._in_bulk(writes, answers) if len(writes) > SMALL else range(len(writes))
        while waiting:
            ops, planned, later = await self._plan_all(writes, answers, waiting, set())
            if ops:
                later.extend(await self._commit(writes, answers, ops, planned))
            waiting = sorted(later)
        return answers

    async def _in_bulk(self, writes: Sequence[Write], answers: list[Answer]) -> Sequence[int]:
        """The first round over many writes, in parts that let others in between. Returns those to plan again."""
        keys: set[str] = set()
        again: list[int] = []
        at, count = 0, len(writes)
        async with asyncio.TaskGroup() as group:
            while at < count:
                granted = self._pace.take(count - at) or await self._pace.wait(count - at)
                ops: list[Op] = []
                try:
                    part = range(at, at + granted)
                    ops, planned, later = await self._plan_all(writes, answers, part, keys)
                finally:
                    self._pace.give(granted - len(ops))
                at += granted
                again.extend(later)
                if ops:
                    group.create_task(self._commit_part(writes, answers, ops, planned, again))
        return sorted(again)

    async def _commit_part(
        self,
        writes: Sequence[Write],
        answers: list[Answer],
        ops: list[Op],
        planned: list[tuple[int, Result]],
        again: list[int],
    ) -> None:
        try:
            again.extend(await self._commit(writes, answers, ops, planned))
        finally:
            self._pace.give(len(ops))

    async def _plan_all(
        self, writes: Sequence[Write], answers: list[Answer], waiting: Sequence[int], keys: set[str]
    ) -> tuple[list[Op], list[tuple[int, Result]], list[int]]:
        """Returns what to commit, the plans of that, and the writes to plan again. keys: of what has been planned."""
        ops: list[Op] = []
        planned: list[tuple[int, Result]] = []
        later: list[int] = []
        try:
            await self._plan_each(writes, answers, waiting, keys, ops, planned, later)
        except asyncio.CancelledError:
            for i, _ in planned:
                writes[i].cancel()
            raise
        return ops, planned, later

    async def _plan_each(
        self,
        writes: Sequence[Write],
        answers: list[Answer],
        waiting: Sequence[int],
        keys: set[str],
        ops: list[Op],
        planned: list[tuple[int, Result]],
        later: list[int],
    ) -> None:
        self._made = None
        for i in waiting:
            write = writes[i]
            key = write.hub.key(write.namespace, write.name)
            if key in keys:
                # A second write to one object needs to see the first.
                later.append(i)
                continue
            try:
                result = await self._plan(write)
            except StatusError as error:
                write.cancel()
                if error.reason in _STALE and await self._behind(write):
                    later.append(i)
                    continue
                answers[i] = _refused(error)
                continue
            except Contended:
                write.cancel()
                write.attempts += 1
                later.append(i)
                continue
            except asyncio.CancelledError:
                write.cancel()
                raise
            except Exception as error:
                write.cancel()
                log.exception("planning a write of %s failed", key)
                answers[i] = Answer(error=Internal(str(error)))
                continue
            key = write.hub.key(write.namespace, write.name)
            keys.add(key)
            if result.keep or write.dry_run:
                write.cancel()
                if result.keep and await self._behind(write):
                    later.append(i)
                    continue
                answers[i] = self._answer(write, result, 0)
                continue
            try:
                ops.append(self._op(write, result, key))
            except StatusError as error:
                write.cancel()
                answers[i] = _refused(error)
                continue
            planned.append((i, result))

    async def _behind(self, write: Write) -> bool:
        """Others write to the store too, so that what a plan was made from may be old: is there something newer?

        Asked once for a write that would end without a commit (which would tell).
        """
        if self.refresh is None or write.refreshed:
            return False
        write.refreshed = True
        newer = await self.refresh()
        self._made = None  # the state of the cluster may be another
        if not newer:
            return False
        write.attempts += 1
        return True

    async def _commit(
        self, writes: Sequence[Write], answers: list[Answer], ops: list[Op], planned: list[tuple[int, Result]]
    ) -> list[int]:
        """Returns the writes to plan again."""
        again: list[int] = []
        foreseen: list[tuple[Collection, str]] = []
        for op, (i, result) in zip(ops, planned, strict=True):
            hub, obj = writes[i].hub, result.obj
            if isinstance(op, Put) and type(obj) is hub.type is not codec.Custom and obj.kind == hub.kind:
                collection = self._objects.cache.collection(hub)
                collection.foresee(op.key, op.value, result.obj)
                foreseen.append((collection, op.key))
        started = time.perf_counter()
        try:
            outcomes = await self._store.commit(ops)
            self.trouble = ""
        except (StoreFull, Closed, Unreachable) as error:
            full = isinstance(error, StoreFull)
            self.trouble = str(error) or type(error).__name__
            for i, _ in planned:
                writes[i].cancel()
                refusal = StatusError(507, "InsufficientStorage", f"the store is full: {error}")
                answers[i] = Answer(error=refusal if full else Unavailable(f"the store is not available: {error}"))
            return again
        finally:
            for collection, key in foreseen:
                collection.overlook(key)
        took = time.perf_counter() - started
        self._observe("commit", took)
        for (i, result), outcome in zip(planned, outcomes, strict=True):
            write = writes[i]
            write.commit_s += took
            if isinstance(outcome, Done):
                if self.settled is not None and write.hub.resource == "services":
                    await self.settled(write, None if result.remove else result.obj)
                if self._objects.shadows:
                    await self._objects.caught_up(write.hub, outcome.rev)
                answers[i] = self._answer(write, result, outcome.rev)
                continue
            write.cancel()
            error_or_none = self._missed(write, result, outcome)
            if error_or_none is None:
                again.append(i)
            else:
                answers[i] = Answer(error=error_or_none)
        return again

    def _missed(self, write: Write, result: Result, outcome: Missed) -> StatusError | None:
        """Somebody was faster. None = plan again."""
        kind = write.kind
        write.attempts += 1
        if result.created and write.verb == "create":
            if write.generated and write.attempts < _ATTEMPTS:
                return None
            return self._exists(write)
        if write.rev_given and outcome.current is not None:
            return Conflict(kind.plural, kind.group, write.name)
        if write.attempts >= _CONTENDED:
            return Conflict(kind.plural, kind.group, write.name)
        return None

    def _exists(self, write: Write) -> StatusError:
        kind = write.kind
        error = AlreadyExists(kind.plural, kind.group, write.name)
        entry = self._objects.collection(write.hub).get(write.namespace, write.name)
        if entry is not None and entry.obj.metadata.deletionTimestamp is not None:
            error.message = f"object is being deleted: {error.message}"
        return error

    # -- planning

    async def _plan(self, write: Write) -> Result:
        if write.kind.hub is None or not self._objects.shadows:
            return await self._plan_once(write)
        source = codec.encode(write.tree)
        for _ in range(_CONVERSIONS):
            try:
                result = await self._plan_once(write)
                # The answer is in the client's version: have that ready before anything is written.
                for data in (result.value, write.old.data if write.old is not None else b""):
                    if data:
                        codec.to_version(write.kind, data)
                return result
            except Again as more:
                await more.work()
            write.tree = codec.parse(source)
            if write.generated:
                write.tree.setdefault("metadata", {})["name"] = write.name
        raise Internal(f"conversion of {write.kind.resource} does not come to an end")

    async def _plan_once(self, write: Write) -> Result:
        write.now = self._clock()
        write.served = self._objects.registry.known
        write.mutated.clear()
        write.refusal = None
        try:
            result = self._decide(write)
        except Again:
            raise
        except Suspended as pause:
            await pause.work()
            self._made = None
            result = self._resume(write)
        if result.keep and write.verb != "delete" and self._outdated(write):
            result.keep = False
        if write.verb == "delete":
            assert write.old is not None
            self._admission.validate(write, write.old.obj)
        else:
            # Who may not write an object may not write it as it is either.
            self._admission.validate(write, result.obj)
        if not result.keep or write.verb != "delete":
            waiting = self._admission.reserve(write, result.obj, changed=not result.keep)
            if waiting is not None:
                await waiting
                self._made = None  # much may be different now
        if write.refusal is not None:
            raise write.refusal
        return result

    def _outdated(self, write: Write) -> bool:
        """What is stored is not what we would store, although it means the same: any write is a reason to mend it."""
        outdated, old = self._objects.collection(write.hub).outdated, write.old
        return bool(outdated) and old is not None and outdated.get(old.key) == old.rev

    def _decide(self, write: Write) -> Result:
        collection = self._objects.collection(write.hub)
        if write.verb == "create" and not write.subresource:
            return self._create(write)
        entry = collection.get(write.namespace, write.name)
        write.meet(entry)
        if write.verb == "delete":
            if entry is None:
                raise verbs.absent(write.kind, write.name)
            write.operation = "DELETE"
            self._admission.mutate(write)
            return deletion.delete(write)
        transform = self.transforms.get((write.hub.resource, write.subresource)) if write.subresource else None
        if entry is None:
            return self._absent(write)
        if transform is not None:
            write.operation = "CREATE" if write.verb == "create" else "UPDATE"
            return transform(write)
        if write.verb == "create":
            raise MethodNotAllowed()
        if write.kind.overlays is not None:
            write.operation = "UPDATE"
            if self._admission.blind(write):
                result = overlay.laid(write, self._admission.mutate)
                if result is not None:
                    return result
        if write.verb == "patch":
            incoming.patched(write)
        elif write.source:
            # The tree was used up by the attempt before.
            write.tree = codec.parse(write.source)
        elif self.refresh is not None or not incoming.metadata_of(write.tree, write.kind).get("resourceVersion"):
            # It may have to be tried again: always where others write too, else when it names no revision.
            write.source = codec.encode(write.tree)
        return verbs.update(write, self._admission.mutate)

    def _resume(self, write: Write) -> Result:
        """The rest of a plan that admission suspended."""
        if write.operation == "DELETE":
            return deletion.delete(write)
        if write.operation == "CREATE":
            return self._created(write, verbs.finish_create(write, self._entropy))
        return verbs.finish_update(write)

    def _create(self, write: Write) -> Result:
        if write.model is not None and not write.tree:
            made = self._made
            if made is not None and verbs.alike(write, made.write):
                return self._created(write, verbs.another(write, made, self._entropy))
            write.tree = codec.to_tree(write.model)
            result = self._created(write, verbs.create(write, self._entropy, self._admission.mutate))
            # What admission gave to this one alone cannot be given to the next.
            alone = write.undo or write.mutated or write.refusal is not None
            self._made = None if alone else Made(write, result, tuple(write.warnings), dict(write.audit))
            return result
        if write.model is not None:
            write.tree = codec.to_tree(write.tree)  # parts of it belong to others too
        if write.attempts and write.generated:
            for name in ("name", "uid"):
                write.tree["metadata"].pop(name, None)
        result = verbs.create(write, self._entropy, self._admission.mutate, normalised=bool(write.attempts))
        return self._created(write, result)

    def _created(self, write: Write, result: Result) -> Result:
        if self._objects.collection(write.hub).get(write.namespace, write.name) is not None:
            while write.generated and write.attempts < _ATTEMPTS:
                write.attempts += 1
                result = verbs.rename(write, result, self._entropy)
                if self._objects.collection(write.hub).get(write.namespace, write.name) is None:
                    return result
            write.refusal = write.refusal or self._exists(write)
        return result

    def _absent(self, write: Write) -> Result:
        """An update, patch or apply of what is not there: some create it."""
        kind = write.kind
        if write.subresource:
            raise verbs.absent(kind, write.name)
        if write.verb == "patch" and write.patch is not None and write.patch.type == "apply":
            incoming.patched(write)
            write.operation = "CREATE"
            return self._create(write)
        if write.verb == "update" and kind.create_on_update:
            meta = incoming.metadata_of(write.tree, kind)
            if meta.get("resourceVersion"):
                raise verbs.absent(kind, write.name)
            name = meta.get("name") or ""
            incoming.check_name(write, name)
            return self._create(write)
        raise verbs.absent(kind, write.name)

    # -- committing and answering

    def _op(self, write: Write, result: Result, key: str) -> Op:
        if result.remove:
            assert write.old is not None
            return Delete(key, write.old.rev)
        if len(result.value) > OBJECT_LIMIT:
            raise TooLarge(f"Request entity too large: limit is {OBJECT_LIMIT}")
        ttl = EVENT_TTL_S if write.hub.plural == "events" else None
        if result.created:
            return Put(key, result.value, 0, ttl)
        assert write.old is not None
        patience = LEASE_PATIENCE_S if write.hub.plural == "leases" else 0.0
        return Put(key, result.value, write.old.rev, ttl, patience)

    def _answer(self, write: Write, result: Result, rev: int) -> Answer:
        hub = write.hub
        kind = write.kind
        if write.verb == "delete":
            return self._deleted(write, result, rev)
        entry = self._objects.cache.collection(hub).get(write.namespace, write.name) if rev else None
        if entry is not None and entry.rev != rev:
            entry = None  # somebody has written it again already
        if entry is not None:
            data = entry.data
        elif result.created:
            data = codec.served(hub, result.value, rev) if rev else result.value
        elif result.keep:
            assert write.old is not None
            data = write.old.data
        else:
            shown = rev or (write.old.rev if write.old is not None else 0)
            data = codec.served(hub, result.value, shown)
        if kind.hub is not None:
            data = codec.to_version(kind, data)
        return Answer(201 if result.created else 200, data, None, rev, result.obj, kind, None, entry)

    def _deleted(self, write: Write, result: Result, rev: int) -> Answer:
        hub = write.hub
        kind = write.kind
        assert write.old is not None
        if not result.remove:
            data = codec.served(hub, result.value, rev or write.old.rev) if result.value else write.old.data
            if kind.hub is not None:
                data = codec.to_version(kind, data)
            code = 202 if write.deletion.orphan is False else 200
            return Answer(code, data, None, rev, result.obj, kind)
        if hub.resource in _RETURNED or (write.dry_run and hub.resource in _RETURNED):
            data = write.old.at(rev).data if rev else write.old.data
            if kind.hub is not None:
                data = codec.to_version(kind, data)
            return Answer(200, data, None, rev, result.obj, kind)
        uid = tree_get(write.old_tree, ("metadata", "uid"), "")
        return Answer(200, None, deletion.status_tree(kind, write.name, uid), rev, write.old.obj, kind)
