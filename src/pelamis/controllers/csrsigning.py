"""CSR signer: signs the approved requests of the built-in signers, or says in a condition why it does not.

One controller for upstream's four: kubelet-serving, kube-apiserver-client-kubelet, kube-apiserver-client and
legacy-unknown, which have one authority here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pelamis.api.certificates.certificatesigningrequest import (
    KIND,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
)
from pelamis.base.clock import rfc3339
from pelamis.client.types import Key, Update
from pelamis.reconcile.certificaterequest import SIGNERS, has, load, refusal
from pelamis.reconcile.plan import Plan
from pelamis.reconcile.spec import Controller, Views, Watch

if TYPE_CHECKING:
    from cryptography.x509 import CertificateSigningRequest as X509Request

    Sign = Callable[[X509Request, Sequence[str], int | None, float], bytes]
    """(request, usages, wanted seconds, now) to a certificate in PEM; raises ValueError."""


@dataclass(frozen=True, slots=True)
class World:
    csr: CertificateSigningRequest
    sign: Sign


def reconcile(world: World, now: float) -> Plan:
    csr = world.csr
    name = csr.metadata.name
    try:
        request = load(csr.spec.request)
    except ValueError as error:
        return Plan(error=f'unable to parse csr "{name}": {error}')
    problem = refusal(csr, request)
    if problem:
        condition = CertificateSigningRequestCondition(
            type="Failed",
            status="True",
            reason="SignerValidationFailure",
            message=problem,
            lastUpdateTime=rfc3339(now),
        )
        status = msgspec.structs.replace(csr.status, conditions=(*csr.status.conditions, condition))
    else:
        try:
            made = world.sign(request, csr.spec.usages, csr.spec.expirationSeconds, now)
        except ValueError as error:
            return Plan(error=f"error auto signing csr: {error}")
        status = msgspec.structs.replace(csr.status, certificate=made)
    return Plan(actions=(Update(KIND, msgspec.structs.replace(csr, status=status), "status"),))


def controller(sign: Sign) -> Controller:
    def gather(views: Views, key: Key) -> World | None:
        csr: CertificateSigningRequest | None = views(KIND).get(*key)
        if csr is None or csr.spec.signerName not in SIGNERS or csr.status.certificate:
            return None
        if not has(csr, "Approved") or has(csr, "Denied", "Failed"):
            return None
        return World(csr, sign)

    return Controller(
        name="csrsigning",
        identity="certificate-controller",
        component="certificate-controller",
        watches=(Watch(KIND),),
        gather=gather,
        reconcile=reconcile,
    )
