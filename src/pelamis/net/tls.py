"""TLS: contexts for servers and clients, and a small certificate authority.

Certificates are ECDSA P-256 (RSA on demand), PEM. ``Authority`` signs; the validity is counted from ``now`` (seconds
since the epoch) minus five minutes, so that a peer whose clock is a little behind accepts a new certificate.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pelamis.net.peercert import hold_refusals

YEAR_S = 365 * 24 * 3600
_BACKDATE_S = 300


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    cert: bytes
    key: bytes


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """RSA keys in the form that upstream's tools write and every client library reads."""
    rsa_key = isinstance(key, rsa.RSAPrivateKey)
    form = serialization.PrivateFormat.TraditionalOpenSSL if rsa_key else serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(parts)


def _window(now: float, valid_s: float) -> tuple[datetime, datetime]:
    start = datetime.fromtimestamp(int(now) - _BACKDATE_S, UTC)
    return start, start + timedelta(seconds=valid_s + _BACKDATE_S)


def new_authority(
    common_name: str, now: float, valid_s: float = 10 * YEAR_S, *, key: ec.EllipticCurvePrivateKey | None = None
) -> Pair:
    """A self-signed certificate authority. Of a key that is given it is the same one every time."""
    same = key is not None
    key = key or new_key()
    name = _name(common_name, ())
    start, end = _window(now, valid_s)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1 if same else x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=False,
                content_commitment=False,
                key_encipherment=True,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True if same else None)
    )
    return Pair(cert.public_bytes(serialization.Encoding.PEM), key_pem(key))


class Authority:
    """Signs with ``pair``."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.cert = x509.load_pem_x509_certificate(pair.cert)
        key = serialization.load_pem_private_key(pair.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        self._key = key

    def issue(
        self,
        common_name: str,
        now: float,
        *,
        organizations: Sequence[str] = (),
        hosts: Sequence[str] = (),
        server: bool = False,
        client: bool = False,
        valid_s: float = YEAR_S,
        rsa_key: bool = False,
    ) -> Pair:
        """A leaf with a new key. hosts: DNS names and IP addresses of a serving certificate."""
        key = rsa.generate_private_key(65537, 2048) if rsa_key else new_key()
        cert = self.sign(
            key.public_key(),
            common_name,
            now,
            organizations=organizations,
            hosts=hosts,
            server=server,
            client=client,
            valid_s=valid_s,
        )
        return Pair(cert, key_pem(key))

    def sign(
        self,
        public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        common_name: str,
        now: float,
        *,
        organizations: Sequence[str] = (),
        hosts: Sequence[str] = (),
        server: bool = False,
        client: bool = False,
        valid_s: float = YEAR_S,
    ) -> bytes:
        start, end = _window(now, valid_s)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name, organizations))
            .issuer_name(self.cert.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(min(end, self.cert.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_encipherment=True,
                    key_cert_sign=False,
                    crl_sign=False,
                    content_commitment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(h) for h in hosts]), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def subject(der: bytes) -> tuple[str, tuple[str, ...]]:
    """Common name and organizations of a certificate: the user and the groups that it stands for."""
    name = x509.load_der_x509_certificate(der).subject
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    organizations = name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return (str(common[0].value) if common else ""), tuple(str(o.value) for o in organizations)


def hosts(cert: x509.Certificate) -> set[str]:
    """The DNS names and addresses that a certificate is for."""
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def expires_at(pem: bytes) -> float:
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()


def expires_at_der(der: bytes) -> float:
    return x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp()


def load_pair(context: ssl.SSLContext, pair: Pair) -> None:
    """The ssl module reads certificates from files only: they are written where nobody else can read, and removed."""
    fd, path = tempfile.mkstemp(prefix="tls-")
    try:
        with os.fdopen(fd, "wb") as out:
            out.write(pair.cert + pair.key)
        context.load_cert_chain(path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def server_context(pair: Pair, client_ca: bytes = b"") -> ssl.SSLContext:
    """client_ca: PEM; when given, a peer may show a certificate. Whether that is signed by it is not a matter of the
    handshake, but of ``peercert.shown``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_pair(context, pair)
    if client_ca:
        context.load_verify_locations(cadata=client_ca.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        hold_refusals(context)
    return context


def client_context(ca: bytes = b"", pair: Pair | None = None, *, verify: bool = True) -> ssl.SSLContext:
    """ca: PEM of the authorities to trust; empty = the system's."""
    context = ssl.create_default_context(cadata=ca.decode() if ca else None)
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if pair is not None:
        load_pair(context, pair)
    return context
