"""An in-memory Client on virtual time: resourceVersions, uids, finalizers, graceful deletion, conflicts, patches.

A twin for units alone: the runner, the scheduler's executor and the real kubelet are tried with objects that an API
server would refuse (hand-set statuses, uids, pods of one field), on real time and real containers too. Whatever is
about controllers, nodes or whole clusters runs on the simulator (``flow``). ``refuse`` may refuse an action; ``delay``
lets views lag behind the commits, as they do over HTTP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.kind import Kind
from pelamis.base import errors
from pelamis.base.clock import rfc3339
from pelamis.client.types import Action, Create, Delete, Key, Outcome, Patch, Update


def tree_of(obj: Any) -> dict[str, Any]:
    return obj if isinstance(obj, dict) else msgspec.json.decode(msgspec.json.encode(obj))


def struct_of(kind: Kind, tree: dict[str, Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(tree), type=kind.type)


class FakeView:
    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.objects: dict[Key, Any] = {}
        self.revision = 0
        self.synced = True
        self._subscribers: list[Callable[[Key, Any, Any], None]] = []
        self._waiting: list[tuple[int, Callable[[], None]]] = []

    def get(self, namespace: str, name: str) -> Any:
        return self.objects.get((namespace, name))

    def list(self, namespace: str = "") -> Sequence[Any]:
        return [o for k, o in sorted(self.objects.items()) if not namespace or k[0] == namespace]

    def keys(self, namespace: str = "") -> Sequence[Key]:
        return [k for k in sorted(self.objects) if not namespace or k[0] == namespace]

    def __len__(self) -> int:
        return len(self.keys())

    def by_index(self, index: str, value: str) -> Sequence[Any]:
        out = []
        for key, obj in sorted(self.objects.items()):
            if index == "owner":
                ref = next((r for r in obj.metadata.ownerReferences if r.controller), None)
                found = ref.uid == value if ref else bool(obj.metadata.labels) and value == f"/{key[0]}"
            elif index == "node":
                found = obj.spec.nodeName == value
            else:
                found = value in (self.kind.indexes or {})[index](obj)
            if found:
                out.append(obj)
        return out

    def facts(self, index: str, value: str, make: Callable[[Any, Any], Any]) -> Sequence[Any]:
        return [make(obj, obj.metadata.labels) for obj in self.by_index(index, value)]

    def when_reached(self, rev: int, fn: Callable[[], None]) -> None:
        if self.revision >= rev:
            fn()
        else:
            self._waiting.append((rev, fn))

    def subscribe(self, fn: Callable[[Key, Any, Any], None], *, replay: bool = True) -> Callable[[], None]:
        if replay:
            for key, obj in sorted(self.objects.items()):
                fn(key, None, obj)
        self._subscribers.append(fn)
        return lambda: self._subscribers.remove(fn) if fn in self._subscribers else None

    def apply(self, rev: int, key: Key, new: Any) -> None:
        old = self.objects.get(key)
        if new is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = new
        self.revision = rev
        for fn in list(self._subscribers):
            fn(key, old, new)

    def reached(self, rev: int) -> None:
        self.revision = max(self.revision, rev)
        due = [fn for at, fn in self._waiting if at <= self.revision]
        self._waiting = [(at, fn) for at, fn in self._waiting if at > self.revision]
        for fn in due:
            fn()


class FakeServer:
    """The state that all clients of one test share. refuse(action): an error to answer instead of carrying it out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.rev = 0
        self.serial = 0
        self.stored: dict[Kind, dict[Key, dict[str, Any]]] = {}
        self.views: dict[Kind, FakeView] = {}
        self.refuse: Callable[[Action], errors.StatusError | None] = lambda action: None
        self.delay: Callable[[], float] = lambda: 0.0
        self.commits: list[list[Action]] = []
        self._due = 0.0
        self._under_way: deque[tuple[int, FakeView, Key, Any]] = deque()

    def view(self, kind: Kind) -> FakeView:
        return self.views.setdefault(kind, FakeView(kind))

    def objects(self, kind: Kind) -> list[Any]:
        return [struct_of(kind, t) for _, t in sorted(self.stored.get(kind, {}).items())]

    def get(self, kind: Kind, namespace: str, name: str) -> Any:
        tree = self.stored.get(kind, {}).get((namespace, name))
        return None if tree is None else struct_of(kind, tree)

    def do(self, *actions: Action) -> list[Outcome]:
        """Carry actions out at once, as a user would."""
        return [self._one(a) for a in actions]

    def _missing(self, kind: Kind, name: str) -> errors.StatusError:
        return errors.NotFound(kind.plural, kind.group, name)

    def _one(self, action: Action) -> Outcome:
        try:
            if isinstance(action, Create):
                return self._create(action)
            if isinstance(action, Update):
                tree = tree_of(action.obj)
                return self._replace(action.kind, tree, action.subresource, tree["metadata"].get("resourceVersion", ""))
            if isinstance(action, Patch):
                return self._patch(action)
            return self._delete(action)
        except errors.StatusError as error:
            return Outcome(0, None, error)

    def _create(self, action: Create) -> Outcome:
        kind, tree = action.kind, tree_of(action.obj)
        if action.subresource == "eviction":
            return self._delete(Delete(POD, tree["metadata"]["namespace"], tree["metadata"]["name"]))
        if action.subresource == "binding":
            return self._bind(tree)
        meta = tree["metadata"] = dict(tree["metadata"])
        self.serial += 1
        if not meta.get("name"):
            meta["name"] = f"{meta['generateName']}{self.serial:05d}"
        namespace = meta.get("namespace", "") if kind.namespaced else ""
        key = (namespace, meta["name"])
        objects = self.stored.setdefault(kind, {})
        if key in objects:
            raise errors.AlreadyExists(kind.plural, kind.group, meta["name"])
        meta["uid"] = f"uid-{self.serial}"
        meta["creationTimestamp"] = rfc3339(self.clock())
        if kind.generation or kind.plural in ("replicationcontrollers",):
            meta["generation"] = 1
        return self._store(kind, key, tree)

    def _bind(self, binding: dict[str, Any]) -> Outcome:
        meta = binding["metadata"]
        key, old = self._current(POD, meta["namespace"], meta["name"])
        if meta.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"] or old["spec"].get("nodeName"):
            raise errors.Conflict("pods/binding", "", meta["name"], "already bound, or another pod")
        conditions = [c for c in old.get("status", {}).get("conditions", []) if c["type"] != "PodScheduled"]
        done = {"type": "PodScheduled", "status": "True", "lastTransitionTime": rfc3339(self.clock())}
        new = {**old, "spec": {**old["spec"], "nodeName": binding["target"]["name"]}}
        new["status"] = {**old.get("status", {}), "conditions": [*conditions, done]}
        return self._store(POD, key, new)

    def _store(self, kind: Kind, key: Key, tree: dict[str, Any]) -> Outcome:
        self.rev += 1
        tree["metadata"] = {**tree["metadata"], "resourceVersion": str(self.rev)}
        obj = struct_of(kind, tree)
        self.stored.setdefault(kind, {})[key] = tree_of(obj)
        self._publish(kind, self.rev, key, obj)
        return Outcome(self.rev, obj)

    def _remove(self, kind: Kind, key: Key) -> Outcome:
        self.rev += 1
        tree = self.stored[kind].pop(key)
        self._publish(kind, self.rev, key, None)
        return Outcome(self.rev, struct_of(kind, tree))

    def _publish(self, kind: Kind, rev: int, key: Key, obj: Any) -> None:
        view = self.view(kind)
        delay = self.delay()
        if delay <= 0 and not self._under_way:
            view.apply(rev, key, obj)
            for other in self.views.values():
                other.reached(rev)
            return
        self._due = max(self._due, self.clock() + delay)
        self._under_way.append((rev, view, key, obj))
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + self._due - self.clock(), self._arrive)

    def _arrive(self) -> None:
        rev, view, key, obj = self._under_way.popleft()  # in order, whatever the delays
        view.apply(rev, key, obj)
        for other in self.views.values():
            other.reached(rev)

    def _current(self, kind: Kind, namespace: str, name: str) -> tuple[Key, dict[str, Any]]:
        key = (namespace if kind.namespaced else "", name)
        tree = self.stored.get(kind, {}).get(key)
        if tree is None:
            raise self._missing(kind, name)
        return key, tree

    def _replace(self, kind: Kind, tree: dict[str, Any], subresource: str, rev: str) -> Outcome:
        meta = tree["metadata"]
        key, old = self._current(kind, meta.get("namespace", ""), meta["name"])
        if rev and rev != old["metadata"]["resourceVersion"]:
            raise errors.Conflict(kind.plural, kind.group, meta["name"])
        if meta.get("uid") and meta["uid"] != old["metadata"]["uid"]:
            raise errors.Conflict(kind.plural, kind.group, meta["name"], "Precondition failed: UID in precondition")
        new = dict(tree)
        keep = {k: old["metadata"].get(k) for k in ("uid", "creationTimestamp", "deletionTimestamp", "generation")}
        new["metadata"] = {**meta, **{k: v for k, v in keep.items() if v is not None}}
        if subresource == "status":
            new = {**old, "status": tree.get("status", {}), "metadata": {**old["metadata"]}}
            if meta.get("annotations"):
                new["metadata"]["annotations"] = meta["annotations"]
        else:
            if "status" in old and "status" in kind.reset:
                new["status"] = old["status"]
            if new.get("spec") != old.get("spec") and "generation" in old["metadata"]:
                new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        new["metadata"].pop("resourceVersion", None)
        before = {**old, "metadata": {k: v for k, v in old["metadata"].items() if k != "resourceVersion"}}
        if struct_of(kind, new) == struct_of(kind, before):
            return Outcome(self.rev, struct_of(kind, old))
        gone = new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers")
        if gone and kind is not POD:
            return self._remove(kind, key)
        if gone and kind is POD and new["metadata"].get("deletionGracePeriodSeconds") == 0:
            return self._remove(kind, key)
        return self._store(kind, key, new)

    def _patch(self, action: Patch) -> Outcome:
        _, old = self._current(action.kind, action.namespace, action.name)
        if action.rev and action.rev != old["metadata"]["resourceVersion"]:
            raise errors.Conflict(action.kind.plural, action.kind.group, action.name)
        uid = action.body.get("metadata", {}).get("uid") if isinstance(action.body, dict) else None
        if uid and uid != old["metadata"]["uid"]:
            raise errors.Conflict(action.kind.plural, action.kind.group, action.name, "uid mismatch")
        if action.type == "json":
            new = json_patched(old, action.body)
        else:
            new = merged(old, action.body, strategic=action.type == "strategic")
        return self._replace(action.kind, new, action.subresource, "")

    def _delete(self, action: Delete) -> Outcome:
        kind = action.kind
        key, old = self._current(kind, action.namespace, action.name)
        meta = old["metadata"]
        if (action.uid and action.uid != meta["uid"]) or (action.rev and action.rev != meta["resourceVersion"]):
            raise errors.Conflict(kind.plural, kind.group, action.name, "Precondition failed")
        finalizers = [f for f in meta.get("finalizers", []) if f not in ("orphan", "foregroundDeletion")]
        if action.propagation in ("Foreground", "Orphan"):
            finalizers.append("foregroundDeletion" if action.propagation == "Foreground" else "orphan")
        elif not action.propagation:
            finalizers = list(meta.get("finalizers", []))
        grace = 0
        if kind is POD and old.get("spec", {}).get("nodeName"):
            grace = (
                action.grace_s if action.grace_s is not None else old["spec"].get("terminationGracePeriodSeconds", 30)
            )
            if old.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                grace = 0
        if not finalizers and grace <= 0:
            return self._remove(kind, key)
        new = {**old, "metadata": {**meta}}
        if finalizers:
            new["metadata"]["finalizers"] = finalizers
        else:
            new["metadata"].pop("finalizers", None)
        if not meta.get("deletionTimestamp"):
            new["metadata"]["deletionTimestamp"] = rfc3339(self.clock() + grace)
            new["metadata"]["deletionGracePeriodSeconds"] = grace
        if struct_of(kind, new) == struct_of(kind, old):
            return Outcome(self.rev, struct_of(kind, old))
        return self._store(kind, key, new)


def json_patched(old: dict[str, Any], ops: Sequence[dict[str, Any]]) -> dict[str, Any]:
    from pelamis.base.jsonpatch import apply

    return apply(old, ops)  # type: ignore[arg-type]


_KEYS = {"ownerReferences": "uid", "conditions": "type", "podIPs": "ip", "hostIPs": "ip"}


def merged(old: dict[str, Any], patch: dict[str, Any], *, strategic: bool) -> dict[str, Any]:
    """A merge patch; of a strategic one what controllers use: lists keyed by uid or type, both kinds of deletion."""
    out = dict(old)
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            out[name] = [v for v in out.get(name, []) if v not in value]
        elif value is None:
            out.pop(key, None)
        elif isinstance(value, dict):
            out[key] = merged(out.get(key) or {}, value, strategic=strategic)
        elif strategic and key in _KEYS and isinstance(value, list):
            by = _KEYS[key]
            items = {item[by]: item for item in out.get(key, [])}
            for item in value:
                if item.get("$patch") == "delete":
                    items.pop(item[by], None)
                else:
                    items[item[by]] = merged(items.get(item[by], {}), item, strategic=True)
            out[key] = list(items.values())
        elif strategic and key == "finalizers":
            out[key] = [*out.get(key, []), *(v for v in value if v not in out.get(key, []))]
        else:
            out[key] = value
    return out


class FakeClient:
    """One identity's access to a FakeServer."""

    def __init__(self, server: FakeServer, user: str = "") -> None:
        self.server = server
        self.user = user

    def view(self, kind: Kind, *, namespace: str = "", label_selector: str = "", field_selector: str = "") -> Any:
        return self.server.view(kind)

    def release(self, view: Any) -> None:
        """Views cost nothing here: they show what the server holds anyway."""

    async def get(self, kind: Kind, namespace: str, name: str, *, subresource: str = "") -> Any:
        found = self.server.get(kind, namespace, name)
        if found is None:
            raise errors.NotFound(kind.plural, kind.group, name)
        return found

    async def list(self, kind: Kind, namespace: str = "", **selectors: str) -> tuple[Sequence[Any], int]:
        return [
            o for o in self.server.objects(kind) if not namespace or o.metadata.namespace == namespace
        ], self.server.rev

    def watch(self, kind: Kind, namespace: str = "", **options: Any) -> Any:
        raise NotImplementedError("views are enough here")

    async def commit(self, actions: Sequence[Action]) -> Sequence[Outcome]:
        self.server.commits.append(list(actions))
        await asyncio.sleep(0)
        out: list[Outcome] = []
        for action in actions:
            refused = self.server.refuse(action)
            out.append(self.server._one(action) if refused is None else Outcome(0, None, refused))
        return out

    async def fetch(self, path: str, *, query: Any = None) -> Any:
        raise errors.PathNotFound()

    async def post(self, path: str, body: Any, *, query: Any = None) -> Any:
        raise NotImplementedError("controllers post nothing")
