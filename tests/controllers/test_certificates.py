"""Certificate requests: approved, signed, refused, and when they are forgotten; trust bundles of the API server."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from pelamis.api.certificates.certificatesigningrequest import KIND, CertificateSigningRequest
from pelamis.api.certificates.clustertrustbundle import KIND as BUNDLE
from pelamis.api.certificates.clustertrustbundle import ClusterTrustBundle
from pelamis.api.certificates.podcertificaterequest import PodCertificateRequest
from pelamis.base.clock import rfc3339
from pelamis.client.types import Create, Delete, Patch, Update
from pelamis.controllers import clustertrustbundle, csrapproving, csrcleaner, csrsigning, pcrcleaner
from pelamis.net import tls
from pelamis.reconcile.certificaterequest import CLIENT, KUBELET_CLIENT, LEGACY, SERVING, load, refusal
from pelamis.reconcile.plan import NOTHING, Found, Plan
from pelamis.reconcile.signing import Signer
from pelamis.sim import loop as virtual
from pelamis.sim.cluster import AUTHORITY, CA, Cluster

NOW = 1_800_000_000.0
HOUR = 3600.0
NODE = ["client auth", "digital signature"]
SERVER = ["server auth", "digital signature"]
NAME = "system:node:n"
NODES = "system:nodes"
CLIENT_USAGES = "usages did not match [client auth digital signature key encipherment]"
SERVER_USAGES = "usages did not match [digital signature key encipherment server auth]"


def asking(common: str, *organizations: str, names: Any = ()) -> bytes:
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    subject += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(tls.new_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def csr(
    request: bytes, signer: str, usages: Any, *, conditions: Any = (), certificate: bytes = b"", **spec: Any
) -> Any:
    tree = {
        "metadata": {"name": "r", "uid": "u", "creationTimestamp": rfc3339(NOW)},
        "spec": {"request": base64.b64encode(request).decode(), "signerName": signer, "usages": usages, **spec},
        "status": {"conditions": list(conditions), "certificate": base64.b64encode(certificate).decode()},
    }
    return msgspec.json.decode(msgspec.json.encode(tree), type=CertificateSigningRequest)


@pytest.mark.parametrize(
    "signer, usages, subject, names, why",
    [
        (CLIENT, ["client auth"], ("bob", "dev"), (), ""),
        (CLIENT, ["client auth", "server auth"], ("b",), (), "invalid usage for client certificate: server auth"),
        (CLIENT, ["digital signature"], ("b",), (), "missing required usage for client certificate: client auth"),
        (KUBELET_CLIENT, NODE, (NAME, NODES), (), ""),
        (KUBELET_CLIENT, [*NODE, "key encipherment"], (NAME, NODES), (), ""),
        (KUBELET_CLIENT, SERVER, (NAME, NODES), (), CLIENT_USAGES),
        (KUBELET_CLIENT, NODE, ("n", NODES), (), "subject common name does not begin with system:node:"),
        (KUBELET_CLIENT, NODE, (NAME, "x"), (), "subject organization is not system:nodes"),
        (KUBELET_CLIENT, NODE, (NAME, NODES, "x"), (), "subject organization is not system:nodes"),
        (KUBELET_CLIENT, NODE, (NAME, NODES), [x509.DNSName("a")], "DNS subjectAltNames are not allowed"),
        (KUBELET_CLIENT, NODE, (NAME, NODES), [x509.RFC822Name("a@b.c")], "Email subjectAltNames are not allowed"),
        (SERVING, SERVER, (NAME, NODES), [x509.DNSName("a")], ""),
        (SERVING, SERVER, (NAME, NODES), (), "DNS or IP subjectAltName is required"),
        (SERVING, NODE, (NAME, NODES), [x509.DNSName("a")], SERVER_USAGES),
        (LEGACY, ["signing"], ("anything",), (), ""),
    ],
)  # fmt: skip
def test_signers_have_rules(signer: str, usages: list[str], subject: Any, names: Any, why: str) -> None:
    asked = csr(asking(*subject, names=names), signer, usages, conditions=[{"type": "Approved", "status": "True"}])
    assert refusal(asked, load(asked.spec.request)) == why
    world = csrsigning.World(asked, lambda *of: b"PEM")
    (action,) = csrsigning.reconcile(world, NOW).actions
    assert isinstance(action, Update) and action.subresource == "status"
    failed = [c for c in action.obj.status.conditions if c.type == "Failed"]
    assert [(c.reason, c.message) for c in failed] == ([("SignerValidationFailure", why)] if why else [])
    assert action.obj.status.certificate == (b"" if why else b"PEM")


@pytest.mark.parametrize(
    "user, granted, asked, message",
    [
        (NAME, {"selfnodeclient"}, ["selfnodeclient"], "Auto approving self kubelet client certificate"),
        (NAME, {"nodeclient"}, ["selfnodeclient", "nodeclient"], "Auto approving kubelet client certificate"),
        ("boot", {"nodeclient"}, ["nodeclient"], "Auto approving kubelet client certificate"),
        ("boot", {"selfnodeclient"}, ["nodeclient"], ""),
        (NAME, set(), ["selfnodeclient", "nodeclient"], ""),
    ],
)
def test_kubelets_are_approved_after_a_review(user: str, granted: set[str], asked: list[str], message: str) -> None:
    plan = csrapproving.reconcile(csr(asking(NAME, NODES), KUBELET_CLIENT, NODE, username=user, groups=["g"]), NOW)
    found = []
    while plan.on_reads is not None:
        (read,) = plan.reads
        assert read.body is not None
        spec = read.body["spec"]
        assert (spec["user"], spec["groups"]) == (user, ["g"])
        found.append(spec["resourceAttributes"]["subresource"])
        plan = plan.on_reads([Found({"status": {"allowed": found[-1] in granted}})])
    assert found == asked
    if not message:
        shown = " ".join(asked)
        assert plan.error == f'recognized csr "r" as [{shown}] but subject access review was not approved'
        return
    (action,) = plan.actions
    assert isinstance(action, Update) and action.subresource == "approval"
    (condition,) = action.obj.status.conditions
    assert (condition.type, condition.reason) == ("Approved", "AutoApproved")
    assert condition.message == f"{message} after SubjectAccessReview."


@pytest.mark.parametrize("signer, usages", [(SERVING, SERVER), (CLIENT, NODE), (KUBELET_CLIENT, SERVER)])
def test_others_are_approved_by_people(signer: str, usages: list[str]) -> None:
    assert csrapproving.reconcile(csr(asking(NAME, NODES), signer, usages), NOW) == NOTHING


@pytest.mark.parametrize(
    "wanted, start, end",
    [(None, 300, 365 * 24 * HOUR - 300), (3600, 300, 3600), (60, 300, 600), (36000, 300, 36000 - 300)],
)
def test_how_long_a_certificate_lasts(wanted: int | None, start: float, end: float) -> None:
    signer = Signer(lambda: AUTHORITY, lambda n: b"\x07" * n, deterministic=True)
    request = load(asking(NAME, NODES, names=[x509.DNSName("a"), x509.DirectoryName(x509.Name([]))]))
    made = x509.load_pem_x509_certificate(pem := signer(request, ["server auth", "signing"], wanted, NOW))
    assert signer(request, ["server auth", "signing"], wanted, NOW) == pem
    assert made.not_valid_before_utc == datetime.fromtimestamp(NOW - start, UTC)
    assert made.not_valid_after_utc == datetime.fromtimestamp(NOW + end, UTC)
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(AUTHORITY.cert))
    assert made.subject.rfc4514_string() == f"CN={NAME},O={NODES}"
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("a")]


def test_an_authority_that_has_ended_signs_nothing() -> None:
    signer = Signer(lambda: AUTHORITY, lambda n: b"\x07" * n)
    asked = csr(asking("bob"), CLIENT, ["client auth"], conditions=[{"type": "Approved", "status": "True"}])
    end = x509.load_pem_x509_certificate(AUTHORITY.cert).not_valid_after_utc
    for late, why in (
        (1.0, "refusing to sign a certificate that expired in the past"),
        (301.0, "the signer has expired"),
    ):
        plan = csrsigning.reconcile(csrsigning.World(asked, signer), end.timestamp() + late)
        assert plan.error == f"error auto signing csr: {why}: NotAfter={end:%Y-%m-%d %H:%M:%S} +0000 UTC"


def _condition(type: str, age_h: float = 0.0) -> dict[str, str]:
    return {"type": type, "status": "True", "lastUpdateTime": rfc3339(NOW + age_h * HOUR)}


@pytest.mark.parametrize(
    "conditions, certificate, hours",
    [
        ((), b"", 24),
        ([_condition("Approved", 2)], b"", 26),
        ([_condition("Approved", 2)], b"x", 3),
        ([_condition("Denied", 2)], b"", 3),
        ([_condition("Approved", 2), _condition("Failed", 5)], b"", 6),
        ([_condition("Other")], b"", None),
        ([_condition("Approved", 2)], AUTHORITY.cert, 3),
    ],
)
def test_requests_are_forgotten_after_a_while(conditions: Any, certificate: bytes, hours: int | None) -> None:
    asked = csr(b"", CLIENT, [], conditions=conditions, certificate=certificate)
    if hours is None:
        assert csrcleaner.reconcile(asked, NOW + 1e9) == NOTHING
        return
    at = NOW + hours * HOUR
    assert csrcleaner.reconcile(asked, NOW) == Plan(requeue_at=at + 1)
    assert csrcleaner.reconcile(asked, at + 1) == Plan(actions=(Delete(KIND, "", "r", uid="u"),))


def test_requests_of_pods_live_a_quarter_of_an_hour() -> None:
    tree = {"metadata": {"name": "r", "namespace": "ns", "uid": "u", "creationTimestamp": rfc3339(NOW)}}
    found = msgspec.json.decode(msgspec.json.encode(tree), type=PodCertificateRequest)
    assert pcrcleaner.reconcile(found, NOW + 899).requeue_at == NOW + 900
    (action,) = pcrcleaner.reconcile(found, NOW + 900).actions
    assert isinstance(action, Delete) and action.uid == "u"


def test_one_bundle_of_the_api_servers_authority_is_kept() -> None:
    def bundle(name: str, text: str) -> Any:
        tree = {"metadata": {"name": name}, "spec": {"signerName": clustertrustbundle.SIGNER, "trustBundle": text}}
        return msgspec.json.decode(msgspec.json.encode(tree), type=ClusterTrustBundle)

    name = clustertrustbundle.bundle_name(CA)
    assert name.startswith("kubernetes.io:kube-apiserver-serving:") and len(name) == 37 + 24
    old = bundle("kubernetes.io:kube-apiserver-serving:old", "x")
    plan = clustertrustbundle.reconcile(clustertrustbundle.World(CA, [old]), NOW)
    (made,) = plan.actions
    assert isinstance(made, Create) and made.obj.spec.trustBundle == CA
    assert plan.then == [Delete(BUNDLE, "", old.metadata.name)]
    plan = clustertrustbundle.reconcile(clustertrustbundle.World(CA, [bundle(name, "y"), old]), NOW)
    assert isinstance(plan.actions[0], Update) and plan.actions[0].obj.spec.trustBundle == CA
    assert clustertrustbundle.reconcile(clustertrustbundle.World(CA, [bundle(name, CA)]), NOW) == Plan(actions=[])


def test_the_life_of_a_request() -> None:
    """In a simulated cluster: approved by a person, signed, gone an hour later; a bundle is there from the start."""

    async def body() -> None:
        async with Cluster(nodes=0) as cluster:
            request = base64.b64encode(asking("bob", "dev")).decode()
            spec = {"signerName": CLIENT, "usages": ["client auth"], "request": request}
            await cluster.do(Create(KIND, {"metadata": {"name": "bob"}, "spec": spec}))
            await cluster.run(10)
            assert not cluster.get(KIND, "", "bob").status.certificate
            condition = {"type": "Approved", "status": "True", "reason": "ByHand"}
            body = {"status": {"conditions": [condition]}}
            await cluster.do(Patch(KIND, "", "bob", body, "strategic", "approval"))
            assert await cluster.until(lambda: cluster.get(KIND, "", "bob").status.certificate)
            made = x509.load_pem_x509_certificate(cluster.get(KIND, "", "bob").status.certificate)
            made.verify_directly_issued_by(x509.load_pem_x509_certificate(AUTHORITY.cert))
            await cluster.run(HOUR - 60)
            assert cluster.get(KIND, "", "bob") is not None
            await cluster.run(120)
            assert cluster.get(KIND, "", "bob") is None
            kubelet = base64.b64encode(asking("system:node:x", NODES)).decode()
            spec = {"signerName": KUBELET_CLIENT, "usages": NODE, "request": kubelet}
            await cluster.do(Create(KIND, {"metadata": {"name": "x"}, "spec": spec}))
            await cluster.run(10)
            found = cluster.get(KIND, "", "x")
            assert [(c.type, c.reason) for c in found.status.conditions] == [("Approved", "AutoApproved")]
            assert found.status.certificate
            (bundle,) = cluster.objects(BUNDLE)
            assert bundle.spec.trustBundle == CA

    virtual.run(body())
