"""Legacy token cleaner: tokens in Secrets that were made for an account by itself go when nobody used them for a year.

First such a Secret is labelled invalid, and the API server refuses its token; a year later it is deleted. Tokens that a
user asked for (the account does not list the Secret) and those that a pod mounts are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.configmap import ConfigMap
from pelamis.api.core.pod.kind import KIND as POD
from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.core.secret import Secret
from pelamis.api.core.serviceaccount import KIND as SERVICE_ACCOUNT
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.client.types import Action, Delete, Key, Patch
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views

TYPE = "kubernetes.io/service-account-token"
NAME = "kubernetes.io/service-account.name"
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
TRACKING: Key = ("kube-system", "kube-apiserver-legacy-service-account-token-tracking")
DAY_S = 24 * 3600.0
PERIOD_S = 365 * DAY_S
ALL: Key = ("", "")


@dataclass(frozen=True, slots=True)
class World:
    """secrets: tokens that their accounts list and no pod mounts."""

    tracking: ConfigMap | None
    secrets: Sequence[Secret]


def date(text: str | None) -> float | None:
    try:
        return parse_rfc3339(f"{text}T00:00:00Z") if text else None
    except ValueError:
        return None


def gather(views: Views, key: Key) -> World:
    found = []
    for secret in views(SECRET).list():
        meta = secret.metadata
        if secret.type != TYPE or meta.deletionTimestamp is not None:
            continue
        account = views(SERVICE_ACCOUNT).get(meta.namespace, meta.annotations.get(NAME, ""))
        if account is not None and any(ref.name == meta.name for ref in account.secrets):
            found.append(secret)
    if found:
        mounted = {
            (pod.metadata.namespace, volume.secret.secretName)
            for namespace in {s.metadata.namespace for s in found}
            for pod in views(POD).list(namespace)
            for volume in pod.spec.volumes
            if volume.secret is not None
        }
        found = [s for s in found if (s.metadata.namespace, s.metadata.name) not in mounted]
    return World(views(CONFIGMAP).get(*TRACKING), found)


def reconcile(world: World, now: float) -> Plan:
    tomorrow = now + DAY_S
    since = date(world.tracking.data.get("since")) if world.tracking is not None else None
    keep_from = now - PERIOD_S
    if since is None or since > keep_from:
        return Plan(requeue_at=tomorrow)  # uses are not known for long enough
    actions: list[Action] = []
    for secret in world.secrets:
        meta = secret.metadata
        used = date(meta.labels.get(LAST_USED))
        if parse_rfc3339(meta.creationTimestamp) >= keep_from or (used is not None and used + DAY_S > keep_from):
            continue
        invalid = date(meta.labels.get(INVALID_SINCE))
        if invalid is None:
            body = {"metadata": {"uid": meta.uid, "labels": {INVALID_SINCE: rfc3339(now)[:10]}}}
            actions.append(Patch(SECRET, meta.namespace, meta.name, body))
        elif invalid + DAY_S <= keep_from:
            actions.append(Delete(SECRET, meta.namespace, meta.name, uid=meta.uid, rev=meta.resourceVersion))
    return Plan(actions=actions, requeue_at=tomorrow)


CONTROLLER = Controller(
    name="legacytokencleaner",
    identity="legacy-service-account-token-cleaner",
    component="legacy-service-account-token-cleaner",
    watches=(),
    gather=gather,
    reconcile=reconcile,
    kinds=(SECRET, SERVICE_ACCOUNT, POD, CONFIGMAP),
    start=(ALL,),
)
