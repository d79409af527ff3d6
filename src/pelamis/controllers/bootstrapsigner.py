"""Bootstrap signer: signs the ConfigMap ``cluster-info`` with every bootstrap token that may sign.

Who knows a token can so tell that the CA in it is the cluster's, before it trusts anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.configmap import ConfigMap
from pelamis.api.core.secret import KIND as SECRET
from pelamis.api.core.secret import Secret
from pelamis.client.types import Key, Update
from pelamis.reconcile.bootstraptoken import NAMESPACE, TYPE, expires, signature, signer
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views, Watch

INFO: Key = ("kube-public", "cluster-info")
CONTENT = "kubeconfig"
PREFIX = "jws-kubeconfig-"


@dataclass(frozen=True, slots=True)
class World:
    info: ConfigMap
    tokens: Sequence[Secret]


def gather(views: Views, key: Key) -> World | None:
    info = views(CONFIGMAP).get(*INFO)
    if info is None:
        return None
    return World(info, [s for s in views(SECRET).list(NAMESPACE) if s.type == TYPE])


def reconcile(world: World, now: float) -> Plan:
    content = world.info.data.get(CONTENT, "")
    data = {k: v for k, v in world.info.data.items() if not k.startswith(PREFIX)}
    ends: list[float] = []
    for secret in world.tokens:
        token = signer(secret, now)
        if token is None or not content:
            continue
        data[PREFIX + token[0]] = signature(content, *token)
        at = expires(secret)
        if at is not None:
            ends.append(at)
    requeue_at = min(ends) if ends else None
    if data == world.info.data:
        return Plan(requeue_at=requeue_at)
    changed = msgspec.structs.replace(world.info, data=data)
    return Plan(actions=(Update(CONFIGMAP, changed),), requeue_at=requeue_at)


def _info_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    meta = (new if new is not None else old).metadata
    return (INFO,) if (meta.namespace, meta.name) == INFO else ()


def _token_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    secret = new if new is not None else old
    return (INFO,) if secret.metadata.namespace == NAMESPACE and secret.type == TYPE else ()


CONTROLLER = Controller(
    name="bootstrapsigner",
    identity="bootstrap-signer",
    component="bootstrap-signer",
    watches=(Watch(CONFIGMAP, _info_keys), Watch(SECRET, _token_keys)),
    gather=gather,
    reconcile=reconcile,
)
