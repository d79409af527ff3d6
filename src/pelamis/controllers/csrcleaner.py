"""CSR cleaner: forgets requests an hour after they were settled, and after a day those that nobody settles.

A request whose certificate has ended goes at once. Upstream looks every hour; here each request has its time.
"""

from __future__ import annotations

from pelamis.api.certificates.certificatesigningrequest import KIND, CertificateSigningRequest
from pelamis.api.certificates.signer import pem_blocks
from pelamis.base.clock import parse_rfc3339
from pelamis.client.types import Delete, Key
from pelamis.reconcile.plan import NOTHING, Plan
from pelamis.reconcile.spec import Controller, Views, Watch

SETTLED_S = 3600.0
PENDING_S = 24 * 3600.0
_NEVER = float("inf")


def _ends(certificate: bytes) -> float:
    """When the first certificate ends; never if it cannot be read."""
    from cryptography import x509

    blocks = pem_blocks(certificate)
    try:
        return x509.load_der_x509_certificate(blocks[0][1]).not_valid_after_utc.timestamp() if blocks else _NEVER
    except ValueError:
        return _NEVER


def expiry(csr: CertificateSigningRequest) -> float:
    """When the request is forgotten, in seconds since the epoch."""
    status = csr.status
    if not status.conditions:
        return parse_rfc3339(csr.metadata.creationTimestamp) + PENDING_S
    out = _NEVER
    for condition in status.conditions:
        since = parse_rfc3339(condition.lastUpdateTime) if condition.lastUpdateTime else _NEVER
        if condition.type in ("Denied", "Failed"):
            out = min(out, since + SETTLED_S)
        elif condition.type == "Approved" and status.certificate:
            out = min(out, since + SETTLED_S, _ends(status.certificate))
        elif condition.type == "Approved":
            out = min(out, since + PENDING_S)
    return out


def gather(views: Views, key: Key) -> CertificateSigningRequest | None:
    csr: CertificateSigningRequest | None = views(KIND).get(*key)
    return csr


def reconcile(csr: CertificateSigningRequest, now: float) -> Plan:
    at = expiry(csr)
    if at == _NEVER:
        return NOTHING
    if at >= now:
        return Plan(requeue_at=at + 1.0)
    return Plan(actions=(Delete(KIND, "", csr.metadata.name, uid=csr.metadata.uid),))


CONTROLLER = Controller(
    name="csrcleaner",
    identity="certificate-controller",
    component="certificate-controller",
    watches=(Watch(KIND),),
    gather=gather,
    reconcile=reconcile,
)
