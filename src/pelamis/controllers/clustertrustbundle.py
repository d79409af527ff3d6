"""Trust bundle publisher: the ClusterTrustBundle by which pods verify the API server.

Its name tells a hash of its content, so a new CA gets a bundle of its own, and then the old ones of the signer go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pelamis.api.certificates.clustertrustbundle import KIND, ClusterTrustBundle, ClusterTrustBundleSpec
from pelamis.api.meta import ObjectMeta
from pelamis.client.types import Action, Create, Delete, Key, Update
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views, Watch

SIGNER = "kubernetes.io/kube-apiserver-serving"
ALL: Key = ("", "")


@dataclass(frozen=True, slots=True)
class World:
    """existing: all bundles of the signer."""

    bundle: str
    existing: Sequence[ClusterTrustBundle]


def bundle_name(bundle: str) -> str:
    return f"{SIGNER.replace('/', ':')}:{hashlib.sha256(bundle.encode()).hexdigest()[:24]}"


def reconcile(world: World, now: float) -> Plan:
    name = bundle_name(world.bundle)
    current = next((b for b in world.existing if b.metadata.name == name), None)
    old = [Delete(KIND, "", b.metadata.name) for b in world.existing if b is not current]
    spec = ClusterTrustBundleSpec(signerName=SIGNER, trustBundle=world.bundle)
    first: tuple[Action, ...] = ()
    if current is None:
        first = (Create(KIND, ClusterTrustBundle(metadata=ObjectMeta(name=name), spec=spec)),)
    elif current.spec.trustBundle != world.bundle:
        first = (Update(KIND, msgspec.structs.replace(current, spec=spec)),)
    return Plan(actions=first, then=old) if first else Plan(actions=old)


def _keys(views: Views, old: Any, new: Any) -> Sequence[Key]:
    return (ALL,) if (new if new is not None else old).spec.signerName == SIGNER else ()


def controller(bundle: str) -> Controller:
    """bundle: PEM certificates by which the API server is verified."""

    def gather(views: Views, key: Key) -> World:
        return World(bundle, [b for b in views(KIND).list() if b.spec.signerName == SIGNER])

    return Controller(
        name="clustertrustbundle",
        identity="kube-apiserver-serving-clustertrustbundle-publisher",
        component="kube-apiserver-serving-clustertrustbundle-publisher",
        watches=(Watch(KIND, _keys),),
        gather=gather,
        reconcile=reconcile,
        start=(ALL,),
    )
