"""CertificateSigningRequests of the built-in signers: approved where the rules say so, signed, and cleaned up.

``approval`` and ``refusal`` are pure; ``Signing`` follows the requests. A request for a kubelet's client certificate
is approved when its author may ask for that (``certificatesigningrequests/nodeclient`` or ``/selfnodeclient``). An
approved request is checked against the rules of its signer and signed by the cluster's CA. Requests are deleted some
time after they were settled; one timer waits for the next of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pelamis.api import codec
from pelamis.apiserver.authz.attributes import Attributes
from pelamis.apiserver.user import LOOPBACK_USER, NODE_PREFIX, NODES, User
from pelamis.apiserver.write import Write
from pelamis.base.clock import parse_rfc3339, rfc3339
from pelamis.base.errors import StatusError
from pelamis.net.tls import Pair

if TYPE_CHECKING:
    from cryptography.x509 import CertificateSigningRequest as Request

    from pelamis.apiserver.server import ApiServer

log = logging.getLogger("pelamis.apiserver")

RESOURCE = "certificatesigningrequests.certificates.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING = "kubernetes.io/kubelet-serving"
LEGACY = "kubernetes.io/legacy-unknown"
SIGNERS = (CLIENT, KUBELET_CLIENT, SERVING, LEGACY)
YEAR_S = 365 * 24 * 3600.0
_SHORTEST_S = 600.0
_BACKDATE_S = 300.0
_SETTLED_S = 3600.0
_PENDING_S = 24 * 3600.0
_CLIENT_USAGES = {"client auth", "digital signature", "key encipherment"}
_SERVER_USAGES = {"server auth", "digital signature", "key encipherment"}
_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_EXTENDED = {
    "any": "2.5.29.37.0",
    "server auth": "1.3.6.1.5.5.7.3.1",
    "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3",
    "email protection": "1.3.6.1.5.5.7.3.4",
    "s/mime": "1.3.6.1.5.5.7.3.4",
    "ipsec end system": "1.3.6.1.5.5.7.3.5",
    "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsec user": "1.3.6.1.5.5.7.3.7",
    "timestamping": "1.3.6.1.5.5.7.3.8",
    "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
    "netscape sgc": "2.16.840.1.113730.4.1",
}


# -- what a request says ----------------------------------------------------------------------------------------------


def _load(pem: bytes) -> Request:
    from cryptography import x509

    return x509.load_pem_x509_csr(pem)


def _name(request: Request) -> tuple[str, list[str]]:
    from cryptography.x509.oid import NameOID

    common = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    organizations = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return (str(common[0].value) if common else ""), [str(o.value) for o in organizations]


def _alternatives(request: Request) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """(DNS names, IP addresses, mail addresses, URIs)"""
    from cryptography import x509

    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], [], [], []
    return (
        names.get_values_for_type(x509.DNSName),
        names.get_values_for_type(x509.IPAddress),
        names.get_values_for_type(x509.RFC822Name),
        names.get_values_for_type(x509.UniformResourceIdentifier),
    )


def _kubelet_client_problem(request: Request, usages: set[str]) -> str:
    common, organizations = _name(request)
    if organizations != [NODES]:
        return "subject organization is not system:nodes"
    dns, ips, mails, uris = _alternatives(request)
    if dns:
        return "DNS subjectAltNames are not allowed"
    if mails:
        return "email subjectAltNames are not allowed"
    if ips:
        return "IP subjectAltNames are not allowed"
    if uris:
        return "URI subjectAltNames are not allowed"
    if not common.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    if usages not in (_CLIENT_USAGES, _CLIENT_USAGES - {"key encipherment"}):
        return "usages did not match [client auth digital signature key encipherment]"
    return ""


def _serving_problem(request: Request, usages: set[str]) -> str:
    common, organizations = _name(request)
    if organizations != [NODES]:
        return "subject organization is not system:nodes"
    dns, ips, mails, uris = _alternatives(request)
    if not dns and not ips:
        return "DNS or IP subjectAltName is required"
    if mails:
        return "email subjectAltNames are not allowed"
    if uris:
        return "URI subjectAltNames are not allowed"
    if usages not in (_SERVER_USAGES, _SERVER_USAGES - {"key encipherment"}):
        return "usages did not match [digital signature key encipherment server auth]"
    if not common.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return ""


def _client_problem(usages: set[str]) -> str:
    if not usages <= _CLIENT_USAGES:
        return "usages contains disallowed usages"
    return "" if "client auth" in usages else 'missing "client auth" usage'


def refusal(csr: Any, request: Request) -> str:
    """Why the signer of an approved request does not sign it; "" when it does."""
    usages = set(csr.spec.usages)
    match csr.spec.signerName:
        case "kubernetes.io/kube-apiserver-client":
            return _client_problem(usages)
        case "kubernetes.io/kube-apiserver-client-kubelet":
            return _kubelet_client_problem(request, usages)
        case "kubernetes.io/kubelet-serving":
            return _serving_problem(request, usages)
    return ""


def approval(csr: Any, request: Request, may: Callable[[str], bool]) -> str:
    """The message with which a request is approved by itself; "" when somebody else has to decide.

    may: whether the author may create that subresource of requests.
    """
    if csr.spec.signerName != KUBELET_CLIENT or _kubelet_client_problem(request, set(csr.spec.usages)):
        return ""
    if csr.spec.username == _name(request)[0] and may("selfnodeclient"):
        return "Auto approving self kubelet client certificate after SubjectAccessReview."
    if may("nodeclient"):
        return "Auto approving kubelet client certificate after SubjectAccessReview."
    return ""


def sign(csr: Any, request: Request, authority: Pair, now: float, serial: int) -> bytes:
    """The certificate as PEM; valid for as long as was asked, within a year and the authority's own time."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    ca = x509.load_pem_x509_certificate(authority.cert)
    key = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    wanted = csr.spec.expirationSeconds
    lasts = YEAR_S if wanted is None else min(max(float(wanted), _SHORTEST_S), YEAR_S)
    # A clock that is a little behind must accept it at once; short-lived ones are not dated back by half their life.
    back = min(_BACKDATE_S, lasts / 2) if lasts < 8 * 3600 else _BACKDATE_S
    start = datetime.fromtimestamp(now - back, UTC)
    end = min(datetime.fromtimestamp(now - back + lasts, UTC), ca.not_valid_after_utc)
    usages = csr.spec.usages
    bits = {_KEY_USAGES[u] for u in usages if u in _KEY_USAGES}
    extended = [x509.ObjectIdentifier(_EXTENDED[u]) for u in usages if u in _EXTENDED]
    agreement = "key_agreement" in bits
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(ca.subject)
        .public_key(request.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature="digital_signature" in bits,
                content_commitment="content_commitment" in bits,
                key_encipherment="key_encipherment" in bits,
                data_encipherment="data_encipherment" in bits,
                key_agreement=agreement,
                key_cert_sign="key_cert_sign" in bits,
                crl_sign="crl_sign" in bits,
                encipher_only=agreement and "encipher_only" in bits,
                decipher_only=agreement and "decipher_only" in bits,
            ),
            critical=True,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key()), critical=False)  # type: ignore[arg-type]
    )
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        builder = builder.add_extension(names.value, critical=names.critical)
    except x509.ExtensionNotFound:
        pass
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def expiry(csr: Any) -> float:
    """When a request may be forgotten, in seconds since the epoch."""
    created = parse_rfc3339(csr.metadata.creationTimestamp)
    out = created + _PENDING_S if not csr.status.conditions else float("inf")
    for condition in csr.status.conditions:
        if condition.lastUpdateTime and (condition.type in ("Denied", "Failed") or csr.status.certificate):
            out = min(out, parse_rfc3339(condition.lastUpdateTime) + _SETTLED_S)
        elif condition.type == "Approved" and not csr.status.certificate:
            out = min(out, created + _PENDING_S)
    return out


def _has(csr: Any, *types: str) -> bool:
    return any(c.type in types and c.status == "True" for c in csr.status.conditions)


# -- following the requests -------------------------------------------------------------------------------------------


class Signing:
    """``authority`` None: requests are approved and cleaned up, and signed by nobody here."""

    def __init__(self, server: ApiServer, authority: Pair | None) -> None:
        self._server = server
        self._authority = authority
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._cancel: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._cancel = self._server.objects.view(RESOURCE).subscribe(self._changed)
        self._task = self._server._spawn(self._run(), "certificates")

    async def stop(self) -> None:
        if self._cancel is not None:
            self._cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _changed(self, key: Any, old: Any, new: Any) -> None:
        if new is not None:
            self._dirty[key[1]] = None
            self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                name = next(iter(self._dirty))
                del self._dirty[name]
                try:
                    await self._settle(name)
                except StatusError as error:
                    if error.reason not in ("Conflict", "NotFound"):
                        log.warning("certificate request %s: %s", name, error.message)
                except Exception:
                    log.exception("certificate request %s", name)
            self._schedule()

    def _schedule(self) -> None:
        """One timer, for the request that is forgotten next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        known = [expiry(csr) for csr in self._server.objects.list(RESOURCE)]
        if known:
            wait = max(min(known) - self._server.clock(), 0.0)
            if wait < float("inf"):
                self._timer = self._server.loop.call_later(wait + 1.0, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._server.clock()
        for csr in self._server.objects.list(RESOURCE):
            if expiry(csr) <= now:
                self._dirty[csr.metadata.name] = None
        self._wake.set()

    async def _settle(self, name: str) -> None:
        csr = self._server.objects.get(RESOURCE, "", name)
        if csr is None:
            return
        now = self._server.clock()
        if expiry(csr) <= now:
            kind = self._server.objects.kind(RESOURCE)
            await self._server.rest.one(Write("delete", kind, LOOPBACK_USER, "", name))
            return
        if csr.spec.signerName not in SIGNERS or csr.status.certificate or _has(csr, "Denied", "Failed"):
            return
        try:
            request = _load(csr.spec.request)
        except ValueError:
            return
        if not _has(csr, "Approved"):
            message = approval(csr, request, lambda sub: self._may(csr, sub))
            if message:
                await self._write(csr, "approval", ("Approved", "AutoApproved", message), now)
            return
        problem = refusal(csr, request)
        if problem and csr.spec.signerName != LEGACY:
            await self._write(csr, "status", ("Failed", "SignerValidationFailure", problem), now)
        elif self._authority is not None:
            await self._write(csr, "status", None, now, request)

    def _may(self, csr: Any, subresource: str) -> bool:
        spec = csr.spec
        author = User(spec.username, tuple(spec.groups), spec.uid, spec.extra)
        asked = Attributes("create", "certificates.k8s.io", "*", "certificatesigningrequests", subresource)
        return bool(self._server.objects.authorize(author, asked).allowed)

    async def _write(
        self,
        csr: Any,
        subresource: str,
        condition: tuple[str, str, str] | None,
        now: float,
        request: Request | None = None,
    ) -> None:
        import base64

        tree = codec.to_tree(csr)
        status = tree.setdefault("status", {})
        if condition is not None:
            type_, reason, message = condition
            shown = {"type": type_, "status": "True", "reason": reason, "message": message}
            times = {"lastUpdateTime": rfc3339(now), "lastTransitionTime": rfc3339(now)}
            status.setdefault("conditions", []).append({**shown, **times})
        if request is not None:
            assert self._authority is not None
            pem = sign(csr, request, self._authority, now, int.from_bytes(self._server.entropy(20), "big") >> 1)
            status["certificate"] = base64.b64encode(pem).decode()
        kind = self._server.objects.kind(RESOURCE)
        write = Write("update", kind, LOOPBACK_USER, "", csr.metadata.name, subresource, tree)
        write.user_agent = "kube-controller-manager"
        await self._server.rest.one(write)
