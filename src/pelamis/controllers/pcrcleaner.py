"""PodCertificateRequest cleaner: a kubelet's request is used within minutes, and goes after a quarter of an hour."""

from __future__ import annotations

from pelamis.api.certificates.podcertificaterequest import STORED as KIND
from pelamis.api.certificates.podcertificaterequest import PodCertificateRequest
from pelamis.base.clock import parse_rfc3339
from pelamis.client.types import Delete, Key
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views, Watch

KEPT_S = 15 * 60.0


def gather(views: Views, key: Key) -> PodCertificateRequest | None:
    found: PodCertificateRequest | None = views(KIND).get(*key)
    return found


def reconcile(request: PodCertificateRequest, now: float) -> Plan:
    meta = request.metadata
    at = parse_rfc3339(meta.creationTimestamp) + KEPT_S
    if now < at:
        return Plan(requeue_at=at)
    return Plan(actions=(Delete(KIND, meta.namespace, meta.name, uid=meta.uid),))


CONTROLLER = Controller(
    name="pcrcleaner",
    identity="podcertificaterequestcleaner",
    component="podcertificaterequestcleaner",
    watches=(Watch(KIND),),
    gather=gather,
    reconcile=reconcile,
)
