"""Certificate requests: who asked, and the right to approve, sign or attest in a signer's name.

Upstream's CertificateApproval, CertificateSigning, CertificateSubjectRestriction and ClusterTrustBundleAttest. The
right is the verb on ``signers.certificates.k8s.io`` named after the signer, or after its domain with ``/*``.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from pelamis.api.field import Tree
from pelamis.apiserver.admission.plugin import Plugin
from pelamis.apiserver.authz.attributes import Attributes
from pelamis.apiserver.user import MASTERS
from pelamis.apiserver.write import Objects, Write
from pelamis.base.clock import rfc3339

_REQUESTS = frozenset(("certificatesigningrequests.certificates.k8s.io",))
_BUNDLES = frozenset(("clustertrustbundles.certificates.k8s.io",))
_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


def _may(write: Write, objects: Objects, verb: str, signer: str) -> bool:
    names = (signer, f"{signer.partition('/')[0]}/*")
    asked = (Attributes(verb, "certificates.k8s.io", "*", "signers", name=name) for name in names)
    return any(objects.authorize(write.user, a).allowed for a in asked)


def _complete(write: Write, objects: Objects) -> None:
    """The requestor of a new request is the one who sends it; conditions get the times that they lack."""
    if write.operation == "CREATE":
        spec = write.tree.setdefault("spec", {})
        user = write.user
        known: Tree = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
        known["extra"] = {k: list(v) for k, v in (user.extra or {}).items()}
        for name, value in known.items():
            spec.pop(name, None)
            if value:
                spec[name] = value
        return
    if not write.subresource:
        return
    before = {(c["type"], c["status"]): c for c in (write.old_tree.get("status") or {}).get("conditions") or []}
    for condition in (write.tree.get("status") or {}).get("conditions") or []:
        was = before.get((condition.get("type"), condition.get("status")), {})
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = rfc3339(write.now)
        if not condition.get("lastTransitionTime"):
            condition["lastTransitionTime"] = was.get("lastTransitionTime") or rfc3339(write.now)


def _approve(write: Write, obj: Any, objects: Objects) -> None:
    if write.subresource == "approval" and not _may(write, objects, "approve", obj.spec.signerName):
        raise write.forbid(f'user not permitted to approve requests with signerName "{obj.spec.signerName}"')


def _sign(write: Write, obj: Any, objects: Objects) -> None:
    if write.subresource != "status" or write.old is None:
        return
    was, now = write.old.obj.status, obj.status
    if (was.certificate, was.conditions) == (now.certificate, now.conditions):
        return
    signer = write.old.obj.spec.signerName
    if not _may(write, objects, "sign", signer):
        raise write.forbid(f'user not permitted to sign requests with signerName "{signer}"')


def _restrict(write: Write, obj: Any, objects: Objects) -> None:
    if write.operation != "CREATE" or write.subresource or obj.spec.signerName != _CLIENT_SIGNER:
        return
    try:
        subject = x509.load_pem_x509_csr(obj.spec.request).subject
    except ValueError as error:
        raise write.forbid(f"failed to parse CSR: {error}") from None
    if any(a.value == MASTERS for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)):
        raise write.forbid(f"use of {_CLIENT_SIGNER} signer with {MASTERS} group is not allowed")


def _attest(write: Write, obj: Any, objects: Objects) -> None:
    signer = obj.spec.signerName
    if write.operation == "DELETE" or not signer:
        return
    if write.old is not None and write.old.obj.spec == obj.spec:
        return
    if not _may(write, objects, "attest", signer):
        raise write.forbid(f'user not permitted to attest for signerName "{signer}"')


PLUGINS = (
    Plugin("CertificateRequester", _REQUESTS, mutate=_complete, subresources=("approval", "status")),
    Plugin("CertificateApproval", _REQUESTS, validate=_approve, subresources=("approval",)),
    Plugin("CertificateSigning", _REQUESTS, validate=_sign, subresources=("status",)),
    Plugin("ClusterTrustBundleAttest", _BUNDLES, validate=_attest),
    Plugin("CertificateSubjectRestriction", _REQUESTS, validate=_restrict),
)
