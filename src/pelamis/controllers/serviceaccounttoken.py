"""Tokens of service accounts in Secrets: a Secret of the type, annotated with an account, is filled in.

It goes with its account, and with an account of the same name that took its place. Its token has no end, so it is valid
for as long as the Secret holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.core.secret import Secret
from pelamis.api.core.serviceaccount import KIND as SERVICE_ACCOUNT
from pelamis.api.core.serviceaccount import ServiceAccount
from pelamis.client.types import Delete, Key, Outcome, Update
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

TYPE = "kubernetes.io/service-account-token"
NAME = "kubernetes.io/service-account.name"
UID = "kubernetes.io/service-account.uid"
Issue = Callable[[str, str, str, str], str]
"""(namespace, Secret, account, uid of the account) to a token."""


@dataclass(frozen=True, slots=True)
class World:
    secret: Secret
    account: ServiceAccount | None
    ca_bundle: str
    issue: Issue


@dataclass(frozen=True, slots=True)
class Gone:
    """A Secret that is no more, and the accounts that still list it."""

    name: str
    accounts: Sequence[ServiceAccount]


def _unlisted(world: Gone) -> Plan:
    actions = []
    for account in world.accounts:
        kept = tuple(ref for ref in account.secrets if ref.name != world.name)
        actions.append(Update(SERVICE_ACCOUNT, msgspec.structs.replace(account, secrets=kept)))
    return Plan(actions=actions)


def reconcile(world: World | Gone, now: float) -> Plan:
    if isinstance(world, Gone):
        return _unlisted(world)
    secret, account = world.secret, world.account
    meta = secret.metadata
    if meta.deletionTimestamp is not None:
        return NOTHING
    uid = meta.annotations.get(UID, "")
    if account is None or account.metadata.deletionTimestamp is not None or uid not in ("", account.metadata.uid):
        return Plan(actions=(Delete(SECRET, meta.namespace, meta.name, uid=meta.uid),))
    data = dict(secret.data)
    if world.ca_bundle:
        data["ca.crt"] = world.ca_bundle.encode()
    data["namespace"] = meta.namespace.encode()
    if not data.get("token"):
        name = account.metadata.name
        data["token"] = world.issue(meta.namespace, meta.name, name, account.metadata.uid).encode()
    if data == secret.data and uid:
        return NOTHING
    annotations = {**meta.annotations, UID: account.metadata.uid}
    changed = msgspec.structs.replace(
        secret, metadata=msgspec.structs.replace(meta, annotations=annotations), data=data
    )

    def done(outcomes: Sequence[Outcome]) -> Plan:
        error = outcomes[0].error
        return NOTHING if error is None or error.reason == "NotFound" else Plan(error=error.message)

    return Plan(actions=(Update(SECRET, changed),), on_outcomes=done)


def _secret_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    secret = new if new is not None else old
    return ((secret.metadata.namespace, secret.metadata.name),) if secret.type == TYPE else ()


def _account_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    """An account that comes or goes concerns the Secrets that name it."""
    if old is not None and new is not None and old.metadata.uid == new.metadata.uid:
        return ()
    meta = (new if new is not None else old).metadata
    found = views(SECRET).list(meta.namespace)
    return [
        (meta.namespace, s.metadata.name)
        for s in found
        if s.type == TYPE and s.metadata.annotations.get(NAME) == meta.name
    ]


def controller(ca_bundle: str, issue: Issue) -> Controller:
    """ca_bundle: PEM."""

    def gather(views: Views, key: Key) -> World | Gone | None:
        secret: Secret | None = views(SECRET).get(*key)
        if secret is None:
            found = views(SERVICE_ACCOUNT).list(key[0])
            listing = [a for a in found if any(ref.name == key[1] for ref in a.secrets)]
            return Gone(key[1], listing) if listing else None
        if secret.type != TYPE:
            return None
        account = views(SERVICE_ACCOUNT).get(key[0], secret.metadata.annotations.get(NAME, ""))
        return World(secret, account, ca_bundle, issue)

    return Controller(
        name="serviceaccounttoken",
        component="serviceaccount-token-controller",
        watches=(Watch(SECRET, _secret_keys), Watch(SERVICE_ACCOUNT, _account_keys)),
        gather=gather,
        reconcile=reconcile,
    )
