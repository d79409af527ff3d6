"""Certificate requests: approved, signed, refused, and when they are forgotten."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from pelamis.api.certificates.certificatesigningrequest import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestSpec,
    CertificateSigningRequestStatus,
)
from pelamis.api.meta import ObjectMeta
from pelamis.apiserver.certificates import CLIENT, KUBELET_CLIENT, RESOURCE, SERVING, expiry, refusal
from pelamis.net import tls
from tests.apiserver.extension import reached
from tests.apiserver.harness import running

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NODE = ["client auth", "digital signature"]
SERVER = ["server auth", "digital signature"]


def asking(common: str, organization: str, *dns: str) -> x509.CertificateSigningRequest:
    name = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        x509.NameAttribute(NameOID.COMMON_NAME, common),
    ]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(name))
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(d) for d in dns]), False)
    return builder.sign(tls.new_key(), hashes.SHA256())


@pytest.mark.parametrize(
    "signer, usages, subject, why",
    [
        (CLIENT, ["client auth"], ("bob", "dev"), ""),
        (CLIENT, ["server auth"], ("bob", "dev"), "usages contains disallowed usages"),
        (KUBELET_CLIENT, NODE, ("system:node:n", "system:nodes"), ""),
        (KUBELET_CLIENT, NODE, ("n", "system:nodes"), "subject common name does not begin with system:node:"),
        (KUBELET_CLIENT, NODE, ("system:node:n", "x"), "subject organization is not system:nodes"),
        (KUBELET_CLIENT, NODE, ("system:node:n", "system:nodes", "a"), "DNS subjectAltNames are not allowed"),
        (SERVING, SERVER, ("system:node:n", "system:nodes", "a"), ""),
        (SERVING, SERVER, ("system:node:n", "system:nodes"), "DNS or IP subjectAltName is required"),
    ],
)
def test_signers_have_rules(signer: str, usages: list[str], subject: Any, why: str) -> None:
    csr = CertificateSigningRequest(spec=CertificateSigningRequestSpec(signerName=signer, usages=tuple(usages)))
    assert refusal(csr, asking(*subject)) == why


@pytest.mark.parametrize(
    "types, issued, hours",
    [((), False, 24), (("Approved",), False, 24), (("Approved",), True, 2), (("Denied",), False, 2)],
)
def test_requests_are_forgotten_after_a_while(types: tuple[str, ...], issued: bool, hours: int) -> None:
    conditions = tuple(
        CertificateSigningRequestCondition(type=t, status="True", lastUpdateTime="2020-01-01T01:00:00Z") for t in types
    )
    csr = CertificateSigningRequest(
        metadata=ObjectMeta(creationTimestamp="2020-01-01T00:00:00Z"),
        status=CertificateSigningRequestStatus(conditions=conditions, certificate=b"x" if issued else b""),
    )
    assert expiry(csr) == 1577836800 + hours * 3600


def test_a_kubelets_request_is_approved_and_signed() -> None:
    async def body() -> None:
        ca = tls.Authority(tls.new_authority("ca", time.time()))
        async with running(signing_ca=ca.pair) as h:
            pem = asking("system:node:n", "system:nodes").public_bytes(serialization.Encoding.PEM)
            spec = {"signerName": KUBELET_CLIENT, "usages": NODE, "request": base64.b64encode(pem).decode()}
            status, _ = await h.request(
                "POST", REQUESTS, {"metadata": {"name": "n"}, "spec": {**spec, "expirationSeconds": 3600}}
            )
            assert status == 201
            csr = await reached(h, RESOURCE, "", "n", lambda o: o is not None and o.status.certificate)
            assert [(c.type, c.reason) for c in csr.status.conditions] == [("Approved", "AutoApproved")]
            made = x509.load_pem_x509_certificate(csr.status.certificate)
            made.verify_directly_issued_by(ca.cert)
            assert (made.not_valid_after_utc - made.not_valid_before_utc).total_seconds() == 3600

    asyncio.run(body())
