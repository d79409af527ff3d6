"""What a certificate request says, and what the built-in signers allow; pure.

Upstream's rules and words. A signer that refuses an approved request says why in a condition ``Failed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pelamis.api.certificates.certificatesigningrequest import CertificateSigningRequest
from pelamis.api.certificates.signer import pem_blocks

if TYPE_CHECKING:
    from cryptography.x509 import CertificateSigningRequest as X509Request

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = (SERVING, KUBELET_CLIENT, CLIENT, LEGACY)
_NODES = "system:nodes"
_NODE_PREFIX = "system:node:"
_CLIENT_USAGES = {"client auth", "digital signature", "key encipherment"}
_SERVER_USAGES = {"server auth", "digital signature", "key encipherment"}


@dataclass(frozen=True, slots=True)
class Names:
    """The names that are asked for. organizations in their order; of several common names the last one counts."""

    common: str
    organizations: Sequence[str]
    dns: Sequence[str]
    ips: Sequence[Any]
    mails: Sequence[str]
    uris: Sequence[str]


def load(pem: bytes) -> X509Request:
    """Raises ValueError with upstream's text."""
    from cryptography import x509

    blocks = pem_blocks(pem)
    if not blocks or blocks[0][0] != "CERTIFICATE REQUEST":
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    return x509.load_der_x509_csr(blocks[0][1])


def names(request: X509Request) -> Names:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    common = [str(a.value) for a in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    organizations = [str(a.value) for a in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    last = common[-1] if common else ""
    try:
        other = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Names(last, organizations, (), (), (), ())
    return Names(
        last,
        organizations,
        other.get_values_for_type(x509.DNSName),
        other.get_values_for_type(x509.IPAddress),
        other.get_values_for_type(x509.RFC822Name),
        other.get_values_for_type(x509.UniformResourceIdentifier),
    )


def _usages_problem(usages: set[str], wanted: set[str]) -> str:
    """Keys that are not RSA do not encipher."""
    if usages in (wanted, wanted - {"key encipherment"}):
        return ""
    return f"usages did not match [{' '.join(sorted(wanted))}]"


def _kubelet_client_problem(of: Names, usages: set[str]) -> str:
    if list(of.organizations) != [_NODES]:
        return "subject organization is not system:nodes"
    for found, what in ((of.dns, "DNS"), (of.mails, "Email"), (of.ips, "IP"), (of.uris, "URI")):
        if found:
            return f"{what} subjectAltNames are not allowed"
    if not of.common.startswith(_NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return _usages_problem(usages, _CLIENT_USAGES)


def _serving_problem(of: Names, usages: set[str]) -> str:
    if list(of.organizations) != [_NODES]:
        return "subject organization is not system:nodes"
    if not of.dns and not of.ips:
        return "DNS or IP subjectAltName is required"
    for found, what in ((of.mails, "Email"), (of.uris, "URI")):
        if found:
            return f"{what} subjectAltNames are not allowed"
    problem = _usages_problem(usages, _SERVER_USAGES)
    if not problem and not of.common.startswith(_NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return problem


def _client_problem(usages: Sequence[str]) -> str:
    for usage in usages:
        if usage not in _CLIENT_USAGES:
            return f"invalid usage for client certificate: {usage}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"


def refusal(csr: CertificateSigningRequest, request: X509Request) -> str:
    """Why its signer does not sign an approved request; "" when it does."""
    usages, signer = csr.spec.usages, csr.spec.signerName
    if signer == CLIENT:
        return _client_problem(usages)
    if signer == KUBELET_CLIENT:
        return _kubelet_client_problem(names(request), set(usages))
    if signer == SERVING:
        return _serving_problem(names(request), set(usages))
    return ""


def approvals(csr: CertificateSigningRequest, request: X509Request) -> Sequence[tuple[str, str]]:
    """(subresource that the author must be allowed to create, the message it is then approved with), in order."""
    if csr.spec.signerName != KUBELET_CLIENT:
        return ()
    of = names(request)
    if _kubelet_client_problem(of, set(csr.spec.usages)):
        return ()
    every = ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")
    own = ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.")
    return (own, every) if csr.spec.username == of.common else (every,)


def has(csr: CertificateSigningRequest, *types: str) -> bool:
    """Whether there is a condition of one of the types; those of Approved and Denied are always True."""
    return any(c.type in types for c in csr.status.conditions)
