"""Certificate requests: the server says who asked; approving, signing and attesting need the signer's right."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from pelamis.net import tls
from tests.conformance import corpus
from tests.conformance.conftest import Api

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def ask(api: Api, method: str, path: str, body: Any, user: str = "jane") -> tuple[int, Any]:
    pair = api.harness.pair(user, "team")
    return api.loop.run_until_complete(api.harness.request(method, path, body, pair=pair))


def allow(api: Api, name: str, **rule: Any) -> None:
    api.ok("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    jane = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}
    api.ok("POST", f"{RBAC}/clusterrolebindings", {"metadata": {"name": name}, "roleRef": role, "subjects": [jane]})


@pytest.mark.parametrize(("verb", "part"), [("approve", "approval"), ("sign", "status")])
@pytest.mark.parametrize("granted", ["example.test/signer", "example.test/*"])
def test_a_signers_right(api: Api, verb: str, part: str, granted: str) -> None:
    name = f"{verb}-{'all' if '*' in granted else 'one'}"
    resources = [
        "certificatesigningrequests",
        "certificatesigningrequests/approval",
        "certificatesigningrequests/status",
    ]
    group = ["certificates.k8s.io"]
    allow(api, f"{name}-requests", apiGroups=group, resources=resources, verbs=["create", "get", "update", "patch"])
    spec = {"request": corpus.signing_request(), "signerName": "example.test/signer", "usages": ["client auth"]}
    forged = {**spec, "username": "root", "groups": ["system:masters"], "uid": "0"}
    status, made = ask(api, "POST", REQUESTS, {"metadata": {"name": name}, "spec": forged})
    assert status == 201, made
    assert (made["spec"]["username"], made["spec"]["groups"]) == ("jane", ["team", "system:authenticated"])
    assert "uid" not in made["spec"]
    kind = "Approved" if part == "approval" else "Failed"
    body = {**made, "status": {"conditions": [{"type": kind, "status": "True", "reason": "R"}]}}
    status, error = ask(api, "PUT", f"{REQUESTS}/{name}/{part}", body)
    assert (status, error["reason"]) == (403, "Forbidden")
    assert error["message"].endswith(f'user not permitted to {verb} requests with signerName "example.test/signer"')
    allow(api, f"{name}-signer", apiGroups=group, resources=["signers"], resourceNames=[granted], verbs=[verb])
    status, done = ask(api, "PUT", f"{REQUESTS}/{name}/{part}", body)
    assert status == 200, done
    condition = done["status"]["conditions"][0]
    assert condition["lastUpdateTime"] and condition["lastTransitionTime"]
    for n in (f"{name}-requests", f"{name}-signer"):
        api.ok("DELETE", f"{RBAC}/clusterrolebindings/{n}")


def test_nobody_asks_for_a_masters_certificate(api: Api) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")])
    pem = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(tls.new_key(), hashes.SHA256())
    request = base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode()
    signer = "kubernetes.io/kube-apiserver-client"
    spec = {"request": request, "signerName": signer, "usages": ["client auth"]}
    status, error = api("POST", REQUESTS, {"metadata": {"name": "m"}, "spec": spec})
    assert status == 403 and error["message"].endswith(
        f"use of {signer} signer with system:masters group is not allowed"
    )
