"""CSR approver: approves requests for kubelets' client certificates whose author may ask for them.

``selfnodeclient`` is the right to a certificate of one's own name, ``nodeclient`` to that of any node; both are asked
for with a SubjectAccessReview. A request that is recognised and not allowed is tried again with back-off: rights may
come later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pelamis.api.certificates.certificatesigningrequest import (
    KIND,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
)
from pelamis.client.types import Key, Update
from pelamis.reconcile.certificaterequest import approvals, has, load
from pelamis.reconcile.plan import NOTHING, Found, Plan, Read
from pelamis.reconcile.spec import Controller, Views, Watch

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def gather(views: Views, key: Key) -> CertificateSigningRequest | None:
    csr: CertificateSigningRequest | None = views(KIND).get(*key)
    return csr if csr is not None and not csr.status.certificate and not has(csr, "Approved", "Denied") else None


def review(csr: CertificateSigningRequest, subresource: str) -> dict[str, Any]:
    spec = csr.spec
    asked = {
        "group": "certificates.k8s.io",
        "resource": "certificatesigningrequests",
        "verb": "create",
        "subresource": subresource,
        "version": "*",
    }
    who: dict[str, Any] = {"user": spec.username, "groups": list(spec.groups), "uid": spec.uid}
    who["extra"] = {k: list(v) for k, v in spec.extra.items()}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {**{k: v for k, v in who.items() if v}, "resourceAttributes": asked},
    }


def _approved(csr: CertificateSigningRequest, message: str) -> Plan:
    condition = CertificateSigningRequestCondition(
        type="Approved", status="True", reason="AutoApproved", message=message
    )
    status = msgspec.structs.replace(csr.status, conditions=(*csr.status.conditions, condition))
    return Plan(actions=(Update(KIND, msgspec.structs.replace(csr, status=status), "approval"),))


def _ask(csr: CertificateSigningRequest, left: Sequence[tuple[str, str]], tried: Sequence[str]) -> Plan:
    """One right after the other: the first that is granted approves."""
    if not left:
        if not tried:
            return NOTHING
        name = csr.metadata.name
        why = f'recognized csr "{name}" as [{" ".join(tried)}] but subject access review was not approved'
        return Plan(error=why)
    (subresource, message), *rest = left

    def answered(found: Sequence[Found]) -> Plan:
        tree = found[0].tree
        if tree is None:
            return Plan(error=found[0].error)
        if (tree.get("status") or {}).get("allowed"):
            return _approved(csr, message)
        return _ask(csr, rest, (*tried, subresource))

    return Plan(reads=(Read(REVIEWS, body=review(csr, subresource)),), on_reads=answered)


def reconcile(csr: CertificateSigningRequest, now: float) -> Plan:
    try:
        request = load(csr.spec.request)
    except ValueError as error:
        return Plan(error=f'unable to parse csr "{csr.metadata.name}": {error}')
    return _ask(csr, approvals(csr, request), ())


CONTROLLER = Controller(
    name="csrapproving",
    identity="certificate-controller",
    component="certificate-controller",
    watches=(Watch(KIND),),
    gather=gather,
    reconcile=reconcile,
)
