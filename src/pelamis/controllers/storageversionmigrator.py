"""StorageVersionMigrator: writes every object of a resource anew, so that all are stored in the current form.

One migration runs at a time for a resource, the oldest first. It is marked as running, and so is the definition of a
custom resource; it notes a revision of the resource, and every object that is not newer gets a patch that changes
nothing but is stored, because its bytes are not those that the server would write (``cache.collection.outdated``). An
object that was written or deleted meanwhile is done. At the end a definition forgets the versions of before, unless it
has changed on the way. The patches go out in parts; after a restart they begin anew.

Each apply to a definition says ``status.storedVersions`` too: what an applier owned and no longer says is removed, and
a second migration would forget versions before it has migrated from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from pelamis.api.apiextensions.customresourcedefinition import KIND as DEFINITION
from pelamis.api.apiextensions.customresourcedefinition import CustomResourceDefinition
from pelamis.api.field import Tree
from pelamis.api.kind import Kind
from pelamis.api.meta import Condition, GroupResource
from pelamis.api.storagemigration.storageversionmigration import KIND as MIGRATION
from pelamis.api.storagemigration.storageversionmigration import StorageVersionMigration, is_true
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.base.errors import StatusError
from pelamis.client.types import Key, Outcome, Patch, Update
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

MANAGER = "storage-version-migrator-controller"
RUNNER = "migration-runner-controller"
BATCH = 250
NEW_S = 60.0
"""How long a resource may be unknown after the migration was made: its definition may be on its way."""

_UNWATCHED = (("", "events"), ("events.k8s.io", "events"))
"""What the garbage collector knows nothing of, whose knowledge upstream uses."""
_VERBS = ("update", "patch", "list")
_AGAIN = frozenset(("ServerTimeout", "TooManyRequests", "ServiceUnavailable", "InternalError", "Timeout"))


@dataclass(frozen=True, slots=True)
class Progress:
    """What is left to be patched: key and revision. total: of all objects there were."""

    uid: str
    left: tuple[tuple[Key, int], ...]
    total: int


@dataclass(frozen=True, slots=True)
class World:
    """first: it is its turn. kind: None = not served. revision: of the kind's view; progress is set while it runs."""

    migration: StorageVersionMigration
    first: bool
    definition: CustomResourceDefinition | None
    kind: Kind | None
    revision: int = 0
    progress: Progress | None = None


def _resource(obj: Any) -> GroupResource:
    found: GroupResource = obj.spec.resource
    return found


def _ended(migration: StorageVersionMigration) -> bool:
    return is_true(migration, "Succeeded") or is_true(migration, "Failed")


def _first(views: Views, migration: StorageVersionMigration) -> bool:
    others = [m for m in views(MIGRATION).list() if _resource(m) == _resource(migration) and not _ended(m)]
    if any(is_true(m, "Running") for m in others):
        return False
    first = min(others, key=lambda m: (m.metadata.creationTimestamp or "", m.metadata.name))
    return bool(first.metadata.name == migration.metadata.name)


def gather(views: Views, key: Key) -> World | None:
    migration: StorageVersionMigration | None = views(MIGRATION).get(*key)
    if migration is None:
        return None
    resource = _resource(migration)
    definition = views(DEFINITION).get("", f"{resource.resource}.{resource.group}")
    running = is_true(migration, "Running")
    if _ended(migration) or not running:
        return World(migration, not running and not _ended(migration) and _first(views, migration), definition, None)
    wanted = (resource.group, resource.resource)
    kind = next((k for k in views.every() if (k.group, k.plural) == wanted), None)
    if kind is None:
        return World(migration, False, definition, None)
    view, checkpoint = views(kind), int(migration.status.resourceVersion or 0)
    progress = None
    if checkpoint and view.synced and view.revision >= checkpoint:
        progress = views.memo(key)
        if progress is None or progress.uid != migration.metadata.uid:
            found = view.revisions()
            progress = Progress(migration.metadata.uid, tuple(f for f in found if f[1] <= checkpoint), len(found))
    return World(migration, False, definition, kind, view.revision if view.synced else 0, progress)


def reconcile(world: World, now: float) -> Plan:
    migration, kind = world.migration, world.kind
    if not is_true(migration, "Running"):
        return _start(world, now) if world.first else NOTHING
    if _ended(migration):
        return _finish(world, now)
    resource = _resource(migration)
    checkpoint = migration.status.resourceVersion
    if kind is None:
        known_at = parse_rfc3339(migration.metadata.creationTimestamp or "") + NEW_S
        if now < known_at:
            return Plan(requeue_at=known_at)  # its definition wakes us
        if checkpoint:
            return _fail(migration, now, "unable to obtain GVR from discovery")
        return _write(migration, now, _failed("resource does not exist in discovery"))
    name = f"{kind.group}/{kind.version}, Resource={kind.plural}"
    if not checkpoint:
        if not set(_VERBS) <= set(kind.verbs):
            why = f'resource "{name}" does not support discovery operations: [{" ".join(_VERBS)}]'
            return _write(migration, now, _failed(why))
        if not world.revision:
            return Plan(wait=((kind, 1),))
        status = replace(migration.status, resourceVersion=str(world.revision))
        return Plan(actions=(Update(MIGRATION, replace(migration, status=status), "status"),))
    if (resource.group, resource.resource) in _UNWATCHED:
        return Plan(error=f"no monitor found for resource {name}")
    if world.progress is None:
        return Plan(wait=((kind, int(checkpoint)),))
    return _migrate(migration, kind, world.progress, now)


# -- the objects


def _migrate(migration: StorageVersionMigration, kind: Kind, progress: Progress, now: float) -> Plan:
    part, rest = progress.left[:BATCH], progress.left[BATCH:]
    if not part:
        total = progress.total
        done = _running(f", {total} objects verified migrated" if total else "")
        success = _condition("Succeeded", "StorageVersionMigrationSucceeded", "Migration completed")
        return Plan(actions=_write(migration, now, done, success).actions, memo=None)
    patches = [
        Patch(
            kind,
            namespace,
            name,
            {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"resourceVersion": str(rev)}},
            manager=MANAGER,
        )
        for (namespace, name), rev in part
    ]

    def then(outcomes: Sequence[Outcome]) -> Plan:
        bad = [(i, o.error) for i, o in enumerate(outcomes) if o.error is not None and not _settled(o.error)]
        if not bad:
            return Plan(memo=Progress(progress.uid, rest, progress.total), requeue_at=now)
        lasting = next(((i, e) for i, e in bad if not _again(e)), None)
        if lasting is not None:
            index, error = lasting
            left = sum(1 for i, _ in bad if i >= index) + len(rest)
            plan = _write(
                migration,
                now,
                _running(f", {left}/{progress.total} objects not yet migrated"),
                _failed(f"{left}/{progress.total} not yet migrated. {_UNHANDLED}{error.message}"),
            )
            return Plan(actions=plan.actions, memo=None)
        remaining = (*(part[i] for i, _ in bad), *rest)
        error = bad[0][1]
        said = f", {len(remaining)}/{progress.total} objects not yet migrated; transient error: {error.message}"
        plan = _write(migration, now, _running(said))
        memo = Progress(progress.uid, remaining, progress.total)
        return Plan(actions=plan.actions, on_outcomes=lambda _: Plan(error=error.message), memo=memo)

    return Plan(actions=patches, on_outcomes=then)


def _settled(error: StatusError) -> bool:
    """It was written or deleted meanwhile."""
    return error.reason in ("Conflict", "NotFound")


def _again(error: StatusError) -> bool:
    return error.reason in _AGAIN


# -- the migration's status

_UNHANDLED = "migration encountered unhandled error: "


def _condition(type: str, reason: str, message: str, status: str = "True", generation: int = 0) -> Condition:
    return Condition(type=type, status=status, reason=reason, message=message, observedGeneration=generation)


def _running(more: str = "") -> Condition:
    return _condition("Running", "MigrationRunning", f"The migration is running{more}")


def _failed(message: str) -> Condition:
    return _condition("Failed", "StorageVersionMigrationFailed", message)


def _fail(migration: StorageVersionMigration, now: float, why: str) -> Plan:
    return _write(migration, now, _failed(_UNHANDLED + why))


def _write(migration: StorageVersionMigration, now: float, *wanted: Condition) -> Plan:
    conditions = list(migration.status.conditions)
    for new in wanted:
        at = next((i for i, c in enumerate(conditions) if c.type == new.type), None)
        if at is None:
            conditions.append(replace(new, lastTransitionTime=rfc3339(now)))
            continue
        old = conditions[at]
        since = old.lastTransitionTime if old.status == new.status else rfc3339(now)
        conditions[at] = replace(new, lastTransitionTime=since)
    if tuple(conditions) == migration.status.conditions:
        return NOTHING
    status = replace(migration.status, conditions=tuple(conditions))
    return Plan(actions=(Update(MIGRATION, replace(migration, status=status), "status"),))


# -- the start and the end, which a definition sees


def _start(world: World, now: float) -> Plan:
    migration, crd = world.migration, world.definition
    if any(c.type == "Running" for c in migration.status.conditions):
        return NOTHING
    marked = _write(migration, now, _running())
    if crd is None:
        return marked
    said = f"Migration {migration.metadata.name} is running"
    return Plan(
        actions=(_apply(crd, now, "True", "MigrationRunning", said, crd.status.storedVersions),), then=marked.actions
    )


def _finish(world: World, now: float) -> Plan:
    migration, crd = world.migration, world.definition
    end = _condition("Running", "MigrationCompleted", "Migration completed", "False", migration.metadata.generation)
    ended = _write(migration, now, end)
    if crd is None:
        return ended
    stored = crd.status.storedVersions
    mark = next((c for c in crd.status.conditions if c.type == "StorageMigrating"), None)
    known = mark is not None and mark.observedGeneration == crd.metadata.generation
    if known:
        stored = tuple(v.name for v in crd.spec.versions if v.storage)
    reason, said = "MigrationFailed", "The migration has failed"
    if is_true(migration, "Succeeded"):
        reason, said = "MigrationSucceeded", "The migration has succeeded"
        said += (
            " and the stored versions have been updated"
            if known
            else " but the stored versions have not been updated due to a generation mismatch"
        )
    return Plan(actions=(_apply(crd, now, "False", reason, said, stored),), then=ended.actions)


def _apply(
    crd: CustomResourceDefinition, now: float, status: str, reason: str, message: str, stored: Sequence[str]
) -> Patch:
    condition: Tree = {
        "type": "StorageMigrating",
        "status": status,
        "lastTransitionTime": rfc3339(now),
        "reason": reason,
        "message": message,
        "observedGeneration": crd.metadata.generation,
    }
    body = {
        "apiVersion": DEFINITION.api_version,
        "kind": DEFINITION.kind,
        # A change in between may be of the storage version, of which the condition would then tell wrongly.
        "metadata": {"name": crd.metadata.name, "resourceVersion": crd.metadata.resourceVersion},
        "status": {"conditions": [condition], "storedVersions": list(stored)},
    }
    return Patch(DEFINITION, "", crd.metadata.name, body, "apply", "status", force=True, manager=RUNNER)


def _same_resource(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """Whose turn it is may have changed."""
    resource = _resource(new if new is not None else old)
    return [("", m.metadata.name) for m in views(MIGRATION).list() if _resource(m) == resource]


def _of_definition(views: Views, old: Any, new: Any) -> Sequence[Key]:
    spec = (new if new is not None else old).spec
    names = (spec.group, spec.names.plural)
    found = ((m, _resource(m)) for m in views(MIGRATION).list() if not _ended(m))
    return [("", m.metadata.name) for m, resource in found if (resource.group, resource.resource) == names]


CONTROLLER = Controller(
    name="storageversionmigrator",
    identity=MANAGER,
    component=MANAGER,
    watches=(Watch(MIGRATION, _same_resource), Watch(DEFINITION, _of_definition)),
    gather=gather,
    reconcile=reconcile,
)
