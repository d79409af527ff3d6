"""The history of a pod template as ControllerRevisions: what DaemonSet and StatefulSet share. Pure.

A revision holds the template as a patch of the owner (``{"spec":{"template":{…,"$patch":"replace"}}}``), so that
``kubectl rollout undo`` can apply it. Its name ends in a hash of the template; the revision with the greatest number is
the newest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.apps.controllerrevision import KIND as REVISION
from pelamis.api.apps.controllerrevision import ControllerRevision
from pelamis.api.core.pod.template import PodTemplateSpec
from pelamis.api.kind import Kind
from pelamis.api.meta import ObjectMeta
from pelamis.base.ids import hash_of
from pelamis.client.types import Action, Create, Delete, Update
from pelamis.reconcile.ownership import owner_reference

POD_HASH = "controller-revision-hash"


def _tree(revision: ControllerRevision) -> Any:
    return msgspec.json.decode(revision.data) if isinstance(revision.data, msgspec.Raw) else None


def patch_of(template: PodTemplateSpec) -> dict[str, Any]:
    tree = msgspec.json.decode(msgspec.json.encode(template))
    return {"spec": {"template": {**tree, "$patch": "replace"}}}


def template_of(revision: ControllerRevision) -> PodTemplateSpec:
    tree = dict(_tree(revision)["spec"]["template"])
    tree.pop("$patch", None)
    return msgspec.json.decode(msgspec.json.encode(tree), type=PodTemplateSpec)


@dataclass(frozen=True, slots=True)
class History:
    """update: the revision of the present template (maybe not stored yet). older: all others, oldest first.

    actions: what makes it so. collision: the next collision count when the name was taken, else None.
    """

    update: ControllerRevision
    older: Sequence[ControllerRevision]
    actions: Sequence[Action]
    collision: int | None = None


def history(
    owner: Any,
    kind: Kind,
    revisions: Sequence[ControllerRevision],
    hash_label: str,
    labels: Mapping[str, str],
    taken: Any = None,
) -> History:
    """Find or make the revision of ``owner.spec.template``. taken(name): the revision that has a name, of any owner."""
    template = owner.spec.template
    wanted = patch_of(template)
    ordered = sorted(revisions, key=lambda r: (r.revision, r.metadata.creationTimestamp, r.metadata.name))
    equal = [r for r in ordered if _tree(r) == wanted]
    newest = ordered[-1].revision if ordered else 0
    if equal:
        found = equal[-1]
        older = [r for r in ordered if r.metadata.name != found.metadata.name]
        if found is ordered[-1]:
            return History(found, older, ())
        renumbered = msgspec.structs.replace(found, revision=newest + 1)
        return History(renumbered, older, (Update(REVISION, renumbered),))
    digest = hash_of(template, owner.status.collisionCount)
    name = f"{owner.metadata.name}-{digest}"
    made = ControllerRevision(
        metadata=ObjectMeta(
            name=name,
            namespace=owner.metadata.namespace,
            labels={**labels, hash_label: digest},
            annotations=owner.metadata.annotations,
            ownerReferences=(owner_reference(owner, kind),),
        ),
        data=msgspec.Raw(msgspec.json.encode(wanted)),
        revision=newest + 1,
    )
    if owner.metadata.deletionTimestamp is not None:
        # the garbage collector deletes the revisions of an owner that goes: one made now would be made for ever
        return History(made, ordered, ())
    if taken is not None and taken(name) is not None:
        return History(made, ordered, (), (owner.status.collisionCount or 0) + 1)
    return History(made, ordered, (Create(REVISION, made),))


def surplus(older: Sequence[ControllerRevision], limit: int | None, live: Collection[str]) -> list[Action]:
    """Deletes of the oldest revisions beyond the limit; ``live`` names are used by pods and stay."""
    idle = [r for r in older if r.metadata.name not in live and r.metadata.labels.get(POD_HASH, "") not in live]
    count = len(idle) - (10 if limit is None else limit)
    return [Delete(REVISION, r.metadata.namespace, r.metadata.name, uid=r.metadata.uid) for r in idle[: max(0, count)]]
