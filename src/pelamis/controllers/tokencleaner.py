"""Bootstrap token cleaner: deletes bootstrap tokens when they expire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.core.secret import Secret
from pelamis.base.clock import parse_rfc3339
from pelamis.client.types import Delete, Key
from pelamis.reconcile.bootstraptoken import NAMESPACE, TYPE, text
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.spec import Controller, Views, Watch


def gather(views: Views, key: Key) -> Secret | None:
    secret: Secret | None = views(SECRET).get(*key)
    return secret if secret is not None and secret.type == TYPE else None


def reconcile(secret: Secret, now: float) -> Plan:
    expiration = text(secret, "expiration")
    try:
        at = parse_rfc3339(expiration) if expiration else None
    except ValueError:
        return NOTHING
    if at is None:
        return NOTHING
    if at > now:
        return Plan(requeue_at=at)
    meta = secret.metadata
    return Plan(actions=(Delete(SECRET, meta.namespace, meta.name, uid=meta.uid),))


def _keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    secret = new if new is not None else old
    meta = secret.metadata
    return ((meta.namespace, meta.name),) if meta.namespace == NAMESPACE and secret.type == TYPE else ()


CONTROLLER = Controller(
    name="tokencleaner",
    identity="token-cleaner",
    component="token-cleaner",
    watches=(Watch(SECRET, _keys),),
    gather=gather,
    reconcile=reconcile,
)
