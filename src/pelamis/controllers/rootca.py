"""Root CA publisher: the ConfigMap ``kube-root-ca.crt`` in every namespace, with which pods verify the API server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.core.configmap import KIND as CONFIGMAP
from pelamis.api.core.configmap import ConfigMap
from pelamis.api.core.namespace import KIND as NAMESPACE
from pelamis.api.meta import ObjectMeta
from pelamis.client.types import Action, Create, Key, Outcome, Update
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.podcontrol import is_namespace_terminating
from pelamis.reconcile.spec import Controller, Views, Watch

NAME = "kube-root-ca.crt"
DESCRIPTION = "kubernetes.io/description"
DESCRIBED = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


@dataclass(frozen=True, slots=True)
class World:
    namespace: str
    current: ConfigMap | None
    bundle: str


def reconcile(world: World, now: float) -> Plan:
    data = {"ca.crt": world.bundle}
    action: Action
    if world.current is None:
        meta = ObjectMeta(name=NAME, namespace=world.namespace, annotations={DESCRIPTION: DESCRIBED})
        action = Create(CONFIGMAP, ConfigMap(metadata=meta, data=data))
    else:
        meta = world.current.metadata
        if world.current.data == data and DESCRIPTION in meta.annotations:
            return NOTHING
        meta = msgspec.structs.replace(meta, annotations={**meta.annotations, DESCRIPTION: DESCRIBED})
        action = Update(CONFIGMAP, msgspec.structs.replace(world.current, metadata=meta, data=data))

    def done(outcomes: Sequence[Outcome]) -> Plan:
        error = outcomes[0].error
        if error is None or error.reason == "AlreadyExists" or is_namespace_terminating(error):
            return NOTHING
        return Plan(error=error.message)

    return Plan(actions=(action,), on_outcomes=done)


def _config_keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    meta = (new if new is not None else old).metadata
    return (("", meta.namespace),) if meta.name == NAME and old is not None else ()


def controller(bundle: str) -> Controller:
    """bundle: the certificates in PEM by which the API server is verified."""

    def gather(views: Views, key: Key) -> World | None:
        namespace = views(NAMESPACE).get(*key)
        if namespace is None or namespace.metadata.deletionTimestamp is not None:
            return None
        return World(key[1], views(CONFIGMAP).get(key[1], NAME), bundle)

    return Controller(
        name="rootca",
        identity="root-ca-cert-publisher",
        component="root-ca-cert-publisher",
        watches=(Watch(NAMESPACE), Watch(CONFIGMAP, _config_keys)),
        gather=gather,
        reconcile=reconcile,
    )
